//! `kms login`.

use std::io::{Read as _, Write as _};

use clap::Args;
use kms_client::{Client, Me};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::attribute_text::now;
use crate::browser;
use crate::context::{Context, Server};
use crate::error::{Error, Kind};
use crate::oidc::answer::{self, Granted};
use crate::oidc::code::Waiting;
use crate::oidc::page::Page;
use crate::oidc::{Ask, Provider, device};
use crate::render::Answer;
use crate::secret_text::SecretText;
use crate::session;
use crate::tokens::{Locked, Login as Kept, Place, Source, Tokens};

/// The longest token that is read from standard input.
const TOKEN_BYTES: u64 = 64 << 10;

/// Log in at a server, with its identity provider
///
/// Opens a browser, in which you log in; kms gets a token and keeps it for this server, in a file
/// that you alone can read. Without a browser on this machine, --device shows a code to be entered
/// on another. Machines put a token into KMS_TOKEN instead, or give it by --token.
#[derive(Args, Debug)]
#[group(id = "how", multiple = true)]
pub(crate) struct Login {
    /// The identity provider's address [default: the profile's, or that of the
    /// last login, or what a server on this machine says]
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// The name under which the provider knows kms [default: as for --issuer]
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// For whom the token is: the server's KMS_JWT_AUDIENCE [default: as for --issuer]
    #[arg(long, value_name = "NAME")]
    audience: Option<String>,
    /// What to ask for [default: the profile's, or "openid email offline_access"]
    #[arg(long, value_name = "WORDS")]
    scope: Option<String>,
    /// Log in by a code that is entered on another device
    #[arg(long, conflicts_with = "token")]
    device: bool,
    /// Only show the address, and open no browser
    #[arg(long, conflicts_with = "token")]
    no_browser: bool,
    /// The port of this machine to which the browser returns [default: the profile's, or any]
    #[arg(long, value_name = "PORT", conflicts_with = "token")]
    redirect_port: Option<u16>,
    /// Keep this token; `-` reads it from standard input, where no other user sees it
    #[arg(long, value_name = "TOKEN", conflicts_with_all = ["issuer", "client_id", "audience", "scope"])]
    token: Option<GivenToken>,
}

/// A token on the command line.
#[derive(Clone, Debug)]
struct GivenToken(SecretText);

impl From<&str> for GivenToken {
    fn from(text: &str) -> Self {
        Self(SecretText::new(text.to_owned()))
    }
}

impl Login {
    pub(crate) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let server = context.server()?;
        let client = server.anonymous()?;
        // Before anybody takes the trouble to log in.
        client.may_send_token()?;
        let place = server.place(&client);
        let kept = Tokens::read(&Tokens::path()?)?.at(&place).cloned();
        if let Some(GivenToken(text)) = &self.token {
            let text = if text.is("-") { read_token()? } else { trimmed(text.expose()) };
            let expires = answer::expiry(text.expose());
            return finish(client, Kept::new(place, text, expires)).await.0;
        }
        let last = kept.and_then(|login| login.source);
        let told = self.told(&server, last.as_ref(), &client).await;
        let (issuer, ask) = self.choices(&server, last, told)?;
        let provider = Provider::discover(&issuer, server.profile.trusted_ca().as_deref()).await?;
        if self.device {
            let waiting = device::Waiting::begin(&provider, &ask).await?;
            self.show_code(&waiting)?;
            let granted = waiting.finish().await?;
            return finish(client, login(place, &provider, &ask, granted)).await.0;
        }
        let port = self.redirect_port.or(server.profile.redirect_port).unwrap_or(0);
        let waiting = Waiting::begin(&provider, &ask, port).await?;
        self.show_address(waiting.url())?;
        let (granted, arrival) = waiting.finish().await?;
        let (done, user) = finish(client, login(place, &provider, &ask, granted)).await;
        let page = match (&done, user) {
            (Err(error), _) => Page::failed(error.to_string()),
            (Ok(_), Some(user)) => Page::done(format!("The server knows you as {user}.")),
            (Ok(_), None) => Page::done("The server could not be asked who you are."),
        };
        arrival.reply(&page).await;
        done
    }

    /// What a server on this machine says about its provider, where nobody else does.
    ///
    /// No other server is asked: it could send its users to a provider of its own, or have them ask
    /// for a token that is good elsewhere.
    async fn told(&self, server: &Server, last: Option<&Source>, client: &Client) -> Told {
        let known = self.issuer.is_some() || server.profile.issuer.is_some() || last.is_some();
        if known || !client.is_local() {
            return Told::default();
        }
        // What it does not tell, the user is asked for.
        let info = client.server_info().await.map(|info| info.more).unwrap_or_default();
        let only = |name| {
            let all = info.get("tokens").and_then(|tokens| tokens.get(name)?.as_array());
            match all.map(Vec::as_slice) {
                Some([one]) => one.as_str().filter(|text| *text != "*").map(str::to_owned),
                _ => None,
            }
        };
        Told { issuer: only("authorities"), audience: only("audiences") }
    }

    /// The provider and what is asked of it: as typed, or of the profile, or as the last time.
    fn choices(
        &self,
        server: &Server,
        last: Option<Source>,
        told: Told,
    ) -> Result<(String, Ask), Error> {
        let profile = &server.profile;
        let first =
            |typed: &Option<String>, kept: &Option<String>| typed.clone().or_else(|| kept.clone());
        let issuer = first(&self.issuer, &profile.issuer);
        // What was asked of another provider is not asked of this one.
        let last = last.filter(|it| issuer.as_ref().is_none_or(|issuer| *issuer == it.issuer));
        let issuer = issuer.or_else(|| last.as_ref().map(|it| it.issuer.clone()));
        let issuer = issuer.or(told.issuer).ok_or_else(|| {
            Error::usage("which identity provider?").hint(
                "name the one of the server's KMS_DELEGATED_AUTHORITY_DOMAIN: `kms login --issuer \
                 https://DOMAIN/ --client-id ID`, or `kms profiles set NAME ADDRESS --issuer …`",
            )
        })?;
        let client_id = first(&self.client_id, &profile.client_id);
        let client_id = client_id.or_else(|| last.as_ref().map(|it| it.client_id.clone()));
        let client_id = client_id.ok_or_else(|| {
            Error::usage("under which name does the identity provider know kms?").hint(
                "register a public (native) client there, with the redirect address \
                 http://127.0.0.1/callback, and name it with --client-id",
            )
        })?;
        let audience = first(&self.audience, &profile.audience)
            .or_else(|| last.as_ref().and_then(|it| it.audience.clone()))
            .or(told.audience);
        let scope = first(&self.scope, &profile.scope)
            .or_else(|| last.as_ref().and_then(|it| it.scope.clone()));
        Ok((issuer, Ask { client_id, audience, scope }))
    }

    fn show_address(&self, url: &str) -> Result<(), Error> {
        let opened = !self.no_browser && browser::open(url);
        let how = if opened { "a browser opens; if it does not, open" } else { "to log in, open" };
        tell(&format!("{how} this address:\n\n  {url}\n\nwaiting for the login …\n"))
    }

    fn show_code(&self, waiting: &device::Waiting<'_>) -> Result<(), Error> {
        if !self.no_browser {
            browser::open(waiting.complete_url().unwrap_or(waiting.url()));
        }
        let (url, code) = (waiting.url(), waiting.code());
        tell(&format!(
            "to log in, open this address on any device:\n\n  {url}\n\nand enter this code:\n\n  \
             {code}\n\nwaiting for the login …\n"
        ))
    }
}

