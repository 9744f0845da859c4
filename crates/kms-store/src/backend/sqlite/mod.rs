//! `SQLite` in one file, kept by one server: readers beside one writer.
//!
//! It must not know what sealed bytes hold. Statements stand beside the functions that run them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior};
use tokio::sync::Semaphore;

use super::{Answer, Backend, Opening, Used};
use crate::audit::{AuditChange, AuditEpoch, AuditHead};
use crate::backend;
use crate::cache::Cache;
use crate::commit::Commit;
use crate::keyring::{SealedCount, SealedRows, SealedTable};
use crate::migrate::{self, Kind, Migration, Mismatch};
use crate::record::{ApiToken, Cached, Grant, KeyringRow, Search, Usage};
use crate::transfer::Known;
use crate::{Config, Error, Location, OpenError};

mod apply;
mod audit;
mod convert;
mod file;
mod import;
mod keyring;
mod queue;
mod read;
mod search;
mod snapshot;
#[cfg(test)]
mod tests;
mod write;

use file::Claim;
use read::Readers;
use snapshot::Snapshot;
use write::Writer;

/// Written in the file's header: `KMS1`.
const APPLICATION: i32 = 0x4B4D_5331;
/// How long another connection's work is waited for.
const BUSY: Duration = Duration::from_secs(5);
/// The most long reads at once.
const SCANS: usize = 4;

/// Opens the database, if the configuration means a directory.
pub(crate) fn open(config: &Config, cache: Arc<Cache>) -> Option<Opening<'_>> {
    let Location::Directory(directory) = &config.location else { return None };
    let open = if config.beside { Sqlite::beside } else { Sqlite::open };
    Some(Box::pin(async move { Ok(Arc::new(open(directory, cache)?) as Arc<dyn Backend>) }))
}

/// The steps that the schema still lacks: all, where there is no database.
pub(crate) fn missing_steps(directory: &Path) -> Result<Vec<String>, OpenError> {
    let made = if directory.join("kms.db").exists() {
        let path = file::find(directory)?;
        let wrong = |failure| refused(&path, &failure);
        let connection = connect(&path).map_err(wrong)?;
        check_ours(&connection, &path)?;
        migrations_made(&connection).map_err(wrong)?
    } else {
        Vec::new()
    };
    Ok(pending(&made, directory)?.iter().map(ToString::to_string).collect())
}

/// The database.
///
/// The fields are dropped in their order: first the readers, then the writer, which closes the
/// database as the last, then the claim on the files.
pub(super) struct Sqlite {
    readers: Arc<Readers>,
    writer: Writer,
    scans: Arc<Semaphore>,
    cache: Arc<Cache>,
    database_id: String,
    claim: Mutex<Option<Claim>>,
}

impl Sqlite {
    fn open(directory: &Path, cache: Arc<Cache>) -> Result<Self, OpenError> {
        let claim = file::claim(directory)?;
        let path = claim.path.clone();
        let wrong = |failure| refused(&path, &failure);
        let mut connection = connect(&path).map_err(wrong)?;
        check_ours(&connection, &path)?;
        if claim.created {
            make_durable(&connection, &path)?;
        }
        set_up(&connection).map_err(wrong)?;
        migrate(&mut connection, &path)?;
        file::admit_companions(&path)?;
        if claim.created {
            tracing::info!(path = %path.display(), "made the database");
        }
        Self::assemble(path, connection, cache, Some(claim))
    }

    /// Opens the database of a server that may be running. Nothing is made, and nothing of what is
    /// there changes before a commit.
    fn beside(directory: &Path, cache: Arc<Cache>) -> Result<Self, OpenError> {
        let path = file::find(directory)?;
        let wrong = |failure| refused(&path, &failure);
        let connection = connect(&path).map_err(wrong)?;
        check_ours(&connection, &path)?;
        check_current(&connection, &path)?;
        connection.execute_batch(DURABLY).map_err(wrong)?;
        file::admit_companions(&path)?;
        Self::assemble(path, connection, cache, None)
    }

