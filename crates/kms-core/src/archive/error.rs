//! Why an archive is not made, not believed or not taken in.

use std::fmt;

/// The most identifiers that a refusal names.
const NAMED_MAX: usize = 20;

/// What is wrong. None of these holds anything of a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The file is not as it was written, not for this key, or cannot be read or written.
    #[error("{0}")]
    Archive(#[from] kms_archive::Error),
    /// A frame opens, and does not hold what has to be there.
    #[error("frame {frame} is not what an export writes there: {what}")]
    Unfit {
        /// The frame.
        frame: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The file was changed between its two readings.
    #[error("it was changed while it was read")]
    Changed,
    /// What is in the database is not what a server wrote.
    #[error("the database is not sound: {0}; `kms-server verify` looks at all of it")]
    Unsound(String),
    /// The database has some of it already, or has had it.
    #[error("the database has, or has had, {0}")]
    There(Conflicts),
    /// The database failed.
    #[error("{0}")]
    Store(#[from] kms_store::Error),
    /// Something else failed.
    #[error("{0}")]
    Failed(crate::Error),
}

/// Names of an archive that are or were in use in a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conflicts {
    /// The first of them.
    pub named: Vec<String>,
    /// How many more there are.
    pub more: u64,
}

impl Conflicts {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty()
    }

    pub(super) fn add(&mut self, name: &str) {
        if self.named.len() < NAMED_MAX {
            self.named.push(name.to_owned());
        } else {
            self.more = self.more.saturating_add(1);
        }
    }
}

impl fmt::Display for Conflicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.named.join(", "))?;
        if self.more > 0 { write!(f, " and {} more", self.more) } else { Ok(()) }
    }
}
