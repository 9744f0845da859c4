//! The vault: the keys of every generation of data keys that is in use.
//!
//! New things are sealed by the current generation, and whatever is read is opened by its own. Which
//! generations there are stands in the database and may change while the server runs: the vault looks
//! every second, and whenever it meets a generation that it does not know. While there is one that it
//! cannot open it seals nothing: what it sealed with an older one might be without a key tomorrow.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use kmip::enumerations::ResultReason;
use kmip::stored::StoredRecord;
use kms_crypto::secret::{self, Secret};
use kms_seal::{Clear, Protection};
use kms_store::{
    ApiToken, AuditChange, AuditEpoch, AuditHead, Grant, KeyringRow, KeyringWrite, Row, Store,
    Usage,
};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::keyring::{self, OpenError};
use crate::unit::from_store;
use crate::usage::Counters;
use crate::vault::{Keys, tampered};

/// How long the generations that were read are relied on when something is sealed. A
/// generation that went out of use is kept for longer ([`crate::rotation::GRACE`]).
const FRESH: Duration = Duration::from_secs(3);
/// How soon they are read again for a generation that is not known: anybody can write a number into
/// a row.
const AGAIN: Duration = Duration::from_millis(200);
/// How long what was read before is opened by a data key that was removed: longer than a row is ever
/// used without asking the database, which is a minute.
const FADING: Duration = Duration::from_secs(90);

/// The keys that everything rests under.
pub struct Vault {
    store: Store,
    protection: Protection,
    ring: RwLock<Arc<Ring>>,
    /// Held while the keyring is read.
    turn: Mutex<()>,
}

/// The keyring as it was read.
#[derive(Clone)]
struct Ring {
    /// The slots of the keys.
    rows: Vec<KeyringRow>,
    /// What was read last, even if it was not accepted.
    last: Vec<KeyringRow>,
    /// By ascending generation.
    keys: Vec<Arc<Keys>>,
    /// Why nothing can be sealed.
    trouble: Option<String>,
    read: Instant,
    /// Since when the current generation is known to be that.
    since: Instant,
    /// Keys whose generation was removed, and when. Rows that were read before may still be in use.
    fading: Vec<(Arc<Keys>, Instant)>,
}

impl Ring {
    fn open(
        store: &Store,
        rows: Vec<KeyringRow>,
        protection: &Protection,
    ) -> std::result::Result<Self, OpenError> {
        let opened = keyring::unlock(store.database_id(), &rows, protection)?;
        let keys = |key: &keyring::Key| Keys::new(key.generation, &key.secret).map(Arc::new);
        let keys: Result<_> = opened.iter().map(keys).collect();
        let keys = keys.map_err(OpenError::Start)?;
        let now = Instant::now();
        let last = rows.clone();
        Ok(Self { rows, last, keys, trouble: None, read: now, since: now, fading: Vec::new() })
    }

    fn current(&self) -> Option<&Arc<Keys>> {
        self.keys.last()
    }

    fn generation(&self) -> u32 {
        self.current().map_or(0, |keys| keys.generation())
    }

    fn of(&self, generation: u32) -> Option<&Arc<Keys>> {
        self.keys.iter().find(|keys| keys.generation() == generation)
    }

    /// The keys of a generation that is in use, or was a moment ago.
    fn reading(&self, generation: u32) -> Option<&Arc<Keys>> {
        let fading = || {
            let mut fresh = self.fading.iter().filter(|(_, since)| since.elapsed() < FADING);
            let found = fresh.find(|(keys, _)| keys.generation() == generation);
            found.map(|(keys, _)| keys)
        };
        self.of(generation).or_else(fading)
    }

    /// Keeps the keys of `before` that are not in use any more, for a while.
    fn after(mut self, before: &Self) -> Self {
        let now = Instant::now();
        let gone = before.keys.iter().filter(|keys| self.of(keys.generation()).is_none());
        let gone: Vec<_> = gone.map(|keys| (Arc::clone(keys), now)).collect();
        let fresh = |known: &&(Arc<Keys>, Instant)| known.1.elapsed() < FADING;
        self.fading = before.fading.iter().filter(fresh).cloned().chain(gone).collect();
        if before.generation() == self.generation() {
            self.since = before.since;
        }
        self
    }
}

