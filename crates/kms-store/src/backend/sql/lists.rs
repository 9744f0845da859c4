//! A commit in one statement, for `PostgreSQL`: lists of rows go in, and either all of it is made or
//! the statement fails.
//!
//! The parts of a statement all see the moment at which it began, and none what another writes; a
//! commit was folded so that no part needs to. What must be so before is counted, and where it is
//! not so, a division by zero undoes everything.

use std::collections::HashMap;

use super::Server;
use super::driver::Value;
use super::effect::{After, Effect, Old, difference};
use super::failure::Failure;
use super::query::shifted;
use super::write::{Places, Session, Stop, conflict, exists};
use crate::backend::convert::unpack;
use crate::backend::dialect::{Dialect, Sql};

/// The most new objects in one statement.
const NEW: usize = 64;

/// A part of the statement, as it is written where it is needed.
pub(super) struct Part {
    /// With places of its own, counted from 1.
    text: &'static str,
    /// What must be so, if the part demands anything.
    demand: Option<&'static str>,
}

/// All parts, in the order in which they stand. The bit of a part in a shape is its place here.
pub(super) const PARTS: &[Part] = &[
    Part {
        text: "created AS MATERIALIZED (SELECT nextval('objects_seq') AS seq, t.* FROM unnest(\
             ?1::text[], ?2::bigint[], ?3::text[], ?4::bigint[], ?5::text[], ?6::bigint[], \
             ?7::bigint[], ?8::bigint[], ?9::bigint[], ?10::bytea[], ?11::bytea[], ?12::bytea[]) \
             WITH ORDINALITY AS t(id, version, owner, object_type, state, due, \
             material_generation, shard, sealed_by, indexed, object, material, n)), \
             inserted AS (INSERT INTO objects (seq, id, version, owner, object_type, state, due, \
             material_generation, shard, sealed_by, indexed, object, material) SELECT seq, id, \
             version, owner, object_type, state, due, material_generation, shard, sealed_by, \
             indexed, object, material FROM created)",
        demand: None,
    },
    Part {
        text: "entered AS (INSERT INTO object_index (kind, value, seq) \
             SELECT e.kind, e.value, c.seq FROM unnest(?1::bigint[], ?2::bytea[], ?3::bigint[]) \
             AS e(kind, value, n) JOIN created c ON c.n = e.n)",
        demand: None,
    },
    Part {
        text: "replaced AS (UPDATE objects o SET version = t.version, owner = t.owner, \
             object_type = t.object_type, state = t.state, due = t.due, \
             material_generation = t.material_generation, sealed_by = t.sealed_by, \
             indexed = t.indexed, object = t.object, \
             material = CASE WHEN t.kept THEN o.material ELSE t.material END \
             FROM unnest(?1::text[], ?2::bigint[], ?3::bigint[], ?4::text[], ?5::bigint[], \
             ?6::text[], ?7::bigint[], ?8::bigint[], ?9::bigint[], ?10::bigint[], ?11::bytea[], \
             ?12::bytea[], ?13::bytea[], ?14::boolean[]) AS t(id, expected, version, owner, \
             object_type, state, due, material_generation, shard, sealed_by, indexed, object, \
             material, kept) \
             WHERE o.id = t.id AND o.version = t.expected RETURNING 1)",
        demand: Some("(SELECT count(*) FROM replaced) = cardinality(?1::text[])"),
    },
    Part {
        text: "emptied AS (UPDATE objects o SET version = -1, owner = '', object_type = 0, \
             state = 'Removed', due = NULL, material_generation = 0, sealed_by = 4294967296, \
             indexed = '', object = '', material = NULL FROM unnest(?1::text[], ?2::bigint[]) AS t(id, expected) \
             WHERE o.id = t.id AND o.version = t.expected RETURNING 1), \
             ungranted AS (DELETE FROM read_access WHERE id = ANY(?1::text[])), \
             uncounted AS (DELETE FROM \"usage\" WHERE id = ANY(?1::text[]))",
        demand: Some("(SELECT count(*) FROM emptied) = cardinality(?1::text[])"),
    },
    Part {
        text: "taken AS (DELETE FROM object_index x \
             USING unnest(?1::bigint[], ?2::bytea[], ?3::bigint[]) AS t(kind, value, seq) \
             WHERE x.kind = t.kind AND x.value = t.value AND x.seq = t.seq)",
        demand: None,
    },
    Part {
        text: "added AS (INSERT INTO object_index (kind, value, seq) \
             SELECT * FROM unnest(?1::bigint[], ?2::bytea[], ?3::bigint[]))",
        demand: None,
    },
    Part {
        text: "checked AS (SELECT 1 FROM unnest(?1::text[], ?2::bigint[]) AS t(id, version) \
             JOIN objects o ON o.id = t.id AND o.version = coalesce(t.version, o.version) \
             AND o.version >= 0 FOR SHARE OF o)",
        demand: Some("(SELECT count(*) FROM checked) = cardinality(?1::text[])"),
    },
    Part {
        text: "present AS (SELECT 1 FROM objects WHERE id = ANY(?1::text[]) AND version >= 0)",
        demand: Some("NOT EXISTS (SELECT 1 FROM present)"),
    },
    Part {
        text: "granted AS (INSERT INTO read_access (id, userid, permissions, expires, note, mac, \
             sealed_by) SELECT * FROM unnest(?1::text[], ?2::text[], ?3::text[], ?4::bigint[], \
             ?5::text[], ?6::bytea[], ?7::bigint[]) ON CONFLICT (id, userid) DO UPDATE SET \
             permissions = excluded.permissions, expires = excluded.expires, \
             note = excluded.note, mac = excluded.mac, sealed_by = excluded.sealed_by)",
        demand: None,
    },
    Part {
        text: "withdrawn AS (DELETE FROM read_access g \
             USING unnest(?1::text[], ?2::text[]) AS t(id, userid) \
             WHERE g.id = t.id AND g.userid = t.userid)",
        demand: None,
    },
    Part {
        text: "counted AS (INSERT INTO \"usage\" (id, sealed, sealed_by) \
             SELECT * FROM unnest(?1::text[], ?2::bytea[], ?3::bigint[]))",
        demand: None,
    },
    Part {
        text: "recounted AS (UPDATE \"usage\" u SET sealed = t.sealed, sealed_by = t.sealed_by \
             FROM unnest(?1::text[], ?2::bytea[], ?3::bigint[], ?4::bytea[]) \
             AS t(id, sealed, sealed_by, expected) \
             WHERE u.id = t.id AND u.sealed = t.expected RETURNING 1)",
        demand: Some("(SELECT count(*) FROM recounted) = cardinality(?1::text[])"),
    },
    Part {
        text: "recorded AS (INSERT INTO audit_changes (server, epoch, number, at, body, mac, \
             sealed_by) SELECT * FROM unnest(?1::text[], ?2::bigint[], ?3::bigint[], \
             ?4::bigint[], ?5::bytea[], ?6::bytea[], ?7::bigint[]))",
        demand: None,
    },
];

