//! Tokens of an identity provider: `Authorization: Bearer`, signed by an authority's key.
//!
//! The authority is chosen by the token's issuer before any key is looked at, the key by its name,
//! and only then is anything believed. Must not know where keys come from.

use std::fmt;
use std::sync::Arc;

use kms_core::{Clock, Principal};
use kms_crypto::hash::{self, Hash};

use crate::cache::{self, Cache, Verified};
use crate::claims::{self, Bearing, Expected, TOKEN_BYTES_MAX, Token};
use crate::members::shown;
use crate::name::Names;
use crate::provider::{Fetch, NoKey, Provider};
use crate::rules::Rules;
use crate::{Answer, Authenticator, Offered, Outcome, Refusal};

/// The scheme's name.
pub const NAME: &str = "bearer";

/// What the scheme is made of.
#[derive(Debug)]
pub struct Options {
    /// The rules of the build.
    pub rules: &'static Rules,
    /// The authority whose users' names stand by themselves.
    pub authority: Option<String>,
    /// Those whose users' names stand behind their issuer.
    pub further: Vec<String>,
    /// The audiences of which a token must have one; with `*` among them, or none, any will do.
    pub audiences: Vec<String>,
    /// The claim that holds the e-mail address.
    pub user_claim: String,
    /// Whether a token without an e-mail address is one of the program that it was given to.
    pub clients: bool,
    /// How names become users.
    pub names: Names,
}

struct Authority {
    provider: Arc<Provider>,
    /// Whether its users stand behind its issuer.
    scoped: bool,
}

/// The scheme.
pub struct Bearer {
    authorities: Vec<Authority>,
    expected: Expected,
    clock: Arc<dyn Clock>,
    cache: Arc<Cache>,
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let issuers = self.authorities.iter().map(|authority| authority.provider.issuer());
        f.debug_struct("Bearer")
            .field("issuers", &issuers.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Bearer {
    /// The scheme, with `fetch` for what its authorities publish. Their keys are there once the
    /// providers are kept.
    pub fn new(options: Options, fetch: &Arc<dyn Fetch>, clock: &Arc<dyn Clock>) -> Self {
        let cache = Arc::new(Cache::default());
        let authority = |issuer, scoped| {
            let (fetch, clock, cache) = (Arc::clone(fetch), Arc::clone(clock), Arc::clone(&cache));
            Authority { provider: Arc::new(Provider::new(issuer, fetch, clock, cache)), scoped }
        };
        let own = options.authority.into_iter().map(|issuer| authority(issuer, false));
        let further = options.further.into_iter().map(|issuer| authority(issuer, true));
        let authorities = own.chain(further).collect();
        let audiences = options.audiences;
        let expected = Expected {
            rules: options.rules,
            any_audience: audiences.is_empty() || audiences.iter().any(|it| it == "*"),
            audiences: audiences.into_iter().filter(|audience| audience != "*").collect(),
            user_claim: options.user_claim,
            clients: options.clients,
            names: options.names,
        };
        Self { authorities, expected, clock: Arc::clone(clock), cache }
    }

    /// The authorities, each of which has to be kept.
    pub fn providers(&self) -> impl Iterator<Item = Arc<Provider>> {
        self.authorities.iter().map(|authority| Arc::clone(&authority.provider))
    }

    /// Whether a token of this hash was verified, and still counts.
    fn known(&self, hash: &cache::Hash) -> Option<Principal> {
        let known = self.cache.get(hash)?;
        let now = self.clock.now();
        let over = self.expected.rules.expiry_verified && claims::is_over(known.expires, now);
        let provider = &self.authorities.get(known.authority)?.provider;
        (!over && provider.is_fresh(now)).then_some(known.principal)
    }

    async fn judge(&self, text: &[u8], hash: cache::Hash) -> Outcome {
        match self.verify(text).await {
            Ok(verified) => {
                let principal = verified.principal.clone();
                self.cache.put(hash, verified);
                Outcome::Yes(principal)
            }
            Err(refusal) => Outcome::Failed(refusal),
        }
    }

    async fn verify(&self, text: &[u8]) -> Result<Verified, Refusal> {
        let token = Token::read(text)?;
        let issuer = token.claims.issuer()?;
        let mut authorities = self.authorities.iter().enumerate();
        let found = authorities.find(|(_, authority)| authority.provider.issuer() == issuer);
        let Some((index, authority)) = found else {
            return Err(claims::invalid(format!("its issuer {} is not ours", shown(issuer))));
        };
        // Before the key is looked up, so that a key that leaves the set meanwhile counts as gone.
        let generation = self.cache.generation();
        let key = match authority.provider.key(&token.kid).await {
            Ok(key) => key,
            Err(no_key) => return Err(no_key_refusal(no_key, &token.kid, issuer)),
        };
        if !key.fits(token.algorithm) {
            let name = token.algorithm.name();
            return Err(claims::invalid(format!("its key is not one for {name}")));
        }
        if !key.verifies(token.algorithm, token.signed, token.signature) {
            return Err(claims::invalid("its signature is not its key's"));
        }
        let scope = authority.scoped.then_some(issuer);
        let Bearing { user, expires } =
            token.claims.judge(&self.expected, scope, self.clock.now())?;
        let principal = Principal::by(NAME, &user);
        Ok(Verified { principal, expires, authority: index, generation })
    }
}

fn no_key_refusal(no_key: NoKey, kid: &str, issuer: &str) -> Refusal {
    match no_key {
        NoKey::Unknown => claims::invalid(format!("its key {} is not known", shown(kid))),
        NoKey::Several => claims::invalid(format!("several keys are called {}", shown(kid))),
        NoKey::Undecided { retry_s } => Refusal::unavailable(
            "tokens cannot be checked now, as their authority does not answer; try again",
            format!("the keys of {issuer} are not known, or not known to be fresh"),
            retry_s,
        ),
    }
}

impl Authenticator for Bearer {
    fn name(&self) -> &'static str {
        NAME
    }

    fn authenticate<'a>(&'a self, offered: &'a Offered<'a>) -> Answer<'a> {
        let Some(text) = offered.bearer() else {
            return Box::pin(std::future::ready(Outcome::NotMine));
        };
        // What is too long is not worth a hash.
        let length = text.len().min(TOKEN_BYTES_MAX + 1);
        let digest = hash::digest(Hash::Sha256, text.get(..length).unwrap_or_default());
        let hash = digest.as_ref().try_into().unwrap_or_default();
        match self.known(&hash) {
            Some(principal) => Box::pin(std::future::ready(Outcome::Yes(principal))),
            None => Box::pin(self.judge(text, hash)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use kms_core::ManualClock;
    use kms_testkit::issuer::{Algorithm, Key};
    use serde_json::{Value, json};

    use super::*;
    use crate::provider::Fetching;
    use crate::rules;

    const NOW: i64 = 1_800_000_000;

    /// Answers with one key set, and says by 404 that it is where it usually is.
    struct Keys(Mutex<Vec<Value>>);

    impl Fetch for Keys {
        fn fetch<'a>(&'a self, _: &'a str, url: &'a str) -> Fetching<'a> {
            let set = json!({ "keys": *self.0.lock().unwrap() }).to_string();
            let found = url.ends_with("jwks.json");
            let answer = if found { (200, set.into_bytes()) } else { (404, Vec::new()) };
            Box::pin(std::future::ready(Ok(answer)))
        }
    }

