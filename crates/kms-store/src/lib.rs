//! Objects and grants in SQL: written once, spoken in several dialects.
//!
//! Rows carry sealed bytes: the store never sees a key in the clear, and it decides nothing about
//! rights. It must not know HTTP, encodings or what a user may do.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

mod audit;
mod backend;
mod cache;
mod commit;
mod error;
mod keyring;
mod location;
mod migrate;
mod record;
mod refusal;
mod remote;
mod transfer;

pub use audit::{AuditChange, AuditEpoch, AuditHead, AuditRecorder, AuditWrite, MAX_AUDIT_LINE};
pub use error::{Error, OpenError};
pub use keyring::{
    KeyringWrite, MAX_NOTE, MAX_SLOT, SealedCount, SealedObject, SealedRows, SealedTable,
};
pub use location::{Address, AddressError, Location, Password, Product};
pub use record::{
    ApiToken, Cached, Condition, EVERYONE, Grant, IndexEntry, KeyringRow, MAX_INDEX_ENTRIES,
    MAX_INDEX_VALUE, MAX_NAME, MAX_PERMISSIONS, MAX_SEALED, Row, Search, Usage, Write,
};
pub use remote::{Identity, Remote, Roots};
pub use transfer::{Import, Known, Snapshot, Stored};

use backend::{BACKENDS, Backend};
use cache::Cache;
use commit::Commit;
use refusal::Refusal;

/// How to open the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the database is.
    pub location: Location,
    /// How it is reached, if it is on a server.
    pub remote: Remote,
    /// The most bytes of rows kept in memory.
    pub cache_bytes: usize,
    /// Whether it is opened beside a server that may be running: nothing is made, claimed or brought
    /// up to date, and only [`Write::ApiTokens`], records for the audit log and the keyring can be
    /// written.
    pub beside: bool,
}

/// The usual room for rows in memory.
const CACHE_BYTES: usize = 8 << 20;

impl Config {
    /// `SQLite` in this directory, with a cache of 8 MiB.
    pub fn directory(path: impl Into<PathBuf>) -> Self {
        let location = Location::Directory(path.into());
        Self { location, remote: Remote::default(), cache_bytes: CACHE_BYTES, beside: false }
    }