/// Objects that are put, column by column.
#[derive(Default)]
struct Objects<'a> {
    ids: Vec<&'a str>,
    expected: Vec<i64>,
    versions: Vec<i64>,
    owners: Vec<&'a str>,
    types: Vec<i64>,
    states: Vec<&'a str>,
    due: Vec<Option<i64>>,
    generations: Vec<i64>,
    shards: Vec<i64>,
    sealed_by: Vec<i64>,
    indexed: Vec<&'a [u8]>,
    records: Vec<&'a [u8]>,
    materials: Vec<Option<&'a [u8]>>,
    kept: Vec<bool>,
}

/// Entries of the index, column by column.
#[derive(Default)]
struct Entries<'a> {
    kinds: Vec<i64>,
    values: Vec<&'a [u8]>,
    places: Vec<i64>,
}

impl<'a> Entries<'a> {
    fn extend(&mut self, entries: impl IntoIterator<Item = (i64, &'a [u8])>, place: i64) {
        for (kind, value) in entries {
            self.kinds.push(kind);
            self.values.push(value);
            self.places.push(place);
        }
    }

    fn list(&self) -> Vec<Value<'_>> {
        vec![Value::Ints(&self.kinds), Value::Blobs(&self.values), Value::Ints(&self.places)]
    }
}

