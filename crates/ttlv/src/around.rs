//! The binary encoding around long byte strings: the contents lie elsewhere, so that whoever has
//! them need not copy them.
//!
//! What is written and read is exactly what [`binary`] writes and reads. Must not know the names of
//! tags or numbers.

use std::borrow::Cow;

use crate::binary::{self, HEADER};
use crate::{Error, Item, ItemType, Limits, Tag, Value};

/// Where the contents of a byte string were left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The position in what was written.
    pub at: usize,
    /// How many bytes are missing there.
    pub length: usize,
}

/// Appends `item` to `out`, without the contents of the byte strings called `tag` that have at
/// least `least` bytes. Returns where these are missing, in their order; on an error, `out` is as
/// it was.
pub fn encode(
    item: &Item<'_>,
    tag: Tag,
    least: usize,
    out: &mut Vec<u8>,
) -> Result<Vec<Gap>, Error> {
    let start = out.len();
    let mut writer = Writer { tag, least, left_out: 0, gaps: Vec::new() };
    match writer.write(item, out) {
        Ok(()) => Ok(writer.gaps),
        Err(error) => {
            out.truncate(start);
            Err(error)
        }
    }
}

struct Writer {
    tag: Tag,
    least: usize,
    left_out: usize,
    gaps: Vec<Gap>,
}

impl Writer {
    fn write(&mut self, item: &Item<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        match &item.value {
            Value::Structure(items) => {
                let (start, before) = (out.len(), self.left_out);
                binary::header(item.tag, ItemType::Structure, 0, out);
                for item in items {
                    self.write(item, out)?;
                }
                let missing = self.left_out.saturating_sub(before);
                binary::patch(item.tag, start, missing, out)
            }
            Value::ByteString(value) if item.tag == self.tag && value.len() >= self.least => {
                let length = value.len();
                let claimed = binary::length(item.tag, ItemType::ByteString, length)?;
                binary::header(item.tag, ItemType::ByteString, claimed, out);
                self.gaps.push(Gap { at: out.len(), length });
                self.left_out = self.left_out.saturating_add(length);
                binary::pad(binary::padding(length), 0, out);
                Ok(())
            }
            _ => binary::write(item, out),
        }
    }
}

/// A long byte string in a message of which only the beginning is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Long {
    /// Where its contents begin.
    pub at: usize,
    /// How many bytes they have.
    pub length: usize,
    /// Where the headers of the structures around it begin.
    around: Vec<usize>,
    /// Its place in each of these structures.
    path: Vec<usize>,
}

/// The first byte string of at least `least` bytes whose header is in `start`, the beginning of a
/// message of `total` bytes. None where something before it is wrong: decode the whole, then.
pub fn find(start: &[u8], total: usize, least: usize) -> Option<Long> {
    // The structures that are open: where each begins, and where it ends.
    let mut open: Vec<(usize, usize)> = Vec::new();
    let mut path = Vec::new();
    let mut at = 0_usize;
    loop {
        let header = start.get(at..)?.first_chunk::<HEADER>()?;
        let [_, _, _, item_type, l0, l1, l2, l3] = *header;
        let item_type = ItemType::from_code(item_type)?;
        let length = usize::try_from(u32::from_be_bytes([l0, l1, l2, l3])).ok()?;
        let content = at.checked_add(HEADER)?;
        let end = content.checked_add(length)?.checked_add(binary::padding(length))?;
        if end > open.last().map_or(total, |(_, end)| *end) {
            return None;
        }
        match item_type {
            ItemType::Structure if open.len() < Limits::DEFAULT.depth => {
                open.push((at, end));
                path.push(0_usize);
                at = content;
            }
            ItemType::Structure => return None,
            ItemType::ByteString if length >= least && !open.is_empty() => {
                let around = open.into_iter().map(|(at, _)| at).collect();
                return Some(Long { at: content, length, around, path });
            }
            _ => {
                at = end;
                *path.last_mut()? = path.last()?.checked_add(1)?;
            }
        }
        while open.last().is_some_and(|(_, end)| *end == at) {
            open.pop();
            path.pop();
            *path.last_mut()? = path.last()?.checked_add(1)?;
        }
    }
}

impl Long {
    /// Decodes the message from `frame`, which is the message without the contents, and from
    /// these. The item owns the contents and borrows what else it can from `frame`, whose lengths
    /// are changed.
    pub fn decode<'a>(
        &self,
        frame: &'a mut Vec<u8>,
        contents: Vec<u8>,
        limits: &Limits,
    ) -> Result<Item<'a>, Error> {
        let bytes = frame.len().saturating_add(contents.len());
        if bytes > limits.bytes {
            return Err(Error::TooLarge { bytes, limit: limits.bytes });
        }
        // Without contents and padding, the frame is a message with an empty byte string.
        let padding = binary::padding(self.length);
        let padding_end = self.at.checked_add(padding).ok_or(Error::Truncated)?;
        if contents.len() != self.length || frame.len() < padding_end {
            return Err(Error::Truncated);
        }
        let was_zero = frame.drain(self.at..padding_end).all(|byte| byte == 0);
        let gone = self.length.checked_add(padding).ok_or(Error::Truncated)?;
        for header in &self.around {
            shorten(frame, *header, gone)?;
        }
        let own = self.at.checked_sub(HEADER).ok_or(Error::Truncated)?;
        shorten(frame, own, self.length)?;
        let mut item = binary::decode(frame, limits)?;
        let mut place = &mut item;
        for index in &self.path {
            let Value::Structure(items) = &mut place.value else { return Err(Error::Truncated) };
            place = items.get_mut(*index).ok_or(Error::Truncated)?;
        }
        if !was_zero {
            return Err(binary::bad_padding(place.tag, ItemType::ByteString));
        }
        place.value = Value::ByteString(Cow::Owned(contents));
        Ok(item)
    }
}

/// Takes `gone` off the length in the header at `at`.
fn shorten(frame: &mut [u8], at: usize, gone: usize) -> Result<(), Error> {
    let header = frame.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<HEADER>);
    let [_, _, _, _, length @ ..] = header.ok_or(Error::Truncated)?;
    let left = u32::try_from(gone).ok().and_then(|it| u32::from_be_bytes(*length).checked_sub(it));
    *length = left.ok_or(Error::Truncated)?.to_be_bytes();
    Ok(())
}
