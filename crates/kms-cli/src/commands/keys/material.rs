//! A key between its file and its KMIP object.
//!
//! It must not know the server.

use clap::ValueEnum;
use kmip::Version;
use kmip::enumerations::{
    CertificateType, CryptographicAlgorithm, KeyFormatType, ObjectType, OpaqueDataType,
    SecretDataType,
};
use kmip::object::{
    Certificate, KeyBlock, KeyMaterial, KeyValue, KeyWrappingData, Object, OpaqueObject,
};
use kmip::operation::GetResponse;
use kmip::tag;
use kmip::wire::{Bytes, SecretBytes, Wire as _};
use kms_crypto::Secret;
use kms_crypto::asymmetric::ec::Curve;
use kms_crypto::format::{
    KeyAlgorithm, KeyFacts, PrivateFormat, PrivateKey, PublicFormat, PublicKey,
};
use ttlv::{Item, Limits, Spelling, Unknown, Value};

use super::create::Algorithm;
use super::export::Format;
use super::wanted::Usage;
use crate::error::{Error, Kind as ErrorKind};
use crate::key_text::{self, Pem};

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// A symmetric key
    Symmetric,
    /// A private key
    Private,
    /// A public key
    Public,
    /// A secret that is no key
    Secret,
    /// Bytes that mean nothing to the server
    Opaque,
    /// A certificate
    Certificate,
}

/// What a file holds, its form taken off.
pub(super) enum Content {
    /// Bytes and what they are.
    Bytes { kind: Kind, format: Option<KeyFormatType>, bytes: Secret },
    /// An object with everything.
    Object(Box<Object>),
}

fn wrong(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::File, format!("the file does not hold what was said: {what}"))
}

impl Content {
    /// Reads a file; without a form, by what it looks like.
    pub(super) fn read(
        file: &Secret,
        format: Option<Format>,
        kind: Option<Kind>,
    ) -> Result<Self, Error> {
        let bytes = file.expose();
        let json = || bytes.trim_ascii_start().first() == Some(&b'{');
        match format {
            Some(Format::JsonTtlv) => Ok(Self::Object(Box::new(from_json(bytes)?))),
            None if kind.is_none() && json() => Ok(Self::Object(Box::new(from_json(bytes)?))),
            Some(Format::Pem) => from_pem(&key_text::from_pem(bytes)?),
            None if key_text::is_pem(bytes) => from_pem(&key_text::from_pem(bytes)?),
            Some(Format::Base64) => Self::raw(key_text::from_base64(bytes)?, kind),
            Some(Format::Hex) => Self::raw(key_text::from_hex(bytes)?, kind),
            Some(Format::Raw) | None => Self::raw(file.clone(), kind),
            Some(form) => {
                // DER in PEM is DER all the same.
                let der = if key_text::is_pem(bytes) {
                    key_text::from_pem(bytes)?.der
                } else {
                    file.clone()
                };
                Ok(Self::der(form, der, kind))
            }
        }
    }

    fn raw(bytes: Secret, kind: Option<Kind>) -> Result<Self, Error> {
        let kind = kind.unwrap_or(Kind::Symmetric);
        let format = match kind {
            Kind::Symmetric | Kind::Secret => Some(KeyFormatType::Raw),
            Kind::Private => Some(private_format(bytes.expose())?),
            Kind::Public => Some(KeyFormatType::X_509),
            Kind::Opaque | Kind::Certificate => None,
        };
        Ok(Self::Bytes { kind, format, bytes })
    }

    fn der(form: Format, bytes: Secret, kind: Option<Kind>) -> Self {
        let (natural, format) = match form {
            Format::Pkcs1 => (Kind::Private, Some(KeyFormatType::PKCS_1)),
            Format::Pkcs8 => (Kind::Private, Some(KeyFormatType::PKCS_8)),
            Format::Sec1 => (Kind::Private, Some(KeyFormatType::ECPrivateKey)),
            Format::Spki => (Kind::Public, Some(KeyFormatType::X_509)),
            _ => (Kind::Certificate, None),
        };
        Self::Bytes { kind: kind.unwrap_or(natural), format, bytes }
    }

