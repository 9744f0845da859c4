//! Attributes as people write and read them: `NAME=VALUE`.
//!
//! It works on items, so that it serves every attribute of the protocol's table without naming it.

use std::borrow::Cow;

use kmip::attribute::{Attribute, AttributeKind, AttributeName, Attributes, VendorAttribute};
use kmip::wire::Wire as _;
use kmip::{Version, tag};
use serde_json::{Value as Json, json};
use ttlv::{Item, Number, Tag, TagNames as _, Value};

use crate::error::Error;

/// The version that the client speaks.
pub(crate) const VERSION: Version = Version::V2_1;
/// The vendor, and the name, under which tags are kept.
const TAG_VENDOR: &str = "cosmian";
const TAG_NAME: &str = "tag";

/// What an attribute is called, and its value.
pub(crate) fn shown(attributes: &Attributes) -> Result<Vec<(String, Json)>, Error> {
    let wrong = |error: kmip::wire::Error| Error::unexpected(error.to_string());
    let Value::Structure(items) = attributes.to_value(VERSION).map_err(wrong)? else {
        return Err(Error::unexpected("attributes are a structure"));
    };
    Ok(items.into_iter().map(|item| shown_item(&item)).collect())
}

fn shown_item(item: &Item<'_>) -> (String, Json) {
    if item.tag != tag::Attribute {
        return (tag_name(item.tag), value(&item.value));
    }
    let text = |tag| match item.child(tag) {
        Some(Item { value: Value::TextString(text), .. }) => text.to_string(),
        _ => String::new(),
    };
    let (vendor, attribute) = (text(tag::VendorIdentification), text(tag::AttributeName));
    let inner = item.child(tag::AttributeValue).map_or(Json::Null, |it| value(&it.value));
    if vendor == TAG_VENDOR && attribute == TAG_NAME {
        let list = inner.as_str().and_then(|text| serde_json::from_str(text).ok());
        return ("Tags".to_owned(), list.unwrap_or(inner));
    }
    (format!("{vendor}:{attribute}"), inner)
}

fn tag_name(tag: Tag) -> String {
    tag::Names.name(tag).map_or_else(|| tag.to_string(), str::to_owned)
}

/// A value, as JSON that a person can read.
fn value(value: &Value<'_>) -> Json {
    match value {
        Value::Structure(items) => structure(items),
        Value::Integer(Number::Code(code)) => json!(code.cast_signed()),
        Value::Integer(Number::Name(names) | Number::Both(_, names)) => {
            json!(names.split_whitespace().collect::<Vec<&str>>())
        }
        Value::Enumeration(number) => match number {
            Number::Code(code) => json!(format!("0x{code:08X}")),
            Number::Name(name) | Number::Both(_, name) => json!(name),
        },
        Value::LongInteger(number) => json!(number),
        Value::BigInteger(bytes) | Value::ByteString(bytes) => json!(hex::encode(bytes)),
        Value::Boolean(it) => json!(it),
        Value::TextString(text)
        | Value::Identifier(text)
        | Value::Reference(text)
        | Value::NameReference(text) => json!(text),
        Value::DateTime(seconds) => json!(date(*seconds)),
        Value::DateTimeExtended(micros) => json!(date(micros.div_euclid(1_000_000))),
        Value::Interval(seconds) => json!(seconds),
    }
}

