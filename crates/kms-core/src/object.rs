//! An object as the core holds it: its record in the clear, its material sealed or just made.
//! It must never know who asks; rights are decided in `access`.

use std::sync::Arc;

use kmip::enumerations::LinkType;
use kmip::stored::{StoredMaterial, StoredRecord};
use kms_crypto::secret::Secret;
use kms_store::Cached;

use crate::custody::Vault;
use crate::error::{Error, Result};

/// Key material in the clear, for as long as one operation.
pub(crate) type Material = StoredMaterial;

/// An object at one version. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Object {
    id: Arc<str>,
    version: u64,
    /// How often the material was replaced.
    generation: u32,
    record: Arc<StoredRecord>,
    material: Source,
}

/// Where the material is.
#[derive(Clone)]
enum Source {
    /// Nowhere: it was destroyed.
    Gone,
    /// Sealed, in the row.
    Sealed(Arc<Cached>),
    /// In the row, and not read: a search came upon the object.
    LeftOut,
    /// Written by this very request, and not yet stored.
    Fresh(Arc<Secret>),
}

/// Why an object that a search came upon is neither opened nor written.
pub(crate) const NOT_READ: &str = "the material of an object that a search found was not read";

/// What is remembered beside a cached row: its record, opened and decoded.
struct Memo {
    id: Arc<str>,
    record: Arc<StoredRecord>,
}

impl Object {
    /// Opens the record of a stored row, once per version of it.
    pub(crate) fn open_row(vault: &Vault, cached: &Arc<Cached>) -> Result<Self> {
        let memo = if let Some(memo) = cached.memo::<Memo>() {
            memo
        } else {
            let record = Arc::new(vault.open_record(&cached.row)?);
            let memo = Memo { id: cached.row.id.as_str().into(), record };
            cached.remember(memo).ok_or_else(|| Error::internal("a row carries another memo"))?
        };
        let material = match cached.row.material {
            Some(_) => Source::Sealed(Arc::clone(cached)),
            None if cached.is_partial() => Source::LeftOut,
            None => Source::Gone,
        };
        Ok(Self {
            id: Arc::clone(&memo.id),
            version: cached.row.version,
            generation: cached.row.material_generation,
            record: Arc::clone(&memo.record),
            material,
        })
    }

    /// An object that this request makes or changes.
    pub(crate) fn draft(id: Arc<str>, version: u64, record: Arc<StoredRecord>) -> Self {
        Self { id, version, generation: 0, record, material: Source::Gone }
    }

    /// The same object with another record.
    pub(crate) fn with_record(&self, record: StoredRecord) -> Self {
        Self { record: Arc::new(record), ..self.clone() }
    }

    /// The same object with material that is not stored yet.
    pub(crate) fn with_material(&self, material: Secret) -> Self {
        Self { material: Source::Fresh(Arc::new(material)), ..self.clone() }
    }

    /// The same object without its material.
    pub(crate) fn without_material(&self) -> Self {
        Self { material: Source::Gone, ..self.clone() }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn id_shared(&self) -> Arc<str> {
        Arc::clone(&self.id)
    }

    /// The stored version; 0 where it is not stored yet.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    pub(crate) fn record(&self) -> &StoredRecord {
        &self.record
    }

    /// The row that holds the sealed material, where it is stored.
    pub(crate) fn sealed(&self) -> Option<&Arc<Cached>> {
        match &self.material {
            Source::Sealed(cached) => Some(cached),
            Source::Gone | Source::LeftOut | Source::Fresh(_) => None,
        }
    }

    /// The material that this request made, where it made one.
    pub(crate) fn fresh(&self) -> Option<&Secret> {
        match &self.material {
            Source::Fresh(material) => Some(material),
            Source::Gone | Source::LeftOut | Source::Sealed(_) => None,
        }
    }

    /// Whether the material is there but was not read, so that the object cannot be written.
    pub(crate) fn is_partial(&self) -> bool {
        matches!(self.material, Source::LeftOut)
    }

    /// Opens the material; reached through `Authorized` only.
    pub(crate) fn open(&self, vault: &Vault) -> Result<Material> {
        let plain;
        let bytes = match &self.material {
            Source::Gone => {
                return Err(Error::new(
                    kmip::enumerations::ResultReason::ObjectDestroyed,
                    "the object's key material is gone",
                ));
            }
            Source::LeftOut => return Err(Error::internal(NOT_READ)),
            Source::Fresh(material) => material.expose(),
            Source::Sealed(cached) => {
                plain = vault.open_material(&cached.row, &self.record)?;
                plain.expose()
            }
        };
        StoredMaterial::from_bytes(bytes).map_err(Error::internal)
    }

    /// The identifier of the key that wrapped the material, where it is kept wrapped.
    pub(crate) fn wrapped_by(&self) -> Option<String> {
        let data = self.record.key_block.key_wrapping_data.as_ref()?;
        let information = data.encryption_key_information.as_ref()?;
        information.unique_identifier.as_id().map(str::to_owned)
    }

    /// The identifiers of the other halves of this key pair.
    pub(crate) fn pair_halves(&self) -> Vec<String> {
        let halves = [LinkType::PublicKeyLink, LinkType::PrivateKeyLink];
        let linked = halves.into_iter().filter_map(|kind| self.record.attributes.linked(kind));
        linked.map(str::to_owned).collect()
    }
}
