//! The record of every decision, in a chain that shows what was changed.
//!
//! Knows lines and keys of a chain; not what an operation is, nor where a database is.
