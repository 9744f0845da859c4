//! Destroy (2.1 specification, section 6.1.17).
//!
//! Must not know the life cycle.

use kmip_derive::Wire;

use crate::enumerations::ObjectType;
use crate::identifier::UniqueIdentifier;

/// Ends an object's key material.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct DestroyRequest {
    /// The object; the batch's placeholder where absent.
    pub unique_identifier: Option<UniqueIdentifier>,
    /// Whether the record goes too: no part of the specification.
    #[kmip(since = "2.1")]
    pub remove: Option<bool>,
    /// Whether the objects linked to it go too: no part of the specification.
    #[kmip(since = "2.1")]
    pub cascade: Option<bool>,
    /// What the client takes it for: no part of the specification.
    #[kmip(since = "2.1")]
    pub expected_object_type: Option<ObjectType>,
}

/// Names the object.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct DestroyResponse {
    /// The object.
    pub unique_identifier: String,
}
