//! What handshakes ask for the certificate. It is exchanged in one step; connections that are there
//! keep theirs.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// The certificate that is served now, if there is one.
#[derive(Debug, Default)]
pub struct Resolver {
    current: RwLock<Option<Arc<CertifiedKey>>>,
}

impl Resolver {
    /// Serves this from now on; nothing, if there is none, and then every handshake fails.
    pub(crate) fn serve(&self, key: Option<Arc<CertifiedKey>>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = key;
    }

    /// What is served now.
    pub fn current(&self) -> Option<Arc<CertifiedKey>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current()
    }
}
