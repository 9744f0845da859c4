//! The root of trust: who may open the keys that everything in the database rests under.
//!
//! A data key seals the rows; this crate keeps the data key itself in a *slot*. A slot is bound to
//! its kind, to its generation and to the database it was made for, so that it cannot be carried to
//! another place or passed off as one of another kind. A slot that is sealed vouches for the older
//! data keys that are still in use, so that nobody can add one of their own. It must never know
//! objects, requests or SQL.

use std::sync::Arc;

use kms_crypto::mac;
use kms_crypto::secret::Secret;

mod clear;
mod file;
mod root;

pub use clear::Clear;
pub use file::File;
pub use root::{RootError, RootKey};

/// The size of a data key, in bytes.
pub const DATA_KEY_LENGTH: usize = 32;
/// The most generations of data keys that are in use at once.
pub const GENERATIONS_MAX: usize = 8;
/// The size of what tells a data key without giving it away.
const COMMITMENT_LENGTH: usize = 32;

/// Why a slot was refused. None of these says anything about the key inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not a slot, or one of a later format.
    #[error("the slot of the data key is not in a form this version reads")]
    Malformed,
    /// A slot of one kind was given to a sealer of another.
    #[error("the data key rests in a slot of another kind than this server is set up for")]
    WrongKind,
    /// The slot was made with another root key.
    #[error(
        "the data key was sealed with another root key than this server has; copy the file with \
         the root key from a server that runs on this database"
    )]
    WrongRoot,
    /// The slot was made for another database or generation, or was altered.
    #[error(
        "the slot of the data key was altered, or was made for another database or another \
         generation"
    )]
    NotOurs,
    /// The data key is not [`DATA_KEY_LENGTH`] bytes long.
    #[error("a data key has 32 bytes")]
    BadLength,
    /// More than [`GENERATIONS_MAX`] older data keys.
    #[error("more than 8 data keys are in use at once")]
    TooMany,
    /// A cryptographic operation failed by itself.
    #[error("the data key cannot be sealed: {0}")]
    Failed(kms_crypto::Error),
}

/// Where a slot belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The database.
    pub database_id: &'a str,
    /// Which of its data keys is in the slot.
    pub generation: u32,
}

/// What is known of an older data key that is still in use: enough to tell it from any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voucher {
    /// Which data key.
    pub generation: u32,
    /// What only this key gives.
    pub commitment: [u8; COMMITMENT_LENGTH],
}

impl Voucher {
    /// The voucher of the data key of `place`.
    pub fn of(place: Place<'_>, data_key: &Secret) -> Self {
        let Place { database_id, generation } = place;
        let generation_bytes = generation.to_be_bytes();
        let parts: [&[u8]; 3] = [b"kms voucher v1\0", &generation_bytes, database_id.as_bytes()];
        let commitment = mac::hmac_sha256(data_key.expose(), &parts);
        Self { generation, commitment }
    }
}

/// What was in a slot.
pub struct Opened {
    /// The data key.
    pub data_key: Secret,
    /// When the data key was made, in seconds since 1970; none where its slot does not say.
    pub made: Option<i64>,
    /// The older data keys that may be used beside it; none where the slot is in the clear, which
    /// anybody can make and which therefore says nothing.
    pub older: Option<Vec<Voucher>>,
}

/// Keeps a data key in a form that may rest in the database.
pub trait Sealer: Send + Sync {
    /// The kind of slot this makes: a short word, stored beside the slot.
    fn kind(&self) -> &'static str;
    /// How the start-up report says what protects the keys at rest.
    fn describe(&self) -> String;
    /// Whether somebody who has only the database can open the slot.
    fn is_clear(&self) -> bool;
    /// Puts `data_key`, made at a second since 1970, into a slot for `place` that vouches for `older`
    /// ones.
    fn wrap(
        &self,
        place: Place<'_>,
        data_key: &Secret,
        made: i64,
        older: &[Voucher],
    ) -> Result<Vec<u8>, Error>;
    /// Takes the data key out of a slot made for `place`.
    fn unwrap(&self, place: Place<'_>, slot: &[u8]) -> Result<Opened, Error>;
}

/// When the data key in a slot of this kind was made, in seconds since 1970, as the slot says without
/// being opened; none where it does not.
pub fn made(kind: &str, slot: &[u8]) -> Option<i64> {
    match kind {
        Clear::KIND => Clear::made(slot),
        File::KIND => File::made(slot),
        _ => None,
    }
}

/// What a server is set up for: what protects new data keys, and which slots are accepted.
#[derive(Clone)]
pub struct Protection {
    sealer: Arc<dyn Sealer>,
    allows_clear: bool,
}

impl Protection {
    /// Protection by `sealer`, and slots of its kind alone.
    pub fn new(sealer: impl Sealer + 'static) -> Self {
        let allows_clear = sealer.is_clear();
        Self { sealer: Arc::new(sealer), allows_clear }
    }

    /// The same; data keys that rest in the clear are accepted too.
    #[must_use]
    pub fn allowing_clear(self) -> Self {
        Self { allows_clear: true, ..self }
    }

    /// What protects new data keys.
    pub fn sealer(&self) -> &dyn Sealer {
        &*self.sealer
    }

    /// What opens the slot of this kind that holds the current data key; none where it is not
    /// accepted.
    pub fn opener(&self, kind: &str) -> Option<&dyn Sealer> {
        if kind == self.sealer.kind() {
            return Some(&*self.sealer);
        }
        (kind == Clear::KIND && self.allows_clear).then_some(&Clear)
    }

    /// What opens the slot of an older data key, for which the current one vouches.
    pub fn opener_of_older(&self, kind: &str) -> Option<&dyn Sealer> {
        if kind == Clear::KIND { Some(&Clear) } else { self.opener(kind) }
    }
}

impl From<&Clear> for Protection {
    fn from(clear: &Clear) -> Self {
        Self::new(*clear)
    }
}
