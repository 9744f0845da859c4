//! What the store keeps, as plain values: rows, index entries, grants, and the writes that change them.
//!
//! It must not know what the sealed bytes hold, nor who may see a row.

use std::any::Any;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kmip::enumerations::{ObjectType, State};

use crate::audit::AuditWrite;

/// The longest identifier, user name and note, in bytes.
pub const MAX_NAME: usize = 255;
/// The longest value of an index entry, in bytes. A longer attribute is indexed by its beginning.
pub const MAX_INDEX_VALUE: usize = 255;
/// The most index entries of one object.
pub const MAX_INDEX_ENTRIES: usize = 4096;
/// The longest sealed record, material or usage, in bytes.
pub const MAX_SEALED: usize = 128 << 20;
/// The longest permissions list of a grant, in bytes.
pub const MAX_PERMISSIONS: usize = 4096;
/// How many bytes of a record's end tell it from any other: the tag of what sealed it.
pub(crate) const STAMP: usize = 16;
/// The user name that stands for everyone in a grant.
pub const EVERYONE: &str = "*";

/// An object at rest. `record` is the truth; the other fields are copies to search by.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    /// The unique identifier.
    pub id: String,
    /// Who owns the object.
    pub owner: String,
    /// What the object is.
    pub object_type: ObjectType,
    /// Its state when it was last written; the clock may have moved it since.
    pub state: State,
    /// Raised by every change.
    pub version: u64,
    /// The next moment the clock changes the state, in seconds since 1970.
    pub due: Option<i64>,
    /// The sealed record.
    pub record: Vec<u8>,
    /// Raised when the material is replaced.
    pub material_generation: u32,
    /// The sealed material; none once it is destroyed.
    pub material: Option<Vec<u8>>,
    /// In which sum the object and its grants are counted; given once, when it is made.
    pub shard: u8,
    /// The generation of the data key that record and material are sealed by.
    pub sealed_by: u32,
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Row")
            .field("id", &self.id)
            .field("owner", &self.owner)
            .field("object_type", &self.object_type)
            .field("state", &self.state)
            .field("version", &self.version)
            .field("due", &self.due)
            .field("material_generation", &self.material_generation)
            .field("shard", &self.shard)
            .field("sealed_by", &self.sealed_by)
            .finish_non_exhaustive()
    }
}

/// One searchable value of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IndexEntry {
    /// What the value is, normally a tag of the protocol.
    pub kind: u32,
    /// At most [`MAX_INDEX_VALUE`] bytes whose order is the order of the values.
    pub value: Vec<u8>,
}

/// What a user may do with an object of somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The object.
    pub id: String,
    /// The user, or [`EVERYONE`].
    pub user: String,
    /// The permissions, a JSON list of names.
    pub permissions: String,
    /// When it ends, in seconds since 1970.
    pub expires: Option<i64>,
    /// What was noted when it was made.
    pub note: Option<String>,
    /// Proof that this server made the grant, and of all of the above.
    pub mac: Vec<u8>,
    /// The generation of the data key that proves it.
    pub sealed_by: u32,
}

/// An API token as it rests: everything but its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiToken {
    /// What the token's text names it by.
    pub id: String,
    /// What its maker calls it.
    pub name: String,
    /// The user that whoever has it is.
    pub user: String,
    /// The hash of the token's text.
    pub hash: Vec<u8>,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// When it ends.
    pub expires: Option<i64>,
    /// When it was revoked.
    pub revoked: Option<i64>,
    /// Proof that this server wrote all of the above.
    pub mac: Vec<u8>,
    /// The generation of the data key that proves it.
    pub sealed_by: u32,
}

/// The usage of an object as it rests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The sealed counters.
    pub sealed: Vec<u8>,
    /// The generation of the data key that they are sealed by.
    pub sealed_by: u32,
}

/// One change. A commit makes all of its changes or none.
#[derive(Clone, Debug)]
pub enum Write {
    /// Inserts an object, or replaces it and its index entries.
    Put {
        /// The object.
        row: Row,
        /// All its index entries.
        index: Vec<IndexEntry>,
        /// The version to replace, or none to insert under an identifier that was never used.
        expected: Option<u64>,
    },
    /// Inserts or replaces a grant.
    PutGrant(Grant),
    /// Takes a grant back, if it is there.
    RemoveGrant {
        /// The object.
        id: String,
        /// The user.
        user: String,
    },
    /// Removes an object with its grants and its usage, and never lets its identifier be used again.
    Remove {
        /// The object.
        id: String,
        /// The version to remove.
        expected: u64,
    },
    /// Never lets an identifier be used, which was not used here.
    Retire {
        /// The identifier.
        id: String,
    },
    /// Inserts or replaces the usage of an object.
    PutUsage {
        /// The object.
        id: String,
        /// The sealed counters.
        sealed: Vec<u8>,
        /// The generation of the data key that they are sealed by.
        sealed_by: u32,
        /// What stands there now, or none if nothing does.
        expected: Option<Vec<u8>>,
    },
    /// Changes API tokens, if no other change of them came between.
    ApiTokens {
        /// Tokens that are removed first, so that their names are free.
        remove: Vec<String>,
        /// Tokens that are inserted or replaced, by their identifier.
        put: Vec<ApiToken>,
        /// The epoch that was read, and the one from now on.
        epoch: (u64, u64),
    },
    /// Something of the audit log.
    Audit(AuditWrite),
}

