//! Streams that have to hold everything until the end: decryption that authenticates gives nothing
//! out before the tag is checked, and GCM-SIV reads the whole text before it encrypts.

use super::aead::{AeadCipher, no_tag};
use super::{Cipher, Params, Stream, Tag};
use crate::{Error, Secret};

/// What was given so far. Decrypting, that is ciphertext only: no plaintext exists before the end.
pub(super) struct Held {
    cipher: AeadCipher,
    encrypt: bool,
    key: Secret,
    iv: Vec<u8>,
    aad: Vec<u8>,
    tag_length: Option<usize>,
    parts: Vec<Secret>,
    length: usize,
    limit: usize,
}

impl Held {
    pub(super) fn new(
        cipher: AeadCipher,
        encrypt: bool,
        key: &[u8],
        params: &Params<'_>,
        limit: usize,
    ) -> Self {
        Self {
            cipher,
            encrypt,
            key: Secret::from(key),
            iv: params.iv.to_vec(),
            aad: params.aad.to_vec(),
            tag_length: params.tag_length,
            parts: Vec::new(),
            length: 0,
            limit,
        }
    }
}

impl Stream for Held {
    fn update(&mut self, input: &[u8], _output: &mut Vec<u8>) -> Result<(), Error> {
        if input.is_empty() {
            return Ok(());
        }
        let length = self.length.saturating_add(input.len());
        if length > self.limit {
            return Err(Error::TooLarge { limit: self.limit });
        }
        self.length = length;
        self.parts.push(Secret::from(input));
        Ok(())
    }

    fn finish(self: Box<Self>, tag: &[u8], output: &mut Vec<u8>) -> Result<Tag, Error> {
        // One reservation: growing would leave copies behind.
        let mut whole = Vec::with_capacity(self.length);
        for part in &self.parts {
            whole.extend_from_slice(part.expose());
        }
        let params =
            Params { iv: &self.iv, aad: &self.aad, tag_length: self.tag_length, counter: 0 };
        let (whole, made) = if self.encrypt {
            no_tag(tag)?;
            let sealed = self.cipher.encrypt(self.key.expose(), &params, whole)?;
            (sealed.data, sealed.tag)
        } else {
            let opened = self.cipher.decrypt(self.key.expose(), &params, whole, tag)?;
            (opened, Tag::default())
        };
        if output.is_empty() {
            *output = whole;
        } else {
            output.extend_from_slice(Secret::new(whole).expose());
        }
        Ok(made)
    }
}
