//! Private keys: parsed, checked and written again.

use super::structure::{self, Envelope};
use super::{KeyAlgorithm, KeyFacts, LONGEST_KEY, LONGEST_RSA, PrivateFormat, PublicKey, recover};
use crate::asymmetric::ec::{self, Curve};
use crate::ffi::RsaKey;
use crate::{Error, Secret};

/// The numbers of an RSA private key, biggest byte first. An empty one is missing.
#[derive(Clone, Default)]
pub struct RsaComponents {
    /// n.
    pub modulus: Vec<u8>,
    /// e.
    pub public_exponent: Vec<u8>,
    /// d.
    pub private_exponent: Secret,
    /// p.
    pub prime_p: Secret,
    /// q.
    pub prime_q: Secret,
    /// d mod (p − 1).
    pub exponent_p: Secret,
    /// d mod (q − 1).
    pub exponent_q: Secret,
    /// The inverse of q mod p.
    pub coefficient: Secret,
}

/// The numbers of a private key on an elliptic curve.
#[derive(Clone, Copy)]
pub struct EcPrivate<'a> {
    /// The curve.
    pub curve: Curve,
    /// The scalar, as long as the field; of Ed25519 the seed.
    pub scalar: &'a [u8],
    /// The public point, uncompressed; of Ed25519 and X25519 its 32 bytes.
    pub point: &'a [u8],
}

enum Numbers {
    Rsa(RsaComponents),
    Ec { curve: Curve, scalar: Secret, point: Vec<u8> },
}

/// A private key that was found to be in order.
pub struct PrivateKey {
    numbers: Numbers,
    /// The bytes it came in, to be given back as they were.
    original: Option<(PrivateFormat, Secret)>,
}

impl PrivateKey {
    /// Reads a key in DER. All of it must be the key: data behind it is an error.
    pub fn parse(format: PrivateFormat, der: &[u8]) -> Result<Self, Error> {
        if format == PrivateFormat::Sec1 {
            return Self::parse_sec1(der, None);
        }
        check_size(der)?;
        let numbers = match format {
            PrivateFormat::Pkcs1 => Numbers::Rsa(read_rsa(der)?),
            PrivateFormat::Pkcs8 => {
                let outer = structure::read_pkcs8(der)?;
                match outer.key {
                    Envelope::Rsa(inner) => Numbers::Rsa(read_rsa(inner)?),
                    Envelope::Ec(curve, inner) => read_ec(inner, Some(curve))?,
                    Envelope::Raw(curve, bytes) => ec_numbers(curve, bytes, outer.public)?,
                }
            }
            PrivateFormat::Sec1 => return Err(Error::Failed),
        };
        Ok(Self { numbers, original: Some((format, Secret::from(der))) })
    }

    /// Whether this is a PKCS#8 key that is encrypted, so that it can be kept and not read.
    pub fn is_encrypted_pkcs8(der: &[u8]) -> bool {
        der.len() <= LONGEST_KEY && structure::is_encrypted_pkcs8(der)
    }

    /// Reads a SEC1 `ECPrivateKey`, which may leave out its curve: then `curve` says which it is.
    /// A curve that contradicts the key's own is an error.
    pub fn parse_sec1(der: &[u8], curve: Option<Curve>) -> Result<Self, Error> {
        check_size(der)?;
        let numbers = read_ec(der, curve)?;
        Ok(Self { numbers, original: Some((PrivateFormat::Sec1, Secret::from(der))) })
    }

    /// Takes RSA's numbers. Those that are missing are computed, for which these are enough: n and
    /// d and e; or d or e with both primes, or with n and one prime.
    pub fn from_rsa(given: RsaComponents) -> Result<Self, Error> {
        let numbers = recover::complete(given)?;
        check_rsa(&numbers)?;
        Ok(Self { numbers: Numbers::Rsa(numbers), original: None })
    }

    /// Takes a curve and the private number, with or without zeros before it.
    pub fn from_ec(curve: Curve, scalar: &[u8]) -> Result<Self, Error> {
        Ok(Self { numbers: ec_numbers(curve, scalar, None)?, original: None })
    }

    /// Takes a key pair that was just made, without computing its point again.
    pub fn from_pair(pair: ec::KeyPair) -> Self {
        let ec::KeyPair { curve, private, public } = pair;
        Self { numbers: Numbers::Ec { curve, scalar: private, point: public }, original: None }
    }

    /// Algorithm, length and curve.
    pub fn facts(&self) -> KeyFacts {
        match &self.numbers {
            Numbers::Rsa(rsa) => {
                KeyFacts { algorithm: KeyAlgorithm::Rsa, bits: structure::bit_length(&rsa.modulus) }
            }
            Numbers::Ec { curve, .. } => {
                KeyFacts { algorithm: KeyAlgorithm::Ec(*curve), bits: curve.bits() }
            }
        }
    }

