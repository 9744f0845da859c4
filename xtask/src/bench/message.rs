//! The few requests that the benchmark sends, in JSON and in binary, written by hand so that the
//! load generator needs nothing of the project's.

use crate::http;

const JSON: &str = "application/json";
const BINARY: &str = "application/octet-stream";

/// A bare operation in JSON.
pub(crate) fn json(body: &str) -> Vec<u8> {
    http::request("POST", "/kmip/2_1", JSON, body.as_bytes())
}

/// Batch items of KMIP 2.1 in binary, as one message.
pub(crate) fn binary(items: &[Vec<u8>]) -> Vec<u8> {
    http::request("POST", "/kmip", BINARY, &message(items, None))
}

/// The same, undone as a whole when one fails: one commit.
pub(crate) fn binary_undo(items: &[Vec<u8>]) -> Vec<u8> {
    http::request("POST", "/kmip", BINARY, &message(items, Some(UNDO)))
}

/// The same, gone on with when one fails.
pub(crate) fn binary_continue(items: &[Vec<u8>]) -> Vec<u8> {
    http::request("POST", "/kmip", BINARY, &message(items, Some(CONTINUE)))
}

/// Batch Error Continuation Options.
const CONTINUE: u32 = 1;
const UNDO: u32 = 3;

fn message(items: &[Vec<u8>], on_error: Option<u32>) -> Vec<u8> {
    let version = [integer(0x42_006A, 2), integer(0x42_006B, 1)].concat();
    let mut header = structure(0x42_0069, &version);
    if let Some(option) = on_error {
        header.extend(enumeration(0x42_000E, option));
    }
    header.extend(integer(0x42_000D, u32::try_from(items.len()).unwrap_or(u32::MAX)));
    let mut body = structure(0x42_0077, &header);
    body.extend(items.concat());
    structure(0x42_0078, &body)
}

/// A batch item: the operation's code and its payload.
fn item(operation: u32, id: Option<u32>, payload: &[u8]) -> Vec<u8> {
    let mut body = enumeration(0x42_005C, operation);
    if let Some(id) = id {
        body.extend(bytes(0x42_0093, &id.to_be_bytes()));
    }
    body.extend(structure(0x42_0079, payload));
    structure(0x42_000F, &body)
}

/// Encrypt `plaintext`; the mode is the key's or the server's choice.
pub(crate) fn encrypt(id: &str, plaintext: &[u8]) -> Vec<u8> {
    item(0x1F, None, &[text(0x42_0094, id), bytes(0x42_00C2, plaintext)].concat())
}

/// Decrypt what Encrypt gave.
pub(crate) fn decrypt(id: &str, data: &[u8], nonce: &[u8], tag: &[u8]) -> Vec<u8> {
    let mut payload = [text(0x42_0094, id), bytes(0x42_00C2, data)].concat();
    payload.extend(bytes(0x42_003D, nonce));
    payload.extend(bytes(0x42_00FF, tag));
    item(0x20, None, &payload)
}

/// Get.
pub(crate) fn get(id: &str) -> Vec<u8> {
    item(0x0A, None, &text(0x42_0094, id))
}

/// Get Attributes: all of them.
pub(crate) fn get_attributes(id: &str) -> Vec<u8> {
    item(0x0B, None, &text(0x42_0094, id))
}

/// Create an AES-256 key that may encrypt and decrypt, with a name where one is given.
pub(crate) fn create(name: Option<&str>, batch_id: Option<u32>) -> Vec<u8> {
    let mut attributes = enumeration(0x42_0028, 3);
    attributes.extend(integer(0x42_002A, 256));
    attributes.extend(integer(0x42_002C, 12));
    if let Some(name) = name {
        let value = [text(0x42_0055, name), enumeration(0x42_0054, 1)].concat();
        attributes.extend(structure(0x42_0053, &value));
    }
    create_with(&attributes, batch_id)
}

/// The same with a key that may be used at once.
pub(crate) fn create_active(batch_id: u32) -> Vec<u8> {
    let mut attributes = date_time(0x42_0001, 1_700_000_000);
    attributes.extend(enumeration(0x42_0028, 3));
    attributes.extend(integer(0x42_002A, 256));
    attributes.extend(integer(0x42_002C, 12));
    create_with(&attributes, Some(batch_id))
}

fn create_with(attributes: &[u8], batch_id: Option<u32>) -> Vec<u8> {
    let payload = [enumeration(0x42_0057, 2), structure(0x42_0125, attributes)].concat();
    item(0x01, batch_id, &payload)
}

/// Locate by name.
pub(crate) fn locate(name: &str) -> Vec<u8> {
    let value = [text(0x42_0055, name), enumeration(0x42_0054, 1)].concat();
    let attributes = structure(0x42_0053, &value);
    item(0x08, None, &structure(0x42_0125, &attributes))
}

/// The bytes of the first item with `tag` in a message, wherever it is.
pub(crate) fn find(message: &[u8], tag: u32) -> Option<&[u8]> {
    let mut rest = message;
    while rest.len() >= 8 {
        let (head, body) = rest.split_at(8);
        let found = u32::from_be_bytes([0, *head.first()?, *head.get(1)?, *head.get(2)?]);
        let length = u32::from_be_bytes(head.get(4..8)?.try_into().ok()?);
        let length = usize::try_from(length).ok()?;
        if found == tag {
            return body.get(..length);
        }
        // A structure is gone into, anything else is stepped over.
        rest = if head.get(3) == Some(&1) { body } else { body.get(length.next_multiple_of(8)..)? };
    }
    None
}

fn head(tag: u32, kind: u8, length: usize) -> Vec<u8> {
    let [_, a, b, c] = tag.to_be_bytes();
    let mut out = vec![a, b, c, kind];
    out.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    out
}

fn structure(tag: u32, content: &[u8]) -> Vec<u8> {
    let mut out = head(tag, 1, content.len());
    out.extend_from_slice(content);
    out
}

fn padded(tag: u32, kind: u8, content: &[u8]) -> Vec<u8> {
    let mut out = head(tag, kind, content.len());
    out.extend_from_slice(content);
    out.resize(out.len().next_multiple_of(8), 0);
    out
}

fn integer(tag: u32, value: u32) -> Vec<u8> {
    padded(tag, 2, &value.to_be_bytes())
}

fn enumeration(tag: u32, value: u32) -> Vec<u8> {
    padded(tag, 5, &value.to_be_bytes())
}

fn date_time(tag: u32, seconds: u64) -> Vec<u8> {
    padded(tag, 9, &seconds.to_be_bytes())
}

fn text(tag: u32, value: &str) -> Vec<u8> {
    padded(tag, 7, value.as_bytes())
}

fn bytes(tag: u32, value: &[u8]) -> Vec<u8> {
    padded(tag, 8, value)
}
