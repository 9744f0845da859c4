//! API tokens of machines: `Authorization: Bearer kms_…`.
//!
//! The core looks them up and says whose they are. A token that was good is not looked up again for a
//! second, so that a revoked one is refused by every server within that second. Must not know where
//! tokens are kept.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use kms_core::{ApiTokens, InvalidApiToken, Principal};
use kms_crypto::hash::{self, Hash};

use crate::name::Names;
use crate::{Answer, Authenticator, Offered, Outcome, Refusal};

/// The scheme's name.
pub const NAME: &str = "api-token";
/// How the text of every API token begins; the other bearer tokens never do.
pub const PREFIX: &[u8] = b"kms_";
/// How long a token that was good counts as good.
const REMEMBERED: Duration = Duration::from_secs(1);
/// How many tokens are remembered at once.
const REMEMBERED_MAX: usize = 1024;
/// When to try again what could not be looked up, in seconds.
const RETRY_S: u32 = 1;

/// The scheme.
#[derive(Debug)]
pub struct ApiTokenScheme {
    tokens: ApiTokens,
    names: Names,
    /// By the hash of the token's text.
    remembered: Mutex<HashMap<[u8; 32], Remembered>>,
}

#[derive(Debug)]
struct Remembered {
    principal: Principal,
    until: Instant,
    expires: Option<i64>,
}

impl ApiTokenScheme {
    /// The scheme of these tokens.
    pub fn new(tokens: ApiTokens, names: Names) -> Self {
        Self { tokens, names, remembered: Mutex::default() }
    }

    async fn judge(&self, offered: &Offered<'_>, now: Instant) -> Outcome {
        let token = offered.bearer();
        let Some(text) = token.filter(|text| text.starts_with(PREFIX)) else {
            return Outcome::NotMine;
        };
        let digest = hash::digest(Hash::Sha256, text);
        let key = digest.as_ref().try_into().unwrap_or([0; 32]);
        if let Some(principal) = self.remembered(&key, now) {
            return Outcome::Yes(principal);
        }
        let verified = match self.tokens.verify(text).await {
            Ok(verified) => verified,
            Err(invalid) => return Outcome::Failed(refusal(&invalid, text)),
        };
        match self.names.mapped(&verified.user) {
            Ok(user) => {
                let principal = Principal::by(NAME, &user);
                // From before it was looked up: a revocation since then is seen a second after it.
                let until = now + REMEMBERED;
                let expires = verified.expires;
                self.remember(
                    key,
                    Remembered { principal: principal.clone(), until, expires },
                    now,
                );
                Outcome::Yes(principal)
            }
            Err(reason) => Outcome::Failed(Refusal::invalid(NOT_GOOD, reason)),
        }
    }

    fn remembered(&self, key: &[u8; 32], now: Instant) -> Option<Principal> {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let known = remembered.get(key).filter(|known| now < known.until)?;
        let over = known.expires.is_some_and(|expires| expires <= self.tokens.now());
        (!over).then(|| known.principal.clone())
    }

    fn remember(&self, key: [u8; 32], known: Remembered, now: Instant) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED_MAX {
            remembered.retain(|_, known| now < known.until);
        }
        if remembered.len() < REMEMBERED_MAX {
            remembered.insert(key, known);
        }
    }
}

impl Authenticator for ApiTokenScheme {
    fn name(&self) -> &'static str {
        NAME
    }

    fn authenticate<'a>(&'a self, offered: &'a Offered<'a>) -> Answer<'a> {
        Box::pin(self.judge(offered, Instant::now()))
    }
}

/// One text for all that a forger may try: what is wrong with a guess is told to the log alone.
const NOT_GOOD: &str =
    "this API token is not known here; the operator can make another: kms-server token create";

fn refusal(invalid: &InvalidApiToken, text: &[u8]) -> Refusal {
    let id = || String::from_utf8_lossy(text.get(4..20).unwrap_or_default()).into_owned();
    match invalid {
        InvalidApiToken::Form => Refusal::invalid(NOT_GOOD, invalid.to_string()),
        InvalidApiToken::Unknown | InvalidApiToken::Secret | InvalidApiToken::Altered => {
            Refusal::invalid(NOT_GOOD, format!("{invalid} ({})", id()))
        }
        // Whoever reads these has the token.
        InvalidApiToken::Revoked => Refusal::invalid(
            "this API token was revoked; the operator can make another",
            format!("{invalid} ({})", id()),
        ),
        InvalidApiToken::Expired => Refusal::invalid(
            "this API token has expired; the operator can make another",
            format!("{invalid} ({})", id()),
        ),
        InvalidApiToken::Unavailable(_) => Refusal::unavailable(
            "API tokens cannot be looked up now; try again",
            invalid.to_string(),
            RETRY_S,
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kms_core::{Policy, Service, SystemClock};
    use kms_store::{Config, Store};

    use super::*;

    #[tokio::test]
    async fn a_revoked_token_is_refused_within_a_second() {
        let directory = tempfile::TempDir::new().unwrap();
        let store = Store::open(Config::directory(directory.path())).await.unwrap();
        let clock = Arc::new(SystemClock);
        let service = Service::open(store, &kms_seal::Clear, Policy::default(), clock).await;
        let tokens = service.unwrap().api_tokens();
        let text = tokens.create("night", None, None).await.unwrap();
        let header = [b"Bearer ", text.expose()].concat();
        let offered = Offered { authorization: Some(&header), ..Offered::default() };
        let scheme = ApiTokenScheme::new(tokens.clone(), Names::default());
        let begin = Instant::now();
        assert!(matches!(scheme.judge(&offered, begin).await, Outcome::Yes(_)));
        tokens.revoke("night").await.unwrap();
        let later = |millis| begin + Duration::from_millis(millis);
        // Remembered, and being asked for does not make it last longer.
        assert!(matches!(scheme.judge(&offered, later(999)).await, Outcome::Yes(_)));
        assert!(matches!(scheme.judge(&offered, later(1000)).await, Outcome::Failed(_)));
        // What is refused is not remembered, and what is over is not either.
        assert!(matches!(scheme.judge(&offered, later(1001)).await, Outcome::Failed(_)));
    }

    #[tokio::test]
    async fn no_more_is_remembered_than_there_is_room_for() {
        let directory = tempfile::TempDir::new().unwrap();
        let store = Store::open(Config::directory(directory.path())).await.unwrap();
        let clock = Arc::new(SystemClock);
        let service = Service::open(store, &kms_seal::Clear, Policy::default(), clock).await;
        let scheme = ApiTokenScheme::new(service.unwrap().api_tokens(), Names::default());
        let now = Instant::now();
        let known = |until| Remembered { principal: Principal::new("a"), until, expires: None };
        let key = |number: usize| {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&number.to_be_bytes());
            key
        };
        for number in 0..REMEMBERED_MAX {
            scheme.remember(key(number), known(now + REMEMBERED), now);
        }
        scheme.remember(key(REMEMBERED_MAX), known(now + REMEMBERED), now);
        assert!(scheme.remembered(&key(REMEMBERED_MAX), now).is_none());
        // A second later there is room again.
        let later = now + REMEMBERED;
        scheme.remember(key(REMEMBERED_MAX), known(later + REMEMBERED), later);
        assert!(scheme.remembered(&key(REMEMBERED_MAX), later).is_some());
        assert!(scheme.remembered(&key(0), later).is_none());
    }
}
