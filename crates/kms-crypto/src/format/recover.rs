//! Completes an RSA private key of which some numbers are missing. Done once, when a key is
//! registered; the result is checked as a whole by its caller.

use super::private::RsaComponents;
use super::structure::{bit_length, trim};
use crate::ffi::Number;
use crate::{Error, Secret};

/// The longest modulus from which primes are recovered, in bits: it is slow, and strangers ask.
const LONGEST: usize = 8192;

const NOT_ENOUGH: Error = Error::Unsupported("an RSA private key with so few of its numbers");

/// Brings numbers to their shortest form and computes those that are missing.
pub(super) fn complete(given: RsaComponents) -> Result<RsaComponents, Error> {
    if bit_length(&given.modulus) > LONGEST
        || [&given.private_exponent, &given.prime_p, &given.prime_q]
            .iter()
            .any(|number| bit_length(number.expose()) > LONGEST)
        || bit_length(&given.public_exponent) > LONGEST
    {
        return Err(Error::BadKey("its numbers have more than 8192 bits"));
    }
    let given = trimmed(given);
    let missing = given.modulus.is_empty()
        || given.public_exponent.is_empty()
        || [
            &given.private_exponent,
            &given.prime_p,
            &given.prime_q,
            &given.exponent_p,
            &given.exponent_q,
            &given.coefficient,
        ]
        .iter()
        .any(|number| number.is_empty());
    if missing { compute(&given) } else { Ok(given) }
}

/// Without the zeros before each number.
fn trimmed(given: RsaComponents) -> RsaComponents {
    let short = |number: Secret| {
        if number.expose().first() == Some(&0) {
            Secret::from(trim(number.expose()))
        } else {
            number
        }
    };
    RsaComponents {
        modulus: trim(&given.modulus).to_vec(),
        public_exponent: trim(&given.public_exponent).to_vec(),
        private_exponent: short(given.private_exponent),
        prime_p: short(given.prime_p),
        prime_q: short(given.prime_q),
        exponent_p: short(given.exponent_p),
        exponent_q: short(given.exponent_q),
        coefficient: short(given.coefficient),
    }
}

fn number(bytes: &[u8]) -> Result<Option<Number>, Error> {
    if bytes.is_empty() { Ok(None) } else { Number::from_bytes(bytes).map(Some) }
}

fn compute(given: &RsaComponents) -> Result<RsaComponents, Error> {
    let modulus = number(&given.modulus)?;
    let e = number(&given.public_exponent)?;
    let d = number(given.private_exponent.expose())?;
    let (p, q) = primes(given, modulus.as_ref(), e.as_ref(), d.as_ref())?;
    let (before_p, before_q) = (p.less_one()?, q.less_one()?);
    if before_p.is_zero() || before_q.is_zero() {
        return Err(Error::BadKey("its numbers do not match"));
    }
    let modulus = match modulus {
        Some(modulus) => modulus,
        None => p.times(&q)?,
    };
    // The least common multiple of p − 1 and q − 1.
    let common = before_p.common_divisor(&before_q)?;
    let order = before_p.divide(&common)?.0.times(&before_q)?;
    let (e, d) = match (e, d) {
        (Some(e), Some(d)) => (e, d),
        (Some(e), None) => {
            let d = e.inverse(&order)?;
            (e, d)
        }
        (None, Some(d)) => (d.inverse(&order)?, d),
        (None, None) => return Err(NOT_ENOUGH),
    };
    Ok(RsaComponents {
        modulus: modulus.to_bytes().into_bytes(),
        public_exponent: e.to_bytes().into_bytes(),
        exponent_p: d.divide(&before_p)?.1.to_bytes(),
        exponent_q: d.divide(&before_q)?.1.to_bytes(),
        private_exponent: d.to_bytes(),
        coefficient: q.inverse(&p)?.to_bytes(),
        prime_p: p.to_bytes(),
        prime_q: q.to_bytes(),
    })
}

/// Both primes, from those given, by division, or from the exponents.
fn primes(
    given: &RsaComponents,
    modulus: Option<&Number>,
    e: Option<&Number>,
    d: Option<&Number>,
) -> Result<(Number, Number), Error> {
    let other = |one: &Number| {
        let (quotient, rest) = modulus.ok_or(NOT_ENOUGH)?.divide(one)?;
        if rest.is_zero() { Ok(quotient) } else { Err(Error::BadKey("its numbers do not match")) }
    };
    match (number(given.prime_p.expose())?, number(given.prime_q.expose())?) {
        (Some(p), Some(q)) => Ok((p, q)),
        (Some(p), None) => {
            let q = other(&p)?;
            Ok((p, q))
        }
        (None, Some(q)) => {
            let p = other(&q)?;
            Ok((p, q))
        }
        (None, None) => match (modulus, e, d) {
            (Some(modulus), Some(e), Some(d)) => {
                let p = factor(modulus, e, d)?;
                let q = other(&p)?;
                Ok((p, q))
            }
            _ => Err(NOT_ENOUGH),
        },
    }
}

/// One prime of n, from both exponents (SP 800-56B, appendix C): e·d − 1 is a multiple of the order
/// of every element, so halving it ends at a square root of 1 that is not ±1 for half of all
/// elements.
fn factor(n: &Number, e: &Number, d: &Number) -> Result<Number, Error> {
    let error = Error::BadKey("its numbers do not match");
    if n.is_zero() || !n.is_odd() {
        return Err(error);
    }
    let mut odd = e.times(d)?.less_one()?;
    if odd.is_zero() || odd.is_odd() {
        return Err(error);
    }
    let mut halvings = 0_u32;
    while !odd.is_odd() {
        odd = odd.half()?;
        halvings = halvings.saturating_add(1);
    }
    let last = n.less_one()?;
    for base in [2_u8, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71] {
        let mut root = Number::from_bytes(&[base])?.power(&odd, n)?;
        for _ in 0..halvings {
            if root.is_one() || root.equals(&last) {
                break;
            }
            let square = root.times(&root)?.divide(n)?.1;
            if square.is_one() {
                return root.less_one()?.common_divisor(n);
            }
            root = square;
        }
    }
    Err(error)
}