    /// The object, and what it may be used for where nobody says.
    pub(super) fn object(
        self,
        algorithm: Algorithm,
        wrapping: Option<KeyWrappingData>,
    ) -> Result<(Object, &'static [Usage]), Error> {
        let (kind, format, bytes) = match self {
            Self::Object(object) => {
                let usage = usage_of(&object, algorithm);
                return Ok((*object, usage));
            }
            Self::Bytes { kind, format, bytes } => (kind, format, bytes),
        };
        let secret = || SecretBytes::from(bytes.expose().to_vec());
        let object_type = match kind {
            Kind::Opaque => {
                let opaque_data_type = OpaqueDataType::Unknown;
                let opaque = OpaqueObject { opaque_data_type, opaque_data_value: secret() };
                return Ok((Object::OpaqueObject(opaque), &[]));
            }
            Kind::Certificate => {
                let certificate = Certificate {
                    certificate_type: CertificateType::X_509,
                    certificate_value: Bytes(bytes.expose().to_vec()),
                };
                return Ok((Object::Certificate(certificate), &[Usage::Verify]));
            }
            Kind::Symmetric => ObjectType::SymmetricKey,
            Kind::Private => ObjectType::PrivateKey,
            Kind::Public => ObjectType::PublicKey,
            Kind::Secret => ObjectType::SecretData,
        };
        let format = format.unwrap_or(KeyFormatType::Raw);
        // What is wrapped cannot be looked into.
        let known = match wrapping {
            Some(_) => None,
            None => facts(kind, format, algorithm, bytes.expose())?,
        };
        let key_block = KeyBlock {
            key_format_type: format,
            key_compression_type: None,
            key_value: Some(match wrapping {
                Some(_) => KeyValue::Wrapped(Bytes(bytes.expose().to_vec())),
                None => KeyValue::plain(KeyMaterial::Bytes(secret())),
            }),
            cryptographic_algorithm: match (&known, kind) {
                (Some((code, _)), _) => Some(*code),
                (None, Kind::Symmetric) => Some(algorithm.code()),
                (None, _) => None,
            },
            cryptographic_length: known.map(|(_, bits)| bits),
            key_wrapping_data: wrapping.map(Box::new),
        };
        let object = Object::from_key_block(object_type, Some(SecretDataType::Password), key_block)
            .ok_or_else(|| Error::unexpected("this kind of object has no key block"))?;
        let usage = usage_of(&object, algorithm);
        Ok((object, usage))
    }
}

/// The algorithm and the length of a key, from its own bytes.
fn facts(
    kind: Kind,
    format: KeyFormatType,
    algorithm: Algorithm,
    bytes: &[u8],
) -> Result<Option<(CryptographicAlgorithm, i32)>, Error> {
    let facts = match (kind, format) {
        (Kind::Symmetric, _) => {
            let bits = i32::try_from(bytes.len().saturating_mul(8)).map_err(wrong)?;
            return Ok(Some((algorithm.code(), bits)));
        }
        (Kind::Public, KeyFormatType::PKCS_1) => {
            PublicKey::parse(PublicFormat::Pkcs1, bytes).map_err(wrong)?.facts()
        }
        (Kind::Public, _) => PublicKey::parse(PublicFormat::Spki, bytes).map_err(wrong)?.facts(),
        (Kind::Private, format) => {
            let form = match format {
                KeyFormatType::PKCS_1 => PrivateFormat::Pkcs1,
                KeyFormatType::ECPrivateKey => PrivateFormat::Sec1,
                _ => PrivateFormat::Pkcs8,
            };
            PrivateKey::parse(form, bytes).map_err(wrong)?.facts()
        }
        _ => return Ok(None),
    };
    let bits = i32::try_from(facts.bits).map_err(wrong)?;
    Ok(Some((code(&facts), bits)))
}

