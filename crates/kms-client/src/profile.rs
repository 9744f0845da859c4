//! Which server, and how patient to be with it.
//!
//! A plain value; it must not know where it was read from.

use std::time::Duration;

/// How a [`crate::Client`] reaches its server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Profile {
    /// Where the server is: `http://host[:port][/prefix]`.
    pub url: String,
    /// How long a connection may take to open.
    pub connect_timeout: Duration,
    /// How long a request may take, from the first byte sent to the last byte read.
    pub request_timeout: Duration,
    /// The largest answer that is read, in bytes.
    pub response_limit: usize,
    /// How many idle connections are kept.
    pub idle_connections: usize,
    /// Whether a token may go over a network without TLS, where whoever listens can use it.
    /// Within this machine it always may.
    pub token_in_clear: bool,
}

impl Profile {
    /// The server at `url`, with 10 s to connect, 120 s to answer, and answers up to 128 MiB.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_mins(2),
            response_limit: 128 << 20,
            idle_connections: 16,
            token_in_clear: false,
        }
    }
}
