//! Logging in by another device: this one shows a code, and asks until it was entered (RFC 8628).
//!
//! It must not know how the code is shown.

use std::time::Duration;

use kms_outbound::Cause;
use serde::Deserialize;
use tokio::time::{Instant, sleep_until};
use url::Url;

use super::answer::Granted;
use super::refusal::Refusal;
use super::{Ask, Provider, Refused, audience, json, wrong};
use crate::error::Error;
use crate::secret_text::SecretText;

/// How long to wait between two questions where the provider does not say, and by how much more
/// when it says that this is too fast (RFC 8628, section 3.5).
const INTERVAL_S: u64 = 5;
/// The longest wait between two questions.
const INTERVAL_MAX_S: u64 = 60;
/// The longest time that a code is waited for.
const PATIENCE_S: u64 = 30 * 60;
/// The longest code that anybody would enter.
const USER_CODE: usize = 64;

/// A login that waits for the user.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    provider: &'a Provider,
    ask: &'a Ask,
    started: Started,
}

#[derive(Debug, Deserialize)]
struct Started {
    device_code: SecretText,
    user_code: String,
    #[serde(alias = "verification_url")]
    verification_uri: String,
    #[serde(default)]
    verification_uri_complete: Option<String>,
    #[serde(default)]
    expires_in: Option<u64>,
    #[serde(default)]
    interval: Option<u64>,
}

impl<'a> Waiting<'a> {
    /// Asks the provider for a code.
    pub(crate) async fn begin(provider: &'a Provider, ask: &'a Ask) -> Result<Self, Error> {
        let endpoint = provider.metadata.device_authorization_endpoint.as_deref();
        let endpoint = endpoint.ok_or_else(|| {
            Error::usage(format!("{} offers no login by a device code", provider.issuer()))
                .hint("log in by a browser: `kms login`")
        })?;
        let scope = provider.scope(ask);
        let mut fields = vec![("client_id", ask.client_id.as_str()), ("scope", &scope)];
        fields.extend(audience(ask));
        let body = provider.post(endpoint, &fields).await;
        let body = body.map_err(|refused| refused.told(provider))?;
        let started: Started = json(&body, "its device code")?;
        let shown = |text: &str| !text.is_empty() && !text.chars().any(char::is_control);
        if !shown(&started.user_code) || started.user_code.len() > USER_CODE {
            return Err(wrong("its code cannot be shown"));
        }
        for url in [Some(&started.verification_uri), started.verification_uri_complete.as_ref()] {
            let scheme = |url: &String| {
                Url::parse(url).is_ok_and(|it| matches!(it.scheme(), "https" | "http"))
            };
            if !url.is_none_or(|url| scheme(url) && shown(url)) {
                return Err(wrong("the address where to enter the code is no address"));
            }
        }
        Ok(Self { provider, ask, started })
    }

    /// Where the user logs in.
    pub(crate) fn url(&self) -> &str {
        &self.started.verification_uri
    }

    /// The same with the code in it, where the provider has that.
    pub(crate) fn complete_url(&self) -> Option<&str> {
        self.started.verification_uri_complete.as_deref()
    }

    /// What the user enters there.
    pub(crate) fn code(&self) -> &str {
        &self.started.user_code
    }

    /// Waits for the user, and gets the token.
    pub(crate) async fn finish(self) -> Result<Granted, Error> {
        let lifetime = self.started.expires_in.unwrap_or(PATIENCE_S).min(PATIENCE_S);
        let end = Instant::now() + Duration::from_secs(lifetime);
        let mut pace = Pace::new(self.started.interval);
        let mut fields = vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", self.started.device_code.expose()),
            ("client_id", &self.ask.client_id),
        ];
        fields.extend(audience(self.ask));
        loop {
            let next = Instant::now() + pace.interval;
            if next > end {
                let late = Refusal { error: "expired_token".to_owned(), error_description: None };
                return Err(late.told(self.provider.issuer()));
            }
            sleep_until(next).await;
            match self.provider.token(&fields).await {
                Ok(granted) => return Ok(granted),
                Err(refused) if pace.goes_on(&refused) => {}
                Err(refused) => return Err(refused.told(self.provider)),
            }
        }
    }
}

/// How fast to ask.
#[derive(Debug)]
struct Pace {
    interval: Duration,
}

impl Pace {
    fn new(interval: Option<u64>) -> Self {
        let seconds = interval.unwrap_or(INTERVAL_S).clamp(1, INTERVAL_MAX_S);
        Self { interval: Duration::from_secs(seconds) }
    }

    /// Whether to ask again after this answer, and how fast from now on.
    fn goes_on(&mut self, refused: &Refused) -> bool {
        match refused {
            Refused::Said(refusal) => match refusal.error.as_str() {
                "authorization_pending" => {}
                "slow_down" => self.interval += Duration::from_secs(INTERVAL_S),
                _ => return false,
            },
            Refused::Unreached(error) => match error.cause {
                Cause::Time(_) | Cause::Connection(_) | Cause::Broken | Cause::Name => {
                    self.interval *= 2;
                }
                _ => return false,
            },
            Refused::Told(_) => return false,
        }
        self.interval = self.interval.min(Duration::from_secs(INTERVAL_MAX_S));
        true
    }
}

#[cfg(test)]
mod tests {
    use kms_outbound::CallError;

    use super::*;

    fn refused(error: &str) -> Refused {
        Refused::Said(Refusal { error: error.to_owned(), error_description: None })
    }

    #[test]
    fn the_pace_is_the_providers() {
        let mut pace = Pace::new(None);
        let seconds = |pace: &Pace| pace.interval.as_secs();
        assert!(pace.goes_on(&refused("authorization_pending")));
        assert_eq!(seconds(&pace), 5);
        assert!(pace.goes_on(&refused("slow_down")));
        assert_eq!(seconds(&pace), 10);
        let host = "a".to_owned();
        let lost = Refused::Unreached(CallError { host, cause: Cause::Broken });
        assert!(pace.goes_on(&lost));
        assert_eq!(seconds(&pace), 20);
        for _ in 0..20 {
            assert!(pace.goes_on(&lost));
        }
        assert_eq!(seconds(&pace), INTERVAL_MAX_S);
        for end in ["access_denied", "expired_token", "invalid_grant"] {
            assert!(!pace.goes_on(&refused(end)), "{end}");
        }
        assert_eq!((seconds(&Pace::new(Some(0))), seconds(&Pace::new(Some(9_999)))), (1, 60));
    }
}
