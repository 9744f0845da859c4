//! A commit row by row, for databases that take no lists; and what of a commit is not about objects,
//! for all.
//!
//! It runs in a transaction, or it is one statement. Objects come in the order of their identifiers,
//! so that two commits never wait for each other in a circle.

use std::collections::HashMap;

use super::Server;
use super::audit::signed;
use super::driver::Value;
use super::effect::{After, Effect, Old, Tokens, difference};
use super::failure::Failure;
use super::query::Query;
use super::read::{API_TOKEN_EPOCH, BY_NOTHING, REMOVED};
use super::write::{Places, Session, Stop, conflict, exists};
use crate::audit::{AuditChange, AuditEpoch, AuditHead, AuditWrite};
use crate::backend::convert::unpack;
use crate::backend::statement::Statement;
use crate::record::ApiToken;

/// The most index entries in one statement.
const ENTRIES: usize = 64;
/// The most lines of a log in one statement.
const LINES: usize = 100;

/// Whether a commit is one statement.
pub(super) fn is_one(effect: &Effect<'_>, old: &HashMap<&str, Old>) -> bool {
    let mut statements = effect.grants.len() + effect.changes.len() + effect.absent().count();
    statements += effect.checked().count();
    for (_, after) in effect.created() {
        let has_entries = matches!(after, After::Put { indexed, .. } if !indexed.is_empty());
        statements += 1 + usize::from(has_entries);
    }
    for (id, _, after) in effect.replaced() {
        let before = old.get(id).map_or(&[][..], |old| &old.indexed);
        statements += match after {
            After::Put { indexed, .. } => 1 + usize::from(before != indexed),
            _ => 4,
        };
    }
    statements + effect.usage.len() + count_more(effect) <= 1
}

/// How many statements all that is not about objects takes, counted no further than it matters.
pub(super) fn count_more(effect: &Effect<'_>) -> usize {
    let of_audit = |write: &&AuditWrite| match write {
        AuditWrite::Lines { lines, .. } => lines.len().div_ceil(LINES),
        _ => 1,
    };
    2 * effect.tokens.len() + effect.audit.iter().map(of_audit).sum::<usize>()
}

impl Server {
    /// Makes what concerns objects.
    pub(super) async fn by_rows(
        &self,
        session: &mut Session<'_>,
        effect: &Effect<'_>,
        old: &HashMap<&str, Old>,
    ) -> Result<Places, Stop> {
        let mut made = Places::new();
        let (mut taken, mut added) = (Vec::new(), Vec::new());
        for (id, after) in effect.created() {
            let seq = insert(session, id, after).await?;
            made.insert(id.to_owned(), seq);
            if let After::Put { indexed, .. } = after {
                added.extend(unpack(indexed).map(|(kind, value)| (i64::from(kind), value, seq)));
            }
        }
        for (id, version, after) in effect.replaced() {
            let old = old.get(id);
            replace(session, id, version, after, old).await?;
            let now = match after {
                After::Put { indexed, .. } => indexed.as_slice(),
                _ => &[],
            };
            let (before, seq) = old.map_or((&[][..], 0), |old| (&old.indexed, old.seq));
            let [gone, come] = difference(before, now);
            taken.extend(gone.into_iter().map(|(kind, value)| (kind, value, seq)));
            added.extend(come.into_iter().map(|(kind, value)| (kind, value, seq)));
        }
        take_entries(session, &taken).await?;
        add_entries(session, &added).await?;
        check(session, effect).await?;
        beside(session, effect).await?;
        Ok(made)
    }
}

