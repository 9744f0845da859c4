//! What a caller may cost before anybody knows who it is: sizes, counts and times.
//!
//! Everything that comes from outside has a bound, and the bounds of the transport stand here. The
//! core has its own for what a message asks for.

use std::time::Duration;

use ttlv::Limits as TtlvLimits;

/// The header of a request: its lines together.
pub(crate) const HEADER_BYTES: usize = 32 << 10;
/// The body of a request that is not KMIP.
pub(crate) const SMALL_BODY_BYTES: usize = 64 << 10;
/// What is set aside for a body on the word of its `Content-Length` alone.
pub(crate) const TRUSTED_BODY_BYTES: usize = 64 << 10;
/// What grows by this factor at a time, once so much has come.
pub(crate) const GROWTH: usize = 16;
/// A byte string that is kept apart from the binary message around it rather than copied.
pub(crate) const LONG_BYTES: usize = 64 << 10;
/// The bodies that are larger than that, of all connections together.
pub(crate) const BODIES_BYTES: usize = 512 << 20;
/// The longest text that is decoded by the thread that answers, which many connections share.
pub(crate) const QUICK_BYTES: usize = 4 << 20;
/// An identifier or a user's name in a path or in a body that is not KMIP.
pub(crate) const NAME_BYTES: usize = 1024;
/// Objects in one piece of a listing.
pub(crate) const PAGE_OBJECTS: usize = 500;

/// The bounds that can be chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The body of a KMIP request.
    pub(crate) body: usize,
    /// Open connections.
    pub(crate) connections: usize,
    /// From the first byte of a request to the last of its header.
    pub(crate) header: Duration,
    /// From the end of the header to the end of the body.
    pub(crate) request: Duration,
    /// Without a byte in either direction, between requests.
    pub(crate) idle: Duration,
    /// From the first signal to the end.
    pub(crate) stop: Duration,
}

impl Limits {
    /// The bounds for the codecs.
    pub(crate) fn ttlv(&self) -> TtlvLimits {
        TtlvLimits { bytes: self.body, ..TtlvLimits::DEFAULT }
    }
}
