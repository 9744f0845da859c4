//! The requests that we make to others: who is trusted, what may be reached, how much is read.
//!
//! Knows nothing of tokens, keys or certificates' contents; it fetches bytes within limits.
