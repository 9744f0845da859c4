//! Elliptic curves in Weierstrass form, as bare scalars and points.
//! Knows only what the C library is called with.

use super::number::Number;
use super::{Owned, failed, succeeded};
use crate::{Error, Secret};
use aws_lc_sys as c;
use std::ffi::c_int;
use std::ptr::{null, null_mut};

/// A curve by the library's number for it, and the bytes of one coordinate or scalar.
#[derive(Clone, Copy)]
pub(crate) struct Group {
    pub(crate) number: c_int,
    pub(crate) length: usize,
}

impl Group {
    pub(crate) const P256: Self = Self { number: c::NID_X9_62_prime256v1, length: 32 };
    pub(crate) const P384: Self = Self { number: c::NID_secp384r1, length: 48 };
    pub(crate) const P521: Self = Self { number: c::NID_secp521r1, length: 66 };
    pub(crate) const SECP256K1: Self = Self { number: c::NID_secp256k1, length: 32 };

    #[expect(unsafe_code, reason = "secp256k1 and bare scalars are not in the safe interface")]
    fn key(self) -> Result<Owned<c::EC_KEY>, Error> {
        // SAFETY: allocates; the result is checked by `Owned::new`.
        Owned::new(unsafe { c::EC_KEY_new_by_curve_name(self.number) }, c::EC_KEY_free)
    }

    /// Makes a key pair: the scalar and the uncompressed point.
    #[expect(unsafe_code, reason = "secp256k1 and bare scalars are not in the safe interface")]
    pub(crate) fn generate(self) -> Result<(Secret, Vec<u8>), Error> {
        let key = self.key()?;
        // SAFETY: the key is valid and has a curve.
        succeeded(unsafe { c::EC_KEY_generate_key(key.get()) }, Error::Failed)?;
        let mut scalar = Secret::zeroed(self.length);
        let out = scalar.expose_mut();
        // SAFETY: the key has a scalar and a point now, which live as long as it does; the output
        // has the length that is said, and the library checks that the scalar fits.
        let (code, point) = unsafe {
            let number = c::EC_KEY_get0_private_key(key.get());
            let code = c::BN_bn2bin_padded(out.as_mut_ptr(), out.len(), number);
            (code, c::EC_KEY_get0_public_key(key.get()))
        };
        succeeded(code, Error::Failed)?;
        Ok((scalar, self.encode(&key, point)?))
    }

    /// The uncompressed form of a point of this curve.
    #[expect(unsafe_code, reason = "secp256k1 and bare scalars are not in the safe interface")]
    fn encode(self, key: &Owned<c::EC_KEY>, point: *const c::EC_POINT) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0_u8; self.length.saturating_mul(2).saturating_add(1)];
        // SAFETY: key and point are valid and of one curve (a null point is refused by the check
        // before); the library is told how much room there is.
        let length = unsafe {
            if point.is_null() {
                0
            } else {
                c::EC_POINT_point2oct(
                    c::EC_KEY_get0_group(key.get()),
                    point,
                    c::point_conversion_form_t::POINT_CONVERSION_UNCOMPRESSED,
                    bytes.as_mut_ptr(),
                    bytes.len(),
                    null_mut(),
                )
            }
        };
        if length == bytes.len() { Ok(bytes) } else { Err(failed(Error::Failed)) }
    }

    /// The point of a scalar, which must be from 1 to the order less one.
    #[expect(unsafe_code, reason = "secp256k1 and bare scalars are not in the safe interface")]
    pub(crate) fn public(self, scalar: &[u8]) -> Result<Vec<u8>, Error> {
        let error = Error::BadKey("the number is not one of this curve");
        let key = self.key()?;
        let number = Number::from_bytes(scalar)?;
        if number.is_zero() {
            return Err(error);
        }
        // SAFETY: both are valid; the library checks the range and copies the number.
        let code = unsafe { c::EC_KEY_set_private_key(key.get(), number.0.get()) };
        succeeded(code, error)?;
        // SAFETY: the group lives as long as the key; the result is checked by `Owned::new`.
        let point = unsafe { c::EC_POINT_new(c::EC_KEY_get0_group(key.get())) };
        let point = Owned::new(point, c::EC_POINT_free)?;
        // SAFETY: all are valid and of one curve; null means that there is no second product.
        let code = unsafe {
            let group = c::EC_KEY_get0_group(key.get());
            c::EC_POINT_mul(group, point.get(), number.0.get(), null(), null(), null_mut())
        };
        succeeded(code, error)?;
        self.encode(&key, point.get())
    }

    /// Checks that an encoded point is on the curve; returns its uncompressed form.
    #[expect(unsafe_code, reason = "secp256k1 and bare points are not in the safe interface")]
    pub(crate) fn point(self, encoded: &[u8]) -> Result<Vec<u8>, Error> {
        let error = Error::BadKey("the point is not on this curve");
        let key = self.key()?;
        // SAFETY: the group lives as long as the key; the result is checked by `Owned::new`.
        let point = unsafe { c::EC_POINT_new(c::EC_KEY_get0_group(key.get())) };
        let point = Owned::new(point, c::EC_POINT_free)?;
        // SAFETY: all are valid; the input is readable over its length; the library checks that
        // the point is on the curve.
        let code = unsafe {
            let group = c::EC_KEY_get0_group(key.get());
            c::EC_POINT_oct2point(group, point.get(), encoded.as_ptr(), encoded.len(), null_mut())
        };
        succeeded(code, error)?;
        self.encode(&key, point.get()).map_err(|_error| error)
    }
}
