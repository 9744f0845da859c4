//! Searching: the most selective condition leads through an index, and the database filters what it
//! finds; a page is as a rule one round trip.
//!
//! It must not know what the values of index entries mean. Which condition leads is decided here,
//! by counting a little in each index, and written so that the database has no other choice: what
//! it believes of a table can be old, and a wrong guess reads all of it.

use std::sync::Arc;
use std::time::Duration;

use kmip::enumerations::State;

use super::Server;
use super::driver::{Row, Value};
use super::query::Query;
use super::read::{self, column, whole};
use crate::Error;
use crate::backend::convert::{state_name, unpack};
use crate::backend::statement::Statement;
use crate::cache::Ticket;
use crate::record::{Cached, Condition, EVERYONE, Search};

/// The longest list of places that leads, and the most rows counted to compare conditions. One more
/// shows that a list would be too long; the number stands in the texts below.
const LIST: i64 = 20_000;
/// The most rows that are looked at in one step.
const STEP: usize = 512;
/// Pages up to this length go into the cache.
const KEPT_PAGE: usize = 8;
/// How long a step may take.
const SCAN: Duration = Duration::from_mins(1);

/// The columns of a page, as [`read::object`] reads them: sealed material of more than 64 KiB is
/// left out, and a further column says so.
macro_rules! page_columns {
    () => {
        "o.version, o.owner, o.object_type, o.state, o.due, o.material_generation, o.shard, \
         o.sealed_by, o.indexed, o.object, CASE WHEN length(o.material) > 65536 THEN NULL ELSE o.material END, \
         CASE WHEN length(o.material) > 65536 THEN o.seq END, o.id"
    };
}

/// Places in a row of a page, behind those of an object.
const LEFT_OUT: usize = column::MORE;
const ID: usize = column::MORE + 1;

