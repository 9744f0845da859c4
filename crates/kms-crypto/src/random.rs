//! Random bytes of the library's generator; the only place they come from.

use crate::{Error, Secret};

/// Fills with random bytes, good enough for keys.
pub fn fill(bytes: &mut [u8]) -> Result<(), Error> {
    aws_lc_rs::rand::fill(bytes).map_err(|aws_lc_rs::error::Unspecified| Error::Failed)
}

/// `N` random bytes: nonces, salts, identifiers.
pub fn bytes<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

/// A random secret of `length` bytes: a symmetric key.
pub fn secret(length: usize) -> Result<Secret, Error> {
    let mut secret = Secret::zeroed(length);
    fill(secret.expose_mut())?;
    Ok(secret)
}
