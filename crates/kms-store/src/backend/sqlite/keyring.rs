//! The keyring inside a commit, and rows by the data key that seals them.
//!
//! It must not begin or end the transaction.

use rusqlite::{Connection, OptionalExtension, params};

use super::apply::Stop;
use super::convert::{self, error};
use crate::Error;
use crate::audit::{AuditChange, AuditEpoch, AuditHead};
use crate::keyring::{KeyringWrite, SealedCount, SealedObject, SealedRows, SealedTable};
use crate::record::Usage;

fn failed(cause: rusqlite::Error) -> Stop {
    Stop::Failed(error(cause))
}

/// Whether the writes may be made. Writes nothing.
pub(super) fn check(connection: &Connection, writes: &[KeyringWrite]) -> Result<(), Stop> {
    for write in writes {
        let conflict = || Stop::Refused(Error::Conflict { id: write.name() });
        match write {
            KeyringWrite::Put { row, expected } => {
                match (slot(connection, row.generation)?, expected) {
                    (Some(_), None) => {
                        return Err(Stop::Refused(Error::Exists { id: write.name() }));
                    }
                    (now, expected) if now == *expected => {}
                    _ => return Err(conflict()),
                }
            }
            KeyringWrite::Remove { generation, expected } => {
                let is_known = slot(connection, *generation)?.as_ref() == Some(expected);
                if !is_known || is_used(connection, *generation)? {
                    return Err(conflict());
                }
            }
            KeyringWrite::Note { key, expected, .. } => {
                if note(connection, key).map_err(Stop::Failed)? != *expected {
                    return Err(conflict());
                }
            }
        }
    }
    Ok(())
}