    /// A database on a server, with a cache of 8 MiB.
    pub fn server(address: Address, remote: Remote) -> Self {
        Self {
            location: Location::Server(address),
            remote,
            cache_bytes: CACHE_BYTES,
            beside: false,
        }
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
    recorder: Arc<OnceLock<Arc<dyn AuditRecorder>>>,
    refusal: Arc<Refusal>,
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
                let recorder = Arc::new(OnceLock::new());
                let refusal = Arc::default();
                return Ok(Self { backend, cache, beside: config.beside, recorder, refusal });
            }
        }
        Err(OpenError::Database {
            path: PathBuf::new(),
            why: "this program has no support for it".to_owned(),
            mend: "use a directory".to_owned(),
        })
    }

    /// The steps that a database's schema still lacks, by number and name. Nothing is changed, and
    /// a server may be running.
    pub async fn missing_steps(config: &Config) -> Result<Vec<String>, OpenError> {
        match &config.location {
            Location::Directory(directory) => backend::sqlite::missing_steps(directory),
            Location::Server(address) => backend::sql::missing_steps(address, &config.remote).await,
        }
    }

    /// Whether there is nothing of ours in the database, or no database.
    pub async fn is_new(config: &Config) -> Result<bool, OpenError> {
        Ok(Self::missing_steps(config).await?.len() == migrate::MIGRATIONS.len())
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

    /// The grants on some objects to exactly `user` or to everyone, where asking for all at once is
    /// cheaper than by [`Store::grant`]; else none.
    pub async fn grants_among(
        &self,
        ids: &[&str],
        user: &str,
    ) -> Result<Option<Vec<Grant>>, Error> {
        self.backend.grants_among(ids, user).await
    }

    /// What kind of database it is, in a word.
    pub fn product(&self) -> &'static str {
        self.backend.product()
    }

    /// What keeps the database from answering, or from being changed, as far as that is known without
    /// asking it.
    pub fn trouble(&self) -> Option<Arc<str>> {
        self.backend.trouble().or_else(|| self.refusal.recent())
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
        if self.beside && !writes.iter().all(is_for_beside) {
            return Err(beside());
        }
        let commit = Commit::new(reads, writes, Arc::clone(&self.cache))?;
        let made = self.backend.commit(commit.heard_by(self.recorder.get().cloned())).await;
        self.refusal.note(&made);
        made
    }

    /// From now on `recorder` hears what becomes of records of changes. The first one stays.
    pub fn set_audit_recorder(&self, recorder: Arc<dyn AuditRecorder>) {
        if self.recorder.set(recorder).is_err() {
            tracing::error!("the database has an audit log already");
        }
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
    pub async fn usage(&self, id: &str) -> Result<Option<Usage>, Error> {
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

    /// Records of changes that are not known to be in the log of `server`, from one to another epoch
    /// and number, both included, in this order.
    pub async fn audit_changes(
        &self,
        server: &str,
        range: ((u64, u64), (u64, u64)),
        limit: usize,
    ) -> Result<Vec<AuditChange>, Error> {
        self.backend.audit_changes(server, range, limit).await
    }

    /// The epochs of the log of `server`, oldest first.
    pub async fn audit_epochs(&self, server: &str) -> Result<Vec<AuditEpoch>, Error> {
        self.backend.audit_epochs(server).await
    }

    /// How far the log of `server` is known to be on the disk.
    pub async fn audit_head(&self, server: &str) -> Result<Option<AuditHead>, Error> {
        self.backend.audit_head(server).await
    }

    /// Lines of the log of `server` that are kept here, from a number on.
    pub async fn audit_lines(
        &self,
        server: &str,
        from: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Vec<u8>)>, Error> {
        self.backend.audit_lines(server, from, limit).await
    }

    /// The last of them.
    pub async fn audit_last_line(&self, server: &str) -> Result<Option<Vec<u8>>, Error> {
        self.backend.audit_last_line(server).await
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
        self.change_keyring(vec![KeyringWrite::Put { row, expected }], None).await
    }

    /// Changes the keyring and what is noted beside it, all or nothing; `record` is what the audit log
    /// gets of it. May be done beside a server that is running, which looks at the keyring itself.
    pub async fn change_keyring(
        &self,
        writes: Vec<KeyringWrite>,
        record: Option<AuditChange>,
    ) -> Result<(), Error> {
        let record = record.map(|it| Write::Audit(AuditWrite::Change(it)));
        let commit = Commit::keyring(writes, record, Arc::clone(&self.cache))?;
        self.backend.commit(commit.heard_by(self.recorder.get().cloned())).await
    }

    /// What is noted beside the keyring under a key.
    pub async fn note(&self, key: &str) -> Result<Option<String>, Error> {
        self.backend.note(key).await
    }

    /// How many rows of each table each data key seals. Takes a while where there are many.
    pub async fn sealed_counts(&self) -> Result<Vec<SealedCount>, Error> {
        self.backend.sealed_counts().await
    }

    /// Some of the rows of a table that one data key seals: objects by their place, after a given one;
    /// others in any order.
    pub async fn sealed_rows(
        &self,
        table: SealedTable,
        generation: u32,
        after: i64,
        limit: usize,
    ) -> Result<SealedRows, Error> {
        self.backend.sealed_rows(table, generation, after, limit).await
    }

    /// Sees to it that nothing of what was removed is left in the files of a database in files. False
    /// where somebody still reads an earlier state of it: try again.
    pub async fn scrub(&self) -> Result<bool, Error> {
        self.backend.scrub().await
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

fn is_for_beside(write: &Write) -> bool {
    matches!(write, Write::ApiTokens { .. } | Write::Audit(AuditWrite::Change(_)))
}

fn beside() -> Error {
    Error::Unavailable("beside a running server it cannot be changed".to_owned())
}
