//! A unit of work: an overlay in memory over the store, committed at once or not at all.
//!
//! Operations read and write through it and never open a transaction. It remembers which versions
//! it read; the store refuses the commit when one of them has changed since. Cryptography is done
//! before the commit. It must never decide about rights.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kmip::enumerations::ResultReason;
use kmip::stored::StoredRecord;
use kmip::wire::Bytes;
use kms_crypto::secret::Secret;
use kms_store::{Grant, IndexEntry, Row, Store, Write};

use crate::access::Permission;
use crate::context::refused_id;
use crate::custody::Vault;
use crate::error::{Again, Error, Result};
use crate::grant::{self, REGISTER};
use crate::index;
use crate::lifecycle;
use crate::object::{NOT_READ, Object};
use crate::principal::EVERYBODY;
use crate::vault::Keys;

/// How often a grant that does not fit its object is read again, and after how long: a commit tells
/// the cache of rows within that time.
const REREADS: u8 = 3;
const REREAD_AFTER: Duration = Duration::from_millis(2);

/// The most that is kept about an object beside its material, in bytes. All of it is read, and
/// written anew, whenever the object is changed.
const RECORD_BYTES_MAX: usize = 2 << 20;

/// Reads and writes that belong together.
pub(crate) struct Unit {
    store: Store,
    vault: Arc<Vault>,
    drafts: Vec<Draft>,
    reads: Vec<(String, Option<u64>)>,
    writes: Vec<Write>,
    /// The objects that were asked for, for the audit.
    named: Vec<String>,
    /// What the store was asked for: once for each object, however often the operation looks at it.
    asked: Vec<Asked>,
    /// What was granted on the objects of a page to a user and to everybody, by object.
    found: Option<(String, HashMap<String, Vec<Grant>>)>,
}

/// An object as the store answered it, and what was granted on it to a user and to everybody, where
/// the answer said that too.
struct Asked {
    id: String,
    object: Option<Object>,
    grants: Option<(String, Vec<Grant>)>,
}

/// What the unit has made of an object.
struct Draft {
    id: Arc<str>,
    /// The stored version that it replaces; `None` for a new object.
    base: Option<u64>,
    /// `None`: removed, never to be used again.
    object: Option<Object>,
}

impl Unit {
    pub(crate) fn new(store: &Store, vault: &Arc<Vault>) -> Self {
        Self {
            store: store.clone(),
            vault: Arc::clone(vault),
            drafts: Vec::new(),
            reads: Vec::new(),
            writes: Vec::new(),
            named: Vec::new(),
            asked: Vec::new(),
            found: None,
        }
    }

    /// The object `id` as this unit sees it.
    pub(crate) async fn object(&mut self, id: &str) -> Result<Option<Object>> {
        // The register of those who may create is nobody's, and not to be seen.
        if id == REGISTER { Ok(None) } else { self.read(id, None).await }
    }

    /// The same; `user` is about to use it, and what was granted to them is read with it where that
    /// costs no further question.
    pub(crate) async fn object_for(&mut self, id: &str, user: &str) -> Result<Option<Object>> {
        if id == REGISTER { Ok(None) } else { self.read(id, Some(user)).await }
    }

    /// The register of those who may create objects, where there is one.
    pub(crate) async fn register(&mut self) -> Result<Option<Object>> {
        self.read(REGISTER, None).await
    }