impl Vault {
    /// The vault of a database that a server has been started on.
    pub async fn open(
        store: &Store,
        protection: impl Into<Protection>,
    ) -> std::result::Result<Self, OpenError> {
        let protection = protection.into();
        let ring = Ring::open(store, store.keyring().await?, &protection)?;
        let (store, ring) = (store.clone(), RwLock::new(Arc::new(ring)));
        Ok(Self { store, protection, ring, turn: Mutex::new(()) })
    }

    /// The same; in a database that no server has been started on, a data key is made.
    pub async fn set_up(
        store: &Store,
        protection: impl Into<Protection>,
        clock: &dyn Clock,
    ) -> std::result::Result<Self, OpenError> {
        keyring::open(store, protection.into(), clock).await
    }

    fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, ring: Ring) {
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
    }

    /// Reads which generations there are.
    pub(crate) async fn refresh(&self) -> std::result::Result<(), kms_store::Error> {
        let _turn = self.turn.lock().await;
        self.read_again().await
    }

    async fn read_again(&self) -> std::result::Result<(), kms_store::Error> {
        let rows = self.store.keyring().await?;
        let known = self.ring();
        if rows == known.last {
            self.put(Ring { read: Instant::now(), ..(*known).clone() });
            return Ok(());
        }
        let opened = Ring::open(&self.store, rows.clone(), &self.protection);
        let opened = opened.map_err(|error| error.to_string()).and_then(|ring| {
            let may = ring.keys.iter().all(|keys| is_expected(&known, keys.generation()));
            let may = may && ring.generation() >= known.generation();
            if may { Ok(ring) } else { Err("the table of data keys went back".to_owned()) }
        });
        let generations =
            |rows: &[KeyringRow]| -> Vec<u32> { rows.iter().map(|row| row.generation).collect() };
        match opened {
            Ok(ring) => {
                let generation = ring.generation();
                if known.generation() != generation {
                    tracing::info!(generation, "another data key is in use from now on");
                }
                self.put(ring.after(&known));
            }
            // The keys are those that are in memory, whatever protects them now.
            Err(why) if generations(&rows) == generations(&known.rows) => {
                tracing::warn!(
                    why,
                    "the data keys were wrapped anew; this server goes on, and needs \
                    the root key that is in use now when it is started again"
                );
                let last = rows.clone();
                self.put(Ring { rows, last, read: Instant::now(), ..(*known).clone() });
            }
            Err(why) => {
                tracing::error!(
                    why,
                    "the keyring was changed, and nothing is sealed any more; start \
                    the server again with the root key that is in use now"
                );
                let (last, trouble) = (rows, Some(why));
                self.put(Ring { last, trouble, read: Instant::now(), ..(*known).clone() });
            }
        }
        Ok(())
    }

    /// The keys that new things are sealed with.
    pub(crate) fn current(&self) -> Result<Arc<Keys>> {
        let ring = self.ring();
        match (&ring.trouble, ring.current()) {
            (None, Some(keys)) => Ok(Arc::clone(keys)),
            (trouble, _) => Err(sealed_off(trouble.as_deref().unwrap_or("there is no data key"))),
        }
    }

    /// The same, after a look whether they still are.
    pub(crate) async fn sealing(&self) -> Result<Arc<Keys>> {
        if self.ring().read.elapsed() > FRESH {
            self.refresh().await.map_err(from_store)?;
        }
        self.current()
    }

    /// Sees to it that a generation is known, if it is in use.
    pub(crate) async fn meet(&self, generation: u32) -> Result<()> {
        if self.ring().reading(generation).is_some() {
            return Ok(());
        }
        let _turn = self.turn.lock().await;
        let ring = self.ring();
        if ring.of(generation).is_none() && ring.read.elapsed() > AGAIN {
            self.read_again().await.map_err(from_store)?;
        }
        Ok(())
    }

    /// The same for each of some.
    pub(crate) async fn meet_each(&self, generations: impl Iterator<Item = u32>) -> Result<()> {
        for generation in generations {
            self.meet(generation).await?;
        }
        Ok(())
    }

    /// The older generations, and whether the data key of each rests in the clear.
    pub(crate) fn older(&self) -> impl Iterator<Item = (u32, bool)> {
        let ring = self.ring();
        let count = ring.rows.len().saturating_sub(1);
        (0..count).filter_map(move |at| {
            ring.rows.get(at).map(|row| (row.generation, row.kind == Clear::KIND))
        })
    }

    /// For how long the current generation has been known to be that.
    pub(crate) fn current_for(&self) -> Duration {
        self.ring().since.elapsed()
    }

    /// What removes these older generations, for which the current one then does not vouch any more.
    pub(crate) fn without_older(&self, older: &[(u32, bool)]) -> Result<Vec<KeyringWrite>> {
        let ring = self.ring();
        let refused = |error: OpenError| Error::internal(error);
        let gone = |row: &KeyringRow| older.iter().any(|(it, _)| *it == row.generation);
        let id = self.store.database_id();
        keyring::without(id, &ring.rows, gone, &self.protection).map_err(refused)
    }

    fn of(&self, generation: u32) -> Option<Arc<Keys>> {
        self.ring().reading(generation).map(Arc::clone)
    }
}

