//! What a database has to do for the store, and the databases there are.
//!
//! Words of the domain only: statements and drivers stay in the modules below.

use std::pin::Pin;
use std::sync::Arc;

use crate::audit::{AuditChange, AuditEpoch, AuditHead};
use crate::cache::Cache;
use crate::commit::Commit;
use crate::keyring::{SealedCount, SealedRows, SealedTable};
use crate::record::{ApiToken, Cached, Grant, KeyringRow, Search, Usage};
use crate::transfer::{Known, Stored};
use crate::{Config, Error, OpenError};

mod convert;
mod dialect;
pub(crate) mod sql;
pub(crate) mod sqlite;
mod statement;

pub(crate) use convert::packed;
pub(crate) use dialect::Dialect;

/// An answer to come.
pub(crate) type Answer<'a, T, E = Error> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'a>>;

/// An object about to be used, and the grants on it if they were read with it.
pub(crate) type Used = (Arc<Cached>, Option<Vec<Grant>>);

/// A database that holds the objects. It keeps the cache in step with what it commits and reads.
pub(crate) trait Backend: Send + Sync {
    /// What kind of database it is, in a word.
    fn product(&self) -> &'static str;
    /// The name made when the database was.
    fn database_id(&self) -> &str;
    /// Reads one object, past the cache but into it.
    fn object<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Arc<Cached>>>;
    /// The same, with what was granted on it to the user and to everyone, where the database tells
    /// that in the same breath; none where it is to be asked for apart.
    fn used<'a>(&'a self, id: &'a str, user: &'a str) -> Answer<'a, Option<Used>>;
    /// The grants on some objects to the user and to everyone, where that is one question.
    fn grants_among<'a>(
        &'a self,
        _ids: &'a [&'a str],
        _user: &'a str,
    ) -> Answer<'a, Option<Vec<Grant>>> {
        Box::pin(std::future::ready(Ok(None)))
    }
    /// What keeps the database from answering, as far as that is known without asking it.
    fn trouble(&self) -> Option<Arc<str>> {
        None
    }
    /// Makes all changes, durably, or none.
    fn commit(&self, commit: Commit) -> Answer<'_, ()>;
    /// Candidates for a search, by ascending place.
    fn search(&self, search: Search) -> Answer<'_, Vec<Arc<Cached>>>;
    /// Objects whose state the clock has changed until `now`, the most overdue first.
    fn due(&self, now: i64, limit: usize) -> Answer<'_, Vec<Arc<Cached>>>;
    /// One grant.
    fn grant<'a>(&'a self, id: &'a str, user: &'a str) -> Answer<'a, Option<Grant>>;
    /// All grants of an object, by user.
    fn grants<'a>(&'a self, id: &'a str) -> Answer<'a, Vec<Grant>>;
    /// How many grants an object has, counted no further than `limit`.
    fn grant_count<'a>(&'a self, id: &'a str, limit: usize) -> Answer<'a, usize>;
    /// A user's grants by object, after a given object.
    fn granted_to(
        &self,
        user: String,
        after: Option<String>,
        limit: usize,
    ) -> Answer<'_, Vec<Grant>>;
    /// The sealed usage of an object.
    fn usage<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Usage>>;
    /// One API token, and the epoch of all.
    fn api_token<'a>(&'a self, id: &'a str) -> Answer<'a, Option<(ApiToken, u64)>>;
    /// All API tokens by name, and their epoch.
    fn api_tokens(&self) -> Answer<'_, (Vec<ApiToken>, u64)>;
    /// Records of changes, from one to another epoch and number, both included.
    fn audit_changes<'a>(
        &'a self,
        server: &'a str,
        range: ((u64, u64), (u64, u64)),
        limit: usize,
    ) -> Answer<'a, Vec<AuditChange>>;
    /// The epochs of a log, oldest first.
    fn audit_epochs<'a>(&'a self, server: &'a str) -> Answer<'a, Vec<AuditEpoch>>;
    /// How far a log is known to be on the disk.
    fn audit_head<'a>(&'a self, server: &'a str) -> Answer<'a, Option<AuditHead>>;
    /// Lines of a log, from a number on.
    fn audit_lines<'a>(
        &'a self,
        server: &'a str,
        from: u64,
        limit: usize,
    ) -> Answer<'a, Vec<(u64, Vec<u8>)>>;
    /// The last line of a log.
    fn audit_last_line<'a>(&'a self, server: &'a str) -> Answer<'a, Option<Vec<u8>>>;
    /// Whether the identifier belonged to an object that was removed.
    fn removed<'a>(&'a self, id: &'a str) -> Answer<'a, bool>;
    /// All of the database at this moment.
    fn snapshot(&self) -> Answer<'_, Box<dyn Snapshot + '_>>;
    /// Begins changes that are made together.
    fn import(&self) -> Answer<'_, Box<dyn Import + '_>>;
    /// Which of the identifiers are or were used.
    fn known<'a>(&'a self, ids: &'a [&'a str]) -> Answer<'a, Vec<(String, Known)>>;
    /// The keyring, by generation.
    fn keyring(&self) -> Answer<'_, Vec<KeyringRow>>;
    /// What is noted beside the keyring.
    fn note<'a>(&'a self, key: &'a str) -> Answer<'a, Option<String>>;
    /// How many rows of each table each data key seals.
    fn sealed_counts(&self) -> Answer<'_, Vec<SealedCount>>;
    /// Some of the rows of a table that one data key seals; objects after a place.
    fn sealed_rows(
        &self,
        table: SealedTable,
        generation: u32,
        after: i64,
        limit: usize,
    ) -> Answer<'_, SealedRows>;
    /// Leaves nothing of what was removed in the database's files, where it is in files.
    fn scrub(&self) -> Answer<'_, bool> {
        Box::pin(std::future::ready(Ok(true)))
    }
    /// Ends what was begun and lets the database go. What comes later is unavailable.
    fn close(&self) -> Answer<'_, ()>;
}

/// All of a database at one moment. Each page is the one after the last.
pub(crate) trait Snapshot: Send {
    /// How many objects there are.
    fn count(&mut self) -> Answer<'_, u64>;
    /// Objects, by ascending place.
    fn objects(&mut self) -> Answer<'_, Vec<Stored>>;
    /// Identifiers of removed objects.
    fn removed(&mut self) -> Answer<'_, Vec<String>>;
    /// All API tokens by name, and their epoch.
    fn api_tokens(&mut self) -> Answer<'_, (Vec<ApiToken>, u64)>;
}

/// Changes that are made together. One that is dropped changes nothing.
pub(crate) trait Import: Send {
    /// Adds changes. After an error nothing can be added.
    fn put(&mut self, commit: Commit) -> Answer<'_, ()>;
    /// Makes all of them, durably.
    fn finish<'a>(self: Box<Self>) -> Answer<'a, ()>
    where
        Self: 'a;
}

/// A database about to be opened.
pub(crate) type Opening<'a> = Answer<'a, Arc<dyn Backend>, OpenError>;

/// A database that can be opened.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// Opens it, if the configuration means it.
    pub(crate) open: fn(&Config, Arc<Cache>) -> Option<Opening<'_>>,
}

/// All databases.
pub(crate) static BACKENDS: &[Kind] =
    &[Kind { name: "sqlite", open: sqlite::open }, Kind { name: "server", open: sql::open }];
