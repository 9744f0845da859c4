//! `ChaCha20` by itself: a key stream, with nothing that would notice a change.

use super::aead::no_tag;
use super::{Cipher, IvRule, Params, Sealed, Stream, Tag, TagRule, check};
use crate::Error;
use crate::ffi::chacha20;
use zeroize::Zeroizing;

/// `ChaCha20` (RFC 8439) with a 12-byte nonce, or the original's 8-byte nonce; the first block
/// counter is [`Params::counter`].
pub const CHACHA20: &dyn Cipher = &ChaCha20;

struct ChaCha20;

const BLOCK: usize = 64;
const BLOCKS: u64 = 1 << 32;

/// The key stream and where we are in it.
pub(super) struct KeyStream {
    key: Zeroizing<[u8; 32]>,
    nonce: [u8; 12],
    /// The next block.
    counter: u64,
    /// What is left of the block before: its bytes from `used` on.
    block: Zeroizing<[u8; BLOCK]>,
    used: usize,
}

impl KeyStream {
    pub(super) fn new(key: &[u8], nonce: &[u8], counter: u32) -> Result<Self, Error> {
        let key = <[u8; 32]>::try_from(key)
            .map_err(|_error| Error::BadKey("its length is not one that the cipher takes"))?;
        // The original's counter has 64 bits: its upper half is where the longer nonce begins.
        let mut full = [0; 12];
        let start = full.len().saturating_sub(nonce.len());
        match full.get_mut(start..) {
            Some(place) if matches!(nonce.len(), 8 | 12) => place.copy_from_slice(nonce),
            _ => return Err(Error::BadParameter("the length of the nonce")),
        }
        Ok(Self {
            key: Zeroizing::new(key),
            nonce: full,
            counter: u64::from(counter),
            block: Zeroizing::new([0; BLOCK]),
            used: BLOCK,
        })
    }

    /// Fills `part` (zeros, or a text) with the key stream from the next block on.
    fn blocks(&mut self, part: &mut [u8]) -> Result<(), Error> {
        let count = u64::try_from(part.len().div_ceil(BLOCK)).unwrap_or(u64::MAX);
        let next = self.counter.saturating_add(count);
        if next > BLOCKS {
            return Err(Error::BadParameter("the block counter would begin again"));
        }
        if let Ok(counter) = u32::try_from(self.counter) {
            chacha20(&self.key, &self.nonce, counter, part);
        }
        self.counter = next;
        Ok(())
    }

    /// XORs the key stream onto `data`, going on where the call before ended.
    pub(super) fn apply(&mut self, data: &mut [u8]) -> Result<(), Error> {
        let left = BLOCK.saturating_sub(self.used).min(data.len());
        let (first, rest) = data.split_at_mut_checked(left).ok_or(Error::Failed)?;
        self.add_block(first);
        let whole = rest.len().saturating_sub(rest.len() % BLOCK);
        let (middle, last) = rest.split_at_mut_checked(whole).ok_or(Error::Failed)?;
        if !middle.is_empty() {
            self.blocks(middle)?;
        }
        if !last.is_empty() {
            let mut block = Zeroizing::new([0; BLOCK]);
            self.blocks(&mut *block)?;
            self.block = block;
            self.used = 0;
            self.add_block(last);
        }
        Ok(())
    }

    fn add_block(&mut self, part: &mut [u8]) {
        let stream = self.block.get(self.used..).unwrap_or_default();
        for (byte, key) in part.iter_mut().zip(stream) {
            *byte ^= key;
        }
        self.used = self.used.saturating_add(part.len());
    }
}

impl Cipher for ChaCha20 {
    fn name(&self) -> &'static str {
        "ChaCha20"
    }

    fn key_lengths(&self) -> &'static [usize] {
        &[32]
    }

    fn iv(&self) -> IvRule {
        IvRule::OneOf(&[12, 8])
    }

    fn tag(&self) -> Option<TagRule> {
        None
    }

    fn takes_counter(&self) -> bool {
        true
    }

    fn encrypt(&self, key: &[u8], params: &Params<'_>, data: Vec<u8>) -> Result<Sealed, Error> {
        check(self, key, params, params.tag_length)?;
        let mut data = data;
        KeyStream::new(key, params.iv, params.counter)?.apply(&mut data)?;
        Ok(Sealed { data, tag: Tag::default() })
    }

    fn decrypt(
        &self,
        key: &[u8],
        params: &Params<'_>,
        data: Vec<u8>,
        tag: &[u8],
    ) -> Result<Vec<u8>, Error> {
        check(self, key, params, Some(tag.len()))?;
        self.encrypt(key, params, data).map(|sealed| sealed.data)
    }

    fn encryptor(
        &self,
        key: &[u8],
        params: &Params<'_>,
        _limit: usize,
    ) -> Result<Box<dyn Stream>, Error> {
        check(self, key, params, params.tag_length)?;
        Ok(Box::new(KeyStream::new(key, params.iv, params.counter)?))
    }

    fn decryptor(
        &self,
        key: &[u8],
        params: &Params<'_>,
        limit: usize,
    ) -> Result<Box<dyn Stream>, Error> {
        self.encryptor(key, params, limit)
    }
}

impl Stream for KeyStream {
    fn update(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<(), Error> {
        let start = output.len();
        output.extend_from_slice(input);
        self.apply(output.get_mut(start..).unwrap_or_default())
    }

    fn finish(self: Box<Self>, tag: &[u8], _output: &mut Vec<u8>) -> Result<Tag, Error> {
        no_tag(tag)?;
        Ok(Tag::default())
    }
}
