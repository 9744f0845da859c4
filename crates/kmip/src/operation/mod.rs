//! Operations and their payloads: one table, one file each.
//!
//! Must not know what any operation does.

mod activate;
mod attributes;
mod create;
mod create_key_pair;
mod decrypt;
mod destroy;
mod discover_versions;
mod encrypt;
mod export;
mod get;
mod import;
mod locate;
mod query;
mod register;
mod rekey;
mod rekey_key_pair;
mod revoke;

use kmip_derive::Wire;
use ttlv::Value;

pub use activate::{ActivateRequest, ActivateResponse};
pub use attributes::{
    AddAttributeRequest, AddAttributeResponse, DeleteAttributeRequest, DeleteAttributeResponse,
    GetAttributeListRequest, GetAttributeListResponse, GetAttributesRequest, GetAttributesResponse,
    ModifyAttributeRequest, ModifyAttributeResponse, SetAttributeRequest, SetAttributeResponse,
};
pub use create::{CreateRequest, CreateResponse};
pub use create_key_pair::{CreateKeyPairRequest, CreateKeyPairResponse};
pub use decrypt::{DecryptRequest, DecryptResponse};
pub use destroy::{DestroyRequest, DestroyResponse};
pub use discover_versions::{DiscoverVersionsRequest, DiscoverVersionsResponse};
pub use encrypt::{EncryptRequest, EncryptResponse};
pub use export::{ExportRequest, ExportResponse};
pub use get::{GetRequest, GetResponse};
pub use import::{ImportRequest, ImportResponse};
pub use locate::{LocateRequest, LocateResponse};
pub use query::{
    CapabilityInformation, DefaultsInformation, ExtensionInformation, ExtensionType,
    ObjectDefaults, ObjectGroups, ObjectTypes, ProfileInformation, ProfileVersion, QueryRequest,
    QueryResponse, ServerInformation, ValidationInformation,
};
pub use register::{RegisterRequest, RegisterResponse};
pub use rekey::{RekeyRequest, RekeyResponse};
pub use rekey_key_pair::{RekeyKeyPairRequest, RekeyKeyPairResponse};
pub use revoke::{RevokeRequest, RevokeResponse};

use crate::Version;
use crate::enumerations::{Operation, ProtectionStorageMask};
use crate::wire::{Bytes, Error, Wire};

operations! {
    Activate         since "1.0": ActivateRequest         => ActivateResponse,
    AddAttribute     since "1.0": AddAttributeRequest     => AddAttributeResponse,
    Create           since "1.0": CreateRequest           => CreateResponse,
    CreateKeyPair    since "1.0": CreateKeyPairRequest    => CreateKeyPairResponse,
    Decrypt          since "1.2": DecryptRequest          => DecryptResponse,
    DeleteAttribute  since "1.0": DeleteAttributeRequest  => DeleteAttributeResponse,
    Destroy          since "1.0": DestroyRequest          => DestroyResponse,
    DiscoverVersions since "1.1": DiscoverVersionsRequest => DiscoverVersionsResponse,
    Encrypt          since "1.2": EncryptRequest          => EncryptResponse,
    Export           since "1.4": ExportRequest           => ExportResponse,
    Get              since "1.0": GetRequest              => GetResponse,
    GetAttributeList since "1.0": GetAttributeListRequest => GetAttributeListResponse,
    GetAttributes    since "1.0": GetAttributesRequest    => GetAttributesResponse,
    Import           since "1.4": ImportRequest           => ImportResponse,
    Locate           since "1.0": LocateRequest           => LocateResponse,
    ModifyAttribute  since "1.0": ModifyAttributeRequest  => ModifyAttributeResponse,
    Query            since "1.0": QueryRequest            => QueryResponse,
    Register         since "1.0": RegisterRequest         => RegisterResponse,
    Rekey            since "1.0": RekeyRequest            => RekeyResponse,
    RekeyKeyPair     since "1.1": RekeyKeyPairRequest     => RekeyKeyPairResponse,
    Revoke           since "1.0": RevokeRequest           => RevokeResponse,
    SetAttribute     since "2.0": SetAttributeRequest     => SetAttributeResponse,
}

impl Response {
    /// The data that a cryptographic operation answers: what may be long.
    pub fn data(&self) -> Option<&Bytes> {
        match self {
            Self::Encrypt(it) => it.data.as_ref(),
            Self::Decrypt(it) => it.data.as_ref(),
            _ => None,
        }
    }

    /// The same, to take it away.
    pub fn data_mut(&mut self) -> Option<&mut Bytes> {
        match self {
            Self::Encrypt(it) => it.data.as_mut(),
            Self::Decrypt(it) => it.data.as_mut(),
            _ => None,
        }
    }
}

/// Where an object may be stored, most wanted first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Wire)]
pub struct ProtectionStorageMasks {
    /// The choices.
    #[kmip(tag = ProtectionStorageMask)]
    pub masks: Vec<ProtectionStorageMask>,
}
