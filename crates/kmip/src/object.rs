//! Managed objects and their key blocks (2.1 specification, sections 2 and 3).
//!
//! Must not know what a key's bytes mean, nor where objects are kept.

use kmip_derive::Wire;
use ttlv::{Item, Tag, Value};

use crate::attribute::{Attributes, CryptographicParameters};
use crate::enumerations::{
    CertificateType, CryptographicAlgorithm, EncodingOption, KeyCompressionType, KeyFormatType,
    ObjectType, OpaqueDataType, RecommendedCurve, SecretDataType, WrappingMethod,
};
use crate::identifier::UniqueIdentifier;
use crate::wire::{
    BigInteger, Bytes, Error, SecretBytes, StructWriter, Wire, put, read, required, structure,
};
use crate::{Version, tag};

/// A managed object.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Object {
    /// A symmetric key.
    SymmetricKey(SymmetricKey),
    /// A public key.
    PublicKey(PublicKey),
    /// A private key.
    PrivateKey(PrivateKey),
    /// A secret that is no key.
    SecretData(SecretData),
    /// Bytes that mean nothing here.
    OpaqueObject(OpaqueObject),
    /// A certificate.
    Certificate(Certificate),
}

/// A symmetric key.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct SymmetricKey {
    /// The key.
    pub key_block: KeyBlock,
}

/// A public key.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct PublicKey {
    /// The key.
    pub key_block: KeyBlock,
}

/// A private key.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct PrivateKey {
    /// The key.
    pub key_block: KeyBlock,
}

/// A secret that is no key.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct SecretData {
    /// What it is.
    pub secret_data_type: SecretDataType,
    /// The secret.
    pub key_block: KeyBlock,
}

/// Bytes that mean nothing here.
#[derive(Clone, Debug, PartialEq, Eq, Wire)]
pub struct OpaqueObject {
    /// What they are to their owner.
    pub opaque_data_type: OpaqueDataType,
    /// The bytes.
    pub opaque_data_value: SecretBytes,
}

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq, Wire)]
pub struct Certificate {
    /// The kind.
    pub certificate_type: CertificateType,
    /// The certificate.
    pub certificate_value: Bytes,
}

impl Object {
    /// The type.
    pub fn object_type(&self) -> ObjectType {
        match self {
            Self::SymmetricKey(_) => ObjectType::SymmetricKey,
            Self::PublicKey(_) => ObjectType::PublicKey,
            Self::PrivateKey(_) => ObjectType::PrivateKey,
            Self::SecretData(_) => ObjectType::SecretData,
            Self::OpaqueObject(_) => ObjectType::OpaqueObject,
            Self::Certificate(_) => ObjectType::Certificate,
        }
    }

    /// The key block, where this kind of object has one.
    pub fn key_block(&self) -> Option<&KeyBlock> {
        match self {
            Self::SymmetricKey(SymmetricKey { key_block })
            | Self::PublicKey(PublicKey { key_block })
            | Self::PrivateKey(PrivateKey { key_block })
            | Self::SecretData(SecretData { key_block, .. }) => Some(key_block),
            Self::OpaqueObject(_) | Self::Certificate(_) => None,
        }
    }

    /// The key block, to be changed.
    pub fn key_block_mut(&mut self) -> Option<&mut KeyBlock> {
        match self {
            Self::SymmetricKey(SymmetricKey { key_block })
            | Self::PublicKey(PublicKey { key_block })
            | Self::PrivateKey(PrivateKey { key_block })
            | Self::SecretData(SecretData { key_block, .. }) => Some(key_block),
            Self::OpaqueObject(_) | Self::Certificate(_) => None,
        }
    }

    /// The object of this type with this key block; secret data is of `secret`'s kind.
    pub fn from_key_block(
        object_type: ObjectType,
        secret: Option<SecretDataType>,
        key_block: KeyBlock,
    ) -> Option<Self> {
        Some(match object_type {
            ObjectType::SymmetricKey => Self::SymmetricKey(SymmetricKey { key_block }),
            ObjectType::PublicKey => Self::PublicKey(PublicKey { key_block }),
            ObjectType::PrivateKey => Self::PrivateKey(PrivateKey { key_block }),
            ObjectType::SecretData => {
                Self::SecretData(SecretData { secret_data_type: secret?, key_block })
            }
            _ => return None,
        })
    }

