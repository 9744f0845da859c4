//! Who vouches for client certificates.
//!
//! Whether one is genuine is decided here, in the handshake; which user it names is not known here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

/// More than a file of authorities' certificates has, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Who vouches for client certificates.
#[derive(Clone, Debug)]
pub struct Authorities {
    roots: Arc<RootCertStore>,
}

/// Why there is nobody who vouches.
#[derive(Debug, thiserror::Error)]
#[error("the authorities of client certificates in {}: {reason}", path.display())]
pub struct AuthoritiesError {
    path: PathBuf,
    reason: String,
}

/// What becomes of a connection that brings no certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// It is made, and another scheme has to know the caller.
    Allowed,
    /// It is refused.
    Refused,
}

impl Authorities {
    /// Those whose certificates stand in the PEM file at `path`.
    pub fn read(path: &Path) -> Result<Self, AuthoritiesError> {
        let error = |reason: String| AuthoritiesError { path: path.to_owned(), reason };
        let length = std::fs::metadata(path).map_err(|cause| error(cause.to_string()))?.len();
        if length > FILE_BYTES_MAX {
            return Err(error(format!("the file is longer than {FILE_BYTES_MAX} bytes")));
        }
        let text = std::fs::read(path).map_err(|cause| error(cause.to_string()))?;
        Self::parse(&text).map_err(error)
    }

    fn parse(text: &[u8]) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        for (number, certificate) in (1..).zip(CertificateDer::pem_slice_iter(text)) {
            let certificate =
                certificate.map_err(|cause| format!("certificate {number} is broken: {cause}"))?;
            roots.add(certificate).map_err(|cause| {
                format!("certificate {number} cannot be an authority's: {cause}")
            })?;
        }
        if roots.is_empty() {
            return Err("there is no certificate in PEM in it".to_owned());
        }
        Ok(Self { roots: Arc::new(roots) })
    }

    /// What judges certificates in handshakes: that an authority has issued it, for clients, and that
    /// its time is neither over nor still to come.
    pub fn verifier(&self, absence: Absence) -> Result<Arc<dyn ClientCertVerifier>, String> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let roots = Arc::clone(&self.roots);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
        let verifier = match absence {
            Absence::Allowed => verifier.allow_unauthenticated(),
            Absence::Refused => verifier,
        };
        verifier.build().map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_an_authority_is_refused() {
        for (text, says) in [
            ("", "no certificate in PEM"),
            ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no certificate"),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                "certificate 1 cannot be",
            ),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n", "certificate 1 is broken"),
        ] {
            let error = Authorities::parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
        let error = Authorities::read(Path::new("/nowhere/ca.pem")).unwrap_err().to_string();
        assert!(error.contains("/nowhere/ca.pem") && error.contains("No such file"), "{error}");
    }
}
