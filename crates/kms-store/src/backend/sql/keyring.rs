//! The keyring on a database server, and rows by the data key that seals them.
//!
//! It must not know what a slot holds.

use super::Server;
use super::driver::{Row, Value};
use super::failure::Failure;
use super::read::{READ, number, whole};
use super::write::{Session, Stop, WRITE};
use crate::Error;
use crate::audit::{AuditChange, AuditEpoch, AuditHead};
use crate::backend::statement::Statement;
use crate::keyring::{KeyringWrite, SealedCount, SealedObject, SealedRows, SealedTable};
use crate::record::Usage;

impl Server {
    /// Makes changes of the keyring in one transaction, and puts records of them beside.
    pub(super) async fn change_keyring(
        &self,
        writes: &[KeyringWrite],
        changes: &[&AuditChange],
    ) -> Result<(), Error> {
        let mut lent = self.pool.writer().await?;
        let mut session = Session::new(lent.get()?, self.dialect, false, WRITE);
        let outcome = async {
            session.script("START TRANSACTION").await?;
            for write in writes {
                change(&mut session, write).await?;
            }
            for each in changes {
                super::rows::add_change(&mut session, each).await?;
            }
            session.alone = true;
            session.script("COMMIT").await
        }
        .await;
        let first = || writes.first().map_or_else(String::new, KeyringWrite::name);
        match outcome {
            Ok(()) => {
                lent.back();
                Ok(())
            }
            // The connection is not given back: it ends, and its transaction with it.
            Err(Stop::Refused(refusal)) => Err(refusal),
            Err(Stop::Failed(Failure::Duplicate(_))) => Err(Error::Exists { id: first() }),
            Err(Stop::Failed(Failure::Again(_)) | Stop::Unmet) => {
                Err(Error::Conflict { id: first() })
            }
            Err(Stop::Failed(failure)) => Err(failure.into()),
            Err(Stop::Doubt(failure, _)) => Err(Error::Unknown(failure.to_string())),
        }
    }

    pub(super) async fn note(&self, key: &str) -> Result<Option<String>, Error> {
        let read = |row: &Row| row.text(0).map(str::to_owned);
        Ok(self.all(Statement::Meta, &[Value::Text(key)], read).await?.pop())
    }

    /// How many rows each data key seals.
    pub(super) async fn sealed_counts(&self) -> Result<Vec<SealedCount>, Error> {
        // It may have to go through whole indexes.
        let rows = self.rows(Statement::CountSealed.of(self.dialect), &[], 4 * READ).await?;
        let read = |row: &Row| {
            let place = usize::try_from(row.int(0)?).ok();
            let table = place.and_then(|place| SealedTable::ALL.get(place).copied());
            let table = table.ok_or_else(|| Failure::Other("an unknown table".to_owned()))?;
            let rows = row.int(2)?.cast_unsigned();
            Ok::<_, Failure>(SealedCount { table, generation: number(row, 1)?, rows })
        };
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Some of the rows of a table that one data key seals; objects after a place.
    pub(super) async fn sealed_rows(
        &self,
        table: SealedTable,
        generation: u32,
        after: i64,
        limit: usize,
    ) -> Result<SealedRows, Error> {
        let by = Value::Int(generation.into());
        let limit = Value::Int(whole(limit));
        let values = [by, limit];
        Ok(match table {
            SealedTable::Objects => {
                let values = [by, Value::Int(after), limit];
                let read = |row: &Row| {
                    let (seq, id) = (row.int(0)?, row.text(1)?.to_owned());
                    Ok(SealedObject { seq, id, shard: number(row, 2)? })
                };
                SealedRows::Objects(self.all(Statement::SealedObjects, &values, read).await?)
            }
            SealedTable::Grants => {
                let read = |row: &Row| super::read::grant(row, 0);
                SealedRows::Grants(self.all(Statement::SealedGrants, &values, read).await?)
            }
            SealedTable::Usage => {
                let read = |row: &Row| {
                    let usage = Usage { sealed: row.bytes(1)?.to_vec(), sealed_by: generation };
                    Ok((row.text(0)?.to_owned(), usage))
                };
                SealedRows::Usage(self.all(Statement::SealedUsage, &values, read).await?)
            }
            SealedTable::ApiTokens => SealedRows::ApiTokens,
            SealedTable::AuditEpochs | SealedTable::AuditHeads | SealedTable::AuditChanges => {
                return self.sealed_audit(table, generation, &values).await;
            }
        })
    }

    /// The same of the tables of the audit log.
    async fn sealed_audit(
        &self,
        table: SealedTable,
        generation: u32,
        values: &[Value<'_>],
    ) -> Result<SealedRows, Error> {
        let wide = |row: &Row, column| row.int(column).map(i64::cast_unsigned);
        Ok(match table {
            SealedTable::AuditEpochs => {
                let read = |row: &Row| {
                    Ok(AuditEpoch {
                        server: row.text(0)?.to_owned(),
                        epoch: wide(row, 1)?,
                        first: wide(row, 2)?,
                        head: wide(row, 3)?,
                        sealed: row.bytes(4)?.to_vec(),
                        sealed_by: generation,
                    })
                };
                SealedRows::AuditEpochs(self.all(Statement::SealedEpochs, values, read).await?)
            }
            SealedTable::AuditHeads => {
                let read = |row: &Row| {
                    Ok(AuditHead {
                        server: row.text(0)?.to_owned(),
                        epoch: wide(row, 1)?,
                        seq: wide(row, 2)?,
                        chain: row.bytes(3)?.to_vec(),
                        mac: row.bytes(4)?.to_vec(),
                        sealed_by: generation,
                    })
                };
                SealedRows::AuditHeads(self.all(Statement::SealedHeads, values, read).await?)
            }
            SealedTable::AuditChanges => {
                let read = |row: &Row| {
                    Ok(AuditChange {
                        server: row.text(0)?.to_owned(),
                        epoch: wide(row, 1)?,
                        number: wide(row, 2)?,
                        at: wide(row, 3)?,
                        body: row.bytes(4)?.to_vec(),
                        mac: row.bytes(5)?.to_vec(),
                        sealed_by: generation,
                    })
                };
                SealedRows::AuditChanges(self.all(Statement::SealedChanges, values, read).await?)
            }
            _ => SealedRows::ApiTokens,
        })
    }
}

/// One change; it conflicts where it finds another state than it expects.
async fn change(session: &mut Session<'_>, write: &KeyringWrite) -> Result<(), Stop> {
    let made = match write {
        KeyringWrite::Put { row, expected } => {
            let generation = Value::Int(row.generation.into());
            let (kind, slot) = (Value::Text(&row.kind), Value::Bytes(&row.slot));
            match expected {
                None => session.run(Statement::AddKeyring, &[generation, kind, slot]).await?,
                Some(expected) => {
                    let values = [generation, kind, slot, Value::Bytes(expected)];
                    session.run(Statement::PutKeyring, &values).await?
                }
            }
        }
        KeyringWrite::Remove { generation, expected } => {
            let values = [Value::Int((*generation).into()), Value::Bytes(expected)];
            session.run(Statement::RemoveKeyring, &values).await?
        }
        KeyringWrite::Note { key, value, expected } => {
            let (key, value) = (Value::Text(key), Value::Text(value));
            match expected {
                None => session.run(Statement::AddMeta, &[key, value]).await?,
                Some(expected) => {
                    session.run(Statement::PutMeta, &[key, value, Value::Text(expected)]).await?
                }
            }
        }
    };
    if made == 1 { Ok(()) } else { Err(Stop::Refused(Error::Conflict { id: write.name() })) }
}
