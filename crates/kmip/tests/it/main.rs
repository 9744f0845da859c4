//! The types against the specification: spelling, versions, encodings, and what must be refused.
#![expect(clippy::unwrap_used, reason = "a test that fails here is a failed test")]

mod attributes;
mod names;
mod refusals;
mod round_trips;
mod samples;
mod spelling;
mod stored;
