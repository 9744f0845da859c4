//! The frames behind the header: `length (4) ‖ sealed item`, sealed with the frame's number and with
//! whether it is the last one.

use std::io::{self, Read, Write};

use kms_crypto::Secret;
use kms_crypto::hash::{Hash, Hasher};
use kms_crypto::seal::{OVERHEAD, SealKey};

use crate::key::Keys;
use crate::{Error, Key, header};

/// The longest item, in bytes: the largest object, with room for what is said of it.
pub const ITEM_MAX: usize = 144 << 20;

/// What a frame is bound to beside the archive, whose key it has.
fn bound(number: u64, last: bool) -> [u8; 9] {
    let mut bound = [0; 9];
    if let Some((flag, digits)) = bound.split_last_mut() {
        digits.copy_from_slice(&number.to_be_bytes());
        *flag = last.into();
    }
    bound
}

/// Writes an archive.
pub struct Writer<W> {
    out: W,
    frames: SealKey,
    number: u64,
}

impl<W: Write> Writer<W> {
    /// Begins an archive that `key` will open. A passphrase takes a good part of a second.
    pub fn new(mut out: W, key: &Key) -> Result<Self, Error> {
        let Keys { frames, .. } = header::write(&mut out, key)?;
        Ok(Self { out, frames, number: 0 })
    }

    /// Adds an item.
    pub fn add(&mut self, item: &[u8]) -> Result<(), Error> {
        self.frame(item, false)
    }

    /// Adds the last item, without which the archive is not whole, and gives back what was written to.
    pub fn finish(mut self, item: &[u8]) -> Result<W, Error> {
        self.frame(item, true)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn frame(&mut self, item: &[u8], last: bool) -> Result<(), Error> {
        if item.len() > ITEM_MAX {
            return Err(Error::TooLong);
        }
        let sealed = self.frames.seal(&bound(self.number, last), item)?;
        let length = u32::try_from(sealed.len()).map_err(|_too_long| Error::TooLong)?;
        self.out.write_all(&length.to_be_bytes())?;
        self.out.write_all(&sealed)?;
        self.number = self.number.saturating_add(1);
        Ok(())
    }
}

/// An item as it was written.
pub struct Frame {
    /// The item.
    pub item: Secret,
    /// Whether it is the last one, behind which there is nothing.
    pub last: bool,
}

/// Reads an archive.
pub struct Reader<R> {
    input: R,
    frames: SealKey,
    /// Of the next frame.
    number: u64,
    ended: bool,
    bytes: u64,
    digest: Hasher,
    sealed: Vec<u8>,
}

impl<R: Read> Reader<R> {
    /// Opens an archive with `key`. A passphrase takes a good part of a second.
    pub fn new(mut input: R, key: &Key) -> Result<Self, Error> {
        let (header, Keys { frames, .. }) = header::read(&mut input, key)?;
        let mut digest = Hasher::new(Hash::Sha256);
        digest.update(&header);
        let bytes = header.len() as u64;
        Ok(Self { input, frames, number: 0, ended: false, bytes, digest, sealed: Vec::new() })
    }

    /// The next item, if it is the one that was written here; none behind the last one.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, Error> {
        if self.ended {
            return Ok(None);
        }
        let number = self.number;
        let mut length = [0; 4];
        self.fill(&mut length)?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if !(OVERHEAD..=ITEM_MAX.saturating_add(OVERHEAD)).contains(&length) {
            return Err(Error::Altered(number));
        }
        self.read_sealed(length)?;
        let (item, last) = match self.frames.open(&bound(number, false), &self.sealed) {
            Ok(item) => (item, false),
            Err(_) => match self.frames.open(&bound(number, true), &self.sealed) {
                Ok(item) => (item, true),
                Err(_) => return Err(Error::Altered(number)),
            },
        };
        if last {
            self.ended = true;
            if self.goes_on()? {
                return Err(Error::Appended(number));
            }
        }
        self.number = number.saturating_add(1);
        Ok(Some(Frame { item, last }))
    }

    /// How many bytes were read.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What all that was read amounts to: the same for two readings of one file alone.
    pub fn digest(self) -> [u8; 32] {
        let mut digest = [0; 32];
        for (to, from) in digest.iter_mut().zip(self.digest.finish().as_ref()) {
            *to = *from;
        }
        digest
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        self.input.read_exact(buffer).map_err(|failure| self.cut(failure))?;
        self.note(buffer);
        Ok(())
    }

    /// Memory is taken as bytes come, whatever the length promises.
    fn read_sealed(&mut self, length: usize) -> Result<(), Error> {
        let mut sealed = std::mem::take(&mut self.sealed);
        sealed.clear();
        let read = self.input.by_ref().take(length as u64).read_to_end(&mut sealed);
        read.map_err(|failure| self.cut(failure))?;
        if sealed.len() < length {
            return Err(Error::Cut(self.number));
        }
        self.note(&sealed);
        // One that was large does not keep its room.
        if sealed.capacity() > ROOM {
            sealed.shrink_to(length.min(ROOM));
        }
        self.sealed = sealed;
        Ok(())
    }

    fn note(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
    }

    fn cut(&self, failure: io::Error) -> Error {
        match failure.kind() {
            io::ErrorKind::UnexpectedEof => Error::Cut(self.number),
            _ => failure.into(),
        }
    }

    fn goes_on(&mut self) -> Result<bool, Error> {
        let mut byte = [0; 1];
        loop {
            match self.input.read(&mut byte) {
                Ok(count) => return Ok(count > 0),
                Err(failure) if failure.kind() == io::ErrorKind::Interrupted => {}
                Err(failure) => return Err(failure.into()),
            }
        }
    }
}

/// The room that is kept for the next frame.
const ROOM: usize = 1 << 20;