/// What a server says about its provider.
#[derive(Default)]
struct Told {
    issuer: Option<String>,
    audience: Option<String>,
}

/// What was got, as it is kept.
fn login(place: Place, provider: &Provider, ask: &Ask, granted: Granted) -> Kept {
    let expires = granted.expires(now());
    let Granted { access_token, refresh_token, .. } = granted;
    let mut login = Kept::new(place, access_token, expires);
    let Ask { client_id, audience, scope } = ask.clone();
    let issuer = provider.issuer().to_owned();
    login.source = Some(Source { issuer, client_id, audience, scope, refresh_token });
    login
}

/// Keeps the login if the server accepts it; and who the server says it is.
async fn finish(client: Client, login: Kept) -> (Result<Answer, Error>, Option<String>) {
    match accepted(client, &login).await {
        Ok(me) => {
            let user = me.as_ref().and_then(user);
            (keep(login, user.as_deref()).await, user)
        }
        Err(error) => (Err(error), None),
    }
}

/// Who the server takes the token's bearer for; `None` where the server cannot be asked now.
async fn accepted(client: Client, login: &Kept) -> Result<Option<Me>, Error> {
    let token = session::sendable(&login.access_token)?;
    match client.with_token(token)?.me().await {
        Ok(me) => Ok(Some(me)),
        Err(error @ kms_client::Error::Unauthenticated { .. }) => {
            let from_provider = login.source.is_some();
            let hint = if from_provider && !answer::is_jwt(login.access_token.expose()) {
                "the provider gave a token that only itself can read, as it does when no audience \
                 is asked for: name the server's with --audience"
            } else if from_provider {
                "compare --issuer with the server's KMS_DELEGATED_AUTHORITY_DOMAIN, and --audience \
                 with its KMS_JWT_AUDIENCE; the server's log has the exact reason"
            } else {
                "it has run out, or is none of this server's; the server's log has the exact reason"
            };
            Err(Error::new(Kind::Unauthenticated, error.to_string()).hint(hint))
        }
        Err(error) => {
            tell(&format!(
                "the server could not be asked whether it accepts the token: {error}\n"
            ))?;
            Ok(None)
        }
    }
}

/// Keeps the login for the commands to come.
async fn keep(login: Kept, user: Option<&str>) -> Result<Answer, Error> {
    let server = login.server().to_owned();
    let expires = super::whoami::end(login.expires);
    let locked = Locked::wait(&Tokens::path()?).await?;
    let mut tokens = locked.read()?;
    tokens.put(login);
    locked.write(&tokens)?;
    if session::of_the_environment()?.is_some() {
        tell(&format!("note: {} is set, and counts before this login\n", session::VARIABLE))?;
    }
    let who = user.map(|it| format!(" as {it}")).unwrap_or_default();
    Ok(Answer::done(
        format!("logged in at {server}{who}"),
        [("server", json!(server)), ("user_id", json!(user)), ("token_expires", expires)],
    ))
}

fn user(me: &Me) -> Option<String> {
    me.more.get("user_id").and_then(Value::as_str).map(str::to_owned)
}

fn read_token() -> Result<SecretText, Error> {
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(TOKEN_BYTES).unwrap_or(0)));
    let read = std::io::stdin().lock().take(TOKEN_BYTES).read_to_string(&mut text);
    read.map_err(|error| Error::file("read", "standard input".as_ref(), &error))?;
    Ok(trimmed(&text))
}

fn trimmed(text: &str) -> SecretText {
    SecretText::new(text.trim().to_owned())
}

/// Tells the user something that is no answer: on standard error.
pub(crate) fn tell(text: &str) -> Result<(), Error> {
    let mut out = std::io::stderr().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Error::file("written", "standard error".as_ref(), &error))
}
