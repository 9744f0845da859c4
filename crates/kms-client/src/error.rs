//! What can go wrong between a caller and a server, by cause.
//!
//! No error holds a byte of a key, of a plaintext, of a token or of a request.

use std::fmt;
use std::time::Duration;

use kmip::enumerations::{Operation, ResultReason};

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be one of a server.
    #[error("the address {url:?} cannot be used: {problem}")]
    Url {
        /// The address as given.
        url: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The address wants TLS, which this build does not speak.
    #[error("{url} wants HTTPS, and this build speaks http:// only")]
    TlsUnavailable {
        /// The address as given.
        url: String,
    },
    /// No connection could be opened.
    #[error("no connection to {address}: {source}")]
    Connect {
        /// Host and port.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It took too long.
    #[error("{address} did not {what} within {} s", .after.as_secs())]
    Timeout {
        /// Host and port.
        address: String,
        /// What it should have done.
        what: &'static str,
        /// The limit of the profile.
        after: Duration,
    },
    /// The connection broke before the whole answer was there.
    #[error("the connection to {address} broke: {source}")]
    Broken {
        /// Host and port.
        address: String,
        /// What happened.
        source: hyper::Error,
    },
    /// The answer is larger than the profile allows.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The limit of the profile.
        limit: usize,
    },
    /// The server sent us elsewhere, where we do not go.
    #[error("the server answered {status}, a redirection to {location:?}, which is not followed")]
    Redirected {
        /// The HTTP status.
        status: u16,
        /// Where it pointed.
        location: String,
    },
    /// The text cannot be a token.
    #[error("the token cannot be used: {problem}")]
    Token {
        /// What is wrong with it; nothing of it.
        problem: &'static str,
    },
    /// The token would be readable to whoever listens on the way.
    #[error("the token is not sent to {origin}: without HTTPS, whoever listens could use it")]
    TokenInClear {
        /// Scheme, host and port.
        origin: String,
    },
    /// The server does not know who is calling.
    #[error("the server does not accept this caller: {message}")]
    Unauthenticated {
        /// What the server said.
        message: String,
        /// Whether a token was sent, which then has run out or is not accepted.
        token_sent: bool,
    },
    /// The server cannot answer now and says when to ask again.
    #[error("the server cannot answer now ({status}): {message}")]
    Later {
        /// The HTTP status.
        status: u16,
        /// What the server said, cut to one line.
        message: String,
        /// After how many seconds it is worth asking again.
        seconds: u32,
    },
    /// The server refused with an HTTP status.
    #[error("the server answered {status}: {message}")]
    Http {
        /// The HTTP status.
        status: u16,
        /// What the server said, cut to one line.
        message: String,
    },
    /// What came back is no answer of a KMIP server.
    #[error("the answer cannot be understood: {problem}")]
    NotKmip {
        /// Why not; no value of it.
        problem: String,
    },
    /// The request cannot be expressed in the protocol.
    #[error("the request cannot be written: {problem}")]
    Request {
        /// Why not.
        problem: String,
    },
    /// The server understood the request and refused it.
    #[error("{0}")]
    Kmip(#[from] Failure),
}

impl Error {
    /// What a caller may do about it, where that does not depend on the request.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Url { .. } => "an address looks like http://localhost:9998",
            Self::TlsUnavailable { .. } => "use http://, on a network that you trust",
            Self::Connect { .. } => "is the server running, and is this its address?",
            Self::Timeout { .. } => "is the server reachable, and not overloaded?",
            Self::Broken { .. } => "try again; the server's log says whether the request was done",
            Self::TooLarge { .. } => "ask for less, or raise the profile's response_limit",
            Self::Redirected { .. } => "name the server's own address",
            Self::NotKmip { .. } => "is this the address of a KMIP server?",
            Self::Http { status: 404, .. } => "is this the address of this kind of server?",
            Self::Http { status: 413, .. } => "send less at once",
            Self::Unauthenticated { token_sent: false, .. } => "give the client a token",
            Self::Unauthenticated { token_sent: true, .. } => "give the client a new token",
            Self::Token { .. } => "a token is one word, such as eyJhbGci….eyJpc3Mi….MEUCIQ…",
            Self::TokenInClear { .. } => {
                "on a network that you trust, allow it by the profile's token_in_clear"
            }
            Self::Later { .. } => "try again later",
            Self::Http { .. } | Self::Request { .. } | Self::Kmip(_) => return None,
        })
    }

    /// The reason, when it was the server that refused.
    pub fn reason(&self) -> Option<ResultReason> {
        match self {
            Self::Kmip(failure) => Some(failure.reason),
            _ => None,
        }
    }
}

/// A refusal: one item of a batch that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// What was asked, where the server says so.
    pub operation: Option<Operation>,
    /// Why it was refused.
    pub reason: ResultReason,
    /// The server's own words.
    pub message: String,
}

impl Failure {
    /// A refusal for `reason`.
    pub fn new(operation: Option<Operation>, reason: ResultReason, message: String) -> Self {
        Self { operation, reason, message }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        if self.message.is_empty() {
            write!(f, "refused")?;
        }
        write!(f, " ({:?})", self.reason)
    }
}

impl std::error::Error for Failure {}