fn code(facts: &KeyFacts) -> CryptographicAlgorithm {
    match facts.algorithm {
        KeyAlgorithm::Rsa => CryptographicAlgorithm::RSA,
        KeyAlgorithm::Ec(Curve::Ed25519) => CryptographicAlgorithm::Ed25519,
        KeyAlgorithm::Ec(_) => CryptographicAlgorithm::EC,
    }
}

/// Which of its forms a private key in DER has.
fn private_format(der: &[u8]) -> Result<KeyFormatType, Error> {
    let forms = [
        (PrivateFormat::Pkcs8, KeyFormatType::PKCS_8),
        (PrivateFormat::Pkcs1, KeyFormatType::PKCS_1),
        (PrivateFormat::Sec1, KeyFormatType::ECPrivateKey),
    ];
    let found = forms.iter().find(|(form, _)| PrivateKey::parse(*form, der).is_ok());
    found.map(|(_, format)| *format).ok_or_else(|| wrong("no private key that is known here"))
}

fn usage_of(object: &Object, algorithm: Algorithm) -> &'static [Usage] {
    let code = object.key_block().and_then(|key| key.cryptographic_algorithm);
    let rsa = code == Some(CryptographicAlgorithm::RSA);
    match object.object_type() {
        ObjectType::SymmetricKey => match code {
            Some(CryptographicAlgorithm::AES) => Algorithm::Aes.usage(),
            Some(_) => Algorithm::Chacha20.usage(),
            None => algorithm.usage(),
        },
        ObjectType::PrivateKey if rsa => &[Usage::Sign, Usage::Decrypt, Usage::Unwrap],
        ObjectType::PrivateKey => &[Usage::Sign, Usage::Agree],
        ObjectType::PublicKey if rsa => &[Usage::Verify, Usage::Encrypt, Usage::Wrap],
        ObjectType::PublicKey => &[Usage::Verify, Usage::Agree],
        ObjectType::SecretData => &[Usage::Derive],
        _ => &[Usage::Verify],
    }
}

fn from_pem(pem: &Pem) -> Result<Content, Error> {
    let (kind, format) = match pem.label.as_str() {
        "PRIVATE KEY" => (Kind::Private, Some(KeyFormatType::PKCS_8)),
        "RSA PRIVATE KEY" => (Kind::Private, Some(KeyFormatType::PKCS_1)),
        "EC PRIVATE KEY" => (Kind::Private, Some(KeyFormatType::ECPrivateKey)),
        "PUBLIC KEY" => (Kind::Public, Some(KeyFormatType::X_509)),
        "RSA PUBLIC KEY" => (Kind::Public, Some(KeyFormatType::PKCS_1)),
        "CERTIFICATE" => (Kind::Certificate, None),
        "ENCRYPTED PRIVATE KEY" => {
            return Err(Error::new(ErrorKind::File, "this private key is encrypted")
                .hint("decrypt it first, for instance with `openssl pkcs8 -in FILE`"));
        }
        other => return Err(wrong(format!("PEM of {other:?} is not known here"))),
    };
    Ok(Content::Bytes { kind, format, bytes: pem.der.clone() })
}

