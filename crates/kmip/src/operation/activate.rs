//! Activate (2.1 specification, section 6.1.1).
//!
//! Must not know the life cycle.

use kmip_derive::Wire;

use crate::identifier::UniqueIdentifier;

/// Makes an object active.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ActivateRequest {
    /// The object; the batch's placeholder where absent.
    pub unique_identifier: Option<UniqueIdentifier>,
}

/// Names the object.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct ActivateResponse {
    /// The object.
    pub unique_identifier: String,
}
