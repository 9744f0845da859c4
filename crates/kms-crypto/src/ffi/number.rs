//! Large numbers, to complete RSA keys that were given in part.
//! Knows only what the C library is called with.

use super::{Owned, succeeded};
use crate::{Error, Secret};
use aws_lc_sys as c;
use std::ffi::c_int;
use std::ptr::null_mut;

/// A number that is not negative. Wiped when dropped.
pub(crate) struct Number(pub(super) Owned<c::BIGNUM>);

/// Runs one function of the library with a fresh result and scratch memory.
fn compute(work: impl FnOnce(*mut c::BIGNUM, *mut c::BN_CTX) -> c_int) -> Result<Number, Error> {
    let result = Number::from_bytes(&[])?;
    let scratch = Number::scratch()?;
    succeeded(work(result.0.get(), scratch.get()), Error::BadKey("its numbers do not match"))?;
    Ok(result)
}

#[expect(unsafe_code, reason = "large numbers are not in the safe interface")]
impl Number {
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        // SAFETY: the input is readable over its length; a null result pointer asks for a new
        // number, which `Owned::new` checks.
        let number = unsafe { c::BN_bin2bn(bytes.as_ptr(), bytes.len(), null_mut()) };
        Owned::new(number, c::BN_clear_free).map(Self)
    }

    fn scratch() -> Result<Owned<c::BN_CTX>, Error> {
        // SAFETY: allocates; the result is checked by `Owned::new`.
        Owned::new(unsafe { c::BN_CTX_new() }, c::BN_CTX_free)
    }

    /// The bytes, biggest first, with no zero before them.
    pub(crate) fn to_bytes(&self) -> Secret {
        // SAFETY: the number is valid.
        let length = unsafe { c::BN_num_bytes(self.0.get()) };
        let mut bytes = Secret::zeroed(usize::try_from(length).unwrap_or(0));
        // SAFETY: the library writes as many bytes as it said above.
        unsafe { c::BN_bn2bin(self.0.get(), bytes.expose_mut().as_mut_ptr()) };
        bytes
    }

    pub(crate) fn is_zero(&self) -> bool {
        // SAFETY: the number is valid.
        unsafe { c::BN_is_zero(self.0.get()) == 1 }
    }

    pub(crate) fn is_one(&self) -> bool {
        // SAFETY: the number is valid.
        unsafe { c::BN_is_one(self.0.get()) == 1 }
    }

    pub(crate) fn is_odd(&self) -> bool {
        // SAFETY: the number is valid.
        unsafe { c::BN_is_odd(self.0.get()) == 1 }
    }

    pub(crate) fn equals(&self, other: &Self) -> bool {
        // SAFETY: both numbers are valid.
        unsafe { c::BN_cmp(self.0.get(), other.0.get()) == 0 }
    }

    /// This number less one; it must not be zero.
    pub(crate) fn less_one(&self) -> Result<Self, Error> {
        if self.is_zero() {
            return Err(Error::BadKey("its numbers do not match"));
        }
        let copy = Self::from_bytes(self.to_bytes().expose())?;
        // SAFETY: the number is valid and ours alone.
        succeeded(unsafe { c::BN_sub_word(copy.0.get(), 1) }, Error::Failed)?;
        Ok(copy)
    }

    /// Half of this number, rounded down.
    pub(crate) fn half(&self) -> Result<Self, Error> {
        // SAFETY: both numbers are valid.
        compute(|result, _| unsafe { c::BN_rshift1(result, self.0.get()) })
    }

    pub(crate) fn times(&self, other: &Self) -> Result<Self, Error> {
        // SAFETY: all numbers and the scratch memory are valid.
        compute(|result, scratch| unsafe {
            c::BN_mul(result, self.0.get(), other.0.get(), scratch)
        })
    }

    /// Quotient and remainder.
    pub(crate) fn divide(&self, by: &Self) -> Result<(Self, Self), Error> {
        let rest = Self::from_bytes(&[])?;
        // SAFETY: all numbers and the scratch memory are valid; division by zero is refused.
        let quotient = compute(|result, scratch| unsafe {
            c::BN_div(result, rest.0.get(), self.0.get(), by.0.get(), scratch)
        })?;
        Ok((quotient, rest))
    }

    pub(crate) fn common_divisor(&self, other: &Self) -> Result<Self, Error> {
        // SAFETY: all numbers and the scratch memory are valid.
        compute(|result, scratch| unsafe {
            c::BN_gcd(result, self.0.get(), other.0.get(), scratch)
        })
    }

    pub(crate) fn inverse(&self, modulus: &Self) -> Result<Self, Error> {
        // SAFETY: all numbers and the scratch memory are valid; null means there is no inverse.
        compute(|result, scratch| unsafe {
            let inverse = c::BN_mod_inverse(result, self.0.get(), modulus.0.get(), scratch);
            c_int::from(!inverse.is_null())
        })
    }

    pub(crate) fn power(&self, exponent: &Self, modulus: &Self) -> Result<Self, Error> {
        // SAFETY: all numbers and the scratch memory are valid; a zero modulus is refused.
        compute(|result, scratch| unsafe {
            c::BN_mod_exp(result, self.0.get(), exponent.0.get(), modulus.0.get(), scratch)
        })
    }
}