    fn assemble(
        path: PathBuf,
        connection: Connection,
        cache: Arc<Cache>,
        claim: Option<Claim>,
    ) -> Result<Self, OpenError> {
        let wrong = |failure| refused(&path, &failure);
        let database_id = connection
            .query_row("SELECT value FROM meta WHERE key = 'database_id'", [], |row| row.get(0))
            .map_err(wrong)?;
        let last: i64 = connection
            .query_row("SELECT coalesce(max(seq), 0) FROM objects", [], |row| row.get(0))
            .map_err(wrong)?;
        let writer = Writer::start(connection, last + 1, claim.is_some()).map_err(|failure| {
            OpenError::Database {
                path: path.clone(),
                why: format!("the writer cannot be started: {failure}"),
                mend: "allow the server more threads".to_owned(),
            }
        })?;
        Ok(Self {
            readers: Arc::new(Readers::new(path)),
            writer,
            scans: Arc::new(Semaphore::new(SCANS)),
            cache,
            database_id,
            claim: Mutex::new(claim),
        })
    }

    /// The path of a file beside the database.
    #[cfg(test)]
    fn companion(&self, suffix: &str) -> PathBuf {
        let claim = self.claim.lock().unwrap_or_else(PoisonError::into_inner);
        let mut path = claim.as_ref().map(|claim| claim.path.clone()).unwrap_or_default();
        path.as_mut_os_string().push(suffix);
        path
    }

    /// Reads here and now: for what takes some microseconds.
    fn read<'a, T: Send + 'a>(
        &'a self,
        read: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'a,
    ) -> Answer<'a, T> {
        Box::pin(async move { self.readers.with(read) })
    }

    /// Reads on a thread for slow work, some at a time.
    async fn scan<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection, &Cache) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let unavailable = || Error::Unavailable("the server is stopping".to_owned());
        let permit = Arc::clone(&self.scans).acquire_owned().await;
        let permit = permit.map_err(|_closed| unavailable())?;
        let readers = Arc::clone(&self.readers);
        let cache = Arc::clone(&self.cache);
        tokio::task::spawn_blocking(move || {
            let answer = readers.with(|connection| read(connection, &cache));
            drop(permit);
            answer
        })
        .await
        .unwrap_or_else(|_stopped| Err(unavailable()))
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.readers.close();
    }
}

