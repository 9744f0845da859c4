//! Attributes that the specification does not define.
//!
//! Must not know which vendors there are, nor what their attributes mean.

use ttlv::{Number, Tag, Value};

use crate::wire::{Error, Wire, put, required, structure};
use crate::{Version, enumerations, tag};

/// An attribute the specification does not define: `x-…` and `y-…` in KMIP 1.x.
#[derive(Clone, Debug, PartialEq)]
pub struct VendorAttribute {
    /// Whose; `x` (a client's) or `y` (a server's) in KMIP 1.x.
    pub vendor: String,
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Value<'static>,
}

impl VendorAttribute {
    /// A text.
    pub fn text(vendor: &str, name: &str, text: impl Into<String>) -> Self {
        let value = Value::TextString(text.into().into());
        Self { vendor: vendor.to_owned(), name: name.to_owned(), value }
    }

    /// The text, where it is one.
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::TextString(text) => Some(text),
            _ => None,
        }
    }

    /// The name in KMIP 1.x.
    pub(crate) fn legacy_name(&self) -> String {
        format!("{}-{}", self.vendor, self.name)
    }

    /// Refuses a number of which only a name is known that nobody here can resolve.
    pub(crate) fn checked(vendor: String, name: String, value: Value<'_>) -> Result<Self, Error> {
        if vendor.is_empty() || name.is_empty() {
            return Err(Error::BadValue("a vendor attribute needs a vendor and a name"));
        }
        let mut value = value.into_owned();
        number(tag::AttributeValue, &mut value)?;
        Ok(Self { vendor, name, value })
    }
}

/// Finds the numbers of names, by the tags of the fields they are in.
fn number(tag: Tag, value: &mut Value<'static>) -> Result<(), Error> {
    let table = || {
        enumerations::of_tag(tag)
            .ok_or(Error::BadValue("an enumeration of a vendor's own needs its number"))
    };
    match value {
        Value::Structure(items) => {
            items.iter_mut().try_for_each(|it| number(it.tag, &mut it.value))
        }
        Value::Integer(Number::Name(_)) => {
            *value = Value::Integer(Number::Code(table()?.read_mask(value)?));
            Ok(())
        }
        Value::Enumeration(Number::Name(_)) => {
            *value = Value::Enumeration(Number::Code(table()?.read_enumeration(value)?));
            Ok(())
        }
        _ => Ok(()),
    }
}

impl Wire for VendorAttribute {
    fn to_value(&self, version: Version) -> Result<Value<'_>, Error> {
        let mut writer = crate::wire::StructWriter::new(version, 3);
        writer.required(Some(tag::VendorIdentification), &self.vendor)?;
        writer.required(Some(tag::AttributeName), &self.name)?;
        writer.required(Some(tag::AttributeValue), &self.value)?;
        Ok(writer.finish())
    }

    fn from_value(value: Value<'_>, version: Version) -> Result<Self, Error> {
        let (mut vendor, mut name, mut found) = (None, None, None);
        for item in structure(value)? {
            match item.tag {
                tag::VendorIdentification => put(&mut vendor, item, version)?,
                tag::AttributeName => put(&mut name, item, version)?,
                tag::AttributeValue if found.is_none() => found = Some(item.value),
                tag => return Err(Error::Unexpected(tag)),
            }
        }
        let vendor = required(vendor, Some(tag::VendorIdentification), version)?;
        let name = required(name, Some(tag::AttributeName), version)?;
        Self::checked(vendor, name, found.ok_or(Error::Missing(tag::AttributeValue))?)
    }
}
