//! One commit inside the writer's transaction: first whether it may be made, then its rows.
//!
//! It must not begin or end the transaction, which it shares with other commits.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::audit;
use super::convert::{self, api_token_columns, error};
use super::keyring;
use super::read;
use crate::Error;
use crate::backend::convert::packed;
use crate::commit::Commit;
use crate::record::{ApiToken, Grant, IndexEntry, Row, Write};

/// Why a commit is not made.
pub(super) enum Stop {
    /// It rests on what is no longer so. Nothing was written; the transaction goes on.
    Refused(Error),
    /// The database failed; the transaction cannot be trusted.
    Failed(Error),
}

fn failed(cause: rusqlite::Error) -> Stop {
    Stop::Failed(error(cause))
}

/// What is known of an identifier.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Never,
    Version(u64),
    Removed,
}

/// What the database holds, with the earlier writes of the same commit laid over it.
struct Expected<'a> {
    connection: &'a Connection,
    objects: HashMap<&'a str, Seen>,
    usage: HashMap<&'a str, &'a [u8]>,
    /// Whether anything comes later that has to see earlier writes.
    several: bool,
}

/// Whether the commit may be made. Writes nothing.
pub(super) fn check(connection: &Connection, commit: &Commit) -> Result<(), Stop> {
    let mut expected = Expected {
        connection,
        objects: HashMap::new(),
        usage: HashMap::new(),
        several: commit.reads.len() + commit.writes.len() > 1,
    };
    for (id, version) in &commit.reads {
        let right = match expected.seen(id)? {
            Seen::Version(now) => *version == Some(now),
            Seen::Never | Seen::Removed => version.is_none(),
        };
        if !right {
            return Err(Stop::Refused(Error::Conflict { id: id.clone() }));
        }
    }
    commit.writes.iter().try_for_each(|write| expected.admit(write))?;
    keyring::check(connection, &commit.keyring)
}

impl<'a> Expected<'a> {
    fn seen(&self, id: &str) -> Result<Seen, Stop> {
        // A version is never -1: it would be the last of all.
        const SQL: &str = "SELECT version FROM objects WHERE id = ?1 \
             UNION ALL SELECT -1 FROM tombstones WHERE id = ?1";
        if let Some(seen) = self.objects.get(id) {
            return Ok(*seen);
        }
        let mut statement = self.connection.prepare_cached(SQL).map_err(failed)?;
        let found = statement.query_row([id], |row| row.get(0)).optional().map_err(failed)?;
        Ok(match found {
            None => Seen::Never,
            Some(-1_i64) => Seen::Removed,
            Some(version) => Seen::Version(version.cast_unsigned()),
        })
    }

    fn becomes(&mut self, id: &'a str, seen: Seen) {
        if self.several {
            self.objects.insert(id, seen);
        }
    }

    fn admit(&mut self, write: &'a Write) -> Result<(), Stop> {
        let conflict = |id: &str| Stop::Refused(Error::Conflict { id: id.to_owned() });
        match write {
            Write::Put { row, expected: None, .. } => {
                if self.seen(&row.id)? != Seen::Never {
                    return Err(Stop::Refused(Error::Exists { id: row.id.clone() }));
                }
                self.becomes(&row.id, Seen::Version(row.version));
            }
            Write::Put { row, expected: Some(version), .. } => {
                if self.seen(&row.id)? != Seen::Version(*version) {
                    return Err(conflict(&row.id));
                }
                self.becomes(&row.id, Seen::Version(row.version));
            }
            Write::Remove { id, expected } => {
                if self.seen(id)? != Seen::Version(*expected) {
                    return Err(conflict(id));
                }
                self.becomes(id, Seen::Removed);
            }
            Write::PutGrant(Grant { id, .. }) => {
                if !matches!(self.seen(id)?, Seen::Version(_)) {
                    return Err(conflict(id));
                }
            }
            Write::PutUsage { id, sealed, expected, .. } => {
                if !matches!(self.seen(id)?, Seen::Version(_))
                    || !self.usage_is(id, expected.as_deref())?
                {
                    return Err(conflict(id));
                }
                if self.several {
                    self.usage.insert(id, sealed);
                }
            }
            Write::ApiTokens { put, remove, epoch } => {
                return check_api_tokens(self.connection, put, remove, epoch.0);
            }
            Write::Retire { id } => {
                if self.seen(id)? != Seen::Never {
                    return Err(Stop::Refused(Error::Exists { id: id.clone() }));
                }
                self.becomes(id, Seen::Removed);
            }
            Write::RemoveGrant { .. } | Write::Audit(_) => {}
        }
        Ok(())
    }

    fn usage_is(&self, id: &str, expected: Option<&[u8]>) -> Result<bool, Stop> {
        if let Some(sealed) = self.usage.get(id) {
            return Ok(expected == Some(*sealed));
        }
        let mut statement = self
            .connection
            .prepare_cached("SELECT sealed FROM usage WHERE id = ?1")
            .map_err(failed)?;
        let now: Option<Vec<u8>> =
            statement.query_row([id], |row| row.get(0)).optional().map_err(failed)?;
        Ok(now.as_deref() == expected)
    }
}

