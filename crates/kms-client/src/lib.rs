//! A client of a KMIP server over HTTP: send a typed request, get a typed response.
//!
//! It knows the protocol (crate `kmip`) and how to carry it; it must not know how a server works,
//! how a user types a command, or where configuration rests.
//!
//! # What it promises
//!
//! - One [`Client`] may be shared by many tasks; connections are kept and used again.
//! - No redirect is followed and no proxy is used: keys go to the address that was named, or nowhere.
//! - A request is sent a second time only when nothing of it can have reached the server.
//! - Answers are bounded in size and in time ([`Profile`]).
//! - No error holds a byte of a key or of a plaintext.

mod error;
mod profile;
mod rest;
mod transport;

pub use error::{Error, Failure};
pub use profile::Profile;
pub use rest::{Access, Granted, Health, Me, Owned, ServerInfo};

use transport::Transport;

/// A connection to one server, for one caller.
#[derive(Debug)]
pub struct Client {
    transport: Transport,
}

impl Client {
    /// A client of the server that `profile` names. Nothing is sent yet.
    ///
    /// # Errors
    /// When the URL is none that this build can speak to.
    pub fn new(profile: Profile) -> Result<Self, Error> {
        Ok(Self { transport: Transport::new(profile)? })
    }

    /// The server's address, as given.
    pub fn url(&self) -> &str {
        &self.transport.profile().url
    }
}
