//! Reading: a few connections, each used by one caller at a time, and the reads of one object.
//!
//! It must not write. A read of one row takes some microseconds and runs where it is asked for.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::convert::{self, api_token_columns, columns, error};
use crate::Error;
use crate::cache::Cache;
use crate::record::{ApiToken, Cached, Grant, KeptAnswer, KeyringRow, Usage};
use crate::transfer::Known;

/// How many connections wait for the next reader; more are opened when needed, and closed after.
const IDLE: usize = 4;

/// The connections that read.
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    closed: AtomicBool,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::new(Vec::new()), closed: AtomicBool::new(false) }
    }

    /// Reads with a connection of one's own. Each statement sees all that was answered before.
    pub(super) fn with<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let answer = read(&connection);
        // After an error, what the connection remembers is not relied on.
        if answer.is_ok() {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < IDLE && !self.closed.load(Ordering::SeqCst) {
                idle.push(connection);
            }
        }
        answer
    }

    pub(super) fn connect(&self) -> Result<Connection, Error> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(Error::Unavailable("the server is stopping".to_owned()));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let connection = Connection::open_with_flags(&self.path, flags).map_err(error)?;
        super::prepare(&connection).map_err(error)?;
        connection
            .execute_batch("PRAGMA cache_size = -512; PRAGMA temp_store = MEMORY;")
            .map_err(error)?;
        Ok(connection)
    }

    /// Opens no more connections and closes those that wait.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// One object, from the database into the cache.
pub(super) fn object(
    connection: &Connection,
    cache: &Cache,
    id: &str,
) -> Result<Option<Arc<Cached>>, Error> {
    const SQL: &str = concat!("SELECT ", columns!(), " FROM objects o WHERE o.id = ?1");
    let ticket = cache.ticket();
    let mut statement = connection.prepare_cached(SQL).map_err(error)?;
    let mut rows = statement.query([id]).map_err(error)?;
    let Some(row) = rows.next().map_err(error)? else { return Ok(None) };
    let row = Cached::new(convert::get(row, convert::column::SEQ)?, convert::row(row)?);
    Ok(Some(cache.loaded(&ticket, Arc::new(row))))
}

pub(super) fn grant(connection: &Connection, id: &str, user: &str) -> Result<Option<Grant>, Error> {
    const SQL: &str = concat!(
        "SELECT ",
        convert::grant_columns!(),
        " FROM read_access WHERE id = ?1 AND userid = ?2"
    );
    let mut statement = connection.prepare_cached(SQL).map_err(error)?;
    let mut rows = statement.query([id, user]).map_err(error)?;
    rows.next().map_err(error)?.map(convert::grant).transpose()
}

pub(super) fn grants(connection: &Connection, id: &str) -> Result<Vec<Grant>, Error> {
    const SQL: &str = concat!(
        "SELECT ",
        convert::grant_columns!(),
        " FROM read_access WHERE id = ?1 ORDER BY userid"
    );
    let mut statement = connection.prepare_cached(SQL).map_err(error)?;
    convert::collect(&mut statement, [id], convert::grant)
}

