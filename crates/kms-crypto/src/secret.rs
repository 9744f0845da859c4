//! Bytes that must not leak: wiped when dropped, never printed, never compared by accident.
//! Knows nothing about what the bytes mean.

use crate::ffi;
use subtle::ConstantTimeEq;

/// Secret bytes. Has no `Debug`, `Display`, `Serialize` or `PartialEq` on purpose.
///
/// ```compile_fail
/// let secret = kms_crypto::Secret::new(vec![1, 2, 3]);
/// println!("{secret:?}");
/// ```
#[derive(Clone, Default)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes the bytes over; they are wiped when the secret is dropped.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// A secret of `length` zero bytes, to be filled in.
    pub fn zeroed(length: usize) -> Self {
        Self::new(vec![0; length])
    }

    /// The bytes. The word in the caller's code says what happens.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, to be written to.
    pub fn expose_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// Gives the bytes away without a copy; whoever takes them has to wipe them.
    pub fn into_bytes(mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether these are the same bytes, in a time that depends on the lengths alone.
    pub fn matches(&self, other: &[u8]) -> bool {
        self.0.ct_eq(other).into()
    }
}

impl From<&[u8]> for Secret {
    fn from(bytes: &[u8]) -> Self {
        Self::new(bytes.to_vec())
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Wipes bytes, and what lies behind them in the vector's memory, and empties the vector. As fast
/// as filling memory can be, so that it costs nothing to do it to large texts too.
pub fn wipe(bytes: &mut Vec<u8>) {
    ffi::wipe(bytes);
}

/// Whether two byte strings are equal, in a time that depends on their lengths alone.
pub fn equal(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}
