//! Messages: a header and a batch of items; and bare operations, which have neither.
//!
//! Must not know what any operation does, nor how messages travel.

mod bare;
mod extension;
mod header;
mod reason;
mod repeated;

use ttlv::{Item, Value};

pub use bare::{
    BareError, bare_operation, read_bare, read_bare_response, write_bare, write_bare_request,
};
pub use extension::VENDOR as EXTENSION_VENDOR;
pub use header::{
    Asynchrony, Authentication, Credential, Device, Nonce, ProtocolVersion, RequestHeader,
    ResponseHeader, UsernameAndPassword,
};
pub use repeated::{identity, read_kept, write_kept};

use self::extension::Extension;
use crate::enumerations::{Operation, ResultReason, ResultStatus};
use crate::operation::{Request, Response};
use crate::wire::{self, Bytes, StructWriter, Wire, put, read as read_value, required, structure};
use crate::{Version, tag};

/// A request and its header.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestMessage {
    /// The header.
    pub header: RequestHeader,
    /// The batch.
    pub items: Vec<RequestItem>,
}

impl RequestMessage {
    /// One request and nothing more.
    pub fn single(version: Version, request: Request) -> Self {
        let item = RequestItem::new(request);
        Self { header: RequestHeader::new(version, 1), items: vec![item] }
    }
}

/// A response and its header.
#[derive(Clone, Debug, PartialEq)]
pub struct ResponseMessage {
    /// The header.
    pub header: ResponseHeader,
    /// The batch.
    pub items: Vec<ResponseItem>,
}

/// One request of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestItem {
    /// What it asks for.
    pub operation: Operation,
    /// Whether the server is to keep the data it answers to itself.
    pub ephemeral: Option<bool>,
    /// What the response will repeat.
    pub id: Option<Bytes>,
    /// The request; or why its payload is none, so that the other items can be answered.
    pub payload: Result<Request, wire::Error>,
    /// What the client calls the request, so that doing it twice is doing it once: from the one
    /// extension that is understood here, of the vendor [`EXTENSION_VENDOR`].
    pub idempotency_key: Option<String>,
    /// Whether it carries an extension that must be understood, and is not.
    pub critical_extension: bool,
}

impl RequestItem {
    /// A request and nothing more.
    pub fn new(request: Request) -> Self {
        Self {
            operation: request.operation(),
            ephemeral: None,
            id: None,
            payload: Ok(request),
            idempotency_key: None,
            critical_extension: false,
        }
    }
}

/// One response of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct ResponseItem {
    /// What was asked for, where that was understood.
    pub operation: Option<Operation>,
    /// What the request gave.
    pub id: Option<Bytes>,
    /// How it went.
    pub status: ResultStatus,
    /// Why it failed.
    pub reason: Option<ResultReason>,
    /// The same in words.
    pub message: Option<String>,
    /// How to ask for the answer later.
    pub asynchronous_correlation_value: Option<Bytes>,
    /// The answer.
    pub response: Option<Response>,
}

impl ResponseItem {
    /// An answer.
    pub fn success(response: Response) -> Self {
        Self {
            operation: Some(response.operation()),
            id: None,
            status: ResultStatus::Success,
            reason: None,
            message: None,
            asynchronous_correlation_value: None,
            response: Some(response),
        }
    }

    /// A failure.
    pub fn failure(operation: Option<Operation>, reason: ResultReason, message: String) -> Self {
        Self {
            operation,
            id: None,
            status: ResultStatus::OperationFailed,
            reason: Some(reason),
            message: Some(message),
            asynchronous_correlation_value: None,
            response: None,
        }
    }
}

/// Why a message could not be read at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct Error {
    /// The version to answer in, where the message named one that is spoken here.
    pub version: Option<Version>,
    /// What is wrong.
    pub cause: Cause,
}

/// What is wrong with a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The item is none.
    #[error("a {expected} is expected, not {}", tag::Shown(*.found))]
    NotAMessage {
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: ttlv::Tag,
    },
    /// The version is not spoken here.
    #[error("KMIP {major}.{minor} is not supported; 1.0 to 1.4, 2.0 and 2.1 are")]
    UnsupportedVersion {
        /// The first number.
        major: i32,
        /// The second number.
        minor: i32,
    },
    /// The batch is not as long as the header says.
    #[error("the header announces {announced} batch items, the message has {found}")]
    BatchCount {
        /// What the header says.
        announced: i32,
        /// How many there are.
        found: usize,
    },
    /// The header or an item is not well-formed.
    #[error("{0}")]
    Malformed(wire::Error),
}

