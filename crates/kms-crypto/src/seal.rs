//! Sealing for what rests in a database: AES-256-GCM-SIV with a prepared key. A nonce that several
//! servers happen to draw twice costs the equality of two texts here, not the key.
//!
//! A sealed value is `nonce (12) ‖ ciphertext ‖ tag (16)`.

use crate::{Error, Secret, random};
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};

const NONCE: usize = 12;
const TAG: usize = 16;
/// By how many bytes a sealed value is longer than its plaintext.
pub const OVERHEAD: usize = 28;

/// A key prepared for sealing; wiped by the library when dropped. Can be shared among threads.
pub struct SealKey(LessSafeKey);

impl SealKey {
    /// Prepares the key.
    pub fn new(key: &[u8; 32]) -> Result<Self, Error> {
        UnboundKey::new(&AES_256_GCM_SIV, key)
            .map(|key| Self(LessSafeKey::new(key)))
            .map_err(|aws_lc_rs::error::Unspecified| Error::Failed)
    }

    /// Seals `plaintext`, bound to `aad`, under a fresh random nonce.
    pub fn seal(&self, aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, Error> {
        let nonce = random::nonce::<NONCE>()?;
        let mut sealed = Vec::with_capacity(plaintext.len().saturating_add(OVERHEAD));
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plaintext);
        let (_, text) = sealed.split_at_mut_checked(NONCE).ok_or(Error::Failed)?;
        let tag = self
            .0
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), text)
            .map_err(|aws_lc_rs::error::Unspecified| Error::Failed)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Opens a sealed value. Every failure, a short value too, is [`Error::Authentication`].
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Secret, Error> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE>().ok_or(Error::Authentication)?;
        let (text, tag) = rest.split_last_chunk::<TAG>().ok_or(Error::Authentication)?;
        let mut plaintext = Secret::zeroed(text.len());
        self.0
            .open_separate_gather(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(aad),
                text,
                tag,
                plaintext.expose_mut(),
            )
            .map_err(|aws_lc_rs::error::Unspecified| Error::Authentication)?;
        Ok(plaintext)
    }

    /// The authentication tag of a sealed value: enough to tell one sealing from another.
    pub fn tag(sealed: &[u8]) -> Option<&[u8; TAG]> {
        sealed.last_chunk::<TAG>()
    }
}
