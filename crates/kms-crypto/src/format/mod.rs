//! Encodings of asymmetric keys, and what X.509 certificates say. A key is parsed into its numbers,
//! checked, and written again in any form that its algorithm allows; asked for the form in which it
//! came, it gives back the very bytes. Knows no protocol's names for these forms.

pub mod certificate;
mod der;
pub mod pem;
pub mod pkcs12;
mod private;
mod public;
mod recover;
mod structure;

pub use private::{EcPrivate, PrivateKey, RsaComponents};
pub use public::{EcPublic, PublicKey, RsaPublic};

use crate::asymmetric::ec::Curve;

/// The longest encoded key that is read: room for RSA with 16,384 bits and attributes.
pub const LONGEST_KEY: usize = 64 << 10;
/// The longest RSA modulus that is read, in bits.
pub const LONGEST_RSA: usize = 16_384;

/// The form of a private key in DER.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrivateFormat {
    /// PKCS#1 `RSAPrivateKey` (RFC 8017): RSA only.
    Pkcs1,
    /// PKCS#8 `PrivateKeyInfo` (RFC 5208, RFC 5958): every algorithm.
    Pkcs8,
    /// SEC1 `ECPrivateKey` (RFC 5915): the curves in Weierstrass form.
    Sec1,
}

/// The form of a public key in DER.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PublicFormat {
    /// PKCS#1 `RSAPublicKey`: RSA only.
    Pkcs1,
    /// X.509 `SubjectPublicKeyInfo`: every algorithm.
    Spki,
}

/// The algorithm of an asymmetric key, and its curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyAlgorithm {
    /// RSA.
    Rsa,
    /// A key on an elliptic curve.
    Ec(Curve),
}

/// What a key says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyFacts {
    /// The algorithm, and the curve if it has one.
    pub algorithm: KeyAlgorithm,
    /// The length in bits: of the modulus, or of the curve.
    pub bits: usize,
}

impl KeyFacts {
    /// The curve, if it has one.
    pub fn curve(&self) -> Option<Curve> {
        match self.algorithm {
            KeyAlgorithm::Rsa => None,
            KeyAlgorithm::Ec(curve) => Some(curve),
        }
    }
}
