//! The tables of the audit log: inside a commit, and read.
//!
//! It must not begin or end a transaction.

use rusqlite::{Connection, OptionalExtension, params};

use super::convert::{self, error};
use crate::Error;
use crate::audit::{AuditChange, AuditEpoch, AuditHead, AuditWrite};

/// Numbers fit: they are counted up from one.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn number(row: &rusqlite::Row<'_>, column: usize) -> Result<u64, Error> {
    convert::get::<i64>(row, column).map(i64::cast_unsigned)
}

pub(super) fn write(connection: &Connection, write: &AuditWrite) -> Result<(), Error> {
    let run = |sql, params: &[&dyn rusqlite::ToSql]| {
        connection
            .prepare_cached(sql)
            .and_then(|mut it| it.execute(params))
            .map(drop)
            .map_err(error)
    };
    match write {
        AuditWrite::Change(AuditChange { server, epoch, number, at, body, mac, sealed_by }) => run(
            "INSERT INTO audit_changes (server, epoch, number, at, body, mac, sealed_by) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![server, signed(*epoch), signed(*number), signed(*at), body, mac, sealed_by],
        ),
        AuditWrite::Copied { server, epoch, from, to } => run(
            "DELETE FROM audit_changes \
             WHERE server = ?1 AND epoch = ?2 AND number BETWEEN ?3 AND ?4",
            params![server, signed(*epoch), signed(*from), signed(*to)],
        ),
        AuditWrite::Epoch(AuditEpoch { server, epoch, first, head, sealed, sealed_by }) => run(
            "INSERT INTO audit_epochs (server, epoch, first, head, sealed, sealed_by) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![server, signed(*epoch), signed(*first), signed(*head), sealed, sealed_by],
        ),
        AuditWrite::Head(AuditHead { server, epoch, seq, chain, mac, sealed_by }) => run(
            "INSERT INTO audit_heads (server, epoch, seq, chain, mac, sealed_by) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
             ON CONFLICT (server) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq, \
             chain = excluded.chain, mac = excluded.mac, sealed_by = excluded.sealed_by",
            params![server, signed(*epoch), signed(*seq), chain, mac, sealed_by],
        ),
        AuditWrite::ResealEpoch { row, before } => run(
            "UPDATE audit_epochs SET sealed = ?3, sealed_by = ?4 \
             WHERE server = ?1 AND epoch = ?2 AND sealed = ?5",
            params![row.server, signed(row.epoch), row.sealed, row.sealed_by, before],
        ),
        AuditWrite::ResealHead { head, before } => run(
            "UPDATE audit_heads SET mac = ?2, sealed_by = ?3 WHERE server = ?1 AND mac = ?4",
            params![head.server, head.mac, head.sealed_by, before],
        ),
        AuditWrite::ResealChange { change, before } => run(
            "UPDATE audit_changes SET mac = ?4, sealed_by = ?5 \
             WHERE server = ?1 AND epoch = ?2 AND number = ?3 AND mac = ?6",
            params![
                change.server,
                signed(change.epoch),
                signed(change.number),
                change.mac,
                change.sealed_by,
                before
            ],
        ),
        AuditWrite::Lines { server, lines } => lines.iter().try_for_each(|(seq, line)| {
            run(
                // A line that was tried before, with an unknown fate, is the same line.
                "INSERT INTO audit_log (server, seq, line) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (server, seq) DO UPDATE SET line = excluded.line",
                params![server, signed(*seq), line],
            )
        }),
    }
}

pub(super) fn changes(
    connection: &Connection,
    server: &str,
    (from, to): ((u64, u64), (u64, u64)),
    limit: usize,
) -> Result<Vec<AuditChange>, Error> {
    const SQL: &str = "SELECT epoch, number, at, body, mac, sealed_by FROM audit_changes WHERE server = ?1 \
         AND (epoch, number) >= (?2, ?3) AND (epoch, number) <= (?4, ?5) \
         ORDER BY epoch, number LIMIT ?6";
    let mut statement = connection.prepare_cached(SQL).map_err(error)?;
    let params = params![
        server,
        signed(from.0),
        signed(from.1),
        signed(to.0),
        signed(to.1),
        i64::try_from(limit).unwrap_or(i64::MAX)
    ];
    convert::collect(&mut statement, params, |row| {
        Ok(AuditChange {
            server: server.to_owned(),
            epoch: number(row, 0)?,
            number: number(row, 1)?,
            at: number(row, 2)?,
            body: convert::get(row, 3)?,
            mac: convert::get(row, 4)?,
            sealed_by: convert::get(row, 5)?,
        })
    })
}

pub(super) fn epochs(connection: &Connection, server: &str) -> Result<Vec<AuditEpoch>, Error> {
    const SQL: &str = "SELECT epoch, first, head, sealed, sealed_by FROM audit_epochs WHERE server = ?1 \
         ORDER BY epoch";
    let mut statement = connection.prepare(SQL).map_err(error)?;
    convert::collect(&mut statement, [server], |row| {
        Ok(AuditEpoch {
            server: server.to_owned(),
            epoch: number(row, 0)?,
            first: number(row, 1)?,
            head: number(row, 2)?,
            sealed: convert::get(row, 3)?,
            sealed_by: convert::get(row, 4)?,
        })
    })
}

pub(super) fn head(connection: &Connection, server: &str) -> Result<Option<AuditHead>, Error> {
    const SQL: &str = "SELECT epoch, seq, chain, mac, sealed_by FROM audit_heads WHERE server = ?1";
    let mut statement = connection.prepare(SQL).map_err(error)?;
    let mut rows = statement.query([server]).map_err(error)?;
    let Some(row) = rows.next().map_err(error)? else { return Ok(None) };
    Ok(Some(AuditHead {
        server: server.to_owned(),
        epoch: number(row, 0)?,
        seq: number(row, 1)?,
        chain: convert::get(row, 2)?,
        mac: convert::get(row, 3)?,
        sealed_by: convert::get(row, 4)?,
    }))
}

pub(super) fn lines(
    connection: &Connection,
    server: &str,
    from: u64,
    limit: usize,
) -> Result<Vec<(u64, Vec<u8>)>, Error> {
    const SQL: &str =
        "SELECT seq, line FROM audit_log WHERE server = ?1 AND seq >= ?2 ORDER BY seq LIMIT ?3";
    let mut statement = connection.prepare_cached(SQL).map_err(error)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    convert::collect(&mut statement, params![server, signed(from), limit], |row| {
        Ok((number(row, 0)?, convert::get(row, 1)?))
    })
}

pub(super) fn last_line(connection: &Connection, server: &str) -> Result<Option<Vec<u8>>, Error> {
    const SQL: &str = "SELECT line FROM audit_log WHERE server = ?1 ORDER BY seq DESC LIMIT 1";
    let mut statement = connection.prepare(SQL).map_err(error)?;
    statement.query_row([server], |row| row.get(0)).optional().map_err(error)
}
