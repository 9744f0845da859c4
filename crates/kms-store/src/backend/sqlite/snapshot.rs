//! All of the database at one moment: one transaction that reads, on a connection of its own.
//!
//! While the caller works at a page, the next one is read. It must not write.

use rusqlite::Connection;
use tokio::task::JoinHandle;

use super::convert::{self, columns, error};
use super::read;
use crate::Error;
use crate::backend::{self, Answer};
use crate::record::{ApiToken, Grant, Usage};
use crate::transfer::{PAGE_BYTES, PAGE_GRANTS, PAGE_ROWS, Stored};

/// The most identifiers of a page.
const REMOVED: usize = 1000;

/// The moment, and how far it was read.
pub(super) struct Snapshot {
    /// None while the next page is read.
    reader: Option<Reader>,
    ahead: Option<JoinHandle<Ahead>>,
}

/// A page that was read while the caller was at work.
type Ahead = (Reader, Result<Vec<Stored>, Error>);

struct Reader {
    connection: Connection,
    /// The last object, and the last identifier.
    seq: i64,
    removed: String,
}

impl Snapshot {
    pub(super) fn new(connection: Connection) -> Result<Self, Error> {
        // The moment is the first read's.
        connection.execute_batch("BEGIN; SELECT 1 FROM meta LIMIT 1;").map_err(error)?;
        let reader = Reader { connection, seq: 0, removed: String::new() };
        Ok(Self { reader: Some(reader), ahead: None })
    }

    fn read_ahead(&mut self) {
        if let Some(mut reader) = self.reader.take() {
            self.ahead = Some(tokio::task::spawn_blocking(move || {
                let page = reader.objects();
                (reader, page)
            }));
        }
    }

    fn reader(&mut self) -> Result<&mut Reader, Error> {
        self.reader.as_mut().ok_or_else(out_of_order)
    }
}

fn out_of_order() -> Error {
    Error::Unavailable("a snapshot is read from its beginning to its end".to_owned())
}

impl backend::Snapshot for Snapshot {
    fn count(&mut self) -> Answer<'_, u64> {
        Box::pin(async {
            let reader = self.reader()?;
            let count = reader
                .connection
                .query_row("SELECT count(*) FROM objects", [], |row| row.get::<_, i64>(0));
            Ok(count.map_err(error)?.cast_unsigned())
        })
    }

    fn objects(&mut self) -> Answer<'_, Vec<Stored>> {
        Box::pin(async {
            if self.ahead.is_none() {
                self.read_ahead();
            }
            let ahead = self.ahead.take().ok_or_else(out_of_order)?;
            let (reader, page) = ahead.await.map_err(|_stopped| out_of_order())?;
            self.reader = Some(reader);
            let page = page?;
            if !page.is_empty() {
                self.read_ahead();
            }
            Ok(page)
        })
    }

    fn removed(&mut self) -> Answer<'_, Vec<String>> {
        Box::pin(async { self.reader()?.removed() })
    }

    fn api_tokens(&mut self) -> Answer<'_, (Vec<ApiToken>, u64)> {
        Box::pin(async { read::tokens(&self.reader()?.connection) })
    }
}

impl Reader {
    fn objects(&mut self) -> Result<Vec<Stored>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            columns!(),
            ", u.sealed, u.sealed_by FROM objects o LEFT JOIN usage u ON u.id = o.id \
             WHERE o.seq > ?1 ORDER BY o.seq LIMIT ?2"
        );
        let limit = i64::try_from(PAGE_ROWS).unwrap_or(i64::MAX);
        let mut statement = self.connection.prepare_cached(SQL).map_err(error)?;
        let mut rows = statement.query([self.seq, limit]).map_err(error)?;
        let mut page = Vec::new();
        let (mut bytes, mut granted) = (0, 0);
        while bytes < PAGE_BYTES && granted < PAGE_GRANTS {
            let Some(row) = rows.next().map_err(error)? else { break };
            self.seq = convert::get(row, convert::column::SEQ)?;
            let usage = match convert::get(row, convert::column::MATERIAL + 1)? {
                Some(sealed) => {
                    let sealed_by = convert::get(row, convert::column::MATERIAL + 2)?;
                    Some(Usage { sealed, sealed_by })
                }
                None => None,
            };
            let row = convert::row(row)?;
            let grants: Vec<Grant> = read::grants(&self.connection, &row.id)?;
            bytes += row.record.len() + row.material.as_ref().map_or(0, Vec::len);
            granted += grants.len();
            page.push(Stored { row, usage, grants });
        }
        Ok(page)
    }

    fn removed(&mut self) -> Result<Vec<String>, Error> {
        const SQL: &str = "SELECT id FROM tombstones WHERE id > ?1 ORDER BY id LIMIT ?2";
        let limit = i64::try_from(REMOVED).unwrap_or(i64::MAX);
        let mut statement = self.connection.prepare_cached(SQL).map_err(error)?;
        let ids = convert::collect(&mut statement, (&self.removed, limit), |row| {
            convert::get::<String>(row, 0)
        })?;
        if let Some(last) = ids.last() {
            self.removed.clone_from(last);
        }
        Ok(ids)
    }
}
