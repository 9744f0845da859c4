//! Encrypted files: how one is laid out, written and read. `docs/file-format.md` is its text.
//!
//! A header names the server's key and carries the file's own key, encrypted by the server; then
//! come chunks under the file's own key, numbered, the last one marked. It works on readers and
//! writers with two chunks of memory; it must not know KMIP, file names or the network.

use std::io::{self, Read, Write};

use kms_crypto::kdf::hkdf_sha256;
use kms_crypto::mac::hmac_sha256;
use kms_crypto::secret::equal;
use kms_crypto::symmetric::{AES_GCM, Params};
use kms_crypto::{Secret, random};

/// What every encrypted file begins with.
pub(crate) const MAGIC: [u8; 4] = *b"KMSF";
/// The only version there is.
pub(crate) const VERSION: u8 = 1;
/// The plaintext of a chunk, in bytes; the last one may be shorter.
pub(crate) const CHUNK: usize = 1 << 20;
/// The exponent of [`CHUNK`], as the header writes it.
const CHUNK_LOG2: u8 = 20;
/// What a chunk grows by.
pub(crate) const TAG: usize = 16;
/// The length of a file's own key.
pub(crate) const KEY: usize = 32;
/// The length of the header's MAC.
const MAC: usize = 32;
const MAX_KEY_ID: usize = 1_024;
const MAX_WRAPPED: usize = 2_048;

/// Why a file cannot be written or read.
#[derive(Debug)]
pub(crate) enum Error {
    /// Reading or writing failed.
    Io(io::Error),
    /// It does not begin as an encrypted file does.
    NotOurs,
    /// It is from a later version of this program.
    Version(u8),
    /// Its header cannot be right.
    Header(&'static str),
    /// Its header is not the one that was written.
    HeaderAltered,
    /// The chunk of this number is not the one that was written here.
    Altered(u64),
    /// It ends before its last chunk.
    Cut(u64),
    /// The cryptographic library refused.
    Cryptography(kms_crypto::Error),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::NotOurs => f.write_str("it is not a file that `kms encrypt` wrote"),
            Self::Version(version) => {
                write!(f, "its format is version {version}, and this program knows {VERSION}")
            }
            Self::Header(what) => write!(f, "its header is wrong: {what}"),
            Self::HeaderAltered => f.write_str("its header was altered"),
            Self::Altered(chunk) => {
                write!(f, "it was altered, reordered, or joined from others, in chunk {chunk}")
            }
            Self::Cut(chunk) => write!(f, "it was cut off: chunk {chunk} is missing"),
            Self::Cryptography(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<kms_crypto::Error> for Error {
    fn from(error: kms_crypto::Error) -> Self {
        Self::Cryptography(error)
    }
}

/// How the server encrypted the file's own key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrapping {
    /// AES-GCM, bound to the beginning of the header.
    AesGcm,
    /// RSA-OAEP with SHA-256 and MGF1 over SHA-256.
    RsaOaepSha256,
    /// ChaCha20-Poly1305, bound to the beginning of the header.
    ChaCha20Poly1305,
}

impl Wrapping {
    const ALL: [(u8, Self); 3] =
        [(1, Self::AesGcm), (2, Self::RsaOaepSha256), (3, Self::ChaCha20Poly1305)];

    fn code(self) -> u8 {
        Self::ALL.iter().find(|(_, it)| *it == self).map_or(0, |(code, _)| *code)
    }

    fn parse(code: u8) -> Option<Self> {
        Self::ALL.iter().find(|(it, _)| *it == code).map(|(_, wrapping)| *wrapping)
    }
}

/// What stands before the first chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// How the file's own key is encrypted.
    pub(crate) wrapping: Wrapping,
    /// The server's key that decrypts it.
    pub(crate) key_id: String,
    /// The nonce of that encryption; empty where there is none.
    pub(crate) nonce: Vec<u8>,
    /// Its authentication tag; empty where there is none.
    pub(crate) tag: Vec<u8>,
    /// The file's own key, encrypted.
    pub(crate) wrapped: Vec<u8>,
}

impl Header {
    /// The beginning of a header, which the server authenticates with the file's own key.
    pub(crate) fn binding(wrapping: Wrapping, key_id: &str) -> Result<Vec<u8>, Error> {
        if key_id.is_empty() || key_id.len() > MAX_KEY_ID {
            return Err(Error::Header("the key's identifier is empty or too long"));
        }
        let mut out = Vec::with_capacity(10 + key_id.len());
        out.extend(MAGIC);
        out.extend([VERSION, wrapping.code(), CHUNK_LOG2, 0]);
        long(&mut out, key_id.as_bytes())?;
        Ok(out)
    }

