//! AES in the modes that authenticate nothing: CBC, CTR, ECB and XTS. Padding is done here, so that
//! it can be checked in constant time.

use super::aead::no_tag;
use super::{Cipher, IvRule, Params, Sealed, Stream, Tag, TagRule, check};
use crate::Error;
use crate::ffi::{CipherContext, Mode};
use crate::secret::wipe;
use subtle::{ConstantTimeEq, ConstantTimeLess};
use zeroize::Zeroizing;

/// AES-CBC; the data must be whole blocks.
pub const AES_CBC: &dyn Cipher = &Aes { name: "AES-CBC", mode: Mode::Cbc, padded: false };
/// AES-CBC with the padding of PKCS#5 and PKCS#7.
pub const AES_CBC_PKCS5: &dyn Cipher =
    &Aes { name: "AES-CBC-PKCS5", mode: Mode::Cbc, padded: true };
/// AES-CTR; the IV is the first counter block, counted on as one number of 128 bits.
pub const AES_CTR: &dyn Cipher = &Aes { name: "AES-CTR", mode: Mode::Ctr, padded: false };
/// AES-ECB; the data must be whole blocks. For single blocks and old protocols only.
pub const AES_ECB: &dyn Cipher = &Aes { name: "AES-ECB", mode: Mode::Ecb, padded: false };
/// AES-ECB with the padding of PKCS#5 and PKCS#7.
pub const AES_ECB_PKCS5: &dyn Cipher =
    &Aes { name: "AES-ECB-PKCS5", mode: Mode::Ecb, padded: true };
/// AES-XTS with two keys of 256 bits (IEEE 1619): one data unit of at least 16 bytes; the IV is the
/// tweak. Not in parts. XTS with 128-bit keys is refused: the library does not have it.
pub const AES_XTS: &dyn Cipher = &Aes { name: "AES-XTS", mode: Mode::Xts, padded: false };

const BLOCK: usize = 16;

struct Aes {
    name: &'static str,
    mode: Mode,
    padded: bool,
}

impl Aes {
    fn in_blocks(&self) -> bool {
        matches!(self.mode, Mode::Cbc | Mode::Ecb)
    }

    /// Checks everything, and starts.
    fn start(
        &self,
        encrypt: bool,
        key: &[u8],
        params: &Params<'_>,
        tag_length: Option<usize>,
    ) -> Result<CipherContext, Error> {
        if self.mode == Mode::Xts && key.len() == 32 {
            return Err(Error::Unsupported("AES-XTS with two keys of 128 bits"));
        }
        check(self, key, params, tag_length)?;
        CipherContext::new(self.mode, encrypt, key, params.iv)
    }

    /// Whether data of this length can be worked on; padded data is whole blocks by now.
    fn check_length(&self, length: usize, decrypt: bool) -> Result<(), Error> {
        let bad = |allowed| Err(Error::BadLength { what: "data", actual: length, allowed });
        if self.in_blocks() && !length.is_multiple_of(BLOCK) {
            return bad("a multiple of 16");
        }
        if self.padded && decrypt && length == 0 {
            return bad("a multiple of 16, and at least 16");
        }
        if self.mode == Mode::Xts && !(BLOCK..=XTS_MOST).contains(&length) {
            return bad("from 16 bytes to 16 MiB");
        }
        Ok(())
    }
}

/// SP 800-38E: the most in one data unit, 2^20 blocks.
const XTS_MOST: usize = 1 << 24;

