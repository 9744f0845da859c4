//! What a commit comes to: of each object what must be so before, and what is so after.
//!
//! Databases that are told a commit in few statements cannot look at its writes one after the
//! other, each seeing the one before; here that is done beforehand, without a database.

use std::collections::BTreeMap;

use crate::Error;
use crate::audit::{AuditChange, AuditWrite};
use crate::backend::convert::{packed, state_name};
use crate::commit::Commit;
use crate::record::{ApiToken, Cached, Grant, Row, Write};

/// What must be so of an object before the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// The identifier was never used.
    Never,
    /// There is no such object, though there may have been.
    Absent,
    /// The object is there.
    Present,
    /// The object is there in this version.
    Version(u64),
}

/// What is so of an object after the commit.
#[derive(Clone, Debug)]
pub(super) enum After<'a> {
    /// What was before.
    Same,
    Put {
        row: &'a Row,
        state: &'static str,
        indexed: Vec<u8>,
    },
    Removed,
}

/// One object's part.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub(super) before: Before,
    pub(super) after: After<'a>,
}

/// The usage of one object.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Usage<'a> {
    /// What stands there before.
    pub(super) expected: Option<&'a [u8]>,
    pub(super) sealed: &'a [u8],
    pub(super) sealed_by: u32,
}

/// What a commit comes to. Objects are in the order of their identifiers, which is the order in
/// which they are locked.
#[derive(Debug, Default)]
pub(super) struct Effect<'a> {
    pub(super) objects: BTreeMap<&'a str, Part<'a>>,
    /// New objects in the order in which they were written.
    pub(super) new: Vec<&'a str>,
    /// By object and user; none where the grant is taken back.
    pub(super) grants: BTreeMap<(&'a str, &'a str), Option<&'a Grant>>,
    pub(super) usage: BTreeMap<&'a str, Usage<'a>>,
    pub(super) tokens: Vec<Tokens<'a>>,
    /// Records of changes.
    pub(super) changes: Vec<&'a AuditChange>,
    /// What else is written for the audit log.
    pub(super) audit: Vec<&'a AuditWrite>,
}

/// A change of API tokens.
#[derive(Debug)]
pub(super) struct Tokens<'a> {
    pub(super) remove: &'a [String],
    pub(super) put: &'a [ApiToken],
    /// What was read, and what is written.
    pub(super) epoch: (u64, u64),
}

fn conflict(id: &str) -> Error {
    Error::Conflict { id: id.to_owned() }
}

fn exists(id: &str) -> Error {
    Error::Exists { id: id.to_owned() }
}

impl<'a> Effect<'a> {
    /// Of a commit; an error where its writes contradict each other.
    pub(super) fn of(commit: &'a Commit) -> Result<Self, Error> {
        let mut effect = Self::default();
        for (id, version) in &commit.reads {
            let before = version.map_or(Before::Absent, Before::Version);
            match effect.objects.get(id.as_str()) {
                Some(known) if known.before != before => return Err(conflict(id)),
                _ => drop(effect.objects.insert(id, Part { before, after: After::Same })),
            }
        }
        commit.writes.iter().try_for_each(|write| effect.add(write))?;
        Ok(effect)
    }

    fn add(&mut self, write: &'a Write) -> Result<(), Error> {
        match write {
            Write::Put { row, index, expected } => {
                let state = state_name(row.state)?;
                let after = After::Put { row, state, indexed: packed(index) };
                match expected {
                    None => self.create(&row.id, after),
                    Some(version) => self.replace(&row.id, *version, after),
                }
            }
            Write::Remove { id, expected } => {
                self.replace(id, *expected, After::Removed)?;
                self.usage.remove(id.as_str());
                self.grants.retain(|(object, _), _| *object != id);
                Ok(())
            }
            Write::Retire { id } => self.create(id, After::Removed),
            Write::PutGrant(grant) => {
                self.demand_present(&grant.id)?;
                self.grants.insert((&grant.id, &grant.user), Some(grant));
                Ok(())
            }
            Write::RemoveGrant { id, user } => {
                self.grants.insert((id, user), None);
                Ok(())
            }
            Write::PutUsage { id, sealed, sealed_by, expected } => {
                self.demand_present(id)?;
                let expected = expected.as_deref();
                let first = match self.usage.get(id.as_str()) {
                    Some(known) if Some(known.sealed) != expected => return Err(conflict(id)),
                    Some(known) => known.expected,
                    None => expected,
                };
                self.usage.insert(id, Usage { expected: first, sealed, sealed_by: *sealed_by });
                Ok(())
            }
            Write::ApiTokens { remove, put, epoch } => {
                self.tokens.push(Tokens { remove, put, epoch: *epoch });
                Ok(())
            }
            Write::Audit(AuditWrite::Change(change)) => {
                self.changes.push(change);
                Ok(())
            }
            Write::Audit(write) => {
                self.audit.push(write);
                Ok(())
            }
        }
    }

    fn create(&mut self, id: &'a str, after: After<'a>) -> Result<(), Error> {
        match self.objects.get(id) {
            None | Some(Part { before: Before::Absent, after: After::Same }) => {}
            Some(_) => return Err(exists(id)),
        }
        self.objects.insert(id, Part { before: Before::Never, after });
        self.new.push(id);
        Ok(())
    }

