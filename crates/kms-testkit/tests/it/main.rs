//! That the test kit does what tests rely on.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod databases;
mod machine;
mod proxy;
