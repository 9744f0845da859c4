//! What the client says to an identity provider (`OpenID` Connect): how a user gets a token.
//!
//! One module for each way to get it ([`code`], [`device`]); [`answer`] reads what the provider's
//! token endpoint says. It must not know the server that the token is for, nor where it is kept.

pub(crate) mod answer;
pub(crate) mod code;
pub(crate) mod device;
mod loopback;
pub(crate) mod page;
mod refusal;
mod words;

use std::path::Path;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use kms_outbound::{CallError, Caller, Cause, Reach, Trust};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;
use zeroize::Zeroizing;

use crate::error::{Error, Kind};
use crate::secret_text::SecretText;
use answer::Granted;

/// What is asked for where nobody says: who the user is, and to stay logged in.
const SCOPES: [&str; 3] = ["openid", "email", "offline_access"];

/// Who asks for what.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// The name under which the provider knows `kms`.
    pub(crate) client_id: String,
    /// For whom the token is: what the server wants as its audience.
    pub(crate) audience: Option<String>,
    /// What the token is to allow.
    pub(crate) scope: Option<String>,
}

/// What the provider says about itself.
#[derive(Debug, Deserialize)]
struct Metadata {
    issuer: String,
    #[serde(default)]
    authorization_endpoint: Option<String>,
    token_endpoint: String,
    #[serde(default)]
    device_authorization_endpoint: Option<String>,
    #[serde(default)]
    revocation_endpoint: Option<String>,
    #[serde(default)]
    scopes_supported: Option<Vec<String>>,
    #[serde(default)]
    code_challenge_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// A provider, and how it is reached.
#[derive(Debug)]
pub(crate) struct Provider {
    caller: Caller,
    metadata: Metadata,
}

impl Provider {
    /// Asks the issuer what it is. `trusted` is a file of certificates that count beside the
    /// system's.
    pub(crate) async fn discover(issuer: &str, trusted: Option<&Path>) -> Result<Self, Error> {
        let trust = match trusted {
            None => Trust::system(),
            Some(path) => {
                Trust::with_file(path).map_err(|error| Error::new(Kind::File, error.to_string()))?
            }
        };
        let caller = Caller::new(trust, true);
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let answer = caller.get(&url, Reach::Anywhere).await.map_err(|error| unreached(&error))?;
        let body = answer.good().map_err(|error| unreached(&error))?;
        let metadata: Metadata = json(&body, "its description of itself")?;
        let provider = Self { caller, metadata };
        provider.check(issuer)?;
        Ok(provider)
    }

    /// The issuer as it calls itself.
    pub(crate) fn issuer(&self) -> &str {
        &self.metadata.issuer
    }

    /// Whether it is who was asked, and names nothing that cannot be used. What an issuer with TLS
    /// names must have TLS too: codes and tokens go there.
    fn check(&self, issuer: &str) -> Result<(), Error> {
        // A trailing slash is all that may differ: people leave it out.
        if self.metadata.issuer.trim_end_matches('/') != issuer.trim_end_matches('/') {
            let says = words::line(&self.metadata.issuer);
            return Err(wrong(format!("asked for {issuer}, it says that it is {says}")));
        }
        let secure = self.metadata.issuer.starts_with("https://");
        let metadata = &self.metadata;
        let others = [
            &metadata.authorization_endpoint,
            &metadata.device_authorization_endpoint,
            &metadata.revocation_endpoint,
        ];
        let all = others.into_iter().flatten().chain([&metadata.token_endpoint]);
        for endpoint in all {
            let problem = match self.caller.check(endpoint, Reach::Anywhere) {
                Err(error) => Some(error.to_string()),
                Ok(()) if secure && !endpoint.starts_with("https://") => {
                    Some("it has to be https, as the issuer is".to_owned())
                }
                Ok(()) => None,
            };
            if let Some(problem) = problem {
                return Err(wrong(format!("{}: {problem}", words::line(endpoint))));
            }
        }
        Ok(())
    }

