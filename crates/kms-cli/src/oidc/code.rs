//! Logging in by a browser: the authorization code (RFC 6749) with PKCE (RFC 7636) over a redirect
//! to this machine (RFC 8252).
//!
//! It must not know how a browser is opened.

use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use kms_crypto::hash::{Hash, digest};
use tokio::time::timeout;
use url::Url;

use super::answer::Granted;
use super::loopback::{Arrival, Loopback};
use super::page::Page;
use super::refusal::Refusal;
use super::{Ask, Provider, audience, random_text, words, wrong};
use crate::error::{Error, Kind};
use crate::secret_text::SecretText;

/// How long a user may take.
const PATIENCE: Duration = Duration::from_mins(10);

/// A login that waits for the user.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    provider: &'a Provider,
    ask: &'a Ask,
    loopback: Loopback,
    url: Url,
    state: SecretText,
    nonce: SecretText,
    verifier: SecretText,
    with_id_token: bool,
}

impl<'a> Waiting<'a> {
    /// Opens the port (any that is free, for `0`) and makes the address for the browser.
    pub(crate) async fn begin(
        provider: &'a Provider,
        ask: &'a Ask,
        port: u16,
    ) -> Result<Self, Error> {
        let metadata = &provider.metadata;
        let endpoint = metadata.authorization_endpoint.as_deref().ok_or_else(|| {
            Error::usage(format!("{} offers no login by a browser", provider.issuer()))
                .hint("try `kms login --device`")
        })?;
        check_pkce(metadata.code_challenge_methods_supported.as_deref())?;
        let loopback = Loopback::open(port).await?;
        let mut url = Url::parse(endpoint).map_err(|error| wrong(error.to_string()))?;
        let (state, nonce, verifier) =
            (random_text::<32>()?, random_text::<32>()?, random_text::<32>()?);
        let scope = provider.scope(ask);
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &ask.client_id)
            .append_pair("redirect_uri", &loopback.redirect())
            .append_pair("scope", &scope)
            .append_pair("state", state.expose())
            .append_pair("nonce", nonce.expose())
            .append_pair("code_challenge", &challenge(&verifier))
            .append_pair("code_challenge_method", "S256")
            .extend_pairs(audience(ask));
        let with_id_token = scope.split_whitespace().any(|it| it == "openid");
        Ok(Self { provider, ask, loopback, url, state, nonce, verifier, with_id_token })
    }

    /// Where the user logs in.
    pub(crate) fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Waits for the user, and gets the token; the browser waits for a page meanwhile.
    pub(crate) async fn finish(self) -> Result<(Granted, Arrival), Error> {
        let arrival = timeout(PATIENCE, self.loopback.wait(&self.state)).await;
        let arrival = arrival.map_err(|_late| {
            Error::new(Kind::Unauthenticated, "nobody has logged in within ten minutes")
                .hint("begin again with `kms login`; without a browser here, add --device")
        })??;
        match self.exchange(&arrival).await {
            Ok(granted) => Ok((granted, arrival)),
            Err(error) => {
                arrival.reply(&Page::failed(error.to_string())).await;
                Err(error)
            }
        }
    }

    async fn exchange(&self, arrival: &Arrival) -> Result<Granted, Error> {
        let text = |name| arrival.field(name).map(SecretText::expose);
        // Which provider has answered is checked before what it says.
        let says_so = self.provider.metadata.authorization_response_iss_parameter_supported;
        check_issuer(text("iss"), self.provider.issuer(), says_so)?;
        if let Some(error) = text("error") {
            let error_description = text("error_description").map(str::to_owned);
            let refusal = Refusal { error: error.to_owned(), error_description };
            return Err(refusal.told(self.provider.issuer()));
        }
        let code = text("code").ok_or_else(|| wrong("its answer has no code"))?;
        let redirect = self.loopback.redirect();
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &redirect),
            ("client_id", &self.ask.client_id),
            ("code_verifier", self.verifier.expose()),
        ];
        fields.extend(audience(self.ask));
        let granted = self.provider.token(&fields).await;
        let granted = granted.map_err(|refused| refused.told(self.provider))?;
        if self.with_id_token {
            granted.check_id_token(self.provider.issuer(), &self.ask.client_id, &self.nonce)?;
        }
        Ok(granted)
    }
}

/// Whether the provider binds a code to whoever asked for it. Some do and do not say so.
fn check_pkce(methods: Option<&[String]>) -> Result<(), Error> {
    if methods.is_some_and(|methods| !methods.iter().any(|it| it == "S256")) {
        return Err(wrong("it does not know PKCE with S256, without which a code can be stolen"));
    }
    Ok(())
}

/// Whether the answer is of the provider that was asked (RFC 9207), which may always say so.
fn check_issuer(said: Option<&str>, asked: &str, says_so: bool) -> Result<(), Error> {
    match said {
        Some(issuer) if issuer != asked => {
            Err(wrong(format!("the answer is of another, {}", words::line(issuer))))
        }
        None if says_so => Err(wrong("the answer does not say whose it is")),
        _ => Ok(()),
    }
}

/// What the provider is shown of the verifier before it sees the verifier itself.
fn challenge(verifier: &SecretText) -> String {
    Base64UrlUnpadded::encode_string(digest(Hash::Sha256, verifier.expose().as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_of_the_provider_that_was_asked() {
        for (said, says_so, good) in [
            (Some("https://a/"), true, true),
            (Some("https://a/"), false, true),
            (None, false, true),
            (None, true, false),
            (Some("https://b/"), false, false),
            (Some("https://a"), true, false),
        ] {
            assert_eq!(check_issuer(said, "https://a/", says_so).is_ok(), good, "{said:?}");
        }
    }

    #[test]
    fn a_provider_that_only_knows_weaker_ways_is_not_used() {
        let check = |methods: &[&str]| {
            let methods: Vec<String> = methods.iter().map(|it| (*it).to_owned()).collect();
            check_pkce(Some(&methods)).is_ok()
        };
        assert!(check_pkce(None).is_ok() && check(&["plain", "S256"]));
        assert!(!check(&["plain"]) && !check(&[]));
    }

    #[test]
    fn the_challenge_is_the_standards() {
        // RFC 7636, appendix B.
        let verifier = SecretText::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned());
        assert_eq!(challenge(&verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
