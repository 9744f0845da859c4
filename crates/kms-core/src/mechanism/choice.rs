//! The choice of a mechanism from a request's parameters and a key's, and its use.

use kmip::attribute::{Attributes, CryptographicParameters};
use kmip::enumerations::{CryptographicAlgorithm as Algorithm, MaskGenerator, ResultReason};
use kmip::stored::StoredMaterial;
use kms_crypto::asymmetric::rsa::Oaep;
use kms_crypto::hash::Hash;
use kms_crypto::random;
use kms_crypto::secret::Secret;
use kms_crypto::symmetric::{Cipher, IvRule, Params, Sealed, Stream, Tag};
use kms_crypto::wrap;

use super::{
    Implementation, MECHANISMS, Mechanism, decryption_key, encryption_key, failure, oaep_hash,
    symmetric_key, unsupported,
};
use crate::error::{Error, Result};

/// A mechanism, and the parameters it is to be used with.
pub(crate) struct Choice<'a> {
    pub(crate) mechanism: &'static Mechanism,
    parameters: Option<&'a CryptographicParameters>,
}

/// What goes in beside key and data.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sides<'a> {
    /// The initialisation vector; empty where the mechanism takes none.
    pub(crate) iv: &'a [u8],
    /// Data that is authenticated and not encrypted.
    pub(crate) aad: &'a [u8],
}

/// The length of the original `ChaCha20`'s nonce, which ChaCha20-Poly1305 does not take.
const CHACHA_NONCE: usize = 8;
/// The longest IV that is made here.
const IV_LENGTH_MAX: usize = 128;
/// The shortest IV that is drawn where two that are equal give texts away: those are counted on the
/// understanding that they have 96 bits.
const RANDOM_IV_LENGTH_MIN: usize = 12;
/// The key of the data in RSA with AES key wrap: its length in bytes.
const INNER_KEY_LENGTH: usize = 32;

/// The mechanism that the request's parameters mean, or the key's, or that is the algorithm's
/// default. `iv` is the one given.
pub(crate) fn choose<'a>(
    attributes: &'a Attributes,
    requested: Option<&'a CryptographicParameters>,
    iv: Option<&[u8]>,
) -> Result<Choice<'a>> {
    let parameters = requested.or_else(|| attributes.cryptographic_parameters());
    choose_for(attributes.cryptographic_algorithm(), parameters, iv)
}

/// The same where the key's parameters do not count.
pub(super) fn choose_for<'a>(
    key: Option<Algorithm>,
    parameters: Option<&'a CryptographicParameters>,
    iv: Option<&[u8]>,
) -> Result<Choice<'a>> {
    let named = parameters.and_then(|it| it.cryptographic_algorithm);
    let algorithm = algorithm(key, named, iv)?;
    let mode = parameters.and_then(|it| it.block_cipher_mode);
    let padding = parameters.and_then(|it| it.padding_method);
    let found = MECHANISMS.iter().find(|row| {
        row.algorithm == algorithm && row.modes.contains(&mode) && row.paddings.contains(&padding)
    });
    let choice = found.map(|mechanism| Choice { mechanism, parameters });
    match choice {
        Some(choice) if choice.is_meant() => Ok(choice),
        _ if !MECHANISMS.iter().any(|row| row.algorithm == algorithm) => Err(Error::new(
            ResultReason::OperationNotSupported,
            format!("encryption with {algorithm} keys is not supported"),
        )),
        _ => {
            let mode = mode.map_or_else(|| "none".to_owned(), |it| it.to_string());
            let padding = padding.map_or_else(|| "none named".to_owned(), |it| it.to_string());
            Err(unsupported(format!(
                "{algorithm} with Block Cipher Mode {mode} and Padding Method {padding} is not \
                 supported"
            )))
        }
    }
}

