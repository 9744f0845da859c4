//! Tokens that were verified, so that a signature is checked once and not with every request.
//!
//! Bounded, and emptied as a whole whenever a key set changes. Knows tokens by their hashes only.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kms_core::Principal;

/// The hash of a token.
pub(crate) type Hash = [u8; 32];

/// How many shares the cache is kept in, each with a lock of its own. A power of two.
const SHARDS: usize = 16;
/// How many tokens a shard holds at most, in each of its two halves: 16 × 2 × 512 in all.
const HALF_MAX: usize = 512;

/// A token that was verified.
#[derive(Clone, Debug)]
pub(crate) struct Verified {
    /// Whose it is.
    pub(crate) principal: Principal,
    /// Its last second.
    pub(crate) expires: i64,
    /// Which authority vouched.
    pub(crate) authority: usize,
    /// Of which generation it is.
    pub(crate) generation: u64,
}

#[derive(Debug, Default)]
struct Shard {
    young: HashMap<Hash, Verified>,
    old: HashMap<Hash, Verified>,
}

/// The cache.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    generation: AtomicU64,
    shards: [Mutex<Shard>; SHARDS],
}

impl Cache {
    /// The generation that begins whenever the cache is emptied. What was verified before must not
    /// count afterwards: who verifies reads this first, and stores it with the result.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Forgets everything, also what is being verified at this moment.
    pub(crate) fn empty(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        for shard in &self.shards {
            *lock(shard) = Shard::default();
        }
    }

    /// What is known of a token.
    pub(crate) fn get(&self, hash: &Hash) -> Option<Verified> {
        let mut shard = lock(self.shard(hash)?);
        let known = if let Some(known) = shard.young.get(hash) {
            known.clone()
        } else {
            // It is used, and so it is kept.
            let known = shard.old.remove(hash)?;
            shard.add(*hash, known.clone());
            known
        };
        (known.generation == self.generation()).then_some(known)
    }

    /// Keeps what was verified.
    pub(crate) fn put(&self, hash: Hash, verified: Verified) {
        if let Some(shard) = self.shard(&hash) {
            lock(shard).add(hash, verified);
        }
    }

    fn shard(&self, hash: &Hash) -> Option<&Mutex<Shard>> {
        let first = usize::from(*hash.first()?);
        self.shards.get(first % SHARDS)
    }
}

impl Shard {
    /// Where the young half is full it becomes the old one, and what was old and not used since is
    /// forgotten.
    fn add(&mut self, hash: Hash, verified: Verified) {
        if self.young.len() >= HALF_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(hash, verified);
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // Nothing that holds the lock can leave a shard half changed.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verified(cache: &Cache, user: &str) -> Verified {
        Verified {
            principal: Principal::by("bearer", user),
            expires: 0,
            authority: 0,
            generation: cache.generation(),
        }
    }

    fn hash(number: usize) -> Hash {
        let mut hash = [0; 32];
        hash[24..].copy_from_slice(&number.to_be_bytes());
        hash
    }

    fn size(cache: &Cache) -> usize {
        let size = |shard: &Mutex<Shard>| {
            let shard = lock(shard);
            shard.young.len() + shard.old.len()
        };
        cache.shards.iter().map(size).sum()
    }

    #[test]
    fn what_was_put_is_there_until_it_is_emptied() {
        let cache = Cache::default();
        cache.put(hash(1), verified(&cache, "ann"));
        assert_eq!(cache.get(&hash(1)).unwrap().principal.user(), "ann");
        assert!(cache.get(&hash(2)).is_none());
        let before = verified(&cache, "bob");
        cache.empty();
        assert!(cache.get(&hash(1)).is_none());
        // Verified before and put afterwards.
        cache.put(hash(2), before);
        assert!(cache.get(&hash(2)).is_none());
    }

    #[test]
    fn there_is_room_for_many() {
        let cache = Cache::default();
        for number in 0..HALF_MAX {
            cache.put(hash(number), verified(&cache, "ann"));
        }
        assert_eq!(size(&cache), HALF_MAX);
    }

    #[test]
    fn it_is_bounded_and_keeps_what_is_used() {
        let cache = Cache::default();
        for number in 0..10 * HALF_MAX {
            cache.put(hash(number), verified(&cache, "ann"));
            assert!(cache.get(&hash(0)).is_some(), "{number}");
        }
        assert!(size(&cache) <= 2 * HALF_MAX, "{}", size(&cache));
        assert!(cache.get(&hash(1)).is_none());
    }
}
