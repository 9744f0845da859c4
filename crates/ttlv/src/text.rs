//! How the text encodings spell scalars: what JSON's strings and XML's attributes have in common.
//!
//! Must not know the syntax around a value.

use std::borrow::Cow;

use crate::binary::sign_extension;
use crate::error::shown;
use crate::{Error, ItemType, Number, Tag, TagNames, Value, date, hex};

/// The tag that `text` names or, after `0x`, numbers. Names have precedence in the encoders;
/// both are always read.
pub(crate) fn tag<N: TagNames + ?Sized>(text: &str, names: &N) -> Option<Tag> {
    if let Some(digits) = text.strip_prefix("0x") {
        return tag_number(digits);
    }
    names.tag(text)
}

/// The tag that exactly six digits number.
pub(crate) fn tag_number(digits: &str) -> Option<Tag> {
    let number = if digits.len() == 6 { hex::number(digits) } else { None };
    number.and_then(|number| u32::try_from(number).ok()).map(Tag)
}

/// Writes `0x540001`.
pub(crate) fn write_tag_number(tag: Tag, out: &mut Vec<u8>) {
    let [_, t0, t1, t2] = tag.0.to_be_bytes();
    write_hex(&[t0, t1, t2], out);
}

/// The type called `name`.
pub(crate) fn item_type(name: &str) -> Result<ItemType, Error> {
    ItemType::from_name(name).ok_or_else(|| Error::UnknownType(shown(name)))
}

/// The value of a scalar type that `text` spells.
pub(crate) fn scalar(
    tag: Tag,
    item_type: ItemType,
    text: Cow<'_, str>,
) -> Result<Value<'_>, Error> {
    let bad = |why| Error::BadValue { tag, item_type, why };
    let hexadecimal = text.strip_prefix("0x").map(hex::number);
    Ok(match item_type {
        ItemType::Structure => return Err(bad("a structure's value is a list of items")),
        ItemType::Integer => {
            Value::Integer(mask(text).ok_or_else(|| bad("neither 32 bits nor names of bits"))?)
        }
        ItemType::Enumeration => Value::Enumeration(
            number(text, |decimal| u32::try_from(decimal).ok())
                .ok_or_else(|| bad("neither 32 bits nor a name"))?,
        ),
        ItemType::LongInteger => Value::LongInteger(
            match hexadecimal {
                Some(digits) => digits.map(u64::cast_signed),
                None => decimal(&text),
            }
            .ok_or_else(|| bad("not a number of 64 bits"))?,
        ),
        ItemType::BigInteger => Value::BigInteger(Cow::Owned(
            big_integer(text.strip_prefix("0x").unwrap_or(&text))
                .ok_or_else(|| bad("not pairs of hexadecimal digits"))?,
        )),
        ItemType::Boolean => Value::Boolean(match (&*text, hexadecimal) {
            ("true" | "1", _) | (_, Some(Some(1))) => true,
            ("false" | "0", _) | (_, Some(Some(0))) => false,
            _ => return Err(bad("neither true nor false")),
        }),
        ItemType::TextString => Value::TextString(text),
        ItemType::ByteString => Value::ByteString(Cow::Owned(
            hex::decode(text.as_bytes()).ok_or_else(|| bad("not pairs of hexadecimal digits"))?,
        )),
        ItemType::DateTime => Value::DateTime(
            match hexadecimal {
                Some(digits) => digits.map(u64::cast_signed),
                None => date::decode(&text).map(|(seconds, _)| seconds),
            }
            .ok_or_else(|| bad("not a date and time as in 2026-11-24T03:46:50Z"))?,
        ),
        ItemType::Interval => Value::Interval(
            match hexadecimal {
                Some(digits) => digits.and_then(|it| u32::try_from(it).ok()),
                None => decimal(&text).and_then(|it| u32::try_from(it).ok()),
            }
            .ok_or_else(|| bad("not a number of seconds of 32 bits"))?,
        ),
        ItemType::DateTimeExtended => Value::DateTimeExtended(
            match hexadecimal {
                Some(digits) => digits.map(u64::cast_signed),
                None => date::decode(&text).and_then(date::microseconds),
            }
            .ok_or_else(|| bad("not a date and time as in 2026-11-24T03:46:50.123456Z"))?,
        ),
        ItemType::Identifier => Value::Identifier(text),
        ItemType::Reference => Value::Reference(text),
        ItemType::NameReference => Value::NameReference(text),
    })
}