    fn bytes(&self) -> Result<Vec<u8>, Error> {
        let mut out = Self::binding(self.wrapping, &self.key_id)?;
        short(&mut out, &self.nonce)?;
        short(&mut out, &self.tag)?;
        if self.wrapped.len() > MAX_WRAPPED {
            return Err(Error::Header("the encrypted key is too long"));
        }
        long(&mut out, &self.wrapped)?;
        Ok(out)
    }

    /// Writes the header and its MAC, and gives back the keys bound to it.
    fn write(&self, key: &Secret, out: &mut impl Write) -> Result<Keys, Error> {
        let bytes = self.bytes()?;
        let keys = Keys::derive(key, &bytes)?;
        out.write_all(&bytes)?;
        out.write_all(&keys.mac)?;
        Ok(keys)
    }
}

fn short(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Error> {
    out.push(u8::try_from(bytes.len()).map_err(|_large| Error::Header("a field is too long"))?);
    out.extend(bytes);
    Ok(())
}

fn long(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Error> {
    let length =
        u16::try_from(bytes.len()).map_err(|_large| Error::Header("a field is too long"))?;
    out.extend(length.to_be_bytes());
    out.extend(bytes);
    Ok(())
}

/// A header that was read, and not yet believed: [`decrypt`] checks it with the file's own key.
#[derive(Debug)]
pub(crate) struct Unverified {
    header: Header,
    bytes: Vec<u8>,
    mac: [u8; MAC],
}

impl Unverified {
    /// Reads the header and nothing after it.
    pub(crate) fn read(from: &mut impl Read) -> Result<Self, Error> {
        let mut from = Recorder { from, bytes: Vec::new() };
        let start = from.take(8).map_err(|error| match error {
            Error::Cut(_) => Error::NotOurs,
            other => other,
        })?;
        let [m0, m1, m2, m3, version, wrapping, chunk, reserved] = *start.as_slice() else {
            return Err(Error::NotOurs);
        };
        if [m0, m1, m2, m3] != MAGIC {
            return Err(Error::NotOurs);
        }
        if version != VERSION {
            return Err(Error::Version(version));
        }
        let wrapping =
            Wrapping::parse(wrapping).ok_or(Error::Header("its algorithm is unknown"))?;
        if chunk != CHUNK_LOG2 || reserved != 0 {
            return Err(Error::Header("its chunk size is unknown"));
        }
        let key_id = from.long(MAX_KEY_ID)?;
        let key_id = String::from_utf8(key_id)
            .map_err(|_invalid| Error::Header("the key's identifier is not text"))?;
        let nonce = from.short()?;
        let tag = from.short()?;
        let wrapped = from.long(MAX_WRAPPED)?;
        let Recorder { from, bytes } = from;
        let mut mac = [0; MAC];
        if fill(from, &mut mac)? < MAC {
            return Err(Error::Cut(0));
        }
        Ok(Self { header: Header { wrapping, key_id, nonce, tag, wrapped }, bytes, mac })
    }

    /// What it says.
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }
}

/// Reads fields, and keeps what was read for the MAC.
struct Recorder<'a, R> {
    from: &'a mut R,
    bytes: Vec<u8>,
}

impl<R: Read> Recorder<'_, R> {
    fn take(&mut self, length: usize) -> Result<Vec<u8>, Error> {
        let mut field = vec![0; length];
        if fill(self.from, &mut field)? < length {
            return Err(Error::Cut(0));
        }
        self.bytes.extend(&field);
        Ok(field)
    }

    fn short(&mut self) -> Result<Vec<u8>, Error> {
        let length = self.take(1)?.first().copied().unwrap_or_default();
        self.take(length.into())
    }

    fn long(&mut self, limit: usize) -> Result<Vec<u8>, Error> {
        let length = self.take(2)?.iter().fold(0, |all, byte| all << 8 | usize::from(*byte));
        if length > limit {
            return Err(Error::Header("a field is too long"));
        }
        self.take(length)
    }
}

/// A fresh key for one file.
pub(crate) fn new_key() -> Result<Secret, Error> {
    Ok(random::secret(KEY)?)
}

/// Encrypts all of `from` into `to`; `progress` hears of each chunk's plaintext bytes.
pub(crate) fn encrypt(
    header: &Header,
    key: &Secret,
    from: &mut impl Read,
    to: &mut impl Write,
    progress: &mut dyn FnMut(usize),
) -> Result<(), Error> {
    let keys = header.write(key, to)?;
    let mut current = Vec::with_capacity(CHUNK + TAG);
    let mut next = Vec::with_capacity(CHUNK + TAG);
    read_chunk(from, &mut current, CHUNK)?;
    for number in 0_u64.. {
        // Only a full chunk can have another after it.
        next.clear();
        if current.len() == CHUNK {
            read_chunk(from, &mut next, CHUNK)?;
        }
        let last = next.is_empty();
        let length = current.len();
        keys.payload.seal(number, last, &mut current)?;
        to.write_all(&current)?;
        progress(length);
        if last {
            break;
        }
        std::mem::swap(&mut current, &mut next);
    }
    Ok(())
}

