//! One authority: where its keys are, how fresh they are, and when it is asked again.
//!
//! Requests never ask it themselves. One task does, hourly and when a request needs it, so that a
//! slow or hostile authority holds up nobody whose key is known, and is asked once however many
//! want it. Knows no token.

use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kms_core::Clock;
use kms_outbound::{Caller, Reach};
use serde::Deserialize;
use tokio::sync::{Notify, watch};

use crate::cache::Cache;
use crate::jwks::{Entry, Key, KeySet};
use crate::members::{brief, shown};

/// How often the keys are fetched.
const REFRESH: Duration = Duration::from_hours(1);
/// How soon they are fetched again when that failed.
const RETRY: Duration = Duration::from_mins(1);
/// How long after a fetch that a request caused no request causes another, in seconds.
const COOL_DOWN_S: i64 = 60;
/// How long keys may be used without having been seen again, in seconds.
const STALE_S: i64 = 24 * 60 * 60;
/// How long a request waits for keys that are being fetched.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a fetch comes to: the status and the body, or why there is none.
pub type Fetched = Result<(u16, Vec<u8>), String>;
/// A fetch that is under way.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Fetched> + Send + 'a>>;

/// What fetches documents.
pub trait Fetch: Send + Sync {
    /// Fetches `url`, which the operator named, or a document of `home`, which the operator named.
    fn fetch<'a>(&'a self, home: &'a str, url: &'a str) -> Fetching<'a>;
}

impl Fetch for Caller {
    fn fetch<'a>(&'a self, home: &'a str, url: &'a str) -> Fetching<'a> {
        Box::pin(async move {
            let answer = self.get(url, Reach::of_url_named_by(home, url)).await;
            answer.map(|it| (it.status, it.body)).map_err(|error| error.to_string())
        })
    }
}

/// Why there is no key for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoKey {
    /// The authority has none of this name.
    Unknown,
    /// The authority has several of this name.
    Several,
    /// The authority's keys are not known well enough to tell.
    Undecided {
        /// When they may be, in seconds.
        retry_s: u32,
    },
}

/// The keys as they were last seen.
#[derive(Default)]
struct Seen {
    set: Option<Arc<KeySet>>,
    /// Why the last fetch failed, if it did.
    failure: Option<String>,
}

/// The fetches, numbered from 1.
struct Fetches {
    /// The last that has begun.
    begun: u64,
    /// The last that is wanted.
    wanted: u64,
    /// When a request last wanted one.
    wanted_at: Option<i64>,
}

/// An authority.
pub struct Provider {
    issuer: String,
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    cache: Arc<Cache>,
    seen: Mutex<Seen>,
    /// The last second in which the keys may be used.
    fresh_until: AtomicI64,
    fetches: Mutex<Fetches>,
    wake: Notify,
    /// The last fetch that has ended.
    ended: watch::Sender<u64>,
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

enum Look {
    Found(Arc<Key>),
    Several,
    /// The set is fresh, and has none of this name.
    Unknown,
    /// There is no set, or one that is too old.
    NoSet,
}

impl Provider {
    pub(crate) fn new(
        issuer: String,
        fetch: Arc<dyn Fetch>,
        clock: Arc<dyn Clock>,
        cache: Arc<Cache>,
    ) -> Self {
        // Whoever comes before the first fetch has ended waits for it.
        let fetches = Fetches { begun: 0, wanted: 1, wanted_at: None };
        Self {
            issuer,
            fetch,
            clock,
            cache,
            seen: Mutex::default(),
            fresh_until: AtomicI64::new(i64::MIN),
            fetches: Mutex::new(fetches),
            wake: Notify::new(),
            ended: watch::Sender::new(0),
        }
    }

    /// The issuer, as its tokens name it.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whether the keys were seen recently enough to be used.
    pub(crate) fn is_fresh(&self, now: i64) -> bool {
        now <= self.fresh_until.load(Ordering::Relaxed)
    }

