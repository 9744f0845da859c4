//! Wrapping keys under keys: AES key wrap (RFC 3394, SP 800-38F), with padding (RFC 5649), AES-GCM
//! and RSA-OAEP. Knows nothing of whose keys they are. All failures to unwrap look alike.

use crate::asymmetric::rsa::{DecryptionKey, EncryptionKey, Oaep};
use crate::ffi::{KeyWrap, key_unwrap, key_wrap};
use crate::symmetric::{AES_GCM, Params};
use crate::{Error, Secret};

/// The most that is wrapped at once, in bytes. Keys are far smaller.
pub const MOST: usize = 1 << 20;

fn check(
    what: &'static str,
    length: usize,
    fits: bool,
    allowed: &'static str,
) -> Result<(), Error> {
    if fits && length <= MOST {
        Ok(())
    } else {
        Err(Error::BadLength { what, actual: length, allowed })
    }
}

/// Wraps by RFC 3394 (`AESKeyWrap`): 16 bytes or more, a multiple of 8. Key-encryption keys of 128,
/// 192 and 256 bits.
pub fn aes_kw_wrap(kek: &[u8], key: &[u8]) -> Result<Vec<u8>, Error> {
    let fits = key.len() >= 16 && key.len().is_multiple_of(8);
    check("key to wrap", key.len(), fits, "a multiple of 8 from 16 to 1 MiB")?;
    key_wrap(KeyWrap::Plain, kek, key)
}

/// Unwraps by RFC 3394.
pub fn aes_kw_unwrap(kek: &[u8], wrapped: &[u8]) -> Result<Secret, Error> {
    let fits = wrapped.len() >= 24 && wrapped.len().is_multiple_of(8);
    check("wrapped key", wrapped.len(), fits, "a multiple of 8 from 24 to 1 MiB")?;
    key_unwrap(KeyWrap::Plain, kek, wrapped)
}

/// Wraps by RFC 5649 (`AESKeyWrapPadding`): any length from 1 byte on.
pub fn aes_kwp_wrap(kek: &[u8], key: &[u8]) -> Result<Vec<u8>, Error> {
    check("key to wrap", key.len(), !key.is_empty(), "from 1 to 1 MiB")?;
    key_wrap(KeyWrap::Padded, kek, key)
}

/// Unwraps by RFC 5649.
pub fn aes_kwp_unwrap(kek: &[u8], wrapped: &[u8]) -> Result<Secret, Error> {
    let fits = wrapped.len() >= 16 && wrapped.len().is_multiple_of(8);
    check("wrapped key", wrapped.len(), fits, "a multiple of 8 from 16 to 1 MiB")?;
    key_unwrap(KeyWrap::Padded, kek, wrapped)
}

/// Wraps with AES-GCM: `ciphertext ‖ tag`. The IV and the tag's length are in `params`; no IV must
/// be used twice under one key.
pub fn aes_gcm_wrap(kek: &[u8], params: &Params<'_>, key: &[u8]) -> Result<Vec<u8>, Error> {
    check("key to wrap", key.len(), true, "up to 1 MiB")?;
    let mut room = Vec::with_capacity(key.len().saturating_add(16));
    room.extend_from_slice(key);
    let mut sealed = AES_GCM.encrypt(kek, params, room)?;
    sealed.data.extend_from_slice(&sealed.tag);
    Ok(sealed.data)
}

/// Unwraps `ciphertext ‖ tag`; the tag has the length in `params`, 16 bytes if none is given.
pub fn aes_gcm_unwrap(kek: &[u8], params: &Params<'_>, wrapped: &[u8]) -> Result<Secret, Error> {
    let tag_length = params.tag_length.unwrap_or(16);
    let (text, tag) = wrapped
        .len()
        .checked_sub(tag_length)
        .and_then(|length| wrapped.split_at_checked(length))
        .ok_or(Error::Decryption)?;
    match AES_GCM.decrypt(kek, params, text.to_vec(), tag) {
        Ok(key) => Ok(Secret::new(key)),
        Err(Error::Authentication) => Err(Error::Decryption),
        Err(error) => Err(error),
    }
}

/// Wraps with RSA-OAEP; the key must be small enough for the modulus.
pub fn rsa_oaep_wrap(kek: &EncryptionKey, oaep: &Oaep<'_>, key: &[u8]) -> Result<Vec<u8>, Error> {
    kek.oaep_encrypt(oaep, key)
}

/// Unwraps with RSA-OAEP.
pub fn rsa_oaep_unwrap(
    kek: &DecryptionKey,
    oaep: &Oaep<'_>,
    wrapped: &[u8],
) -> Result<Secret, Error> {
    kek.oaep_decrypt(oaep, wrapped)
}
