//! Changes of the keyring, and rows by the data key that seals them, as plain values.
//!
//! It must not know what a slot holds, nor how anything is sealed.

use crate::Error;
use crate::audit::{AuditChange, AuditEpoch, AuditHead};
use crate::commit::at_most;
use crate::record::{Grant, KeyringRow, Usage};

/// The longest slot, in bytes.
pub const MAX_SLOT: usize = 2048;
/// The longest note, in bytes.
pub const MAX_NOTE: usize = 255;

/// A change of the keyring, or of what is noted beside it. Those of one commit are made all or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyringWrite {
    /// Writes one data key's slot.
    Put {
        /// The slot.
        row: KeyringRow,
        /// The slot that it replaces, or none if the generation is new.
        expected: Option<Vec<u8>>,
    },
    /// Removes a data key that seals nothing any more; [`Error::Conflict`] where it does.
    Remove {
        /// Which.
        generation: u32,
        /// Its slot.
        expected: Vec<u8>,
    },
    /// Notes something in one line.
    Note {
        /// What it is about.
        key: &'static str,
        /// The line.
        value: String,
        /// What stands there now, or none if nothing does.
        expected: Option<String>,
    },
}

impl KeyringWrite {
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self {
            Self::Put { row, .. } => {
                at_most("a kind of slot", row.kind.len(), 32)?;
                at_most("a slot", row.slot.len(), MAX_SLOT)
            }
            Self::Remove { .. } => Ok(()),
            Self::Note { value, .. } => at_most("a note", value.len(), MAX_NOTE),
        }
    }

    /// What a conflict about it is about.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Put { row: KeyringRow { generation, .. }, .. }
            | Self::Remove { generation, .. } => format!("keyring/{generation}"),
            Self::Note { key, .. } => (*key).to_owned(),
        }
    }
}

/// A table whose rows are sealed or signed by a data key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SealedTable {
    /// Objects: record and material.
    Objects,
    /// Grants.
    Grants,
    /// Usage.
    Usage,
    /// API tokens, which are read and written all at once: [`crate::Store::api_tokens`].
    ApiTokens,
    /// Epochs of audit logs.
    AuditEpochs,
    /// How far audit logs are.
    AuditHeads,
    /// Records of changes that are on their way into a log.
    AuditChanges,
}

impl SealedTable {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Objects,
        Self::Grants,
        Self::Usage,
        Self::ApiTokens,
        Self::AuditEpochs,
        Self::AuditHeads,
        Self::AuditChanges,
    ];

    /// The table's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Objects => "objects",
            Self::Grants => "read_access",
            Self::Usage => "usage",
            Self::ApiTokens => "api_tokens",
            Self::AuditEpochs => "audit_epochs",
            Self::AuditHeads => "audit_heads",
            Self::AuditChanges => "audit_changes",
        }
    }
}

/// How many rows of a table one data key seals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedCount {
    /// The table.
    pub table: SealedTable,
    /// The generation of the data key.
    pub generation: u32,
    /// How many.
    pub rows: u64,
}

/// An object, as far as it has to be known to go through all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedObject {
    /// Where it stands in the order of creation.
    pub seq: i64,
    /// Its identifier.
    pub id: String,
    /// In which sum it is counted.
    pub shard: u8,
}

/// Some of the rows of a table that one data key seals.
#[derive(Clone, Debug)]
pub enum SealedRows {
    /// Objects, in the order of their places.
    Objects(Vec<SealedObject>),
    /// Grants.
    Grants(Vec<Grant>),
    /// Usage, by object.
    Usage(Vec<(String, Usage)>),
    /// Nothing: tokens are read all at once.
    ApiTokens,
    /// Epochs of audit logs.
    AuditEpochs(Vec<AuditEpoch>),
    /// How far audit logs are.
    AuditHeads(Vec<AuditHead>),
    /// Records of changes.
    AuditChanges(Vec<AuditChange>),
}
