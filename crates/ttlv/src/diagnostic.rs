//! Items as a log may show them: tags, types and lengths, no values.
//!
//! Must never write a byte of a value: it may be a key.

use std::fmt;

use crate::{Item, TagNames, Value};

/// `item` for a log: `Encrypt { UniqueIdentifier TextString[36], Data ByteString[64] }`.
///
/// Numbers, names of enumerations and booleans are left out as well: a PIN is an integer. At most
/// a few hundred items are shown, then `…`.
pub fn render<'i, N: TagNames + ?Sized>(item: &'i Item<'i>, names: &'i N) -> impl fmt::Display {
    Rendering { item, names }
}

/// A log line is no place for more.
const ITEMS_MAX: usize = 256;

struct Rendering<'i, N: ?Sized> {
    item: &'i Item<'i>,
    names: &'i N,
}

impl<N: TagNames + ?Sized> fmt::Display for Rendering<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = ITEMS_MAX;
        write(self.item, self.names, &mut left, f)
    }
}

fn write<N: TagNames + ?Sized>(
    item: &Item<'_>,
    names: &N,
    left: &mut usize,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let Some(rest) = left.checked_sub(1) else {
        return Ok(());
    };
    *left = rest;
    match names.name(item.tag) {
        Some(name) => f.write_str(name)?,
        None => write!(f, "{}", item.tag)?,
    }
    let length = match &item.value {
        Value::Structure(items) => return structure(items, names, left, f),
        Value::TextString(v)
        | Value::Identifier(v)
        | Value::Reference(v)
        | Value::NameReference(v) => Some(v.len()),
        Value::ByteString(v) | Value::BigInteger(v) => Some(v.len()),
        Value::Integer(_)
        | Value::LongInteger(_)
        | Value::Enumeration(_)
        | Value::Boolean(_)
        | Value::DateTime(_)
        | Value::Interval(_)
        | Value::DateTimeExtended(_) => None,
    };
    write!(f, " {}", item.value.item_type())?;
    length.map_or(Ok(()), |length| write!(f, "[{length}]"))
}

fn structure<N: TagNames + ?Sized>(
    items: &[Item<'_>],
    names: &N,
    left: &mut usize,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    f.write_str(" {")?;
    for (index, item) in items.iter().enumerate() {
        f.write_str(if index == 0 { " " } else { ", " })?;
        if *left == 0 {
            f.write_str("…")?;
            break;
        }
        write(item, names, left, f)?;
    }
    f.write_str(" }")
}
