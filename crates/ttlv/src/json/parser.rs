//! JSON's syntax, and no more of it than items need.
//!
//! One pass over the input, never back; an object's members may come in any order, so a value is
//! kept as it stands until the object has ended and its type is known.

use std::borrow::Cow;

use crate::error::shown;
use crate::{Error, Item, ItemType, Limits, Tag, TagNames, Unknown, Value, text};

/// See [`super::decode`].
pub(super) fn decode<'a, N: TagNames + ?Sized>(
    input: &'a [u8],
    names: &N,
    limits: &Limits,
    unknown: Unknown,
) -> Result<Item<'a>, Error> {
    if input.len() > limits.bytes {
        return Err(Error::TooLarge { bytes: input.len(), limit: limits.bytes });
    }
    let text = match std::str::from_utf8(input) {
        Ok(text) => text,
        Err(error) => return Err(Error::Syntax { at: error.valid_up_to(), why: "not UTF-8" }),
    };
    let mut parser = Parser { text, at: 0, names, limits, items_left: limits.items, unknown };
    parser.blanks();
    let mut items = Vec::with_capacity(1);
    parser.object(limits.depth, Unknown::Refuse, &mut items)?;
    parser.blanks();
    match items.pop() {
        Some(item) if parser.peek().is_none() => Ok(item),
        _ => Err(Error::TrailingData),
    }
}

struct Parser<'a, 'n, N: ?Sized> {
    text: &'a str,
    /// How much of the text was read; always at a character's start.
    at: usize,
    names: &'n N,
    limits: &'n Limits,
    items_left: usize,
    unknown: Unknown,
}

/// A value before its type is known.
enum Raw<'a> {
    Items(Vec<Item<'a>>),
    Text(Cow<'a, str>),
    Number(i64),
    Boolean(bool),
}

enum Tagged {
    Known(Tag),
    Skipped,
}

/// The members of an object, as far as they were read.
struct Members<'a> {
    tag: Option<Tagged>,
    item_type: Option<ItemType>,
    value: Option<Raw<'a>>,
    /// The optional comment that may accompany a numeric tag.
    name: Option<()>,
}

