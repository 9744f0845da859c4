//! The mechanisms: one table from KMIP's parameters to algorithms, and what they do with a key.
//!
//! What is not in the table is refused, never replaced by something near. This module must never
//! know who asks, nor what an operation does with the result.

mod choice;
mod generate;
mod wrap;

use kmip::attribute::RandomNumberGenerator;
use kmip::enumerations::{
    BlockCipherMode as Mode, CryptographicAlgorithm as Algorithm, DRBGAlgorithm, HashingAlgorithm,
    ObjectType, PaddingMethod as Padding, RNGAlgorithm, ResultReason,
};
use kmip::object::{KeyMaterial, KeyValue};
use kmip::stored::{StoredMaterial, StoredRecord};
use kms_crypto::asymmetric::rsa::{DecryptionKey, EncryptionKey, PrivateEncoding, PublicEncoding};
use kms_crypto::hash::Hash;
use kms_crypto::symmetric::{self, Cipher};

use crate::error::{Error, Result};
use crate::key_form::Key;

pub(crate) use choice::{Choice, Sides, check_tag, choose};
pub(crate) use generate::{
    Pair, PairKind, check_length, generate_pair, generate_symmetric, pair_kind,
};
pub(crate) use wrap::{draws_nonce, settled, unwrap, wrap};

/// The longest RSA key, in bits, whose private half is used by the thread that answers.
const QUICK_RSA_BITS: i32 = 2048;

/// Whether what is done with the key of this record takes milliseconds: the private halves of long
/// RSA keys.
pub(crate) fn takes_long(record: &StoredRecord) -> bool {
    let attributes = &record.attributes;
    record.object_type == ObjectType::PrivateKey
        && attributes.cryptographic_algorithm() == Some(Algorithm::RSA)
        && attributes.cryptographic_length().is_none_or(|bits| bits > QUICK_RSA_BITS)
}

/// A way to encrypt and decrypt: a row of the table.
pub struct Mechanism {
    /// A name for people.
    pub name: &'static str,
    /// The algorithm that Cryptographic Parameters, or the key, must name.
    pub algorithm: Algorithm,
    /// The Block Cipher Modes that mean it; `None` where it is meant by naming none.
    pub modes: &'static [Option<Mode>],
    /// The Padding Methods that mean it; `None` where it is meant by naming none.
    pub paddings: &'static [Option<Padding>],
    /// Whether FIPS 140-3 approves of it.
    pub fips: bool,
    /// Its known answers: files of `kms-crypto/vectors`.
    pub vectors: &'static [&'static str],
    implementation: Implementation,
}

