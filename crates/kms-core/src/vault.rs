//! Custody of what rests: seals records, key material, usage and grants, and opens them again.
//!
//! Three parts of an object are sealed apart. The *record* (state, owner, attributes) is bound to
//! identifier, type, owner and version; the *material* (the key) to identifier, type and its
//! generation, and its tag stands in the record; *usage* is bound to the identifier. A row that
//! was moved, swapped or edited therefore does not open, and is reported. This module must never
//! know who asks, or why.

use kmip::enumerations::ObjectType;
use kmip::stored::StoredRecord;
use kms_crypto::kdf;
use kms_crypto::mac::{self, MacKey};
use kms_crypto::seal::SealKey;
use kms_crypto::secret::{self, Secret};
use kms_store::{ApiToken, AuditChange, AuditEpoch, AuditHead, Grant, Row};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::usage::Counters;

/// The number of grant epochs in a record: a withdrawal re-MACs one bucket of grants, not all.
pub(crate) const GRANT_BUCKETS: u8 = 64;

/// The size of the tag that ends sealed bytes.
const TAG_LENGTH: usize = 16;
/// The length of the counters of a key.
const USAGE_LENGTH: usize = 4 + 8 + 8;

/// The keys that everything rests under, all derived from the data key of one generation.
pub(crate) struct Keys {
    generation: u32,
    record: SealKey,
    material: SealKey,
    usage: SealKey,
    grants: Secret,
    api_tokens: Secret,
    audit: MacKey,
    audit_first: SealKey,
}

impl Keys {
    /// The keys of the data key of `generation`.
    pub(crate) fn new(generation: u32, data_key: &Secret) -> Result<Self> {
        let key = |label: &str| -> Result<Zeroizing<[u8; 32]>> {
            let mut derived = Zeroizing::new([0; 32]);
            let info = [label.as_bytes()];
            kdf::hkdf_sha256_into(data_key.expose(), b"kms vault v1", &info, &mut *derived)
                .map_err(Error::internal)?;
            Ok(derived)
        };
        let seal = |label: &str| -> Result<SealKey> {
            SealKey::new(&*key(label)?).map_err(Error::internal)
        };
        Ok(Self {
            generation,
            record: seal("record")?,
            material: seal("material")?,
            usage: seal("usage")?,
            grants: Secret::new(key("grant")?.to_vec()),
            api_tokens: Secret::new(key("api token")?.to_vec()),
            audit: MacKey::new(&*key("audit")?),
            audit_first: seal("audit key")?,
        })
    }

    /// Which data key they are derived from.
    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    /// Seals a record as version `version` of object `id`.
    pub(crate) fn seal_record(
        &self,
        id: &str,
        version: u64,
        record: &StoredRecord,
    ) -> Result<Vec<u8>> {
        let plain = record.to_bytes().map_err(Error::internal)?;
        let bound = bind_record(id, record.object_type, &record.owner, version);
        self.record.seal(&bound, &plain).map_err(Error::internal)
    }

    /// Opens the record of `row`, and refuses it where the row is not what was sealed.
    pub(crate) fn open_record(&self, row: &Row) -> Result<StoredRecord> {
        let bound = bind_record(&row.id, row.object_type, &row.owner, row.version);
        let plain = self
            .record
            .open(&bound, &row.record)
            .map_err(|cause| tampered(&row.id).because(cause))?;
        let record = StoredRecord::from_bytes(plain.expose())
            .map_err(|cause| tampered(&row.id).because(cause))?;
        if record.object_type == row.object_type && record.owner == row.owner {
            Ok(record)
        } else {
            Err(tampered(&row.id))
        }
    }

    /// Seals key material as generation `generation` of object `id`; also the tag for the record.
    pub(crate) fn seal_material(
        &self,
        id: &str,
        object_type: ObjectType,
        generation: u32,
        plain: &[u8],
    ) -> Result<(Vec<u8>, Vec<u8>)> {
        let sealed = self
            .material
            .seal(&bind_material(id, object_type, generation), plain)
            .map_err(Error::internal)?;
        let tag = tag_of(&sealed).to_vec();
        Ok((sealed, tag))
    }