    /// Whether a managed object has this tag, those not spoken here included.
    pub(crate) fn has_tag(tag: Tag) -> bool {
        matches!(
            tag,
            tag::SymmetricKey
                | tag::PublicKey
                | tag::PrivateKey
                | tag::SecretData
                | tag::OpaqueObject
                | tag::Certificate
                | tag::SplitKey
                | tag::PGPKey
                | tag::Template
                | tag::CertificateRequest
        )
    }

    pub(crate) fn to_item(&self, version: Version) -> Result<Item<'_>, Error> {
        let (tag, value) = match self {
            Self::SymmetricKey(it) => (tag::SymmetricKey, it.to_value(version)),
            Self::PublicKey(it) => (tag::PublicKey, it.to_value(version)),
            Self::PrivateKey(it) => (tag::PrivateKey, it.to_value(version)),
            Self::SecretData(it) => (tag::SecretData, it.to_value(version)),
            Self::OpaqueObject(it) => (tag::OpaqueObject, it.to_value(version)),
            Self::Certificate(it) => (tag::Certificate, it.to_value(version)),
        };
        Ok(Item { tag, value: value.map_err(|error| error.at(tag))? })
    }

    pub(crate) fn from_item(item: Item<'_>, version: Version) -> Result<Self, Error> {
        Ok(match item.tag {
            tag::SymmetricKey => Self::SymmetricKey(read(item, version)?),
            tag::PublicKey => Self::PublicKey(read(item, version)?),
            tag::PrivateKey => Self::PrivateKey(read(item, version)?),
            tag::SecretData => Self::SecretData(read(item, version)?),
            tag::OpaqueObject => Self::OpaqueObject(read(item, version)?),
            tag::Certificate => Self::Certificate(read(item, version)?),
            tag::SplitKey => return Err(Error::Unsupported("a split key")),
            tag::PGPKey => return Err(Error::Unsupported("a PGP key")),
            tag::Template => return Err(Error::Unsupported("a template")),
            tag::CertificateRequest => return Err(Error::Unsupported("a certificate request")),
            tag => return Err(Error::Unexpected(tag)),
        })
    }
}

/// A key and what it is.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyBlock {
    /// The form of the key.
    pub key_format_type: KeyFormatType,
    /// The form of an elliptic curve point.
    pub key_compression_type: Option<KeyCompressionType>,
    /// The key; absent where it is kept elsewhere.
    pub key_value: Option<KeyValue>,
    /// What the key is for.
    pub cryptographic_algorithm: Option<CryptographicAlgorithm>,
    /// Its length in bits.
    pub cryptographic_length: Option<i32>,
    /// How it is wrapped.
    pub key_wrapping_data: Option<Box<KeyWrappingData>>,
}

impl KeyBlock {
    /// The key in the clear, where it is.
    pub fn material(&self) -> Option<&KeyMaterial> {
        match &self.key_value {
            Some(KeyValue::Structure { material, .. }) => Some(material),
            _ => None,
        }
    }
}

/// A key's value.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyValue {
    /// In the clear, or wrapped without its structure.
    Structure {
        /// The key.
        material: KeyMaterial,
        /// What was wrapped or stored with it.
        attributes: Option<Attributes>,
    },
    /// Wrapped as a whole.
    Wrapped(Bytes),
}

impl KeyValue {
    /// A key without attributes.
    pub fn plain(material: KeyMaterial) -> Self {
        Self::Structure { material, attributes: None }
    }

    /// Writes the structure that `EncodingOption::TTLVEncoding` wraps, as binary TTLV in the
    /// version's form of it.
    pub fn to_ttlv(&self, version: Version) -> Result<zeroize::Zeroizing<Vec<u8>>, Error> {
        let Self::Structure { material, attributes } = self else {
            return Err(Error::BadValue("the key value is wrapped already"));
        };
        let value = key_value_to_value(material, attributes.as_ref(), version)?;
        crate::stored::encode(&Item { tag: tag::KeyValue, value })
    }