/// Reads an object in KMIP's JSON.
fn from_json(bytes: &[u8]) -> Result<Object, Error> {
    let item =
        ttlv::json::decode(bytes, &tag::Names, &Limits::DEFAULT, Unknown::Refuse).map_err(wrong)?;
    // An object stands only inside an operation: the answer to Get is the smallest one.
    let object_type = match item.tag {
        tag::SymmetricKey => ObjectType::SymmetricKey,
        tag::PublicKey => ObjectType::PublicKey,
        tag::PrivateKey => ObjectType::PrivateKey,
        tag::SecretData => ObjectType::SecretData,
        tag::OpaqueObject => ObjectType::OpaqueObject,
        tag::Certificate => ObjectType::Certificate,
        _ => return Err(wrong("no KMIP object that is known here")),
    };
    let object_type = object_type.to_value(Version::V2_1).map_err(wrong)?.into_owned();
    let answer = Value::Structure(vec![
        Item::new(tag::ObjectType, object_type),
        Item::new(tag::UniqueIdentifier, Value::TextString("".into())),
        item,
    ]);
    Ok(GetResponse::from_value(answer, Version::V2_1).map_err(wrong)?.object)
}

/// An object in KMIP's JSON.
fn to_json(object: &Object) -> Result<Secret, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::unexpected(error.to_string());
    let answer = GetResponse {
        object_type: object.object_type(),
        unique_identifier: String::new(),
        object: object.clone(),
    };
    let value = answer.to_value(Version::V2_1).map_err(|error| failed(&error))?;
    let item = match value {
        Value::Structure(mut items) => items.pop(),
        _ => None,
    };
    let item = item.ok_or_else(|| Error::unexpected("an answer has an object"))?;
    let mut out = Vec::new();
    ttlv::json::encode(&item, &tag::Names, Spelling::Profile, &mut out)
        .map_err(|error| failed(&error))?;
    out.push(b'\n');
    Ok(Secret::new(out))
}

/// An object as a file of this form.
pub(super) fn written(object: &Object, form: Format) -> Result<Secret, Error> {
    if form == Format::JsonTtlv {
        return to_json(object);
    }
    let bytes = bytes(object)?;
    Ok(match form {
        Format::Base64 => key_text::to_base64(bytes),
        Format::Hex => key_text::to_hex(bytes),
        Format::Pem => key_text::to_pem(label(object)?, bytes),
        _ => Secret::new(bytes.to_vec()),
    })
}

/// The bytes of an object.
fn bytes(object: &Object) -> Result<&[u8], Error> {
    let none = || {
        Error::usage("the server gave a form that is not bytes")
            .hint("use --format json-ttlv, which holds any form")
    };
    match object {
        Object::OpaqueObject(opaque) => Ok(&opaque.opaque_data_value),
        Object::Certificate(certificate) => Ok(&certificate.certificate_value),
        other => match other.key_block().and_then(|key| key.key_value.as_ref()) {
            Some(KeyValue::Wrapped(bytes)) => Ok(bytes),
            Some(KeyValue::Structure { material, .. }) => match material {
                KeyMaterial::Bytes(bytes) => Ok(bytes),
                KeyMaterial::TransparentSymmetricKey(key) => Ok(&key.key),
                _ => Err(none()),
            },
            None => Err(none()),
        },
    }
}

/// PEM's label of an object.
fn label(object: &Object) -> Result<&'static str, Error> {
    let none = || Error::usage("PEM is for private and public keys and certificates");
    if matches!(object, Object::Certificate(_)) {
        return Ok("CERTIFICATE");
    }
    let key = object.key_block().ok_or_else(none)?;
    if key.key_wrapping_data.is_some() {
        return Err(Error::usage("PEM is not for wrapped keys")
            .hint("use --format json-ttlv, or raw, base64 or hex"));
    }
    Ok(match (object.object_type(), key.key_format_type) {
        (ObjectType::PrivateKey, KeyFormatType::PKCS_8) => "PRIVATE KEY",
        (ObjectType::PrivateKey, KeyFormatType::PKCS_1) => "RSA PRIVATE KEY",
        (ObjectType::PrivateKey, KeyFormatType::ECPrivateKey) => "EC PRIVATE KEY",
        (ObjectType::PublicKey, KeyFormatType::X_509) => "PUBLIC KEY",
        (ObjectType::PublicKey, KeyFormatType::PKCS_1) => "RSA PUBLIC KEY",
        _ => return Err(none()),
    })
}
