//! HKDF-SHA-256 (RFC 5869).

use crate::{Error, Secret};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// Derives `output.len()` bytes (at most 255 × 32) from `secret`.
pub fn hkdf_sha256_into(
    secret: &[u8],
    salt: &[u8],
    info: &[&[u8]],
    output: &mut [u8],
) -> Result<(), Error> {
    let length = output.len();
    let too_long = |_: aws_lc_rs::error::Unspecified| Error::BadLength {
        what: "derived key",
        actual: length,
        allowed: "at most 8160",
    };
    let key = Salt::new(HKDF_SHA256, salt).extract(secret);
    key.expand(info, Length(length)).and_then(|material| material.fill(output)).map_err(too_long)
}

/// Derives a secret of `length` bytes (at most 255 × 32).
pub fn hkdf_sha256(
    secret: &[u8],
    salt: &[u8],
    info: &[&[u8]],
    length: usize,
) -> Result<Secret, Error> {
    let mut derived = Secret::zeroed(length);
    hkdf_sha256_into(secret, salt, info, derived.expose_mut())?;
    Ok(derived)
}