/// The values of an object's columns behind its identifier.
fn values<'a>(id: &'a str, after: &'a After<'a>) -> [Value<'a>; 12] {
    let After::Put { row, state, indexed } = after else {
        return [
            Value::Text(id),
            Value::Int(REMOVED),
            Value::Text(""),
            Value::Int(0),
            Value::Text("Removed"),
            Value::MaybeInt(None),
            Value::Int(0),
            Value::Int(0),
            Value::Int(BY_NOTHING),
            Value::Bytes(&[]),
            Value::Bytes(&[]),
            Value::MaybeBytes(None),
        ];
    };
    [
        Value::Text(id),
        Value::Int(row.version.cast_signed()),
        Value::Text(&row.owner),
        Value::Int(row.object_type.0.into()),
        Value::Text(state),
        Value::MaybeInt(row.due),
        Value::Int(row.material_generation.into()),
        Value::Int(row.shard.into()),
        Value::Int(row.sealed_by.into()),
        Value::Bytes(indexed),
        Value::Bytes(&row.record),
        Value::MaybeBytes(row.material.as_deref()),
    ]
}

async fn insert(session: &mut Session<'_>, id: &str, after: &After<'_>) -> Result<i64, Stop> {
    let sql = Statement::Insert.of(session.dialect);
    match session.change(sql, &values(id, after)).await {
        Ok((_, seq)) => Ok(seq),
        Err(Stop::Failed(Failure::Duplicate(_))) => Err(exists(id)),
        Err(stop) => Err(stop),
    }
}

async fn replace(
    session: &mut Session<'_>,
    id: &str,
    version: u64,
    after: &After<'_>,
    old: Option<&Old>,
) -> Result<(), Stop> {
    let [name, rest @ ..] = values(id, after);
    let expected = Value::Int(version.cast_signed());
    let changed = if let After::Put { row, .. } = after {
        let [version, owner, kind, state, due, generation, _, sealed_by, indexed, record, material] =
            rest;
        if old.is_some_and(|old| old.keeps_material(row)) {
            let values =
                [name, expected, version, owner, kind, state, due, sealed_by, indexed, record];
            session.run(Statement::UpdateRecord, &values).await?
        } else {
            let values = [
                name, expected, version, owner, kind, state, due, generation, sealed_by, indexed,
                record, material,
            ];
            session.run(Statement::Update, &values).await?
        }
    } else {
        let emptied = session.run(Statement::Empty, &[name, expected]).await?;
        session.run(Statement::RemoveGrants, &[name]).await?;
        session.run(Statement::RemoveUsage, &[name]).await?;
        emptied
    };
    if changed == 1 { Ok(()) } else { Err(conflict(id)) }
}

/// An entry of the index.
type Entry<'a> = (i64, &'a [u8], i64);

async fn add_entries(session: &mut Session<'_>, entries: &[Entry<'_>]) -> Result<(), Stop> {
    for entries in entries.chunks(ENTRIES) {
        let mut query = Query::default();
        query.add("INSERT INTO object_index (kind, \"value\", seq) VALUES ", &[]);
        for (number, (kind, value, seq)) in entries.iter().enumerate() {
            query.add(if number > 0 { ", " } else { "" }, &[]);
            let values = [Value::Int(*kind), Value::Bytes(value), Value::Int(*seq)];
            query.add("(?1, ?2, ?3)", &values);
        }
        session.change(&query.spell(session.dialect), &query.values).await?;
    }
    Ok(())
}

async fn take_entries(session: &mut Session<'_>, entries: &[Entry<'_>]) -> Result<(), Stop> {
    for entries in entries.chunks(ENTRIES) {
        let mut query = Query::default();
        query.add("DELETE FROM object_index WHERE ", &[]);
        for (number, (kind, value, seq)) in entries.iter().enumerate() {
            query.add(if number > 0 { " OR " } else { "" }, &[]);
            let values = [Value::Int(*kind), Value::Bytes(value), Value::Int(*seq)];
            query.add("(kind = ?1 AND \"value\" = ?2 AND seq = ?3)", &values);
        }
        session.change(&query.spell(session.dialect), &query.values).await?;
    }
    Ok(())
}

