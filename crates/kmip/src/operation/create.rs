//! Create (2.1 specification, section 6.1.8).
//!
//! Must not know how a key is made.

use kmip_derive::Wire;

use super::ProtectionStorageMasks;
use crate::attribute::Attributes;
use crate::enumerations::ObjectType;

/// Asks for a new symmetric key.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct CreateRequest {
    /// What to create.
    pub object_type: ObjectType,
    /// The attributes it is to have.
    #[kmip(tag(TemplateAttribute, until = "1.4"), tag(Attributes, since = "2.0"))]
    pub attributes: Attributes,
    /// Where it may be stored.
    #[kmip(since = "2.0")]
    pub protection_storage_masks: Option<ProtectionStorageMasks>,
}

/// Names the key created.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct CreateResponse {
    /// What was created.
    pub object_type: ObjectType,
    /// Its identifier.
    pub unique_identifier: String,
    /// The attributes the server chose.
    #[kmip(tag = TemplateAttribute, until = "1.4")]
    pub attributes: Option<Attributes>,
}