/// What carries a mechanism out.
#[derive(Clone, Copy)]
enum Implementation {
    Cipher(&'static dyn Cipher),
    /// RFC 3394.
    KeyWrap,
    /// RFC 5649.
    KeyWrapPadded,
    Oaep,
    Pkcs1v15,
    /// A fresh AES key under OAEP, and the data under it by RFC 5649.
    OaepKeyWrap,
}

const NO_PADDING: &[Option<Padding>] = &[None, Some(Padding::None)];
const PKCS5: Option<Padding> = Some(Padding::PKCS5);

impl Mechanism {
    const fn cipher(
        algorithm: Algorithm,
        modes: &'static [Option<Mode>],
        paddings: &'static [Option<Padding>],
        cipher: &'static dyn Cipher,
        (name, vectors): (&'static str, &'static [&'static str]),
    ) -> Self {
        let implementation = Implementation::Cipher(cipher);
        Self { name, algorithm, modes, paddings, fips: true, vectors, implementation }
    }

    const fn key_wrap(
        mode: &'static [Option<Mode>],
        implementation: Implementation,
        (name, vectors): (&'static str, &'static [&'static str]),
    ) -> Self {
        let (algorithm, modes, paddings) = (Algorithm::AES, mode, NO_PADDING);
        Self { name, algorithm, modes, paddings, fips: true, vectors, implementation }
    }

    const fn rsa(
        paddings: &'static [Option<Padding>],
        implementation: Implementation,
        (name, vectors): (&'static str, &'static [&'static str]),
    ) -> Self {
        let (algorithm, modes) = (Algorithm::RSA, &[None] as &[_]);
        Self { name, algorithm, modes, paddings, fips: true, vectors, implementation }
    }

    const fn not_fips(mut self) -> Self {
        self.fips = false;
        self
    }
}

/// Every mechanism. The first row that fits is the one.
pub const MECHANISMS: &[Mechanism] = &[
    Mechanism::cipher(
        Algorithm::AES,
        &[None, Some(Mode::GCM)],
        NO_PADDING,
        symmetric::AES_GCM,
        ("AES-GCM", &["aes-gcm.txt"]),
    ),
    Mechanism::cipher(
        Algorithm::AES,
        &[Some(Mode::GCMSIV)],
        NO_PADDING,
        symmetric::AES_GCM_SIV,
        ("AES-GCM-SIV", &["aes-gcm-siv.txt"]),
    )
    .not_fips(),
    // Where CBC is named without a padding, clients expect data of any length to be taken.
    Mechanism::cipher(
        Algorithm::AES,
        &[Some(Mode::CBC)],
        &[None, PKCS5],
        symmetric::AES_CBC_PKCS5,
        ("AES-CBC-PKCS5", &["aes-cbc-pkcs5.txt"]),
    ),
    Mechanism::cipher(
        Algorithm::AES,
        &[Some(Mode::CBC)],
        &[Some(Padding::None)],
        symmetric::AES_CBC,
        ("AES-CBC", &["aes-cbc.txt"]),
    ),
    Mechanism::cipher(
        Algorithm::AES,
        &[Some(Mode::CTR)],
        NO_PADDING,
        symmetric::AES_CTR,
        ("AES-CTR", &["aes-ctr.txt"]),
    ),
    Mechanism::cipher(
        Algorithm::AES,
        &[Some(Mode::ECB)],
        &[PKCS5],
        symmetric::AES_ECB_PKCS5,
        ("AES-ECB-PKCS5", &["aes-ecb-pkcs5.txt"]),
    ),
    Mechanism::cipher(
        Algorithm::AES,
        &[Some(Mode::ECB)],
        NO_PADDING,
        symmetric::AES_ECB,
        ("AES-ECB", &["aes-ecb.txt"]),
    ),
    Mechanism::cipher(
        Algorithm::AES,
        &[Some(Mode::XTS)],
        NO_PADDING,
        symmetric::AES_XTS,
        ("AES-XTS", &["aes-xts.txt"]),
    ),
    Mechanism::key_wrap(
        &[Some(Mode::NISTKeyWrap)],
        Implementation::KeyWrap,
        ("AES-KW", &["aes-kw.txt"]),
    ),
    Mechanism::key_wrap(
        &[Some(Mode::AESKeyWrapPadding)],
        Implementation::KeyWrapPadded,
        ("AES-KWP", &["aes-kwp.txt"]),
    ),
    Mechanism::cipher(
        Algorithm::ChaCha20Poly1305,
        &[None, Some(Mode::AEAD)],
        NO_PADDING,
        symmetric::CHACHA20_POLY1305,
        ("ChaCha20-Poly1305", &["chacha20-poly1305.txt"]),
    )
    .not_fips(),
    Mechanism::cipher(
        Algorithm::ChaCha20,
        &[None],
        NO_PADDING,
        symmetric::CHACHA20,
        ("ChaCha20", &["chacha20.txt"]),
    )
    .not_fips(),
    Mechanism::rsa(
        &[None, Some(Padding::OAEP)],
        Implementation::Oaep,
        ("RSA-OAEP", &["rsa-oaep.txt"]),
    ),
    Mechanism::rsa(
        &[Some(Padding::PKCS1V1_5)],
        Implementation::Pkcs1v15,
        ("RSA-PKCS1-v1.5", &["rsa-pkcs1v15.txt"]),
    )
    .not_fips(),
    // The recorded clients' spelling of PKCS#11's CKM_RSA_AES_KEY_WRAP: no padding, but a hash.
    Mechanism::rsa(
        &[Some(Padding::None)],
        Implementation::OaepKeyWrap,
        ("RSA-OAEP-AES-KWP", &["rsa-oaep.txt", "aes-kwp.txt"]),
    ),
];

/// The random number generator that keys come from.
pub(crate) fn generator() -> RandomNumberGenerator {
    RandomNumberGenerator {
        rng_algorithm: RNGAlgorithm::DRBG,
        cryptographic_algorithm: Some(Algorithm::AES),
        cryptographic_length: Some(256),
        hashing_algorithm: None,
        drbg_algorithm: Some(DRBGAlgorithm::CTR),
        recommended_curve: None,
        fips186_variation: None,
        prediction_resistance: None,
    }
}

/// The hash function that OAEP may be asked for.
fn oaep_hash(named: HashingAlgorithm) -> Result<Hash> {
    match named {
        HashingAlgorithm::SHA_1 => Ok(Hash::Sha1),
        HashingAlgorithm::SHA_256 => Ok(Hash::Sha256),
        HashingAlgorithm::SHA_384 => Ok(Hash::Sha384),
        HashingAlgorithm::SHA_512 => Ok(Hash::Sha512),
        other => Err(unsupported(format!("OAEP with {other} is not supported"))),
    }
}

/// The bytes of a symmetric key.
fn symmetric_key(material: &StoredMaterial) -> Result<&[u8]> {
    match material {
        StoredMaterial::Key(KeyValue::Structure { material: KeyMaterial::Bytes(it), .. }) => Ok(it),
        StoredMaterial::Key(KeyValue::Structure {
            material: KeyMaterial::TransparentSymmetricKey(it),
            ..
        }) => Ok(&it.key),
        StoredMaterial::Key(KeyValue::Structure { .. }) => Err(wrong_kind()),
        other => Err(no_key(other)),
    }
}

/// An RSA public key, ready.
fn encryption_key(material: &StoredMaterial) -> Result<EncryptionKey> {
    let der = encoded(material, ObjectType::PublicKey)?;
    let parse = |encoding| EncryptionKey::parse(encoding, der.expose());
    match parse(PublicEncoding::Pkcs1) {
        Ok(key) => Ok(key),
        // Not this encoding; what the other says of it counts.
        Err(kms_crypto::Error::Unsupported(what)) => {
            Err(failure(kms_crypto::Error::Unsupported(what)))
        }
        Err(_) => parse(PublicEncoding::Spki).map_err(|_cause| wrong_kind()),
    }
}

/// An RSA private key, ready.
fn decryption_key(material: &StoredMaterial) -> Result<DecryptionKey> {
    let der = encoded(material, ObjectType::PrivateKey)?;
    let parse = |encoding| DecryptionKey::parse(encoding, der.expose());
    match parse(PrivateEncoding::Pkcs1) {
        Ok(key) => Ok(key),
        Err(kms_crypto::Error::Unsupported(what)) => {
            Err(failure(kms_crypto::Error::Unsupported(what)))
        }
        Err(_) => parse(PrivateEncoding::Pkcs8).map_err(|_cause| wrong_kind()),
    }
}

/// Key bytes that were there already, or that had to be made.
enum Der<'a> {
    Stored(&'a [u8]),
    Made(kmip::wire::SecretBytes),
}

impl Der<'_> {
    fn expose(&self) -> &[u8] {
        match self {
            Self::Stored(bytes) => bytes,
            Self::Made(bytes) => bytes,
        }
    }
}

/// The key in DER; numbers are put into PKCS#1.
fn encoded(material: &StoredMaterial, object_type: ObjectType) -> Result<Der<'_>> {
    use kmip::enumerations::KeyFormatType as Format;
    let key = match material {
        StoredMaterial::Key(KeyValue::Structure { material, .. }) => material,
        other => return Err(no_key(other)),
    };
    let format = match key {
        KeyMaterial::Bytes(bytes) => return Ok(Der::Stored(bytes)),
        KeyMaterial::TransparentRsaPublicKey(_) => Format::TransparentRSAPublicKey,
        KeyMaterial::TransparentRsaPrivateKey(_) => Format::TransparentRSAPrivateKey,
        _ => return Err(wrong_kind()),
    };
    match Key::read(object_type, format, key)?.write(Format::PKCS_1)? {
        KeyMaterial::Bytes(bytes) => Ok(Der::Made(bytes)),
        _ => Err(wrong_kind()),
    }
}

/// There is nothing to compute with.
fn no_key(material: &StoredMaterial) -> Error {
    match material {
        StoredMaterial::Absent => {
            Error::new(ResultReason::KeyValueNotPresent, "the key is kept elsewhere, not here")
        }
        _ => Error::new(
            ResultReason::KeyValueNotPresent,
            "the key is kept wrapped, so that it cannot be used; register it unwrapped",
        ),
    }
}

fn wrong_kind() -> Error {
    Error::new(
        ResultReason::BadCryptographicParameters,
        "the key is not of the kind that this mechanism needs",
    )
}

fn unsupported(text: impl Into<String>) -> Error {
    Error::new(ResultReason::UnsupportedCryptographicParameters, text)
}

/// The core's error for one of the cryptographic layer's. All ways in which a decryption can fail
/// are told in one text.
pub(crate) fn failure(cause: kms_crypto::Error) -> Error {
    use kms_crypto::Error as Cause;
    match cause {
        Cause::Authentication | Cause::Decryption => Error::new(
            ResultReason::CryptographicFailure,
            "the data does not decrypt: the key, IV, tag or additional data are not those it was \
             encrypted with, or the data was changed",
        ),
        Cause::Unsupported(_) => unsupported(cause.to_string()),
        Cause::BadKey(_) | Cause::BadParameter(_) => {
            Error::new(ResultReason::BadCryptographicParameters, cause.to_string())
        }
        Cause::BadLength { .. } | Cause::Malformed(_) => Error::invalid(cause.to_string()),
        Cause::TooLarge { limit } => Error::new(
            ResultReason::ServerLimitExceeded,
            format!(
                "more than {limit} bytes would have to be held back until the end; encrypt in \
                 smaller pieces, each by itself"
            ),
        ),
        other => Error::internal(other),
    }
}

#[cfg(test)]
mod tests;
