//! The JSON encoding: `{"tag": …, "type": …, "value": …}`.
//!
//! Parses straight into the tree, with the members in any order, and writes it by hand: this is
//! on the path of every request. Must not know which enumeration or mask a number belongs to.

mod parser;

use std::borrow::Cow;

use crate::error::shown;
use crate::text::{
    write_big_integer, write_date, write_date_extended, write_decimal, write_hex, write_tag_number,
};
use crate::{Error, Item, ItemType, Limits, Number, Spelling, Tag, TagNames, Unknown, Value, hex};

/// Enumeration names that [`Spelling::Recorded`] does not spell as the profile's name without its
/// underscores: the profile's name and the one recorded.
pub const RECORDED_EXCEPTIONS: &[(&str, &str)] = &[
    ("ANSIX9_31", "ANSI_X931"),
    ("MLDSA_44", "MLDSA_44"),
    ("MLDSA_65", "MLDSA_65"),
    ("MLDSA_87", "MLDSA_87"),
    ("MLKEM_512", "MLKEM_512"),
    ("MLKEM_768", "MLKEM_768"),
    ("MLKEM_1024", "MLKEM_1024"),
];

/// Decodes exactly one item from `input`, borrowing the text that holds no escapes.
///
/// A tag is a name or `0x` and six digits. Next to `tag`, `type` and `value` only the profile's
/// optional `name` is accepted.
pub fn decode<'a, N: TagNames + ?Sized>(
    input: &'a [u8],
    names: &N,
    limits: &Limits,
    unknown: Unknown,
) -> Result<Item<'a>, Error> {
    parser::decode(input, names, limits, unknown)
}

/// Appends `item` to `out`, compactly; on an error, `out` is as it was. A tag without a name is
/// written as its number.
pub fn encode<N: TagNames + ?Sized>(
    item: &Item<'_>,
    names: &N,
    spelling: Spelling,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let start = out.len();
    let written = Writer { names, spelling, out }.item(item);
    if written.is_err() {
        out.truncate(start);
    }
    written
}

struct Writer<'o, N: ?Sized> {
    names: &'o N,
    spelling: Spelling,
    out: &'o mut Vec<u8>,
}

impl<N: TagNames + ?Sized> Writer<'_, N> {
    fn item(&mut self, item: &Item<'_>) -> Result<(), Error> {
        self.raw(b"{\"tag\":\"");
        match self.names.name(item.tag) {
            Some(name) => self.raw(name.as_bytes()),
            None => write_tag_number(item.tag, self.out),
        }
        match &item.value {
            Value::Structure(items) => return self.structure(items),
            Value::Integer(number) => self.integer(item.tag, number)?,
            Value::LongInteger(v) => self.quoted(ItemType::LongInteger, |out| {
                write_hex(&v.to_be_bytes(), out);
            }),
            Value::BigInteger(v) => self.quoted(ItemType::BigInteger, |out| {
                out.extend_from_slice(b"0x");
                write_big_integer(v, out);
            }),
            Value::Enumeration(number) => self.enumeration(number),
            Value::Boolean(v) => {
                self.start(ItemType::Boolean);
                self.raw(if *v { b"true" } else { b"false" });
            }
            Value::TextString(v) => self.quoted(ItemType::TextString, |out| escape(v, out)),
            Value::ByteString(v) => self.quoted(ItemType::ByteString, |out| hex::encode(v, out)),
            Value::DateTime(v) => self.quoted(ItemType::DateTime, |out| write_date(*v, out)),
            Value::Interval(v) => {
                self.start(ItemType::Interval);
                write_decimal(i64::from(*v), self.out);
            }
            Value::DateTimeExtended(v) => {
                self.quoted(ItemType::DateTimeExtended, |out| write_date_extended(*v, out));
            }
            Value::Identifier(v) => self.quoted(ItemType::Identifier, |out| escape(v, out)),
            Value::Reference(v) => self.quoted(ItemType::Reference, |out| escape(v, out)),
            Value::NameReference(v) => self.quoted(ItemType::NameReference, |out| escape(v, out)),
        }
        self.out.push(b'}');
        Ok(())
    }

    fn structure(&mut self, items: &[Item<'_>]) -> Result<(), Error> {
        self.raw(b"\",\"value\":[");
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.item(item)?;
        }
        self.raw(b"]}");
        Ok(())
    }

    /// Masks have names in the profile's spelling alone.
    fn integer(&mut self, tag: Tag, number: &Number<'_>) -> Result<(), Error> {
        match (number, self.spelling) {
            (Number::Name(name) | Number::Both(_, name), Spelling::Profile)
                if !name.trim_ascii().is_empty() =>
            {
                self.quoted(ItemType::Integer, |out| mask(name, out));
            }
            (Number::Code(code) | Number::Both(code, _), _) => {
                self.start(ItemType::Integer);
                write_decimal(i64::from(code.cast_signed()), self.out);
            }
            (Number::Name(name), _) => {
                return Err(Error::UnresolvedName { tag, name: shown(name) });
            }
        }
        Ok(())
    }

    fn enumeration(&mut self, number: &Number<'_>) {
        let spelling = self.spelling;
        self.quoted(ItemType::Enumeration, |out| match number {
            Number::Code(code) => write_hex(&code.to_be_bytes(), out),
            Number::Name(name) | Number::Both(_, name) => match spelling {
                Spelling::Profile => escape(name, out),
                Spelling::Recorded => escape(&recorded(name), out),
            },
        });
    }

    /// Everything between the tag and a value that is written without quotes.
    fn start(&mut self, item_type: ItemType) {
        self.raw(b"\",\"type\":\"");
        self.raw(item_type.name().as_bytes());
        self.raw(b"\",\"value\":");
    }

    fn quoted(&mut self, item_type: ItemType, value: impl FnOnce(&mut Vec<u8>)) {
        self.start(item_type);
        self.out.push(b'"');
        value(self.out);
        self.out.push(b'"');
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }
}

/// The name that the recorded clients know.
fn recorded(name: &str) -> Cow<'_, str> {
    if !name.contains('_') {
        return Cow::Borrowed(name);
    }
    match RECORDED_EXCEPTIONS
        .iter()
        .find(|(profile, recorded)| [profile, recorded].contains(&&name))
    {
        Some((_, recorded)) => Cow::Borrowed(recorded),
        None => Cow::Owned(name.replace('_', "")),
    }
}

/// The names of bits, separated by `|`.
fn mask(names: &str, out: &mut Vec<u8>) {
    for (index, name) in names.split_ascii_whitespace().enumerate() {
        if index > 0 {
            out.push(b'|');
        }
        escape(name, out);
    }
}

fn escape(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let Some((plain, [special, after @ ..])) =
        rest.split_at_checked(parser::plain_length(rest))
    {
        out.extend_from_slice(plain);
        match special {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *special]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                out.extend_from_slice(b"\\u00");
                hex::encode(&[*control], out);
            }
        }
        rest = after;
    }
    out.extend_from_slice(rest);
}