    /// The key of this name, once it is known.
    pub(crate) async fn key(&self, kid: &str) -> Result<Arc<Key>, NoKey> {
        let waiting = async {
            // A fetch that is under way may be too old to have it; then one more is wanted.
            for _ in 0..2 {
                if matches!(self.look(kid), Look::Found(_) | Look::Several) {
                    break;
                }
                self.asked().await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, waiting).await.is_ok();
        match self.look(kid) {
            Look::Found(key) => Ok(key),
            Look::Several => Err(NoKey::Several),
            Look::Unknown if in_time && lock(&self.seen).failure.is_none() => Err(NoKey::Unknown),
            Look::Unknown | Look::NoSet => Err(NoKey::Undecided { retry_s: self.retry_s() }),
        }
    }

    fn look(&self, kid: &str) -> Look {
        if !self.is_fresh(self.clock.now()) {
            return Look::NoSet;
        }
        let seen = lock(&self.seen);
        let Some(set) = &seen.set else { return Look::NoSet };
        match set.get(kid) {
            Some(Entry::One(key)) => Look::Found(Arc::clone(key)),
            Some(Entry::Several) => Look::Several,
            None => Look::Unknown,
        }
    }

    /// Ends when the fetch that is under way has ended, or else one that is begun for this; at once
    /// where requests have caused one just now.
    async fn asked(&self) {
        let awaited = {
            let now = self.clock.now();
            let mut fetches = lock(&self.fetches);
            let idle = *self.ended.borrow() >= fetches.begun.max(fetches.wanted);
            if idle && fetches.wanted_at.is_none_or(|at| now - at >= COOL_DOWN_S) {
                fetches.wanted = fetches.begun + 1;
                fetches.wanted_at = Some(now);
                self.wake.notify_one();
            }
            fetches.begun.max(fetches.wanted)
        };
        // The sender lives as long as `self`.
        drop(self.ended.subscribe().wait_for(|ended| *ended >= awaited).await);
    }

    /// When a request may cause a fetch again, in seconds.
    fn retry_s(&self) -> u32 {
        let now = self.clock.now();
        let passed = lock(&self.fetches).wanted_at.map_or(COOL_DOWN_S, |at| now - at);
        u32::try_from((COOL_DOWN_S - passed).clamp(1, COOL_DOWN_S)).unwrap_or(1)
    }

    /// Fetches the keys now, hourly and when they are wanted. To be run beside everything else.
    pub async fn keep(self: Arc<Self>) -> ! {
        loop {
            let pause = if self.refresh().await { REFRESH } else { RETRY };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.wake.notified() => {}
            }
        }
    }

    /// Fetches the keys once. Returns whether that worked.
    async fn refresh(&self) -> bool {
        let number = {
            let mut fetches = lock(&self.fetches);
            fetches.begun += 1;
            fetches.begun
        };
        let fetched = self.fetch_set().await;
        let worked = fetched.is_ok();
        match fetched {
            Ok((set, dropped)) => self.install(set, &dropped),
            // The reader of a document repeats what it did not expect, which may be all of it.
            Err(reason) => self.note_failure(brief(&reason)),
        }
        self.ended.send_replace(number);
        worked
    }

    fn install(&self, set: KeySet, dropped: &[String]) {
        let count = set.len();
        let (changed, recovered) = {
            let mut seen = lock(&self.seen);
            let changed = seen.set.as_deref() != Some(&set);
            if changed {
                seen.set = Some(Arc::new(set));
            }
            self.fresh_until.store(self.clock.now() + STALE_S, Ordering::Relaxed);
            (changed, seen.failure.take().is_some())
        };
        let issuer = self.issuer.as_str();
        if changed {
            // After the new set is in place: what is verified from now on is verified by it.
            self.cache.empty();
            tracing::info!(issuer, keys = count, "the keys of the authority are new or changed");
            for reason in dropped {
                tracing::warn!(issuer, "a key of the authority is not used: {reason}");
            }
        } else if recovered {
            tracing::info!(issuer, keys = count, "the keys of the authority are fetched again");
        }
    }

    fn note_failure(&self, reason: &str) {
        let issuer = self.issuer.as_str();
        let mut seen = lock(&self.seen);
        if seen.failure.as_deref() == Some(reason) {
            tracing::debug!(issuer, reason, "the keys of the authority still cannot be fetched");
            return;
        }
        let known = seen.set.is_some();
        seen.failure = Some(reason.to_owned());
        drop(seen);
        let next = if known {
            "tokens by the keys that are known are accepted for a day"
        } else {
            "until then nobody can be let in by a token"
        };
        tracing::warn!(issuer, reason, "the keys of the authority cannot be fetched; {next}");
    }

    async fn fetch_set(&self) -> Result<(KeySet, Vec<String>), String> {
        let base = self.issuer.trim_end_matches('/');
        let discovery = format!("{base}/.well-known/openid-configuration");
        let keys = match self.fetch.fetch(&self.issuer, &discovery).await? {
            (200, body) => self.discovered(&body)?,
            // It has no such document; too many requests and its own failures are other things.
            (400..=428 | 430..=499, _) => format!("{base}/.well-known/jwks.json"),
            (status, _) => return Err(format!("{discovery}: the answer's status is {status}")),
        };
        match self.fetch.fetch(&self.issuer, &keys).await? {
            (200, body) => KeySet::read(&body),
            (status, _) => Err(format!("{}: the answer's status is {status}", shown(&keys))),
        }
    }

    /// Where the keys are, by the authority's own word.
    fn discovered(&self, body: &[u8]) -> Result<String, String> {
        #[derive(Deserialize)]
        struct Discovery {
            issuer: String,
            jwks_uri: String,
        }
        let discovery: Discovery = serde_json::from_slice(body)
            .map_err(|error| format!("its discovery document is none: {error}"))?;
        if discovery.issuer != self.issuer {
            return Err(format!(
                "its discovery document says that it is {}, which has to be the configured one, \
                 letter by letter",
                shown(&discovery.issuer)
            ));
        }
        Ok(discovery.jwks_uri)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds one of these locks can leave what it guards half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