/// Whether a server that knows `known` may come to use a generation: one of those that it knows, or
/// a later one. One that is gone does not come back.
fn is_expected(known: &Ring, generation: u32) -> bool {
    generation > known.generation() || known.of(generation).is_some()
}

fn sealed_off(why: &str) -> Error {
    Error::new(
        ResultReason::GeneralFailure,
        "the server's keys were changed in the database in a way that it does not accept; nothing \
         was changed; tell the operator",
    )
    .because(why.to_owned())
}

/// What is read, each thing by the keys that sealed it.
impl Vault {
    /// Opens the record of `row`, and refuses it where the row is not what was sealed.
    pub(crate) fn open_record(&self, row: &Row) -> Result<StoredRecord> {
        self.of(row.sealed_by).ok_or_else(|| tampered(&row.id))?.open_record(row)
    }

    /// Opens the material of `row`, whose tag the (already opened) record vouches for.
    pub(crate) fn open_material(&self, row: &Row, record: &StoredRecord) -> Result<Secret> {
        self.of(row.sealed_by).ok_or_else(|| tampered(&row.id))?.open_material(row, record)
    }

    pub(crate) fn open_usage(&self, id: &str, usage: &Usage) -> Result<Counters> {
        self.of(usage.sealed_by).ok_or_else(|| tampered(id))?.open_usage(id, &usage.sealed)
    }

    /// Whether `grant` is one that this server made and that was not withdrawn since.
    pub(crate) fn is_genuine(&self, grant: &Grant, epoch: u32) -> bool {
        let keys = self.of(grant.sealed_by);
        keys.is_some_and(|keys| secret::equal(&keys.grant_mac(grant, epoch), &grant.mac))
    }

    /// The same; one that is not is reported.
    pub(crate) fn is_valid(&self, grant: &Grant, epoch: u32) -> bool {
        let valid = self.is_genuine(grant, epoch);
        if !valid {
            tracing::error!(object = %grant.id, user = %grant.user,
                "a grant in the database was altered or had been withdrawn; it is ignored");
        }
        valid
    }

    /// Whether an API token is one that was made here, under this epoch of all tokens.
    pub(crate) fn is_genuine_token(&self, token: &ApiToken, epoch: u64) -> bool {
        let keys = self.of(token.sealed_by);
        keys.is_some_and(|keys| secret::equal(&keys.api_token_mac(token, epoch), &token.mac))
    }

    /// Whether the record of a change is one that a server made.
    pub(crate) fn is_genuine_change(&self, change: &AuditChange) -> bool {
        let keys = self.of(change.sealed_by);
        keys.is_some_and(|keys| secret::equal(&keys.audit_change_mac(change), &change.mac))
    }

    /// Whether how far an audit log is was written by a server.
    pub(crate) fn is_genuine_head(&self, head: &AuditHead) -> bool {
        let keys = self.of(head.sealed_by);
        keys.is_some_and(|keys| secret::equal(&keys.audit_head_mac(head), &head.mac))
    }

    /// The first key of an epoch; none if its row was altered.
    pub(crate) fn open_audit_key(&self, row: &AuditEpoch) -> Option<Zeroizing<[u8; 32]>> {
        self.of(row.sealed_by)?.open_audit_key(row)
    }
}

/// What is in use, for operators.
impl Vault {
    /// Why nothing can be sealed; none where all is well.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.ring().trouble.clone()
    }

    /// How many data keys are in use, and the generation of the current one.
    pub(crate) fn generations(&self) -> (usize, u32) {
        let ring = self.ring();
        (ring.keys.len(), ring.generation())
    }

    /// Whether the current data key rests in the clear.
    pub fn is_clear(&self) -> bool {
        self.ring().rows.last().is_none_or(|row| row.kind == Clear::KIND)
    }
}
