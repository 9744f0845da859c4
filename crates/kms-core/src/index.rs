//! What of a record can be searched by: copies of attributes beside the sealed row.
//!
//! One table. A search finds candidates by these copies; whether a candidate matches is decided on
//! its record. It must never hold anything of a key.

use std::collections::BTreeMap;

use kmip::attribute::{Attribute, Attributes, VendorAttribute};
use kmip::tag;
use kms_store::{Condition, IndexEntry};
use ttlv::Value;

/// The longest value that is searched by, in bytes; longer ones are cut, which only makes more
/// candidates.
pub(crate) const VALUE_LENGTH_MAX: usize = 255;

/// The vendor of the tags that the field's clients use.
pub(crate) const TAG_VENDOR: &str = "cosmian";
/// The vendor attribute that holds them: a JSON list of texts.
pub(crate) const TAG_ATTRIBUTE: &str = "tag";

/// The entries of an object's attributes.
pub(crate) fn entries(attributes: &Attributes) -> Vec<IndexEntry> {
    let mut entries = Vec::new();
    for attribute in attributes {
        of(attribute, &mut entries);
        if let Some((kind, date)) = date(attribute).filter(|(kind, _)| is_kept(*kind)) {
            push(&mut entries, kind, &date_bytes(date));
        }
    }
    entries.sort_unstable_by(|a, b| (a.kind, &a.value).cmp(&(b.kind, &b.value)));
    entries.dedup_by(|a, b| a.kind == b.kind && a.value == b.value);
    entries
}

/// The date of an attribute that is one, and its kind. What is looked for by a date is between two, so
/// the bytes of a date order as it does.
pub(crate) fn date(attribute: &Attribute) -> Option<(ttlv::Tag, i64)> {
    use Attribute as A;
    let (kind, date) = match attribute {
        A::ActivationDate(date) => (tag::ActivationDate, date),
        A::ArchiveDate(date) => (tag::ArchiveDate, date),
        A::CompromiseDate(date) => (tag::CompromiseDate, date),
        A::CompromiseOccurrenceDate(date) => (tag::CompromiseOccurrenceDate, date),
        A::DeactivationDate(date) => (tag::DeactivationDate, date),
        A::DestroyDate(date) => (tag::DestroyDate, date),
        A::InitialDate(date) => (tag::InitialDate, date),
        A::LastChangeDate(date) => (tag::LastChangeDate, date),
        A::OriginalCreationDate(date) => (tag::OriginalCreationDate, date),
        A::ProcessStartDate(date) => (tag::ProcessStartDate, date),
        A::ProtectStopDate(date) => (tag::ProtectStopDate, date),
        A::RotateDate(date) => (tag::RotateDate, date),
        _ => return None,
    };
    Some((kind, date.0))
}

/// Whether objects are found by this date at once. The one that each change moves would cost each
/// change two rows more.
fn is_kept(kind: ttlv::Tag) -> bool {
    kind != tag::LastChangeDate
}

fn date_bytes(date: i64) -> Vec<u8> {
    (date.cast_unsigned() ^ 1 << 63).to_be_bytes().to_vec()
}

/// What an object must have in its entries to be looked at: one condition for each attribute that is
/// searched by; for dates of one kind, that its date lies between them.
pub(crate) fn conditions(attributes: &Attributes) -> Vec<Condition> {
    let mut entries = Vec::new();
    let mut dates: BTreeMap<u32, (i64, i64)> = BTreeMap::new();
    for attribute in attributes {
        of(attribute, &mut entries);
        if let Some((kind, date)) = date(attribute).filter(|(kind, _)| is_kept(*kind)) {
            let range = dates.entry(kind.0).or_insert((date, date));
            *range = (range.0.min(date), range.1.max(date));
        }
    }
    let equal = entries.into_iter().map(|it| Condition::equal(it.kind, it.value));
    let between = dates.into_iter().map(|(kind, (low, high))| Condition {
        kind,
        low: date_bytes(low),
        high: date_bytes(high),
    });
    equal.chain(between).collect()
}

/// The entries of one attribute that is no date: none where it is not searched by.
fn of(attribute: &Attribute, entries: &mut Vec<IndexEntry>) {
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

#[cfg(test)]
mod tests {
    use kmip::wire::DateTime;

    use super::*;

    #[test]
    fn dates_order_as_their_bytes() {
        let dates = [i64::MIN, -1, 0, 1, 1_700_000_000, i64::MAX];
        assert!(dates.map(date_bytes).is_sorted());
    }

    #[test]
    fn one_date_is_exact_and_two_are_a_range() {
        let attributes = Attributes(vec![
            Attribute::InitialDate(DateTime(30)),
            Attribute::ActivationDate(DateTime(7)),
            Attribute::InitialDate(DateTime(10)),
            Attribute::LastChangeDate(DateTime(5)),
        ]);
        let range = |kind: ttlv::Tag, low, high| Condition {
            kind: kind.0,
            low: date_bytes(low),
            high: date_bytes(high),
        };
        let expected = [range(tag::ActivationDate, 7, 7), range(tag::InitialDate, 10, 30)];
        assert_eq!(conditions(&attributes), expected);
    }

    #[test]
    fn each_kind_that_is_looked_for_is_among_the_entries() {
        let attributes = Attributes(vec![Attribute::DeactivationDate(DateTime(-5))]);
        let wanted = conditions(&attributes);
        let [entry] = entries(&attributes).try_into().unwrap();
        assert_eq!(wanted, [Condition::equal(entry.kind, entry.value)]);
    }
}
