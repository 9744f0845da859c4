//! Searching: the most selective condition leads through an index, the others filter what it finds.
//!
//! It must not know what the values of index entries mean.
//!
//! A condition leads either as a *stream*, whose index yields rows by ascending place and stops
//! when the page is full, or as a *list* of places, gathered and sorted first; a list that grows
//! too long is given up for another way.

use std::sync::Arc;

use kmip::enumerations::{ObjectType, State};
use rusqlite::types::Value;
use rusqlite::{CachedStatement, Connection, params, params_from_iter};

use super::convert::{self, column, error, page_columns};
use crate::Error;
use crate::cache::{Cache, Ticket};
use crate::record::{Cached, Condition, EVERYONE, Search};

/// The longest list of places, and the most rows counted to compare conditions.
const LIST: i64 = 20_000;
/// One more, which shows that a list would be too long.
const TOO_LONG: i64 = LIST + 1;
/// So few rows are not worth looking for a better way.
const FEW: usize = 64;
/// The longest page that is read where it is asked for, and the most rows looked at for it.
const QUICK_PAGE: usize = 64;
const QUICK_ROWS: usize = 256;
/// Pages up to this length go into the cache.
const KEPT_PAGE: usize = 8;

/// A way to rows by ascending place.
#[derive(Clone, Debug, PartialEq)]
enum Way {
    Equal {
        kind: u32,
        value: Vec<u8>,
    },
    Owner(String),
    State(State),
    Type(ObjectType),
    All,
    /// Sorted, each once.
    List(Vec<i64>),
}

/// Ways whose rows together are all candidates, and about how many rows they have.
#[derive(Debug)]
struct Plan {
    ways: Vec<Way>,
    rows: usize,
}

/// Whether the search can be read where it is asked for.
pub(super) fn is_quick(search: &Search) -> bool {
    search.limit <= QUICK_PAGE && single_equal(search).is_some()
}

/// The only equality, if there is only one.
fn single_equal(search: &Search) -> Option<&Condition> {
    let mut equal = search.index.iter().filter(|condition| condition.low == condition.high);
    equal.next().filter(|_| equal.next().is_none())
}

/// A page by one equality; none if it takes too long.
pub(super) fn quick(
    connection: &Connection,
    cache: &Cache,
    search: &Search,
) -> Result<Option<Vec<Arc<Cached>>>, Error> {
    let Some(condition) = single_equal(search) else { return Ok(None) };
    let way = Way::Equal { kind: condition.kind, value: condition.low.clone() };
    let mut page = Page::new(connection, cache, search);
    page.budget = QUICK_ROWS;
    page.follow(&way)?;
    if page.budget == 0 {
        return Ok(None);
    }
    Ok(Some(page.finish()))
}

/// A page by the best way there is.
pub(super) fn run(
    connection: &Connection,
    cache: &Cache,
    search: &Search,
) -> Result<Vec<Arc<Cached>>, Error> {
    // All statements of a page have to see the same moment.
    let moment = connection.unchecked_transaction().map_err(error)?;
    let plan = plan(connection, search)?;
    let mut page = Page::new(connection, cache, search);
    for way in &plan.ways {
        page.follow(way)?;
    }
    let found = page.finish();
    moment.finish().map_err(error)?;
    Ok(found)
}

