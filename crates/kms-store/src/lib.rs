//! Objects and grants in SQL: written once, spoken in several dialects.
//!
//! Rows carry sealed bytes: the store never sees a key in the clear, and it decides nothing about
//! rights. It must not know HTTP, encodings or what a user may do.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

mod backend;
mod cache;
mod commit;
mod error;
mod location;
mod migrate;
mod record;

pub use error::{Error, OpenError};
pub use location::{Address, AddressError, Location, Password, Product};
pub use record::{
    Cached, Condition, EVERYONE, Grant, IndexEntry, KeyringRow, MAX_INDEX_ENTRIES, MAX_INDEX_VALUE,
    MAX_NAME, MAX_PERMISSIONS, MAX_SEALED, Row, Search, Write,
};

use backend::{BACKENDS, Backend};
use cache::Cache;
use commit::Commit;

/// The authorities that are trusted to vouch for a database's host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// Those that the system trusts.
    Public,
    /// Those of a PEM file alone, and the certificates in it themselves.
    Only(Vec<u8>),
}

/// The certificate and the key with which the server proves itself to a database.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    bytes: Vec<u8>,
    password: Password,
}

impl Identity {
    /// A PKCS#12 file with its password, or a PEM file with a certificate and its key.
    pub fn new(bytes: Vec<u8>, password: Password) -> Self {
        Self { bytes, password }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn password(&self) -> &str {
        self.password.expose()
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(hidden)")
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.bytes);
    }
}

/// How a database on a server is reached and used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Who vouches for its host.
    pub roots: Roots,
    /// Whether the roots were named for this database, which then speaks TLS in any case.
    pub demands_tls: bool,
    /// Who the server is.
    pub identity: Option<Identity>,
    /// How long an unreachable database is waited for at the start.
    pub wait: Duration,
    /// How long a row that was read is used without asking whether another server has changed it.
    pub staleness: Duration,
    /// The most connections at once.
    pub connections: usize,
}

impl Default for Remote {
    fn default() -> Self {
        Self {
            roots: Roots::Public,
            demands_tls: false,
            identity: None,
            wait: Duration::from_secs(30),
            staleness: Duration::ZERO,
            connections: 20,
        }
    }
}

/// How to open the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the database is.
    pub location: Location,
    /// How it is reached, if it is on a server.
    pub remote: Remote,
    /// The most bytes of rows kept in memory.
    pub cache_bytes: usize,
}

/// The usual room for rows in memory.
const CACHE_BYTES: usize = 8 << 20;

impl Config {
    /// `SQLite` in this directory, with a cache of 8 MiB.
    pub fn directory(path: impl Into<PathBuf>) -> Self {
        let location = Location::Directory(path.into());
        Self { location, remote: Remote::default(), cache_bytes: CACHE_BYTES }
    }

    /// A database on a server, with a cache of 8 MiB.
    pub fn server(address: Address, remote: Remote) -> Self {
        Self { location: Location::Server(address), remote, cache_bytes: CACHE_BYTES }
    }
}

/// The objects of one database. Clones share it.
///
/// The database is let go when the last clone is dropped, or by [`Store::close`].
#[derive(Clone)]
pub struct Store {
    backend: Arc<dyn Backend>,
    cache: Arc<Cache>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("database", &self.database_id()).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database, makes it if it is not there, and brings its schema up to date.
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        let cache = Arc::new(match config.location {
            Location::Directory(_) => Cache::new(config.cache_bytes),
            Location::Server(_) => Cache::shared(config.cache_bytes, config.remote.staleness),
        });
        for kind in BACKENDS {
            if let Some(opening) = (kind.open)(&config, Arc::clone(&cache)) {
                let backend = opening.await?;
                tracing::debug!(
                    backend = kind.name,
                    database = backend.database_id(),
                    "store opened"
                );
                return Ok(Self { backend, cache });
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

    /// The object if it is in memory, as the last answered commit left it, and may be used without
    /// asking the database.
    pub fn cached(&self, id: &str) -> Option<Arc<Cached>> {
        self.cache.fresh(id)
    }

    /// The object.
    pub async fn object(&self, id: &str) -> Result<Option<Arc<Cached>>, Error> {
        match self.cache.fresh(id) {
            Some(row) => Ok(Some(row)),
            None => self.backend.object(id).await,
        }
    }

    /// The object that `user` is about to use. Where the database tells it in the same breath, also
    /// what was granted on it to that user and to everyone, at the same moment, if somebody else
    /// owns it; without that, grants are asked for by [`Store::grant`].
    pub async fn used(
        &self,
        id: &str,
        user: &str,
    ) -> Result<Option<(Arc<Cached>, Option<Vec<Grant>>)>, Error> {
        match self.cache.fresh(id) {
            Some(row) => Ok(Some((row, None))),
            None => self.backend.used(id, user).await,
        }
    }

    /// What keeps the database from answering, as far as that is known without asking it.
    pub fn trouble(&self) -> Option<Arc<str>> {
        self.backend.trouble()
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
