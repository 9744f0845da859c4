//! Into a database: the archive is read twice. The first time it is checked as a whole, and compared
//! with what the database has; the second time its objects are sealed under the keys of this database
//! and stored, all of them or none. Must never open what the database has.

use std::io::{BufReader, Read, Seek};
use std::sync::Arc;

use kmip::stored::StoredRecord;
use kmip::wire::Bytes;
use kms_archive::Key;
use kms_crypto::secret;
use kms_store::{ApiToken, Grant, Import, Known, Store, Write};

use super::error::{ArchiveError, Conflicts};
use super::item::{Item, Object};
use super::walk::{Met, Walk};
use super::{Contents, Progress};
use crate::api_token;
use crate::audit::{self, Act};
use crate::clock::Clock;
use crate::custody::Vault;
use crate::grant;
use crate::unit;
use crate::vault::Keys;

/// The most identifiers that the database is asked for at once.
const ASKED: usize = 256;
/// How much is stored at once: changes, and roughly their bytes.
const WRITES: usize = 512;
const BYTES: usize = 4 << 20;
/// How much of the file is read at once.
const READ: usize = 256 << 10;

/// What an import would do.
#[derive(Debug)]
pub struct Plan {
    /// What is in the archive.
    pub contents: Contents,
    /// What keeps it from being taken in: names that are or were in use here.
    pub conflicts: Conflicts,
    /// How many of the removed identifiers were removed here too.
    pub removed_here: u64,
    digest: [u8; 32],
}

/// Reads all of an archive, and compares it with what `store` has; without a store, with an empty
/// database. Nothing is written. `progress` hears of bytes.
pub async fn plan_import(
    store: Option<&Store>,
    archive: impl Read,
    key: &Key,
    progress: Progress<'_>,
) -> Result<Plan, ArchiveError> {
    let mut walk = Walk::new(BufReader::with_capacity(READ, archive), key)?;
    let mut compared = Compared { store, ..Compared::default() };
    while let Some(frame) = walk.frame()? {
        match walk.meet(&frame)? {
            Met::Object(object, _) => compared.object(object.id).await?,
            Met::Other(Item::Removed(ids)) => compared.removed(&ids).await?,
            Met::Other(Item::Tokens(tokens)) => {
                for token in tokens {
                    compared.token(token.id, token.name).await?;
                }
            }
            Met::Other(_) => {}
        }
        progress(walk.bytes());
    }
    compared.ask().await?;
    let (contents, digest) = walk.end()?;
    let Compared { conflicts, removed_here, .. } = compared;
    Ok(Plan { contents, conflicts, removed_here, digest })
}

/// What was found in the database.
#[derive(Default)]
struct Compared<'a> {
    store: Option<&'a Store>,
    /// Objects that are not yet asked for.
    objects: Vec<String>,
    tokens: Option<Vec<ApiToken>>,
    conflicts: Conflicts,
    removed_here: u64,
}

impl Compared<'_> {
    async fn object(&mut self, id: &str) -> Result<(), ArchiveError> {
        self.objects.push(id.to_owned());
        if self.objects.len() < ASKED { Ok(()) } else { self.ask().await }
    }

    async fn ask(&mut self) -> Result<(), ArchiveError> {
        let ids = std::mem::take(&mut self.objects);
        let Some(store) = self.store else { return Ok(()) };
        let ids: Vec<_> = ids.iter().map(String::as_str).collect();
        for (id, _) in store.known(&ids).await? {
            self.conflicts.add(&object_name(&id));
        }
        Ok(())
    }

    async fn removed(&mut self, ids: &[&str]) -> Result<(), ArchiveError> {
        let Some(store) = self.store else { return Ok(()) };
        for (id, known) in store.known(ids).await? {
            match known {
                Known::There => self.conflicts.add(&object_name(&id)),
                Known::Removed => self.removed_here = self.removed_here.saturating_add(1),
            }
        }
        Ok(())
    }

    async fn token(&mut self, id: &str, name: &str) -> Result<(), ArchiveError> {
        let Some(store) = self.store else { return Ok(()) };
        if self.tokens.is_none() {
            self.tokens = Some(store.api_tokens().await?.0);
        }
        let mut tokens = self.tokens.iter().flatten();
        if tokens.any(|it| it.id == id || it.name == name) {
            self.conflicts.add(&format!("the API token {name:?}"));
        }
        Ok(())
    }
}

fn object_name(id: &str) -> String {
    if id == grant::REGISTER {
        return "a register of those who may create".to_owned();
    }
    format!("the object {id:?}")
}

/// Stores all that is in an archive, as `plan` has found it, sealed under the keys of `vault`; with it
/// goes the record for the audit log. All of it is made, or nothing. `progress` hears of bytes.
pub async fn import_archive(
    plan: &Plan,
    (store, vault): (&Store, &Vault),
    clock: &dyn Clock,
    (archive, key): (&mut (impl Read + Seek + Send), &Key),
    progress: Progress<'_>,
) -> Result<(), ArchiveError> {
    if !plan.conflicts.is_empty() {
        return Err(ArchiveError::There(plan.conflicts.clone()));
    }
    archive.rewind().map_err(kms_archive::Error::from)?;
    let mut walk = Walk::new(BufReader::with_capacity(READ, archive), key)?;
    let mut taking = Taking {
        store,
        vault,
        keys: vault.sealing().await.map_err(ArchiveError::Failed)?,
        import: store.import().await?,
        writes: Vec::new(),
        bytes: 0,
        grantor: None,
        shard: 0,
        tokens: Vec::new(),
    };
    while let Some(frame) = walk.frame()? {
        match walk.meet(&frame)? {
            Met::Object(object, record) => taking.object(&object, *record).await?,
            Met::Other(Item::Grants(grants)) => taking.grants(&grants)?,
            Met::Other(Item::Removed(ids)) => taking.removed(&ids).await?,
            Met::Other(Item::Tokens(tokens)) => taking.tokens(&tokens),
            Met::Other(_) => {}
        }
        progress(walk.bytes());
    }
    let (contents, digest) = walk.end()?;
    // What is stored must be what was checked.
    if !secret::equal(&digest, &plan.digest) {
        return Err(ArchiveError::Changed);
    }
    let detail = format!("{} objects of the database {}", contents.total(), contents.database);
    let act = Act { operation: "import", detail: Some(&detail), ..Act::default() };
    let record = audit::beside(store, vault, clock, act).await?;
    taking.finish(record).await
}

