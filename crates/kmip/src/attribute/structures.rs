//! The attributes that are structures.
//!
//! Must not know which attributes there are, nor who may set them.

use kmip_derive::Wire;
use ttlv::Value;

use crate::enumerations::{
    AlternativeNameType, BlockCipherMode, CryptographicAlgorithm, DRBGAlgorithm,
    DigitalSignatureAlgorithm, FIPS186Variation, HashingAlgorithm, KeyFormatType, KeyRoleType,
    KeyValueLocationType, LinkType, MaskGenerator, NameType, PaddingMethod, RNGAlgorithm,
    RecommendedCurve, RevocationReasonCode, RotateNameType, UsageLimitsUnit,
};
use crate::identifier::UniqueIdentifier;
use crate::wire::{Bytes, Error, Wire};
use crate::{Version, tag};

/// An object's name.
#[derive(Clone, Debug, PartialEq, Eq, Wire)]
pub struct Name {
    /// The text.
    #[kmip(tag = NameValue)]
    pub value: String,
    /// How to read it.
    #[kmip(tag = NameType)]
    pub kind: NameType,
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self { value: text.to_owned(), kind: NameType::UninterpretedTextString }
    }
}

/// An alternative name.
#[derive(Clone, Debug, PartialEq, Eq, Wire)]
pub struct AlternativeName {
    /// The text.
    #[kmip(tag = AlternativeNameValue)]
    pub value: String,
    /// How to read it.
    #[kmip(tag = AlternativeNameType)]
    pub kind: AlternativeNameType,
}

/// Data an application keeps with an object.
#[derive(Clone, Debug, PartialEq, Eq, Wire)]
pub struct ApplicationSpecificInformation {
    /// Whose data.
    pub application_namespace: String,
    /// The data.
    pub application_data: Option<String>,
}

/// A certificate's issuer and serial number, as text (until 1.4, deprecated since 1.1).
#[derive(Clone, Debug, PartialEq, Eq, Wire)]
pub struct CertificateIdentifier {
    /// The issuer.
    pub issuer: String,
    /// The serial number.
    pub serial_number: Option<String>,
}

/// A certificate's subject, as text (until 1.4, deprecated since 1.1).
#[derive(Clone, Debug, PartialEq, Eq, Wire)]
pub struct CertificateSubject {
    /// The distinguished name.
    pub certificate_subject_distinguished_name: String,
    /// Other names.
    pub certificate_subject_alternative_name: Vec<String>,
}

/// A certificate's issuer, as text (until 1.4, deprecated since 1.1).
#[derive(Clone, Debug, PartialEq, Eq, Wire)]
pub struct CertificateIssuer {
    /// The distinguished name.
    pub certificate_issuer_distinguished_name: String,
    /// Other names.
    pub certificate_issuer_alternative_name: Vec<String>,
}

/// A certificate's issuer and serial number, in DER.
#[derive(Clone, Debug, PartialEq, Eq, Wire)]
pub struct X509CertificateIdentifier {
    /// The issuer.
    pub issuer_distinguished_name: Bytes,
    /// The serial number.
    pub certificate_serial_number: Bytes,
}

/// A certificate's issuer, in DER.
#[derive(Clone, Debug, PartialEq, Eq, Wire)]
pub struct X509CertificateIssuer {
    /// The distinguished name.
    pub issuer_distinguished_name: Bytes,
    /// Other names.
    pub issuer_alternative_name: Vec<Bytes>,
}

/// A certificate's subject, in DER.
#[derive(Clone, Debug, PartialEq, Eq, Wire)]
pub struct X509CertificateSubject {
    /// The distinguished name; may be empty.
    pub subject_distinguished_name: Bytes,
    /// Other names.
    pub subject_alternative_name: Vec<Bytes>,
}

/// What domain a key pair is to be made in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Wire)]
pub struct CryptographicDomainParameters {
    /// The length of Q, for DSA and DH.
    pub qlength: Option<i32>,
    /// The curve.
    pub recommended_curve: Option<RecommendedCurve>,
}

/// How to use a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Wire)]
pub struct CryptographicParameters {
    /// The mode of operation.
    pub block_cipher_mode: Option<BlockCipherMode>,
    /// The padding.
    pub padding_method: Option<PaddingMethod>,
    /// The hash.
    pub hashing_algorithm: Option<HashingAlgorithm>,
    /// The key's role.
    pub key_role_type: Option<KeyRoleType>,
    /// The signature.
    #[kmip(since = "1.2")]
    pub digital_signature_algorithm: Option<DigitalSignatureAlgorithm>,
    /// The algorithm.
    #[kmip(since = "1.2")]
    pub cryptographic_algorithm: Option<CryptographicAlgorithm>,
    /// Whether the server chooses the initialization vector.
    #[kmip(tag = RandomIV, since = "1.2")]
    pub random_iv: Option<bool>,
    /// The length of the initialization vector, in bytes.
    #[kmip(tag = IVLength, since = "1.2")]
    pub iv_length: Option<i32>,
    /// The length of the authentication tag, in bytes.
    #[kmip(since = "1.2")]
    pub tag_length: Option<i32>,
    /// The length of the part of the vector that stays, in bits.
    #[kmip(since = "1.2")]
    pub fixed_field_length: Option<i32>,
    /// The length of the part that counts invocations, in bits.
    #[kmip(since = "1.2")]
    pub invocation_field_length: Option<i32>,
    /// The length of the counter, in bits.
    #[kmip(since = "1.2")]
    pub counter_length: Option<i32>,
    /// Where the counter starts.
    #[kmip(since = "1.2")]
    pub initial_counter_value: Option<i32>,
    /// The length of a PSS salt, in bytes.
    #[kmip(since = "1.4")]
    pub salt_length: Option<i32>,
    /// The mask generator.
    #[kmip(since = "1.4")]
    pub mask_generator: Option<MaskGenerator>,
    /// The mask generator's hash.
    #[kmip(since = "1.4")]
    pub mask_generator_hashing_algorithm: Option<HashingAlgorithm>,
    /// The label of OAEP.
    #[kmip(since = "1.4")]
    pub p_source: Option<Bytes>,
    /// The trailer of PSS.
    #[kmip(since = "1.4")]
    pub trailer_field: Option<i32>,
}

