//! An authority without a network, a clock that tests move, and the scheme over both.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use kms_auth::bearer::{Bearer, Options};
use kms_auth::name::Names;
use kms_auth::provider::{Fetch, Fetched, Fetching};
use kms_auth::{Authentication, Offered, Refusal, rules};
use kms_core::{Clock, Principal};
use kms_testkit::issuer::{Algorithm, Key, merge};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

/// The authority whose users stand by themselves.
pub(crate) const ISSUER: &str = "https://id.example/";
/// A further one, without a slash at its end.
pub(crate) const FURTHER: &str = "https://partner.example/realm";
/// Our audience.
pub(crate) const AUDIENCE: &str = "https://kms.example/";
/// The time at which tests begin.
pub(crate) const START: i64 = 1_800_000_000;

/// The clock of tokio, which tests hold and move, as ours.
struct Virtual(Instant);

impl Clock for Virtual {
    fn now(&self) -> i64 {
        START + i64::try_from(self.0.elapsed().as_secs()).unwrap()
    }
}

/// What authorities publish, by URL.
#[derive(Default)]
pub(crate) struct Web {
    documents: Mutex<HashMap<String, Fetched>>,
    asked: Mutex<Vec<String>>,
    /// The end of the URLs that are not answered.
    held: watch::Sender<Option<&'static str>>,
}

impl Web {
    pub(crate) fn put(&self, url: &str, answer: Fetched) {
        self.documents.lock().unwrap().insert(url.to_owned(), answer);
    }

    /// Publishes the keys of an issuer.
    pub(crate) fn publish(&self, issuer: &str, entries: &[Value]) {
        let base = issuer.trim_end_matches('/');
        let keys = format!("{base}/keys");
        let discovery = json!({ "issuer": issuer, "jwks_uri": keys });
        let discovery = discovery.to_string().into_bytes();
        self.put(&format!("{base}/.well-known/openid-configuration"), Ok((200, discovery)));
        let set = json!({ "keys": entries }).to_string().into_bytes();
        self.put(&keys, Ok((200, set)));
    }

    /// From now on nothing is reached.
    pub(crate) fn cut(&self) {
        self.documents.lock().unwrap().clear();
    }

    /// How often a URL with this end was asked for.
    pub(crate) fn asked(&self, end: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|url| url.ends_with(end)).count()
    }

    /// From now on no URL with this end is answered, until it is released.
    pub(crate) fn hold(&self, end: &'static str) {
        self.held.send_replace(Some(end));
    }

    pub(crate) fn release(&self) {
        self.held.send_replace(None);
    }
}

impl Fetch for Web {
    fn fetch<'a>(&'a self, _home: &'a str, url: &'a str) -> Fetching<'a> {
        self.asked.lock().unwrap().push(url.to_owned());
        Box::pin(async move {
            // What is answered is what was there when it was asked for.
            let known = self.documents.lock().unwrap().get(url).cloned();
            let held = |end: &str| url.ends_with(end);
            drop(self.held.subscribe().wait_for(|end| !end.is_some_and(held)).await);
            known.unwrap_or_else(|| Err(format!("{url}: nobody is there")))
        })
    }
}

/// How a world differs from the usual one.
pub(crate) struct Setting {
    pub(crate) build: &'static str,
    pub(crate) audiences: Vec<&'static str>,
    pub(crate) user_claim: &'static str,
    pub(crate) clients: bool,
    pub(crate) further: bool,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            build: "production",
            audiences: vec![AUDIENCE],
            user_claim: "email",
            clients: false,
            further: false,
        }
    }
}

/// An authority with a key, and a server that believes it.
pub(crate) struct World {
    pub(crate) web: Arc<Web>,
    pub(crate) curve: Key,
    rsa: OnceLock<Key>,
    authentication: Authentication,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Setting::default())
    }

    pub(crate) fn with(setting: Setting) -> Self {
        let curve = Key::new("curve", Algorithm::Es256);
        let web = Arc::new(Web::default());
        web.publish(ISSUER, &[curve.jwk()]);
        let bearer = bearer(setting, &web);
        let authentication = Authentication::new(vec![Box::new(bearer)]);
        Self { web, curve, rsa: OnceLock::new(), authentication }
    }

    /// An RSA key of the authority. Made, and published, where a test needs one: that takes long.
    pub(crate) fn rsa(&self) -> &Key {
        self.rsa.get_or_init(|| {
            let rsa = Key::new("rsa", Algorithm::Rs256);
            self.web.publish(ISSUER, &[rsa.jwk(), self.curve.jwk()]);
            rsa
        })
    }

    /// The claims of a good token.
    pub(crate) fn claims() -> Value {
        json!({
            "iss": ISSUER,
            "sub": "auth0|1",
            "aud": AUDIENCE,
            "azp": "client-1",
            "iat": START - 10,
            "exp": START + 3600,
            "email": "alice@example.com",
        })
    }

    /// A good token but for these claims; `null` takes one away.
    pub(crate) fn token(&self, changes: Value) -> String {
        let mut claims = Self::claims();
        merge(&mut claims, changes);
        self.curve.token(&claims)
    }

    /// A token by the usual key with good claims, and these changes of its header.
    pub(crate) fn with_header(&self, changes: Value) -> String {
        let mut header = self.curve.header();
        merge(&mut header, changes);
        self.curve.forge(&header.to_string(), &Self::claims().to_string())
    }

    /// Who comes with this token.
    pub(crate) async fn offer(&self, token: &str) -> Result<Principal, Refusal> {
        let header = format!("Bearer {token}");
        let offered = Offered { authorization: Some(header.as_bytes()), ..Offered::default() };
        self.ask(&offered).await
    }

    /// Who offers this.
    pub(crate) async fn ask(&self, offered: &Offered<'_>) -> Result<Principal, Refusal> {
        self.authentication.authenticate(offered).await
    }

    /// The user of a token that has to be good.
    pub(crate) async fn user(&self, token: &str) -> String {
        match self.offer(token).await {
            Ok(principal) => principal.user().to_owned(),
            Err(refusal) => panic!("{token} was refused: {}", refusal.reason),
        }
    }

    pub(crate) async fn refusal(&self, token: &str) -> Refusal {
        match self.offer(token).await {
            Ok(principal) => panic!("{token} was accepted as {}", principal.user()),
            Err(refusal) => refusal,
        }
    }
}

/// The scheme, with the tasks that keep its keys.
pub(crate) fn bearer(setting: Setting, web: &Arc<Web>) -> Bearer {
    let options = Options {
        rules: rules::of(setting.build),
        authority: Some(ISSUER.to_owned()),
        further: if setting.further { vec![FURTHER.to_owned()] } else { Vec::new() },
        audiences: setting.audiences.into_iter().map(str::to_owned).collect(),
        user_claim: setting.user_claim.to_owned(),
        clients: setting.clients,
        names: Names::default(),
    };
    let fetch: Arc<dyn Fetch> = Arc::clone(web) as Arc<dyn Fetch>;
    let clock: Arc<dyn Clock> = Arc::new(Virtual(Instant::now()));
    let bearer = Bearer::new(options, &fetch, &clock);
    for provider in bearer.providers() {
        drop(tokio::spawn(provider.keep()));
    }
    bearer
}

/// Lets time pass, and all that is due in it happen.
pub(crate) async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}
