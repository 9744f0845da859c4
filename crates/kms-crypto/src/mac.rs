//! HMAC-SHA-256, with a key prepared once or for one use.

use crate::Error;
use crate::secret::equal;
use aws_lc_rs::hmac;

/// A key prepared for HMAC-SHA-256. Wiped by the library when dropped.
pub struct MacKey(hmac::Key);

impl MacKey {
    /// Prepares the key.
    pub fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The MAC of the parts, one after the other. The caller makes the parts unambiguous
    /// (fixed lengths, or lengths before them).
    pub fn sign(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(part);
        }
        let mut mac = [0; 32];
        for (to, from) in mac.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        mac
    }

    /// Checks a MAC in constant time.
    pub fn verify(&self, parts: &[&[u8]], mac: &[u8]) -> Result<(), Error> {
        if equal(&self.sign(parts), mac) { Ok(()) } else { Err(Error::Authentication) }
    }
}

/// The HMAC-SHA-256 of the parts, one after the other.
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    MacKey::new(key).sign(parts)
}
