//! What the crate promises, tested from outside: known answers, properties, formats.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where its expectation does"
)]

mod format;
mod properties;
mod rsa;
mod vectors;
