//! All of a database out, at one moment; and much of another one in, as a whole or not at all.
//!
//! It must not know what sealed bytes hold, nor where they go or come from.

use crate::backend;
use crate::cache::Cache;
use crate::commit::Commit;
use crate::record::{ApiToken, Grant, Row, Usage, Write};
use crate::{Error, Store, beside};
use std::sync::Arc;

/// Where a page ends, in rows and bytes; one object that is larger is a page of its own.
pub(crate) const PAGE_ROWS: usize = 512;
pub(crate) const PAGE_BYTES: usize = 4 << 20;
/// The most grants of a page that is more than one object.
pub(crate) const PAGE_GRANTS: usize = 4096;

/// An object with all that belongs to it.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The object.
    pub row: Row,
    /// Its counters.
    pub usage: Option<Usage>,
    /// What is granted on it, by user.
    pub grants: Vec<Grant>,
}

/// All of a database as it is at one moment, whatever others change meanwhile. It is read from its
/// beginning to its end, a page at a time.
pub struct Snapshot<'a>(Box<dyn backend::Snapshot + 'a>);

impl Snapshot<'_> {
    /// How many objects there are.
    pub async fn count(&mut self) -> Result<u64, Error> {
        self.0.count().await
    }

    /// The next objects in the order in which they were made; none when all were read.
    pub async fn objects(&mut self) -> Result<Vec<Stored>, Error> {
        self.0.objects().await
    }

    /// The next identifiers of removed objects; none when all were read.
    pub async fn removed(&mut self) -> Result<Vec<String>, Error> {
        self.0.removed().await
    }

    /// All API tokens by name, and their epoch.
    pub async fn api_tokens(&mut self) -> Result<(Vec<ApiToken>, u64), Error> {
        self.0.api_tokens().await
    }
}

/// Changes that are made together, however many they are. Nobody sees any of them before
/// [`Import::finish`] has made all of them; without it, none is made.
pub struct Import<'a> {
    work: Box<dyn backend::Import + 'a>,
    cache: Arc<Cache>,
}

impl Import<'_> {
    /// Adds changes. After an error nothing of all of it is made.
    pub async fn put(&mut self, writes: Vec<Write>) -> Result<(), Error> {
        let commit = Commit::new(Vec::new(), writes, Arc::clone(&self.cache))?;
        self.work.put(commit).await
    }

    /// Makes all of it, durably.
    pub async fn finish(self) -> Result<(), Error> {
        self.work.finish().await
    }
}

/// What is known of an identifier that was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// There is an object of this name.
    There,
    /// There was one.
    Removed,
}

impl Store {
    /// All that the database holds at this moment.
    pub async fn snapshot(&self) -> Result<Snapshot<'_>, Error> {
        self.backend.snapshot().await.map(Snapshot)
    }

    /// Begins changes that are made together. On `SQLite` nothing else is written before they end.
    pub async fn import(&self) -> Result<Import<'_>, Error> {
        if self.beside {
            return Err(beside());
        }
        let work = self.backend.import().await?;
        Ok(Import { work, cache: Arc::clone(&self.cache) })
    }

    /// Which of these identifiers are or were used.
    pub async fn known(&self, ids: &[&str]) -> Result<Vec<(String, Known)>, Error> {
        self.backend.known(ids).await
    }
}
