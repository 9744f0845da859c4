//! Query (2.1 specification, section 6.1.37).
//!
//! Must not know what this server can do.

use kmip_derive::Wire;
use ttlv::{Number, Value};

use super::ProtectionStorageMasks;
use crate::Version;
use crate::attribute::{Attributes, RandomNumberGenerator};
use crate::enumerations::{
    AttestationType, ClientRegistrationMethod, DestroyAction, ItemType, ObjectType, Operation,
    ProfileName, QueryFunction, RNGMode, ShreddingAlgorithm, UnwrapMode, ValidationAuthorityType,
    ValidationType,
};
use crate::wire::{Error, Wire};

/// Asks what the server can do.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct QueryRequest {
    /// What to tell.
    #[kmip(tag = QueryFunction)]
    pub query_functions: Vec<QueryFunction>,
    /// For which groups.
    #[kmip(since = "2.1")]
    pub object_groups: Option<ObjectGroups>,
}

/// What the server can do.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct QueryResponse {
    /// The operations.
    #[kmip(tag = Operation)]
    pub operations: Vec<Operation>,
    /// The objects.
    #[kmip(tag = ObjectType)]
    pub object_types: Vec<ObjectType>,
    /// The vendor.
    pub vendor_identification: Option<String>,
    /// The server.
    pub server_information: Option<Box<ServerInformation>>,
    /// The namespaces of application-specific information.
    #[kmip(tag = ApplicationNamespace)]
    pub application_namespaces: Vec<String>,
    /// The extensions.
    #[kmip(since = "1.1")]
    pub extension_information: Vec<ExtensionInformation>,
    /// The attestations.
    #[kmip(tag = AttestationType, since = "1.2")]
    pub attestation_types: Vec<AttestationType>,
    /// The random number generators.
    #[kmip(tag = RNGParameters, since = "1.3")]
    pub rng_parameters: Vec<RandomNumberGenerator>,
    /// The profiles.
    #[kmip(since = "1.3")]
    pub profile_information: Vec<ProfileInformation>,
    /// The validations.
    #[kmip(since = "1.3")]
    pub validation_information: Vec<ValidationInformation>,
    /// The capabilities.
    #[kmip(since = "1.3")]
    pub capability_information: Vec<CapabilityInformation>,
    /// The ways to register clients.
    #[kmip(tag = ClientRegistrationMethod, since = "1.3")]
    pub client_registration_methods: Vec<ClientRegistrationMethod>,
    /// The defaults.
    #[kmip(since = "2.0")]
    pub defaults_information: Option<DefaultsInformation>,
    /// The places to store.
    #[kmip(since = "2.0")]
    pub protection_storage_masks: Option<ProtectionStorageMasks>,
}

/// The server. Until 1.4 this is the vendor's own; what is not known here is skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Wire)]
#[kmip(open)]
pub struct ServerInformation {
    /// The name.
    #[kmip(since = "2.0")]
    pub server_name: Option<String>,
    /// The serial number.
    #[kmip(since = "2.0")]
    pub server_serial_number: Option<String>,
    /// The version.
    #[kmip(since = "2.0")]
    pub server_version: Option<String>,
    /// The load.
    #[kmip(since = "2.0")]
    pub server_load: Option<String>,
    /// The product.
    #[kmip(since = "2.0")]
    pub product_name: Option<String>,
    /// The build.
    #[kmip(since = "2.0")]
    pub build_level: Option<String>,
    /// When it was built.
    #[kmip(since = "2.0")]
    pub build_date: Option<String>,
    /// The cluster.
    #[kmip(since = "2.0")]
    pub cluster_info: Option<String>,
    /// Other addresses.
    #[kmip(since = "2.0")]
    pub alternate_failover_endpoints: Vec<String>,
}

/// An extension: a tag of the vendor's own.
#[derive(Clone, Debug, PartialEq, Eq, Wire)]
pub struct ExtensionInformation {
    /// The name.
    pub extension_name: String,
    /// The tag.
    pub extension_tag: Option<i32>,
    /// The type.
    pub extension_type: Option<ExtensionType>,
    /// The enumeration.
    #[kmip(since = "2.0")]
    pub extension_enumeration: Option<i32>,
    /// Whether it is an attribute.
    #[kmip(since = "2.0")]
    pub extension_attribute: Option<bool>,
    /// The tag of the structure it is in.
    #[kmip(since = "2.0")]
    pub extension_parent_structure_tag: Option<i32>,
    /// In words.
    #[kmip(since = "2.0")]
    pub extension_description: Option<String>,
}

