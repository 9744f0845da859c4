//! Rows in memory, bounded by bytes, never older than the last answered commit of this server.
//!
//! Where other servers write too, a row is good for a use only if the database was known to have it
//! so short a time ago that the operator allowed it; else the database is asked whether it still has.
//!
//! It must not know where rows come from, nor what they hold.
//!
//! A reader takes a [`Ticket`] before it reads and brings it back with the row; a commit that
//! changed a row of the same shard in between made the ticket void, and the row is not kept.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::record::Cached;

const SHARDS: usize = 16;

/// Proof of the moment at which a read began.
#[derive(Clone, Copy)]
pub(crate) struct Ticket {
    epochs: [u64; SHARDS],
}

/// The rows, spread over shards by identifier.
pub(crate) struct Cache {
    shards: [Shard; SHARDS],
    hasher: RandomState,
    /// The most bytes of one shard.
    bound: usize,
    clock: Instant,
    /// How long a row is used without asking, where others write too.
    staleness: Option<Duration>,
}

#[derive(Default)]
struct Shard {
    /// Raised, with the lock held, by each change to a row that existed before.
    epoch: AtomicU64,
    rows: RwLock<Rows>,
}

/// A shard's rows, given up in the manner of a clock: what was used since the last round stays.
#[derive(Default)]
struct Rows {
    places: HashMap<ById, usize>,
    slots: Vec<Option<Arc<Cached>>>,
    free: Vec<usize>,
    hand: usize,
    bytes: usize,
}

struct ById(Arc<Cached>);

impl Borrow<str> for ById {
    fn borrow(&self) -> &str {
        &self.0.row.id
    }
}

impl PartialEq for ById {
    fn eq(&self, other: &Self) -> bool {
        self.0.row.id == other.0.row.id
    }
}

impl Eq for ById {}

impl Hash for ById {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.row.id.as_str().hash(state);
    }
}

impl Cache {
    /// A cache of at most so many bytes for a database that this server has for itself.
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Shard::default()),
            hasher: RandomState::new(),
            bound: bytes / SHARDS,
            clock: Instant::now(),
            staleness: None,
        }
    }

    /// The same for a database that others write too: a row is used unasked for so long.
    pub(crate) fn shared(bytes: usize, staleness: Duration) -> Self {
        Self { staleness: Some(staleness), ..Self::new(bytes) }
    }

    /// Whether others write too.
    pub(crate) fn is_shared(&self) -> bool {
        self.staleness.is_some()
    }

    /// Now, in milliseconds since the cache was made. It never goes back.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The row if it is here and may be used without asking the database.
    pub(crate) fn fresh(&self, id: &str) -> Option<Arc<Cached>> {
        match self.staleness {
            None => self.get(id),
            Some(Duration::ZERO) => None,
            Some(staleness) => {
                let row = self.get(id)?;
                let age = Duration::from_millis(self.now().saturating_sub(row.seen()));
                (row.seen() > 0 && age < staleness).then_some(row)
            }
        }
    }

    fn place(&self, id: &str) -> usize {
        // The maps in the shards hash with their own keys.
        usize::try_from(self.hasher.hash_one(id) % SHARDS as u64).unwrap_or_default()
    }

    fn shard(&self, id: &str) -> &Shard {
        #[expect(clippy::indexing_slicing, reason = "place() is below SHARDS")]
        &self.shards[self.place(id)]
    }

    /// The row as the last answered commit left it, if it is here.
    pub(crate) fn get(&self, id: &str) -> Option<Arc<Cached>> {
        let rows = self.shard(id).rows.read().unwrap_or_else(PoisonError::into_inner);
        let (ById(row), _) = rows.places.get_key_value(id)?;
        row.touch();
        Some(Arc::clone(row))
    }

    /// The row if it is here in exactly this version; does not count as a use.
    pub(crate) fn known(&self, id: &str, version: u64) -> Option<Arc<Cached>> {
        let rows = self.shard(id).rows.read().unwrap_or_else(PoisonError::into_inner);
        let (ById(row), _) = rows.places.get_key_value(id)?;
        (row.row.version == version).then(|| Arc::clone(row))
    }

    /// To be taken before a read begins.
    pub(crate) fn ticket(&self) -> Ticket {
        let mut epochs = [0; SHARDS];
        for (epoch, shard) in epochs.iter_mut().zip(&self.shards) {
            *epoch = shard.epoch.load(Ordering::Acquire);
        }
        Ticket { epochs }
    }

    /// Keeps a row that was read, unless a commit came in between. Returns the row to use: the one
    /// kept here if it is the same version.
    pub(crate) fn loaded(&self, ticket: &Ticket, row: Arc<Cached>) -> Arc<Cached> {
        if row.is_partial() {
            return row; // What is kept is taken for the whole row.
        }
        let place = self.place(&row.row.id);
        let (Some(shard), Some(epoch)) = (self.shards.get(place), ticket.epochs.get(place)) else {
            return row;
        };
        let mut rows = shard.rows.write().unwrap_or_else(PoisonError::into_inner);
        if let Some((ById(kept), _)) = rows.places.get_key_value(row.row.id.as_str())
            && kept.row.version >= row.row.version
        {
            return if kept.row.version == row.row.version { Arc::clone(kept) } else { row };
        }
        if shard.epoch.load(Ordering::Relaxed) == *epoch {
            rows.put(Arc::clone(&row), self.bound);
        }
        row
    }

    /// A commit has written the row: it takes the place of the older one, or is kept if it is new.
    pub(crate) fn written(&self, row: Arc<Cached>, new: bool) {
        let shard = self.shard(&row.row.id);
        let mut rows = shard.rows.write().unwrap_or_else(PoisonError::into_inner);
        if !new {
            shard.epoch.fetch_add(1, Ordering::Release);
        }
        let kept =
            rows.places.get_key_value(row.row.id.as_str()).map(|(kept, _)| kept.0.row.version);
        match kept {
            Some(version) if version >= row.row.version => {}
            None if !new => {}
            _ => rows.put(row, self.bound),
        }
    }

    /// The row was removed, or nobody knows what became of it.
    pub(crate) fn forget(&self, id: &str) {
        let shard = self.shard(id);
        let mut rows = shard.rows.write().unwrap_or_else(PoisonError::into_inner);
        shard.epoch.fetch_add(1, Ordering::Release);
        rows.take(id);
    }

    /// How many bytes the rows weigh.
    pub(crate) fn bytes(&self) -> usize {
        let weigh = |shard: &Shard| shard.rows.read().unwrap_or_else(PoisonError::into_inner).bytes;
        self.shards.iter().map(weigh).sum()
    }
}

