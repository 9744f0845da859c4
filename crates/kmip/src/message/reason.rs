//! Result Reasons by version: 1.x has few of them, and what it lacks is told by the nearest it has
//! (2.1 specification section 11.46, 1.4 section 9.1.3.2.29).
//!
//! Must not know why anything failed.

use crate::Version;
use crate::enumerations::ResultReason as Reason;

/// The reason that `version` has for what 2.1 calls `reason`.
pub(super) fn nearest(reason: Reason, version: Version) -> Reason {
    if version >= Version::V2_0 {
        return reason;
    }
    if since(reason) <= version {
        return reason;
    }
    match reason {
        Reason::ObjectNotFound
        | Reason::ObjectDestroyed
        | Reason::AttributeNotFound
        | Reason::AttributeInstanceNotFound
        | Reason::WrappingObjectNotFound
        | Reason::WrappingObjectDestroyed
        | Reason::UnknownObjectGroup => Reason::ItemNotFound,
        Reason::WrongKeyLifecycleState
        | Reason::IncompatibleCryptographicUsageMask
        | Reason::UsageLimitExceeded
        | Reason::Sensitive
        | Reason::NotExtractable
        | Reason::AttributeReadOnly
        | Reason::ReadOnlyAttribute
        | Reason::NotAuthorised
        | Reason::ConstraintViolation => Reason::PermissionDenied,
        Reason::CodecError
        | Reason::UnknownTag
        | Reason::UnknownEnumeration
        | Reason::UnsupportedProtocolVersion => Reason::InvalidMessage,
        Reason::UnsupportedCryptographicParameters | Reason::BadCryptographicParameters => {
            Reason::CryptographicFailure
        }
        Reason::UnknownMessageExtension
        | Reason::KeyWrapTypeNotSupported
        | Reason::ProtectionStorageUnavailable
        | Reason::KeyValueNotPresent => Reason::FeatureNotSupported,
        Reason::ObjectAlreadyExists
        | Reason::NonUniqueNameAttribute
        | Reason::AttributeSingleValued
        | Reason::MultiValuedAttribute
        | Reason::InvalidAttribute
        | Reason::InvalidAttributeValue
        | Reason::UnsupportedAttribute
        | Reason::InvalidObjectType
        | Reason::IllegalObjectType
        | Reason::InvalidDataType
        | Reason::NumericRange
        | Reason::InvalidCorrelationValue
        | Reason::MissingInitializationVector => Reason::InvalidField,
        _ => Reason::GeneralFailure,
    }
}

/// The first version that has the reason.
fn since(reason: Reason) -> Version {
    match reason.0 {
        0x00..=0x11 | 0x100 => Version { major: 1, minor: 0 },
        0x12 => Version { major: 1, minor: 1 },
        0x13..=0x15 => Version { major: 1, minor: 2 },
        0x16..=0x18 => Version { major: 1, minor: 4 },
        _ => Version::V2_0,
    }
}
