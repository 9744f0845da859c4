//! Register (2.1 specification, section 6.1.41).
//!
//! Must not know what is done with the object.

use kmip_derive::Wire;

use super::ProtectionStorageMasks;
use crate::attribute::Attributes;
use crate::enumerations::ObjectType;
use crate::object::Object;

/// Gives the server an object made elsewhere.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct RegisterRequest {
    /// What it is.
    pub object_type: ObjectType,
    /// The attributes it is to have.
    #[kmip(tag(TemplateAttribute, until = "1.4"), tag(Attributes, since = "2.0"))]
    pub attributes: Attributes,
    /// The object.
    #[kmip(object)]
    pub object: Object,
    /// Where it may be stored.
    #[kmip(since = "2.0")]
    pub protection_storage_masks: Option<ProtectionStorageMasks>,
}

/// Names the object.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct RegisterResponse {
    /// Its identifier.
    pub unique_identifier: String,
    /// The attributes the server chose.
    #[kmip(tag = TemplateAttribute, until = "1.4")]
    pub attributes: Option<Attributes>,
}