impl<'a> Objects<'a> {
    /// Adds an object. One that was made and removed in the same commit leaves its identifier.
    fn push(&mut self, id: &'a str, expected: u64, after: &'a After<'a>, old: Option<&Old>) {
        self.ids.push(id);
        self.expected.push(expected.cast_signed());
        let After::Put { row, state, indexed } = after else {
            self.versions.push(super::read::REMOVED);
            self.owners.push("");
            self.types.push(0);
            self.states.push("Removed");
            self.due.push(None);
            self.generations.push(0);
            self.shards.push(0);
            self.sealed_by.push(super::read::BY_NOTHING);
            self.indexed.push(&[]);
            self.records.push(&[]);
            self.materials.push(None);
            self.kept.push(false);
            return;
        };
        self.versions.push(row.version.cast_signed());
        self.owners.push(&row.owner);
        self.types.push(row.object_type.0.into());
        self.states.push(state);
        self.due.push(row.due);
        self.generations.push(row.material_generation.into());
        self.shards.push(row.shard.into());
        self.sealed_by.push(row.sealed_by.into());
        self.indexed.push(indexed);
        self.records.push(&row.record);
        let kept = old.is_some_and(|old| old.keeps_material(row));
        self.materials.push(row.material.as_deref().filter(|_| !kept));
        self.kept.push(kept);
    }

    fn new_list(&self) -> Vec<Value<'_>> {
        let mut list = vec![Value::Texts(&self.ids)];
        list.extend(self.columns());
        list
    }

    fn replaced_list(&self) -> Vec<Value<'_>> {
        let mut list = vec![Value::Texts(&self.ids), Value::Ints(&self.expected)];
        list.extend(self.columns());
        list.push(Value::Flags(&self.kept));
        list
    }

    fn columns(&self) -> [Value<'_>; 11] {
        [
            Value::Ints(&self.versions),
            Value::Texts(&self.owners),
            Value::Ints(&self.types),
            Value::Texts(&self.states),
            Value::MaybeInts(&self.due),
            Value::Ints(&self.generations),
            Value::Ints(&self.shards),
            Value::Ints(&self.sealed_by),
            Value::Blobs(&self.indexed),
            Value::Blobs(&self.records),
            Value::MaybeBlobs(&self.materials),
        ]
    }
}

/// The lists that a statement takes, part by part.
struct Lists<'a> {
    lists: Vec<Vec<Value<'a>>>,
}

impl Lists<'_> {
    /// Which parts have anything to do. An empty first list has no rows.
    fn shape(&self) -> u16 {
        let has_rows = |list: &Vec<Value<'_>>| match list.first() {
            Some(Value::Texts(ids)) => !ids.is_empty(),
            Some(Value::Ints(kinds)) => !kinds.is_empty(),
            _ => false,
        };
        let bits = self.lists.iter().enumerate().filter(|(_, list)| has_rows(list));
        bits.fold(0, |shape, (bit, _)| shape | 1 << bit)
    }

    fn values(&self, shape: u16) -> Vec<Value<'_>> {
        let lists = self.lists.iter().enumerate().filter(|(bit, _)| shape & 1 << bit != 0);
        lists.flat_map(|(_, list)| list.iter().copied()).collect()
    }
}

/// The statement of a shape.
pub(super) fn statement(shape: u16) -> String {
    let mut text = String::from("WITH ");
    let mut demands = String::new();
    let mut offset = 0;
    let parts = PARTS.iter().enumerate().filter(|(bit, _)| shape & 1 << bit != 0);
    for (number, (_, part)) in parts.enumerate() {
        if number > 0 {
            text.push_str(", ");
        }
        let last = shifted(part.text, offset, &mut text);
        if let Some(demand) = part.demand {
            demands.push_str(if demands.is_empty() { "" } else { " AND " });
            shifted(demand, offset, &mut demands);
        }
        offset += last;
    }
    match demands.as_str() {
        "" => text.push_str(" SELECT 1::bigint"),
        demands => text.extend([" SELECT (1 / CASE WHEN ", demands, " THEN 1 ELSE 0 END)::bigint"]),
    }
    if shape & 1 != 0 {
        text.push_str(", c.seq FROM (SELECT 1) o LEFT JOIN created c ON true ORDER BY c.n");
    }
    text
}

impl Server {
    /// Whether a commit is one statement, which needs no transaction around it.
    pub(super) fn is_one_statement(&self, effect: &Effect<'_>, old: &HashMap<&str, Old>) -> bool {
        match self.dialect {
            Dialect::Postgres => {
                let of_objects = effect.new.len().div_ceil(NEW).max(effect.has_objects().into());
                of_objects + super::rows::count_more(effect) <= 1
            }
            Dialect::MySql => super::rows::is_one(effect, old),
        }
    }

    fn shaped(&self, shape: u16) -> Sql {
        let mut shapes = self.shapes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        shapes.entry(shape).or_insert_with(|| self.dialect.spell(&statement(shape))).clone()
    }

