//! The promises of this crate, against a real authority, real handshakes and real files.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod authority;
mod clients;
mod faults;
mod files;
mod renewal;
mod restart;
mod scan;
mod setup;