/// A digest of the object.
#[derive(Clone, Debug, PartialEq, Eq, Wire)]
pub struct Digest {
    /// The hash.
    pub hashing_algorithm: HashingAlgorithm,
    /// The digest.
    pub digest_value: Option<Bytes>,
    /// The form that was hashed.
    #[kmip(since = "1.1")]
    pub key_format_type: Option<KeyFormatType>,
}

/// Where a key's value is, when it is not here.
#[derive(Clone, Debug, PartialEq, Eq, Wire)]
pub struct KeyValueLocation {
    /// The place.
    pub key_value_location_value: String,
    /// How to read it.
    pub key_value_location_type: KeyValueLocationType,
}

/// A link to another object.
#[derive(Clone, Debug, PartialEq, Eq, Wire)]
pub struct Link {
    /// What the other object is to this one.
    pub link_type: LinkType,
    /// The other object.
    pub linked_object_identifier: UniqueIdentifier,
}

/// A random number generator.
#[derive(Clone, Debug, PartialEq, Eq, Wire)]
pub struct RandomNumberGenerator {
    /// The kind.
    #[kmip(tag = RNGAlgorithm)]
    pub rng_algorithm: RNGAlgorithm,
    /// Its cipher.
    pub cryptographic_algorithm: Option<CryptographicAlgorithm>,
    /// The length of its key.
    pub cryptographic_length: Option<i32>,
    /// Its hash.
    pub hashing_algorithm: Option<HashingAlgorithm>,
    /// Its construction.
    #[kmip(tag = DRBGAlgorithm)]
    pub drbg_algorithm: Option<DRBGAlgorithm>,
    /// Its curve.
    pub recommended_curve: Option<RecommendedCurve>,
    /// Its variation of FIPS 186.
    #[kmip(tag = FIPS186Variation)]
    pub fips186_variation: Option<FIPS186Variation>,
    /// Whether it resists prediction.
    pub prediction_resistance: Option<bool>,
}

/// Why an object was revoked.
#[derive(Clone, Debug, PartialEq, Eq, Wire)]
pub struct RevocationReason {
    /// The reason.
    pub revocation_reason_code: RevocationReasonCode,
    /// In words.
    pub revocation_message: Option<String>,
}

/// A name that stays with the newest of a chain of rotated objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotateName {
    /// The text.
    pub value: String,
    /// How to read it.
    pub kind: RotateNameType,
}

#[derive(Wire)]
struct RotateNameStructure {
    rotate_name_value: String,
    rotate_name_type: RotateNameType,
}

impl Wire for RotateName {
    fn to_value(&self, version: Version) -> Result<Value<'_>, Error> {
        let mut writer = crate::wire::StructWriter::new(version, 2);
        writer.required(Some(tag::RotateNameValue), &self.value)?;
        writer.required(Some(tag::RotateNameType), &self.kind)?;
        Ok(writer.finish())
    }

    /// Some clients send the text alone.
    fn from_value(value: Value<'_>, version: Version) -> Result<Self, Error> {
        if let Value::TextString(text) = value {
            let kind = RotateNameType::UninterpretedTextString;
            return Ok(Self { value: text.into_owned(), kind });
        }
        let RotateNameStructure { rotate_name_value, rotate_name_type } =
            Wire::from_value(value, version)?;
        Ok(Self { value: rotate_name_value, kind: rotate_name_type })
    }
}

/// A short identifier. Some servers write it as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShortUniqueIdentifier(pub Bytes);

impl Wire for ShortUniqueIdentifier {
    fn to_value(&self, version: Version) -> Result<Value<'_>, Error> {
        self.0.to_value(version)
    }

    fn from_value(value: Value<'_>, version: Version) -> Result<Self, Error> {
        if let Value::TextString(text) = value {
            return Ok(Self(Bytes(text.into_owned().into_bytes())));
        }
        Bytes::from_value(value, version).map(Self)
    }
}

/// How much an object may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
pub struct UsageLimits {
    /// In all.
    pub usage_limits_total: i64,
    /// Still.
    pub usage_limits_count: Option<i64>,
    /// Of what.
    pub usage_limits_unit: UsageLimitsUnit,
}