/// Whether a data key still seals something.
fn is_used(connection: &Connection, generation: u32) -> Result<bool, Stop> {
    for table in SealedTable::ALL {
        let sql = format!("SELECT 1 FROM {} WHERE sealed_by = ?1 LIMIT 1", table.name());
        let mut statement = connection.prepare(&sql).map_err(failed)?;
        if statement.exists([generation]).map_err(failed)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn slot(connection: &Connection, generation: u32) -> Result<Option<Vec<u8>>, Stop> {
    connection
        .query_row("SELECT slot FROM keyring WHERE generation = ?1", [generation], |row| row.get(0))
        .optional()
        .map_err(failed)
}

/// Makes writes that were checked.
pub(super) fn apply(connection: &Connection, writes: &[KeyringWrite]) -> Result<(), Error> {
    for write in writes {
        let made = match write {
            KeyringWrite::Put { row, .. } => connection.execute(
                "INSERT INTO keyring (generation, kind, slot) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (generation) DO UPDATE SET kind = excluded.kind, slot = excluded.slot",
                params![row.generation, row.kind, row.slot],
            ),
            KeyringWrite::Remove { generation, .. } => {
                connection.execute("DELETE FROM keyring WHERE generation = ?1", [generation])
            }
            KeyringWrite::Note { key, value, .. } => connection.execute(
                "INSERT INTO meta (key, value) VALUES (?1, ?2) \
                 ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                params![key, value],
            ),
        };
        made.map_err(error)?;
    }
    Ok(())
}

pub(super) fn note(connection: &Connection, key: &str) -> Result<Option<String>, Error> {
    let mut statement =
        connection.prepare_cached("SELECT value FROM meta WHERE key = ?1").map_err(error)?;
    statement.query_row([key], |row| row.get(0)).optional().map_err(error)
}

/// How many rows each data key seals.
pub(super) fn counts(connection: &Connection) -> Result<Vec<SealedCount>, Error> {
    let mut counts = Vec::new();
    for table in SealedTable::ALL {
        let sql = format!("SELECT sealed_by, count(*) FROM {} GROUP BY sealed_by", table.name());
        let mut statement = connection.prepare_cached(&sql).map_err(error)?;
        counts.extend(convert::collect(&mut statement, [], |row| {
            let rows = convert::get::<i64>(row, 1)?.cast_unsigned();
            Ok(SealedCount { table, generation: convert::get(row, 0)?, rows })
        })?);
    }
    Ok(counts)
}

/// Some of the rows of a table that one data key seals; objects after a place.
pub(super) fn rows(
    connection: &Connection,
    table: SealedTable,
    generation: u32,
    after: i64,
    limit: usize,
) -> Result<SealedRows, Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = params![generation, limit];
    let sql = |columns: &str| {
        format!("SELECT {columns} FROM {} WHERE sealed_by = ?1 LIMIT ?2", table.name())
    };
    let prepare = |sql: String| connection.prepare_cached(&sql).map_err(error);
    Ok(match table {
        SealedTable::Objects => {
            let mut statement = prepare(
                "SELECT seq, id, shard FROM objects WHERE sealed_by = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3"
                    .to_owned(),
            )?;
            SealedRows::Objects(convert::collect(
                &mut statement,
                params![generation, after, limit],
                |row| {
                    let (seq, id) = (convert::get(row, 0)?, convert::get(row, 1)?);
                    Ok(SealedObject { seq, id, shard: convert::get(row, 2)? })
                },
            )?)
        }
        SealedTable::Grants => {
            let mut statement = prepare(sql(convert::grant_columns!()))?;
            SealedRows::Grants(convert::collect(&mut statement, values, convert::grant)?)
        }
        SealedTable::Usage => {
            let mut statement = prepare(sql("id, sealed"))?;
            SealedRows::Usage(convert::collect(&mut statement, values, |row| {
                let usage = Usage { sealed: convert::get(row, 1)?, sealed_by: generation };
                Ok((convert::get(row, 0)?, usage))
            })?)
        }
        SealedTable::ApiTokens => SealedRows::ApiTokens,
        SealedTable::AuditEpochs | SealedTable::AuditHeads | SealedTable::AuditChanges => {
            return audit_rows(connection, table, generation, limit);
        }
    })
}

/// The same of the tables of the audit log.
fn audit_rows(
    connection: &Connection,
    table: SealedTable,
    generation: u32,
    limit: i64,
) -> Result<SealedRows, Error> {
    let values = params![generation, limit];
    let prepare = |columns: &str| {
        let name = table.name();
        let sql = format!("SELECT {columns} FROM {name} WHERE sealed_by = ?1 LIMIT ?2");
        connection.prepare_cached(&sql).map_err(error)
    };
    Ok(match table {
        SealedTable::AuditEpochs => {
            let mut statement = prepare("server, epoch, first, head, sealed")?;
            SealedRows::AuditEpochs(convert::collect(&mut statement, values, |row| {
                Ok(AuditEpoch {
                    server: convert::get(row, 0)?,
                    epoch: number(row, 1)?,
                    first: number(row, 2)?,
                    head: number(row, 3)?,
                    sealed: convert::get(row, 4)?,
                    sealed_by: generation,
                })
            })?)
        }
        SealedTable::AuditHeads => {
            let mut statement = prepare("server, epoch, seq, chain, mac")?;
            SealedRows::AuditHeads(convert::collect(&mut statement, values, |row| {
                Ok(AuditHead {
                    server: convert::get(row, 0)?,
                    epoch: number(row, 1)?,
                    seq: number(row, 2)?,
                    chain: convert::get(row, 3)?,
                    mac: convert::get(row, 4)?,
                    sealed_by: generation,
                })
            })?)
        }
        SealedTable::AuditChanges => {
            let mut statement = prepare("server, epoch, number, at, body, mac")?;
            SealedRows::AuditChanges(convert::collect(&mut statement, values, |row| {
                Ok(AuditChange {
                    server: convert::get(row, 0)?,
                    epoch: number(row, 1)?,
                    number: number(row, 2)?,
                    at: number(row, 3)?,
                    body: convert::get(row, 4)?,
                    mac: convert::get(row, 5)?,
                    sealed_by: generation,
                })
            })?)
        }
        _ => SealedRows::ApiTokens,
    })
}

fn number(row: &rusqlite::Row<'_>, column: usize) -> Result<u64, Error> {
    convert::get::<i64>(row, column).map(i64::cast_unsigned)
}