    /// Reads what `to_ttlv` wrote.
    pub fn from_ttlv(bytes: &[u8], format: KeyFormatType, version: Version) -> Result<Self, Error> {
        let item = crate::stored::decode(bytes)?;
        if item.tag != tag::KeyValue {
            return Err(Error::Unexpected(item.tag));
        }
        key_value_from_value(item.value, format, version)
    }
}

/// A key, in the form that the key format type names.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum KeyMaterial {
    /// Raw, or a structure in DER: PKCS#1, PKCS#8, SEC1, X.509, opaque.
    Bytes(SecretBytes),
    /// A symmetric key as a structure.
    TransparentSymmetricKey(TransparentSymmetricKey),
    /// An RSA private key's numbers.
    TransparentRsaPrivateKey(Box<TransparentRsaPrivateKey>),
    /// An RSA public key's numbers.
    TransparentRsaPublicKey(TransparentRsaPublicKey),
    /// An elliptic curve private key; 1.x tells apart ECDSA, ECDH and ECMQV by the format type.
    TransparentEcPrivateKey(TransparentEcPrivateKey),
    /// An elliptic curve public key; likewise.
    TransparentEcPublicKey(TransparentEcPublicKey),
    /// A DSA or DH private key's numbers; the format type says which.
    TransparentFieldPrivateKey(Box<TransparentFieldPrivateKey>),
    /// A DSA or DH public key's numbers; likewise.
    TransparentFieldPublicKey(Box<TransparentFieldPublicKey>),
}

/// A symmetric key as a structure.
#[derive(Clone, Debug, PartialEq, Eq, Wire)]
pub struct TransparentSymmetricKey {
    /// The key.
    pub key: SecretBytes,
}

/// An RSA private key's numbers.
#[derive(Clone, Debug, PartialEq, Eq, Wire)]
pub struct TransparentRsaPrivateKey {
    /// n
    pub modulus: BigInteger,
    /// d
    pub private_exponent: Option<BigInteger>,
    /// e
    pub public_exponent: Option<BigInteger>,
    /// The first prime.
    pub p: Option<BigInteger>,
    /// The second prime.
    pub q: Option<BigInteger>,
    /// d mod (p − 1)
    pub prime_exponent_p: Option<BigInteger>,
    /// d mod (q − 1)
    pub prime_exponent_q: Option<BigInteger>,
    /// q⁻¹ mod p
    #[kmip(tag = CRTCoefficient)]
    pub crt_coefficient: Option<BigInteger>,
}

/// An RSA public key's numbers.
#[derive(Clone, Debug, PartialEq, Eq, Wire)]
pub struct TransparentRsaPublicKey {
    /// n
    pub modulus: BigInteger,
    /// e
    pub public_exponent: BigInteger,
}

/// An elliptic curve private key.
#[derive(Clone, Debug, PartialEq, Eq, Wire)]
pub struct TransparentEcPrivateKey {
    /// The curve.
    pub recommended_curve: RecommendedCurve,
    /// The scalar.
    pub d: BigInteger,
}

/// An elliptic curve public key.
#[derive(Clone, Debug, PartialEq, Eq, Wire)]
pub struct TransparentEcPublicKey {
    /// The curve.
    pub recommended_curve: RecommendedCurve,
    /// The point.
    pub q_string: Bytes,
}

/// A private key in a prime field: DSA, DH.
#[derive(Clone, Debug, PartialEq, Eq, Wire)]
pub struct TransparentFieldPrivateKey {
    /// The prime.
    pub p: BigInteger,
    /// The order of the subgroup; DH may leave it out.
    pub q: Option<BigInteger>,
    /// The generator.
    pub g: BigInteger,
    /// The cofactor, for DH.
    pub j: Option<BigInteger>,
    /// The exponent.
    pub x: BigInteger,
}

/// A public key in a prime field: DSA, DH.
#[derive(Clone, Debug, PartialEq, Eq, Wire)]
pub struct TransparentFieldPublicKey {
    /// The prime.
    pub p: BigInteger,
    /// The order of the subgroup; DH may leave it out.
    pub q: Option<BigInteger>,
    /// The generator.
    pub g: BigInteger,
    /// The cofactor, for DH.
    pub j: Option<BigInteger>,
    /// The power.
    pub y: BigInteger,
}

