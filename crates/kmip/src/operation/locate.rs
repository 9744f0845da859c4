//! Locate (2.1 specification, section 6.1.29).
//!
//! Must not know how objects are searched.

use kmip_derive::Wire;

use crate::attribute::Attributes;
use crate::enumerations::{ObjectGroupMember, StorageStatusMask};

/// Asks for the objects that have all of some attributes.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct LocateRequest {
    /// How many at most.
    pub maximum_items: Option<i32>,
    /// How many to skip first.
    #[kmip(since = "1.3")]
    pub offset_items: Option<i32>,
    /// Where they are stored.
    pub storage_status_mask: Option<StorageStatusMask>,
    /// Which members of a group.
    #[kmip(since = "1.1")]
    pub object_group_member: Option<ObjectGroupMember>,
    /// The attributes; two of one date are the ends of a range.
    #[kmip(spread)]
    pub attributes: Attributes,
}

/// The objects found.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct LocateResponse {
    /// How many there are in all.
    #[kmip(since = "1.3")]
    pub located_items: Option<i32>,
    /// The identifiers.
    #[kmip(tag = UniqueIdentifier)]
    pub unique_identifiers: Vec<String>,
}
