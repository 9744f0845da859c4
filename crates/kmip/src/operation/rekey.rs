//! Re-key (2.1 specification, section 6.1.45).
//!
//! Must not know how a key is made.

use kmip_derive::Wire;

use super::ProtectionStorageMasks;
use crate::attribute::Attributes;
use crate::identifier::UniqueIdentifier;
use crate::wire::Interval;

/// Asks for a symmetric key to take the place of another.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct RekeyRequest {
    /// The key to replace; the batch's placeholder where absent.
    pub unique_identifier: Option<UniqueIdentifier>,
    /// From the new key's initial date to its activation date.
    pub offset: Option<Interval>,
    /// The attributes that are to differ.
    #[kmip(tag(TemplateAttribute, until = "1.4"), tag(Attributes, since = "2.0"))]
    pub attributes: Option<Attributes>,
    /// Where it may be stored.
    #[kmip(since = "2.0")]
    pub protection_storage_masks: Option<ProtectionStorageMasks>,
}

/// Names the new key.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct RekeyResponse {
    /// The new key.
    pub unique_identifier: String,
    /// The attributes the server chose.
    #[kmip(tag = TemplateAttribute, until = "1.4")]
    pub attributes: Option<Attributes>,
}
