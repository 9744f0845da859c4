//! One commit on its way to the database, and what it does to the cache when its fate is known.
//!
//! It must not know which database carries it out.

use std::sync::Arc;

use crate::Error;
use crate::audit::{AuditChange, AuditRecorder, AuditWrite};
use crate::backend::packed;
use crate::cache::Cache;
use crate::keyring::KeyringWrite;
use crate::record::{
    ApiToken, Cached, Grant, MAX_INDEX_ENTRIES, MAX_INDEX_VALUE, MAX_NAME, MAX_PERMISSIONS,
    MAX_SEALED, Write,
};

/// Changes that are made all or none, and what they rest on.
///
/// A backend ends each commit with [`Commit::done`] or [`Commit::refused`] *before* it answers. One
/// that is dropped has an unknown fate, and the cache forgets its objects.
pub(crate) struct Commit {
    /// Objects with the version that was read; none if the object was not there.
    pub(crate) reads: Vec<(String, Option<u64>)>,
    pub(crate) writes: Vec<Write>,
    /// Changes of the keyring.
    pub(crate) keyring: Vec<KeyringWrite>,
    cache: Arc<Cache>,
    /// Who hears of the records of changes.
    recorder: Option<Arc<dyn AuditRecorder>>,
    /// When it began, by the cache's clock.
    began: u64,
}

impl Commit {
    pub(crate) fn new(
        reads: Vec<(String, Option<u64>)>,
        writes: Vec<Write>,
        cache: Arc<Cache>,
    ) -> Result<Self, Error> {
        writes.iter().try_for_each(check)?;
        let began = cache.now();
        Ok(Self { reads, writes, keyring: Vec::new(), cache, recorder: None, began })
    }

    /// Changes of the keyring, with what the audit log gets of them.
    pub(crate) fn keyring(
        keyring: Vec<KeyringWrite>,
        record: Option<Write>,
        cache: Arc<Cache>,
    ) -> Result<Self, Error> {
        keyring.iter().try_for_each(KeyringWrite::check)?;
        let mut commit = Self::new(Vec::new(), record.into_iter().collect(), cache)?;
        commit.keyring = keyring;
        Ok(commit)
    }

    /// The same; `recorder` hears what becomes of it.
    pub(crate) fn heard_by(mut self, recorder: Option<Arc<dyn AuditRecorder>>) -> Self {
        self.recorder = recorder;
        self
    }

    /// Roughly the bytes to be written.
    pub(crate) fn weight(&self) -> usize {
        let weight = |write: &Write| match write {
            Write::Put { row, .. } => row.record.len() + row.material.as_ref().map_or(0, Vec::len),
            Write::Audit(write) => write.weight(),
            _ => 0,
        };
        self.writes.iter().map(|write| 256 + weight(write)).sum()
    }

    /// The records of changes that the audit log gets.
    pub(crate) fn changes(&self) -> impl Iterator<Item = &AuditChange> {
        self.writes.iter().filter_map(|write| match write {
            Write::Audit(AuditWrite::Change(change)) => Some(change),
            _ => None,
        })
    }

    /// The changes are durable. `seqs` has the place of each put, in order.
    pub(crate) fn done(mut self, seqs: &[i64]) {
        let mut seqs = seqs.iter();
        for write in std::mem::take(&mut self.writes) {
            match write {
                Write::Put { row, index, expected } => match seqs.next() {
                    Some(seq) => {
                        let mut cached = Cached::new(*seq, row);
                        if self.cache.is_shared() {
                            cached = cached.with_index(packed(&index).into());
                            cached.see(self.began);
                        }
                        self.cache.written(Arc::new(cached), expected.is_none());
                    }
                    None => self.cache.forget(&row.id),
                },
                Write::Remove { id, .. } => self.cache.forget(&id),
                Write::Audit(AuditWrite::Change(change)) => {
                    if let Some(recorder) = &self.recorder {
                        recorder.committed(change);
                    }
                }
                Write::PutGrant(_)
                | Write::RemoveGrant { .. }
                | Write::Retire { .. }
                | Write::PutUsage { .. }
                | Write::ApiTokens { .. }
                | Write::Audit(_) => {}
            }
        }
    }

    /// Nothing was changed.
    pub(crate) fn refused(mut self) {
        self.writes.clear();
    }
}

impl Drop for Commit {
    fn drop(&mut self) {
        for write in self.writes.drain(..) {
            match write {
                Write::Put { row, .. } => self.cache.forget(&row.id),
                Write::Remove { id, .. } => self.cache.forget(&id),
                Write::Audit(AuditWrite::Change(change)) => {
                    if let Some(recorder) = &self.recorder {
                        recorder.doubtful(change);
                    }
                }
                Write::PutGrant(_)
                | Write::RemoveGrant { .. }
                | Write::Retire { .. }
                | Write::PutUsage { .. }
                | Write::ApiTokens { .. }
                | Write::Audit(_) => {}
            }
        }
    }
}

pub(crate) fn at_most(what: &'static str, length: usize, limit: usize) -> Result<(), Error> {
    if length > limit { Err(Error::TooLong { what, limit }) } else { Ok(()) }
}

fn check(write: &Write) -> Result<(), Error> {
    match write {
        Write::Put { row, index, .. } => {
            at_most("an identifier", row.id.len(), MAX_NAME)?;
            at_most("a user name", row.owner.len(), MAX_NAME)?;
            at_most("a sealed record", row.record.len(), MAX_SEALED)?;
            at_most("sealed material", row.material.as_ref().map_or(0, Vec::len), MAX_SEALED)?;
            at_most("the list of searchable values", index.len(), MAX_INDEX_ENTRIES)?;
            let longest = index.iter().map(|entry| entry.value.len()).max();
            at_most("a searchable value", longest.unwrap_or(0), MAX_INDEX_VALUE)
        }
        Write::PutGrant(Grant { id, user, permissions, note, mac, .. }) => {
            at_most("an identifier", id.len(), MAX_NAME)?;
            at_most("a user name", user.len(), MAX_NAME)?;
            at_most("a permissions list", permissions.len(), MAX_PERMISSIONS)?;
            at_most("a grant's note", note.as_ref().map_or(0, String::len), MAX_NAME)?;
            at_most("a grant's proof", mac.len(), MAX_NAME)
        }
        Write::PutUsage { id, sealed, .. } => {
            at_most("an identifier", id.len(), MAX_NAME)?;
            at_most("sealed usage", sealed.len(), MAX_SEALED)
        }
        Write::ApiTokens { put, .. } => put.iter().try_for_each(check_api_token),
        Write::Audit(write) => write.check(),
        Write::Retire { id } => at_most("an identifier", id.len(), MAX_NAME),
        Write::RemoveGrant { .. } | Write::Remove { .. } => Ok(()),
    }
}

fn check_api_token(token: &ApiToken) -> Result<(), Error> {
    at_most("a token's identifier", token.id.len(), MAX_NAME)?;
    at_most("a token's name", token.name.len(), MAX_NAME)?;
    at_most("a user name", token.user.len(), MAX_NAME)?;
    at_most("a token's hash", token.hash.len(), MAX_NAME)?;
    at_most("a token's proof", token.mac.len(), MAX_NAME)
}
