//! Headers of messages, and the credentials in them.
//!
//! Must not know who a caller is, nor what an item of the batch asks for.

use kmip_derive::Wire;
use ttlv::{Item, Number, Value};

use crate::enumerations::{
    AsynchronousIndicator, AttestationType, BatchErrorContinuationOption, CredentialType,
};
use crate::wire::{
    Bytes, DateTime, Error, SecretText, StructWriter, Wire, put, required, structure,
};
use crate::{Version, tag};

/// A version as messages write it; it may be one that is not spoken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
pub struct ProtocolVersion {
    /// The first number.
    #[kmip(tag = ProtocolVersionMajor)]
    pub major: i32,
    /// The second number.
    #[kmip(tag = ProtocolVersionMinor)]
    pub minor: i32,
}

impl ProtocolVersion {
    /// The version, if it is spoken here.
    pub fn known(self) -> Option<Version> {
        Version::known(self.major, self.minor)
    }
}

impl From<Version> for ProtocolVersion {
    fn from(version: Version) -> Self {
        Self { major: version.major.into(), minor: version.minor.into() }
    }
}

/// The header of a request.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct RequestHeader {
    /// The version.
    pub protocol_version: ProtocolVersion,
    /// The longest answer the client takes, in bytes of binary TTLV.
    pub maximum_response_size: Option<i32>,
    /// What the client calls this exchange.
    #[kmip(since = "1.4")]
    pub client_correlation_value: Option<String>,
    /// What the server called the exchange before.
    #[kmip(since = "1.4")]
    pub server_correlation_value: Option<String>,
    /// Whether the answer may come later.
    pub asynchronous_indicator: Option<Asynchrony>,
    /// Whether the client can prove what it runs.
    #[kmip(since = "1.2")]
    pub attestation_capable_indicator: Option<bool>,
    /// In which ways.
    #[kmip(tag = AttestationType, since = "1.2")]
    pub attestation_types: Vec<AttestationType>,
    /// Who the client says it is.
    pub authentication: Option<Authentication>,
    /// What becomes of the batch when an item fails.
    pub batch_error_continuation_option: Option<BatchErrorContinuationOption>,
    /// Whether the items depend on their order.
    pub batch_order_option: Option<bool>,
    /// The client's clock.
    pub time_stamp: Option<DateTime>,
    /// How many items there are.
    pub batch_count: Option<i32>,
}

impl RequestHeader {
    /// The header of `count` items and nothing more.
    pub fn new(version: Version, count: i32) -> Self {
        Self {
            protocol_version: version.into(),
            maximum_response_size: None,
            client_correlation_value: None,
            server_correlation_value: None,
            asynchronous_indicator: None,
            attestation_capable_indicator: None,
            attestation_types: Vec::new(),
            authentication: None,
            batch_error_continuation_option: None,
            batch_order_option: None,
            time_stamp: None,
            batch_count: Some(count),
        }
    }

    /// The version, which `message::read` has made sure is spoken here.
    pub fn version(&self) -> Version {
        self.protocol_version.known().unwrap_or(Version::NEWEST)
    }
}

/// The header of a response.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct ResponseHeader {
    /// The version.
    pub protocol_version: ProtocolVersion,
    /// The server's clock.
    pub time_stamp: DateTime,
    /// A nonce, for an attestation.
    #[kmip(since = "1.2")]
    pub nonce: Option<Nonce>,
    /// Proof that the server knows the password.
    #[kmip(since = "2.0")]
    pub server_hashed_password: Option<Bytes>,
    /// The attestations the server takes.
    #[kmip(tag = AttestationType, since = "1.2")]
    pub attestation_types: Vec<AttestationType>,
    /// What the client called this exchange.
    #[kmip(since = "1.4")]
    pub client_correlation_value: Option<String>,
    /// What the server calls it.
    #[kmip(since = "1.4")]
    pub server_correlation_value: Option<String>,
    /// How many items there are.
    pub batch_count: Option<i32>,
}

