//! The program as its users run it: alone, and against a real server and a real identity provider.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod commands;
mod login;
mod sharing;
mod user;
mod world;