impl KeyMaterial {
    fn to_value(&self, version: Version) -> Result<Value<'_>, Error> {
        match self {
            Self::Bytes(it) => it.to_value(version),
            Self::TransparentSymmetricKey(it) => it.to_value(version),
            Self::TransparentRsaPrivateKey(it) => it.to_value(version),
            Self::TransparentRsaPublicKey(it) => it.to_value(version),
            Self::TransparentEcPrivateKey(it) => it.to_value(version),
            Self::TransparentEcPublicKey(it) => it.to_value(version),
            Self::TransparentFieldPrivateKey(it) => it.to_value(version),
            Self::TransparentFieldPublicKey(it) => it.to_value(version),
        }
    }

    fn from_value(
        value: Value<'_>,
        format: KeyFormatType,
        version: Version,
    ) -> Result<Self, Error> {
        use KeyFormatType as Format;
        // Wrapped without its structure, a transparent key is bytes as well.
        if matches!(value, Value::ByteString(_)) {
            return SecretBytes::from_value(value, version).map(Self::Bytes);
        }
        Ok(match format {
            Format::TransparentSymmetricKey => {
                Self::TransparentSymmetricKey(Wire::from_value(value, version)?)
            }
            Format::TransparentRSAPrivateKey => {
                Self::TransparentRsaPrivateKey(Wire::from_value(value, version)?)
            }
            Format::TransparentRSAPublicKey => {
                Self::TransparentRsaPublicKey(Wire::from_value(value, version)?)
            }
            Format::TransparentECPrivateKey
            | Format::TransparentECDSAPrivateKey
            | Format::TransparentECDHPrivateKey
            | Format::TransparentECMQVPrivateKey => {
                Self::TransparentEcPrivateKey(Wire::from_value(value, version)?)
            }
            Format::TransparentECPublicKey
            | Format::TransparentECDSAPublicKey
            | Format::TransparentECDHPublicKey
            | Format::TransparentECMQVPublicKey => {
                Self::TransparentEcPublicKey(Wire::from_value(value, version)?)
            }
            Format::TransparentDSAPrivateKey | Format::TransparentDHPrivateKey => {
                Self::TransparentFieldPrivateKey(Wire::from_value(value, version)?)
            }
            Format::TransparentDSAPublicKey | Format::TransparentDHPublicKey => {
                Self::TransparentFieldPublicKey(Wire::from_value(value, version)?)
            }
            _ => return Err(Error::WrongType { expected: "a byte string" }),
        })
    }
}

impl Wire for KeyBlock {
    fn to_value(&self, version: Version) -> Result<Value<'_>, Error> {
        let mut writer = StructWriter::new(version, 6);
        writer.required(Some(tag::KeyFormatType), &self.key_format_type)?;
        writer.optional(Some(tag::KeyCompressionType), &self.key_compression_type)?;
        match &self.key_value {
            Some(KeyValue::Structure { material, attributes }) => {
                let value = key_value_to_value(material, attributes.as_ref(), version)
                    .map_err(|error| error.at(tag::KeyValue))?;
                writer.push(Item { tag: tag::KeyValue, value });
            }
            Some(KeyValue::Wrapped(bytes)) => writer.required(Some(tag::KeyValue), bytes)?,
            None => {}
        }
        writer.optional(Some(tag::CryptographicAlgorithm), &self.cryptographic_algorithm)?;
        writer.optional(Some(tag::CryptographicLength), &self.cryptographic_length)?;
        writer.optional(Some(tag::KeyWrappingData), &self.key_wrapping_data)?;
        Ok(writer.finish())
    }

    fn from_value(value: Value<'_>, version: Version) -> Result<Self, Error> {
        let (mut format, mut compression, mut key) = (None, None, None);
        let (mut algorithm, mut length, mut wrapping) = (None, None, None);
        for item in structure(value)? {
            match item.tag {
                tag::KeyFormatType => put(&mut format, item, version)?,
                tag::KeyCompressionType => put(&mut compression, item, version)?,
                tag::KeyValue if key.is_some() => return Err(Error::Duplicate(item.tag)),
                tag::KeyValue => key = Some(item.value),
                tag::CryptographicAlgorithm => put(&mut algorithm, item, version)?,
                tag::CryptographicLength => put(&mut length, item, version)?,
                tag::KeyWrappingData => put(&mut wrapping, item, version)?,
                tag => return Err(Error::Unexpected(tag)),
            }
        }
        let format = required(format, Some(tag::KeyFormatType), version)?;
        let key_value = match key {
            Some(Value::ByteString(bytes)) => Some(KeyValue::Wrapped(Bytes(bytes.into_owned()))),
            Some(value) => Some(
                key_value_from_value(value, format, version)
                    .map_err(|error| error.at(tag::KeyValue))?,
            ),
            None => None,
        };
        Ok(Self {
            key_format_type: format,
            key_compression_type: compression,
            key_value,
            cryptographic_algorithm: algorithm,
            cryptographic_length: length,
            key_wrapping_data: wrapping,
        })
    }
}

