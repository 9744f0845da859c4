//! Import (2.1 specification, section 6.1.25).
//!
//! Must not know what is done with the object.

use kmip_derive::Wire;

use crate::attribute::Attributes;
use crate::enumerations::{KeyWrapType, ObjectType};
use crate::object::Object;

/// Gives the server an object under an identifier chosen by the client.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct ImportRequest {
    /// The identifier.
    pub unique_identifier: String,
    /// What it is; some versions and clients leave it to the object's own tag.
    pub object_type: Option<ObjectType>,
    /// Whether to replace an object of this identifier.
    pub replace_existing: Option<bool>,
    /// Whether to keep a wrapped key as it is.
    pub key_wrap_type: Option<KeyWrapType>,
    /// The attributes it is to have.
    #[kmip(spread)]
    pub attributes: Attributes,
    /// The object.
    #[kmip(object)]
    pub object: Object,
}

/// Names the object.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct ImportResponse {
    /// Its identifier.
    pub unique_identifier: String,
}