/// What is overdue.
pub(super) fn due(
    connection: &Connection,
    cache: &Cache,
    now: i64,
    limit: usize,
) -> Result<Vec<Arc<Cached>>, Error> {
    const SQL: &str = concat!(
        "SELECT ",
        page_columns!(),
        " FROM objects o WHERE o.due IS NOT NULL AND o.due <= ?1 ORDER BY o.due LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(SQL).map_err(error)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    convert::collect(&mut statement, [now, limit], |row| take(cache, row))
}

/// The row as the cache has it, or a copy, perhaps without its material.
fn take(cache: &Cache, row: &rusqlite::Row<'_>) -> Result<Arc<Cached>, Error> {
    let version: i64 = convert::get(row, column::VERSION)?;
    if let Some(known) = cache.known(convert::text(row, column::ID)?, version.cast_unsigned()) {
        return Ok(known);
    }
    let left_out = convert::get(row, column::LEFT_OUT)?;
    let seq = convert::get(row, column::SEQ)?;
    let row = convert::row(row)?;
    Ok(Arc::new(if left_out { Cached::partial(seq, row) } else { Cached::new(seq, row) }))
}

// Choosing a way.

fn plan(connection: &Connection, search: &Search) -> Result<Plan, Error> {
    let mut best = Plan { ways: vec![Way::All], rows: usize::MAX };
    let after = search.after.unwrap_or(i64::MIN);
    let (equal, ranges): (Vec<_>, Vec<_>) =
        search.index.iter().partition(|condition| condition.low == condition.high);
    for condition in &equal {
        let way = Way::Equal { kind: condition.kind, value: condition.low.clone() };
        // An only equality leads unseen: it is the most selective by far, or a stream at least.
        let rows = if equal.len() == 1 { FEW } else { count_equal(connection, condition, after)? };
        best.improve(Plan { ways: vec![way], rows });
    }
    for condition in ranges {
        if best.rows > FEW {
            best.improve_by_list(list_range(connection, condition, after)?);
        }
    }
    if let (true, Some((states, now))) = (best.rows > FEW, &search.states) {
        best.improve(by_state(connection, states, *now, after)?);
    }
    if let (true, Some(kind)) = (best.rows > FEW, search.object_type) {
        let rows = count(connection, COUNT_TYPE, params![kind.0, after, LIST])?;
        best.improve(Plan { ways: vec![Way::Type(kind)], rows });
    }
    if let (true, Some(owner)) = (best.rows > FEW, &search.owner) {
        best.improve(by_owner(connection, owner, after)?);
    }
    if let (true, Some(user)) = (best.rows > FEW, &search.visible_to) {
        best.improve(by_visibility(connection, user, after)?);
    }
    Ok(best)
}

impl Plan {
    fn improve(&mut self, other: Plan) {
        if other.rows < self.rows {
            *self = other;
        }
    }

    fn improve_by_list(&mut self, list: Option<Vec<i64>>) {
        if let Some(list) = list {
            self.improve(Plan { rows: list.len(), ways: vec![Way::List(list)] });
        }
    }
}

const COUNT_EQUAL: &str = "SELECT count(*) FROM (SELECT 1 FROM object_index \
     WHERE kind = ?1 AND value = ?2 AND seq > ?3 LIMIT ?4)";
const COUNT_STATE: &str =
    "SELECT count(*) FROM (SELECT 1 FROM objects WHERE state = ?1 AND seq > ?2 LIMIT ?3)";
const COUNT_TYPE: &str =
    "SELECT count(*) FROM (SELECT 1 FROM objects WHERE object_type = ?1 AND seq > ?2 LIMIT ?3)";
const COUNT_OWNER: &str =
    "SELECT count(*) FROM (SELECT 1 FROM objects WHERE owner = ?1 AND seq > ?2 LIMIT ?3)";
const LIST_RANGE: &str = "SELECT seq FROM object_index \
     WHERE kind = ?1 AND value >= ?2 AND value <= ?3 AND seq > ?4 LIMIT ?5";
const LIST_DUE: &str =
    "SELECT seq FROM objects WHERE due IS NOT NULL AND due <= ?1 AND seq > ?2 LIMIT ?3";
const LIST_GRANTED: &str = "SELECT o.seq FROM read_access g CROSS JOIN objects o ON o.id = g.id \
     WHERE g.userid IN (?1, ?2) AND o.seq > ?3 LIMIT ?4";

/// Counts no further than the limit.
fn count(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> Result<usize, Error> {
    let mut statement = connection.prepare_cached(sql).map_err(error)?;
    let rows: i64 = statement.query_row(params, |row| row.get(0)).map_err(error)?;
    Ok(usize::try_from(rows).unwrap_or(usize::MAX))
}

/// Places, sorted; none if there are more than a list may have.
fn list(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> Result<Option<Vec<i64>>, Error> {
    let mut statement = connection.prepare_cached(sql).map_err(error)?;
    let rows = statement.query_map(params, |row| row.get(0)).map_err(error)?;
    let mut places: Vec<i64> = rows.collect::<Result<_, _>>().map_err(error)?;
    if i64::try_from(places.len()).is_ok_and(|length| length > LIST) {
        return Ok(None);
    }
    places.sort_unstable();
    places.dedup();
    Ok(Some(places))
}

fn count_equal(connection: &Connection, equal: &Condition, after: i64) -> Result<usize, Error> {
    count(connection, COUNT_EQUAL, params![equal.kind, equal.low, after, LIST])
}

fn list_range(
    connection: &Connection,
    range: &Condition,
    after: i64,
) -> Result<Option<Vec<i64>>, Error> {
    list(connection, LIST_RANGE, params![range.kind, range.low, range.high, after, TOO_LONG])
}

fn by_state(
    connection: &Connection,
    states: &[State],
    now: i64,
    after: i64,
) -> Result<Plan, Error> {
    let Some(due) = list(connection, LIST_DUE, params![now, after, TOO_LONG])? else {
        return Ok(Plan { ways: vec![Way::All], rows: usize::MAX });
    };
    let mut plan = Plan { rows: due.len(), ways: vec![Way::List(due)] };
    for state in states {
        let name = convert::state_name(*state)?;
        plan.rows += count(connection, COUNT_STATE, params![name, after, LIST])?;
        plan.ways.push(Way::State(*state));
    }
    Ok(plan)
}

fn by_owner(connection: &Connection, owner: &str, after: i64) -> Result<Plan, Error> {
    let rows = count(connection, COUNT_OWNER, params![owner, after, LIST])?;
    Ok(Plan { ways: vec![Way::Owner(owner.to_owned())], rows })
}

fn by_visibility(connection: &Connection, user: &str, after: i64) -> Result<Plan, Error> {
    let granted = list(connection, LIST_GRANTED, params![user, EVERYONE, after, TOO_LONG])?;
    let Some(granted) = granted else {
        return Ok(Plan { ways: vec![Way::All], rows: usize::MAX });
    };
    let mut plan = by_owner(connection, user, after)?;
    plan.rows += granted.len();
    plan.ways.push(Way::List(granted));
    Ok(plan)
}

// Following a way.

const BY_EQUAL: &str = concat!(
    "SELECT ",
    page_columns!(),
    " FROM object_index i CROSS JOIN objects o ON o.seq = i.seq \
     WHERE i.kind = ?1 AND i.value = ?2 AND i.seq > ?3 ORDER BY i.seq"
);
const BY_OWNER: &str = concat!(
    "SELECT ",
    page_columns!(),
    " FROM objects o WHERE o.owner = ?1 AND o.seq > ?2 ORDER BY o.seq"
);
const BY_STATE: &str = concat!(
    "SELECT ",
    page_columns!(),
    " FROM objects o WHERE o.state = ?1 AND o.seq > ?2 ORDER BY o.seq"
);
const BY_TYPE: &str = concat!(
    "SELECT ",
    page_columns!(),
    " FROM objects o WHERE o.object_type = ?1 AND o.seq > ?2 ORDER BY o.seq"
);
const BY_PLACE: &str =
    concat!("SELECT ", page_columns!(), " FROM objects o WHERE o.seq > ?1 ORDER BY o.seq");
const BY_ONE_PLACE: &str = concat!("SELECT ", page_columns!(), " FROM objects o WHERE o.seq = ?1");

/// A page in the making.
struct Page<'a> {
    connection: &'a Connection,
    cache: &'a Cache,
    search: &'a Search,
    ticket: Ticket,
    /// How many rows may still be looked at.
    budget: usize,
    found: Vec<Arc<Cached>>,
}

impl<'a> Page<'a> {
    fn new(connection: &'a Connection, cache: &'a Cache, search: &'a Search) -> Self {
        let ticket = cache.ticket();
        Self { connection, cache, search, ticket, budget: usize::MAX, found: Vec::new() }
    }

    /// Adds the first rows of a way that meet all conditions, as many as the page holds.
    fn follow(&mut self, way: &Way) -> Result<(), Error> {
        let after = self.search.after.unwrap_or(i64::MIN);
        let (sql, params): (&str, Vec<Value>) = match way {
            Way::List(places) => return self.follow_list(places),
            Way::Equal { kind, value } => {
                (BY_EQUAL, vec![i64::from(*kind).into(), value.clone().into(), after.into()])
            }
            Way::Owner(owner) => (BY_OWNER, vec![owner.clone().into(), after.into()]),
            Way::State(state) => {
                (BY_STATE, vec![convert::state_name(*state)?.to_owned().into(), after.into()])
            }
            Way::Type(kind) => (BY_TYPE, vec![i64::from(kind.0).into(), after.into()]),
            Way::All => (BY_PLACE, vec![after.into()]),
        };
        let mut filter = Filter::new(self.connection, self.search)?;
        let mut statement = self.connection.prepare_cached(sql).map_err(error)?;
        let mut rows = statement.query(params_from_iter(params)).map_err(error)?;
        let end = self.found.len() + self.search.limit;
        while self.found.len() < end && self.budget > 0 {
            let Some(row) = rows.next().map_err(error)? else { break };
            self.budget -= 1;
            self.consider(row, &mut filter)?;
        }
        Ok(())
    }

    fn follow_list(&mut self, places: &[i64]) -> Result<(), Error> {
        let mut filter = Filter::new(self.connection, self.search)?;
        let mut statement = self.connection.prepare_cached(BY_ONE_PLACE).map_err(error)?;
        let end = self.found.len() + self.search.limit;
        for place in places {
            if self.found.len() >= end {
                break;
            }
            let mut rows = statement.query([place]).map_err(error)?;
            if let Some(row) = rows.next().map_err(error)? {
                self.consider(row, &mut filter)?;
            }
        }
        Ok(())
    }

    fn consider(&mut self, row: &rusqlite::Row<'_>, filter: &mut Filter<'_>) -> Result<(), Error> {
        if filter.admits(row)? {
            self.found.push(take(self.cache, row)?);
        }
        Ok(())
    }

    /// The first rows of all ways together.
    fn finish(mut self) -> Vec<Arc<Cached>> {
        self.found.sort_by_key(|row| row.seq);
        self.found.dedup_by_key(|row| row.seq);
        self.found.truncate(self.search.limit);
        if self.found.len() <= KEPT_PAGE {
            for row in self.found.iter_mut().filter(|row| !row.is_partial()) {
                *row = self.cache.loaded(&self.ticket, Arc::clone(row));
            }
        }
        self.found
    }
}

/// All conditions of a search, on a row.
struct Filter<'a> {
    search: &'a Search,
    states: Vec<&'static str>,
    granted: Option<(&'a str, CachedStatement<'a>)>,
}

impl<'a> Filter<'a> {
    fn new(connection: &'a Connection, search: &'a Search) -> Result<Self, Error> {
        const GRANTED: &str = "SELECT 1 FROM read_access WHERE id = ?1 AND userid IN (?2, ?3)";
        let states = search.states.as_ref().map_or(&[][..], |(states, _)| states);
        let states =
            states.iter().map(|state| convert::state_name(*state)).collect::<Result<_, _>>()?;
        let granted = match &search.visible_to {
            Some(user) => Some((&**user, connection.prepare_cached(GRANTED).map_err(error)?)),
            None => None,
        };
        Ok(Self { search, states, granted })
    }

    fn admits(&mut self, row: &rusqlite::Row<'_>) -> Result<bool, Error> {
        let owner = convert::text(row, column::OWNER)?;
        if self.search.owner.as_ref().is_some_and(|only| only != owner) {
            return Ok(false);
        }
        if let Some(kind) = self.search.object_type
            && kind.0 != convert::get::<u32>(row, column::OBJECT_TYPE)?
        {
            return Ok(false);
        }
        Ok(self.admits_state(row)? && self.admits_index(row)? && self.admits_user(row, owner)?)
    }

    fn admits_state(&self, row: &rusqlite::Row<'_>) -> Result<bool, Error> {
        let Some((_, now)) = self.search.states else { return Ok(true) };
        if self.states.contains(&convert::text(row, column::STATE)?) {
            return Ok(true);
        }
        let due: Option<i64> = convert::get(row, column::DUE)?;
        Ok(due.is_some_and(|due| due <= now))
    }

    fn admits_index(&self, row: &rusqlite::Row<'_>) -> Result<bool, Error> {
        if self.search.index.is_empty() {
            return Ok(true);
        }
        let indexed = convert::blob(row, column::INDEXED)?;
        Ok(self.search.index.iter().all(|condition| {
            convert::unpack(indexed).any(|(kind, value)| {
                kind == condition.kind && *condition.low <= *value && *value <= *condition.high
            })
        }))
    }

    fn admits_user(&mut self, row: &rusqlite::Row<'_>, owner: &str) -> Result<bool, Error> {
        let Some((user, statement)) = &mut self.granted else { return Ok(true) };
        if *user == owner {
            return Ok(true);
        }
        let id = convert::text(row, column::ID)?;
        statement.exists([id, user, EVERYONE]).map_err(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The steps `SQLite` takes for a statement.
    fn explain(connection: &Connection, sql: &str) -> Vec<String> {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let nulls = vec![Value::Null; statement.parameter_count()];
        let rows = statement.query_map(params_from_iter(nulls), |row| row.get(3)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn no_condition_reads_the_whole_table_or_sorts() {
        let connection = Connection::open_in_memory().unwrap();
        for step in crate::migrate::MIGRATIONS {
            connection.execute_batch(step.text(crate::migrate::Kind::Sqlite)).unwrap();
        }
        let all = [
            BY_EQUAL,
            BY_OWNER,
            BY_STATE,
            BY_TYPE,
            BY_PLACE,
            BY_ONE_PLACE,
            COUNT_EQUAL,
            COUNT_STATE,
            COUNT_TYPE,
            COUNT_OWNER,
            LIST_RANGE,
            LIST_DUE,
            LIST_GRANTED,
        ];
        for sql in all {
            let steps = explain(&connection, sql);
            for step in &steps {
                let counting = step.starts_with("SCAN (subquery");
                assert!(
                    step.starts_with("SEARCH ") || step.contains("CO-ROUTINE") || counting,
                    "{step} in {steps:?} of {sql}"
                );
            }
        }
        let name = explain(&connection, BY_EQUAL);
        assert_eq!(name.len(), 2, "{name:?}");
        assert!(
            name[0].starts_with("SEARCH i USING PRIMARY KEY (kind=? AND value=? AND seq>?)"),
            "{name:?}"
        );
        assert!(name[1].starts_with("SEARCH o USING INTEGER PRIMARY KEY (rowid=?)"), "{name:?}");
    }
}
