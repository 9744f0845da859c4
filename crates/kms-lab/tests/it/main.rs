//! The laboratory's programs as people call them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod db;
mod edgelessdb;
