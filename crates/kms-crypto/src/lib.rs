//! Algorithms over bytes, and the types that keep secrets secret.
