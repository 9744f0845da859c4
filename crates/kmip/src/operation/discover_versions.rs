//! Discover Versions (2.1 specification, section 6.1.18).
//!
//! Must not know which versions are spoken.

use kmip_derive::Wire;

use crate::message::ProtocolVersion;

/// Asks which versions the server speaks.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct DiscoverVersionsRequest {
    /// Those the client speaks, most wanted first; all are asked for where none is given.
    #[kmip(tag = ProtocolVersion)]
    pub protocol_versions: Vec<ProtocolVersion>,
}

/// The versions the server speaks.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct DiscoverVersionsResponse {
    /// Most wanted first.
    #[kmip(tag = ProtocolVersion)]
    pub protocol_versions: Vec<ProtocolVersion>,
}
