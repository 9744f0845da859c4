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
