//! A provider's refusals in plain words, each with what to do next.
//!
//! It must not know what was asked.

use serde::Deserialize;

use super::words;
use crate::error::{Error, Kind};

/// How OAuth says no (RFC 6749, section 5.2, and those that extend it).
#[derive(Debug, Deserialize)]
pub(crate) struct Refusal {
    pub(super) error: String,
    #[serde(default)]
    pub(super) error_description: Option<String>,
}

/// What each code means, and what to do next.
const MEANINGS: &[(&str, &str, &str)] = &[
    (
        "access_denied",
        "the login was refused, by you or by the provider's rules",
        "log in again with `kms login`, and agree; if you did, ask who runs the provider",
    ),
    ("expired_token", "the code was not entered in time", "begin again with `kms login --device`"),
    (
        "invalid_client",
        "the provider does not know this client, or wants a secret from it",
        "compare --client-id with the provider's list; the client has to be a public (native) one",
    ),
    ("invalid_grant", "the login is over, or was used already", "log in again with `kms login`"),
    (
        "invalid_request",
        "the provider does not understand the request",
        "does it know this client's redirect address http://127.0.0.1/callback (any port), and \
         this --audience?",
    ),
    (
        "invalid_scope",
        "the provider does not give what is asked for",
        "name what it gives with --scope, such as --scope \"openid email\"",
    ),
    (
        "invalid_target",
        "the provider does not know this audience",
        "compare --audience with the server's, and with the provider's list of APIs",
    ),
    ("server_error", "the provider has a failure of its own", "try again later"),
    ("temporarily_unavailable", "the provider is overloaded or down", "try again later"),
    (
        "unauthorized_client",
        "the provider does not let this client log in in this way",
        "allow it at the provider (authorization code, device code, refresh token), or try the \
         other: with or without --device",
    ),
    (
        "unsupported_grant_type",
        "the provider does not offer this way to log in",
        "try the other: with or without --device",
    ),
    (
        "unsupported_response_type",
        "the provider does not offer the authorization code",
        "allow it for this client at the provider",
    ),
];

impl Refusal {
    /// Whether what was offered will never be good again, as opposed to a passing trouble.
    pub(crate) fn is_final(&self) -> bool {
        !matches!(
            self.error.as_str(),
            "server_error" | "temporarily_unavailable" | "slow_down" | "authorization_pending"
        )
    }

    /// Leaves out the provider's words where they repeat what was sent to it.
    pub(super) fn leave_out(&mut self, sent: &[(&str, &str)]) {
        let secret =
            |name: &str| matches!(name, "refresh_token" | "code" | "device_code" | "token");
        let description = self.error_description.as_deref().unwrap_or_default();
        let mut secrets = sent.iter().filter(|(name, _)| secret(name)).map(|(_, value)| *value);
        if secrets.any(|value| description.contains(value) || self.error.contains(value)) {
            *self = Self { error: "(left out)".to_owned(), error_description: None };
        }
    }

    /// As the user is told.
    pub(crate) fn told(&self, issuer: &str) -> Error {
        let known = MEANINGS.iter().find(|(code, ..)| *code == self.error);
        let (meaning, hint) = known.map_or(
            ("the identity provider refused", "ask who runs the provider"),
            |(_, meaning, hint)| (*meaning, *hint),
        );
        let code = words::line(&self.error);
        let said = match self.error_description.as_deref().map(words::line) {
            Some(said) if !said.is_empty() => format!("{code}: {said}"),
            _ => code,
        };
        Error::new(Kind::Unauthenticated, format!("{meaning} ({issuer} says {said})")).hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(error: &str, description: &str) -> Refusal {
        let error_description = Some(description.to_owned());
        Refusal { error: error.to_owned(), error_description }
    }

    #[test]
    fn every_meaning_is_told_with_the_providers_words() {
        for (code, meaning, hint) in MEANINGS {
            let error = refusal(code, "because\n").told("https://a/");
            assert_eq!(error.message, format!("{meaning} (https://a/ says {code}: because)"));
            assert_eq!(error.hint.as_deref(), Some(*hint));
        }
        let error = refusal("odd\u{1b}[1m", "").told("https://a/");
        assert!(error.message.ends_with("(https://a/ says odd\u{fffd}[1m)"), "{error}");
    }

    #[test]
    fn what_was_sent_is_not_repeated() {
        let sent = [("client_id", "kms"), ("refresh_token", "sesame")];
        let mut repeats = refusal("invalid_grant", "no such token: sesame");
        repeats.leave_out(&sent);
        assert!(!repeats.told("https://a/").message.contains("sesame"));
        let mut harmless = refusal("invalid_client", "kms is not known");
        harmless.leave_out(&sent);
        assert!(harmless.told("https://a/").message.contains("kms is not known"));
    }

    #[test]
    fn what_may_pass_is_told_from_what_may_not() {
        assert!(refusal("invalid_grant", "").is_final());
        assert!(!refusal("temporarily_unavailable", "").is_final());
    }
}
