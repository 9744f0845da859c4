//! The codecs against vectors, rules, properties and hostile input.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at what it did not expect"
)]

mod hostile;
mod properties;
mod rules;
mod vectors;

use std::borrow::Cow;

use ttlv::{Item, Tag, TagNames, Value};

/// A few names, as a protocol would give them.
struct Names;

const TAGS: &[(u32, &str)] = &[
    (0x42_0001, "ActivationDate"),
    (0x42_000F, "BatchItem"),
    (0x42_002C, "CryptographicUsageMask"),
    (0x42_005C, "Operation"),
    (0x42_0078, "RequestMessage"),
    (0x42_0094, "UniqueIdentifier"),
];

const MESSAGE: Tag = Tag(0x42_0078);
const BATCH_ITEM: Tag = Tag(0x42_000F);
const IDENTIFIER: Tag = Tag(0x42_0094);
const MASK: Tag = Tag(0x42_002C);
const OPERATION: Tag = Tag(0x42_005C);
const DATE: Tag = Tag(0x42_0001);

impl TagNames for Names {
    fn name(&self, tag: Tag) -> Option<&'static str> {
        TAGS.iter().find(|(code, _)| *code == tag.0).map(|(_, name)| *name)
    }
    fn tag(&self, name: &str) -> Option<Tag> {
        TAGS.iter().find(|(_, it)| *it == name).map(|(code, _)| Tag(*code))
    }
}

fn text(tag: Tag, text: &str) -> Item<'_> {
    Item::new(tag, Value::TextString(Cow::Borrowed(text)))
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
