//! Why an algorithm refused or failed. No variant can hold a byte of a key, a text or a tag.

/// The cause of a failure, one per thing that a caller may want to tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The algorithm, or this variant of it, is not there. No other one is used instead.
    #[error("{0} is not supported")]
    Unsupported(&'static str),
    /// The key cannot be used with this algorithm: wrong length, wrong kind or inconsistent.
    #[error("the key does not fit: {0}")]
    BadKey(&'static str),
    /// A length that the algorithm does not allow.
    #[error("{what} has {actual} bytes; allowed: {allowed}")]
    BadLength {
        /// What has the wrong length.
        what: &'static str,
        /// The length it has.
        actual: usize,
        /// What would have been allowed.
        allowed: &'static str,
    },
    /// A parameter has a value that the algorithm does not allow.
    #[error("bad parameter: {0}")]
    BadParameter(&'static str),
    /// More data than the limit allows.
    #[error("more than {limit} bytes")]
    TooLarge {
        /// The limit that was passed.
        limit: usize,
    },
    /// Encoded bytes (DER, PEM, a point) are not what they are said to be.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// The authentication tag does not match: wrong key, or changed data, nonce or AAD.
    #[error("authentication failed: wrong key, or data, nonce or additional data were changed")]
    Authentication,
    /// Decryption or unwrapping failed; deliberately says nothing more.
    #[error("decryption failed")]
    Decryption,
    /// The library failed for a reason of its own (memory, random source).
    #[error("the cryptographic library failed")]
    Failed,
}
