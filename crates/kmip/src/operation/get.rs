//! Get (2.1 specification, section 6.1.22).
//!
//! Must not know how keys are converted or wrapped.

use kmip_derive::Wire;

use crate::enumerations::{KeyCompressionType, KeyFormatType, KeyWrapType, ObjectType};
use crate::identifier::UniqueIdentifier;
use crate::object::{KeyWrappingSpecification, Object};

/// Asks for an object.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct GetRequest {
    /// The object; the batch's placeholder where absent.
    pub unique_identifier: Option<UniqueIdentifier>,
    /// The form wanted.
    pub key_format_type: Option<KeyFormatType>,
    /// Whether a key kept wrapped is wanted so.
    #[kmip(since = "1.4")]
    pub key_wrap_type: Option<KeyWrapType>,
    /// The form of an elliptic curve point wanted.
    pub key_compression_type: Option<KeyCompressionType>,
    /// How to wrap it.
    pub key_wrapping_specification: Option<Box<KeyWrappingSpecification>>,
}

/// The object.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct GetResponse {
    /// What it is.
    pub object_type: ObjectType,
    /// Its identifier.
    pub unique_identifier: String,
    /// The object.
    #[kmip(object)]
    pub object: Object,
}