pub(super) fn grant_count(connection: &Connection, id: &str, limit: usize) -> Result<usize, Error> {
    const SQL: &str = "SELECT count(*) FROM (SELECT 1 FROM read_access WHERE id = ?1 LIMIT ?2)";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(SQL).map_err(error)?;
    let count: i64 = statement.query_row((id, limit), |row| row.get(0)).map_err(error)?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

pub(super) fn granted_to(
    connection: &Connection,
    user: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Grant>, Error> {
    // No identifier is empty, so that the empty one comes before all.
    const SQL: &str = concat!(
        "SELECT ",
        convert::grant_columns!(),
        " FROM read_access WHERE userid = ?1 AND id > ?2 ORDER BY id LIMIT ?3"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(SQL).map_err(error)?;
    convert::collect(&mut statement, (user, after.unwrap_or_default(), limit), convert::grant)
}

pub(super) fn usage(connection: &Connection, id: &str) -> Result<Option<Usage>, Error> {
    const SQL: &str = "SELECT sealed, sealed_by FROM usage WHERE id = ?1";
    let mut statement = connection.prepare_cached(SQL).map_err(error)?;
    let read = |row: &rusqlite::Row<'_>| Ok(Usage { sealed: row.get(0)?, sealed_by: row.get(1)? });
    statement.query_row([id], read).optional().map_err(error)
}

pub(super) fn api_token(
    connection: &Connection,
    id: &str,
) -> Result<Option<(ApiToken, u64)>, Error> {
    const SQL: &str = concat!("SELECT ", api_token_columns!(), " FROM api_tokens WHERE id = ?1");
    // Both from one moment.
    let snapshot = connection.unchecked_transaction().map_err(error)?;
    let token = {
        let mut statement = snapshot.prepare_cached(SQL).map_err(error)?;
        let mut rows = statement.query([id]).map_err(error)?;
        rows.next().map_err(error)?.map(convert::api_token).transpose()?
    };
    let Some(token) = token else { return Ok(None) };
    Ok(Some((token, api_token_epoch(&snapshot)?)))
}

pub(super) fn api_tokens(connection: &Connection) -> Result<(Vec<ApiToken>, u64), Error> {
    let snapshot = connection.unchecked_transaction().map_err(error)?;
    tokens(&snapshot)
}

/// The same inside a transaction.
pub(super) fn tokens(connection: &Connection) -> Result<(Vec<ApiToken>, u64), Error> {
    const SQL: &str = concat!("SELECT ", api_token_columns!(), " FROM api_tokens ORDER BY name");
    let mut statement = connection.prepare(SQL).map_err(error)?;
    let rows = convert::collect(&mut statement, [], convert::api_token)?;
    Ok((rows, api_token_epoch(connection)?))
}

/// How often tokens were changed; 0 where there never was one.
pub(super) fn api_token_epoch(connection: &Connection) -> Result<u64, Error> {
    const SQL: &str = "SELECT value FROM meta WHERE key = 'api_token_epoch'";
    let mut statement = connection.prepare_cached(SQL).map_err(error)?;
    let text: Option<String> =
        statement.query_row([], |row| row.get(0)).optional().map_err(error)?;
    let number = text.map_or(Ok(0), |text| text.parse());
    number.map_err(|_not_one| Error::Corrupt("the epoch of the API tokens is no number".to_owned()))
}

pub(super) fn answers(connection: &Connection, id: &[u8; 32]) -> Result<Vec<KeptAnswer>, Error> {
    const SQL: &str =
        "SELECT id, place, at, sealed_by, sealed FROM answers WHERE id = ?1 ORDER BY place";
    let mut statement = connection.prepare_cached(SQL).map_err(error)?;
    convert::collect(&mut statement, [id], answer)
}

pub(super) fn oldest_answers(
    connection: &Connection,
    until: i64,
    limit: usize,
) -> Result<Vec<i64>, Error> {
    const SQL: &str = "SELECT at FROM answers WHERE at <= ?1 ORDER BY at LIMIT ?2";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(SQL).map_err(error)?;
    convert::collect(&mut statement, (until, limit), |row| convert::get(row, 0))
}

pub(super) fn answer(row: &rusqlite::Row<'_>) -> Result<KeptAnswer, Error> {
    Ok(KeptAnswer {
        id: convert::get(row, 0)?,
        place: convert::get(row, 1)?,
        at: convert::get(row, 2)?,
        sealed_by: convert::get(row, 3)?,
        sealed: convert::get(row, 4)?,
    })
}

pub(super) fn removed(connection: &Connection, id: &str) -> Result<bool, Error> {
    let mut statement =
        connection.prepare_cached("SELECT 1 FROM tombstones WHERE id = ?1").map_err(error)?;
    statement.exists([id]).map_err(error)
}

/// Which of the identifiers are or were used.
pub(super) fn known(connection: &Connection, ids: &[&str]) -> Result<Vec<(String, Known)>, Error> {
    const SQL: &str = "SELECT 0 FROM objects WHERE id = ?1 \
         UNION ALL SELECT 1 FROM tombstones WHERE id = ?1";
    let mut statement = connection.prepare_cached(SQL).map_err(error)?;
    let mut known = Vec::new();
    for id in ids {
        let found = statement.query_row([id], |row| row.get(0)).optional().map_err(error)?;
        if let Some(removed) = found {
            known.push(((*id).to_owned(), if removed { Known::Removed } else { Known::There }));
        }
    }
    Ok(known)
}

pub(super) fn keyring(connection: &Connection) -> Result<Vec<KeyringRow>, Error> {
    let mut statement = connection
        .prepare("SELECT generation, kind, slot FROM keyring ORDER BY generation")
        .map_err(error)?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok(KeyringRow { generation: row.get(0)?, kind: row.get(1)?, slot: row.get(2)? })
    };
    let rows = statement.query_map([], read).map_err(error)?;
    rows.collect::<Result<_, _>>().map_err(error)
}
