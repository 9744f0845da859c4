//! What of a record can be searched by: copies of attributes beside the sealed row.
//!
//! One table. A search finds candidates by these copies; whether a candidate matches is decided on
//! its record. It must never hold anything of a key.

use kmip::attribute::{Attribute, VendorAttribute};
use kmip::stored::StoredRecord;
use kmip::tag;
use kms_store::IndexEntry;
use ttlv::Value;

/// The longest value that is searched by, in bytes; longer ones are cut, which only makes more
/// candidates.
pub(crate) const VALUE_LENGTH_MAX: usize = 255;

/// The vendor of the tags that the field's clients use.
pub(crate) const TAG_VENDOR: &str = "cosmian";
/// The vendor attribute that holds them: a JSON list of texts.
pub(crate) const TAG_ATTRIBUTE: &str = "tag";

/// The entries of a record.
pub(crate) fn entries(record: &StoredRecord) -> Vec<IndexEntry> {
    let mut entries = Vec::new();
    for attribute in &record.attributes.0 {
        of(attribute, &mut entries);
    }
    entries.sort_unstable_by(|a, b| (a.kind, &a.value).cmp(&(b.kind, &b.value)));
    entries.dedup_by(|a, b| a.kind == b.kind && a.value == b.value);
    entries
}

/// The entries of one attribute: none where it is not searched by.
pub(crate) fn of(attribute: &Attribute, entries: &mut Vec<IndexEntry>) {
    match attribute {
        Attribute::Name(name) => push(entries, tag::Name, name.value.as_bytes()),
        Attribute::ObjectGroup(group) => push(entries, tag::ObjectGroup, group.as_bytes()),
        Attribute::AlternativeName(name) => {
            push(entries, tag::AlternativeName, name.value.as_bytes());
        }
        Attribute::Link(link) => {
            if let Some(id) = link.linked_object_identifier.as_id() {
                push(entries, tag::Link, id.as_bytes());
            }
        }
        Attribute::ApplicationSpecificInformation(it) => {
            push(entries, tag::ApplicationSpecificInformation, it.application_namespace.as_bytes());
        }
        Attribute::Vendor(vendor) => {
            let tags = tags(vendor).unwrap_or_default();
            // The server's own tags say what the object type says; they select nothing.
            for text in tags.iter().filter(|text| !text.starts_with('_')) {
                push(entries, tag::Attribute, text.as_bytes());
            }
        }
        _ => {}
    }
}

/// The texts of the `tag` vendor attribute, if `vendor` is it and well-formed.
pub(crate) fn tags(vendor: &VendorAttribute) -> Option<Vec<String>> {
    if vendor.vendor != TAG_VENDOR || vendor.name != TAG_ATTRIBUTE {
        return None;
    }
    match &vendor.value {
        Value::TextString(text) => serde_json::from_str(text).ok(),
        _ => None,
    }
}

fn push(entries: &mut Vec<IndexEntry>, kind: ttlv::Tag, value: &[u8]) {
    let value = value.get(..VALUE_LENGTH_MAX).unwrap_or(value).to_vec();
    entries.push(IndexEntry { kind: kind.0, value });
}