/// Decrypts what follows the header into `to`, each chunk after it was found to be right.
///
/// What was written is whole only when this succeeds.
pub(crate) fn decrypt(
    unverified: &Unverified,
    key: &Secret,
    from: &mut impl Read,
    to: &mut impl Write,
    progress: &mut dyn FnMut(usize),
) -> Result<(), Error> {
    let keys = Keys::derive(key, &unverified.bytes)?;
    if !equal(&keys.mac, &unverified.mac) {
        return Err(Error::HeaderAltered);
    }
    let mut current = Vec::with_capacity(CHUNK + TAG);
    let mut next = Vec::with_capacity(CHUNK + TAG);
    read_chunk(from, &mut current, CHUNK + TAG)?;
    for number in 0_u64.. {
        if current.len() < TAG {
            return Err(Error::Cut(number));
        }
        next.clear();
        if current.len() == CHUNK + TAG {
            read_chunk(from, &mut next, CHUNK + TAG)?;
        }
        let last = next.is_empty();
        let length = current.len();
        open_chunk(&keys.payload, number, last, &mut current)?;
        if last && number > 0 && length == TAG {
            // Never written: a full chunk before it would have been the last.
            return Err(Error::Altered(number));
        }
        to.write_all(&current)?;
        progress(length);
        if last {
            break;
        }
        std::mem::swap(&mut current, &mut next);
    }
    Ok(())
}

/// Opens a chunk in place, and tells a file that was cut from one that was altered.
fn open_chunk(key: &Payload, number: u64, last: bool, chunk: &mut Vec<u8>) -> Result<(), Error> {
    // A full chunk with nothing after it may have been written with something after it.
    let full = (last && chunk.len() == CHUNK + TAG).then(|| chunk.clone());
    if key.open(number, last, chunk).is_ok() {
        return Ok(());
    }
    if full.is_some_and(|mut copy| key.open(number, false, &mut copy).is_ok()) {
        return Err(Error::Cut(number.saturating_add(1)));
    }
    Err(Error::Altered(number))
}

/// Eleven bytes of number and one that marks the last chunk: no two chunks of a file share it.
fn nonce(number: u64, last: bool) -> [u8; 12] {
    let mut nonce = [0; 12];
    let (counter, [mark]) = nonce.split_at_mut(11) else { return nonce };
    for (to, from) in counter.iter_mut().skip(3).zip(number.to_be_bytes()) {
        *to = from;
    }
    *mark = u8::from(last);
    nonce
}

/// What a file's own key is used for, apart: the MAC of the header, the chunks.
struct Keys {
    mac: [u8; MAC],
    payload: Payload,
}

impl Keys {
    fn derive(key: &Secret, header: &[u8]) -> Result<Self, Error> {
        let mac = hkdf_sha256(key.expose(), b"", &[b"KMSF 1 header"], KEY)?;
        let mac = hmac_sha256(mac.expose(), &[header]);
        // The MAC as salt binds every chunk to the header, too.
        let payload = hkdf_sha256(key.expose(), &mac, &[b"KMSF 1 payload"], KEY)?;
        Ok(Self { mac, payload: Payload(payload) })
    }
}

/// The key of the chunks.
struct Payload(Secret);

impl Payload {
    fn seal(&self, number: u64, last: bool, chunk: &mut Vec<u8>) -> Result<(), Error> {
        let nonce = nonce(number, last);
        let sealed =
            AES_GCM.encrypt(self.0.expose(), &Params::with_iv(&nonce), std::mem::take(chunk))?;
        *chunk = sealed.data;
        chunk.extend_from_slice(&sealed.tag);
        Ok(())
    }

    fn open(&self, number: u64, last: bool, chunk: &mut Vec<u8>) -> Result<(), Error> {
        let mut data = std::mem::take(chunk);
        let text = data.len().checked_sub(TAG).ok_or(Error::Cut(number))?;
        let tag = data.split_off(text);
        let nonce = nonce(number, last);
        *chunk = AES_GCM.decrypt(self.0.expose(), &Params::with_iv(&nonce), data, &tag)?;
        Ok(())
    }
}

/// Reads until `buffer` is full or there is nothing more; how much was read.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> Result<usize, Error> {
    let mut filled = 0;
    while let Some(rest @ [_, ..]) = buffer.get_mut(filled..) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(filled)
}

/// Fills the empty `chunk` with up to `length` bytes.
fn read_chunk(from: &mut impl Read, chunk: &mut Vec<u8>, length: usize) -> Result<(), Error> {
    let limit = u64::try_from(length).unwrap_or(u64::MAX);
    from.by_ref().take(limit).read_to_end(chunk)?;
    Ok(())
}

#[cfg(test)]
#[path = "file_format_tests.rs"]
mod tests;
