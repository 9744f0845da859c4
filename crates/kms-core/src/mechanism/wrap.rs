//! Wrapping keys under keys: the mechanisms of the table that are fit for it, and how nonce and tag
//! lie in what comes out.

use kmip::attribute::CryptographicParameters;
use kmip::enumerations::{
    BlockCipherMode, CryptographicAlgorithm as Algorithm, HashingAlgorithm, PaddingMethod,
    ResultReason,
};
use kmip::stored::StoredMaterial;
use kms_crypto::random;
use kms_crypto::secret::Secret;
use kms_crypto::symmetric::Params;
use kms_crypto::wrap as keys;

use super::choice::{Choice, Sides, choose_for};
use super::{Implementation, failure, symmetric_key, unsupported};
use crate::error::{Error, Result};

/// The nonce before what AES-GCM wrapped.
const NONCE_LENGTH: usize = 12;

/// How a key is wrapped.
enum Way<'a> {
    /// RFC 3394 where the key's length allows it, else RFC 5649: no parameters were given.
    Default,
    /// `nonce ‖ ciphertext ‖ tag`.
    Gcm { tag_length: usize },
    /// A mechanism that takes the key alone.
    Mechanism(Choice<'a>),
}

fn way(
    algorithm: Option<Algorithm>,
    parameters: Option<&CryptographicParameters>,
) -> Result<Way<'_>> {
    let mode = parameters.and_then(|it| it.block_cipher_mode);
    let is_aes = matches!(algorithm, None | Some(Algorithm::AES));
    let named = parameters.and_then(|it| it.cryptographic_algorithm);
    if mode.is_none() && is_aes && matches!(named, None | Some(Algorithm::AES)) {
        return Ok(Way::Default);
    }
    let choice = choose_for(algorithm, parameters, None)?;
    match choice.mechanism.implementation {
        Implementation::Cipher(_) if choice.mechanism.name == "AES-GCM" => {
            Ok(Way::Gcm { tag_length: choice.tag_length()? })
        }
        Implementation::Cipher(_) | Implementation::Pkcs1v15 => Err(unsupported(format!(
            "keys are not wrapped with {}; there are AES key wrap, AES-GCM and RSA-OAEP",
            choice.mechanism.name
        ))),
        Implementation::KeyWrap
        | Implementation::KeyWrapPadded
        | Implementation::Oaep
        | Implementation::OaepKeyWrap => Ok(Way::Mechanism(choice)),
    }
}

/// The parameters that say how a key of `length` bytes is wrapped: those given, and what follows
/// where they leave it open, so that whoever gets the key knows how to unwrap it.
pub(crate) fn settled(
    algorithm: Option<Algorithm>,
    parameters: Option<&CryptographicParameters>,
    length: usize,
) -> Option<CryptographicParameters> {
    let mut settled = parameters.cloned().unwrap_or_default();
    match way(algorithm, parameters) {
        Ok(Way::Default) => {
            settled.block_cipher_mode = Some(if fits_key_wrap(length) {
                BlockCipherMode::NISTKeyWrap
            } else {
                BlockCipherMode::AESKeyWrapPadding
            });
        }
        Ok(Way::Mechanism(choice)) if choice.mechanism.algorithm == Algorithm::RSA => {
            let padding = PaddingMethod::OAEP;
            settled.padding_method = settled.padding_method.or(Some(padding));
            let hash = HashingAlgorithm::SHA_256;
            settled.hashing_algorithm = settled.hashing_algorithm.or(Some(hash));
        }
        _ => return parameters.cloned(),
    }
    Some(settled)
}

/// Whether wrapping so draws a random nonce, of which a key has only so many.
pub(crate) fn draws_nonce(
    algorithm: Option<Algorithm>,
    parameters: Option<&CryptographicParameters>,
) -> bool {
    matches!(way(algorithm, parameters), Ok(Way::Gcm { .. }))
}

/// Wraps `plain` under `key`.
pub(crate) fn wrap(
    key: &StoredMaterial,
    algorithm: Option<Algorithm>,
    parameters: Option<&CryptographicParameters>,
    plain: &[u8],
) -> Result<Vec<u8>> {
    match way(algorithm, parameters)? {
        Way::Default if fits_key_wrap(plain.len()) => {
            keys::aes_kw_wrap(symmetric_key(key)?, plain).map_err(failure)
        }
        Way::Default => keys::aes_kwp_wrap(symmetric_key(key)?, plain).map_err(failure),
        Way::Gcm { tag_length } => {
            let nonce = random::bytes::<NONCE_LENGTH>().map_err(failure)?;
            let params = Params { tag_length: Some(tag_length), ..Params::with_iv(&nonce) };
            let sealed = keys::aes_gcm_wrap(symmetric_key(key)?, &params, plain);
            let mut wrapped = sealed.map_err(failure)?;
            wrapped.splice(..0, nonce);
            Ok(wrapped)
        }
        Way::Mechanism(choice) => {
            choice.encrypt(key, Sides::default(), plain.to_vec()).map(|sealed| sealed.data)
        }
    }
}

/// The reverse of `wrap`.
pub(crate) fn unwrap(
    key: &StoredMaterial,
    algorithm: Option<Algorithm>,
    parameters: Option<&CryptographicParameters>,
    wrapped: &[u8],
) -> Result<Secret> {
    let plain = match way(algorithm, parameters)? {
        Way::Default => {
            let key = symmetric_key(key)?;
            // Both check what they unwrap: at most one of them can succeed.
            keys::aes_kw_unwrap(key, wrapped)
                .or_else(|_cause| keys::aes_kwp_unwrap(key, wrapped))
                .map_err(|_cause| does_not_unwrap())
        }
        Way::Gcm { tag_length } => {
            let key = symmetric_key(key)?;
            let (nonce, body) =
                wrapped.split_at_checked(NONCE_LENGTH).ok_or_else(does_not_unwrap)?;
            let params = Params { tag_length: Some(tag_length), ..Params::with_iv(nonce) };
            keys::aes_gcm_unwrap(key, &params, body).map_err(|_cause| does_not_unwrap())
        }
        Way::Mechanism(choice) => choice
            .decrypt(key, Sides::default(), wrapped.to_vec(), &[])
            .map(Secret::new)
            .map_err(|error| match error.reason {
                ResultReason::CryptographicFailure => does_not_unwrap(),
                _ => error,
            }),
    }?;
    Ok(plain)
}

/// What RFC 3394 takes: two blocks of 8 bytes at least.
fn fits_key_wrap(length: usize) -> bool {
    length >= 16 && length.is_multiple_of(8)
}

fn does_not_unwrap() -> Error {
    Error::new(
        ResultReason::CryptographicFailure,
        "the key does not unwrap: it was wrapped under another key or in another way, or changed",
    )
}
