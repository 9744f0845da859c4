//! A file of sealed items, written and read from its beginning to its end with one item in memory.
//!
//! The header says how the key is found and is bound to it; each item is a frame of its own, sealed
//! with its number and with whether it is the last. A frame that was changed, left out, put in, moved,
//! or taken from another archive does not open, and an archive without its last frame has no end. The
//! layout is in `docs/archive.md`. This crate must never know what the items are.
#![warn(clippy::arithmetic_side_effects)]

mod error;
mod frame;
mod header;
mod key;

pub use error::Error;
pub use frame::{Frame, ITEM_MAX, Reader, Writer};
pub use header::HEADER_LENGTH;
pub use key::Key;