    /// What is asked for: what the user says, or of the usual what the provider knows.
    fn scope(&self, ask: &Ask) -> String {
        if let Some(scope) = &ask.scope {
            return scope.clone();
        }
        let known = self.metadata.scopes_supported.as_deref();
        let known = |scope: &str| known.is_none_or(|all| all.iter().any(|it| it == scope));
        SCOPES.into_iter().filter(|scope| known(scope)).collect::<Vec<_>>().join(" ")
    }

    /// Exchanges what the user has got for a token.
    async fn token(&self, fields: &[(&str, &str)]) -> Result<Granted, Refused> {
        let body = self.post(&self.metadata.token_endpoint, fields).await?;
        let granted: Granted = json(&body, "its answer with the token").map_err(Refused::Told)?;
        granted.check().map_err(Refused::Told)?;
        Ok(granted)
    }

    /// Gets a new token by what was kept for that. The answer may have a new one of those, too.
    pub(crate) async fn refresh(
        &self,
        ask: &Ask,
        refresh_token: &SecretText,
    ) -> Result<Granted, Refused> {
        let mut fields = vec![
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token.expose()),
            ("client_id", ask.client_id.as_str()),
        ];
        fields.extend(audience(ask));
        self.token(&fields).await
    }

    /// Whether the provider takes tokens back.
    pub(crate) fn revokes(&self) -> bool {
        self.metadata.revocation_endpoint.is_some()
    }

    /// Gives a refresh token back, so that nobody can use it any more.
    pub(crate) async fn revoke(
        &self,
        client_id: &str,
        refresh_token: &SecretText,
    ) -> Result<(), Error> {
        let Some(endpoint) = &self.metadata.revocation_endpoint else { return Ok(()) };
        let fields = [
            ("token", refresh_token.expose()),
            ("token_type_hint", "refresh_token"),
            ("client_id", client_id),
        ];
        self.post(endpoint, &fields).await.map(|_empty| ()).map_err(|refused| refused.told(self))
    }

    async fn post(
        &self,
        endpoint: &str,
        fields: &[(&str, &str)],
    ) -> Result<Zeroizing<Vec<u8>>, Refused> {
        let answer = self.caller.post_form(endpoint, fields, Reach::Anywhere).await;
        let answer = answer.map_err(Refused::Unreached)?;
        let body = Zeroizing::new(answer.body);
        if answer.status == 200 {
            return Ok(body);
        }
        match serde_json::from_slice::<refusal::Refusal>(&body) {
            Ok(mut refusal) => {
                refusal.leave_out(fields);
                Err(Refused::Said(refusal))
            }
            Err(_not_oauth) => Err(Refused::Told(wrong(format!(
                "{} answers with the status {}",
                words::line(endpoint),
                answer.status
            )))),
        }
    }
}

/// Why there is no token.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The provider says no, by OAuth's own words.
    Said(refusal::Refusal),
    /// The provider does not answer.
    Unreached(CallError),
    /// Something else, told already.
    Told(Error),
}

impl Refused {
    /// As the user is told.
    pub(crate) fn told(self, provider: &Provider) -> Error {
        match self {
            Self::Said(refusal) => refusal.told(provider.issuer()),
            Self::Unreached(error) => unreached(&error),
            Self::Told(error) => error,
        }
    }
}

/// How a token's audience is asked for: as most providers have it (`audience`) and as the standard
/// does (RFC 8707, `resource`), which takes URIs only.
fn audience(ask: &Ask) -> Vec<(&'static str, &str)> {
    let Some(audience) = ask.audience.as_deref() else { return Vec::new() };
    let mut fields = vec![("audience", audience)];
    if Url::parse(audience).is_ok_and(|url| url.fragment().is_none()) {
        fields.push(("resource", audience));
    }
    fields
}

/// Random text of `LENGTH` bytes that cannot be guessed.
fn random_text<const LENGTH: usize>() -> Result<SecretText, Error> {
    let bytes = kms_crypto::random::bytes::<LENGTH>();
    let bytes = Zeroizing::new(bytes.map_err(|error| Error::unexpected(error.to_string()))?);
    Ok(SecretText::new(Base64UrlUnpadded::encode_string(&*bytes)))
}