fn key_value_to_value<'a>(
    material: &'a KeyMaterial,
    attributes: Option<&'a Attributes>,
    version: Version,
) -> Result<Value<'a>, Error> {
    let mut writer = StructWriter::new(version, 2);
    let value = material.to_value(version).map_err(|error| error.at(tag::KeyMaterial))?;
    writer.push(Item { tag: tag::KeyMaterial, value });
    if let Some(attributes) = attributes {
        attributes.spread(&mut writer)?;
    }
    Ok(writer.finish())
}

fn key_value_from_value(
    value: Value<'_>,
    format: KeyFormatType,
    version: Version,
) -> Result<KeyValue, Error> {
    let (mut material, mut attributes) = (None, None::<Attributes>);
    for item in structure(value)? {
        match item.tag {
            tag::KeyMaterial if material.is_some() => return Err(Error::Duplicate(item.tag)),
            tag::KeyMaterial => {
                let read = KeyMaterial::from_value(item.value, format, version);
                material = Some(read.map_err(|error| error.at(tag::KeyMaterial))?);
            }
            tag::Attribute if version < Version::V2_0 => {
                attributes.get_or_insert_default().gather(item, version)?;
            }
            tag::Attributes if version >= Version::V2_0 => put(&mut attributes, item, version)?,
            tag => return Err(Error::Unexpected(tag)),
        }
    }
    Ok(KeyValue::Structure {
        material: material.ok_or(Error::Missing(tag::KeyMaterial))?,
        attributes,
    })
}

/// How a key is wrapped.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct KeyWrappingData {
    /// The method.
    pub wrapping_method: WrappingMethod,
    /// The key that encrypted it.
    pub encryption_key_information: Option<EncryptionKeyInformation>,
    /// The key that authenticated it.
    #[kmip(tag = MACSignatureKeyInformation)]
    pub mac_signature_key_information: Option<MacSignatureKeyInformation>,
    /// The authentication.
    #[kmip(tag = MACSignature)]
    pub mac_signature: Option<Bytes>,
    /// The vector.
    #[kmip(tag = IVCounterNonce)]
    pub iv_counter_nonce: Option<Bytes>,
    /// Whether the structure was wrapped too; TTLV where absent.
    #[kmip(since = "1.1")]
    pub encoding_option: Option<EncodingOption>,
}

/// How a key is to be wrapped.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct KeyWrappingSpecification {
    /// The method.
    pub wrapping_method: WrappingMethod,
    /// The key to encrypt with.
    pub encryption_key_information: Option<EncryptionKeyInformation>,
    /// The key to authenticate with.
    #[kmip(tag = MACSignatureKeyInformation)]
    pub mac_signature_key_information: Option<MacSignatureKeyInformation>,
    /// Attributes to wrap with the key.
    #[kmip(tag = AttributeName)]
    pub attribute_names: Vec<String>,
    /// Whether to wrap the structure too; TTLV where absent.
    #[kmip(since = "1.1")]
    pub encoding_option: Option<EncodingOption>,
}

/// A key that encrypts keys.
#[derive(Clone, Debug, PartialEq, Eq, Wire)]
pub struct EncryptionKeyInformation {
    /// The key.
    pub unique_identifier: UniqueIdentifier,
    /// How.
    pub cryptographic_parameters: Option<CryptographicParameters>,
}

/// A key that authenticates keys.
#[derive(Clone, Debug, PartialEq, Eq, Wire)]
pub struct MacSignatureKeyInformation {
    /// The key.
    pub unique_identifier: UniqueIdentifier,
    /// How.
    pub cryptographic_parameters: Option<CryptographicParameters>,
}
