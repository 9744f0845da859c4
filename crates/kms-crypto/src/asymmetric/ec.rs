//! Elliptic-curve key pairs: P-256, P-384, P-521, secp256k1, Ed25519 and X25519, as raw numbers and
//! points. [`crate::format`] puts them into their encodings.

use crate::ffi::Group;
use crate::{Error, Secret, random};
use aws_lc_rs::agreement::{self, X25519};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

/// A curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Curve {
    /// NIST P-256 (secp256r1, prime256v1).
    P256,
    /// NIST P-384 (secp384r1).
    P384,
    /// NIST P-521 (secp521r1).
    P521,
    /// secp256k1 (SEC 2).
    Secp256k1,
    /// Ed25519 (RFC 8032): signatures.
    Ed25519,
    /// X25519 (RFC 7748): key agreement.
    X25519,
}

impl Curve {
    /// Every curve, for tables and tests.
    pub const ALL: &'static [Self] =
        &[Self::P256, Self::P384, Self::P521, Self::Secp256k1, Self::Ed25519, Self::X25519];

    /// The name by which most people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
            Self::Secp256k1 => "secp256k1",
            Self::Ed25519 => "Ed25519",
            Self::X25519 => "X25519",
        }
    }

    /// The length of a key in bits, as protocols give it.
    pub const fn bits(self) -> usize {
        match self {
            Self::P256 | Self::Secp256k1 | Self::Ed25519 | Self::X25519 => 256,
            Self::P384 => 384,
            Self::P521 => 521,
        }
    }

    /// The length of a private number (scalar or seed) in bytes.
    pub const fn private_length(self) -> usize {
        match self {
            Self::P384 => 48,
            Self::P521 => 66,
            Self::P256 | Self::Secp256k1 | Self::Ed25519 | Self::X25519 => 32,
        }
    }

    /// The group of a curve in Weierstrass form; Ed25519 and X25519 have none.
    pub(crate) fn group(self) -> Option<Group> {
        match self {
            Self::P256 => Some(Group::P256),
            Self::P384 => Some(Group::P384),
            Self::P521 => Some(Group::P521),
            Self::Secp256k1 => Some(Group::SECP256K1),
            Self::Ed25519 | Self::X25519 => None,
        }
    }
}

/// A key pair as bare numbers.
pub struct KeyPair {
    /// The curve.
    pub curve: Curve,
    /// The scalar, as long as the field; of Ed25519 the seed, of X25519 the bytes of RFC 7748.
    pub private: Secret,
    /// The point, uncompressed (`04 ‖ x ‖ y`); of Ed25519 and X25519 its 32 bytes.
    pub public: Vec<u8>,
}

/// Makes a key pair.
pub fn generate(curve: Curve) -> Result<KeyPair, Error> {
    let (private, public) = if let Some(group) = curve.group() {
        group.generate()?
    } else {
        let seed = random::secret(curve.private_length())?;
        let public = public_from_private(curve, seed.expose())?;
        (seed, public)
    };
    Ok(KeyPair { curve, private, public })
}

/// The public point of a private number; refuses one that is not of this curve.
pub fn public_from_private(curve: Curve, private: &[u8]) -> Result<Vec<u8>, Error> {
    if private.len() != curve.private_length() {
        return Err(Error::BadKey("the private number has not the length of this curve"));
    }
    match curve {
        Curve::Ed25519 => Ed25519KeyPair::from_seed_unchecked(private)
            .map(|pair| pair.public_key().as_ref().to_vec())
            .map_err(|_error| Error::BadKey("the seed was refused")),
        Curve::X25519 => agreement::PrivateKey::from_private_key(&X25519, private)
            .map_err(|_error| Error::BadKey("the private number was refused"))?
            .compute_public_key()
            .map(|public| public.as_ref().to_vec())
            .map_err(|aws_lc_rs::error::Unspecified| Error::Failed),
        _ => curve.group().ok_or(Error::Failed)?.public(private),
    }
}

/// Checks an encoded public point, compressed or not; returns it uncompressed.
pub fn check_public(curve: Curve, encoded: &[u8]) -> Result<Vec<u8>, Error> {
    if let Some(group) = curve.group() {
        return group.point(encoded);
    }
    if encoded.len() != 32 {
        return Err(Error::BadKey("the public key has not the length of this curve"));
    }
    Ok(encoded.to_vec())
}