    /// Makes what concerns objects.
    pub(super) async fn by_lists(
        &self,
        session: &mut Session<'_>,
        effect: &Effect<'_>,
        old: &HashMap<&str, Old>,
    ) -> Result<Places, Stop> {
        let mut made = Places::new();
        let created: Vec<_> = effect.created().collect();
        let mut chunks = created.chunks(NEW);
        let first = chunks.next().unwrap_or_default();
        self.by_list(session, Some((effect, old)), first, &mut made).await?;
        for chunk in chunks {
            self.by_list(session, None, chunk, &mut made).await?;
        }
        Ok(made)
    }

    /// Makes new objects, and all the rest if it is given.
    async fn by_list(
        &self,
        session: &mut Session<'_>,
        rest: Option<(&Effect<'_>, &HashMap<&str, Old>)>,
        created: &[(&str, &After<'_>)],
        made: &mut Places,
    ) -> Result<(), Stop> {
        let mut new = Objects::default();
        let mut entered = Entries::default();
        for ((id, after), n) in created.iter().zip(1..) {
            new.push(id, 0, after, None);
            if let After::Put { indexed, .. } = after {
                let entries = unpack(indexed).map(|(kind, value)| (i64::from(kind), value));
                entered.extend(entries, n);
            }
        }
        let rest = rest.map(|(effect, old)| Rest::of(effect, old)).unwrap_or_default();
        let mut lists = vec![new.new_list(), entered.list()];
        lists.extend(rest.lists());
        let lists = Lists { lists };
        let shape = lists.shape();
        if shape == 0 {
            return Ok(());
        }
        let sql = self.shaped(shape);
        // Behind what the demands come to.
        let column = usize::from(!created.is_empty());
        match session.numbers(&sql, &lists.values(shape), column).await {
            Ok(seqs) => {
                made.extend(created.iter().map(|(id, _)| (*id).to_owned()).zip(seqs));
                Ok(())
            }
            Err(Stop::Failed(Failure::Duplicate(key))) => Err(duplicate(&key, created, &rest)),
            Err(stop) => Err(stop),
        }
    }
}

/// Which identifier was there already, where that is plain.
fn duplicate(key: &str, created: &[(&str, &After<'_>)], rest: &Rest<'_>) -> Stop {
    match (key, created) {
        ("objects_id", [(only, _)]) => exists(only),
        ("objects_id", _) => Stop::Unmet,
        ("usage_pkey", _) => rest.counted.ids.first().map_or(Stop::Unmet, |id| conflict(id)),
        // Our own numbers are drawn once.
        (key, _) => Stop::Failed(Failure::Other(format!("a key is there already: {key}"))),
    }
}

/// All that is not new objects.
#[derive(Default)]
struct Rest<'a> {
    replaced: Objects<'a>,
    emptied: (Vec<&'a str>, Vec<i64>),
    taken: Entries<'a>,
    added: Entries<'a>,
    checked: (Vec<&'a str>, Vec<Option<i64>>),
    absent: Vec<&'a str>,
    granted: Granted<'a>,
    withdrawn: (Vec<&'a str>, Vec<&'a str>),
    counted: Counted<'a>,
    recounted: Counted<'a>,
    recorded: Recorded<'a>,
}

#[derive(Default)]
struct Granted<'a> {
    ids: Vec<&'a str>,
    users: Vec<&'a str>,
    permissions: Vec<&'a str>,
    expires: Vec<Option<i64>>,
    notes: Vec<Option<&'a str>>,
    macs: Vec<&'a [u8]>,
    sealed_by: Vec<i64>,
}

/// Usage, new or in the place of what is expected.
#[derive(Default)]
struct Counted<'a> {
    ids: Vec<&'a str>,
    sealed: Vec<&'a [u8]>,
    sealed_by: Vec<i64>,
    expected: Vec<&'a [u8]>,
}

#[derive(Default)]
struct Recorded<'a> {
    servers: Vec<&'a str>,
    epochs: Vec<i64>,
    numbers: Vec<i64>,
    at: Vec<i64>,
    bodies: Vec<&'a [u8]>,
    macs: Vec<&'a [u8]>,
    sealed_by: Vec<i64>,
}

impl<'a> Rest<'a> {
    fn of(effect: &'a Effect<'a>, old: &'a HashMap<&str, Old>) -> Self {
        let mut rest = Self::default();
        for (id, version, after) in effect.replaced() {
            let old = old.get(id);
            let before = old.map_or(&[][..], |old| &old.indexed);
            let seq = old.map_or(0, |old| old.seq);
            let now = if let After::Put { indexed, .. } = after {
                rest.replaced.push(id, version, after, old);
                indexed.as_slice()
            } else {
                rest.emptied.0.push(id);
                rest.emptied.1.push(version.cast_signed());
                &[]
            };
            let [gone, come] = difference(before, now);
            rest.taken.extend(gone, seq);
            rest.added.extend(come, seq);
        }
        for (id, version) in effect.checked() {
            rest.checked.0.push(id);
            rest.checked.1.push(version.map(u64::cast_signed));
        }
        rest.absent = effect.absent().collect();
        rest.beside(effect);
        rest
    }

    /// What stands beside the objects.
    fn beside(&mut self, effect: &'a Effect<'a>) {
        for ((id, user), grant) in &effect.grants {
            if let Some(grant) = grant {
                self.granted.ids.push(id);
                self.granted.users.push(user);
                self.granted.permissions.push(&grant.permissions);
                self.granted.expires.push(grant.expires);
                self.granted.notes.push(grant.note.as_deref());
                self.granted.macs.push(&grant.mac);
                self.granted.sealed_by.push(grant.sealed_by.into());
            } else {
                self.withdrawn.0.push(id);
                self.withdrawn.1.push(user);
            }
        }
        for (id, usage) in &effect.usage {
            match usage.expected {
                None => {
                    self.counted.ids.push(id);
                    self.counted.sealed.push(usage.sealed);
                    self.counted.sealed_by.push(usage.sealed_by.into());
                }
                Some(expected) => {
                    self.recounted.ids.push(id);
                    self.recounted.sealed.push(usage.sealed);
                    self.recounted.sealed_by.push(usage.sealed_by.into());
                    self.recounted.expected.push(expected);
                }
            }
        }
        for change in &effect.changes {
            self.recorded.servers.push(&change.server);
            self.recorded.epochs.push(super::audit::signed(change.epoch));
            self.recorded.numbers.push(super::audit::signed(change.number));
            self.recorded.at.push(super::audit::signed(change.at));
            self.recorded.bodies.push(&change.body);
            self.recorded.macs.push(&change.mac);
            self.recorded.sealed_by.push(change.sealed_by.into());
        }
    }

    /// In the order of [`PARTS`], behind those of new objects.
    fn lists(&self) -> Vec<Vec<Value<'_>>> {
        let (granted, recorded) = (&self.granted, &self.recorded);
        vec![
            self.replaced.replaced_list(),
            vec![Value::Texts(&self.emptied.0), Value::Ints(&self.emptied.1)],
            self.taken.list(),
            self.added.list(),
            vec![Value::Texts(&self.checked.0), Value::MaybeInts(&self.checked.1)],
            vec![Value::Texts(&self.absent)],
            vec![
                Value::Texts(&granted.ids),
                Value::Texts(&granted.users),
                Value::Texts(&granted.permissions),
                Value::MaybeInts(&granted.expires),
                Value::MaybeTexts(&granted.notes),
                Value::Blobs(&granted.macs),
                Value::Ints(&granted.sealed_by),
            ],
            vec![Value::Texts(&self.withdrawn.0), Value::Texts(&self.withdrawn.1)],
            vec![
                Value::Texts(&self.counted.ids),
                Value::Blobs(&self.counted.sealed),
                Value::Ints(&self.counted.sealed_by),
            ],
            vec![
                Value::Texts(&self.recounted.ids),
                Value::Blobs(&self.recounted.sealed),
                Value::Ints(&self.recounted.sealed_by),
                Value::Blobs(&self.recounted.expected),
            ],
            vec![
                Value::Texts(&recorded.servers),
                Value::Ints(&recorded.epochs),
                Value::Ints(&recorded.numbers),
                Value::Ints(&recorded.at),
                Value::Blobs(&recorded.bodies),
                Value::Blobs(&recorded.macs),
                Value::Ints(&recorded.sealed_by),
            ],
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_has_the_parts_of_its_shape_and_counts_its_places_through() {
        let text = statement(0b1100);
        assert!(text.starts_with("WITH replaced AS ("), "{text}");
        assert!(
            text.contains("?14::boolean[]") && text.contains("unnest(?15::text[], ?16::bigint[])")
        );
        assert!(text.contains("cardinality(?1::text[]) AND "));
        assert!(text.contains("count(*) FROM emptied) = cardinality(?15::text[])"));
        assert!(statement(1).ends_with("ORDER BY c.n"));
        assert!(statement(0b1_0000).ends_with("SELECT 1::bigint"));
    }
}