    async fn read(&mut self, id: &str, user: Option<&str>) -> Result<Option<Object>> {
        if let Some(draft) = self.drafts.iter().find(|draft| &*draft.id == id) {
            return Ok(draft.object.clone());
        }
        if let Some(cached) = self.store.cached(id) {
            self.reads.push((id.to_owned(), Some(cached.row.version)));
            self.vault.meet(cached.row.sealed_by).await?;
            return Object::open_row(&self.vault, &cached).map(Some);
        }
        if let Some(asked) = self.asked.iter().find(|asked| asked.id == id) {
            return Ok(asked.object.clone());
        }
        let (cached, grants) = match user {
            None => (self.store.object(id).await.map_err(from_store)?, None),
            Some(user) => match self.store.used(id, user).await.map_err(from_store)? {
                Some((cached, grants)) => (Some(cached), grants.map(|it| (user.to_owned(), it))),
                None => (None, None),
            },
        };
        self.reads.push((id.to_owned(), cached.as_ref().map(|cached| cached.row.version)));
        if let Some(cached) = &cached {
            self.vault.meet(cached.row.sealed_by).await?;
        }
        let object = cached.map(|cached| Object::open_row(&self.vault, &cached)).transpose()?;
        self.asked.push(Asked { id: id.to_owned(), object: object.clone(), grants });
        Ok(object)
    }

    /// Reads what was granted on objects that a search has found to `user` and to everybody, where
    /// one question for all is cheaper than one for each.
    pub(crate) async fn ask_grants(&mut self, ids: &[&str], user: &str) -> Result<()> {
        let Some(grants) = self.store.grants_among(ids, user).await.map_err(from_store)? else {
            return Ok(());
        };
        let mut found: HashMap<String, Vec<Grant>> =
            ids.iter().map(|id| ((*id).to_owned(), Vec::new())).collect();
        for grant in grants {
            found.entry(grant.id.clone()).or_default().push(grant);
        }
        self.found = Some((user.to_owned(), found));
        Ok(())
    }

    /// From here on, what is not changed here is asked for again: time has passed.
    pub(crate) fn ask_again(&mut self) {
        self.asked.clear();
        self.found = None;
    }

    /// What was read of the grants on an object to `user` and to everybody, if it was.
    fn known_grants(&self, id: &str, user: &str) -> Option<&[Grant]> {
        let asked = self.asked.iter().find(|asked| asked.id == id);
        if let Some((of, grants)) = asked.and_then(|asked| asked.grants.as_ref())
            && of == user
        {
            return Some(grants);
        }
        let (_, found) = self.found.as_ref().filter(|(of, _)| of == user)?;
        found.get(id).map(Vec::as_slice)
    }

    /// What `user` may do with `object` at `now`, by a grant by name or to everybody.
    pub(crate) async fn permissions(
        &self,
        object: &Object,
        user: &str,
        now: i64,
    ) -> Result<Vec<Permission>> {
        let known = self.known_grants(object.id(), user);
        let mut permissions = Vec::new();
        for user in [user, EVERYBODY] {
            match known.map(|known| self.of_known(object, known, user, now)) {
                Some(Some(known)) => permissions.extend(known),
                // It was not asked for, or does not fit the object.
                _ => permissions.extend(self.granted(object, user, now).await?),
            }
        }
        Ok(permissions)
    }

    /// The same of grants that were read, if the one to exactly `user` fits the object.
    fn of_known(
        &self,
        object: &Object,
        known: &[Grant],
        user: &str,
        now: i64,
    ) -> Option<Vec<Permission>> {
        let Some(row) = known.iter().find(|row| row.user == user) else { return Some(Vec::new()) };
        let is_genuine = self.vault.is_genuine(row, grant::epoch(object.record(), user));
        is_genuine.then(|| grant::in_force(row, now))
    }

    /// What was granted to exactly `user`. A grant and its object are read one after the other, so
    /// that a withdrawal may come between, which signs the bucket's other grants anew: a grant that
    /// does not fit is read again before it is called altered.
    async fn granted(&self, object: &Object, user: &str, now: i64) -> Result<Vec<Permission>> {
        let mut tries = REREADS;
        let mut current = object.clone();
        loop {
            let row = self.store.grant(object.id(), user).await.map_err(from_store)?;
            let Some(row) = row else { return Ok(Vec::new()) };
            self.vault.meet(row.sealed_by).await?;
            let epoch = grant::epoch(current.record(), user);
            // The last time it is reported.
            let is_valid = match tries {
                0 => self.vault.is_valid(&row, epoch),
                _ => self.vault.is_genuine(&row, epoch),
            };
            if is_valid {
                return Ok(grant::in_force(&row, now));
            }
            if tries == 0 {
                return Ok(Vec::new());
            }
            tries = tries.saturating_sub(1);
            tokio::time::sleep(REREAD_AFTER).await;
            match self.store.object(object.id()).await.map_err(from_store)? {
                Some(cached) => {
                    self.vault.meet(cached.row.sealed_by).await?;
                    current = Object::open_row(&self.vault, &cached)?;
                }
                None => return Ok(Vec::new()),
            }
        }
    }