/// The algorithm that is meant. A key is used with its own; those of `ChaCha20` are
/// for both of its.
fn algorithm(
    key: Option<Algorithm>,
    named: Option<Algorithm>,
    iv: Option<&[u8]>,
) -> Result<Algorithm> {
    const CHACHA: [Algorithm; 2] = [Algorithm::ChaCha20, Algorithm::ChaCha20Poly1305];
    match (key, named) {
        (Some(key), Some(named)) if key == named => Ok(named),
        (Some(key), Some(named)) if CHACHA.contains(&key) && CHACHA.contains(&named) => Ok(named),
        (Some(key), Some(named)) => Err(unsupported(format!(
            "the key is for {key}; the Cryptographic Parameters name {named}"
        ))),
        // Nothing says which is meant but the nonce: that of the original is shorter.
        (Some(Algorithm::ChaCha20), None) if iv.is_some_and(|iv| iv.len() == CHACHA_NONCE) => {
            Ok(Algorithm::ChaCha20)
        }
        (Some(Algorithm::ChaCha20), None) => Ok(Algorithm::ChaCha20Poly1305),
        (Some(key), None) => Ok(key),
        (None, Some(named)) => Ok(named),
        (None, None) => Err(Error::new(
            ResultReason::BadCryptographicParameters,
            "neither the key nor the request names a Cryptographic Algorithm",
        )),
    }
}

impl<'a> Choice<'a> {
    /// RSA without padding is textbook RSA, which is not there, unless a hash says that an AES key
    /// is to be put in between.
    fn is_meant(&self) -> bool {
        match self.mechanism.implementation {
            Implementation::OaepKeyWrap => {
                self.parameters.is_some_and(|it| it.hashing_algorithm.is_some())
            }
            _ => true,
        }
    }

