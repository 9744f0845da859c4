//! The persisted form of objects: binary TTLV of one pinned version, in two parts, so that
//! attributes can be read without opening the key.
//!
//! Must not know how the bytes are sealed, nor where they are kept.

use kmip_derive::Wire;
use ttlv::{Item, Limits};
use zeroize::Zeroizing;

use crate::attribute::Attributes;
use crate::enumerations::{
    CertificateType, CryptographicAlgorithm, KeyCompressionType, KeyFormatType, ObjectType,
    OpaqueDataType, SecretDataType, State,
};
use crate::object::{
    Certificate, KeyBlock, KeyMaterial, KeyValue, KeyWrappingData, Object, OpaqueObject,
};
use crate::wire::{Bytes, Error, SecretBytes, Wire, read};
use crate::{Version, tag};

/// The version whose spelling the persisted form has, whatever versions are spoken.
const PINNED: Version = Version::V2_1;

/// The form written here; a record of another is not read.
pub const FORMAT: i32 = 1;

/// What is kept of an object, its key aside.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct StoredRecord {
    /// The form of the record: [`FORMAT`].
    #[kmip(tag = StoredFormat)]
    pub format: i32,
    /// What it is.
    pub object_type: ObjectType,
    /// The state at the last write; the clock may have moved it since.
    pub state: State,
    /// Whose it is.
    #[kmip(tag = StoredOwner)]
    pub owner: String,
    /// The attributes.
    pub attributes: Attributes,
    /// The form of the key, or of the opaque bytes, or of the certificate.
    pub key_block: StoredHeader,
    /// The seal's tag over the material; absent once it is destroyed.
    #[kmip(tag = StoredMaterialTag)]
    pub material_tag: Option<Bytes>,
    /// Which material this is; raised when the material is replaced.
    #[kmip(tag = StoredMaterialGeneration)]
    pub material_generation: i32,
    /// The grant epochs that are not zero.
    #[kmip(tag = StoredGrantEpoch)]
    pub grant_epochs: Vec<GrantEpoch>,
}

/// How often grants of one bucket of users were withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
pub struct GrantEpoch {
    /// The bucket.
    #[kmip(tag = StoredGrantBucket)]
    pub bucket: i32,
    /// The epoch.
    #[kmip(tag = StoredGrantEpochNumber)]
    pub epoch: i32,
}

/// What a key block says of its key, and what other objects say of their bytes.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct StoredHeader {
    /// The form of the key.
    pub key_format_type: Option<KeyFormatType>,
    /// The form of an elliptic curve point.
    pub key_compression_type: Option<KeyCompressionType>,
    /// What the key is for.
    pub cryptographic_algorithm: Option<CryptographicAlgorithm>,
    /// Its length in bits.
    pub cryptographic_length: Option<i32>,
    /// How it is wrapped.
    pub key_wrapping_data: Option<Box<KeyWrappingData>>,
    /// What a secret is.
    pub secret_data_type: Option<SecretDataType>,
    /// What opaque bytes are.
    pub opaque_data_type: Option<OpaqueDataType>,
    /// What a certificate is.
    pub certificate_type: Option<CertificateType>,
}

/// What is kept of a key: sealed apart from the record.
#[derive(Clone, Debug, PartialEq)]
pub enum StoredMaterial {
    /// A key value.
    Key(KeyValue),
    /// A key that is kept elsewhere.
    Absent,
    /// The bytes of an opaque object.
    Opaque(SecretBytes),
    /// A certificate.
    Certificate(Bytes),
}

/// How the material is spelt: one field of these, none where the key is kept elsewhere.
#[derive(Wire)]
struct MaterialStructure {
    key_block: Option<KeyBlock>,
    opaque_data_value: Option<SecretBytes>,
    certificate_value: Option<Bytes>,
}

impl StoredRecord {
    /// The record as bytes; nothing in it is a secret, so they are not wiped.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let item = Item { tag: tag::StoredRecord, value: self.to_value(PINNED)? };
        let mut bytes = Vec::with_capacity(encoded_length(&item));
        encode_into(&item, &mut bytes)?;
        Ok(bytes)
    }

    /// The reverse.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let item = decode(bytes)?;
        if item.tag != tag::StoredRecord {
            return Err(Error::Unexpected(item.tag));
        }
        let record: Self = read(item, PINNED)?;
        if record.format != FORMAT {
            return Err(Error::BadValue("the record has a form that a newer server wrote"));
        }
        Ok(record)
    }
}

impl StoredMaterial {
    /// The material as bytes.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut structure =
            MaterialStructure { key_block: None, opaque_data_value: None, certificate_value: None };
        match self {
            Self::Key(value) => structure.key_block = Some(material_block(value.clone())),
            Self::Absent => {}
            Self::Opaque(bytes) => structure.opaque_data_value = Some(bytes.clone()),
            Self::Certificate(bytes) => structure.certificate_value = Some(bytes.clone()),
        }
        encode(&Item { tag: tag::StoredMaterial, value: structure.to_value(PINNED)? })
    }

    /// The reverse.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let item = decode(bytes)?;
        if item.tag != tag::StoredMaterial {
            return Err(Error::Unexpected(item.tag));
        }
        let structure: MaterialStructure = read(item, PINNED)?;
        Ok(match structure {
            MaterialStructure { key_block: Some(block), .. } => {
                Self::Key(block.key_value.ok_or(Error::Missing(tag::KeyValue))?)
            }
            MaterialStructure { opaque_data_value: Some(bytes), .. } => Self::Opaque(bytes),
            MaterialStructure { certificate_value: Some(bytes), .. } => Self::Certificate(bytes),
            _ => Self::Absent,
        })
    }
}

