//! The forms of a key: from any that its algorithm allows into any other (KMIP 2.1 section 4.36,
//! Key Format Type). It must never know whose key it is.

use kmip::enumerations::{
    CryptographicAlgorithm as Algorithm, KeyFormatType as Format, ObjectType,
    RecommendedCurve as Recommended, ResultReason,
};
use kmip::object::{
    KeyMaterial, TransparentEcPrivateKey, TransparentEcPublicKey, TransparentRsaPrivateKey,
    TransparentRsaPublicKey, TransparentSymmetricKey,
};
use kmip::wire::{BigInteger, Bytes, SecretBytes};
use kms_crypto::asymmetric::ec::Curve;
use kms_crypto::format::{
    KeyAlgorithm, PrivateFormat, PrivateKey, PublicFormat, PublicKey, RsaComponents,
};
use kms_crypto::secret::Secret;

use crate::error::{Error, Result};

/// The curves that are spoken: their KMIP numbers, and the algorithm a key on them has.
pub(crate) const CURVES: &[(Recommended, Curve, Algorithm)] = &[
    (Recommended::P_256, Curve::P256, Algorithm::EC),
    (Recommended::P_384, Curve::P384, Algorithm::EC),
    (Recommended::P_521, Curve::P521, Algorithm::EC),
    (Recommended::SECP256K1, Curve::Secp256k1, Algorithm::EC),
    (Recommended::CURVEED25519, Curve::Ed25519, Algorithm::Ed25519),
    (Recommended::CURVE25519, Curve::X25519, Algorithm::EC),
];

/// The curve that KMIP's number means.
pub(crate) fn curve_of(recommended: Recommended) -> Option<Curve> {
    CURVES.iter().find(|row| row.0 == recommended).map(|row| row.1)
}

/// KMIP's number for a curve.
pub(crate) fn recommended(curve: Curve) -> Option<Recommended> {
    CURVES.iter().find(|row| row.1 == curve).map(|row| row.0)
}

/// A key that was found to be in order.
pub(crate) enum Key {
    /// A symmetric key, or a secret's bytes.
    Symmetric(Secret),
    /// A private key.
    Private(PrivateKey),
    /// A public key.
    Public(PublicKey),
}

/// What a key says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The algorithm; `None` for symmetric keys, whose bytes do not tell.
    pub(crate) algorithm: Option<Algorithm>,
    /// The length in bits.
    pub(crate) length: i32,
    /// The curve.
    pub(crate) curve: Option<Recommended>,
}

impl Key {
    /// Reads key material in the form `format`.
    pub(crate) fn read(object_type: ObjectType, format: Format, key: &KeyMaterial) -> Result<Self> {
        match (object_type, key) {
            (ObjectType::PrivateKey, key) => private(format, key).map(Self::Private),
            (ObjectType::PublicKey, key) => public(format, key).map(Self::Public),
            (_, KeyMaterial::Bytes(bytes)) => Ok(Self::Symmetric(Secret::new(bytes.to_vec()))),
            (_, KeyMaterial::TransparentSymmetricKey(it)) => {
                Ok(Self::Symmetric(Secret::new(it.key.to_vec())))
            }
            _ => Err(not_of(format)),
        }
    }

    /// Algorithm, length and curve.
    pub(crate) fn facts(&self) -> Facts {
        let facts = match self {
            Self::Symmetric(key) => {
                let length = i32::try_from(key.len().saturating_mul(8)).unwrap_or(i32::MAX);
                return Facts { algorithm: None, length, curve: None };
            }
            Self::Private(key) => key.facts(),
            Self::Public(key) => key.facts(),
        };
        let (algorithm, curve) = match facts.algorithm {
            KeyAlgorithm::Rsa => (Algorithm::RSA, None),
            KeyAlgorithm::Ec(curve) => {
                let row = CURVES.iter().find(|row| row.1 == curve);
                (row.map_or(Algorithm::EC, |row| row.2), row.map(|row| row.0))
            }
        };
        let length = i32::try_from(facts.bits).unwrap_or(i32::MAX);
        Facts { algorithm: Some(algorithm), length, curve }
    }

