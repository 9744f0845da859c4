//! A certificate with its key, read and checked: what can be served.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kms_crypto::format::certificate::{AlternativeName, Certificate};
use kms_crypto::format::pkcs12;
use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;

/// The most certificates of a chain.
const CHAIN_MAX: usize = 16;
/// How far our clock may be behind that of an authority, in seconds.
const SKEW_S: i64 = 300;

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The names of hosts that it is for.
    pub names: Vec<String>,
    /// From when it is good, in seconds since 1970.
    pub not_before: i64,
    /// Until when it is good, in seconds since 1970.
    pub not_after: i64,
    /// What the authority calls it when asked about its renewal (RFC 9773), if it has a name.
    pub renewal_id: Option<RenewalId>,
}

/// What an authority calls a certificate: its key's name and the serial number, in DER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewalId {
    pub(crate) authority: Vec<u8>,
    pub(crate) serial: Vec<u8>,
}

impl Facts {
    fn read(leaf: &CertificateDer<'_>) -> Result<Self, IdentityError> {
        let broken = |_unread| IdentityError::new("the certificate cannot be read");
        let certificate = Certificate::parse(leaf).map_err(broken)?;
        if certificate.version < 3 {
            return Err(IdentityError::new(
                "the certificate is X.509 version 1, which clients refuse; make it again with \
                 extensions: openssl x509 -req … -extfile server.cnf, with \
                 subjectAltName=DNS:… and basicConstraints=critical,CA:FALSE",
            ));
        }
        let names = certificate.alternative_names().map_err(broken)?;
        let names = names.into_iter().filter_map(|name| match name {
            AlternativeName::Dns(name) => Some(name),
            _ => None,
        });
        let authority = certificate.authority_key().map_err(broken)?;
        Ok(Self {
            names: names.collect(),
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            renewal_id: authority.map(|authority| RenewalId {
                authority: authority.to_vec(),
                serial: certificate.serial.clone(),
            }),
        })
    }

    /// Whether it is good at `now`, in seconds since 1970. One from an authority whose clock is a
    /// little before ours is.
    pub fn is_valid(&self, now: i64) -> bool {
        (self.not_before.saturating_sub(SKEW_S)..=self.not_after).contains(&now)
    }

    /// For how long it is good in all, in seconds.
    pub fn lifetime(&self) -> i64 {
        self.not_after.saturating_sub(self.not_before).max(0)
    }
}

/// A certificate with its key.
#[derive(Clone)]
pub struct Identity {
    key: Arc<CertifiedKey>,
    facts: Facts,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("facts", &self.facts).finish_non_exhaustive()
    }
}

/// Why something is no certificate with its key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{reason}", path.as_ref().map(|path| format!("{}: ", path.display())).unwrap_or_default())]
pub struct IdentityError {
    path: Option<PathBuf>,
    reason: String,
}

impl IdentityError {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self { path: None, reason: reason.into() }
    }

    pub(crate) fn at(mut self, path: &Path) -> Self {
        self.path = Some(path.to_owned());
        self
    }
}

impl Identity {
    /// The certificates of a PEM text, the server's own first, and the first key of another, which
    /// must not be encrypted.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let mut certificates = Vec::new();
        for (number, certificate) in (1..).zip(CertificateDer::pem_slice_iter(chain)) {
            let certificate = certificate.map_err(|error| {
                IdentityError::new(format!("certificate {number} is broken: {error}"))
            })?;
            certificates.push(certificate);
            if certificates.len() > CHAIN_MAX {
                return Err(IdentityError::new(format!("more than {CHAIN_MAX} certificates")));
            }
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_none| {
            IdentityError::new("there is no private key in PEM in it that is not encrypted")
        })?;
        Self::new(certificates, key)
    }

    /// What a PKCS#12 file holds.
    pub fn from_pkcs12(der: &[u8], password: &str) -> Result<Self, IdentityError> {
        let bundle =
            pkcs12::open(der, password).map_err(|error| IdentityError::new(error.to_string()))?;
        let chain = bundle.chain.into_iter().map(CertificateDer::from).collect();
        let key = PrivatePkcs8KeyDer::from(bundle.key.into_bytes());
        Self::new(chain, PrivateKeyDer::Pkcs8(key))
    }

    /// A chain, the server's own certificate first, and its key.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, IdentityError> {
        let leaf = chain
            .first()
            .ok_or_else(|| IdentityError::new("there is no certificate in PEM in it"))?;
        let facts = Facts::read(leaf)?;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let key = CertifiedKey::from_der(chain, key, &provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                IdentityError::new("the certificate is not of this key")
            }
            error => IdentityError::new(format!("the key cannot be used: {error}")),
        })?;
        Ok(Self { key: Arc::new(key), facts })
    }

    /// What the certificate says.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What handshakes need.
    pub(crate) fn key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.key)
    }

    /// Whether the certificate is for this host.
    pub fn is_for(&self, domain: &str) -> bool {
        let Ok(name) = ServerName::try_from(domain) else { return false };
        let leaf = self.key.cert.first();
        let leaf = leaf.and_then(|leaf| ParsedCertificate::try_from(leaf).ok());
        leaf.is_some_and(|leaf| verify_server_name(&leaf, &name).is_ok())
    }
}
