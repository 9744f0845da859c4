//! What a record says. Must never be given a key, a plaintext or a token.

use std::net::SocketAddr;

use kms_audit::Body;

use crate::principal::{Caller, Principal, RequestId};

/// What somebody did, or was refused.
#[derive(Clone, Copy, Debug, Default)]
pub struct Act<'a> {
    /// The operation's name.
    pub operation: &'static str,
    /// The objects that it was about: the one that it names first, then those that it reached or
    /// made.
    pub objects: &'a [String],
    /// Another user, to whom something is granted, or whom a token lets in.
    pub user: Option<&'a str>,
    /// What was granted, or the name of what was made.
    pub detail: Option<&'a str>,
}

/// The operation of a request that could not be read, or was refused as a whole.
pub const REQUEST: &str = "Request";

/// The result of what was done.
pub(super) const SUCCESS: &str = "Success";
/// Of what was done and taken back with the rest of its batch.
pub(crate) const UNDONE: &str = "Undone";

/// The most objects that one record names.
const OBJECTS_MAX: usize = 16;

/// Who asked, as far as that is known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Who<'a> {
    pub(super) principal: Option<&'a Principal>,
    pub(super) peer: Option<SocketAddr>,
    pub(super) request: RequestId<'a>,
}

impl<'a> From<Caller<'a>> for Who<'a> {
    fn from(caller: Caller<'a>) -> Self {
        let Caller { principal, peer, request } = caller;
        Self { principal: Some(principal), peer, request }
    }
}

/// Writes the body of a record.
pub(super) fn write<'a>(
    out: &'a mut Vec<u8>,
    time_ms: i64,
    who: Who<'_>,
    act: &Act<'_>,
    result: &str,
) -> Body<'a> {
    let mut body = Body::begin(out, time_ms);
    match who.request {
        RequestId::None => {}
        RequestId::Given(text) => drop(body.text("request", text)),
        RequestId::Made { process, number } => drop(body.pair("request", process, number)),
    }
    if let Some(principal) = who.principal {
        body.text("user", principal.user()).text("scheme", principal.scheme());
    }
    if let Some(peer) = who.peer {
        body.address("peer", peer);
    }
    body.text("operation", act.operation);
    if let Some((object, further)) = act.objects.split_first() {
        body.text("object", object);
        if !further.is_empty() {
            body.texts("objects", further.iter().take(OBJECTS_MAX).map(String::as_str));
        }
        if further.len() > OBJECTS_MAX {
            body.number("unnamed", (further.len() - OBJECTS_MAX) as u64);
        }
    }
    for (name, text) in [("for", act.user), ("detail", act.detail)] {
        if let Some(text) = text {
            body.text(name, text);
        }
    }
    body.text("result", result);
    body
}