    /// Opens the material of `row`, whose tag the (already opened) record vouches for.
    pub(crate) fn open_material(&self, row: &Row, record: &StoredRecord) -> Result<Secret> {
        let sealed = row.material.as_deref().ok_or_else(|| tampered(&row.id))?;
        let expected = record.material_tag.as_deref().unwrap_or_default();
        let generation = record.material_generation.cast_unsigned();
        if !secret::equal(tag_of(sealed), expected) || generation != row.material_generation {
            return Err(tampered(&row.id));
        }
        let bound = bind_material(&row.id, record.object_type, row.material_generation);
        self.material.open(&bound, sealed).map_err(|cause| tampered(&row.id).because(cause))
    }

    pub(crate) fn seal_usage(&self, id: &str, counters: &Counters) -> Result<Vec<u8>> {
        let mut plain = [0; USAGE_LENGTH];
        let (generation, rest) = plain.split_at_mut(4);
        generation.copy_from_slice(&counters.generation.to_be_bytes());
        let (nonces, used) = rest.split_at_mut(8);
        nonces.copy_from_slice(&counters.nonces.to_be_bytes());
        used.copy_from_slice(&counters.used.to_be_bytes());
        self.usage.seal(&bind(b'U', id), &plain).map_err(Error::internal)
    }

    pub(crate) fn open_usage(&self, id: &str, sealed: &[u8]) -> Result<Counters> {
        let plain = self
            .usage
            .open(&bind(b'U', id), sealed)
            .map_err(|cause| tampered(id).because(cause))?;
        let read = || {
            let (generation, rest) = plain.expose().split_first_chunk()?;
            let (nonces, rest) = rest.split_first_chunk()?;
            Some(Counters {
                generation: u32::from_be_bytes(*generation),
                nonces: u64::from_be_bytes(*nonces),
                used: u64::from_be_bytes(rest.try_into().ok()?),
            })
        };
        read().ok_or_else(|| tampered(id))
    }

    /// The MAC of an API token: over all its columns, and over the epoch of all tokens.
    pub(crate) fn api_token_mac(&self, token: &ApiToken, epoch: u64) -> Vec<u8> {
        let ApiToken { id, name, user, hash, created, expires, revoked, .. } = token;
        let mut bound = bind(b'T', id);
        push(&mut bound, name.as_bytes());
        push(&mut bound, user.as_bytes());
        push(&mut bound, hash);
        bound.extend_from_slice(&created.to_be_bytes());
        for time in [expires, revoked] {
            // None and every number differ.
            match time {
                Some(time) => push(&mut bound, &time.to_be_bytes()),
                None => push(&mut bound, &[]),
            }
        }
        bound.extend_from_slice(&epoch.to_be_bytes());
        mac::hmac_sha256(self.api_tokens.expose(), &[&bound]).to_vec()
    }

    /// The MAC of the record of a change, over all its columns.
    pub(crate) fn audit_change_mac(&self, change: &AuditChange) -> Vec<u8> {
        let AuditChange { server, epoch, number, at, body, .. } = change;
        let mut bound = bind(b'C', server);
        for number in [epoch, number, at] {
            bound.extend_from_slice(&number.to_be_bytes());
        }
        self.audit.sign(&[&bound, body]).to_vec()
    }

    /// The MAC of how far an audit log is, over all columns.
    pub(crate) fn audit_head_mac(&self, head: &AuditHead) -> Vec<u8> {
        let AuditHead { server, epoch, seq, chain, .. } = head;
        let mut bound = bind(b'H', server);
        for number in [epoch, seq] {
            bound.extend_from_slice(&number.to_be_bytes());
        }
        self.audit.sign(&[&bound, chain]).to_vec()
    }

    /// Seals the first key of an epoch of an audit log, bound to the other columns of `row`.
    pub(crate) fn seal_audit_key(&self, row: &AuditEpoch, key: &[u8]) -> Result<Vec<u8>> {
        self.audit_first.seal(&bind_epoch(row), key).map_err(Error::internal)
    }

    /// The first key of an epoch; none if its row was altered.
    pub(crate) fn open_audit_key(&self, row: &AuditEpoch) -> Option<Zeroizing<[u8; 32]>> {
        let key = self.audit_first.open(&bind_epoch(row), &row.sealed).ok()?;
        key.expose().try_into().ok().map(Zeroizing::new)
    }

    /// The grant as these keys prove it, under its bucket's epoch.
    pub(crate) fn sign_grant(&self, grant: Grant, epoch: u32) -> Grant {
        let mac = self.grant_mac(&grant, epoch);
        Grant { mac, sealed_by: self.generation, ..grant }
    }

