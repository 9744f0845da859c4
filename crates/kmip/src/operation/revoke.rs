//! Revoke (2.1 specification, section 6.1.49).
//!
//! Must not know the life cycle.

use kmip_derive::Wire;

use crate::attribute::RevocationReason;
use crate::identifier::UniqueIdentifier;
use crate::wire::DateTime;

/// Ends an object's use.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct RevokeRequest {
    /// The object; the batch's placeholder where absent.
    pub unique_identifier: Option<UniqueIdentifier>,
    /// Why.
    pub revocation_reason: RevocationReason,
    /// When it was first believed compromised.
    pub compromise_occurrence_date: Option<DateTime>,
    /// Whether the objects linked to it go too: no part of the specification.
    #[kmip(since = "2.1")]
    pub cascade: Option<bool>,
}

/// Names the object.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct RevokeResponse {
    /// The object.
    pub unique_identifier: String,
}