    /// The key in this form, if its algorithm has it. The form in which it came gives the bytes in
    /// which it came.
    pub fn encode(&self, format: PrivateFormat) -> Result<Secret, Error> {
        if let Some((own, bytes)) = &self.original
            && *own == format
        {
            return Ok(bytes.clone());
        }
        match (&self.numbers, format) {
            (Numbers::Rsa(rsa), PrivateFormat::Pkcs1) => Ok(structure::write_pkcs1(rsa)),
            (Numbers::Rsa(rsa), PrivateFormat::Pkcs8) => {
                let inner = structure::write_pkcs1(rsa);
                Ok(structure::write_pkcs8(KeyAlgorithm::Rsa, inner.expose()))
            }
            (Numbers::Ec { curve, scalar, point }, PrivateFormat::Sec1) => {
                structure::write_sec1(*curve, scalar.expose(), point)
            }
            (Numbers::Ec { curve, scalar, point }, PrivateFormat::Pkcs8) => {
                let inner = structure::write_pkcs8_inner(*curve, scalar.expose(), point);
                Ok(structure::write_pkcs8(KeyAlgorithm::Ec(*curve), inner.expose()))
            }
            (Numbers::Rsa(_), PrivateFormat::Sec1) => Err(Error::Unsupported("RSA in SEC1")),
            (Numbers::Ec { .. }, PrivateFormat::Pkcs1) => {
                Err(Error::Unsupported("an elliptic-curve key in PKCS#1"))
            }
        }
    }

    /// RSA's numbers, all of them; `None` for other keys.
    pub fn rsa(&self) -> Option<&RsaComponents> {
        match &self.numbers {
            Numbers::Rsa(rsa) => Some(rsa),
            Numbers::Ec { .. } => None,
        }
    }

    /// The numbers of a key on a curve; `None` for RSA.
    pub fn ec(&self) -> Option<EcPrivate<'_>> {
        match &self.numbers {
            Numbers::Ec { curve, scalar, point } => {
                Some(EcPrivate { curve: *curve, scalar: scalar.expose(), point })
            }
            Numbers::Rsa(_) => None,
        }
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        match &self.numbers {
            Numbers::Rsa(rsa) => {
                PublicKey::of_checked_rsa(rsa.modulus.clone(), rsa.public_exponent.clone())
            }
            Numbers::Ec { curve, point, .. } => PublicKey::of_checked_ec(*curve, point.clone()),
        }
    }
}

fn check_size(der: &[u8]) -> Result<(), Error> {
    if der.len() <= LONGEST_KEY { Ok(()) } else { Err(Error::TooLarge { limit: LONGEST_KEY }) }
}

fn read_rsa(der: &[u8]) -> Result<RsaComponents, Error> {
    let rsa = structure::read_pkcs1(der)?;
    if structure::bit_length(&rsa.modulus) > LONGEST_RSA {
        return Err(Error::BadKey("its modulus has more than 16384 bits"));
    }
    // The library checks that the numbers belong together.
    RsaKey::from_pkcs1(true, der)?;
    Ok(rsa)
}

fn check_rsa(rsa: &RsaComponents) -> Result<(), Error> {
    RsaKey::from_pkcs1(true, structure::write_pkcs1(rsa).expose()).map(drop)
}

fn read_ec(der: &[u8], expected: Option<Curve>) -> Result<Numbers, Error> {
    let key = structure::read_sec1(der)?;
    let curve = match (key.curve, expected) {
        (Some(own), Some(expected)) if own != expected => {
            return Err(Error::BadKey("it names another curve than it is said to have"));
        }
        (Some(curve), _) | (None, Some(curve)) => curve,
        (None, None) => return Err(Error::BadKey("it does not say which curve it is of")),
    };
    ec_numbers(curve, key.scalar, key.point)
}

/// Brings a scalar to its full length and computes the point, which must be the one given.
fn ec_numbers(curve: Curve, scalar: &[u8], point: Option<&[u8]>) -> Result<Numbers, Error> {
    let length = curve.private_length();
    let scalar = if curve.group().is_some() {
        structure::widen(scalar, length)
            .ok_or(Error::BadKey("its private number is longer than the curve's"))?
    } else {
        Secret::from(scalar)
    };
    let computed = ec::public_from_private(curve, scalar.expose())?;
    if let Some(point) = point
        && ec::check_public(curve, point)? != computed
    {
        return Err(Error::BadKey("its public point is not that of its private number"));
    }
    Ok(Numbers::Ec { curve, scalar, point: computed })
}
