//! What the specification says of each attribute.
//!
//! Must not know any attribute; the table beside it does.

use ttlv::Tag;

use super::AttributeKind;
use crate::Version;
use crate::enumerations::ObjectType;

/// Who may do something with an attribute; the server always may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The server alone.
    Server,
    /// The client too.
    Client,
}

/// The objects an attribute applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectTypes(u16);

impl ObjectTypes {
    /// All.
    pub const ANY: Self = Self(u16::MAX);
    /// Keys: symmetric, public, private, split.
    pub const KEY: Self = Self(1 << 2 | 1 << 3 | 1 << 4 | 1 << 5);
    /// Public and private keys.
    pub const KEY_PAIR: Self = Self(1 << 3 | 1 << 4);
    /// Certificates.
    pub const CERTIFICATE: Self = Self(1 << 1);
    /// Opaque objects.
    pub const OPAQUE: Self = Self(1 << 8);

    /// Whether `object` is among them.
    pub fn contains(self, object: ObjectType) -> bool {
        object.0 < 16 && self.0 & (1 << object.0) != 0
    }
}

/// What the specification says of one attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Which attribute.
    pub kind: AttributeKind,
    /// Its tag.
    pub tag: Tag,
    /// Its name in KMIP 1.x.
    pub name: &'static str,
    /// The first version that has it.
    pub since: Version,
    /// The last version that has it.
    pub until: Version,
    /// Whether an object may have more than one.
    pub multiple: bool,
    /// Who may give it when the object is created, registered or imported.
    pub creation: Who,
    /// Who may give it to an object that has none.
    pub add: Who,
    /// Who may change it.
    pub modify: Who,
    /// Who may take it away.
    pub delete: Who,
    /// The objects that may have it.
    pub objects: ObjectTypes,
}

impl Rule {
    /// Whether `version` has the attribute.
    pub fn exists_in(&self, version: Version) -> bool {
        self.since <= version && version <= self.until
    }
}