    /// What is remembered of tokens, which only the time that they take shows from outside.
    #[tokio::test(start_paused = true)]
    async fn a_token_is_verified_once_and_remembered_as_long_as_it_counts() {
        let key = Key::new("one", Algorithm::Es256);
        let keys = Arc::new(Keys(Mutex::new(vec![key.jwk()])));
        let fetch: Arc<dyn Fetch> = Arc::clone(&keys) as Arc<dyn Fetch>;
        let manual = Arc::new(ManualClock::new(NOW));
        let clock: Arc<dyn Clock> = Arc::clone(&manual) as Arc<dyn Clock>;
        let claims = json!({
            "iss": "https://id.example/", "sub": "x", "exp": NOW + 100, "email": "a@example.com",
        });
        let token = key.token(&claims);
        let digest = hash::digest(Hash::Sha256, token.as_bytes());
        let hash = digest.as_ref().try_into().unwrap();
        for (build, over_counts) in [("dev", true), ("production", false)] {
            manual.set(NOW);
            *keys.0.lock().unwrap() = vec![key.jwk()];
            let options = Options {
                rules: rules::of(build),
                authority: Some("https://id.example/".to_owned()),
                further: Vec::new(),
                audiences: Vec::new(),
                user_claim: "email".to_owned(),
                clients: false,
                names: Names::default(),
            };
            let bearer = Bearer::new(options, &fetch, &clock);
            for provider in bearer.providers() {
                drop(tokio::spawn(provider.keep()));
            }
            assert!(bearer.known(&hash).is_none());
            // The first waits for the keys, whose arrival makes all forgotten that was begun before.
            for _ in 0..2 {
                let outcome = bearer.judge(token.as_bytes(), hash).await;
                assert!(matches!(outcome, Outcome::Yes(_)), "{outcome:?}");
            }
            let known = || bearer.known(&hash).is_some();
            assert!(known());
            manual.set(NOW + 159);
            assert!(known());
            manual.set(NOW + 160);
            assert_eq!(known(), over_counts, "{build}");
            // The same keys are no other keys.
            manual.set(NOW);
            let hour = std::time::Duration::from_secs(3601);
            tokio::time::sleep(hour).await;
            assert!(known());
            // One more key changes the set, and everything is verified anew.
            keys.0.lock().unwrap().push(Key::new("two", Algorithm::Es256).jwk());
            tokio::time::sleep(hour).await;
            assert!(!known());
            bearer.judge(token.as_bytes(), hash).await;
            assert!(known());
            manual.set(NOW + 25 * 3600);
            assert!(!known());
        }
    }
}