    fn replace(&mut self, id: &'a str, version: u64, after: After<'a>) -> Result<(), Error> {
        let Some(part) = self.objects.get_mut(id) else {
            self.objects.insert(id, Part { before: Before::Version(version), after });
            return Ok(());
        };
        let now = match (&part.after, part.before) {
            (After::Put { row, .. }, _) => Some(row.version),
            (After::Same, Before::Version(version)) => Some(version),
            (After::Same, Before::Present) => {
                part.before = Before::Version(version);
                Some(version)
            }
            _ => None,
        };
        if now != Some(version) {
            return Err(conflict(id));
        }
        part.after = after;
        Ok(())
    }

    fn demand_present(&mut self, id: &'a str) -> Result<(), Error> {
        let Some(part) = self.objects.get(id) else {
            self.objects.insert(id, Part { before: Before::Present, after: After::Same });
            return Ok(());
        };
        match (&part.after, part.before) {
            (After::Put { .. }, _) | (After::Same, Before::Present | Before::Version(_)) => Ok(()),
            _ => Err(conflict(id)),
        }
    }

    /// The objects that are there before and are replaced or removed.
    pub(super) fn replaced(&self) -> impl Iterator<Item = (&'a str, u64, &After<'a>)> {
        self.objects.iter().filter_map(|(id, part)| match (part.before, &part.after) {
            (Before::Version(_), After::Same) => None,
            (Before::Version(version), after) => Some((*id, version, after)),
            _ => None,
        })
    }

    /// The new objects, in the order in which they were written.
    pub(super) fn created(&self) -> impl Iterator<Item = (&'a str, &After<'a>)> {
        self.new.iter().filter_map(|id| Some((*id, &self.objects.get(id)?.after)))
    }

    /// What is only looked at: objects that must be there, in a version if one is named.
    pub(super) fn checked(&self) -> impl Iterator<Item = (&'a str, Option<u64>)> {
        self.objects.iter().filter_map(|(id, part)| match (part.before, &part.after) {
            (Before::Version(version), After::Same) => Some((*id, Some(version))),
            (Before::Present, After::Same) => Some((*id, None)),
            _ => None,
        })
    }

    /// Objects that must not be there.
    pub(super) fn absent(&self) -> impl Iterator<Item = &'a str> {
        self.objects.iter().filter(|(_, part)| part.before == Before::Absent).map(|(id, _)| *id)
    }

    /// Roughly the bytes that are sent.
    pub(super) fn weight(&self) -> usize {
        let weight = |part: &Part<'_>| match &part.after {
            After::Put { row, .. } => row.record.len() + row.material.as_ref().map_or(0, Vec::len),
            After::Same | After::Removed => 0,
        };
        self.objects.values().map(weight).sum()
    }

    /// An identifier to name where any will do.
    pub(super) fn first_id(&self) -> &'a str {
        self.objects.keys().next().copied().unwrap_or("api_tokens")
    }

    /// The identifiers of objects that are put.
    pub(super) fn put_ids(&self) -> impl Iterator<Item = &'a str> {
        let put = |part: &Part<'_>| matches!(part.after, After::Put { .. });
        self.objects.iter().filter(move |(_, part)| put(part)).map(|(id, _)| *id)
    }

    /// An object that is put, whose record nobody else can have written.
    pub(super) fn one_put(&self) -> Option<(&'a str, &'a Row)> {
        self.objects.iter().find_map(|(id, part)| match part.after {
            After::Put { row, .. } => Some((*id, row)),
            _ => None,
        })
    }

    /// Whether it concerns objects, and what belongs to them.
    pub(super) fn has_objects(&self) -> bool {
        !self.objects.is_empty()
            || !self.grants.is_empty()
            || !self.usage.is_empty()
            || !self.changes.is_empty()
    }
}

/// A row that is replaced, as far as a change has to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Old {
    pub(super) seq: i64,
    pub(super) generation: i64,
    pub(super) sealed_by: i64,
    pub(super) indexed: Vec<u8>,
}

impl Old {
    /// Whether the material stays as it is: a generation has one, under each data key.
    pub(super) fn keeps_material(&self, row: &Row) -> bool {
        row.material.is_some()
            && self.generation == i64::from(row.material_generation)
            && self.sealed_by == i64::from(row.sealed_by)
    }

    /// Of a row in memory, if it has the version and all that is wanted.
    pub(super) fn of(cached: &Cached) -> Option<Self> {
        Some(Self {
            seq: cached.seq,
            generation: i64::from(cached.row.material_generation),
            sealed_by: cached.row.sealed_by.into(),
            indexed: cached.indexed.as_ref()?.to_vec(),
        })
    }
}

/// Entries of the index that come and go when `old` becomes `new`; both are sorted.
pub(super) fn difference<'a>(old: &'a [u8], new: &'a [u8]) -> [Vec<(i64, &'a [u8])>; 2] {
    use crate::backend::convert::unpack;
    if old == new {
        return [Vec::new(), Vec::new()];
    }
    let (old, new): (Vec<_>, Vec<_>) = (unpack(old).collect(), unpack(new).collect());
    let only = |these: &[(u32, &'a [u8])], those: &[(u32, &'a [u8])]| {
        let gone = these.iter().filter(|entry| those.binary_search(entry).is_err());
        gone.map(|(kind, value)| (i64::from(*kind), *value)).collect()
    };
    [only(&old, &new), only(&new, &old)]
}