impl<'a, N: TagNames + ?Sized> Parser<'a, '_, N> {
    /// Moves an item to the end of `items`, unless its tag is unknown and to be skipped.
    fn object(
        &mut self,
        depth: usize,
        unknown: Unknown,
        items: &mut Vec<Item<'a>>,
    ) -> Result<(), Error> {
        let depth = depth.checked_sub(1).ok_or(Error::TooDeep { limit: self.limits.depth })?;
        self.items_left = self
            .items_left
            .checked_sub(1)
            .ok_or(Error::TooManyItems { limit: self.limits.items })?;
        self.expect(b'{', "an item is an object")?;
        let mut members = Members { tag: None, item_type: None, value: None, name: None };
        loop {
            self.blanks();
            self.member(&mut members, depth, unknown)?;
            self.blanks();
            match self.next() {
                Some(b',') => {}
                Some(b'}') => break,
                Some(_) => return Err(self.wrong("`,` or `}` must follow a member")),
                None => return Err(Error::Truncated),
            }
        }
        let tag = members.tag.ok_or_else(|| self.wrong("the item has no `tag`"))?;
        let value = members.value.ok_or_else(|| self.wrong("the item has no `value`"))?;
        match tag {
            Tagged::Known(tag) => {
                let value = typed(tag, members.item_type, value)?;
                items.push(Item { tag, value });
                Ok(())
            }
            // The value is looked at too, so that what is refused does not depend on which tags
            // are known.
            Tagged::Skipped => typed(Tag(0), members.item_type, value).map(drop),
        }
    }

    fn member(
        &mut self,
        members: &mut Members<'a>,
        depth: usize,
        unknown: Unknown,
    ) -> Result<(), Error> {
        let key = self.string()?;
        self.blanks();
        self.expect(b':', "`:` must follow a member's name")?;
        self.blanks();
        let twice = match &*key {
            "tag" => {
                let tag = self.tag(unknown)?;
                members.tag.replace(tag).is_some()
            }
            "type" => {
                let item_type = text::item_type(&self.string()?)?;
                members.item_type.replace(item_type).is_some()
            }
            "value" => {
                let value = self.value(depth)?;
                members.value.replace(value).is_some()
            }
            "name" => {
                self.string()?;
                members.name.replace(()).is_some()
            }
            _ => return Err(self.wrong("an item has `tag`, `type` and `value` only")),
        };
        if twice { Err(self.wrong("a member is given twice")) } else { Ok(()) }
    }

    fn tag(&mut self, unknown: Unknown) -> Result<Tagged, Error> {
        let name = self.string()?;
        match (text::tag(&name, self.names), unknown) {
            (Some(tag), _) => Ok(Tagged::Known(tag)),
            (None, Unknown::Skip) => Ok(Tagged::Skipped),
            (None, Unknown::Refuse) => Err(Error::UnknownTag(shown(&name))),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Raw<'a>, Error> {
        match self.peek() {
            Some(b'"') => self.string().map(Raw::Text),
            Some(b'[') => self.items(depth).map(Raw::Items),
            Some(b't') => self.word("true", Raw::Boolean(true)),
            Some(b'f') => self.word("false", Raw::Boolean(false)),
            Some(b'-' | b'0'..=b'9') => self.number().map(Raw::Number),
            Some(_) => Err(self.wrong("a value is a string, a number, a boolean or a list")),
            None => Err(Error::Truncated),
        }
    }

    fn items(&mut self, depth: usize) -> Result<Vec<Item<'a>>, Error> {
        self.expect(b'[', "a list begins with `[`")?;
        self.blanks();
        let mut items = Vec::new();
        if self.peek() == Some(b']') {
            self.advance(1);
            return Ok(items);
        }
        loop {
            self.blanks();
            self.object(depth, self.unknown, &mut items)?;
            self.blanks();
            match self.next() {
                Some(b',') => {}
                Some(b']') => return Ok(items),
                Some(_) => return Err(self.wrong("`,` or `]` must follow an item")),
                None => return Err(Error::Truncated),
            }
        }
    }

    fn word(&mut self, word: &str, value: Raw<'a>) -> Result<Raw<'a>, Error> {
        if self.rest().starts_with(word.as_bytes()) {
            self.advance(word.len());
            return Ok(value);
        }
        Err(self.wrong("neither true nor false"))
    }

    fn number(&mut self) -> Result<i64, Error> {
        let rest = self.rest();
        let sign = usize::from(rest.first() == Some(&b'-'));
        let digits = rest.get(sign..).unwrap_or_default();
        let digits = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let length = sign.saturating_add(digits);
        if matches!(rest.get(length), Some(b'.' | b'e' | b'E')) {
            return Err(self.wrong("no value has a fraction or an exponent"));
        }
        if digits > 1 && rest.get(sign) == Some(&b'0') {
            return Err(self.wrong("a number begins with a zero"));
        }
        let number = self.text.get(self.at..self.at.saturating_add(length));
        let number = number.and_then(|number| number.parse().ok());
        let number = number.ok_or_else(|| self.wrong("not a number of 64 bits"))?;
        self.advance(length);
        Ok(number)
    }

    /// Nearly every string is plain, and borrowed: small enough to be inlined where it is used.
    #[inline]
    fn string(&mut self) -> Result<Cow<'a, str>, Error> {
        if let Some([b'"', inside @ ..]) = self.text.as_bytes().get(self.at..) {
            let start = self.at.saturating_add(1);
            let end = start.saturating_add(plain_length(inside));
            if self.text.as_bytes().get(end) == Some(&b'"')
                && let Some(plain) = self.text.get(start..end)
            {
                self.at = end.saturating_add(1);
                return Ok(Cow::Borrowed(plain));
            }
        }
        self.unusual_string()
    }

    /// A string with escapes, or none at all.
    #[cold]
    fn unusual_string(&mut self) -> Result<Cow<'a, str>, Error> {
        self.expect(b'"', "a string begins with a quotation mark")?;
        let plain = self.plain()?.to_owned();
        match self.next() {
            Some(b'"') => Ok(Cow::Owned(plain)),
            Some(b'\\') => self.escaped(plain).map(Cow::Owned),
            Some(_) => Err(self.wrong("a control character in a string")),
            None => Err(Error::Truncated),
        }
    }

    /// The rest of a string after its first backslash.
    fn escaped(&mut self, mut string: String) -> Result<String, Error> {
        loop {
            string.push(self.escape()?);
            string.push_str(self.plain()?);
            match self.next() {
                Some(b'"') => return Ok(string),
                Some(b'\\') => {}
                Some(_) => return Err(self.wrong("a control character in a string")),
                None => return Err(Error::Truncated),
            }
        }
    }

    /// The character that the bytes after a backslash spell.
    fn escape(&mut self) -> Result<char, Error> {
        Ok(match self.next() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{C}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let unit = self.code_unit()?;
                let low = if (0xD800..0xDC00).contains(&unit) && self.rest().starts_with(b"\\u") {
                    self.advance(2);
                    Some(self.code_unit()?)
                } else {
                    None
                };
                let mut characters = char::decode_utf16(std::iter::once(unit).chain(low));
                match (characters.next(), characters.next()) {
                    (Some(Ok(character)), None) => character,
                    _ => return Err(self.wrong("half a surrogate pair")),
                }
            }
            Some(_) => return Err(self.wrong("no such escape")),
            None => return Err(Error::Truncated),
        })
    }

    fn code_unit(&mut self) -> Result<u16, Error> {
        let digits = self.text.get(self.at..self.at.saturating_add(4));
        let unit = digits.and_then(crate::hex::number).and_then(|it| u16::try_from(it).ok());
        let unit = unit.ok_or_else(|| self.wrong("four digits must follow `\\u`"))?;
        self.advance(4);
        Ok(unit)
    }

    /// The text before the next quotation mark, backslash or control character.
    fn plain(&mut self) -> Result<&'a str, Error> {
        let length = plain_length(self.rest());
        let plain = self.text.get(self.at..self.at.saturating_add(length));
        self.advance(length);
        plain.ok_or(Error::Truncated)
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.advance(1);
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let next = self.peek()?;
        self.advance(1);
        Some(next)
    }

    fn expect(&mut self, byte: u8, why: &'static str) -> Result<(), Error> {
        match self.peek() {
            Some(next) if next == byte => {
                self.advance(1);
                Ok(())
            }
            Some(_) => Err(self.wrong(why)),
            None => Err(Error::Truncated),
        }
    }

    fn advance(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes);
    }

    #[cold]
    fn wrong(&self, why: &'static str) -> Error {
        Error::Syntax { at: self.at, why }
    }
}

