//! The structures in which keys are written: PKCS#1, PKCS#8, SEC1 and SPKI. Reads and writes their
//! fields; whether the numbers make a good key is checked by its callers.

use super::der::{
    BIT_STRING, NULL, OCTET_STRING, OID, Reader, SEQUENCE, context, write, write_unsigned,
};
use super::{KeyAlgorithm, RsaComponents};
use crate::asymmetric::ec::Curve;
use crate::{Error, Secret};

/// 1.2.840.113549.1.1.1
const RSA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01];
/// 1.2.840.10045.2.1
const EC: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];

/// The object identifier of a curve: of the curve itself, or (25519) of the algorithm on it.
const fn oid(curve: Curve) -> &'static [u8] {
    match curve {
        Curve::P256 => &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07],
        Curve::P384 => &[0x2B, 0x81, 0x04, 0x00, 0x22],
        Curve::P521 => &[0x2B, 0x81, 0x04, 0x00, 0x23],
        Curve::Secp256k1 => &[0x2B, 0x81, 0x04, 0x00, 0x0A],
        Curve::Ed25519 => &[0x2B, 0x65, 0x70],
        Curve::X25519 => &[0x2B, 0x65, 0x6E],
    }
}

fn curve_of(bytes: &[u8], in_weierstrass_form: bool) -> Option<Curve> {
    Curve::ALL
        .iter()
        .copied()
        .find(|curve| curve.group().is_some() == in_weierstrass_form && oid(*curve) == bytes)
}

/// The algorithm of an envelope (PKCS#8, SPKI), and what is inside.
pub(super) enum Envelope<'a> {
    /// A PKCS#1 structure.
    Rsa(&'a [u8]),
    /// A SEC1 structure, or a point.
    Ec(Curve, &'a [u8]),
    /// The bytes of a 25519 key.
    Raw(Curve, &'a [u8]),
}

/// A PKCS#8 structure.
pub(super) struct Pkcs8<'a> {
    pub(super) key: Envelope<'a>,
    /// The public key that a structure of version 2 may hold beside it.
    pub(super) public: Option<&'a [u8]>,
}

fn read_algorithm(reader: &mut Reader<'_>) -> Result<KeyAlgorithm, Error> {
    let mut algorithm = reader.enter(SEQUENCE)?;
    let name = algorithm.expect(OID)?;
    let found = if name == RSA {
        // Some leave out the NULL that the standard asks for.
        algorithm.optional(NULL)?;
        KeyAlgorithm::Rsa
    } else if name == EC {
        let parameters = algorithm.any()?;
        if parameters.tag != OID {
            return Err(Error::Unsupported("a curve that is given by its numbers"));
        }
        let curve = curve_of(parameters.contents, true);
        KeyAlgorithm::Ec(curve.ok_or(Error::Unsupported("this elliptic curve"))?)
    } else if let Some(curve) = curve_of(name, false) {
        KeyAlgorithm::Ec(curve)
    } else {
        return Err(Error::Unsupported("this algorithm of an asymmetric key"));
    };
    algorithm.end()?;
    Ok(found)
}

fn envelope<'a>(
    algorithm: KeyAlgorithm,
    contents: &'a [u8],
    raw: impl FnOnce(&'a [u8]) -> Result<&'a [u8], Error>,
) -> Result<Envelope<'a>, Error> {
    Ok(match algorithm {
        KeyAlgorithm::Rsa => Envelope::Rsa(contents),
        KeyAlgorithm::Ec(curve) if curve.group().is_some() => Envelope::Ec(curve, contents),
        KeyAlgorithm::Ec(curve) => Envelope::Raw(curve, raw(contents)?),
    })
}

pub(super) fn read_pkcs8(der: &[u8]) -> Result<Pkcs8<'_>, Error> {
    let mut outer = Reader::new("PKCS#8 private key", der);
    let mut info = outer.enter(SEQUENCE)?;
    outer.end()?;
    let second = match info.unsigned()? {
        [] => false,
        [1] => true,
        _ => return Err(info.malformed()),
    };
    let algorithm = read_algorithm(&mut info)?;
    let contents = info.expect(OCTET_STRING)?;
    // Attributes say nothing about the key; they stay in the bytes that are given back.
    info.optional(context(0))?;
    let mut public = None;
    if second && let Some(bits) = info.optional(0x81)? {
        let [0, bits @ ..] = bits.contents else { return Err(info.malformed()) };
        public = Some(bits);
    }
    info.end()?;
    let key = envelope(algorithm, contents, |contents| {
        let mut inner = info.inside(contents);
        let bytes = inner.expect(OCTET_STRING)?;
        inner.end()?;
        Ok(bytes)
    })?;
    Ok(Pkcs8 { key, public })
}