/// The type of an extension: a number until 1.4, an enumeration since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtensionType(pub ItemType);

impl Wire for ExtensionType {
    fn to_value(&self, version: Version) -> Result<Value<'_>, Error> {
        if version < Version::V2_0 {
            return Ok(Value::Integer(Number::Code(self.0.0)));
        }
        self.0.to_value(version)
    }

    fn from_value(value: Value<'_>, version: Version) -> Result<Self, Error> {
        if version < Version::V2_0 {
            let code = i32::from_value(value, version)?;
            return Ok(Self(ItemType(code.cast_unsigned())));
        }
        ItemType::from_value(value, version).map(Self)
    }
}

/// A profile.
#[derive(Clone, Debug, PartialEq, Eq, Wire)]
pub struct ProfileInformation {
    /// Which.
    pub profile_name: ProfileName,
    /// Its version.
    #[kmip(since = "2.0")]
    pub profile_version: Option<ProfileVersion>,
    /// Where.
    #[kmip(tag = ServerURI)]
    pub server_uri: Option<String>,
    /// On which port.
    pub server_port: Option<i32>,
}

/// A profile's version.
#[derive(Clone, Debug, PartialEq, Eq, Wire)]
pub struct ProfileVersion {
    /// The first number.
    pub profile_version_major: i32,
    /// The second number.
    pub profile_version_minor: i32,
}

/// A validation.
#[derive(Clone, Debug, PartialEq, Eq, Wire)]
pub struct ValidationInformation {
    /// By whom.
    pub validation_authority_type: ValidationAuthorityType,
    /// In which country.
    pub validation_authority_country: Option<String>,
    /// Where they are found.
    #[kmip(tag = ValidationAuthorityURI)]
    pub validation_authority_uri: Option<String>,
    /// Against which version, first number.
    pub validation_version_major: i32,
    /// Second number.
    pub validation_version_minor: Option<i32>,
    /// Of what.
    pub validation_type: ValidationType,
    /// To which level.
    pub validation_level: i32,
    /// The certificate.
    pub validation_certificate_identifier: Option<String>,
    /// Where the certificate is found.
    #[kmip(tag = ValidationCertificateURI)]
    pub validation_certificate_uri: Option<String>,
    /// Where the vendor is found.
    #[kmip(tag = ValidationVendorURI)]
    pub validation_vendor_uri: Option<String>,
    /// The profiles.
    #[kmip(tag = ValidationProfile)]
    pub validation_profiles: Vec<String>,
}

/// What the server can do besides operations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Wire)]
pub struct CapabilityInformation {
    /// Multi-part operations.
    pub streaming_capability: Option<bool>,
    /// Asynchronous operations.
    pub asynchronous_capability: Option<bool>,
    /// Attestation.
    pub attestation_capability: Option<bool>,
    /// Batches that are undone.
    #[kmip(since = "1.4")]
    pub batch_undo_capability: Option<bool>,
    /// Batches that continue.
    #[kmip(since = "1.4")]
    pub batch_continue_capability: Option<bool>,
    /// What becomes of a wrapped key.
    pub unwrap_mode: Option<UnwrapMode>,
    /// What becomes of a destroyed object.
    pub destroy_action: Option<DestroyAction>,
    /// How it is destroyed.
    pub shredding_algorithm: Option<ShreddingAlgorithm>,
    /// Whose the random number generator is.
    #[kmip(tag = RNGMode)]
    pub rng_mode: Option<RNGMode>,
    /// Algorithms that withstand quantum computers.
    #[kmip(since = "2.0")]
    pub quantum_safe_capability: Option<bool>,
}

/// The attributes that objects get unless told otherwise.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct DefaultsInformation {
    /// By type of object.
    pub object_defaults: Vec<ObjectDefaults>,
}

/// The attributes that objects of one type get unless told otherwise.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct ObjectDefaults {
    /// The type.
    pub object_type: Option<ObjectType>,
    /// Several types.
    #[kmip(since = "2.1")]
    pub object_types: Option<ObjectTypes>,
    /// The attributes.
    pub attributes: Attributes,
    /// In which groups.
    #[kmip(since = "2.1")]
    pub object_groups: Option<ObjectGroups>,
}

/// Types of objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Wire)]
pub struct ObjectTypes {
    /// The types.
    #[kmip(tag = ObjectType)]
    pub object_types: Vec<ObjectType>,
}

/// Groups of objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Wire)]
pub struct ObjectGroups {
    /// The groups.
    #[kmip(tag = ObjectGroup)]
    pub object_groups: Vec<String>,
}
