//! Public keys: parsed, checked and written again.

use super::structure::{self, Envelope};
use super::{KeyAlgorithm, KeyFacts, LONGEST_KEY, LONGEST_RSA, PublicFormat};
use crate::Error;
use crate::asymmetric::ec::{self, Curve};
use crate::ffi::RsaKey;

/// The numbers of an RSA public key, biggest byte first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RsaPublic<'a> {
    /// n.
    pub modulus: &'a [u8],
    /// e.
    pub exponent: &'a [u8],
}

/// A public key on an elliptic curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EcPublic<'a> {
    /// The curve.
    pub curve: Curve,
    /// The point, uncompressed; of Ed25519 and X25519 its 32 bytes.
    pub point: &'a [u8],
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Numbers {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    Ec { curve: Curve, point: Vec<u8> },
}

/// A public key that was found to be in order.
#[derive(Clone, Debug)]
pub struct PublicKey {
    numbers: Numbers,
    original: Option<(PublicFormat, Vec<u8>)>,
}

impl PartialEq for PublicKey {
    /// Whether it is the same key, in whichever form it came.
    fn eq(&self, other: &Self) -> bool {
        self.numbers == other.numbers
    }
}

impl Eq for PublicKey {}

impl PublicKey {
    /// Reads a key in DER. All of it must be the key: data behind it is an error.
    pub fn parse(format: PublicFormat, der: &[u8]) -> Result<Self, Error> {
        if der.len() > LONGEST_KEY {
            return Err(Error::TooLarge { limit: LONGEST_KEY });
        }
        let key = match format {
            PublicFormat::Pkcs1 => Self::read_rsa(der)?,
            PublicFormat::Spki => match structure::read_spki(der)? {
                Envelope::Rsa(inner) => Self::read_rsa(inner)?,
                Envelope::Ec(curve, point) | Envelope::Raw(curve, point) => {
                    Self::from_ec(curve, point)?
                }
            },
        };
        Ok(Self { original: Some((format, der.to_vec())), ..key })
    }

    fn read_rsa(der: &[u8]) -> Result<Self, Error> {
        let (modulus, exponent) = structure::read_pkcs1_public(der)?;
        Self::from_rsa(modulus, exponent)
    }

    /// Takes RSA's modulus and public exponent.
    pub fn from_rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, Error> {
        let (modulus, exponent) = (structure::trim(modulus), structure::trim(exponent));
        if structure::bit_length(modulus) > LONGEST_RSA {
            return Err(Error::BadKey("its modulus has more than 16384 bits"));
        }
        let der = structure::write_pkcs1_public(modulus, exponent);
        RsaKey::from_pkcs1(false, &der)?;
        Ok(Self::of_checked_rsa(modulus.to_vec(), exponent.to_vec()))
    }

    /// Takes a curve and a point, compressed or not.
    pub fn from_ec(curve: Curve, point: &[u8]) -> Result<Self, Error> {
        Ok(Self::of_checked_ec(curve, ec::check_public(curve, point)?))
    }

    pub(super) fn of_checked_rsa(modulus: Vec<u8>, exponent: Vec<u8>) -> Self {
        Self { numbers: Numbers::Rsa { modulus, exponent }, original: None }
    }

    pub(super) fn of_checked_ec(curve: Curve, point: Vec<u8>) -> Self {
        Self { numbers: Numbers::Ec { curve, point }, original: None }
    }

    /// Algorithm, length and curve.
    pub fn facts(&self) -> KeyFacts {
        match &self.numbers {
            Numbers::Rsa { modulus, .. } => {
                KeyFacts { algorithm: KeyAlgorithm::Rsa, bits: structure::bit_length(modulus) }
            }
            Numbers::Ec { curve, .. } => {
                KeyFacts { algorithm: KeyAlgorithm::Ec(*curve), bits: curve.bits() }
            }
        }
    }

    /// The key in this form, if its algorithm has it. The form in which it came gives the bytes in
    /// which it came.
    pub fn encode(&self, format: PublicFormat) -> Result<Vec<u8>, Error> {
        if let Some((own, bytes)) = &self.original
            && *own == format
        {
            return Ok(bytes.clone());
        }
        match (&self.numbers, format) {
            (Numbers::Rsa { modulus, exponent }, PublicFormat::Pkcs1) => {
                Ok(structure::write_pkcs1_public(modulus, exponent))
            }
            (Numbers::Rsa { modulus, exponent }, PublicFormat::Spki) => {
                let inner = structure::write_pkcs1_public(modulus, exponent);
                Ok(structure::write_spki(KeyAlgorithm::Rsa, &inner))
            }
            (Numbers::Ec { curve, point }, PublicFormat::Spki) => {
                Ok(structure::write_spki(KeyAlgorithm::Ec(*curve), point))
            }
            (Numbers::Ec { .. }, PublicFormat::Pkcs1) => {
                Err(Error::Unsupported("an elliptic-curve key in PKCS#1"))
            }
        }
    }

    /// RSA's numbers; `None` for other keys.
    pub fn rsa(&self) -> Option<RsaPublic<'_>> {
        match &self.numbers {
            Numbers::Rsa { modulus, exponent } => Some(RsaPublic { modulus, exponent }),
            Numbers::Ec { .. } => None,
        }
    }

    /// Curve and point; `None` for RSA.
    pub fn ec(&self) -> Option<EcPublic<'_>> {
        match &self.numbers {
            Numbers::Ec { curve, point } => Some(EcPublic { curve: *curve, point }),
            Numbers::Rsa { .. } => None,
        }
    }
}