fn typed(tag: Tag, item_type: Option<ItemType>, value: Raw<'_>) -> Result<Value<'_>, Error> {
    let item_type = item_type.unwrap_or(ItemType::Structure);
    match (item_type, value) {
        (ItemType::Structure, Raw::Items(items)) => Ok(Value::Structure(items)),
        (ItemType::Boolean, Raw::Boolean(value)) => Ok(Value::Boolean(value)),
        (ItemType::TextString, Raw::Text(text)) => Ok(Value::TextString(text)),
        (item_type, Raw::Text(text)) => text::scalar(tag, item_type, text),
        (item_type, Raw::Number(number)) => text::integer(tag, item_type, number),
        (item_type, Raw::Items(_)) => {
            Err(Error::BadValue { tag, item_type, why: "a list is the value of a structure only" })
        }
        (item_type, Raw::Boolean(_)) => {
            Err(Error::BadValue { tag, item_type, why: "a boolean is no value of this type" })
        }
    }
}

/// How many bytes come before the first quotation mark, backslash or control character.
#[inline]
pub(super) fn plain_length(bytes: &[u8]) -> usize {
    match bytes.split_first_chunk::<64>() {
        Some((near, far)) => match special(near) {
            Some(at) => at,
            None => near.len().saturating_add(far_plain_length(far)),
        },
        None => special(bytes).unwrap_or(bytes.len()),
    }
}

/// Where the first of the special characters is.
///
/// Eight at a time, each byte of a word tested at once. The subtractions borrow from the byte
/// above only where the byte below was already found, so the *lowest* find is exact.
fn special(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    const fn below(word: u64, bound: u64) -> u64 {
        word.wrapping_sub(ONES.wrapping_mul(bound)) & !word & HIGHS
    }
    let (words, rest) = bytes.as_chunks::<8>();
    let mut at = 0_usize;
    for word in words {
        let word = u64::from_le_bytes(*word);
        let quotes = below(word ^ ONES.wrapping_mul(0x22), 1);
        let backslashes = below(word ^ ONES.wrapping_mul(0x5C), 1);
        let found = quotes | backslashes | below(word, 0x20);
        if found != 0 {
            let byte = usize::try_from(found.trailing_zeros() / 8).unwrap_or_default();
            return Some(at.saturating_add(byte));
        }
        at = at.saturating_add(8);
    }
    rest.iter().position(|byte| is_special(*byte)).map(|byte| at.saturating_add(byte))
}

/// The same for long strings, which are megabytes of hexadecimal digits: whole blocks that the
/// compiler tests with vector instructions, then exactly.
fn far_plain_length(bytes: &[u8]) -> usize {
    let plain = |block: &&[u8; 64]| !block.iter().fold(false, |any, it| any | is_special(*it));
    let (blocks, _) = bytes.as_chunks::<64>();
    let blocks = blocks.iter().take_while(plain).count();
    let start = blocks.saturating_mul(64);
    let rest = bytes.get(start..).unwrap_or_default();
    start.saturating_add(special(rest).unwrap_or(rest.len()))
}

fn is_special(byte: u8) -> bool {
    byte == b'"' || byte == b'\\' || byte < b' '
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_special_character_is_found_everywhere() {
        let check = |byte, at, length| {
            let mut text = vec![0xC3; length];
            text[at] = byte;
            let expected = if is_special(byte) { at } else { length };
            assert_eq!(plain_length(&text), expected, "{byte} at {at} of {length}");
        };
        for byte in 0..=255 {
            for length in [1, 7, 8, 9, 63, 64, 65, 200, 300] {
                (0..length).for_each(|at| check(byte, at, length));
            }
        }
    }

    #[test]
    fn the_first_of_several_is_found() {
        let text = b"ab\x80\xFF\"\\\x01 !#[]\"";
        for start in 0..text.len() {
            let rest = &text[start..];
            let expected = rest.iter().position(|it| is_special(*it)).unwrap_or(rest.len());
            assert_eq!(plain_length(rest), expected);
        }
    }
}
