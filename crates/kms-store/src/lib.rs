//! Objects and grants in SQL: written once, spoken in several dialects.
//!
//! Rows carry sealed bytes: the store never sees a key in the clear, and it decides nothing about
//! rights. It must not know HTTP, encodings or what a user may do.

use std::path::PathBuf;
use std::sync::Arc;

mod backend;
mod cache;
mod commit;
mod error;
mod migrate;
mod record;

pub use error::{Error, OpenError};
pub use record::{
    ApiToken, Cached, Condition, EVERYONE, Grant, IndexEntry, KeyringRow, MAX_INDEX_ENTRIES,
    MAX_INDEX_VALUE, MAX_NAME, MAX_PERMISSIONS, MAX_SEALED, Row, Search, Write,
};

use backend::{BACKENDS, Backend};
use cache::Cache;
use commit::Commit;

/// Where the database is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Location {
    /// `SQLite` in the file `kms.db` of this directory.
    Directory(PathBuf),
}

/// How to open the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the database is.
    pub location: Location,
    /// The most bytes of rows kept in memory.
    pub cache_bytes: usize,
    /// Whether it is opened beside a server that may be running: nothing is made, claimed or brought
    /// up to date, and only [`Write::ApiTokens`] can be written.
    pub beside: bool,
}

impl Config {
    /// `SQLite` in this directory, with a cache of 8 MiB.
    pub fn directory(path: impl Into<PathBuf>) -> Self {
        let location = Location::Directory(path.into());
        Self { location, cache_bytes: 8 << 20, beside: false }
    }

    /// The same, beside a server that may be running.
    #[must_use]
    pub fn beside(self) -> Self {
        Self { beside: true, ..self }
    }
}

/// The objects of one database. Clones share it.
///
/// The database is let go when the last clone is dropped, or by [`Store::close`].
#[derive(Clone)]
pub struct Store {
    backend: Arc<dyn Backend>,
    cache: Arc<Cache>,
    beside: bool,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("database", &self.database_id()).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database, makes it if it is not there, and brings its schema up to date.
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        let cache = Arc::new(Cache::new(config.cache_bytes));
        for kind in BACKENDS {
            if let Some(opening) = (kind.open)(&config, Arc::clone(&cache)) {
                let backend = opening.await?;
                tracing::debug!(
                    backend = kind.name,
                    database = backend.database_id(),
                    "store opened"
                );
                return Ok(Self { backend, cache, beside: config.beside });
            }
        }
        Err(OpenError::Database {
            path: PathBuf::new(),
            why: "this program has no support for it".to_owned(),
            mend: "use a directory".to_owned(),
        })
    }

    /// The name that the database was given when it was made.
    pub fn database_id(&self) -> &str {
        self.backend.database_id()
    }

    /// The object if it is in memory, as the last answered commit left it.
    pub fn cached(&self, id: &str) -> Option<Arc<Cached>> {
        self.cache.get(id)
    }

    /// The object.
    pub async fn object(&self, id: &str) -> Result<Option<Arc<Cached>>, Error> {
        match self.cache.get(id) {
            Some(row) => Ok(Some(row)),
            None => self.backend.object(id).await,
        }
    }

    /// Makes all changes, durably, or none.
    ///
    /// `reads` names objects with the version that was read (none: not there); if one of them has
    /// changed since, the commit fails with [`Error::Conflict`].
    pub async fn commit(
        &self,
        reads: Vec<(String, Option<u64>)>,
        writes: Vec<Write>,
    ) -> Result<(), Error> {
        if reads.is_empty() && writes.is_empty() {
            return Ok(());
        }
        // The server keeps objects in memory and would not hear of it.
        if self.beside && !writes.iter().all(|write| matches!(write, Write::ApiTokens { .. })) {
            return Err(beside());
        }
        self.backend.commit(Commit::new(reads, writes, Arc::clone(&self.cache))?).await
    }

    /// A page of candidates, oldest first. Pages do not push other rows out of memory, and do not
    /// bring large material with them (see [`Cached::is_partial`]).
    pub async fn search(&self, search: Search) -> Result<Vec<Arc<Cached>>, Error> {
        self.backend.search(search).await
    }

    /// Objects whose state the clock has changed until `now` (seconds), the most overdue first.
    pub async fn due(&self, now: i64, limit: usize) -> Result<Vec<Arc<Cached>>, Error> {
        self.backend.due(now, limit).await
    }

    /// What was granted on an object to exactly this user.
    pub async fn grant(&self, id: &str, user: &str) -> Result<Option<Grant>, Error> {
        self.backend.grant(id, user).await
    }

    /// All grants on an object, by user.
    pub async fn grants(&self, id: &str) -> Result<Vec<Grant>, Error> {
        self.backend.grants(id).await
    }

    /// How many grants an object has, counted no further than `limit`.
    pub async fn grant_count(&self, id: &str, limit: usize) -> Result<usize, Error> {
        self.backend.grant_count(id, limit).await
    }

    /// A page of what was granted to exactly this user, by object; `after` is the last object of
    /// the page before.
    pub async fn granted_to(
        &self,
        user: &str,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<Grant>, Error> {
        self.backend.granted_to(user.to_owned(), after, limit).await
    }

    /// The sealed usage of an object.
    pub async fn usage(&self, id: &str) -> Result<Option<Vec<u8>>, Error> {
        self.backend.usage(id).await
    }

    /// The API token of this identifier, and the epoch of all tokens.
    pub async fn api_token(&self, id: &str) -> Result<Option<(ApiToken, u64)>, Error> {
        self.backend.api_token(id).await
    }

    /// All API tokens by name, and their epoch.
    pub async fn api_tokens(&self) -> Result<(Vec<ApiToken>, u64), Error> {
        self.backend.api_tokens().await
    }

    /// Whether the identifier belonged to an object that was removed.
    pub async fn removed(&self, id: &str) -> Result<bool, Error> {
        self.backend.removed(id).await
    }

    /// The data keys as they rest, by generation.
    pub async fn keyring(&self) -> Result<Vec<KeyringRow>, Error> {
        self.backend.keyring().await
    }

    /// Writes one data key's slot. `expected` is the slot that it replaces; none if the generation
    /// is new, and then [`Error::Exists`] tells that another server was faster.
    pub async fn put_keyring(
        &self,
        row: KeyringRow,
        expected: Option<Vec<u8>>,
    ) -> Result<(), Error> {
        if self.beside {
            return Err(beside());
        }
        self.backend.commit(Commit::keyring(row, expected, Arc::clone(&self.cache))).await
    }

    /// How many bytes of rows are in memory.
    pub fn cached_bytes(&self) -> usize {
        self.cache.bytes()
    }

    /// Ends the commits that were begun and lets the database go. Later calls are unavailable.
    pub async fn close(&self) -> Result<(), Error> {
        self.backend.close().await
    }
}

fn beside() -> Error {
    Error::Unavailable("beside a running server it cannot be changed".to_owned())
}