/// Whether this is an `EncryptedPrivateKeyInfo`: an algorithm, and the encrypted key.
pub(super) fn is_encrypted_pkcs8(der: &[u8]) -> bool {
    let read = || -> Result<(), Error> {
        let mut outer = Reader::new("encrypted PKCS#8 private key", der);
        let mut info = outer.enter(SEQUENCE)?;
        outer.end()?;
        info.enter(SEQUENCE)?.expect(OID)?;
        info.expect(OCTET_STRING)?;
        info.end()
    };
    read().is_ok()
}

pub(super) fn read_spki(der: &[u8]) -> Result<Envelope<'_>, Error> {
    let mut outer = Reader::new("public key (SubjectPublicKeyInfo)", der);
    let mut info = outer.enter(SEQUENCE)?;
    outer.end()?;
    let algorithm = read_algorithm(&mut info)?;
    let contents = info.bits()?;
    info.end()?;
    envelope(algorithm, contents, Ok)
}

pub(super) fn read_pkcs1(der: &[u8]) -> Result<RsaComponents, Error> {
    let mut outer = Reader::new("PKCS#1 private key", der);
    let mut key = outer.enter(SEQUENCE)?;
    outer.end()?;
    match key.unsigned()? {
        [] => {}
        [1] => return Err(Error::Unsupported("RSA with more than two primes")),
        _ => return Err(key.malformed()),
    }
    let components = RsaComponents {
        modulus: key.unsigned()?.to_vec(),
        public_exponent: key.unsigned()?.to_vec(),
        private_exponent: Secret::from(key.unsigned()?),
        prime_p: Secret::from(key.unsigned()?),
        prime_q: Secret::from(key.unsigned()?),
        exponent_p: Secret::from(key.unsigned()?),
        exponent_q: Secret::from(key.unsigned()?),
        coefficient: Secret::from(key.unsigned()?),
    };
    key.end()?;
    Ok(components)
}

/// Modulus and public exponent.
pub(super) fn read_pkcs1_public(der: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    let mut outer = Reader::new("PKCS#1 public key", der);
    let mut key = outer.enter(SEQUENCE)?;
    outer.end()?;
    let numbers = (key.unsigned()?, key.unsigned()?);
    key.end()?;
    Ok(numbers)
}

/// A SEC1 structure.
pub(super) struct Sec1<'a> {
    pub(super) scalar: &'a [u8],
    pub(super) curve: Option<Curve>,
    pub(super) point: Option<&'a [u8]>,
}

pub(super) fn read_sec1(der: &[u8]) -> Result<Sec1<'_>, Error> {
    let mut outer = Reader::new("SEC1 private key", der);
    let mut key = outer.enter(SEQUENCE)?;
    outer.end()?;
    if key.unsigned()? != [1] {
        return Err(key.malformed());
    }
    let scalar = key.expect(OCTET_STRING)?;
    let mut curve = None;
    if let Some(parameters) = key.optional(context(0))? {
        let mut parameters = key.inside(parameters.contents);
        let name = parameters.any()?;
        parameters.end()?;
        if name.tag != OID {
            return Err(Error::Unsupported("a curve that is given by its numbers"));
        }
        let found = curve_of(name.contents, true);
        curve = Some(found.ok_or(Error::Unsupported("this elliptic curve"))?);
    }
    let mut point = None;
    if let Some(public) = key.optional(context(1))? {
        let mut public = key.inside(public.contents);
        point = Some(public.bits()?);
        public.end()?;
    }
    key.end()?;
    Ok(Sec1 { scalar, curve, point })
}