/// Whether nobody has changed the tokens since they were read, and no name is taken.
fn check_api_tokens(
    connection: &Connection,
    put: &[ApiToken],
    remove: &[String],
    epoch: u64,
) -> Result<(), Stop> {
    const SQL: &str = "SELECT id FROM api_tokens WHERE name = ?1 AND id <> ?2";
    if read::api_token_epoch(connection).map_err(Stop::Failed)? != epoch {
        return Err(Stop::Refused(Error::Conflict { id: "api_tokens".to_owned() }));
    }
    let mut statement = connection.prepare_cached(SQL).map_err(failed)?;
    for token in put {
        let other: Option<String> = statement
            .query_row([&token.name, &token.id], |row| row.get(0))
            .optional()
            .map_err(failed)?;
        if other.is_some_and(|other| !remove.contains(&other)) {
            return Err(Stop::Refused(Error::Exists { id: token.name.clone() }));
        }
    }
    Ok(())
}

/// Writes the rows of a commit that was checked. New objects take the places from `next` on; the
/// place of each put is added to `seqs`.
pub(super) fn apply(
    connection: &Connection,
    commit: &Commit,
    next: &mut i64,
    seqs: &mut Vec<i64>,
) -> Result<(), Error> {
    for write in &commit.writes {
        match write {
            Write::Put { row, index, expected: None } => {
                insert(connection, *next, row, index).map_err(error)?;
                seqs.push(*next);
                *next += 1;
            }
            Write::Put { row, index, expected: Some(_) } => {
                seqs.push(update(connection, row, index).map_err(error)?);
            }
            Write::PutGrant(grant) => put_grant(connection, grant).map_err(error)?,
            Write::RemoveGrant { id, user } => connection
                .prepare_cached("DELETE FROM read_access WHERE id = ?1 AND userid = ?2")
                .and_then(|mut statement| statement.execute([id, user]))
                .map(drop)
                .map_err(error)?,
            Write::Remove { id, .. } => remove(connection, id).map_err(error)?,
            Write::Retire { id } => retire(connection, id).map_err(error)?,
            Write::Audit(write) => audit::write(connection, write)?,
            Write::ApiTokens { put, remove, epoch } => {
                put_api_tokens(connection, put, remove, epoch.1).map_err(error)?;
            }
            Write::PutUsage { id, sealed, sealed_by, .. } => connection
                .prepare_cached(
                    "INSERT INTO usage (id, sealed, sealed_by) VALUES (?1, ?2, ?3) \
                     ON CONFLICT (id) DO UPDATE SET sealed = excluded.sealed, \
                     sealed_by = excluded.sealed_by",
                )
                .and_then(|mut statement| statement.execute(params![id, sealed, sealed_by]))
                .map(drop)
                .map_err(error)?,
        }
    }
    keyring::apply(connection, &commit.keyring)
}

/// A state has been checked by the writer before the group began; see [`super::write`].
fn state(row: &Row) -> &'static str {
    convert::state_name(row.state).unwrap_or("")
}

fn insert(
    connection: &Connection,
    seq: i64,
    row: &Row,
    index: &[IndexEntry],
) -> rusqlite::Result<()> {
    const SQL: &str = "INSERT INTO objects (seq, id, version, owner, object_type, state, due, \
         material_generation, indexed, object, material, shard, sealed_by) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    let packed = packed(index);
    connection.prepare_cached(SQL)?.execute(params![
        seq,
        row.id,
        row.version.cast_signed(),
        row.owner,
        row.object_type.0,
        state(row),
        row.due,
        row.material_generation,
        packed,
        row.record,
        row.material,
        row.shard,
        row.sealed_by,
    ])?;
    add_entries(connection, seq, convert::unpack(&packed))
}

fn add_entries<'a>(
    connection: &Connection,
    seq: i64,
    entries: impl Iterator<Item = (u32, &'a [u8])>,
) -> rusqlite::Result<()> {
    let mut statement = connection
        .prepare_cached("INSERT INTO object_index (kind, value, seq) VALUES (?1, ?2, ?3)")?;
    for (kind, value) in entries {
        statement.execute(params![kind, value, seq])?;
    }
    Ok(())
}

fn remove_entries<'a>(
    connection: &Connection,
    seq: i64,
    entries: impl Iterator<Item = (u32, &'a [u8])>,
) -> rusqlite::Result<()> {
    let mut statement = connection
        .prepare_cached("DELETE FROM object_index WHERE kind = ?1 AND value = ?2 AND seq = ?3")?;
    for (kind, value) in entries {
        statement.execute(params![kind, value, seq])?;
    }
    Ok(())
}

