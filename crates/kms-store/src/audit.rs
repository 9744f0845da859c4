//! What the store keeps for the audit log, as plain values.
//!
//! It must not know what a record says, nor how the log's chain is made.

use crate::Error;
use crate::commit::at_most;
use crate::record::MAX_NAME;

/// The longest record or line, in bytes.
pub const MAX_AUDIT_LINE: usize = 64 << 10;

/// The record of a change, kept with the change until it is in the log on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditChange {
    /// Whose log it belongs to.
    pub server: String,
    /// In which run of the server it was made; 0 where it was made beside a server.
    pub epoch: u64,
    /// Its number in that run.
    pub number: u64,
    /// The number that the log's next record had then.
    pub at: u64,
    /// What it says.
    pub body: Vec<u8>,
    /// Proof that this server made it.
    pub mac: Vec<u8>,
    /// The generation of the data key that proves it.
    pub sealed_by: u32,
}

/// A run of a server, as its log's chain needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEpoch {
    /// Whose.
    pub server: String,
    /// Its number.
    pub epoch: u64,
    /// The number of its first record.
    pub first: u64,
    /// The last record that was known to be on the disk when it began.
    pub head: u64,
    /// The sealed first key.
    pub sealed: Vec<u8>,
    /// The generation of the data key that it is sealed by.
    pub sealed_by: u32,
}

/// How far a log is known to be on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditHead {
    /// Whose.
    pub server: String,
    /// The epoch of the record.
    pub epoch: u64,
    /// The record.
    pub seq: u64,
    /// Its MAC in the chain.
    pub chain: Vec<u8>,
    /// Proof that this server wrote all of the above.
    pub mac: Vec<u8>,
    /// The generation of the data key that proves it.
    pub sealed_by: u32,
}

/// A write for the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditWrite {
    /// Keeps the record of the change that the commit makes.
    Change(AuditChange),
    /// Removes records that are in the log, from one number to another, both included.
    Copied {
        /// Whose.
        server: String,
        /// The epoch of the records.
        epoch: u64,
        /// The first number.
        from: u64,
        /// The last number.
        to: u64,
    },
    /// Notes the beginning of an epoch.
    Epoch(AuditEpoch),
    /// Notes how far the log is on the disk.
    Head(AuditHead),
    /// Seals the first key of an epoch anew, if it is still sealed as before.
    ResealEpoch {
        /// The epoch as it is to be.
        row: AuditEpoch,
        /// How its key was sealed.
        before: Vec<u8>,
    },
    /// Proves anew how far a log is, if that is still the same.
    ResealHead {
        /// The head as it is to be.
        head: AuditHead,
        /// What proved it.
        before: Vec<u8>,
    },
    /// Proves the record of a change anew, if it is still there.
    ResealChange {
        /// The record as it is to be.
        change: AuditChange,
        /// What proved it.
        before: Vec<u8>,
    },
    /// Keeps lines of the log by their numbers.
    Lines {
        /// Whose.
        server: String,
        /// The lines.
        lines: Vec<(u64, Vec<u8>)>,
    },
}

/// Hears what becomes of records of changes: in the order of the commits, before those are answered.
pub trait AuditRecorder: Send + Sync {
    /// The record and its change are on the disk.
    fn committed(&self, change: AuditChange);
    /// Nobody knows whether they are.
    fn doubtful(&self, change: AuditChange);
}

impl AuditWrite {
    /// Roughly the bytes to be written.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Change(change) => change.body.len(),
            Self::Lines { lines, .. } => lines.iter().map(|(_, line)| line.len()).sum(),
            Self::Copied { .. }
            | Self::Epoch(_)
            | Self::Head(_)
            | Self::ResealEpoch { .. }
            | Self::ResealHead { .. }
            | Self::ResealChange { .. } => 0,
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let server = |name: &String| at_most("a server's name", name.len(), MAX_NAME);
        let proof = |what, bytes: &Vec<u8>| at_most(what, bytes.len(), MAX_NAME);
        match self {
            Self::Change(change) | Self::ResealChange { change, .. } => {
                server(&change.server)?;
                at_most("a record", change.body.len(), MAX_AUDIT_LINE)?;
                proof("a record's proof", &change.mac)
            }
            Self::Copied { server: name, .. } => server(name),
            Self::Epoch(epoch) | Self::ResealEpoch { row: epoch, .. } => {
                server(&epoch.server)?;
                proof("a sealed key", &epoch.sealed)
            }
            Self::Head(head) | Self::ResealHead { head, .. } => {
                server(&head.server)?;
                proof("a record's MAC", &head.chain)?;
                proof("a proof", &head.mac)
            }
            Self::Lines { server: name, lines } => {
                server(name)?;
                let longest = lines.iter().map(|(_, line)| line.len()).max();
                at_most("a line", longest.unwrap_or(0), MAX_AUDIT_LINE)
            }
        }
    }
}
