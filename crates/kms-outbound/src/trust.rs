//! Whose certificates we believe: those of the system's authorities, and those in a file of the
//! operator's. Knows nobody whom we call.

use std::fmt;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// More than a file of certificates has.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The certificates of authorities that are trusted beside the system's.
#[derive(Clone, Default)]
pub struct Trust {
    extra: Vec<CertificateDer<'static>>,
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").field("extra", &self.extra.len()).finish()
    }
}

/// Why a file of certificates is not usable.
#[derive(Debug, thiserror::Error)]
#[error("the trusted certificates in {}: {reason}", path.display())]
pub struct TrustError {
    path: PathBuf,
    reason: String,
}

impl Trust {
    /// The system's authorities alone.
    pub fn system() -> Self {
        Self::default()
    }

    /// The system's authorities and those whose certificates stand in the PEM file at `path`.
    pub fn with_file(path: &Path) -> Result<Self, TrustError> {
        let error = |reason: String| TrustError { path: path.to_owned(), reason };
        let length = std::fs::metadata(path).map_err(|cause| error(cause.to_string()))?.len();
        if length > FILE_BYTES_MAX {
            return Err(error(format!("the file is longer than {FILE_BYTES_MAX} bytes")));
        }
        let text = std::fs::read(path).map_err(|cause| error(cause.to_string()))?;
        Self::with_pem(&text).map_err(error)
    }

    /// The same with the text of the file.
    fn with_pem(text: &[u8]) -> Result<Self, String> {
        let mut extra = Vec::new();
        let mut store = RootCertStore::empty();
        for (index, certificate) in CertificateDer::pem_slice_iter(text).enumerate() {
            let number = index + 1;
            let certificate =
                certificate.map_err(|cause| format!("certificate {number}: {cause:?}"))?;
            store.add(certificate.clone()).map_err(|cause| {
                format!(
                    "certificate {number} is not one of an authority that can be trusted: {cause} \
                     (it has to be an X.509 certificate of version 3)"
                )
            })?;
            extra.push(certificate);
        }
        if extra.is_empty() {
            return Err("there is no certificate in PEM in it".to_owned());
        }
        Ok(Self { extra })
    }

    /// The certificates beside the system's, in DER, for whatever else we call.
    pub fn extra(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.extra.iter().map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        for text in ["", "no certificate", "-----BEGIN PRIVATE KEY-----\nAAAA\n"] {
            assert!(Trust::with_pem(text.as_bytes()).is_err(), "{text}");
        }
        let text = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let reason = Trust::with_pem(text.as_bytes()).unwrap_err();
        assert!(reason.starts_with("certificate 1 "), "{reason}");
        let missing = Trust::with_file(Path::new("/nowhere/ca.pem")).unwrap_err().to_string();
        assert!(missing.contains("/nowhere/ca.pem"), "{missing}");
    }
}