impl Rows {
    fn take(&mut self, id: &str) {
        if let Some((ById(row), slot)) = self.places.remove_entry(id) {
            self.bytes = self.bytes.saturating_sub(row.weight());
            if let Some(place) = self.slots.get_mut(slot) {
                *place = None;
                self.free.push(slot);
            }
        }
    }

    fn put(&mut self, row: Arc<Cached>, bound: usize) {
        self.take(&row.row.id);
        let weight = row.weight();
        if weight > bound / 4 {
            return; // One large object must not empty the shard.
        }
        while self.bytes + weight > bound && self.evict() {}
        self.bytes += weight;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some(Arc::clone(&row));
        }
        self.places.insert(ById(row), slot);
    }

    /// Gives one row up; false if there is none.
    fn evict(&mut self) -> bool {
        // Two rounds: the first may only take marks away.
        for _ in 0..2 * self.slots.len() {
            self.hand = if self.hand + 1 < self.slots.len() { self.hand + 1 } else { 0 };
            if let Some(Some(row)) = self.slots.get(self.hand)
                && !row.rest()
            {
                let row = Arc::clone(row);
                self.take(&row.row.id);
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Row;
    use kmip::enumerations::{ObjectType, State};

    fn row(id: &str, version: u64) -> Arc<Cached> {
        let row = Row {
            id: id.to_owned(),
            owner: "admin".to_owned(),
            object_type: ObjectType::SymmetricKey,
            state: State::Active,
            version,
            due: None,
            record: vec![0; 100],
            material_generation: 0,
            material: None,
            shard: 0,
            sealed_by: 1,
        };
        Arc::new(Cached::new(1, row))
    }

    fn version(cache: &Cache, id: &str) -> Option<u64> {
        cache.get(id).map(|row| row.row.version)
    }

    #[test]
    fn a_read_that_began_before_a_commit_is_not_kept() {
        let cache = Cache::new(1 << 20);
        let ticket = cache.ticket();
        cache.written(row("a", 2), false);
        assert_eq!(version(&cache, "a"), None, "an update of what is not here is not kept");
        cache.loaded(&ticket, row("a", 1));
        assert_eq!(version(&cache, "a"), None);
        cache.loaded(&cache.ticket(), row("a", 2));
        assert_eq!(version(&cache, "a"), Some(2));
        let ticket = cache.ticket();
        cache.forget("a");
        cache.loaded(&ticket, row("a", 2));
        assert_eq!(version(&cache, "a"), None);
    }

    #[test]
    fn an_own_write_is_kept_when_new_or_here_and_never_goes_back() {
        let cache = Cache::new(1 << 20);
        cache.written(row("a", 1), true);
        assert_eq!(version(&cache, "a"), Some(1));
        cache.written(row("a", 3), false);
        cache.written(row("a", 2), false);
        assert_eq!(version(&cache, "a"), Some(3));
        assert!(cache.known("a", 3).is_some());
        assert!(cache.known("a", 2).is_none());
    }

    #[test]
    fn bytes_are_bounded_and_used_rows_stay() {
        let cache = Cache::new(SHARDS * 16 * 1500);
        cache.written(row("hot", 1), true);
        for number in 0..10_000 {
            cache.written(row(&format!("cold-{number}"), 1), true);
            assert!(cache.get("hot").is_some(), "lost after {number}");
        }
        assert!(cache.bytes() <= SHARDS * 16 * 1500);
        let held: usize =
            cache.shards.iter().map(|shard| shard.rows.read().unwrap().slots.len()).sum();
        assert!(held < 400, "{held} slots");
    }
}
