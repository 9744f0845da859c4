//! Reading the tables of the audit log.
//!
//! It must not know what a record says.

use super::Server;
use super::driver::{Row, Value};
use super::failure::Failure;
use super::read::whole;
use crate::Error;
use crate::audit::{AuditChange, AuditEpoch, AuditHead};
use crate::backend::statement::Statement;

/// Numbers fit: they are counted up from one.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn number(row: &Row, column: usize) -> Result<u64, Failure> {
    row.int(column).map(i64::cast_unsigned)
}

impl Server {
    pub(super) async fn audit_changes(
        &self,
        server: &str,
        (from, to): ((u64, u64), (u64, u64)),
        limit: usize,
    ) -> Result<Vec<AuditChange>, Error> {
        let [a, b, c, d] = [from.0, from.1, to.0, to.1].map(|it| Value::Int(signed(it)));
        let values = [Value::Text(server), a, b, c, d, Value::Int(whole(limit))];
        let read = |row: &Row| {
            Ok(AuditChange {
                server: server.to_owned(),
                epoch: number(row, 0)?,
                number: number(row, 1)?,
                at: number(row, 2)?,
                body: row.bytes(3)?.to_vec(),
                mac: row.bytes(4)?.to_vec(),
                sealed_by: super::read::number(row, 5)?,
            })
        };
        self.all(Statement::AuditChanges, &values, read).await
    }

    pub(super) async fn audit_epochs(&self, server: &str) -> Result<Vec<AuditEpoch>, Error> {
        let read = |row: &Row| {
            Ok(AuditEpoch {
                server: server.to_owned(),
                epoch: number(row, 0)?,
                first: number(row, 1)?,
                head: number(row, 2)?,
                sealed: row.bytes(3)?.to_vec(),
                sealed_by: super::read::number(row, 4)?,
            })
        };
        self.all(Statement::AuditEpochs, &[Value::Text(server)], read).await
    }

    pub(super) async fn audit_head(&self, server: &str) -> Result<Option<AuditHead>, Error> {
        let read = |row: &Row| {
            Ok(AuditHead {
                server: server.to_owned(),
                epoch: number(row, 0)?,
                seq: number(row, 1)?,
                chain: row.bytes(2)?.to_vec(),
                mac: row.bytes(3)?.to_vec(),
                sealed_by: super::read::number(row, 4)?,
            })
        };
        Ok(self.all(Statement::AuditHead, &[Value::Text(server)], read).await?.pop())
    }

    pub(super) async fn audit_lines(
        &self,
        server: &str,
        from: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Vec<u8>)>, Error> {
        let values = [Value::Text(server), Value::Int(signed(from)), Value::Int(whole(limit))];
        let read = |row: &Row| Ok((number(row, 0)?, row.bytes(1)?.to_vec()));
        self.all(Statement::AuditLines, &values, read).await
    }

    pub(super) async fn audit_last_line(&self, server: &str) -> Result<Option<Vec<u8>>, Error> {
        let read = |row: &Row| row.bytes(0).map(<[u8]>::to_vec);
        Ok(self.all(Statement::AuditLastLine, &[Value::Text(server)], read).await?.pop())
    }
}