/// What is on its way into the database.
struct Taking<'a> {
    store: &'a Store,
    vault: &'a Vault,
    /// All of it is sealed by the same keys.
    keys: Arc<Keys>,
    import: Import<'a>,
    writes: Vec<Write>,
    bytes: usize,
    /// The object on which the next grants are.
    grantor: Option<(String, StoredRecord)>,
    /// In which sum the next object is counted: all of them get their share.
    shard: u8,
    tokens: Vec<ApiToken>,
}

impl Taking<'_> {
    async fn object(
        &mut self,
        object: &Object<'_>,
        mut record: StoredRecord,
    ) -> Result<(), ArchiveError> {
        // Grants go with their object, and what is full goes before the next one.
        if self.writes.len() >= WRITES || self.bytes >= BYTES {
            self.flush().await?;
        }
        let (id, generation) = (object.id, object.generation);
        let material = match object.material {
            Some(plain) => {
                let sealed = self.keys.seal_material(id, record.object_type, generation, plain);
                let (sealed, tag) = sealed.map_err(ArchiveError::Failed)?;
                record.material_tag = Some(Bytes(tag));
                Some(sealed)
            }
            None => None,
        };
        let row = unit::sealed_row(&self.keys, (id, self.shard), object.version, &record, material);
        let (row, index) = row.map_err(ArchiveError::Failed)?;
        self.shard = self.shard.wrapping_add(1);
        self.bytes = self.bytes.saturating_add(row.record.len());
        self.bytes = self.bytes.saturating_add(row.material.as_ref().map_or(0, Vec::len));
        self.writes.push(Write::Put { row, index, expected: None });
        if let Some(counters) = &object.counters {
            let sealed = self.keys.seal_usage(id, counters).map_err(ArchiveError::Failed)?;
            let (id, sealed_by) = (id.to_owned(), self.keys.generation());
            self.writes.push(Write::PutUsage { id, sealed, sealed_by, expected: None });
        }
        self.grantor = (object.grants > 0).then(|| (id.to_owned(), record));
        Ok(())
    }

    fn grants(&mut self, grants: &[super::item::Grant<'_>]) -> Result<(), ArchiveError> {
        let Some((id, record)) = &self.grantor else {
            return Err(ArchiveError::Failed(crate::Error::internal("a grant on no object")));
        };
        for it in grants {
            let mut grant = Grant {
                id: id.clone(),
                user: it.user.to_owned(),
                permissions: it.permissions.to_owned(),
                expires: it.expires,
                note: it.note.map(str::to_owned),
                mac: Vec::new(),
                sealed_by: self.keys.generation(),
            };
            grant.mac = self.keys.grant_mac(&grant, grant::epoch(record, it.user));
            self.writes.push(Write::PutGrant(grant));
        }
        Ok(())
    }

    async fn removed(&mut self, ids: &[&str]) -> Result<(), ArchiveError> {
        let known = self.store.known(ids).await?;
        let is_known =
            |id: &str| known.iter().any(|(it, how)| it.as_str() == id && *how == Known::Removed);
        let new = ids.iter().filter(|id| !is_known(id));
        self.writes.extend(new.map(|id| Write::Retire { id: (*id).to_owned() }));
        if self.writes.len() >= WRITES { self.flush().await } else { Ok(()) }
    }

    fn tokens(&mut self, tokens: &[super::item::Token<'_>]) {
        self.tokens.extend(tokens.iter().map(|it| ApiToken {
            id: it.id.to_owned(),
            name: it.name.to_owned(),
            user: it.user.to_owned(),
            hash: it.hash.to_vec(),
            created: it.created,
            expires: it.expires,
            revoked: it.revoked,
            mac: Vec::new(),
            sealed_by: 0,
        }));
    }

    async fn flush(&mut self) -> Result<(), ArchiveError> {
        self.bytes = 0;
        let writes = std::mem::take(&mut self.writes);
        self.import.put(writes).await.map_err(there)
    }

    async fn finish(mut self, record: Write) -> Result<(), ArchiveError> {
        if !self.tokens.is_empty() {
            let (rows, epoch) = self.store.api_tokens().await?;
            let new = std::mem::take(&mut self.tokens);
            let write = api_token::joined((self.vault, &self.keys), (rows, epoch), new);
            self.writes.push(write.map_err(|error| {
                ArchiveError::Failed(crate::Error::internal(error.to_string()))
            })?);
        }
        self.writes.push(record);
        self.flush().await?;
        self.import.finish().await.map_err(there)
    }
}

/// What has come to be used since the database was compared.
fn there(error: kms_store::Error) -> ArchiveError {
    match error {
        kms_store::Error::Exists { id } => {
            let mut conflicts = Conflicts::default();
            conflicts.add(&object_name(&id));
            ArchiveError::There(conflicts)
        }
        error => error.into(),
    }
}
