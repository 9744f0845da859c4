//! The vault: the keys of every generation of data keys that is in use.
//!
//! New things are sealed by the current generation, and whatever is read is opened by its own. Which
//! generations there are stands in the database and may change while the server runs: the vault looks
//! every second. While there is one that it
//! cannot open it seals nothing: what it sealed with an older one might be without a key tomorrow.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use kmip::enumerations::ResultReason;
use kmip::stored::StoredRecord;
use kms_crypto::secret::{self, Secret};
use kms_seal::{Clear, Protection};
use kms_store::{
    ApiToken, AuditChange, AuditEpoch, AuditHead, Grant, KeptAnswer, KeyringRow, Row, Store,
};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::keyring::{self, OpenError};
use crate::unit::from_store;
use crate::usage::Counters;
use crate::vault::{Keys, altered_answer, tampered};

/// How long the generations that were read are relied on when something is sealed. A
/// generation that went out of use is kept for longer.
const FRESH: Duration = Duration::from_secs(3);

/// The keys that everything rests under.
pub struct Vault {
    store: Store,
    protection: Protection,
    ring: RwLock<Arc<Ring>>,
    /// Held while the keyring is read.
    turn: Mutex<()>,
}

/// The keyring as it was read.
struct Ring {
    rows: Vec<KeyringRow>,
    /// By ascending generation.
    keys: Vec<Arc<Keys>>,
    /// Why nothing can be sealed.
    trouble: Option<String>,
    read: Instant,
}

impl Ring {
    fn open(
        store: &Store,
        rows: Vec<KeyringRow>,
        protection: &Protection,
    ) -> std::result::Result<Self, OpenError> {
        let opened = keyring::unlock(store.database_id(), &rows, protection)?;
        let keys = |key: &keyring::Key| Keys::new(key.generation, &key.data_key).map(Arc::new);
        let keys: Result<_> = opened.iter().map(keys).collect();
        let keys = keys.map_err(OpenError::Start)?;
        Ok(Self { rows, keys, trouble: None, read: Instant::now() })
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

    /// The same keys with another word on whether they may be used.
    fn with(&self, trouble: Option<String>) -> Self {
        let Self { rows, keys, .. } = self;
        Self { rows: rows.clone(), keys: keys.clone(), trouble, read: Instant::now() }
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
        if rows == known.rows {
            self.put(known.with(None));
            return Ok(());
        }
        let opened = Ring::open(&self.store, rows, &self.protection);
        let opened = opened.map_err(|error| error.to_string()).and_then(|ring| {
            let may = ring.keys.iter().all(|keys| is_expected(&known, keys.generation()));
            let may = may && ring.generation() >= known.generation();
            if may { Ok(ring) } else { Err("the table of data keys went back".to_owned()) }
        });
        match opened {
            Ok(ring) => {
                let (before, now) = (known.generation(), ring.generation());
                if before != now {
                    tracing::info!(generation = now, "another data key is in use from now on");
                }
                self.put(ring);
            }
            Err(why) => {
                if known.trouble.as_ref() != Some(&why) {
                    tracing::error!(
                        why,
                        "the keyring was changed, and nothing is sealed any more; \
                        start the server again with the root key that is in use now"
                    );
                }
                self.put(known.with(Some(why)));
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

    fn of(&self, generation: u32) -> Option<Arc<Keys>> {
        self.ring().of(generation).map(Arc::clone)
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
        self.of(1).ok_or_else(|| tampered(&row.id))?.open_record(row)
    }

    /// Opens the material of `row`, whose tag the (already opened) record vouches for.
    pub(crate) fn open_material(&self, row: &Row, record: &StoredRecord) -> Result<Secret> {
        self.of(1).ok_or_else(|| tampered(&row.id))?.open_material(row, record)
    }

    pub(crate) fn open_usage(&self, id: &str, sealed: &[u8]) -> Result<Counters> {
        self.of(1).ok_or_else(|| tampered(id))?.open_usage(id, sealed)
    }

    /// Opens what is kept of a request, and refuses what was altered, moved or swapped.
    pub(crate) fn open_answer(&self, answer: &KeptAnswer) -> Result<Secret> {
        self.of(answer.sealed_by).ok_or_else(altered_answer)?.open_answer(answer)
    }

    /// Whether `grant` is one that this server made and that was not withdrawn since.
    pub(crate) fn is_genuine(&self, grant: &Grant, epoch: u32) -> bool {
        let keys = self.of(1);
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
        let keys = self.of(1);
        keys.is_some_and(|keys| secret::equal(&keys.api_token_mac(token, epoch), &token.mac))
    }

    /// Whether the record of a change is one that a server made.
    pub(crate) fn is_genuine_change(&self, change: &AuditChange) -> bool {
        let keys = self.of(1);
        keys.is_some_and(|keys| secret::equal(&keys.audit_change_mac(change), &change.mac))
    }

    /// Whether how far an audit log is was written by a server.
    pub(crate) fn is_genuine_head(&self, head: &AuditHead) -> bool {
        let keys = self.of(1);
        keys.is_some_and(|keys| secret::equal(&keys.audit_head_mac(head), &head.mac))
    }

    /// The first key of an epoch; none if its row was altered.
    pub(crate) fn open_audit_key(&self, row: &AuditEpoch) -> Option<Zeroizing<[u8; 32]>> {
        self.of(1)?.open_audit_key(row)
    }
}

/// What is in use, for operators.
impl Vault {
    /// Whether the current data key rests in the clear.
    pub fn is_clear(&self) -> bool {
        self.ring().rows.last().is_none_or(|row| row.kind == Clear::KIND)
    }
}