    /// The MAC of a grant: over all its columns, and over its bucket's epoch.
    pub(crate) fn grant_mac(&self, grant: &Grant, epoch: u32) -> Vec<u8> {
        let Grant { id, user, permissions, expires, note, .. } = grant;
        let mut bound = bind(b'G', id);
        push(&mut bound, user.as_bytes());
        push(&mut bound, permissions.as_bytes());
        bound.extend_from_slice(&epoch.to_be_bytes());
        // Grants without either are signed as they were before there were these columns.
        if expires.is_some() || note.is_some() {
            let expires = expires.map(i64::to_be_bytes);
            push(&mut bound, expires.as_ref().map_or(&[], |it| it.as_slice()));
            bound.push(u8::from(note.is_some()));
            push(&mut bound, note.as_deref().unwrap_or_default().as_bytes());
        }
        mac::hmac_sha256(self.grants.expose(), &[&bound]).to_vec()
    }
}

/// The bucket of grant epochs that `user` falls into.
pub(crate) fn bucket(user: &str) -> u8 {
    // FNV-1a: it spreads, and it is the same on every server and in every version.
    let hash = user.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    u8::try_from(hash % u64::from(GRANT_BUCKETS)).unwrap_or_default()
}

pub(crate) fn tampered(id: &str) -> Error {
    tracing::error!(object = %id, "a row in the database was altered, moved or swapped; refused");
    Error::new(
        kmip::enumerations::ResultReason::GeneralFailure,
        "the object as it is stored was altered and is refused; tell the operator",
    )
    .because("what is stored does not fit together")
}

fn tag_of(sealed: &[u8]) -> &[u8] {
    sealed.split_last_chunk::<TAG_LENGTH>().map_or(&[], |(_, tag)| tag.as_slice())
}

fn bind_record(id: &str, object_type: ObjectType, owner: &str, version: u64) -> Vec<u8> {
    let mut bound = bind(b'R', id);
    bound.extend_from_slice(&object_type.0.to_be_bytes());
    push(&mut bound, owner.as_bytes());
    bound.extend_from_slice(&version.to_be_bytes());
    bound
}

fn bind_material(id: &str, object_type: ObjectType, generation: u32) -> Vec<u8> {
    let mut bound = bind(b'M', id);
    bound.extend_from_slice(&object_type.0.to_be_bytes());
    bound.extend_from_slice(&generation.to_be_bytes());
    bound
}

fn bind_epoch(row: &AuditEpoch) -> Vec<u8> {
    let AuditEpoch { server, epoch, first, head, .. } = row;
    let mut bound = bind(b'E', server);
    for number in [epoch, first, head] {
        bound.extend_from_slice(&number.to_be_bytes());
    }
    bound
}

fn bind(part: u8, id: &str) -> Vec<u8> {
    let mut bound = Vec::with_capacity(128);
    bound.push(part);
    push(&mut bound, id.as_bytes());
    bound
}

/// Appends `bytes` behind their length, so that two fields never read as one.
fn push(bound: &mut Vec<u8>, bytes: &[u8]) {
    bound.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
    bound.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(expires: Option<i64>, note: Option<&str>) -> Grant {
        Grant {
            id: "key".to_owned(),
            user: "bob".to_owned(),
            permissions: "[\"Get\"]".to_owned(),
            expires,
            note: note.map(str::to_owned),
            mac: Vec::new(),
            sealed_by: 1,
        }
    }

    #[test]
    fn a_grant_without_end_and_note_is_signed_as_before_there_were_any() {
        let vault = Keys::new(1, &Secret::new(vec![7; 32])).unwrap();
        let mut bound = b"G\0\0\0\0\0\0\0\x03key\0\0\0\0\0\0\0\x03bob\0\0\0\0\0\0\0\x07".to_vec();
        bound.extend_from_slice(b"[\"Get\"]\0\0\0\x05");
        let before = mac::hmac_sha256(vault.grants.expose(), &[&bound]);
        assert_eq!(vault.grant_mac(&grant(None, None), 5), before);
        assert_ne!(vault.grant_mac(&grant(None, None), 6), before);
    }

    #[test]
    fn the_mac_of_a_grant_tells_every_end_and_note_apart() {
        let vault = Keys::new(1, &Secret::new(vec![7; 32])).unwrap();
        let mut macs = Vec::new();
        for expires in [None, Some(0), Some(1), Some(-1)] {
            for note in [None, Some(""), Some("a")] {
                macs.push(vault.grant_mac(&grant(expires, note), 5));
            }
        }
        macs.sort_unstable();
        macs.dedup();
        assert_eq!(macs.len(), 12);
    }
}
