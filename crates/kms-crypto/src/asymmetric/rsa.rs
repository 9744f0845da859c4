//! RSA: making keys, OAEP and PKCS#1 v1.5 encryption.
//!
//! A key is read from the encoding it rests in, once, by the library itself, which checks that its
//! numbers belong together. Failures of a decryption all look alike.

use crate::ffi::{RsaKey, RsaPadding};
use crate::hash::Hash;
use crate::{Error, Secret};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};

/// The lengths of keys that are made, in bits.
pub const GENERATED_BITS: &[usize] = &[2048, 3072, 4096];
/// The shortest key that is used, in bits.
pub const LEAST_BITS: usize = 2048;
/// The longest modulus that is worked with, in bits. A private operation takes the cube of it: with
/// twice as many, 80 ms instead of 5. Longer keys are kept and given back.
pub const MOST_BITS: usize = 4096;

/// Makes a key of 2048, 3072 or 4096 bits with the public exponent 65537; PKCS#8, in DER.
pub fn generate(bits: usize) -> Result<Secret, Error> {
    let size = match bits {
        2048 => KeySize::Rsa2048,
        3072 => KeySize::Rsa3072,
        4096 => KeySize::Rsa4096,
        _ => return Err(Error::Unsupported("RSA with a length other than 2048, 3072 and 4096")),
    };
    let failed = |_: aws_lc_rs::error::Unspecified| Error::Failed;
    let pair = KeyPair::generate(size).map_err(failed)?;
    let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map_err(failed)?;
    Ok(Secret::from(der.as_ref()))
}

/// The encoding of a private key in DER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrivateEncoding {
    /// PKCS#1 `RSAPrivateKey`.
    Pkcs1,
    /// PKCS#8 `PrivateKeyInfo`.
    Pkcs8,
}

/// The encoding of a public key in DER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublicEncoding {
    /// PKCS#1 `RSAPublicKey`.
    Pkcs1,
    /// X.509 `SubjectPublicKeyInfo`.
    Spki,
}

/// OAEP's parameters (RFC 8017, 7.1).
#[derive(Clone, Copy, Debug)]
pub struct Oaep<'a> {
    /// The hash of the label.
    pub hash: Hash,
    /// The hash inside the mask generation function MGF1.
    pub mgf_hash: Hash,
    /// The label, called `PSource` too; mostly empty.
    pub label: &'a [u8],
}

impl Oaep<'_> {
    /// One hash function for both, no label.
    pub const fn with(hash: Hash) -> Self {
        Self { hash, mgf_hash: hash, label: &[] }
    }
}

/// A private key, parsed and ready. May be kept and shared among threads.
pub struct DecryptionKey(RsaKey);

/// A public key, parsed and ready. May be kept and shared among threads.
pub struct EncryptionKey(RsaKey);

fn of_fit_length(key: RsaKey) -> Result<RsaKey, Error> {
    match key.bits() {
        LEAST_BITS..=MOST_BITS => Ok(key),
        ..LEAST_BITS => Err(Error::Unsupported("RSA with less than 2048 bits")),
        _ => Err(Error::Unsupported("RSA with more than 4096 bits")),
    }
}

/// The most that a key of this length encrypts at once, or an error if it cannot at all.
fn check_message(key: &RsaKey, overhead: usize, message: usize) -> Result<(), Error> {
    match key.bits().div_ceil(8).checked_sub(overhead) {
        Some(most) if message <= most => Ok(()),
        Some(_) => Err(Error::BadLength {
            what: "message",
            actual: message,
            allowed: "what the key's modulus holds beside the padding",
        }),
        None => Err(Error::BadKey("it is too short for this hash function")),
    }
}

fn check_ciphertext(key: &RsaKey, length: usize) -> Result<(), Error> {
    // The length is no secret, and other lengths cannot come from this key.
    if length == key.bits().div_ceil(8) { Ok(()) } else { Err(Error::Decryption) }
}

impl DecryptionKey {
    /// Reads and checks a private key.
    pub fn parse(encoding: PrivateEncoding, der: &[u8]) -> Result<Self, Error> {
        let key = match encoding {
            PrivateEncoding::Pkcs1 => RsaKey::from_pkcs1(true, der),
            PrivateEncoding::Pkcs8 => RsaKey::from_envelope(true, der),
        }?;
        of_fit_length(key).map(Self)
    }

    /// The length of the modulus in bits.
    pub fn bits(&self) -> usize {
        self.0.bits()
    }

    /// Decrypts OAEP. Every failure is [`Error::Decryption`].
    pub fn oaep_decrypt(&self, oaep: &Oaep<'_>, ciphertext: &[u8]) -> Result<Secret, Error> {
        check_ciphertext(&self.0, ciphertext.len())?;
        let Oaep { hash, mgf_hash: mgf, label } = *oaep;
        self.0.transform(false, RsaPadding::Oaep { hash, mgf, label }, ciphertext)
    }

    /// Decrypts PKCS#1 v1.5. Every failure is [`Error::Decryption`]; still, whoever can ask often
    /// whether it failed can decrypt (Bleichenbacher): prefer OAEP.
    pub fn pkcs1v15_decrypt(&self, ciphertext: &[u8]) -> Result<Secret, Error> {
        check_ciphertext(&self.0, ciphertext.len())?;
        self.0.transform(false, RsaPadding::Pkcs1, ciphertext)
    }
}

impl EncryptionKey {
    /// Reads and checks a public key.
    pub fn parse(encoding: PublicEncoding, der: &[u8]) -> Result<Self, Error> {
        let key = match encoding {
            PublicEncoding::Pkcs1 => RsaKey::from_pkcs1(false, der),
            PublicEncoding::Spki => RsaKey::from_envelope(false, der),
        }?;
        of_fit_length(key).map(Self)
    }

    /// The length of the modulus in bits.
    pub fn bits(&self) -> usize {
        self.0.bits()
    }

    /// Encrypts with OAEP.
    pub fn oaep_encrypt(&self, oaep: &Oaep<'_>, message: &[u8]) -> Result<Vec<u8>, Error> {
        let Oaep { hash, mgf_hash: mgf, label } = *oaep;
        let overhead = hash.length().saturating_mul(2).saturating_add(2);
        check_message(&self.0, overhead, message.len())?;
        let padding = RsaPadding::Oaep { hash, mgf, label };
        self.0.transform(true, padding, message).map(Secret::into_bytes)
    }

    /// Encrypts with PKCS#1 v1.5.
    pub fn pkcs1v15_encrypt(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        check_message(&self.0, 11, message.len())?;
        self.0.transform(true, RsaPadding::Pkcs1, message).map(Secret::into_bytes)
    }
}
