//! Symmetric ciphers behind one trait, so that a table of mechanisms can name them as values.
//! Knows lengths and bytes; which protocol numbers mean which cipher is decided elsewhere.

mod aead;
mod aes;
mod chacha;
mod held;

pub use aead::{AES_GCM, AES_GCM_SIV, CHACHA20_POLY1305};
pub use aes::{AES_CBC, AES_CBC_PKCS5, AES_CTR, AES_ECB, AES_ECB_PKCS5, AES_XTS};
pub use chacha::CHACHA20;

use crate::Error;
use std::ops::Deref;

/// Which initialisation vectors (nonces, counters, tweaks) a cipher takes, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IvRule {
    /// None at all; one that is given is refused.
    None,
    /// Exactly this many bytes.
    Exact(usize),
    /// From `least` to `most` bytes.
    Range {
        /// The shortest.
        least: usize,
        /// The longest.
        most: usize,
        /// The length to choose when making one.
        default: usize,
    },
    /// One of these lengths; the first is the one to choose when making one.
    OneOf(&'static [usize]),
}

impl IvRule {
    /// Whether an IV of this length is taken.
    pub fn allows(self, length: usize) -> bool {
        match self {
            Self::None => length == 0,
            Self::Exact(exact) => length == exact,
            Self::Range { least, most, .. } => (least..=most).contains(&length),
            Self::OneOf(lengths) => lengths.contains(&length),
        }
    }

    /// The length to choose when making an IV; 0 for none.
    pub fn default_length(self) -> usize {
        match self {
            Self::None => 0,
            Self::Exact(exact) => exact,
            Self::Range { default, .. } => default,
            Self::OneOf(lengths) => lengths.first().copied().unwrap_or(0),
        }
    }
}

/// Which lengths of authentication tags a cipher makes and takes, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagRule {
    /// The lengths allowed.
    pub lengths: &'static [usize],
    /// The length where none is asked for.
    pub default: usize,
}

/// An authentication tag; empty for ciphers without one. No allocation.
#[derive(Clone, Copy, Default)]
pub struct Tag {
    bytes: [u8; 16],
    length: u8,
}

impl Tag {
    /// Room for a tag of `length` bytes (at most 16), all zero.
    pub(crate) fn zeroed(length: usize) -> Self {
        Self { bytes: [0; 16], length: u8::try_from(length.min(16)).unwrap_or(16) }
    }

    pub(crate) fn as_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..usize::from(self.length)).unwrap_or_default()
    }
}

impl Deref for Tag {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

/// What goes into an encryption or decryption beside the key and the data.
#[derive(Clone, Copy, Default)]
pub struct Params<'a> {
    /// The initialisation vector, nonce, counter block or tweak.
    pub iv: &'a [u8],
    /// Additional authenticated data; refused by ciphers that authenticate nothing.
    pub aad: &'a [u8],
    /// The length of the tag to make, in bytes; `None` for the cipher's default. Decryption goes
    /// by the length of the tag it is given.
    pub tag_length: Option<usize>,
    /// The first block counter; only `ChaCha20` takes one that is not 0.
    pub counter: u32,
}

impl<'a> Params<'a> {
    /// Only an IV.
    pub fn with_iv(iv: &'a [u8]) -> Self {
        Self { iv, ..Self::default() }
    }
}

/// What an encryption made.
#[derive(Default)]
pub struct Sealed {
    /// The ciphertext.
    pub data: Vec<u8>,
    /// The authentication tag; empty for ciphers without one.
    pub tag: Tag,
}

/// A symmetric cipher in one mode.
pub trait Cipher: Sync {
    /// A name for people: `AES-GCM`.
    fn name(&self) -> &'static str;

    /// The lengths of keys it takes, in bytes.
    fn key_lengths(&self) -> &'static [usize];

    /// The IVs it takes.
    fn iv(&self) -> IvRule;

    /// The tags it makes, or `None` if it authenticates nothing.
    fn tag(&self) -> Option<TagRule>;

    /// The length to which the data must be padded by the caller; 1 where any length will do.
    fn block(&self) -> usize {
        1
    }

    /// Whether [`Params::counter`] may be anything but 0.
    fn takes_counter(&self) -> bool {
        false
    }

    /// Encrypts, reusing the memory of `data` where it can.
    fn encrypt(&self, key: &[u8], params: &Params<'_>, data: Vec<u8>) -> Result<Sealed, Error>;

    /// Decrypts and checks the tag, reusing the memory of `data`. After an error nothing of the
    /// plaintext is left in memory.
    fn decrypt(
        &self,
        key: &[u8],
        params: &Params<'_>,
        data: Vec<u8>,
        tag: &[u8],
    ) -> Result<Vec<u8>, Error>;

    /// Starts an encryption in parts. `limit` bounds what has to be held in memory.
    fn encryptor(
        &self,
        key: &[u8],
        params: &Params<'_>,
        limit: usize,
    ) -> Result<Box<dyn Stream>, Error>;

    /// Starts a decryption in parts. A cipher that authenticates gives nothing out before the tag
    /// was checked, and holds at most `limit` bytes ([`Error::TooLarge`] beyond).
    fn decryptor(
        &self,
        key: &[u8],
        params: &Params<'_>,
        limit: usize,
    ) -> Result<Box<dyn Stream>, Error>;
}

/// An encryption or decryption in parts. After an error the stream is of no use any more.
pub trait Stream: Send {
    /// Takes a part and appends to `output` what can be given out by now.
    fn update(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<(), Error>;

    /// Ends it: appends what is left to `output`. Encrypting, `tag` must be empty and the tag made
    /// is returned; decrypting, `tag` is checked and an empty one returned.
    fn finish(self: Box<Self>, tag: &[u8], output: &mut Vec<u8>) -> Result<Tag, Error>;
}

/// Checks key, IV, tag length and AAD against a cipher's rules; returns the tag's length.
fn check(
    cipher: &dyn Cipher,
    key: &[u8],
    params: &Params<'_>,
    tag_length: Option<usize>,
) -> Result<usize, Error> {
    if !cipher.key_lengths().contains(&key.len()) {
        return Err(Error::BadKey("its length is not one that the cipher takes"));
    }
    if !cipher.iv().allows(params.iv.len()) {
        return Err(Error::BadParameter("the length of the IV, counter or nonce"));
    }
    if params.counter != 0 && !cipher.takes_counter() {
        return Err(Error::BadParameter("this cipher takes no initial counter"));
    }
    let Some(rule) = cipher.tag() else {
        return if !params.aad.is_empty() {
            Err(Error::BadParameter("this mode authenticates no additional data"))
        } else if tag_length.unwrap_or(0) != 0 {
            Err(Error::BadParameter("this mode has no authentication tag"))
        } else {
            Ok(0)
        };
    };
    let length = tag_length.unwrap_or(rule.default);
    if rule.lengths.contains(&length) {
        Ok(length)
    } else {
        Err(Error::BadParameter("the length of the authentication tag"))
    }
}
