//! RSA encryption, and the making of key pairs. Signatures will stand beside these.

pub mod ec;
pub mod rsa;
