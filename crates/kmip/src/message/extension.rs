//! Message Extensions of batch items (KMIP 2.1 section 9.13): the one of our own, which gives a request
//! a name, and how others are passed over.
//!
//! Must not know what is done with the name.

use ttlv::{Item, Value};

use crate::wire::{self, read as read_value};
use crate::{Version, tag};

/// Whose extension is understood: the Vendor Identification of ours.
pub const VENDOR: &str = "open_kms";

/// What an extension is to us.
pub(super) enum Extension {
    /// Ours: the Idempotency Key.
    Key(String),
    /// Another vendor's; whether it must be understood.
    Other { critical: bool },
}

pub(super) fn read(extension: &Item<'_>, version: Version) -> Result<Extension, wire::Error> {
    let tag = extension.tag;
    parts(extension, version).map_err(|error| error.at(tag))
}

fn parts(extension: &Item<'_>, version: Version) -> Result<Extension, wire::Error> {
    let Value::Structure(_) = &extension.value else {
        return Err(wire::Error::WrongType { expected: "a structure" });
    };
    let critical = match extension.child(tag::CriticalityIndicator) {
        Some(found) => read_value(found.clone(), version)?,
        None => return Err(wire::Error::Missing(tag::CriticalityIndicator)),
    };
    let vendor = extension.child(tag::VendorIdentification);
    if !vendor.is_some_and(|it| matches!(&it.value, Value::TextString(name) if name == VENDOR)) {
        return Ok(Extension::Other { critical });
    }
    let content = extension.child(tag::VendorExtension);
    let content = content.ok_or(wire::Error::Missing(tag::VendorExtension))?;
    // Ours is known in full: what else stands in it is not passed over.
    match &content.value {
        Value::Structure(items) => match items.as_slice() {
            [key] if key.tag == tag::IdempotencyKey => {
                read_value(key.clone(), version).map(Extension::Key)
            }
            [] => Err(wire::Error::Missing(tag::IdempotencyKey)),
            [first, ..] => Err(wire::Error::Unexpected(first.tag)),
        },
        _ => Err(wire::Error::WrongType { expected: "a structure" }.at(tag::VendorExtension)),
    }
}

pub(super) fn write(key: &str) -> Item<'_> {
    let key = Item { tag: tag::IdempotencyKey, value: Value::TextString(key.into()) };
    let fields = vec![
        Item { tag: tag::VendorIdentification, value: Value::TextString(VENDOR.into()) },
        // Who asks for it relies on it.
        Item { tag: tag::CriticalityIndicator, value: Value::Boolean(true) },
        Item { tag: tag::VendorExtension, value: Value::Structure(vec![key]) },
    ];
    Item { tag: tag::MessageExtension, value: Value::Structure(fields) }
}
