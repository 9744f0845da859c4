//! A real server on a free port, and what tests share.
//!
//! Everything here fails by panicking with what went wrong: it is for tests alone. It knows the
//! server's program and its HTTP, and none of its insides.

#![expect(clippy::panic, clippy::missing_panics_doc, reason = "a test fails by panicking")]

pub mod browser;
pub mod certificates;
pub mod chromium;
pub mod database;
pub mod http;
pub mod issuer;
pub mod machine;
pub mod pebble;
pub mod provider;
pub mod proxy;
pub mod server;
pub mod tls;