/// What leads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Lead<'a> {
    Equal(&'a Condition),
    Range(&'a Condition),
    States(&'a [State], i64),
    Type(u32),
    Owner(&'a str),
    Visible(&'a str),
    All,
}

impl<'a> Lead<'a> {
    /// All that can lead, and whether one is so good that nothing is counted.
    pub(super) fn all(search: &'a Search) -> (Vec<Self>, bool) {
        let (equal, ranges): (Vec<_>, Vec<_>) =
            search.index.iter().partition(|condition| condition.low == condition.high);
        // An only equality is the most selective by far, or at least read in order.
        if let [only] = equal.as_slice() {
            return (vec![Self::Equal(only)], true);
        }
        let mut leads: Vec<_> = equal.into_iter().map(Self::Equal).collect();
        leads.extend(ranges.into_iter().map(Self::Range));
        leads.extend(search.states.as_ref().map(|(states, now)| Self::States(states, *now)));
        leads.extend(search.object_type.map(|kind| Self::Type(kind.0)));
        leads.extend(search.owner.as_deref().map(Self::Owner));
        leads.extend(search.visible_to.as_deref().map(Self::Visible));
        let decided = match leads.as_slice() {
            [] => {
                leads.push(Self::All);
                true
            }
            [only] => matches!(only, Self::Owner(_) | Self::Type(_)),
            _ => false,
        };
        (leads, decided)
    }

    /// Adds how many rows it has: each count is a column, and whether it may be as large as it
    /// likes, because it is read in order.
    pub(super) fn count(self, query: &mut Query<'a>, columns: &mut Vec<bool>, after: i64) {
        let mut add = |statement: Statement, values: &[Value<'a>], in_order: bool| {
            query.add(if columns.is_empty() { "(" } else { ", (" }, &[]);
            let rest = [Value::Int(after), Value::Int(LIST + 1)];
            query.add(statement.template(), &[values, rest.as_slice()].concat()).add(")", &[]);
            columns.push(in_order);
        };
        match self {
            Self::Equal(Condition { kind, low, .. }) => {
                let values = [Value::Int(i64::from(*kind)), Value::Bytes(low)];
                add(Statement::CountEqual, &values, true);
            }
            Self::Range(Condition { kind, low, high }) => {
                let values = [Value::Int(i64::from(*kind)), Value::Bytes(low), Value::Bytes(high)];
                add(Statement::CountRange, &values, false);
            }
            Self::States(states, now) => {
                add(Statement::CountDue, &[Value::Int(now)], false);
                for state in states {
                    let name = state_name(*state).unwrap_or_default();
                    add(Statement::CountState, &[Value::Text(name)], true);
                }
            }
            Self::Type(kind) => add(Statement::CountType, &[Value::Int(kind.into())], true),
            Self::Owner(owner) => add(Statement::CountOwner, &[Value::Text(owner)], true),
            Self::Visible(user) => {
                add(Statement::CountOwner, &[Value::Text(user)], true);
                let values = [Value::Text(user), Value::Text(EVERYONE)];
                add(Statement::CountGranted, &values, false);
            }
            Self::All => {}
        }
    }

    /// Adds what yields its places, some after a place, in ascending order.
    fn places(self, query: &mut Query<'a>, after: i64, limit: i64) {
        let (after, limit) = (Value::Int(after), Value::Int(limit));
        match self {
            Self::Equal(Condition { kind, low, .. }) => {
                let values = [Value::Int(i64::from(*kind)), Value::Bytes(low), after, limit];
                query.add(
                    "SELECT seq FROM object_index WHERE kind = ?1 AND \"value\" = ?2 \
                     AND seq > ?3 ORDER BY seq LIMIT ?4",
                    &values,
                );
            }
            Self::Range(Condition { kind, low, high }) => {
                let (low, high) = (Value::Bytes(low), Value::Bytes(high));
                query.add(
                    "SELECT DISTINCT seq FROM (SELECT seq FROM object_index WHERE kind = ?1 \
                     AND \"value\" >= ?2 AND \"value\" <= ?3 LIMIT 20001) r WHERE seq > ?4 \
                     ORDER BY seq LIMIT ?5",
                    &[Value::Int(i64::from(*kind)), low, high, after, limit],
                );
            }
            Self::States(states, now) => {
                query.add(DUE, &[Value::Int(now), after, limit]);
                for state in states {
                    let name = Value::Text(state_name(*state).unwrap_or_default());
                    query.add(" UNION SELECT seq FROM (", &[]);
                    query.add(STATE, &[name, after, limit]).add(") s", &[]);
                }
                query.add(") u ORDER BY seq LIMIT ?1", &[limit]);
            }
            Self::Type(kind) => {
                query.add(TYPE, &[Value::Int(kind.into()), after, limit]);
            }
            Self::Owner(owner) => {
                query.add(OWNER, &[Value::Text(owner), after, limit]);
            }
            Self::Visible(user) => {
                query.add("SELECT seq FROM (SELECT seq FROM (", &[]);
                query.add(OWNER, &[Value::Text(user), after, limit]);
                let values = [Value::Text(user), Value::Text(EVERYONE), after, limit];
                query.add(GRANTED, &values);
            }
            Self::All => {
                query.add(
                    "SELECT seq FROM objects WHERE seq > ?1 ORDER BY seq LIMIT ?2",
                    &[after, limit],
                );
            }
        }
    }
}

/// Places by the index of states.
const STATE: &str = "SELECT seq FROM objects {index objects_state} \
     WHERE state = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
const TYPE: &str = "SELECT seq FROM objects {index objects_type} \
     WHERE object_type = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
const OWNER: &str = "SELECT seq FROM objects {index objects_owner} \
     WHERE owner = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
/// The beginning of a union: what is due is gathered, then sorted.
const DUE: &str = "SELECT seq FROM (SELECT seq FROM (SELECT d.seq FROM (SELECT seq FROM objects \
     {index objects_due} WHERE due IS NOT NULL AND due <= ?1 LIMIT 20001) d \
     WHERE d.seq > ?2 ORDER BY d.seq LIMIT ?3) e";
/// The end of a union: what was granted is gathered, then sorted.
const GRANTED: &str = ") w UNION SELECT seq FROM (SELECT o.seq FROM (SELECT id FROM read_access \
     WHERE userid IN (?1, ?2) LIMIT 20001) g {join} objects o ON o.id = g.id \
     WHERE o.seq + 0 > ?3 ORDER BY o.seq LIMIT ?4) v) u ORDER BY seq LIMIT ?4";

/// What an object has to meet beside the lead. Written as one value, so that the database does not
/// take a part of it for a way to begin.
fn filter<'a>(query: &mut Query<'a>, search: &'a Search, lead: Lead<'a>) {
    query.add(" AND CASE WHEN o.version >= 0", &[]);
    if let Some(owner) = &search.owner {
        query.add(" AND o.owner = ?1", &[Value::Text(owner)]);
    }
    if let Some(kind) = search.object_type {
        query.add(" AND o.object_type = ?1", &[Value::Int(kind.0.into())]);
    }
    if let Some((states, now)) = &search.states {
        query.add(" AND (coalesce(o.due <= ?1, 1 = 0)", &[Value::Int(*now)]);
        for state in states {
            let name = Value::Text(state_name(*state).unwrap_or_default());
            query.add(" OR o.state = ?1", &[name]);
        }
        query.add(")", &[]);
    }
    for condition in &search.index {
        if condition.low == condition.high && lead != Lead::Equal(condition) {
            query.add(
                " AND EXISTS (SELECT 1 FROM object_index x WHERE x.kind = ?1 \
                 AND x.\"value\" = ?2 AND x.seq = o.seq)",
                &[Value::Int(condition.kind.into()), Value::Bytes(&condition.low)],
            );
        }
    }
    if let Some(user) = &search.visible_to {
        query.add(
            " AND (o.owner = ?1 OR EXISTS (SELECT 1 FROM read_access g WHERE g.id = o.id \
             AND g.userid IN (?1, ?2)))",
            &[Value::Text(user), Value::Text(EVERYONE)],
        );
    }
    query.add(" THEN 1 ELSE 0 END = 1", &[]);
}

/// One step of a page: the places of the lead, and the rows of those that meet the conditions.
pub(super) fn step<'a>(search: &'a Search, lead: Lead<'a>, after: i64, limit: i64) -> Query<'a> {
    let mut query = Query::default();
    query.add(concat!("SELECT l.seq, ", page_columns!(), " FROM ("), &[]);
    lead.places(&mut query, after, limit);
    query.add(") l LEFT JOIN objects o ON o.seq = l.seq", &[]);
    filter(&mut query, search, lead);
    query.add(" ORDER BY l.seq", &[]);
    query
}

/// Whether a row has values in all the ranges; what is equal was looked for by the database.
fn in_ranges(search: &Search, indexed: &[u8]) -> bool {
    let mut ranges = search.index.iter().filter(|condition| condition.low != condition.high);
    ranges.all(|range| {
        unpack(indexed).any(|(kind, value)| {
            kind == range.kind && *range.low <= *value && *value <= *range.high
        })
    })
}

impl Server {
    /// A page by the best way there is.
    pub(super) async fn search(&self, search: &Search) -> Result<Vec<Arc<Cached>>, Error> {
        if search.limit == 0 {
            return Ok(Vec::new());
        }
        if let Some((states, _)) = &search.states {
            states.iter().try_for_each(|state| state_name(*state).map(drop))?;
        }
        let ticket = self.cache.ticket();
        let mut after = search.after.unwrap_or(i64::MIN);
        let Some(lead) = self.lead(search, after).await? else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        let mut limit = search.limit.min(STEP);
        loop {
            let query = step(search, lead, after, whole(limit));
            let rows = self.rows(&query.spell(self.dialect), &query.values, SCAN).await?;
            for row in &rows {
                after = row.int(column::SEQ)?;
                if found.len() < search.limit
                    && !row.is_null(column::VERSION)?
                    && in_ranges(search, row.bytes(column::INDEXED)?)
                {
                    found.push(self.take(row)?);
                }
            }
            if rows.len() < limit || found.len() >= search.limit {
                break;
            }
            limit = STEP;
        }
        if found.len() <= KEPT_PAGE {
            self.keep(&ticket, &mut found);
        }
        Ok(found)
    }

    /// What is overdue.
    pub(super) async fn due(&self, now: i64, limit: usize) -> Result<Vec<Arc<Cached>>, Error> {
        const SQL: &str = concat!(
            "SELECT o.seq, ",
            page_columns!(),
            " FROM objects o {index objects_due} WHERE o.due IS NOT NULL AND o.due <= ?1 \
             ORDER BY o.due LIMIT ?2"
        );
        let values = [Value::Int(now), Value::Int(whole(limit))];
        let rows = self.rows(&self.dialect.spell(SQL), &values, SCAN).await?;
        rows.iter().map(|row| self.take(row)).collect()
    }

    /// The condition with the fewest rows; none if one has no rows at all.
    async fn lead<'a>(&self, search: &'a Search, after: i64) -> Result<Option<Lead<'a>>, Error> {
        let (leads, decided) = Lead::all(search);
        if let (true, Some(lead)) = (decided, leads.first()) {
            return Ok(Some(*lead));
        }
        let mut query = Query::default();
        query.add("SELECT ", &[]);
        let mut columns = Vec::new();
        let ends: Vec<_> = leads
            .iter()
            .map(|lead| {
                lead.count(&mut query, &mut columns, after);
                columns.len()
            })
            .collect();
        let rows = self.rows(&query.spell(self.dialect), &query.values, SCAN).await?;
        let Some(row) = rows.first() else { return Ok(Some(Lead::All)) };
        let mut best = (Lead::All, i64::MAX);
        let mut column = 0;
        for (lead, end) in leads.into_iter().zip(ends) {
            let mut rows = 0;
            for column in column..end {
                let count = row.int(column)?;
                let in_order = columns.get(column).copied().unwrap_or(false);
                // A list that is too long does not lead.
                rows =
                    if count > LIST && !in_order { i64::MAX } else { count.saturating_add(rows) };
            }
            column = end;
            if rows == 0 {
                return Ok(None);
            }
            if rows < best.1 {
                best = (lead, rows);
            }
        }
        Ok(Some(best.0))
    }

    /// The row as the cache has it, or a copy, perhaps without its material.
    fn take(&self, row: &Row) -> Result<Arc<Cached>, Error> {
        let id = row.text(ID)?;
        let version = row.int(column::VERSION)?.cast_unsigned();
        if let Some(known) = self.cache.known(id, version)
            && row.bytes(column::OBJECT)? == known.row.record
        {
            return Ok(known);
        }
        let cached = read::object(row, id)?;
        Ok(Arc::new(if row.is_null(LEFT_OUT)? { cached } else { cached.without_material() }))
    }

    fn keep(&self, ticket: &Ticket, found: &mut [Arc<Cached>]) {
        for row in found.iter_mut().filter(|row| !row.is_partial()) {
            *row = self.cache.loaded(ticket, Arc::clone(row));
        }
    }
}