/// A structure: a name by its text alone, a link by its two parts, another by its fields.
fn structure(items: &[Item<'_>]) -> Json {
    let part = |tag| items.iter().find(|item| item.tag == tag).map(|item| value(&item.value));
    if let Some(name) = part(tag::NameValue) {
        return name;
    }
    if let (Some(kind), Some(target)) = (part(tag::LinkType), part(tag::LinkedObjectIdentifier)) {
        let text = |it: &Json| it.as_str().map_or_else(|| it.to_string(), str::to_owned);
        return json!(format!("{}:{}", text(&kind), text(&target)));
    }
    Json::Object(items.iter().map(|item| (tag_name(item.tag), value(&item.value))).collect())
}

/// Seconds since 1970 as RFC 3339.
fn date(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .map_or_else(|_range| seconds.to_string(), |time| time.to_string())
}

/// Now, in seconds since 1970.
pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// Reads `NAME=VALUE`.
pub(crate) fn parse(text: &str) -> Result<Attribute, Error> {
    let (name, value) = text.split_once('=').ok_or_else(|| {
        Error::usage(format!("{text:?} is no attribute"))
            .hint("write NAME=VALUE, such as Name=backup or ActivationDate=now")
    })?;
    parse_value(name.trim(), value.trim())
}

/// Reads the value of an attribute of a name.
pub(crate) fn parse_value(name: &str, value: &str) -> Result<Attribute, Error> {
    if let Some((vendor, name)) = name.split_once(':') {
        return vendor_text(vendor, name, value);
    }
    if is_tags(name) {
        let several = serde_json::from_str::<Vec<String>>(value);
        return Ok(tags(&several.unwrap_or_else(|_one| vec![value.to_owned()])));
    }
    let tag = kind(name)?.rule().tag;
    let wrong = || {
        Error::usage(format!("{value:?} is no value of {name}")).hint(
            "dates are RFC 3339 or `now`, masks are names with commas between, bytes are \
             hexadecimal, links TYPE:ID",
        )
    };
    let found = candidates(value).into_iter().find_map(|candidate| typed(tag, candidate));
    found.ok_or_else(wrong)
}

/// What a request calls an attribute: `State`, `Tags`, `VENDOR:NAME`.
pub(crate) fn named(name: &str) -> Result<AttributeName, Error> {
    let vendor = |vendor: &str, name: &str| AttributeName::Vendor {
        vendor: vendor.to_owned(),
        name: name.to_owned(),
    };
    if is_tags(name) {
        return Ok(vendor(TAG_VENDOR, TAG_NAME));
    }
    match name.split_once(':') {
        Some((of, name)) => Ok(vendor(of, name)),
        None => Ok(AttributeName::Kind(kind(name)?)),
    }
}

/// What a person calls an attribute.
pub(crate) fn spelt(name: &AttributeName) -> String {
    match name {
        AttributeName::Kind(kind) => tag_name(kind.rule().tag),
        AttributeName::Vendor { vendor, name } if vendor == TAG_VENDOR && name == TAG_NAME => {
            "Tags".to_owned()
        }
        AttributeName::Vendor { vendor, name } => format!("{vendor}:{name}"),
        AttributeName::Unknown(name) => name.clone(),
    }
}

fn is_tags(name: &str) -> bool {
    name.eq_ignore_ascii_case("tags") || name.eq_ignore_ascii_case("tag")
}

/// The attribute of a name, in the protocol's spelling or as `cryptographic-length`.
fn kind(name: &str) -> Result<AttributeKind, Error> {
    let plain = |text: &str| text.to_ascii_lowercase().replace(['-', '_', ' ', '.', '#'], "");
    let wanted = plain(name);
    let found = AttributeKind::ALL.iter().find(|kind| plain(&tag_name(kind.rule().tag)) == wanted);
    found.copied().ok_or_else(|| {
        Error::usage(format!("there is no attribute {name:?}"))
            .hint("`kms attributes list ID` shows the names; a vendor's is VENDOR:NAME")
    })
}

/// The attribute of a tag, if the value is one of its type.
fn typed(tag: Tag, value: Value<'_>) -> Option<Attribute> {
    let structure = Value::Structure(vec![Item::new(tag, value)]);
    Attributes::from_value(structure, VERSION).ok()?.0.pop()
}

/// What a text may mean. Each attribute has one type, so at most one of these fits.
fn candidates(text: &str) -> Vec<Value<'_>> {
    let mut all = Vec::new();
    all.push(Value::TextString(Cow::Borrowed(text)));
    if let Ok(number) = text.parse::<i32>() {
        all.push(Value::Integer(Number::Code(number.cast_unsigned())));
    } else {
        let names = text.replace([',', '|'], " ");
        all.push(Value::Integer(Number::Name(Cow::Owned(names))));
    }
    all.push(Value::Enumeration(Number::Name(Cow::Borrowed(text))));
    if let Ok(number) = text.parse::<i64>() {
        all.push(Value::LongInteger(number));
    }
    if let Ok(seconds) = text.parse::<u32>() {
        all.push(Value::Interval(seconds));
    }
    if let Ok(it) = text.to_ascii_lowercase().parse::<bool>() {
        all.push(Value::Boolean(it));
    }
    if let Some(seconds) = parse_date(text) {
        all.push(Value::DateTime(seconds));
    }
    if let Ok(bytes) = hex::decode(text) {
        all.push(Value::ByteString(Cow::Owned(bytes)));
    }
    all.push(Value::Structure(vec![
        Item::new(tag::NameValue, Value::TextString(Cow::Borrowed(text))),
        Item::new(tag::NameType, Value::Enumeration(Number::Code(1))),
    ]));
    if let Some((kind, target)) = text.split_once(':') {
        all.push(Value::Structure(vec![
            Item::new(tag::LinkType, Value::Enumeration(Number::Name(Cow::Borrowed(kind)))),
            Item::new(tag::LinkedObjectIdentifier, Value::TextString(Cow::Borrowed(target))),
        ]));
    }
    all
}

