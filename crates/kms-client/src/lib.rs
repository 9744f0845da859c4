//! A client of a KMIP server over HTTP: send a typed request, get a typed response.
//!
//! It knows the protocol (crate `kmip`) and how to carry it; it must not know how a server works,
//! how a user types a command, or where configuration rests.
//!
//! ```no_run
//! # async fn example() -> Result<(), kms_client::Error> {
//! use kmip::operation::DiscoverVersionsRequest;
//! use kms_client::{Client, Profile};
//!
//! let client = Client::new(Profile::new("http://localhost:9998"))?;
//! println!("server {}", client.version().await?);
//! let answer = client.call(DiscoverVersionsRequest::default()).await?;
//! println!("{} protocol versions", answer.protocol_versions.len());
//! # Ok(())
//! # }
//! ```
//!
//! # What it promises
//!
//! - One [`Client`] may be shared by many tasks; connections are kept and used again.
//! - No redirect is followed and no proxy is used: keys and tokens go to the address that was named,
//!   or nowhere.
//! - A token goes over a network in the clear only where the [`Profile`] allows it.
//! - A request is sent a second time only when nothing of it can have reached the server.
//! - Answers are bounded in size and in time ([`Profile`]).
//! - No error holds a byte of a key, of a plaintext or of a token.

mod call;
mod error;
mod message;
mod profile;
mod rest;
mod token;
mod transport;

pub use call::Call;
pub use error::{Error, Failure};
pub use message::{Batch, OnError};
pub use profile::Profile;
pub use rest::{Access, Change, Granted, Health, Me, Owned, ServerInfo};
pub use token::Token;

use kmip::operation::{Request, Response};
use transport::{BINARY, Transport};

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
        Ok(Self { transport: Transport::new(profile, message::said)? })
    }

    /// The same client, for the caller whose token this is: each request carries it.
    ///
    /// # Errors
    /// When the token would travel in the clear and the profile does not allow it.
    pub fn with_token(mut self, token: Token) -> Result<Self, Error> {
        self.transport.authorize(token)?;
        Ok(self)
    }

    /// Whether a token may be sent to this server, before there is one.
    ///
    /// # Errors
    /// When it would travel in the clear and the profile does not allow it.
    pub fn may_send_token(&self) -> Result<(), Error> {
        self.transport.may_send_token()
    }

    /// Whether the server is on this machine, so that nothing that is sent leaves it.
    pub fn is_local(&self) -> bool {
        self.transport.is_local()
    }

    /// Which server this is: scheme, host and port, in one spelling.
    ///
    /// A token that was made for one must not be sent to another.
    pub fn origin(&self) -> String {
        self.transport.origin()
    }

    /// The server's address, as given.
    pub fn url(&self) -> &str {
        &self.transport.profile().url
    }

    /// Sends one request and waits for its response.
    ///
    /// # Errors
    /// [`Error::Kmip`] when the server refuses; any other when there is no answer to trust.
    pub async fn call<C: Call>(&self, request: C) -> Result<C::Response, Error> {
        let response = self.perform(request.into()).await?;
        C::response(response).ok_or(Error::NotKmip {
            problem: "it answers another operation than the one that was asked".to_owned(),
        })
    }

    /// As [`Client::call`], where the operation is known only while running.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn perform(&self, request: Request) -> Result<Response, Error> {
        let answers = self.batch(Batch::new(vec![request])).await?;
        let first = answers.into_iter().next();
        Ok(first.ok_or_else(|| Error::NotKmip { problem: "its batch is empty".to_owned() })??)
    }

    /// Sends several requests in one message; the answers are in the order of the requests.
    ///
    /// There are fewer answers than requests when the batch was to stop at the first failure.
    ///
    /// # Errors
    /// When the message as a whole fails; a request that fails is an `Err` in the list.
    pub async fn batch(&self, batch: Batch) -> Result<Vec<Result<Response, Failure>>, Error> {
        let (body, count) = batch.encode()?;
        let answer = self.transport.post("/kmip", BINARY, body).await?;
        message::decode(&answer, count, self.transport.profile().response_limit)
    }
}