/// Replaces an object; returns its place.
fn update(connection: &Connection, row: &Row, index: &[IndexEntry]) -> rusqlite::Result<i64> {
    // The first leaves the indexed columns alone, so that their indexes are not written again.
    const SEALED: &str = "UPDATE objects SET version = ?2, material_generation = ?3, object = ?4, \
         material = ?5, sealed_by = ?6 WHERE seq = ?1";
    const WHOLE: &str = "UPDATE objects SET version = ?2, material_generation = ?3, object = ?4, \
         material = ?5, sealed_by = ?6, owner = ?7, object_type = ?8, state = ?9, due = ?10, \
         indexed = ?11 WHERE seq = ?1";
    let packed = packed(index);
    let (seq, before, same): (i64, Vec<u8>, bool) = connection
        .prepare_cached(
            "SELECT seq, indexed, owner = ?2 AND object_type = ?3 AND state = ?4 AND due IS ?5 \
             FROM objects WHERE id = ?1",
        )?
        .query_row(params![row.id, row.owner, row.object_type.0, state(row), row.due], |found| {
            Ok((found.get(0)?, found.get(1)?, found.get(2)?))
        })?;
    let (version, generation) = (row.version.cast_signed(), row.material_generation);
    if same && before == packed {
        connection.prepare_cached(SEALED)?.execute(params![
            seq,
            version,
            generation,
            row.record,
            row.material,
            row.sealed_by
        ])?;
        return Ok(seq);
    }
    connection.prepare_cached(WHOLE)?.execute(params![
        seq,
        version,
        generation,
        row.record,
        row.material,
        row.sealed_by,
        row.owner,
        row.object_type.0,
        state(row),
        row.due,
        packed,
    ])?;
    if before != packed {
        change_entries(connection, seq, &before, &packed)?;
    }
    Ok(seq)
}

/// Both lists are sorted; what stands in both stays.
fn change_entries(
    connection: &Connection,
    seq: i64,
    before: &[u8],
    after: &[u8],
) -> rusqlite::Result<()> {
    let mut old: Vec<_> = convert::unpack(before).collect();
    let mut new: Vec<_> = convert::unpack(after).collect();
    let kept: Vec<_> =
        old.iter().copied().filter(|entry| new.binary_search(entry).is_ok()).collect();
    old.retain(|entry| kept.binary_search(entry).is_err());
    new.retain(|entry| kept.binary_search(entry).is_err());
    remove_entries(connection, seq, old.into_iter())?;
    add_entries(connection, seq, new.into_iter())
}

fn put_grant(connection: &Connection, grant: &Grant) -> rusqlite::Result<()> {
    const SQL: &str = concat!(
        "INSERT INTO read_access (",
        convert::grant_columns!(),
        ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id, userid) DO UPDATE SET \
         permissions = excluded.permissions, expires = excluded.expires, note = excluded.note, \
         mac = excluded.mac, sealed_by = excluded.sealed_by"
    );
    let Grant { id, user, permissions, expires, note, mac, sealed_by } = grant;
    connection
        .prepare_cached(SQL)?
        .execute(params![id, user, permissions, expires, note, mac, sealed_by])
        .map(drop)
}

fn put_api_tokens(
    connection: &Connection,
    put: &[ApiToken],
    remove: &[String],
    epoch: u64,
) -> rusqlite::Result<()> {
    const PUT: &str = concat!(
        "INSERT OR REPLACE INTO api_tokens (",
        api_token_columns!(),
        ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
    );
    for id in remove {
        connection.prepare_cached("DELETE FROM api_tokens WHERE id = ?1")?.execute([id])?;
    }
    let mut statement = connection.prepare_cached(PUT)?;
    for ApiToken { id, name, user, hash, created, expires, revoked, mac, sealed_by } in put {
        let values = params![id, name, user, hash, created, expires, revoked, mac, sealed_by];
        statement.execute(values)?;
    }
    connection
        .prepare_cached(
            "INSERT INTO meta (key, value) VALUES ('api_token_epoch', ?1) \
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )?
        .execute([epoch.to_string()])
        .map(drop)
}

fn remove(connection: &Connection, id: &str) -> rusqlite::Result<()> {
    let (seq, indexed): (i64, Vec<u8>) = connection
        .prepare_cached("SELECT seq, indexed FROM objects WHERE id = ?1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    remove_entries(connection, seq, convert::unpack(&indexed))?;
    connection.prepare_cached("DELETE FROM objects WHERE seq = ?1")?.execute([seq])?;
    connection.prepare_cached("DELETE FROM read_access WHERE id = ?1")?.execute([id])?;
    connection.prepare_cached("DELETE FROM usage WHERE id = ?1")?.execute([id])?;
    retire(connection, id)
}

fn retire(connection: &Connection, id: &str) -> rusqlite::Result<()> {
    connection.prepare_cached("INSERT INTO tombstones (id) VALUES (?1)")?.execute([id]).map(drop)
}
