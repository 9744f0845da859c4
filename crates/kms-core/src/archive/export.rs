//! Out of a database: all rows of one moment, opened, checked and written one after the other. What
//! does not fit together is not passed on: the export ends there. Must never change a row.

use std::io::Write;

use kms_archive::{Key, Writer};
use kms_store::{ApiToken, Snapshot, Store, Stored};
use zeroize::Zeroizing;

use super::error::ArchiveError;
use super::item::{Grant, Item, LISTED_MAX, Object, Source, Token};
use super::{Contents, Progress};
use crate::audit::{self, Act};
use crate::clock::Clock;
use crate::custody::Vault;
use crate::grant;

/// A database at one moment, about to be written.
pub struct Export<'a> {
    snapshot: Snapshot<'a>,
    vault: &'a Vault,
    database: &'a str,
    product: &'static str,
    made: i64,
    objects: u64,
}

impl<'a> Export<'a> {
    /// Takes the moment, and records for the audit log that it is being exported: before anything
    /// leaves, so that an export which is cut off is recorded too.
    pub async fn begin(
        store: &'a Store,
        vault: &'a Vault,
        clock: &dyn Clock,
    ) -> Result<Self, ArchiveError> {
        let mut snapshot = store.snapshot().await?;
        let objects = snapshot.count().await?;
        let detail = format!("{objects} objects");
        let act = Act { operation: "export", detail: Some(&detail), ..Act::default() };
        let record = audit::beside(store, vault, clock, act).await?;
        store.commit(Vec::new(), vec![record]).await?;
        let (database, product, made) = (store.database_id(), store.product(), clock.now());
        Ok(Self { snapshot, vault, database, product, made, objects })
    }

    /// How many objects there are, the register of those who may create among them.
    pub fn objects(&self) -> u64 {
        self.objects
    }

    /// Writes all of it, encrypted to `key`, and gives back what was written to. `progress` hears of
    /// objects.
    pub async fn write<W: Write>(
        mut self,
        out: W,
        key: &Key,
        progress: Progress<'_>,
    ) -> Result<(Contents, W), ArchiveError> {
        let mut to = Out {
            writer: Writer::new(out, key)?,
            item: Zeroizing::new(Vec::new()),
            contents: Contents {
                database: self.database.to_owned(),
                product: self.product.to_owned(),
                made: self.made,
                ..Contents::default()
            },
        };
        let (database, product, made) = (self.database, self.product, self.made);
        to.add(&Item::Source(Source { database, product, made }))?;
        let mut done = 0_u64;
        loop {
            let page = self.snapshot.objects().await?;
            if page.is_empty() {
                break;
            }
            for stored in &page {
                // A rotation may have begun since the vault was opened.
                let grants = stored.grants.iter().map(|it| it.sealed_by);
                let usage = stored.usage.iter().map(|it| it.sealed_by);
                let all = grants.chain(usage).chain([stored.row.sealed_by]);
                self.vault.meet_each(all).await.map_err(ArchiveError::Failed)?;
                to.object(self.vault, stored)?;
            }
            done = done.saturating_add(page.len() as u64);
            progress(done);
        }
        loop {
            let ids = self.snapshot.removed().await?;
            if ids.is_empty() {
                break;
            }
            to.removed(&ids)?;
        }
        let (tokens, epoch) = self.snapshot.api_tokens().await?;
        to.tokens(self.vault, &tokens, epoch)?;
        to.finish()
    }
}

/// An archive in the making.
struct Out<W> {
    writer: Writer<W>,
    item: Zeroizing<Vec<u8>>,
    contents: Contents,
}

impl<W: Write> Out<W> {
    fn add(&mut self, item: &Item<'_>) -> Result<(), ArchiveError> {
        item.encode(&mut self.item);
        Ok(self.writer.add(&self.item)?)
    }

    fn object(&mut self, vault: &Vault, stored: &Stored) -> Result<(), ArchiveError> {
        let Stored { row, usage, grants } = stored;
        let unsound =
            |_reported| ArchiveError::Unsound(format!("the object {:?} was altered", row.id));
        let record = vault.open_record(row).map_err(unsound)?;
        let material = match &row.material {
            Some(_) => Some(vault.open_material(row, &record).map_err(unsound)?),
            None if record.material_tag.is_some() => return Err(unsound(no_material())),
            None => None,
        };
        let counters = usage.as_ref().map(|usage| vault.open_usage(&row.id, usage));
        let counters = counters.transpose().map_err(unsound)?;
        let false_grant =
            grants.iter().find(|it| !vault.is_valid(it, grant::epoch(&record, &it.user)));
        if let Some(grant) = false_grant {
            let what = format!("a grant on {:?} to {:?} was altered", grant.id, grant.user);
            return Err(ArchiveError::Unsound(what));
        }
        let plain = record.to_bytes().map_err(|error| failed(&error))?;
        self.contents.count(&row.id, &record);
        self.contents.counters += u64::from(counters.is_some());
        self.contents.grants += grants.len() as u64;
        self.add(&Item::Object(Object {
            id: &row.id,
            version: row.version,
            generation: row.material_generation,
            record: &plain,
            material: material.as_ref().map(kms_crypto::Secret::expose),
            counters,
            grants: u32::try_from(grants.len()).map_err(|error| failed(&error))?,
        }))?;
        for some in grants.chunks(LISTED_MAX) {
            self.add(&Item::Grants(some.iter().map(spelt).collect()))?;
        }
        Ok(())
    }

    fn removed(&mut self, ids: &[String]) -> Result<(), ArchiveError> {
        self.contents.removed += ids.len() as u64;
        for some in ids.chunks(LISTED_MAX) {
            self.add(&Item::Removed(some.iter().map(String::as_str).collect()))?;
        }
        Ok(())
    }

    fn tokens(
        &mut self,
        vault: &Vault,
        tokens: &[ApiToken],
        epoch: u64,
    ) -> Result<(), ArchiveError> {
        let altered = tokens.iter().find(|it| !vault.is_genuine_token(it, epoch));
        if let Some(token) = altered {
            return Err(ArchiveError::Unsound(format!(
                "the API token {:?} was altered",
                token.name
            )));
        }
        self.contents.api_tokens += tokens.len() as u64;
        for some in tokens.chunks(LISTED_MAX) {
            self.add(&Item::Tokens(some.iter().map(token).collect()))?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(Contents, W), ArchiveError> {
        self.contents.end().encode(&mut self.item);
        let out = self.writer.finish(&self.item)?;
        Ok((self.contents, out))
    }
}

fn spelt(grant: &kms_store::Grant) -> Grant<'_> {
    Grant {
        user: &grant.user,
        permissions: &grant.permissions,
        expires: grant.expires,
        note: grant.note.as_deref(),
    }
}

fn token(token: &ApiToken) -> Token<'_> {
    Token {
        id: &token.id,
        name: &token.name,
        user: &token.user,
        hash: &token.hash,
        created: token.created,
        expires: token.expires,
        revoked: token.revoked,
    }
}

fn no_material() -> crate::Error {
    crate::Error::internal("the material of an object is not there")
}

fn failed(error: &dyn std::error::Error) -> ArchiveError {
    ArchiveError::Failed(crate::Error::internal(error.to_string()))
}
