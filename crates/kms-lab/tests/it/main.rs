//! The laboratory's programs as people call them.

#![expect(clippy::unwrap_used, reason = "tests")]

mod db;
mod edgelessdb;