/// What is only looked at.
async fn check(session: &mut Session<'_>, effect: &Effect<'_>) -> Result<(), Stop> {
    let sql = Statement::Check.of(session.dialect);
    for (id, version) in effect.checked() {
        let now = session.numbers(sql, &[Value::Text(id)], 0).await?.pop();
        let right = now.is_some_and(|now| {
            now >= 0 && version.is_none_or(|version| version.cast_signed() == now)
        });
        if !right {
            return Err(conflict(id));
        }
    }
    for id in effect.absent() {
        let now = session.numbers(sql, &[Value::Text(id)], 0).await?.pop();
        if now.is_some_and(|now| now >= 0) {
            return Err(conflict(id));
        }
    }
    Ok(())
}

/// What stands beside the objects.
async fn beside(session: &mut Session<'_>, effect: &Effect<'_>) -> Result<(), Stop> {
    for ((id, user), grant) in &effect.grants {
        let (id, user) = (Value::Text(id), Value::Text(user));
        match grant {
            Some(grant) => {
                let values = [
                    id,
                    user,
                    Value::Text(&grant.permissions),
                    Value::MaybeInt(grant.expires),
                    Value::MaybeText(grant.note.as_deref()),
                    Value::Bytes(&grant.mac),
                    Value::Int(grant.sealed_by.into()),
                ];
                session.run(Statement::PutGrant, &values).await?;
            }
            None => drop(session.run(Statement::RemoveGrant, &[id, user]).await?),
        }
    }
    for (id, usage) in &effect.usage {
        let (name, sealed) = (Value::Text(id), Value::Bytes(usage.sealed));
        let by = Value::Int(usage.sealed_by.into());
        let changed = match usage.expected {
            None => session.run(Statement::AddUsage, &[name, sealed, by]).await,
            Some(expected) => {
                session.run(Statement::PutUsage, &[name, sealed, by, Value::Bytes(expected)]).await
            }
        };
        match changed {
            Ok(1) => {}
            Ok(_) | Err(Stop::Failed(Failure::Duplicate(_))) => return Err(conflict(id)),
            Err(stop) => return Err(stop),
        }
    }
    for change in &effect.changes {
        add_change(session, change).await?;
    }
    Ok(())
}

/// What is not about objects.
pub(super) async fn more(session: &mut Session<'_>, effect: &Effect<'_>) -> Result<(), Stop> {
    for tokens in &effect.tokens {
        put_tokens(session, tokens).await?;
    }
    for write in &effect.audit {
        put_audit(session, write).await?;
    }
    Ok(())
}

/// Keeps the record of a change.
pub(super) async fn add_change(
    session: &mut Session<'_>,
    change: &AuditChange,
) -> Result<(), Stop> {
    let AuditChange { server, epoch, number, at, body, mac, sealed_by } = change;
    let values = [
        Value::Text(server),
        Value::Int(signed(*epoch)),
        Value::Int(signed(*number)),
        Value::Int(signed(*at)),
        Value::Bytes(body),
        Value::Bytes(mac),
        Value::Int((*sealed_by).into()),
    ];
    session.run(Statement::AddAuditChange, &values).await.map(drop)
}

async fn put_tokens(session: &mut Session<'_>, tokens: &Tokens<'_>) -> Result<(), Stop> {
    let (read, written) = (tokens.epoch.0.to_string(), tokens.epoch.1.to_string());
    let (key, written) = (Value::Text(API_TOKEN_EPOCH), Value::Text(&written));
    let epoch = match tokens.epoch.0 {
        0 => session.run(Statement::AddMeta, &[key, written]).await,
        _ => session.run(Statement::PutMeta, &[key, written, Value::Text(&read)]).await,
    };
    match epoch {
        Ok(1) => {}
        Ok(_) | Err(Stop::Failed(Failure::Duplicate(_))) => return Err(conflict("api_tokens")),
        Err(stop) => return Err(stop),
    }
    for id in tokens.remove {
        session.run(Statement::RemoveApiToken, &[Value::Text(id)]).await?;
    }
    for ApiToken { id, name, user, hash, created, expires, revoked, mac, sealed_by } in tokens.put {
        let values = [
            Value::Text(id),
            Value::Text(name),
            Value::Text(user),
            Value::Bytes(hash),
            Value::Int(*created),
            Value::MaybeInt(*expires),
            Value::MaybeInt(*revoked),
            Value::Bytes(mac),
            Value::Int((*sealed_by).into()),
        ];
        let mut put = session.run(Statement::PutApiToken, &values).await;
        if matches!(put, Ok(0)) {
            put = session.run(Statement::AddApiToken, &values).await;
        }
        match put {
            Ok(_) => {}
            Err(Stop::Failed(Failure::Duplicate(_))) => return Err(exists(name)),
            Err(stop) => return Err(stop),
        }
    }
    Ok(())
}

