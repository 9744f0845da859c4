//! The requests that we make to others: who is trusted, what may be reached, how much is read.
//!
//! Knows nothing of tokens, keys or certificates' contents; it fetches bytes within limits.

mod call;
mod reach;
mod trust;

pub use call::{Answer, CallError, Caller, Cause, Request};
pub use reach::Reach;
pub use trust::{Trust, TrustError};