/// A data key under its protection.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyringRow {
    /// Which data key.
    pub generation: u32,
    /// How the slot is protected.
    pub kind: String,
    /// The data key as it rests.
    pub slot: Vec<u8>,
}

impl std::fmt::Debug for KeyringRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyringRow")
            .field("generation", &self.generation)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// An index entry of this kind has to lie between two values, both included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The kind of [`IndexEntry`].
    pub kind: u32,
    /// The least value.
    pub low: Vec<u8>,
    /// The greatest value.
    pub high: Vec<u8>,
}

impl Condition {
    /// The entry must be exactly this value.
    pub fn equal(kind: u32, value: Vec<u8>) -> Self {
        Self { kind, low: value.clone(), high: value }
    }
}

/// What to look for. All conditions given have to hold.
///
/// The answer is a list of candidates, oldest first: what is found by index, state and owner has to
/// be checked against the record.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Only what this user owns or was granted, alone or with everyone.
    pub visible_to: Option<String>,
    /// Only what this user owns.
    pub owner: Option<String>,
    /// Conditions on index entries.
    pub index: Vec<Condition>,
    /// Only objects in one of the states, or whose state the clock changed until this moment.
    pub states: Option<(Vec<State>, i64)>,
    /// Only objects of this type.
    pub object_type: Option<ObjectType>,
    /// Only what comes after this [`Cached::seq`]: the last one of the page before.
    pub after: Option<i64>,
    /// The length of a page. Fewer rows mean that nothing follows.
    pub limit: usize,
}

/// A row as it was read, shared by all who use this version of it.
pub struct Cached {
    /// Where the row stands in the order of creation.
    pub seq: i64,
    /// The row.
    pub row: Row,
    /// Its index entries in their stored form, where the database is shared: a change there has to
    /// know what to take away.
    pub(crate) indexed: Option<Box<[u8]>>,
    /// Whether the material is there but was not read.
    partial: bool,
    /// When the database was last known to have this version: milliseconds of the cache's clock.
    seen: AtomicU64,
    memo: OnceLock<Box<dyn Any + Send + Sync>>,
    /// Whether the row was used since the cache last looked for something to give up.
    used: AtomicBool,
}

impl Cached {
    /// A row without a memo.
    pub fn new(seq: i64, row: Row) -> Self {
        Self {
            seq,
            row,
            indexed: None,
            partial: false,
            seen: AtomicU64::new(0),
            memo: OnceLock::new(),
            used: AtomicBool::new(false),
        }
    }

    /// The same with its index entries.
    pub(crate) fn with_index(mut self, indexed: Box<[u8]>) -> Self {
        self.indexed = Some(indexed);
        self
    }

    /// A row whose material was not read, though it is there. It never goes into the cache.
    pub(crate) fn partial(seq: i64, row: Row) -> Self {
        Self { partial: true, ..Self::new(seq, row) }
    }

    /// The same without its material, which is there.
    pub(crate) fn without_material(mut self) -> Self {
        self.row.material = None;
        Self { partial: true, ..self }
    }

    /// Whether the material, which is none here, was left out because it is large: it is no sign
    /// that the object was destroyed. Only [`Search`] and `due` find such rows.
    pub fn is_partial(&self) -> bool {
        self.partial
    }

    /// What [`Self::remember`] kept, if it is of this type.
    pub fn memo<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.memo.get()?.downcast_ref()
    }

    /// Keeps what was made of this version of the row for as long as the row is in memory.
    ///
    /// The first value stays: if another task was faster, its value is kept and returned. None is
    /// returned only if that one is of another type.
    pub fn remember<T: Any + Send + Sync>(&self, value: T) -> Option<&T> {
        self.memo.get_or_init(|| Box::new(value)).downcast_ref()
    }

    /// What tells this version of the row from any other, even one of the same number.
    pub(crate) fn stamp(&self) -> (u64, &[u8]) {
        let record = self.row.record.as_slice();
        (self.row.version, record.last_chunk::<STAMP>().map_or(record, |tail| tail.as_slice()))
    }

    /// The database has this version at a moment.
    pub(crate) fn see(&self, moment: u64) {
        self.seen.fetch_max(moment, Ordering::AcqRel);
    }

    pub(crate) fn seen(&self) -> u64 {
        self.seen.load(Ordering::Acquire)
    }

    /// Notes a use. A plain store is left out when the mark is there already, so that hot rows do
    /// not travel between the processors.
    pub(crate) fn touch(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// Takes the mark away and says whether it was there.
    pub(crate) fn rest(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    /// What the row costs in memory, with room for what is remembered beside it.
    pub(crate) fn weight(&self) -> usize {
        1024 + 4 * self.row.record.len()
            + self.row.material.as_ref().map_or(0, Vec::len)
            + self.indexed.as_ref().map_or(0, |indexed| indexed.len())
    }
}

impl std::fmt::Debug for Cached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cached")
            .field("seq", &self.seq)
            .field("row", &self.row)
            .finish_non_exhaustive()
    }
}
