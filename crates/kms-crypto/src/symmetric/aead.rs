//! Ciphers that authenticate: AES-GCM, AES-GCM-SIV and ChaCha20-Poly1305.

use super::chacha::KeyStream;
use super::held::Held;
use super::{Cipher, IvRule, Params, Sealed, Stream, Tag, TagRule, check};
use crate::Error;
use crate::ffi::{Aead, CipherContext, Inputs, Mode, Poly1305};
use crate::secret::wipe;
use zeroize::Zeroizing;

/// AES-GCM (SP 800-38D) with keys of 128, 192 and 256 bits, IVs of 1 to 128 bytes and tags of 12
/// to 16 bytes.
pub const AES_GCM: &dyn Cipher = &AeadCipher::AesGcm;
/// AES-GCM-SIV (RFC 8452) with keys of 128 and 256 bits: a nonce used twice shows only whether the
/// texts are equal.
pub const AES_GCM_SIV: &dyn Cipher = &AeadCipher::AesGcmSiv;
/// ChaCha20-Poly1305 (RFC 8439) with tags of 12 to 16 bytes.
pub const CHACHA20_POLY1305: &dyn Cipher = &AeadCipher::ChaCha20Poly1305;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum AeadCipher {
    AesGcm,
    AesGcmSiv,
    ChaCha20Poly1305,
}

impl AeadCipher {
    fn algorithm(self, key: &[u8]) -> Result<Aead, Error> {
        match (self, key.len()) {
            (Self::AesGcm, 16) => Ok(Aead::Aes128Gcm),
            (Self::AesGcm, 24) => Ok(Aead::Aes192Gcm),
            (Self::AesGcm, 32) => Ok(Aead::Aes256Gcm),
            (Self::AesGcmSiv, 16) => Ok(Aead::Aes128GcmSiv),
            (Self::AesGcmSiv, 32) => Ok(Aead::Aes256GcmSiv),
            (Self::ChaCha20Poly1305, 32) => Ok(Aead::ChaCha20Poly1305),
            _ => Err(Error::BadKey("its length is not one that the cipher takes")),
        }
    }
}

impl Cipher for AeadCipher {
    fn name(&self) -> &'static str {
        match self {
            Self::AesGcm => "AES-GCM",
            Self::AesGcmSiv => "AES-GCM-SIV",
            Self::ChaCha20Poly1305 => "ChaCha20-Poly1305",
        }
    }

    fn key_lengths(&self) -> &'static [usize] {
        match self {
            Self::AesGcm => &[16, 24, 32],
            Self::AesGcmSiv => &[16, 32],
            Self::ChaCha20Poly1305 => &[32],
        }
    }

    fn iv(&self) -> IvRule {
        match self {
            Self::AesGcm => IvRule::Range { least: 1, most: 128, default: 12 },
            Self::AesGcmSiv | Self::ChaCha20Poly1305 => IvRule::Exact(12),
        }
    }

    fn tag(&self) -> Option<TagRule> {
        let lengths: &[usize] = match self {
            Self::AesGcm | Self::ChaCha20Poly1305 => &[16, 12, 13, 14, 15],
            Self::AesGcmSiv => &[16],
        };
        Some(TagRule { lengths, default: 16 })
    }

    fn encrypt(&self, key: &[u8], params: &Params<'_>, data: Vec<u8>) -> Result<Sealed, Error> {
        let mut tag = Tag::zeroed(check(self, key, params, params.tag_length)?);
        let mut data = data;
        let algorithm = self.algorithm(key)?;
        let inputs = Inputs { key, nonce: params.iv, aad: params.aad };
        algorithm.seal(&inputs, &mut data, tag.as_mut())?;
        Ok(Sealed { data, tag })
    }

    fn decrypt(
        &self,
        key: &[u8],
        params: &Params<'_>,
        data: Vec<u8>,
        tag: &[u8],
    ) -> Result<Vec<u8>, Error> {
        check(self, key, params, Some(tag.len()))?;
        let mut data = data;
        let inputs = Inputs { key, nonce: params.iv, aad: params.aad };
        match self.algorithm(key)?.open(&inputs, &mut data, tag) {
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
        limit: usize,
    ) -> Result<Box<dyn Stream>, Error> {
        let tag_length = check(self, key, params, params.tag_length)?;
        Ok(match self {
            Self::AesGcm => Box::new(GcmEncryptor::new(key, params, tag_length)?),
            Self::ChaCha20Poly1305 => Box::new(ChaChaEncryptor::new(key, params, tag_length)?),
            Self::AesGcmSiv => Box::new(Held::new(*self, true, key, params, limit)),
        })
    }

    fn decryptor(
        &self,
        key: &[u8],
        params: &Params<'_>,
        limit: usize,
    ) -> Result<Box<dyn Stream>, Error> {
        check(self, key, params, None)?;
        Ok(Box::new(Held::new(*self, false, key, params, limit)))
    }
}