    fn cipher(&self) -> Option<&'static dyn Cipher> {
        match self.mechanism.implementation {
            Implementation::Cipher(cipher) => Some(cipher),
            _ => None,
        }
    }

    /// Whether an IV used twice gives the text away, so that random ones are counted.
    pub(crate) fn counts_nonces(&self) -> bool {
        self.cipher()
            .is_some_and(|it| it.tag().is_some() || matches!(it.name(), "AES-CTR" | "ChaCha20"))
    }

    /// Whether an authentication tag is made.
    pub(crate) fn authenticates(&self) -> bool {
        self.cipher().is_some_and(|it| it.tag().is_some())
    }

    /// The length of the tag: the one asked for, or the default; 0 where none is made.
    pub(crate) fn tag_length(&self) -> Result<usize> {
        let asked = self.parameters.and_then(|it| it.tag_length);
        let rule = self.cipher().and_then(Cipher::tag);
        let (rule, asked) = match (rule, asked) {
            (None, None | Some(0)) => return Ok(0),
            (None, Some(_)) => {
                let name = self.mechanism.name;
                return Err(unsupported(format!("{name} makes no authentication tag")));
            }
            (Some(rule), None) => return Ok(rule.default),
            (Some(rule), Some(asked)) => (rule, asked),
        };
        let length = usize::try_from(asked).ok().filter(|it| rule.lengths.contains(it));
        length.ok_or_else(|| {
            Error::new(
                ResultReason::GeneralFailure,
                format!(
                    "a Tag Length of {asked} bytes is not supported; {} takes {:?}",
                    self.mechanism.name, rule.lengths
                ),
            )
        })
    }

    /// A fresh random IV, where one is needed and none was given.
    pub(crate) fn make_iv(&self, given: Option<&[u8]>) -> Result<Option<Vec<u8>>> {
        let rule = self.cipher().map_or(IvRule::None, Cipher::iv);
        if given.is_some() || rule == IvRule::None {
            return Ok(None);
        }
        if self.parameters.and_then(|it| it.random_iv) == Some(false) {
            return Err(missing_iv());
        }
        let length = match self.parameters.and_then(|it| it.iv_length) {
            None => rule.default_length(),
            // The specification counts this one in bits.
            Some(bits) => usize::try_from(bits)
                .ok()
                .filter(|bits| bits.is_multiple_of(8))
                .map(|bits| bits / 8)
                .filter(|length| *length <= IV_LENGTH_MAX && rule.allows(*length))
                .filter(|length| !self.counts_nonces() || *length >= RANDOM_IV_LENGTH_MIN)
                .ok_or_else(|| {
                    let name = self.mechanism.name;
                    unsupported(format!("{name} makes no IV of {bits} bits"))
                })?,
        };
        let mut iv = vec![0; length];
        random::fill(&mut iv).map_err(Error::internal)?;
        Ok(Some(iv))
    }

    /// The IV to decrypt with, which must be given where the mechanism needs one.
    pub(crate) fn needed_iv<'b>(&self, given: Option<&'b [u8]>) -> Result<&'b [u8]> {
        let rule = self.cipher().map_or(IvRule::None, Cipher::iv);
        match given {
            Some(iv) => Ok(iv),
            None if rule == IvRule::None => Ok(&[]),
            None => Err(missing_iv()),
        }
    }

    fn params<'b>(&self, sides: Sides<'b>, tag_length: usize) -> Result<Params<'b>> {
        let counter = match self.parameters.and_then(|it| it.initial_counter_value) {
            // Only ChaCha20's counter is no part of the IV.
            Some(start) if self.cipher().is_some_and(Cipher::takes_counter) => u32::try_from(start)
                .map_err(|_negative| {
                    Error::invalid("the Initial Counter Value must not be negative")
                })?,
            _ => 0,
        };
        let tag_length = Some(tag_length).filter(|length| *length > 0);
        Ok(Params { iv: sides.iv, aad: sides.aad, tag_length, counter })
    }

    /// Key wrapping and RSA take data alone.
    fn alone(&self, sides: Sides<'_>) -> Result<()> {
        if sides.iv.is_empty() && sides.aad.is_empty() {
            return Ok(());
        }
        Err(Error::new(
            ResultReason::BadCryptographicParameters,
            format!("{} takes neither an IV nor additional data", self.mechanism.name),
        ))
    }

    /// Encrypts, in the memory of `data` where the mechanism can.
    pub(crate) fn encrypt(
        &self,
        key: &StoredMaterial,
        sides: Sides<'_>,
        data: Vec<u8>,
    ) -> Result<Sealed> {
        let tag_length = self.tag_length()?;
        if let Implementation::Cipher(cipher) = self.mechanism.implementation {
            let params = self.params(sides, tag_length)?;
            return cipher.encrypt(symmetric_key(key)?, &params, data).map_err(failure);
        }
        self.alone(sides)?;
        let plain = Secret::new(data);
        let data = match self.mechanism.implementation {
            Implementation::Cipher(_) => return Err(Error::internal("a cipher twice")),
            Implementation::KeyWrap => wrap::aes_kw_wrap(symmetric_key(key)?, plain.expose()),
            Implementation::KeyWrapPadded => {
                wrap::aes_kwp_wrap(symmetric_key(key)?, plain.expose())
            }
            Implementation::Oaep => {
                encryption_key(key)?.oaep_encrypt(&self.oaep()?, plain.expose())
            }
            Implementation::Pkcs1v15 => encryption_key(key)?.pkcs1v15_encrypt(plain.expose()),
            Implementation::OaepKeyWrap => return self.encrypt_hybrid(key, plain.expose()),
        };
        Ok(Sealed { data: data.map_err(failure)?, tag: Tag::default() })
    }

    /// Decrypts, in the memory of `data` where the mechanism can.
    pub(crate) fn decrypt(
        &self,
        key: &StoredMaterial,
        sides: Sides<'_>,
        data: Vec<u8>,
        tag: &[u8],
    ) -> Result<Vec<u8>> {
        check_tag(tag, self.tag_length()?)?;
        if let Implementation::Cipher(cipher) = self.mechanism.implementation {
            let params = self.params(sides, tag.len())?;
            return cipher.decrypt(symmetric_key(key)?, &params, data, tag).map_err(failure);
        }
        self.alone(sides)?;
        let plain = match self.mechanism.implementation {
            Implementation::Cipher(_) => return Err(Error::internal("a cipher twice")),
            Implementation::KeyWrap => unwrapped(wrap::aes_kw_unwrap(symmetric_key(key)?, &data)),
            Implementation::KeyWrapPadded => {
                unwrapped(wrap::aes_kwp_unwrap(symmetric_key(key)?, &data))
            }
            Implementation::Oaep => decryption_key(key)?.oaep_decrypt(&self.oaep()?, &data),
            Implementation::Pkcs1v15 => decryption_key(key)?.pkcs1v15_decrypt(&data),
            Implementation::OaepKeyWrap => return self.decrypt_hybrid(key, &data),
        };
        plain.map(Secret::into_bytes).map_err(failure)
    }

    /// Starts an encryption in parts.
    pub(crate) fn encryptor(
        &self,
        key: &StoredMaterial,
        sides: Sides<'_>,
        limit: usize,
    ) -> Result<Box<dyn Stream>> {
        let cipher = self.streamable()?;
        let params = self.params(sides, self.tag_length()?)?;
        cipher.encryptor(symmetric_key(key)?, &params, limit).map_err(failure)
    }

    /// Starts a decryption in parts.
    pub(crate) fn decryptor(
        &self,
        key: &StoredMaterial,
        sides: Sides<'_>,
        limit: usize,
    ) -> Result<Box<dyn Stream>> {
        let cipher = self.streamable()?;
        let params = self.params(sides, self.tag_length()?)?;
        cipher.decryptor(symmetric_key(key)?, &params, limit).map_err(failure)
    }

    fn streamable(&self) -> Result<&'static dyn Cipher> {
        self.cipher().ok_or_else(|| {
            Error::new(
                ResultReason::FeatureNotSupported,
                format!("{} works on whole data, not in parts", self.mechanism.name),
            )
        })
    }

    /// OAEP's parameters. The mask's hash follows the other where none is named, as the field's
    /// clients expect (the specification would have SHA-1).
    pub(super) fn oaep(&self) -> Result<Oaep<'a>> {
        let Some(parameters) = self.parameters else { return Ok(Oaep::with(Hash::Sha256)) };
        if parameters.mask_generator.is_some_and(|it| it != MaskGenerator::MGF1) {
            return Err(unsupported("the only Mask Generator of OAEP is MGF1"));
        }
        let hash = parameters.hashing_algorithm.map_or(Ok(Hash::Sha256), oaep_hash)?;
        let mgf_hash = parameters.mask_generator_hashing_algorithm.map_or(Ok(hash), oaep_hash)?;
        let label = parameters.p_source.as_deref().unwrap_or_default();
        Ok(Oaep { hash, mgf_hash, label })
    }

    fn encrypt_hybrid(&self, key: &StoredMaterial, plain: &[u8]) -> Result<Sealed> {
        let data = seal_hybrid(key, &self.oaep()?, plain)?;
        Ok(Sealed { data, tag: Tag::default() })
    }

    fn decrypt_hybrid(&self, key: &StoredMaterial, data: &[u8]) -> Result<Vec<u8>> {
        open_hybrid(key, &self.oaep()?, data).map(Secret::into_bytes)
    }
}