impl Cipher for Aes {
    fn name(&self) -> &'static str {
        self.name
    }

    fn key_lengths(&self) -> &'static [usize] {
        if self.mode == Mode::Xts { &[64] } else { &[16, 24, 32] }
    }

    fn iv(&self) -> IvRule {
        if self.mode == Mode::Ecb { IvRule::None } else { IvRule::Exact(BLOCK) }
    }

    fn tag(&self) -> Option<TagRule> {
        None
    }

    fn block(&self) -> usize {
        if self.in_blocks() && !self.padded { BLOCK } else { 1 }
    }

    fn encrypt(&self, key: &[u8], params: &Params<'_>, data: Vec<u8>) -> Result<Sealed, Error> {
        let mut context = self.start(true, key, params, params.tag_length)?;
        let mut data = data;
        if self.padded {
            let padding = Padding::of(data.len());
            data.extend_from_slice(padding.bytes());
        }
        self.check_length(data.len(), false)?;
        context.in_place(&mut data)?;
        Ok(Sealed { data, tag: Tag::default() })
    }

    fn decrypt(
        &self,
        key: &[u8],
        params: &Params<'_>,
        data: Vec<u8>,
        tag: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let mut context = self.start(false, key, params, Some(tag.len()))?;
        let mut data = data;
        self.check_length(data.len(), true)?;
        let mut outcome = context.in_place(&mut data);
        if self.padded && outcome.is_ok() {
            outcome = match data.last_chunk::<BLOCK>().map(padded_length) {
                Some(Ok(kept)) => {
                    data.truncate(data.len().saturating_sub(BLOCK).saturating_add(kept));
                    Ok(())
                }
                _ => Err(Error::Decryption),
            };
        }
        match outcome {
            Ok(()) => Ok(data),
            Err(error) => {
                wipe(&mut data);
                Err(error)
            }
        }
    }

    fn encryptor(
        &self,
        key: &[u8],
        params: &Params<'_>,
        _limit: usize,
    ) -> Result<Box<dyn Stream>, Error> {
        if self.mode == Mode::Xts {
            return Err(Error::Unsupported("AES-XTS in parts"));
        }
        let context = self.start(true, key, params, params.tag_length)?;
        Ok(Box::new(Encryptor { context, padded: self.padded, over: 0 }))
    }

    fn decryptor(
        &self,
        key: &[u8],
        params: &Params<'_>,
        _limit: usize,
    ) -> Result<Box<dyn Stream>, Error> {
        if self.mode == Mode::Xts {
            return Err(Error::Unsupported("AES-XTS in parts"));
        }
        let context = self.start(false, key, params, None)?;
        Ok(Box::new(Decryptor { context, last: self.padded.then(Zeroizing::default) }))
    }
}

/// What a text is padded with: 1 to 16 bytes, each saying how many there are.
struct Padding {
    bytes: [u8; BLOCK],
    count: usize,
}

impl Padding {
    fn of(length: usize) -> Self {
        let count = BLOCK.saturating_sub(length % BLOCK);
        Self { bytes: [u8::try_from(count).unwrap_or(0); BLOCK], count }
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.count).unwrap_or_default()
    }
}

/// How many bytes of the last block are text. Looks at all 16 bytes in any case.
fn padded_length(block: &[u8; BLOCK]) -> Result<usize, Error> {
    let count = block.last().copied().unwrap_or(0);
    let mut good = !count.ct_eq(&0) & count.ct_lt(&17);
    for (position, byte) in (1_u8..).zip(block.iter().rev()) {
        // From the end, the first `count` bytes are padding.
        let is_padding = !count.ct_lt(&position);
        good &= !is_padding | byte.ct_eq(&count);
    }
    if bool::from(good) {
        Ok(BLOCK.saturating_sub(usize::from(count)))
    } else {
        Err(Error::Decryption)
    }
}

/// Encrypts in parts. The library holds what is less than a block.
struct Encryptor {
    context: CipherContext,
    padded: bool,
    /// The length so far, modulo the block.
    over: usize,
}

impl Stream for Encryptor {
    fn update(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<(), Error> {
        self.over = self.over.saturating_add(input.len() % BLOCK) % BLOCK;
        self.context.update(input, output)
    }

    fn finish(mut self: Box<Self>, tag: &[u8], output: &mut Vec<u8>) -> Result<Tag, Error> {
        no_tag(tag)?;
        if self.padded {
            self.context.update(Padding::of(self.over).bytes(), output)?;
        }
        self.context.finish(not_whole(self.over))?;
        Ok(Tag::default())
    }
}

fn not_whole(over: usize) -> Error {
    Error::BadLength { what: "the last block", actual: over, allowed: "16" }
}

/// Decrypts in parts; of padded data, the last block is held back.
struct Decryptor {
    context: CipherContext,
    /// The block held back; empty at the start. `None` without padding.
    last: Option<Zeroizing<Vec<u8>>>,
}

impl Stream for Decryptor {
    fn update(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<(), Error> {
        let Some(last) = &mut self.last else {
            return self.context.update(input, output);
        };
        let start = output.len();
        output.extend_from_slice(last);
        self.context.update(input, output)?;
        let keep = output.len().saturating_sub(start).min(BLOCK);
        let from = output.len().saturating_sub(keep);
        last.clear();
        last.extend_from_slice(output.get(from..).unwrap_or_default());
        output.truncate(from);
        Ok(())
    }

    fn finish(mut self: Box<Self>, tag: &[u8], output: &mut Vec<u8>) -> Result<Tag, Error> {
        no_tag(tag)?;
        self.context.finish(Error::Decryption)?;
        if let Some(last) = &self.last {
            let block =
                <&[u8; BLOCK]>::try_from(last.as_slice()).map_err(|_error| Error::Decryption)?;
            let kept = padded_length(block)?;
            output.extend_from_slice(last.get(..kept).unwrap_or_default());
        }
        Ok(Tag::default())
    }
}
