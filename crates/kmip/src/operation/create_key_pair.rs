//! Create Key Pair (2.1 specification, section 6.1.9).
//!
//! Must not know how keys are made.

use kmip_derive::Wire;

use super::ProtectionStorageMasks;
use crate::attribute::Attributes;

/// Asks for a new key pair.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct CreateKeyPairRequest {
    /// The attributes of both.
    #[kmip(tag(CommonTemplateAttribute, until = "1.4"), tag(CommonAttributes, since = "2.0"))]
    pub common_attributes: Option<Attributes>,
    /// The private key's attributes.
    #[kmip(
        tag(PrivateKeyTemplateAttribute, until = "1.4"),
        tag(PrivateKeyAttributes, since = "2.0")
    )]
    pub private_key_attributes: Option<Attributes>,
    /// The public key's attributes.
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

/// Names the keys created.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct CreateKeyPairResponse {
    /// The private key.
    pub private_key_unique_identifier: String,
    /// The public key.
    pub public_key_unique_identifier: String,
    /// The attributes the server chose for the private key.
    #[kmip(tag = PrivateKeyTemplateAttribute, until = "1.4")]
    pub private_key_attributes: Option<Attributes>,
    /// The attributes the server chose for the public key.
    #[kmip(tag = PublicKeyTemplateAttribute, until = "1.4")]
    pub public_key_attributes: Option<Attributes>,
}