async fn put_audit(session: &mut Session<'_>, write: &AuditWrite) -> Result<(), Stop> {
    match write {
        // Among what concerns objects.
        AuditWrite::Change(_) => Ok(()),
        AuditWrite::Copied { server, epoch, from, to } => {
            let [epoch, from, to] = [epoch, from, to].map(|it| Value::Int(signed(*it)));
            let values = [Value::Text(server), epoch, from, to];
            session.run(Statement::RemoveAuditChanges, &values).await.map(drop)
        }
        AuditWrite::Epoch(AuditEpoch { server, epoch, first, head, sealed, sealed_by }) => {
            let by = Value::Int((*sealed_by).into());
            let [epoch, first, head] = [epoch, first, head].map(|it| Value::Int(signed(*it)));
            let values = [Value::Text(server), epoch, first, head, Value::Bytes(sealed), by];
            session.run(Statement::AddAuditEpoch, &values).await.map(drop)
        }
        AuditWrite::Head(AuditHead { server, epoch, seq, chain, mac, sealed_by }) => {
            let by = Value::Int((*sealed_by).into());
            let [epoch, seq] = [epoch, seq].map(|it| Value::Int(signed(*it)));
            let values =
                [Value::Text(server), epoch, seq, Value::Bytes(chain), Value::Bytes(mac), by];
            session.run(Statement::PutAuditHead, &values).await.map(drop)
        }
        AuditWrite::ResealEpoch { row, before } => {
            let values = [
                Value::Text(&row.server),
                Value::Int(signed(row.epoch)),
                Value::Bytes(&row.sealed),
                Value::Int(row.sealed_by.into()),
                Value::Bytes(before),
            ];
            session.run(Statement::ResealAuditEpoch, &values).await.map(drop)
        }
        AuditWrite::ResealHead { head, before } => {
            let (mac, by) = (Value::Bytes(&head.mac), Value::Int(head.sealed_by.into()));
            let values = [Value::Text(&head.server), mac, by, Value::Bytes(before)];
            session.run(Statement::ResealAuditHead, &values).await.map(drop)
        }
        AuditWrite::ResealChange { change, before } => {
            let values = [
                Value::Text(&change.server),
                Value::Int(signed(change.epoch)),
                Value::Int(signed(change.number)),
                Value::Bytes(&change.mac),
                Value::Int(change.sealed_by.into()),
                Value::Bytes(before),
            ];
            session.run(Statement::ResealAuditChange, &values).await.map(drop)
        }
        AuditWrite::Lines { server, lines } => {
            for lines in lines.chunks(LINES) {
                let mut query = Query::default();
                query.add("INSERT INTO audit_log (server, seq, line) VALUES ", &[]);
                for (number, (seq, line)) in lines.iter().enumerate() {
                    query.add(if number > 0 { ", " } else { "" }, &[]);
                    let seq = Value::Int(signed(*seq));
                    query.add("(?1, ?2, ?3)", &[Value::Text(server), seq, Value::Bytes(line)]);
                }
                // A line that was tried before, with an unknown fate, is the same line.
                query.add(" {upsert (server, seq) line}", &[]);
                session.change(&query.spell(session.dialect), &query.values).await?;
            }
            Ok(())
        }
    }
}