/// The value of a scalar type that a decimal number gives.
pub(crate) fn integer<'a>(tag: Tag, item_type: ItemType, value: i64) -> Result<Value<'a>, Error> {
    let bad = |why| Error::BadValue { tag, item_type, why };
    let too_large = || bad("too large or too small");
    Ok(match item_type {
        ItemType::Integer => Value::Integer(Number::Code(
            i32::try_from(value).ok().ok_or_else(too_large)?.cast_unsigned(),
        )),
        ItemType::Enumeration => {
            Value::Enumeration(Number::Code(u32::try_from(value).ok().ok_or_else(too_large)?))
        }
        ItemType::LongInteger => Value::LongInteger(value),
        ItemType::BigInteger => Value::BigInteger(Cow::Owned(value.to_be_bytes().to_vec())),
        ItemType::Interval => Value::Interval(u32::try_from(value).ok().ok_or_else(too_large)?),
        _ => return Err(bad("a number is no value of this type")),
    })
}

/// Bits of a mask are separated by `|` in JSON and by blanks in XML, and always by blanks in the
/// tree.
fn mask(text: Cow<'_, str>) -> Option<Number<'_>> {
    let separator = |it: char| it == '|' || it.is_ascii_whitespace();
    let text = match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_matches(separator)),
        Cow::Owned(text) => Cow::Owned(text.trim_matches(separator).to_owned()),
    };
    let text = if text.contains('|') { Cow::Owned(text.replace('|', " ")) } else { text };
    number(text, |decimal| Some(i32::try_from(decimal).ok()?.cast_unsigned()))
}

/// Hexadecimal, decimal, or else a name.
fn number(text: Cow<'_, str>, from_decimal: fn(i64) -> Option<u32>) -> Option<Number<'_>> {
    if let Some(value) = text.strip_prefix("0x").and_then(hex::number) {
        return u32::try_from(value).ok().map(Number::Code);
    }
    let digits = text.strip_prefix('-').unwrap_or(&text);
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return decimal(&text).and_then(from_decimal).map(Number::Code);
    }
    Some(Number::Name(text))
}

fn decimal(text: &str) -> Option<i64> {
    // The standard library also reads a plus sign.
    if text.starts_with('+') { None } else { text.parse().ok() }
}

/// Two's complement, with its sign extended to a multiple of eight bytes.
fn big_integer(digits: &str) -> Option<Vec<u8>> {
    let value = hex::decode(digits.as_bytes()).filter(|value| !value.is_empty())?;
    let (sign, missing) = sign_extension(&value);
    if missing == 0 {
        return Some(value);
    }
    let mut extended = vec![sign; missing];
    extended.extend_from_slice(&value);
    Some(extended)
}

/// Writes `0x` and the digits of `bytes`.
pub(crate) fn write_hex(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"0x");
    hex::encode(bytes, out);
}

/// Writes the digits of a big integer, its sign extended to a multiple of eight bytes.
pub(crate) fn write_big_integer(value: &[u8], out: &mut Vec<u8>) {
    let (sign, missing) = sign_extension(value);
    for _ in 0..missing {
        hex::encode(&[sign], out);
    }
    hex::encode(value, out);
}

/// Writes a date, or its 64 bits where four digits of a year do not suffice.
pub(crate) fn write_date(seconds: i64, out: &mut Vec<u8>) {
    if !date::encode(seconds, out) {
        write_hex(&seconds.to_be_bytes(), out);
    }
}

/// Writes a date with microseconds, or its 64 bits where four digits of a year do not suffice.
pub(crate) fn write_date_extended(microseconds: i64, out: &mut Vec<u8>) {
    if !date::encode_extended(microseconds, out) {
        write_hex(&microseconds.to_be_bytes(), out);
    }
}

/// Writes a decimal number.
pub(crate) fn write_decimal(value: i64, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 20];
    let mut left = value.unsigned_abs();
    let mut used = 0_usize;
    for digit in digits.iter_mut().rev() {
        *digit = b'0'.wrapping_add(u8::try_from(left % 10).unwrap_or_default());
        left /= 10;
        used = used.saturating_add(1);
        if left == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    let start = digits.len().saturating_sub(used);
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals() {
        for value in [0, 1, -1, 9, 10, 1_234_567_890, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            write_decimal(value, &mut out);
            assert_eq!(out, value.to_string().into_bytes());
        }
    }

    #[test]
    fn big_integers_keep_their_sign() {
        assert_eq!(big_integer("0001").unwrap(), [0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(big_integer("ff").unwrap(), [0xFF; 8]);
        assert_eq!(big_integer("000102030405060708").unwrap().len(), 16);
        assert_eq!(big_integer(""), None);
        assert_eq!(big_integer("123"), None);
    }
}
