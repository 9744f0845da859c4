//! A real server on a free port, and what tests share.
//!
//! Everything here fails by panicking with what went wrong: it is for tests alone. It knows the
//! server's program and its HTTP, and none of its insides.

#![expect(clippy::panic, clippy::missing_panics_doc, reason = "a test fails by panicking")]

pub mod browser;
pub mod chromium;
pub mod http;
pub mod issuer;
pub mod provider;
pub mod server;
pub mod tls;