pub(super) fn write_pkcs1(rsa: &RsaComponents) -> Secret {
    let numbers = [
        &[][..],
        &rsa.modulus,
        &rsa.public_exponent,
        rsa.private_exponent.expose(),
        rsa.prime_p.expose(),
        rsa.prime_q.expose(),
        rsa.exponent_p.expose(),
        rsa.exponent_q.expose(),
        rsa.coefficient.expose(),
    ]
    .map(write_unsigned);
    write(SEQUENCE, &numbers.each_ref().map(Secret::expose))
}

pub(super) fn write_pkcs1_public(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let (modulus, exponent) = (write_unsigned(modulus), write_unsigned(exponent));
    write(SEQUENCE, &[modulus.expose(), exponent.expose()]).into_bytes()
}

fn write_algorithm(algorithm: KeyAlgorithm) -> Vec<u8> {
    let parts = match algorithm {
        KeyAlgorithm::Rsa => [write(OID, &[RSA]), write(NULL, &[])],
        KeyAlgorithm::Ec(curve) if curve.group().is_some() => {
            [write(OID, &[EC]), write(OID, &[oid(curve)])]
        }
        KeyAlgorithm::Ec(curve) => [write(OID, &[oid(curve)]), Secret::default()],
    };
    write(SEQUENCE, &parts.each_ref().map(Secret::expose)).into_bytes()
}

/// PKCS#8, version 1, around what [`write_pkcs1`] or [`write_pkcs8_inner`] made.
pub(super) fn write_pkcs8(algorithm: KeyAlgorithm, inner: &[u8]) -> Secret {
    let version = write_unsigned(&[]);
    let algorithm = write_algorithm(algorithm);
    let contents = write(OCTET_STRING, &[inner]);
    write(SEQUENCE, &[version.expose(), &algorithm, contents.expose()])
}

/// What PKCS#8 holds of a key on a curve.
pub(super) fn write_pkcs8_inner(curve: Curve, scalar: &[u8], point: &[u8]) -> Secret {
    if curve.group().is_some() { sec1(None, scalar, point) } else { write(OCTET_STRING, &[scalar]) }
}

/// SEC1 with its curve and its public point.
pub(super) fn write_sec1(curve: Curve, scalar: &[u8], point: &[u8]) -> Result<Secret, Error> {
    if curve.group().is_some() {
        Ok(sec1(Some(curve), scalar, point))
    } else {
        Err(Error::Unsupported("a key on Curve25519 in SEC1"))
    }
}

fn sec1(curve: Option<Curve>, scalar: &[u8], point: &[u8]) -> Secret {
    let version = write_unsigned(&[1]);
    let scalar = write(OCTET_STRING, &[scalar]);
    let parameters = curve
        .map(|curve| write(context(0), &[write(OID, &[oid(curve)]).expose()]))
        .unwrap_or_default();
    let public = write(context(1), &[write(BIT_STRING, &[&[0], point]).expose()]);
    let parts = [version.expose(), scalar.expose(), parameters.expose(), public.expose()];
    write(SEQUENCE, &parts)
}

pub(super) fn write_spki(algorithm: KeyAlgorithm, contents: &[u8]) -> Vec<u8> {
    let algorithm = write_algorithm(algorithm);
    let bits = write(BIT_STRING, &[&[0], contents]);
    write(SEQUENCE, &[&algorithm, bits.expose()]).into_bytes()
}

/// A number without the zeros before it.
pub(super) fn trim(number: &[u8]) -> &[u8] {
    number
        .iter()
        .position(|byte| *byte != 0)
        .and_then(|first| number.get(first..))
        .unwrap_or_default()
}

/// How many bits a number has.
pub(super) fn bit_length(number: &[u8]) -> usize {
    let number = trim(number);
    let zeros = number.first().map_or(0, |first| first.leading_zeros());
    let zeros = usize::try_from(zeros).unwrap_or(0);
    number.len().saturating_mul(8).saturating_sub(zeros)
}

/// A number of exactly `length` bytes, with or without zeros before it; `None` if it is longer.
pub(super) fn widen(number: &[u8], length: usize) -> Option<Secret> {
    let number = trim(number);
    let start = length.checked_sub(number.len())?;
    let mut wide = Secret::zeroed(length);
    wide.expose_mut().get_mut(start..)?.copy_from_slice(number);
    Some(wide)
}