impl Error {
    /// The reason a response gives.
    pub fn reason(&self) -> ResultReason {
        match &self.cause {
            Cause::UnsupportedVersion { .. } => ResultReason::UnsupportedProtocolVersion,
            _ => ResultReason::InvalidMessage,
        }
    }
}

/// Reads a request message. A payload that is wrong is an item's matter; the header and the
/// frame of the batch must be right.
pub fn read(item: Item<'_>) -> Result<RequestMessage, Error> {
    const NAMES: Frame = Frame {
        message: tag::RequestMessage,
        header: tag::RequestHeader,
        expected: "RequestMessage",
    };
    let (version, header, values) = frame(item, &NAMES)?;
    let fail = |error| Error { version: Some(version), cause: Cause::Malformed(error) };
    let header = RequestHeader::from_value(header, version)
        .map_err(|error| fail(error.at(tag::RequestHeader)))?;
    check_count(header.batch_count, values.len(), version)?;
    let mut items = Vec::with_capacity(values.len());
    for value in values {
        items.push(read_item(value, version).map_err(|error| fail(error.at(tag::BatchItem)))?);
    }
    Ok(RequestMessage { header, items })
}

/// Reads a response message.
pub fn read_response(item: Item<'_>) -> Result<ResponseMessage, Error> {
    const NAMES: Frame = Frame {
        message: tag::ResponseMessage,
        header: tag::ResponseHeader,
        expected: "ResponseMessage",
    };
    let (version, header, values) = frame(item, &NAMES)?;
    let fail = |error| Error { version: Some(version), cause: Cause::Malformed(error) };
    let header = ResponseHeader::from_value(header, version)
        .map_err(|error| fail(error.at(tag::ResponseHeader)))?;
    check_count(header.batch_count, values.len(), version)?;
    let items: Result<_, _> =
        values.into_iter().map(|it| read_response_item(it, version)).collect();
    Ok(ResponseMessage { header, items: items.map_err(|error| fail(error.at(tag::BatchItem)))? })
}

/// Writes a request message in the version of its header.
pub fn write_request(message: &RequestMessage, version: Version) -> Result<Item<'_>, wire::Error> {
    let mut writer = StructWriter::new(version, 1 + message.items.len());
    writer.required(Some(tag::RequestHeader), &message.header)?;
    for item in &message.items {
        writer.push(Item { tag: tag::BatchItem, value: write_item(item, version)? });
    }
    Ok(Item { tag: tag::RequestMessage, value: writer.finish() })
}

/// Writes a response message in `version`.
pub fn write(message: &ResponseMessage, version: Version) -> Result<Item<'_>, wire::Error> {
    let mut writer = StructWriter::new(version, 1 + message.items.len());
    writer.required(Some(tag::ResponseHeader), &message.header)?;
    for item in &message.items {
        writer.push(Item { tag: tag::BatchItem, value: write_response_item(item, version)? });
    }
    Ok(Item { tag: tag::ResponseMessage, value: writer.finish() })
}

/// What a message of one direction is called.
struct Frame {
    message: ttlv::Tag,
    header: ttlv::Tag,
    expected: &'static str,
}

/// Takes a message apart: its version, its header, its items.
fn frame<'a>(item: Item<'a>, names: &Frame) -> Result<(Version, Value<'a>, Vec<Value<'a>>), Error> {
    let fail = |error| Error { version: None, cause: Cause::Malformed(error) };
    if item.tag != names.message {
        let cause = Cause::NotAMessage { expected: names.expected, found: item.tag };
        return Err(Error { version: None, cause });
    }
    let items = structure(item.value).map_err(fail)?;
    let count = items.len().saturating_sub(1);
    let mut items = items.into_iter();
    let header = match items.next() {
        Some(first) if first.tag == names.header => first,
        _ => return Err(fail(wire::Error::Missing(names.header))),
    };
    let version = version_of(&header).map_err(|cause| Error { version: None, cause })?;
    let mut values = Vec::with_capacity(count);
    for item in items {
        if item.tag != tag::BatchItem {
            let cause = Cause::Malformed(wire::Error::Unexpected(item.tag));
            return Err(Error { version: Some(version), cause });
        }
        values.push(item.value);
    }
    Ok((version, header.value, values))
}

/// The version a header names: the first thing to know of it.
fn version_of(header: &Item<'_>) -> Result<Version, Cause> {
    let missing = || Cause::Malformed(wire::Error::Missing(tag::ProtocolVersion).at(header.tag));
    let found = header.child(tag::ProtocolVersion).ok_or_else(missing)?;
    let claimed: ProtocolVersion =
        read_value(found.clone(), Version::NEWEST).map_err(Cause::Malformed)?;
    let ProtocolVersion { major, minor } = claimed;
    claimed.known().ok_or(Cause::UnsupportedVersion { major, minor })
}