impl ResponseHeader {
    /// The header of `count` items and nothing more.
    pub fn new(version: Version, time_stamp: DateTime, count: i32) -> Self {
        Self {
            protocol_version: version.into(),
            time_stamp,
            nonce: None,
            server_hashed_password: None,
            attestation_types: Vec::new(),
            client_correlation_value: None,
            server_correlation_value: None,
            batch_count: Some(count),
        }
    }
}

/// A nonce for an attestation.
#[derive(Clone, Debug, PartialEq, Eq, Wire)]
pub struct Nonce {
    /// Its name.
    #[kmip(tag = NonceID)]
    pub nonce_id: Bytes,
    /// Its value.
    pub nonce_value: Bytes,
}

/// Whether an answer may come later: a boolean until 1.4, an enumeration since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asynchrony(pub AsynchronousIndicator);

impl Wire for Asynchrony {
    fn to_value(&self, version: Version) -> Result<Value<'_>, Error> {
        if version < Version::V2_0 {
            return Ok(Value::Boolean(self.0 != AsynchronousIndicator::Prohibited));
        }
        self.0.to_value(version)
    }

    fn from_value(value: Value<'_>, version: Version) -> Result<Self, Error> {
        Ok(Self(match value {
            Value::Boolean(true) if version < Version::V2_0 => AsynchronousIndicator::Optional,
            Value::Boolean(false) if version < Version::V2_0 => AsynchronousIndicator::Prohibited,
            value if version >= Version::V2_0 => Wire::from_value(value, version)?,
            _ => return Err(Error::WrongType { expected: "a boolean" }),
        }))
    }
}

/// Who the client says it is; one credential in 1.0 and 1.1.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct Authentication {
    /// The credentials.
    #[kmip(tag = Credential)]
    pub credentials: Vec<Credential>,
}

/// What a client offers to prove who it is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Credential {
    /// A name and a password.
    UsernameAndPassword(UsernameAndPassword),
    /// A device.
    Device(Device),
    /// Another kind: known, and not read here.
    Other(CredentialType),
}

/// A name and a password.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct UsernameAndPassword {
    /// The name.
    pub username: String,
    /// The password.
    pub password: Option<SecretText>,
}

/// A device.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct Device {
    /// Its serial number.
    pub device_serial_number: Option<String>,
    /// Its password.
    pub password: Option<SecretText>,
    /// Its name.
    pub device_identifier: Option<String>,
    /// Its network.
    pub network_identifier: Option<String>,
    /// The machine it is in.
    pub machine_identifier: Option<String>,
    /// The medium in it.
    pub media_identifier: Option<String>,
}

impl Wire for Credential {
    fn to_value(&self, version: Version) -> Result<Value<'_>, Error> {
        let mut writer = StructWriter::new(version, 2);
        let (kind, value) = match self {
            Self::UsernameAndPassword(it) => {
                (CredentialType::UsernameAndPassword, it.to_value(version)?)
            }
            Self::Device(it) => (CredentialType::Device, it.to_value(version)?),
            Self::Other(_) => return Err(Error::Unsupported("this type of credential")),
        };
        let number = match kind.name() {
            Some(name) => Number::Both(kind.0, name.into()),
            None => Number::Code(kind.0),
        };
        writer.push(Item { tag: tag::CredentialType, value: Value::Enumeration(number) });
        writer.push(Item { tag: tag::CredentialValue, value });
        Ok(writer.finish())
    }

    fn from_value(value: Value<'_>, version: Version) -> Result<Self, Error> {
        let (mut kind, mut found) = (None, None);
        for item in structure(value)? {
            match item.tag {
                tag::CredentialType => put(&mut kind, item, version)?,
                tag::CredentialValue if found.is_none() => found = Some(item.value),
                tag => return Err(Error::Unexpected(tag)),
            }
        }
        let value = found.ok_or(Error::Missing(tag::CredentialValue))?;
        let read = match required(kind, Some(tag::CredentialType), version)? {
            CredentialType::UsernameAndPassword => {
                Wire::from_value(value, version).map(Self::UsernameAndPassword)
            }
            CredentialType::Device => Wire::from_value(value, version).map(Self::Device),
            other => Ok(Self::Other(other)),
        };
        read.map_err(|error| error.at(tag::CredentialValue))
    }
}