    /// A new object. The identifier must never have been used; the commit makes sure of it.
    pub(crate) fn insert(
        &mut self,
        id: &str,
        record: StoredRecord,
        material: Secret,
    ) -> Result<Object> {
        if self.drafts.iter().any(|draft| &*draft.id == id) {
            return Err(refused_id(id));
        }
        let id: Arc<str> = id.into();
        let object = Object::draft(Arc::clone(&id), 0, Arc::new(record)).with_material(material);
        self.drafts.push(Draft { id, base: None, object: Some(object.clone()) });
        Ok(object)
    }

    /// A new register of those who may create objects.
    pub(crate) fn insert_register(&mut self, record: StoredRecord) -> Object {
        let id: Arc<str> = REGISTER.into();
        let object = Object::draft(Arc::clone(&id), 0, Arc::new(record));
        self.drafts.push(Draft { id, base: None, object: Some(object.clone()) });
        object
    }

    /// The object with another record; its material stays as it is.
    pub(crate) fn update(&mut self, object: &Object, record: StoredRecord) -> Object {
        self.draft(object, Some(object.with_record(record)))
    }

    /// The object with another record and other material.
    pub(crate) fn replace(
        &mut self,
        object: &Object,
        record: StoredRecord,
        material: Secret,
    ) -> Object {
        self.draft(object, Some(object.with_record(record).with_material(material)))
    }

    /// The object with its material wiped.
    pub(crate) fn wipe(&mut self, object: &Object, record: StoredRecord) -> Object {
        self.draft(object, Some(object.with_record(record).without_material()))
    }

    /// Nothing is left of the object but its identifier, which is never used again.
    pub(crate) fn remove(&mut self, object: &Object) {
        self.draft(object, None);
    }

    /// A write beside the objects: grants and usage.
    pub(crate) fn write(&mut self, write: Write) {
        self.writes.push(write);
    }

    fn draft(&mut self, object: &Object, new: Option<Object>) -> Object {
        let seen = new.clone().unwrap_or_else(|| object.clone());
        match self.drafts.iter_mut().find(|draft| &*draft.id == object.id()) {
            Some(draft) => draft.object = new,
            None => self.drafts.push(Draft {
                id: object.id_shared(),
                base: Some(object.version()),
                object: new,
            }),
        }
        seen
    }

    /// Notes that the operation is about the object `id`, whether it may be or not.
    pub(crate) fn name(&mut self, id: &str) {
        self.named.push(id.to_owned());
    }

    /// The objects that were noted since this was last asked for.
    pub(crate) fn take_named(&mut self) -> Vec<String> {
        std::mem::take(&mut self.named)
    }

    /// Whether there is anything to commit.
    pub(crate) fn is_clean(&self) -> bool {
        self.drafts.is_empty() && self.writes.is_empty()
    }

    /// Seals and stores all of it, or nothing. Answered only when it is on disk.
    pub(crate) async fn commit(self) -> Result<()> {
        if self.is_clean() {
            return Ok(());
        }
        let mut writes = Vec::with_capacity(self.drafts.len().saturating_add(self.writes.len()));
        let mut replaced = Vec::new();
        let keys = self.vault.sealing().await?;
        for draft in self.drafts {
            writes.extend(seal(&self.vault, &keys, &draft)?);
            replaced.push(draft.id);
        }
        writes.extend(self.writes);
        // A version that is replaced is checked by its own write.
        let mut reads = self.reads;
        reads.retain(|(id, version)| {
            version.is_some() && !replaced.iter().any(|replaced| **replaced == **id)
        });
        self.store.commit(reads, writes).await.map_err(from_store)
    }
}

