//! Which object a field means.
//!
//! Must not know which objects there are.

use std::borrow::Cow;
use std::fmt;

use ttlv::{Number, Value};

use crate::Version;
use crate::enumerations::UniqueIdentifierCode;
use crate::wire::{Error, Wire};

/// Which object: by text, and from 2.0 also by what an earlier item of the batch made or found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UniqueIdentifier {
    /// By identifier.
    Id(String),
    /// By what an operation of the batch returned.
    Code(UniqueIdentifierCode),
    /// By place among the identifiers the batch has returned: 0 is the first, -1 the last.
    Index(i32),
}

impl UniqueIdentifier {
    /// The text, where it is one.
    pub fn as_id(&self) -> Option<&str> {
        match self {
            Self::Id(id) => Some(id),
            _ => None,
        }
    }
}

impl From<String> for UniqueIdentifier {
    fn from(id: String) -> Self {
        Self::Id(id)
    }
}

impl From<&str> for UniqueIdentifier {
    fn from(id: &str) -> Self {
        Self::Id(id.to_owned())
    }
}

impl fmt::Display for UniqueIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => f.write_str(id),
            Self::Code(code) => fmt::Display::fmt(code, f),
            Self::Index(index) => fmt::Display::fmt(index, f),
        }
    }
}

impl Wire for UniqueIdentifier {
    fn to_value(&self, version: Version) -> Result<Value<'_>, Error> {
        match self {
            Self::Id(id) => Ok(Value::TextString(Cow::Borrowed(id))),
            _ if version < Version::V2_0 => Err(Error::NotInVersion(version)),
            Self::Code(code) => code.to_value(version),
            Self::Index(index) => Ok(Value::Integer(Number::Code(index.cast_unsigned()))),
        }
    }

    fn from_value(value: Value<'_>, version: Version) -> Result<Self, Error> {
        match value {
            Value::TextString(id) => Ok(Self::Id(id.into_owned())),
            Value::Enumeration(_) if version >= Version::V2_0 => {
                UniqueIdentifierCode::from_value(value, version).map(Self::Code)
            }
            Value::Integer(_) if version >= Version::V2_0 => {
                i32::from_value(value, version).map(Self::Index)
            }
            _ => Err(Error::WrongType { expected: "an identifier" }),
        }
    }
}
