//! Which token counts for a server, and a new one in time.
//!
//! It joins the token file with the provider; it must not know what a command does with the token.

use std::path::{Path, PathBuf};

use kms_client::Token;

use crate::attribute_text::now;
use crate::error::{Error, Kind};
use crate::oidc::{Ask, Provider, Refused};
use crate::secret_text::SecretText;
use crate::tokens::{Locked, Login, Place, Source, Tokens};

/// A token of machines, which counts before any login.
pub(crate) const VARIABLE: &str = "KMS_TOKEN";
/// So long before its end a token is taken to have run out, so that it does not end on the way.
const MARGIN_S: i64 = 30;

/// The token of the environment, where there is one.
pub(crate) fn of_the_environment() -> Result<Option<SecretText>, Error> {
    match std::env::var_os(VARIABLE) {
        None => Ok(None),
        Some(value) if value.is_empty() => Ok(None),
        Some(value) => match value.into_string() {
            Ok(text) => Ok(Some(SecretText::new(text))),
            Err(_binary) => Err(Error::usage(format!("{VARIABLE} is no text"))),
        },
    }
}

/// The token that counts for `place`; a new one, where it has run out and can be had.
pub(crate) async fn token(place: &Place, trusted: Option<&Path>) -> Result<Option<Token>, Error> {
    if let Some(text) = of_the_environment()? {
        return Ok(Some(sendable(&text)?));
    }
    // Without a home there are no logins.
    let Ok(path) = Tokens::path() else { return Ok(None) };
    let Some(login) = Tokens::read(&path)?.at(place).cloned() else { return Ok(None) };
    if !is_over(&login) || refreshable(&login).is_none() {
        // Where it cannot be renewed, the server says whether it is good.
        return Ok(Some(sendable(&login.access_token)?));
    }
    let login = renewed(path, place, trusted).await?;
    login.map(|login| sendable(&login.access_token)).transpose()
}

/// The token as the client library sends it.
pub(crate) fn sendable(text: &SecretText) -> Result<Token, Error> {
    Ok(Token::new(text.expose())?)
}

fn is_over(login: &Login) -> bool {
    login.expires.is_some_and(|end| end <= now().saturating_add(MARGIN_S))
}

fn refreshable(login: &Login) -> Option<(&Source, &SecretText)> {
    let source = login.source.as_ref()?;
    Some((source, source.refresh_token.as_ref()?))
}

/// Renews the login, by one `kms` at a time: what gets a new token often does so only once.
async fn renewed(
    path: PathBuf,
    place: &Place,
    trusted: Option<&Path>,
) -> Result<Option<Login>, Error> {
    let locked = Locked::wait(&path).await?;
    let mut tokens = locked.read()?;
    let Some(mut login) = tokens.at(place).cloned() else { return Ok(None) };
    // Another may have done it while we waited.
    if !is_over(&login) {
        return Ok(Some(login));
    }
    let Some((source, refresh_token)) = refreshable(&login) else { return Ok(Some(login)) };
    let ask = ask(source);
    let provider = match Provider::discover(&source.issuer, trusted).await {
        Ok(provider) => provider,
        Err(error) => return still(login, || error.context(&over(place))),
    };
    let granted = match provider.refresh(&ask, refresh_token).await {
        Ok(granted) => granted,
        Err(Refused::Said(refusal)) if refusal.is_final() => {
            let told = refusal.told(provider.issuer());
            if let Some(source) = &mut login.source {
                source.refresh_token = None;
            }
            tokens.put(login);
            locked.write(&tokens)?;
            let message = format!("{}, and is not renewed: {}", over(place), told.message);
            return Err(Error::new(Kind::Unauthenticated, message).hint(LOGIN_AGAIN));
        }
        Err(refused) => {
            return still(login, || refused.told(&provider).context(&over(place)));
        }
    };
    login.expires = granted.expires(now());
    login.access_token = granted.access_token;
    // Where there is no new one, the old one stays good.
    if let (Some(new), Some(source)) = (granted.refresh_token, &mut login.source) {
        source.refresh_token = Some(new);
    }
    tokens.put(login.clone());
    locked.write(&tokens)?;
    Ok(Some(login))
}

/// What to do when a login is over.
pub(crate) const LOGIN_AGAIN: &str = "log in again with `kms login`";

fn over(place: &Place) -> String {
    format!("the login at {} has run out", place.server)
}

/// What a login asks for again.
pub(crate) fn ask(source: &Source) -> Ask {
    let Source { client_id, audience, scope, .. } = source;
    Ask { client_id: client_id.clone(), audience: audience.clone(), scope: scope.clone() }
}

/// The provider does not answer: the token is good as long as it is good.
fn still(login: Login, error: impl FnOnce() -> Error) -> Result<Option<Login>, Error> {
    match login.expires {
        Some(end) if end > now() => Ok(Some(login)),
        _ => Err(error()),
    }
}