/// Reads an answer; an error tells the place, and nothing of what is there.
fn json<T: DeserializeOwned>(body: &[u8], what: &str) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        wrong(format!("{what} is not as it should be, at line {line}, column {column}"))
    })
}

/// The provider does something that no provider should.
fn wrong(problem: impl std::fmt::Display) -> Error {
    Error::new(Kind::Unreachable, format!("the identity provider cannot be used: {problem}"))
        .hint("is the issuer's address (--issuer) the one of an OpenID Connect provider?")
}

fn unreached(error: &CallError) -> Error {
    let hint = match &error.cause {
        Cause::Tls(_) => {
            "if its certificate is by an authority of your own, name that authority's file with \
             KMS_TRUSTED_CA_PATH or the profile's trusted_ca_path"
        }
        Cause::Url(_) => "an issuer looks like https://login.example.com/",
        Cause::Status(404) => {
            "is the issuer's address (--issuer) the one of an OpenID Connect provider?"
        }
        _ => "is the issuer's address (--issuer) right, and is there a network?",
    };
    Error::new(Kind::Unreachable, format!("the identity provider does not answer: {error}"))
        .hint(hint)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn provider(more: &Value) -> Provider {
        let mut all = json!({"issuer": "https://a/", "token_endpoint": "https://a/token"});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let metadata = serde_json::from_value(all).unwrap();
        Provider { caller: Caller::new(Trust::system(), true), metadata }
    }

    fn ask(audience: Option<&str>, scope: Option<&str>) -> Ask {
        let text = |it: Option<&str>| it.map(str::to_owned);
        Ask { client_id: "kms".to_owned(), audience: text(audience), scope: text(scope) }
    }

    #[test]
    fn a_provider_is_who_was_asked() {
        for issuer in ["https://a/", "https://a"] {
            assert!(provider(&json!({})).check(issuer).is_ok(), "{issuer}");
        }
        for issuer in ["https://b/", "https://a/b", "http://a/"] {
            assert!(provider(&json!({})).check(issuer).is_err(), "{issuer}");
        }
    }

    #[test]
    fn what_gets_codes_and_tokens_has_tls() {
        for name in [
            "authorization_endpoint",
            "token_endpoint",
            "device_authorization_endpoint",
            "revocation_endpoint",
        ] {
            let check = |url: &str| provider(&json!({ name: url })).check("https://a/");
            assert!(check("https://b/x").is_ok(), "{name}");
            for url in ["http://127.0.0.1/x", "http://a/x", "ftp://a/x", "https://u:p@a/x", "x"] {
                assert!(check(url).is_err(), "{name} {url}");
            }
        }
        let here =
            json!({"issuer": "http://127.0.0.1:1/", "token_endpoint": "http://127.0.0.1:1/t"});
        assert!(provider(&here).check("http://127.0.0.1:1/").is_ok());
        let there = json!({"issuer": "http://a/", "token_endpoint": "http://10.0.0.1/t"});
        assert!(provider(&there).check("http://a/").is_err());
    }

    #[test]
    fn only_what_the_provider_knows_is_asked_for() {
        let scope = |supported: Value, wanted| {
            provider(&json!({"scopes_supported": supported})).scope(&ask(None, wanted))
        };
        assert_eq!(scope(Value::Null, None), "openid email offline_access");
        assert_eq!(scope(json!(["email", "openid"]), None), "openid email");
        assert_eq!(scope(json!(["openid"]), Some("openid kms:use")), "openid kms:use");
    }

    #[test]
    fn an_audience_is_asked_for_in_both_ways() {
        let names = |text| {
            let ask = ask(text, None);
            audience(&ask).into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(names(None), Vec::<&str>::new());
        assert_eq!(names(Some("https://kms.test/")), ["audience", "resource"]);
        assert_eq!(names(Some("https://kms.test/#a")), ["audience"]);
        assert_eq!(names(Some("kms")), ["audience"]);
    }
}