/// What fails to unwrap fails in one way, its length included.
fn unwrapped(
    result: std::result::Result<Secret, kms_crypto::Error>,
) -> std::result::Result<Secret, kms_crypto::Error> {
    match result {
        Err(kms_crypto::Error::BadLength { .. }) => Err(kms_crypto::Error::Decryption),
        other => other,
    }
}

/// `OAEP(AES key) ‖ AES-KWP(AES key, data)`.
fn seal_hybrid(key: &StoredMaterial, oaep: &Oaep<'_>, plain: &[u8]) -> Result<Vec<u8>> {
    let inner = random::secret(INNER_KEY_LENGTH).map_err(failure)?;
    let mut data = encryption_key(key)?.oaep_encrypt(oaep, inner.expose()).map_err(failure)?;
    data.extend(wrap::aes_kwp_wrap(inner.expose(), plain).map_err(failure)?);
    Ok(data)
}

fn open_hybrid(key: &StoredMaterial, oaep: &Oaep<'_>, data: &[u8]) -> Result<Secret> {
    let wrong = || failure(kms_crypto::Error::Decryption);
    let key = decryption_key(key)?;
    let (head, body) = data.split_at_checked(key.bits().div_ceil(8)).ok_or_else(wrong)?;
    let inner = key.oaep_decrypt(oaep, head).map_err(failure)?;
    wrap::aes_kwp_unwrap(inner.expose(), body).map_err(|_cause| wrong())
}

fn missing_iv() -> Error {
    Error::new(
        ResultReason::InvalidMessage,
        "the IV/Counter/Nonce is missing; give it, or ask for a Random IV to encrypt",
    )
}

/// A tag must be of the length that is asked for: a shorter one is easier to forge.
pub(crate) fn check_tag(tag: &[u8], length: usize) -> Result<()> {
    if tag.len() == length {
        return Ok(());
    }
    if tag.is_empty() {
        return Err(Error::new(
            ResultReason::InvalidMessage,
            "the Authenticated Encryption Tag is missing",
        ));
    }
    Err(Error::new(
        ResultReason::BadCryptographicParameters,
        format!(
            "an Authenticated Encryption Tag of {length} bytes is expected here (Tag Length); this \
             one has {}",
            tag.len()
        ),
    ))
}