/// AES-GCM in parts; holds nothing.
struct GcmEncryptor {
    context: CipherContext,
    tag_length: usize,
    room: u64,
}

/// SP 800-38D: the most that one IV may encrypt, in bytes.
const GCM_MOST: u64 = (1 << 36) - 32;

impl GcmEncryptor {
    fn new(key: &[u8], params: &Params<'_>, tag_length: usize) -> Result<Self, Error> {
        let mut context = CipherContext::new(Mode::Gcm, true, key, params.iv)?;
        context.aad(params.aad)?;
        Ok(Self { context, tag_length, room: GCM_MOST })
    }
}

impl Stream for GcmEncryptor {
    fn update(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<(), Error> {
        self.room = u64::try_from(input.len())
            .ok()
            .and_then(|length| self.room.checked_sub(length))
            .ok_or(Error::TooLarge { limit: usize::try_from(GCM_MOST).unwrap_or(usize::MAX) })?;
        self.context.update(input, output)
    }

    fn finish(mut self: Box<Self>, tag: &[u8], _output: &mut Vec<u8>) -> Result<Tag, Error> {
        no_tag(tag)?;
        self.context.finish(Error::Failed)?;
        let mut made = Tag::zeroed(self.tag_length);
        self.context.tag(made.as_mut())?;
        Ok(made)
    }
}

/// ChaCha20-Poly1305 in parts (RFC 8439, 2.8), of the library's two halves; holds nothing.
struct ChaChaEncryptor {
    stream: KeyStream,
    mac: Poly1305,
    aad_length: u64,
    length: u64,
    tag_length: usize,
}

impl ChaChaEncryptor {
    fn new(key: &[u8], params: &Params<'_>, tag_length: usize) -> Result<Self, Error> {
        let mut mac_key = Zeroizing::new([0_u8; 32]);
        KeyStream::new(key, params.iv, 0)?.apply(&mut *mac_key)?;
        let mut mac = Poly1305::new(&mac_key);
        mac.update(params.aad);
        let aad_length = u64::try_from(params.aad.len()).map_err(|_error| Error::Failed)?;
        mac.update(padding(aad_length));
        let stream = KeyStream::new(key, params.iv, 1)?;
        Ok(Self { stream, mac, aad_length, length: 0, tag_length })
    }
}

/// The zeros that bring a part to a multiple of 16 bytes.
fn padding(length: u64) -> &'static [u8] {
    const ZEROS: [u8; 16] = [0; 16];
    match usize::try_from(length % 16) {
        Ok(over @ 1..) => ZEROS.get(over..).unwrap_or_default(),
        _ => &[],
    }
}

impl Stream for ChaChaEncryptor {
    fn update(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<(), Error> {
        let start = output.len();
        output.extend_from_slice(input);
        let text = output.get_mut(start..).unwrap_or_default();
        self.stream.apply(text)?;
        self.mac.update(text);
        self.length = u64::try_from(text.len())
            .ok()
            .and_then(|length| self.length.checked_add(length))
            .ok_or(Error::Failed)?;
        Ok(())
    }

    fn finish(mut self: Box<Self>, tag: &[u8], _output: &mut Vec<u8>) -> Result<Tag, Error> {
        no_tag(tag)?;
        self.mac.update(padding(self.length));
        self.mac.update(&self.aad_length.to_le_bytes());
        self.mac.update(&self.length.to_le_bytes());
        let mac = self.mac.finish();
        let mut made = Tag::zeroed(self.tag_length);
        for (to, from) in made.as_mut().iter_mut().zip(mac) {
            *to = from;
        }
        Ok(made)
    }
}

/// An encryption makes a tag and takes none.
pub(super) fn no_tag(tag: &[u8]) -> Result<(), Error> {
    if tag.is_empty() {
        Ok(())
    } else {
        Err(Error::BadParameter("an authentication tag was given where none is taken"))
    }
}
