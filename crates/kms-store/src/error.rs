//! What can go wrong, by what the caller can do about it.
//!
//! It must not know result reasons, status codes or exit codes; they are chosen above.

use std::path::PathBuf;

/// Why a read or a commit failed. Nothing of a failed commit was kept, but where it says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another commit came first: read again and decide again.
    #[error("object {id} was changed by another request at the same time; try again")]
    Conflict {
        /// The object.
        id: String,
    },
    /// The identifier is or was in use.
    #[error("the identifier {id} is or was in use")]
    Exists {
        /// The identifier.
        id: String,
    },
    /// A value is longer than the store takes.
    #[error("{what} is longer than {limit}")]
    TooLong {
        /// Which value.
        what: &'static str,
        /// The limit and its unit.
        limit: usize,
    },
    /// The database does not answer now.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// The connection was lost while a commit was made, and nobody knows whether it was.
    #[error("the connection to the database was lost while it was told to change: {0}")]
    Unknown(String),
    /// The database holds what this server cannot have written.
    #[error("the database is damaged: {0}; stop the server and restore a backup")]
    Corrupt(String),
    /// There is no room left.
    #[error("the disk of the database is full; nothing was changed; make room and try again")]
    Full,
    /// The database cannot be written.
    #[error(
        "the database is read-only; nothing was changed; check the file system and the file's permissions"
    )]
    ReadOnly,
}

impl Error {
    /// Whether the same may succeed a moment later, and nothing has been changed.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Conflict { .. } | Self::Unavailable(_) | Self::ReadOnly | Self::Full)
    }
}

/// Why the store could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The database is not there, not ours, not allowed or not sound.
    #[error("database {}: {why}; {mend}", path.display())]
    Database {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong.
        why: String,
        /// What to do.
        mend: String,
    },
    /// A database server cannot be used.
    #[error("database {host}: {why}; {mend}")]
    Server {
        /// The host or hosts.
        host: String,
        /// What is wrong.
        why: String,
        /// What to check.
        mend: String,
    },
    /// Another server has it open.
    #[error(
        "database {}: another server is using it; stop that server, or give this one another directory",
        path.display()
    )]
    Locked {
        /// The database.
        path: PathBuf,
    },
    /// A newer server has written it.
    #[error(
        "database {}: it was written by a newer version (schema {found}, this version knows {known}); start the newer version",
        path.display()
    )]
    Future {
        /// The database.
        path: PathBuf,
        /// The schema found.
        found: u32,
        /// The newest schema known.
        known: u32,
    },
}
