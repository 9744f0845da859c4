//! PKCS#12 (RFC 7292): a private key with its certificates, in a file under a password.
//!
//! Only files that show whether they were changed are opened. What the certificates say is read
//! elsewhere.

use p12_keystore::{KeyStore, Pkcs12ImportPolicy};

use super::der::{INTEGER, Reader, SEQUENCE};
use crate::Secret;

/// The longest file that is read, in bytes.
pub const LONGEST: usize = 1 << 20;

/// What a file holds.
pub struct Bundle {
    /// The certificate of the key, then those that lead to its authority, each in DER.
    pub chain: Vec<Vec<u8>>,
    /// The private key, as PKCS#8 in DER.
    pub key: Secret,
}

/// Why a file is not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Pkcs12Error {
    /// It is longer than [`LONGEST`].
    #[error("the PKCS#12 file is longer than {LONGEST} bytes")]
    TooLong,
    /// Nothing in it shows whether it was changed.
    #[error(
        "the PKCS#12 file has no MAC: anybody may have changed it; make it with openssl pkcs12 \
         -export"
    )]
    NoMac,
    /// The password is another one, or the file is broken.
    #[error("the PKCS#12 file cannot be opened: {0}; check its password")]
    Closed(String),
    /// It holds no key, or no certificate of the key.
    #[error("the PKCS#12 file has no private key with its certificate")]
    NoKey,
}

/// Opens a file in DER.
pub fn open(der: &[u8], password: &str) -> Result<Bundle, Pkcs12Error> {
    if der.len() > LONGEST {
        return Err(Pkcs12Error::TooLong);
    }
    if !has_mac(der) {
        return Err(Pkcs12Error::NoMac);
    }
    let store = KeyStore::from_pkcs12(der, password, Pkcs12ImportPolicy::Relaxed)
        .map_err(|error| Pkcs12Error::Closed(error.to_string()))?;
    let (_, chain) = store.private_key_chain().ok_or(Pkcs12Error::NoKey)?;
    let certificates: Vec<_> = chain.certs().iter().map(|it| it.as_der().to_vec()).collect();
    if certificates.is_empty() {
        return Err(Pkcs12Error::NoKey);
    }
    Ok(Bundle { chain: certificates, key: Secret::new(chain.key().as_der().to_vec()) })
}

/// Whether the file has the part that shows whether it was changed.
fn has_mac(der: &[u8]) -> bool {
    let third = || -> Result<(), crate::Error> {
        let mut file = Reader::new("PKCS#12 file", der).enter(SEQUENCE)?;
        file.expect(INTEGER)?;
        file.expect(SEQUENCE)?;
        file.expect(SEQUENCE)?;
        Ok(())
    };
    third().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_cut_off_or_without_a_mac_are_not_opened() {
        for der in [&[][..], &[0x30, 0x82, 0xFF, 0xFF, 0x30], &[0x30, 0x03, 0x02, 0x01, 0x03]] {
            assert!(matches!(open(der, ""), Err(Pkcs12Error::NoMac)), "{der:?}");
        }
        let long = vec![0x30; LONGEST + 1];
        assert!(matches!(open(&long, ""), Err(Pkcs12Error::TooLong)));
    }
}
