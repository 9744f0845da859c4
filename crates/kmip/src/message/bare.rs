//! Bare operations: an item named like the operation, with the fields of its payload, in the
//! newest version. No part of the specification; other servers' clients speak it over HTTP.
//!
//! Must not know HTTP.

use ttlv::{Item, Tag, Value};

use crate::Version;
use crate::enumerations::Operation;
use crate::operation::{Request, Response};
use crate::tag::{self, BARE_REQUEST, BARE_RESPONSE};
use crate::wire;

/// Why an item is no bare operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BareError {
    /// The item is named like no operation.
    #[error("{} is not an operation", tag::Shown(*.0))]
    NotAnOperation(Tag),
    /// The operation is not there.
    #[error("operation {0} is not supported")]
    Unsupported(Operation),
    /// Its payload is not well-formed.
    #[error("{0}")]
    Payload(wire::Error),
}

/// The operation that an item of this tag asks for.
pub fn bare_operation(tag: Tag) -> Option<Operation> {
    code(tag, BARE_REQUEST)
}

fn code(tag: Tag, base: u32) -> Option<Operation> {
    let operation = Operation(tag.0.checked_sub(base)?);
    operation.name().map(|_| operation)
}

/// Reads a bare request.
pub fn read_bare(item: Item<'_>) -> Result<Request, BareError> {
    let operation = bare_operation(item.tag).ok_or(BareError::NotAnOperation(item.tag))?;
    Request::from_value(operation, item.value, Version::NEWEST).map_err(sort)
}

/// Reads a bare response.
pub fn read_bare_response(item: Item<'_>) -> Result<Response, BareError> {
    let operation = code(item.tag, BARE_RESPONSE).ok_or(BareError::NotAnOperation(item.tag))?;
    Response::from_value(operation, item.value, Version::NEWEST).map_err(sort)
}

/// Writes a bare response.
pub fn write_bare(response: &Response) -> Result<Item<'_>, wire::Error> {
    let tag = Tag(BARE_RESPONSE + response.operation().0);
    let mut item = Item { tag, value: response.to_value(Version::NEWEST)? };
    if matches!(response, Response::GetAttributes(_) | Response::Export(_)) {
        respell(&mut item);
    }
    Ok(item)
}

/// The clients of bare operations know the rotation policy by other types than the
/// specification's, and refuse these.
fn respell(item: &mut Item<'_>) {
    match (item.tag, &mut item.value) {
        (tag::RotateInterval | tag::RotateOffset, Value::Interval(seconds)) => {
            item.value = Value::LongInteger((*seconds).into());
        }
        (tag::RotateName, Value::Structure(fields)) if !fields.is_empty() => {
            let name = fields.swap_remove(0);
            item.value = name.value;
        }
        (_, Value::Structure(fields)) => fields.iter_mut().for_each(respell),
        _ => {}
    }
}

/// Writes a bare request.
pub fn write_bare_request(request: &Request) -> Result<Item<'_>, wire::Error> {
    let tag = Tag(BARE_REQUEST + request.operation().0);
    Ok(Item { tag, value: request.to_value(Version::NEWEST)? })
}

fn sort(error: wire::Error) -> BareError {
    match error {
        wire::Error::UnknownOperation(operation) => BareError::Unsupported(operation),
        other => BareError::Payload(other),
    }
}