fn seal(vault: &Vault, keys: &Keys, draft: &Draft) -> Result<Option<Write>> {
    let id = &*draft.id;
    let Some(object) = &draft.object else {
        return Ok(draft.base.map(|expected| Write::Remove { id: id.to_owned(), expected }));
    };
    let version = draft.base.map_or(1, |base| base.saturating_add(1));
    if object.is_partial() {
        return Err(Error::internal(NOT_READ));
    }
    let mut record = object.record().clone();
    let (material, generation) = match (object.fresh(), object.sealed()) {
        (Some(fresh), _) => {
            let generation = object.generation().saturating_add(1);
            let (sealed, tag) =
                keys.seal_material(id, record.object_type, generation, fresh.expose())?;
            record.material_tag = Some(Bytes(tag));
            (Some(sealed), generation)
        }
        (None, Some(cached)) if cached.row.sealed_by == keys.generation() => {
            (cached.row.material.clone(), cached.row.material_generation)
        }
        // Record and material are sealed by the same data key.
        (None, Some(cached)) => {
            let plain = vault.open_material(&cached.row, &record)?;
            let generation = cached.row.material_generation;
            let (sealed, tag) =
                keys.seal_material(id, record.object_type, generation, plain.expose())?;
            record.material_tag = Some(Bytes(tag));
            (Some(sealed), generation)
        }
        (None, None) => {
            record.material_tag = None;
            (None, object.generation())
        }
    };
    record.material_generation = generation.cast_signed();
    let shard = object.sealed().map_or(0, |cached| cached.row.shard);
    let (row, index) = sealed_row(keys, (id, shard), version, &record, material)?;
    Ok(Some(Write::Put { index, row, expected: draft.base }))
}

/// The row of an object, whose record names the sealed material, with its index entries.
pub(crate) fn sealed_row(
    keys: &Keys,
    (id, shard): (&str, u8),
    version: u64,
    record: &StoredRecord,
    material: Option<Vec<u8>>,
) -> Result<(Row, Vec<IndexEntry>)> {
    let sealed_record = keys.seal_record(id, version, record)?;
    if sealed_record.len() > RECORD_BYTES_MAX {
        return Err(Error::new(
            ResultReason::ServerLimitExceeded,
            format!("the attributes of an object have at most {RECORD_BYTES_MAX} bytes together"),
        ));
    }
    let row = Row {
        id: id.to_owned(),
        owner: record.owner.clone(),
        object_type: record.object_type,
        state: record.state,
        version,
        due: lifecycle::due(record),
        record: sealed_record,
        material_generation: record.material_generation.cast_unsigned(),
        material,
        shard,
        sealed_by: keys.generation(),
    };
    Ok((row, index::entries(record)))
}

/// The core's error for one of the store's.
pub(crate) fn from_store(error: kms_store::Error) -> Error {
    match &error {
        kms_store::Error::Conflict { id } => Error::conflict(id),
        kms_store::Error::Exists { id } => refused_id(id),
        kms_store::Error::TooLong { .. } => {
            Error::new(ResultReason::ServerLimitExceeded, error.to_string())
        }
        kms_store::Error::Unavailable(_) | kms_store::Error::ReadOnly | kms_store::Error::Full => {
            Error::passing(
                Again::Yes,
                ResultReason::GeneralFailure,
                "the database cannot be used now",
            )
            .because(error)
        }
        kms_store::Error::Unknown(_) => Error::passing(
            Again::Perhaps,
            ResultReason::GeneralFailure,
            "the connection to the database was lost while this was being done",
        )
        .because(error),
        _ => Error::internal(error),
    }
}
