//! Re-key Key Pair (2.1 specification, section 6.1.46).
//!
//! Must not know how keys are made.

use kmip_derive::Wire;

use super::ProtectionStorageMasks;
use crate::attribute::Attributes;
use crate::identifier::UniqueIdentifier;
use crate::wire::Interval;

/// Asks for a key pair to take the place of another.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct RekeyKeyPairRequest {
    /// The private key to replace; the batch's placeholder where absent.
    pub private_key_unique_identifier: Option<UniqueIdentifier>,
    /// From the new keys' initial date to their activation date.
    pub offset: Option<Interval>,
    /// The attributes of both that are to differ.
    #[kmip(tag(CommonTemplateAttribute, until = "1.4"), tag(CommonAttributes, since = "2.0"))]
    pub common_attributes: Option<Attributes>,
    /// The private key's attributes that are to differ.
    #[kmip(
        tag(PrivateKeyTemplateAttribute, until = "1.4"),
        tag(PrivateKeyAttributes, since = "2.0")
    )]
    pub private_key_attributes: Option<Attributes>,
    /// The public key's attributes that are to differ.
    #[kmip(
        tag(PublicKeyTemplateAttribute, until = "1.4"),
        tag(PublicKeyAttributes, since = "2.0")
    )]
    pub public_key_attributes: Option<Attributes>,
    /// Where both may be stored.
    #[kmip(since = "2.0")]
    pub common_protection_storage_masks: Option<ProtectionStorageMasks>,
    /// Where the private key may be stored.
    #[kmip(since = "2.0")]
    pub private_protection_storage_masks: Option<ProtectionStorageMasks>,
    /// Where the public key may be stored.
    #[kmip(since = "2.0")]
    pub public_protection_storage_masks: Option<ProtectionStorageMasks>,
}

/// Names the new keys.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct RekeyKeyPairResponse {
    /// The new private key.
    pub private_key_unique_identifier: String,
    /// The new public key.
    pub public_key_unique_identifier: String,
    /// The attributes the server chose for the private key.
    #[kmip(tag = PrivateKeyTemplateAttribute, until = "1.4")]
    pub private_key_attributes: Option<Attributes>,
    /// The attributes the server chose for the public key.
    #[kmip(tag = PublicKeyTemplateAttribute, until = "1.4")]
    pub public_key_attributes: Option<Attributes>,
}