    /// The key in the form `format`.
    pub(crate) fn write(&self, format: Format) -> Result<KeyMaterial> {
        match self {
            Self::Symmetric(key) => write_symmetric(key, format),
            Self::Private(key) => write_private(key, format),
            Self::Public(key) => write_public(key, format),
        }
    }
}

fn write_symmetric(key: &Secret, format: Format) -> Result<KeyMaterial> {
    let bytes = SecretBytes::from(key.expose().to_vec());
    match format {
        Format::Raw => Ok(KeyMaterial::Bytes(bytes)),
        Format::TransparentSymmetricKey => {
            Ok(KeyMaterial::TransparentSymmetricKey(TransparentSymmetricKey { key: bytes }))
        }
        other => Err(not_of(other)),
    }
}

fn private(format: Format, key: &KeyMaterial) -> Result<PrivateKey> {
    match key {
        key if is_encrypted(format, key) => Err(Error::new(
            ResultReason::KeyFormatTypeNotSupported,
            "the key is encrypted under a password: it is only kept, and given out as it came",
        )),
        KeyMaterial::Bytes(bytes) => {
            let form = private_format(format).ok_or_else(|| not_of(format))?;
            PrivateKey::parse(form, bytes).map_err(bad_key)
        }
        KeyMaterial::TransparentRsaPrivateKey(it) => {
            PrivateKey::from_rsa(rsa_components(it)?).map_err(bad_key)
        }
        KeyMaterial::TransparentEcPrivateKey(it) => {
            let curve = curve_of(it.recommended_curve).ok_or_else(unknown_curve)?;
            PrivateKey::from_ec(curve, digits(&it.d)?).map_err(bad_key)
        }
        _ => Err(not_of(format)),
    }
}

/// Whether a private key is encrypted by its client, so that it is kept and not looked into.
pub(crate) fn is_encrypted(format: Format, key: &KeyMaterial) -> bool {
    match key {
        KeyMaterial::Bytes(bytes) => {
            format == Format::PKCS_8 && PrivateKey::is_encrypted_pkcs8(bytes)
        }
        _ => false,
    }
}

fn rsa_components(key: &TransparentRsaPrivateKey) -> Result<RsaComponents> {
    let secret = |number: &Option<BigInteger>| -> Result<Secret> {
        let digits = number.as_ref().map(digits).transpose()?;
        Ok(Secret::new(digits.unwrap_or_default().to_vec()))
    };
    Ok(RsaComponents {
        modulus: digits(&key.modulus)?.to_vec(),
        public_exponent: match &key.public_exponent {
            Some(number) => digits(number)?.to_vec(),
            None => Vec::new(),
        },
        private_exponent: secret(&key.private_exponent)?,
        prime_p: secret(&key.p)?,
        prime_q: secret(&key.q)?,
        exponent_p: secret(&key.prime_exponent_p)?,
        exponent_q: secret(&key.prime_exponent_q)?,
        coefficient: secret(&key.crt_coefficient)?,
    })
}

fn write_private(key: &PrivateKey, format: Format) -> Result<KeyMaterial> {
    if let Some(form) = private_format(format) {
        let der = key.encode(form).map_err(|_wrong_algorithm| not_of(format))?;
        return Ok(KeyMaterial::Bytes(SecretBytes::from(der.into_bytes())));
    }
    match (format, key.rsa(), key.ec()) {
        (Format::TransparentRSAPrivateKey, Some(rsa), _) => {
            let secret = |number: &Secret| Some(BigInteger::from_unsigned(number.expose()));
            let key = TransparentRsaPrivateKey {
                modulus: BigInteger::from_unsigned(&rsa.modulus),
                private_exponent: secret(&rsa.private_exponent),
                public_exponent: Some(BigInteger::from_unsigned(&rsa.public_exponent)),
                p: secret(&rsa.prime_p),
                q: secret(&rsa.prime_q),
                prime_exponent_p: secret(&rsa.exponent_p),
                prime_exponent_q: secret(&rsa.exponent_q),
                crt_coefficient: secret(&rsa.coefficient),
            };
            Ok(KeyMaterial::TransparentRsaPrivateKey(Box::new(key)))
        }
        (
            Format::TransparentECPrivateKey
            | Format::TransparentECDSAPrivateKey
            | Format::TransparentECDHPrivateKey,
            _,
            Some(ec),
        ) => Ok(KeyMaterial::TransparentEcPrivateKey(TransparentEcPrivateKey {
            recommended_curve: recommended(ec.curve).ok_or_else(unknown_curve)?,
            d: BigInteger::from_unsigned(ec.scalar),
        })),
        _ => Err(not_of(format)),
    }
}