impl Backend for Sqlite {
    fn product(&self) -> &'static str {
        "sqlite"
    }

    fn database_id(&self) -> &str {
        &self.database_id
    }

    fn object<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Arc<Cached>>> {
        self.read(move |connection| read::object(connection, &self.cache, id))
    }

    fn used<'a>(&'a self, id: &'a str, _user: &'a str) -> Answer<'a, Option<Used>> {
        // A grant is read in some microseconds, where it is needed.
        self.read(move |connection| {
            Ok(read::object(connection, &self.cache, id)?.map(|row| (row, None)))
        })
    }

    fn commit(&self, commit: Commit) -> Answer<'_, ()> {
        Box::pin(self.writer.commit(commit))
    }

    fn search(&self, search: Search) -> Answer<'_, Vec<Arc<Cached>>> {
        Box::pin(async move {
            if search::is_quick(&search) {
                let quick = self
                    .readers
                    .with(|connection| search::quick(connection, &self.cache, &search))?;
                if let Some(found) = quick {
                    return Ok(found);
                }
            }
            self.scan(move |connection, cache| search::run(connection, cache, &search)).await
        })
    }

    fn due(&self, now: i64, limit: usize) -> Answer<'_, Vec<Arc<Cached>>> {
        Box::pin(self.scan(move |connection, cache| search::due(connection, cache, now, limit)))
    }

    fn grant<'a>(&'a self, id: &'a str, user: &'a str) -> Answer<'a, Option<Grant>> {
        self.read(move |connection| read::grant(connection, id, user))
    }

    fn grants<'a>(&'a self, id: &'a str) -> Answer<'a, Vec<Grant>> {
        self.read(move |connection| read::grants(connection, id))
    }

    fn grant_count<'a>(&'a self, id: &'a str, limit: usize) -> Answer<'a, usize> {
        self.read(move |connection| read::grant_count(connection, id, limit))
    }

    fn granted_to(
        &self,
        user: String,
        after: Option<String>,
        limit: usize,
    ) -> Answer<'_, Vec<Grant>> {
        Box::pin(self.scan(move |connection, _| {
            read::granted_to(connection, &user, after.as_deref(), limit)
        }))
    }

    fn usage<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Usage>> {
        self.read(move |connection| read::usage(connection, id))
    }

    fn api_token<'a>(&'a self, id: &'a str) -> Answer<'a, Option<(ApiToken, u64)>> {
        self.read(move |connection| read::api_token(connection, id))
    }

    fn api_tokens(&self) -> Answer<'_, (Vec<ApiToken>, u64)> {
        self.read(read::api_tokens)
    }

    fn audit_changes<'a>(
        &'a self,
        server: &'a str,
        range: ((u64, u64), (u64, u64)),
        limit: usize,
    ) -> Answer<'a, Vec<AuditChange>> {
        self.read(move |connection| audit::changes(connection, server, range, limit))
    }

    fn audit_epochs<'a>(&'a self, server: &'a str) -> Answer<'a, Vec<AuditEpoch>> {
        self.read(move |connection| audit::epochs(connection, server))
    }

    fn audit_head<'a>(&'a self, server: &'a str) -> Answer<'a, Option<AuditHead>> {
        self.read(move |connection| audit::head(connection, server))
    }

    fn audit_lines<'a>(
        &'a self,
        server: &'a str,
        from: u64,
        limit: usize,
    ) -> Answer<'a, Vec<(u64, Vec<u8>)>> {
        self.read(move |connection| audit::lines(connection, server, from, limit))
    }

    fn audit_last_line<'a>(&'a self, server: &'a str) -> Answer<'a, Option<Vec<u8>>> {
        self.read(move |connection| audit::last_line(connection, server))
    }

    fn removed<'a>(&'a self, id: &'a str) -> Answer<'a, bool> {
        self.read(move |connection| read::removed(connection, id))
    }

    fn snapshot(&self) -> Answer<'_, Box<dyn backend::Snapshot + '_>> {
        Box::pin(async {
            let snapshot = Snapshot::new(self.readers.connect()?)?;
            Ok(Box::new(snapshot) as Box<dyn backend::Snapshot>)
        })
    }

    fn import(&self) -> Answer<'_, Box<dyn backend::Import + '_>> {
        Box::pin(async { Ok(Box::new(self.writer.import()?) as Box<dyn backend::Import>) })
    }

    fn known<'a>(&'a self, ids: &'a [&'a str]) -> Answer<'a, Vec<(String, Known)>> {
        self.read(move |connection| read::known(connection, ids))
    }

    fn keyring(&self) -> Answer<'_, Vec<KeyringRow>> {
        self.read(read::keyring)
    }

    fn note<'a>(&'a self, key: &'a str) -> Answer<'a, Option<String>> {
        self.read(move |connection| keyring::note(connection, key))
    }

    fn sealed_counts(&self) -> Answer<'_, Vec<SealedCount>> {
        Box::pin(self.scan(|connection, _| keyring::counts(connection)))
    }

    fn sealed_rows(
        &self,
        table: SealedTable,
        generation: u32,
        after: i64,
        limit: usize,
    ) -> Answer<'_, SealedRows> {
        self.read(move |connection| keyring::rows(connection, table, generation, after, limit))
    }

    fn scrub(&self) -> Answer<'_, bool> {
        Box::pin(self.writer.scrub())
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            self.readers.close();
            let closed = self.writer.close().await;
            drop(self.claim.lock().unwrap_or_else(PoisonError::into_inner).take());
            closed
        })
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    prepare(&connection)?;
    Ok(connection)
}

/// What readers and the writer have in common.
fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(64);
    // Else many statements are planned anew each time they get other parameters, which costs more
    // than running them.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // What was written by somebody else must not run anything.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    Ok(())
}

/// Refuses a database that some other program made.
fn check_ours(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let wrong = |failure| refused(path, &failure);
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(wrong)?;
    let application: i32 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(wrong)?;
    if tables == 0 || application == APPLICATION {
        return Ok(());
    }
    Err(OpenError::Database {
        path: path.to_owned(),
        why: "it is a database of another program".to_owned(),
        mend: "choose another directory with --root-dir".to_owned(),
    })
}

/// Turns a file that was just made into a database with a log, flushed once at the end instead of
/// at each step. The database's own first page must be on disk before anything is answered: a log
/// beside an empty file is thrown away.
fn make_durable(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let wrong = |failure| refused(path, &failure);
    connection
        .execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = WAL;")
        .map_err(wrong)?;
    let directory = path.parent().unwrap_or(path);
    let flushed = [path, directory].into_iter().try_for_each(|path| File::open(path)?.sync_all());
    flushed.map_err(|failure| OpenError::Database {
        path: path.to_owned(),
        why: format!("it cannot be flushed to the disk: {failure}"),
        mend: "look at the disk and the file system".to_owned(),
    })
}

