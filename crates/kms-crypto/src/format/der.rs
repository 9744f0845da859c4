//! DER, as strictly as keys and certificates need it: definite, shortest lengths and tags below 31.
//! Reads in place and copies nothing; writes into memory that is wiped. Knows no structure.

use crate::{Error, Secret};

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const NULL: u8 = 0x05;
pub(super) const OID: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// The tag `[number]` of a value of several parts, or in another tag (EXPLICIT).
pub(super) const fn context(number: u8) -> u8 {
    0xA0 | number
}

/// One value: its tag, its contents, and all its bytes.
#[derive(Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) contents: &'a [u8],
    pub(super) whole: &'a [u8],
}

/// Reads values one after the other. An error says only which structure was malformed.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    pub(super) fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { rest: bytes, what }
    }

    pub(super) fn malformed(&self) -> Error {
        Error::Malformed(self.what)
    }

    fn split(bytes: &'a [u8]) -> Option<(Element<'a>, &'a [u8])> {
        let (tag, rest) = bytes.split_first()?;
        if tag & 0x1F == 0x1F {
            return None;
        }
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match usize::from(*first) {
            short @ 0..=0x7F => (short, rest),
            // Up to four bytes of length: more is longer than anything read here.
            long @ 0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(long & 0x0F)?;
                let length = bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
                let shortest = length >= 0x80 && bytes.first() != Some(&0);
                if !shortest {
                    return None;
                }
                (length, rest)
            }
            _ => return None,
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        let whole = bytes.get(..bytes.len().checked_sub(rest.len())?)?;
        Some((Element { tag: *tag, contents, whole }, rest))
    }

    /// The next value, whatever it is.
    pub(super) fn any(&mut self) -> Result<Element<'a>, Error> {
        let (element, rest) = Self::split(self.rest).ok_or(self.malformed())?;
        self.rest = rest;
        Ok(element)
    }

    /// The next value, if it has this tag; else nothing is read.
    pub(super) fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>, Error> {
        if self.rest.first() == Some(&tag) { self.any().map(Some) } else { Ok(None) }
    }

    /// The contents of the next value, which must have this tag.
    pub(super) fn expect(&mut self, tag: u8) -> Result<&'a [u8], Error> {
        self.optional(tag)?.map(|element| element.contents).ok_or(self.malformed())
    }

    /// A reader of the contents of the next value, which must have this tag.
    pub(super) fn enter(&mut self, tag: u8) -> Result<Self, Error> {
        Ok(Self { rest: self.expect(tag)?, what: self.what })
    }

    /// A reader of these contents that reports the same structure.
    pub(super) fn inside(&self, contents: &'a [u8]) -> Self {
        Self { rest: contents, what: self.what }
    }

    /// The next integer, which must not be negative, without zeros before it.
    pub(super) fn unsigned(&mut self) -> Result<&'a [u8], Error> {
        match self.expect(INTEGER)? {
            [0] => Ok(&[]),
            [0, rest @ ..] if rest.first().is_some_and(|first| *first >= 0x80) => Ok(rest),
            // A zero that is not needed, a negative number, or no number at all.
            [0 | 0x80..=0xFF, ..] | [] => Err(self.malformed()),
            bytes => Ok(bytes),
        }
    }

    /// The next bit string, which must have whole bytes.
    pub(super) fn bits(&mut self) -> Result<&'a [u8], Error> {
        match self.expect(BIT_STRING)? {
            [0, bits @ ..] => Ok(bits),
            _ => Err(self.malformed()),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Nothing may follow.
    pub(super) fn end(self) -> Result<(), Error> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.malformed()) }
    }
}

/// Writes one value whose contents are these parts, one after the other.
pub(super) fn write(tag: u8, parts: &[&[u8]]) -> Secret {
    let length = parts.iter().fold(0_usize, |sum, part| sum.saturating_add(part.len()));
    let bytes = length.to_be_bytes();
    let digits = bytes.iter().position(|byte| *byte != 0).and_then(|first| bytes.get(first..));
    // Reserved at once: growing would leave copies behind.
    let mut out = Vec::with_capacity(length.saturating_add(10));
    out.push(tag);
    match (digits, u8::try_from(length)) {
        (_, Ok(short @ 0..=0x7F)) => out.push(short),
        (Some(digits), _) => {
            out.push(0x80 | u8::try_from(digits.len()).unwrap_or(8));
            out.extend_from_slice(digits);
        }
        (None, _) => out.push(0),
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    Secret::new(out)
}

/// Writes a number that is not negative.
pub(super) fn write_unsigned(bytes: &[u8]) -> Secret {
    match super::structure::trim(bytes) {
        [] => write(INTEGER, &[&[0]]),
        bytes @ [0x80..=0xFF, ..] => write(INTEGER, &[&[0], bytes]),
        bytes => write(INTEGER, &[bytes]),
    }
}
