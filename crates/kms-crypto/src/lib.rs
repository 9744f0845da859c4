//! Algorithms over bytes, and the types that keep secrets secret.
//!
//! Nothing here knows a protocol, a database or a user: names and numbers of protocols are mapped
//! to these functions elsewhere.
//!
//! | Module | What it gives |
//! |---|---|
//! | [`secret`] | [`Secret`]: bytes that are wiped, and cannot be printed or compared by accident |
//! | [`random`] | random bytes of the library's generator |
//! | [`hash`], [`mac`], [`kdf`] | SHA-1, SHA-2, SHA-3; HMAC-SHA-256; HKDF-SHA-256 |
//! | [`passphrase`] | Argon2id: a key from a passphrase |
//! | [`seal`] | AES-256-GCM-SIV with a prepared key, for what rests in a database |
//! | [`symmetric`] | AES in its modes and `ChaCha20`: one trait, one-shot and streamed |
//! | [`asymmetric`] | RSA encryption, and the making of RSA and elliptic-curve keys |
//! | [`wrap`] | AES key wrap (RFC 3394, RFC 5649), AES-GCM and RSA-OAEP wrapping |
//! | [`mod@format`] | PKCS#1, PKCS#8, SEC1, SPKI, transparent components, X.509, PEM |
//!
//! Rules: aws-lc-rs where its safe interface has it, else the same C library through `ffi`, the one
//! module with `unsafe`. An error never holds bytes of a key or a text, and all failures of a
//! decryption look alike. What is not supported is refused, never replaced by something near.
#![warn(clippy::arithmetic_side_effects)]

pub mod asymmetric;
mod error;
mod ffi;
pub mod format;
pub mod hash;
pub mod kdf;
pub mod mac;
pub mod passphrase;
pub mod random;
pub mod seal;
pub mod secret;
pub mod symmetric;
pub mod wrap;

pub use error::Error;
pub use secret::Secret;