/// What every connection that writes has to do.
const DURABLY: &str =
    "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA secure_delete = ON;";

fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("PRAGMA journal_mode = WAL;")?;
    connection.execute_batch(DURABLY)?;
    connection.execute_batch(
        "PRAGMA wal_autocheckpoint = 0;
         PRAGMA journal_size_limit = 16777216;
         PRAGMA cache_size = -4096;
         PRAGMA temp_store = MEMORY;",
    )
}

/// Makes the steps of the schema that are missing.
fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let wrong = |failure| refused(path, &failure);
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(wrong)?;
    let made = migrations_made(&transaction).map_err(wrong)?;
    let steps = pending(&made, path)?;
    if made.is_empty() {
        begin(&transaction).map_err(wrong)?;
    }
    for step in steps {
        transaction.execute_batch(step.text(Kind::Sqlite)).map_err(wrong)?;
        transaction
            .execute(
                "INSERT INTO migration (number, name, up, applied_at) \
                 VALUES (?1, ?2, ?3, unixepoch())",
                (step.number, step.name, step.text(Kind::Sqlite)),
            )
            .map_err(wrong)?;
    }
    if made.is_empty() {
        transaction
            .execute(
                "INSERT INTO meta (key, value) VALUES ('database_id', lower(hex(randomblob(16))))",
                [],
            )
            .map_err(wrong)?;
    }
    transaction.commit().map_err(wrong)
}

fn pending(made: &[(u32, String)], path: &Path) -> Result<&'static [Migration], OpenError> {
    migrate::pending(Kind::Sqlite, made).map_err(|mismatch| match mismatch {
        Mismatch::Future { found, known } => {
            OpenError::Future { path: path.to_owned(), found, known }
        }
        Mismatch::Different { number } => OpenError::Database {
            path: path.to_owned(),
            why: format!("step {number} of its schema is not the one that was released"),
            mend: "restore a backup, or start the version that wrote it".to_owned(),
        },
    })
}

/// Refuses a database whose schema is not the one that this program would make.
fn check_current(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let made = migrations_made(connection).map_err(|failure| refused(path, &failure))?;
    if pending(&made, path)?.is_empty() {
        return Ok(());
    }
    Err(OpenError::Database {
        path: path.to_owned(),
        why: "it is not up to date".to_owned(),
        mend: "start this version of the server on it first".to_owned(),
    })
}

fn migrations_made(connection: &Connection) -> rusqlite::Result<Vec<(u32, String)>> {
    let there = connection
        .query_row("SELECT 1 FROM sqlite_schema WHERE name = 'migration'", [], |_| Ok(()))
        .optional()?;
    if there.is_none() {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare("SELECT number, up FROM migration ORDER BY number")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

fn begin(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "application_id", APPLICATION)?;
    connection.execute_batch(
        "CREATE TABLE migration (
             number INTEGER PRIMARY KEY,
             name TEXT NOT NULL,
             up TEXT NOT NULL,
             applied_at INTEGER NOT NULL
         ) STRICT;",
    )
}

/// Why the file cannot be used, by what the driver says.
fn refused(path: &Path, failure: &rusqlite::Error) -> OpenError {
    let (why, mend) = match failure.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => (
            "it is not a database".to_owned(),
            "restore a backup, or move the file away to begin with an empty database".to_owned(),
        ),
        Some(ErrorCode::DatabaseCorrupt) => {
            ("it is damaged".to_owned(), "restore a backup".to_owned())
        }
        _ if failure.sqlite_error().is_some_and(|code| convert::is_full(*code)) => {
            ("the disk is full".to_owned(), "make room".to_owned())
        }
        Some(ErrorCode::ReadOnly) => (
            "it is read-only".to_owned(),
            "mount the file system for writing and allow the server to write".to_owned(),
        ),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            ("another program is using it".to_owned(), "stop that program".to_owned())
        }
        _ => (failure.to_string(), "check the file system, or restore a backup".to_owned()),
    };
    OpenError::Database { path: path.to_owned(), why, mend }
}
