//! The record of every decision, in a chain that shows what was changed.
//!
//! Knows lines and keys of a chain; not what an operation is, nor where a database is.

mod chain;
mod files;
mod line;
mod log;
mod read;
mod sink;
mod verify;

pub use chain::{BEGINNING, LENGTH, Position};
pub use files::{Files, Refused};
pub use line::{Body, OWN, TEXT_MAX};
pub use log::{Failure, Log, Setup, Sync, Ticket};
pub use read::{end, since, text};
pub use sink::{Flush, Part, Sink, Source};
pub use verify::{Epoch, Expected, Finding, Note, START, STOP, Summary, Verdict, What, verify};