fn check_count(announced: Option<i32>, found: usize, version: Version) -> Result<(), Error> {
    match announced {
        Some(announced) if usize::try_from(announced) != Ok(found) => {
            let cause = Cause::BatchCount { announced, found };
            Err(Error { version: Some(version), cause })
        }
        _ => Ok(()),
    }
}

fn read_item(value: Value<'_>, version: Version) -> Result<RequestItem, wire::Error> {
    let (mut operation, mut ephemeral, mut id, mut payload) = (None, None, None, None);
    let (mut idempotency_key, mut critical_extension) = (None, false);
    for item in structure(value)? {
        match item.tag {
            tag::Operation => put(&mut operation, item, version)?,
            tag::Ephemeral if version >= Version::V2_0 => put(&mut ephemeral, item, version)?,
            tag::UniqueBatchItemID => put(&mut id, item, version)?,
            tag::RequestPayload if payload.is_none() => payload = Some(item.value),
            tag::MessageExtension => match extension::read(&item, version)? {
                Extension::Key(key) if idempotency_key.is_none() => idempotency_key = Some(key),
                Extension::Key(_) => return Err(wire::Error::Duplicate(tag::MessageExtension)),
                Extension::Other { critical } => critical_extension |= critical,
            },
            tag => return Err(wire::Error::Unexpected(tag)),
        }
    }
    let operation = required(operation, Some(tag::Operation), version)?;
    let payload = payload
        .ok_or(wire::Error::Missing(tag::RequestPayload))
        .and_then(|it| Request::from_value(operation, it, version));
    Ok(RequestItem { operation, ephemeral, id, payload, idempotency_key, critical_extension })
}

fn write_item(item: &RequestItem, version: Version) -> Result<Value<'_>, wire::Error> {
    let mut writer = StructWriter::new(version, 4);
    writer.required(Some(tag::Operation), &item.operation)?;
    writer.optional((version >= Version::V2_0).then_some(tag::Ephemeral), &item.ephemeral)?;
    writer.optional(Some(tag::UniqueBatchItemID), &item.id)?;
    let value = match &item.payload {
        Ok(request) => request.to_value(version)?,
        Err(error) => return Err(error.clone()),
    };
    writer.push(Item { tag: tag::RequestPayload, value });
    if let Some(key) = &item.idempotency_key {
        writer.push(extension::write(key));
    }
    Ok(writer.finish())
}

fn write_response_item(item: &ResponseItem, version: Version) -> Result<Value<'_>, wire::Error> {
    let mut writer = StructWriter::new(version, 7);
    writer.optional(Some(tag::Operation), &item.operation)?;
    writer.optional(Some(tag::UniqueBatchItemID), &item.id)?;
    writer.required(Some(tag::ResultStatus), &item.status)?;
    if let Some(reason) = item.reason {
        let reason = reason::nearest(reason, version);
        writer.push(Item {
            tag: tag::ResultReason,
            value: ResultReason::TABLE.enumeration(reason.0),
        });
    }
    writer.optional(Some(tag::ResultMessage), &item.message)?;
    writer
        .optional(Some(tag::AsynchronousCorrelationValue), &item.asynchronous_correlation_value)?;
    if let Some(response) = &item.response {
        writer.push(Item { tag: tag::ResponsePayload, value: response.to_value(version)? });
    }
    Ok(writer.finish())
}

fn read_response_item(value: Value<'_>, version: Version) -> Result<ResponseItem, wire::Error> {
    let (mut operation, mut id, mut status, mut reason) = (None, None, None, None);
    let (mut message, mut later, mut payload) = (None, None, None);
    for item in structure(value)? {
        match item.tag {
            tag::Operation => put(&mut operation, item, version)?,
            tag::UniqueBatchItemID => put(&mut id, item, version)?,
            tag::ResultStatus => put(&mut status, item, version)?,
            tag::ResultReason => put(&mut reason, item, version)?,
            tag::ResultMessage => put(&mut message, item, version)?,
            tag::AsynchronousCorrelationValue => put(&mut later, item, version)?,
            tag::ResponsePayload if payload.is_none() => payload = Some(item.value),
            tag::MessageExtension => {}
            tag => return Err(wire::Error::Unexpected(tag)),
        }
    }
    let response = match (operation, payload) {
        (Some(operation), Some(value)) => Some(Response::from_value(operation, value, version)?),
        _ => None,
    };
    Ok(ResponseItem {
        operation,
        id,
        status: required(status, Some(tag::ResultStatus), version)?,
        reason,
        message,
        asynchronous_correlation_value: later,
        response,
    })
}