/// A key block that says no more than is needed to read the value back.
fn material_block(value: KeyValue) -> KeyBlock {
    let key_format_type = match &value {
        KeyValue::Structure { material, .. } => match material {
            KeyMaterial::Bytes(_) => KeyFormatType::Raw,
            KeyMaterial::TransparentSymmetricKey(_) => KeyFormatType::TransparentSymmetricKey,
            KeyMaterial::TransparentRsaPrivateKey(_) => KeyFormatType::TransparentRSAPrivateKey,
            KeyMaterial::TransparentRsaPublicKey(_) => KeyFormatType::TransparentRSAPublicKey,
            KeyMaterial::TransparentEcPrivateKey(_) => KeyFormatType::TransparentECPrivateKey,
            KeyMaterial::TransparentEcPublicKey(_) => KeyFormatType::TransparentECPublicKey,
            KeyMaterial::TransparentFieldPrivateKey(_) => KeyFormatType::TransparentDSAPrivateKey,
            KeyMaterial::TransparentFieldPublicKey(_) => KeyFormatType::TransparentDSAPublicKey,
        },
        KeyValue::Wrapped(_) => KeyFormatType::Opaque,
    };
    KeyBlock {
        key_format_type,
        key_compression_type: None,
        key_value: Some(value),
        cryptographic_algorithm: None,
        cryptographic_length: None,
        key_wrapping_data: None,
    }
}

/// Takes an object apart into what the record keeps and what the material keeps.
pub fn split(object: Object) -> (StoredHeader, StoredMaterial) {
    let mut header = StoredHeader::default();
    let block = match object {
        Object::OpaqueObject(it) => {
            header.opaque_data_type = Some(it.opaque_data_type);
            return (header, StoredMaterial::Opaque(it.opaque_data_value));
        }
        Object::Certificate(it) => {
            header.certificate_type = Some(it.certificate_type);
            return (header, StoredMaterial::Certificate(it.certificate_value));
        }
        Object::SecretData(it) => {
            header.secret_data_type = Some(it.secret_data_type);
            it.key_block
        }
        Object::SymmetricKey(it) => it.key_block,
        Object::PublicKey(it) => it.key_block,
        Object::PrivateKey(it) => it.key_block,
    };
    header.key_format_type = Some(block.key_format_type);
    header.key_compression_type = block.key_compression_type;
    header.cryptographic_algorithm = block.cryptographic_algorithm;
    header.cryptographic_length = block.cryptographic_length;
    header.key_wrapping_data = block.key_wrapping_data;
    (header, block.key_value.map_or(StoredMaterial::Absent, StoredMaterial::Key))
}

/// Puts together what `split` took apart.
pub fn join(
    object_type: ObjectType,
    header: &StoredHeader,
    material: StoredMaterial,
) -> Result<Object, Error> {
    const TORN: Error = Error::BadValue("the record and its material do not belong together");
    let key_value = match material {
        StoredMaterial::Opaque(opaque_data_value) => {
            let opaque_data_type = header.opaque_data_type.ok_or(TORN)?;
            return Ok(Object::OpaqueObject(OpaqueObject { opaque_data_type, opaque_data_value }));
        }
        StoredMaterial::Certificate(certificate_value) => {
            let certificate_type = header.certificate_type.ok_or(TORN)?;
            return Ok(Object::Certificate(Certificate { certificate_type, certificate_value }));
        }
        StoredMaterial::Key(value) => Some(value),
        StoredMaterial::Absent => None,
    };
    let block = KeyBlock {
        key_format_type: header.key_format_type.ok_or(TORN)?,
        key_compression_type: header.key_compression_type,
        key_value,
        cryptographic_algorithm: header.cryptographic_algorithm,
        cryptographic_length: header.cryptographic_length,
        key_wrapping_data: header.key_wrapping_data.clone(),
    };
    Object::from_key_block(object_type, header.secret_data_type, block).ok_or(TORN)
}

/// Binary TTLV, in a buffer that is long enough from the start: growing would leave copies of
/// what may be a secret behind.
pub(crate) fn encode(item: &Item<'_>) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(encoded_length(item)));
    encode_into(item, &mut bytes)?;
    Ok(bytes)
}

fn encode_into(item: &Item<'_>, bytes: &mut Vec<u8>) -> Result<(), Error> {
    ttlv::binary::encode(item, bytes)
        .map_err(|_error| Error::BadValue("the value cannot be written in binary"))
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Item<'_>, Error> {
    ttlv::binary::decode(bytes, &Limits::DEFAULT)
        .map_err(|_error| Error::BadValue("the bytes are not binary TTLV"))
}

/// At least as many bytes as the item takes.
fn encoded_length(item: &Item<'_>) -> usize {
    use ttlv::Value;
    let body = match &item.value {
        Value::Structure(items) => items.iter().map(encoded_length).sum(),
        Value::ByteString(it) | Value::BigInteger(it) => it.len() + 8,
        Value::TextString(it) => it.len() + 8,
        _ => 8,
    };
    body + 8
}