/// RFC 3339, a date alone (its beginning in UTC), or `now`.
fn parse_date(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("now") {
        return Some(now());
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(time.as_second());
    }
    let date = text.parse::<jiff::civil::Date>().ok()?;
    format!("{date}T00:00:00Z").parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}

/// The attribute that keeps tags.
pub(crate) fn tags(tags: &[String]) -> Attribute {
    let list = Json::from(tags).to_string();
    Attribute::Vendor(VendorAttribute::text(TAG_VENDOR, TAG_NAME, list))
}

fn vendor_text(vendor: &str, name: &str, value: &str) -> Result<Attribute, Error> {
    if vendor.is_empty() || name.is_empty() {
        return Err(Error::usage("a vendor's attribute is VENDOR:NAME=VALUE"));
    }
    Ok(Attribute::Vendor(VendorAttribute::text(vendor, name, value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(text: &str) -> (String, Json) {
        shown(&Attributes(vec![parse(text).unwrap()])).unwrap().remove(0)
    }

    fn pair(name: &str, value: Json) -> (String, Json) {
        (name.to_owned(), value)
    }

    #[test]
    fn what_is_written_is_shown() {
        assert_eq!(round("Name=backup"), pair("Name", json!("backup")));
        assert_eq!(round("cryptographic-length=256"), pair("CryptographicLength", json!(256)));
        assert_eq!(
            round("CryptographicAlgorithm=AES"),
            pair("CryptographicAlgorithm", json!("AES"))
        );
        let usage = json!(["Encrypt", "Decrypt"]);
        assert_eq!(
            round("CryptographicUsageMask=Encrypt,Decrypt"),
            pair("CryptographicUsageMask", usage)
        );
        let date = json!("2026-01-02T03:04:05Z");
        assert_eq!(round("ActivationDate=2026-01-02T03:04:05Z"), pair("ActivationDate", date));
        let date = json!("2026-01-02T00:00:00Z");
        assert_eq!(round("ActivationDate=2026-01-02"), pair("ActivationDate", date));
        assert_eq!(round("ObjectGroup=a=b"), pair("ObjectGroup", json!("a=b")));
        assert_eq!(round("acme:cost=7"), pair("acme:cost", json!("7")));
        assert_eq!(round("tag=blue"), pair("Tags", json!(["blue"])));
        assert_eq!(round("Tags=[\"a\",\"b\"]"), pair("Tags", json!(["a", "b"])));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in ["Name", "NoSuch=1", "CryptographicLength=long", "State=Asleep", ":a=b"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
