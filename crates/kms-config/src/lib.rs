//! One table of options: arguments, environment and files become one valid value.
//!
//! This crate reads the arguments, the environment and the `.env` file, and nothing else. It knows
//! what is *written* there, not what it is for: no other crate of the server is known here.

pub mod commands;
pub mod document;
pub mod exit;
mod layer;
pub mod options;
mod resolve;
pub mod value;

pub use layer::{Origin, Sources};
pub use options::{Config, OPTIONS, Row, Setting, Use};
pub use resolve::{Build, Invocation, Problem, Problems, Serve, resolve};
