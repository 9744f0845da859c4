//! A request that comes again: what makes two requests the same, and the answer as it is kept.
//!
//! Must not know where an answer is kept, nor for how long.

use ttlv::{Item, Tag, Value};

use super::RequestItem;
use crate::Version;
use crate::enumerations::{BatchErrorContinuationOption, Operation};
use crate::operation::Response;
use crate::stored;
use crate::tag::{self, BARE_RESPONSE};
use crate::wire::{Error, Wire};

/// What tells a request from others: the version, what becomes of the batch when an item fails, and
/// what each item asks for. Not what may differ when the same is sent again: the encoding, the time
/// stamp, correlation values, credentials, and what the client calls the items.
///
/// The bytes hold all of the request, a key that is registered too; they are wiped.
pub fn identity(
    version: Version,
    option: Option<BatchErrorContinuationOption>,
    items: &[RequestItem],
) -> Result<zeroize::Zeroizing<Vec<u8>>, Error> {
    let mut parts = Vec::with_capacity(items.len() + 1);
    let header = super::ProtocolVersion::from(version);
    parts.push(Item { tag: tag::ProtocolVersion, value: header.to_value(version)? });
    if let Some(option) = &option {
        let value = option.to_value(version)?;
        parts.push(Item { tag: tag::BatchErrorContinuationOption, value });
    }
    for item in items {
        let mut fields =
            vec![Item { tag: tag::Operation, value: item.operation.to_value(version)? }];
        // What is no request of its operation is refused each time, and nothing is kept of it.
        if let Ok(request) = &item.payload {
            fields.push(Item { tag: tag::RequestPayload, value: request.to_value(version)? });
        }
        parts.push(Item { tag: tag::BatchItem, value: Value::Structure(fields) });
    }
    stored::encode(&Item { tag: tag::RequestMessage, value: Value::Structure(parts) })
}

/// An answer as bytes, in the version of its request.
pub fn write_kept(response: &Response, version: Version) -> Result<Vec<u8>, Error> {
    let tag = Tag(BARE_RESPONSE + response.operation().0);
    let item = Item { tag, value: response.to_value(version)? };
    stored::encode(&item).map(|bytes| bytes.to_vec())
}

/// The reverse.
pub fn read_kept(bytes: &[u8], version: Version) -> Result<Response, Error> {
    let item = stored::decode(bytes)?;
    let operation = item.tag.0.checked_sub(BARE_RESPONSE).map(Operation);
    let operation = operation.ok_or(Error::Unexpected(item.tag))?;
    Response::from_value(operation, item.value, version)
}
