//! What convinces this server of who is calling, and what does not.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod accepted;
mod api_token;
mod certificate;
mod closed;
mod keys;
mod provider;
mod refused;
mod world;