fn public(format: Format, key: &KeyMaterial) -> Result<PublicKey> {
    match key {
        KeyMaterial::Bytes(bytes) => {
            let form = public_format(format).ok_or_else(|| not_of(format))?;
            PublicKey::parse(form, bytes).map_err(bad_key)
        }
        KeyMaterial::TransparentRsaPublicKey(it) => {
            PublicKey::from_rsa(digits(&it.modulus)?, digits(&it.public_exponent)?).map_err(bad_key)
        }
        KeyMaterial::TransparentEcPublicKey(it) => {
            let curve = curve_of(it.recommended_curve).ok_or_else(unknown_curve)?;
            PublicKey::from_ec(curve, &it.q_string).map_err(bad_key)
        }
        _ => Err(not_of(format)),
    }
}

fn write_public(key: &PublicKey, format: Format) -> Result<KeyMaterial> {
    if let Some(form) = public_format(format) {
        let der = key.encode(form).map_err(|_wrong_algorithm| not_of(format))?;
        return Ok(KeyMaterial::Bytes(SecretBytes::from(der)));
    }
    match (format, key.rsa(), key.ec()) {
        (Format::TransparentRSAPublicKey, Some(rsa), _) => {
            Ok(KeyMaterial::TransparentRsaPublicKey(TransparentRsaPublicKey {
                modulus: BigInteger::from_unsigned(rsa.modulus),
                public_exponent: BigInteger::from_unsigned(rsa.exponent),
            }))
        }
        (
            Format::TransparentECPublicKey
            | Format::TransparentECDSAPublicKey
            | Format::TransparentECDHPublicKey,
            _,
            Some(ec),
        ) => Ok(KeyMaterial::TransparentEcPublicKey(TransparentEcPublicKey {
            recommended_curve: recommended(ec.curve).ok_or_else(unknown_curve)?,
            q_string: Bytes(ec.point.to_vec()),
        })),
        _ => Err(not_of(format)),
    }
}

fn private_format(format: Format) -> Option<PrivateFormat> {
    match format {
        Format::PKCS_1 => Some(PrivateFormat::Pkcs1),
        Format::PKCS_8 => Some(PrivateFormat::Pkcs8),
        Format::ECPrivateKey => Some(PrivateFormat::Sec1),
        _ => None,
    }
}

fn public_format(format: Format) -> Option<PublicFormat> {
    match format {
        Format::PKCS_1 => Some(PublicFormat::Pkcs1),
        // The recorded clients call SubjectPublicKeyInfo PKCS#8.
        Format::X_509 | Format::PKCS_8 => Some(PublicFormat::Spki),
        _ => None,
    }
}

fn digits(number: &BigInteger) -> Result<&[u8]> {
    number
        .unsigned()
        .ok_or_else(|| Error::new(ResultReason::InvalidField, "a number of the key is negative"))
}

fn bad_key(cause: kms_crypto::Error) -> Error {
    Error::new(ResultReason::InvalidField, format!("the key is not in order: {cause}"))
}

fn not_of(format: Format) -> Error {
    Error::new(
        ResultReason::KeyFormatTypeNotSupported,
        format!("this kind of key has no form {format}"),
    )
}

fn unknown_curve() -> Error {
    Error::new(ResultReason::UnsupportedCryptographicParameters, "this curve is not supported")
}
