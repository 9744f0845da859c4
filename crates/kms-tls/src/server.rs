//! How we speak TLS: versions, key exchange, protocols, resumption, and who may be a client.
//!
//! A configuration is taken for each connection, so that a change is one exchange of a pointer and
//! no connection notices.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::NoServerSessionStorage;
use rustls::{ServerConfig, SupportedProtocolVersion, version};

use crate::client_ca::{Absence, Authorities};
use crate::resolver::Resolver;

/// The protocols on top, the one that we like best first.
const PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];

static ALL: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];
static NEWEST: &[&SupportedProtocolVersion] = &[&version::TLS13];

/// The oldest version that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MinVersion {
    /// TLS 1.2.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl MinVersion {
    fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            Self::Tls12 => ALL,
            Self::Tls13 => NEWEST,
        }
    }
}

/// Who may be a client.
#[derive(Clone, Debug)]
pub enum Clients {
    /// Anybody; no certificate is asked for.
    Anybody,
    /// Whoever has a certificate of these authorities; and whoever has none, if that is allowed.
    Of(Authorities, Absence),
}

/// Why TLS cannot be spoken like this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("TLS: {0}")]
pub struct ServerError(String);

/// How we speak TLS now.
pub struct Server {
    resolver: Arc<Resolver>,
    min_version: MinVersion,
    protocols: Vec<Vec<u8>>,
    current: RwLock<Arc<ServerConfig>>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("min_version", &self.min_version).finish_non_exhaustive()
    }
}

impl Server {
    /// Serves HTTP with the resolver's certificate.
    pub fn new(
        resolver: Arc<Resolver>,
        min_version: MinVersion,
        clients: &Clients,
    ) -> Result<Self, ServerError> {
        let protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
        Self::with_protocols(resolver, min_version, clients, protocols)
    }

    /// Serves a protocol that has no name in TLS, such as KMIP on a socket of its own.
    pub fn without_protocols(
        resolver: Arc<Resolver>,
        min_version: MinVersion,
        clients: &Clients,
    ) -> Result<Self, ServerError> {
        Self::with_protocols(resolver, min_version, clients, Vec::new())
    }

    fn with_protocols(
        resolver: Arc<Resolver>,
        min_version: MinVersion,
        clients: &Clients,
        protocols: Vec<Vec<u8>>,
    ) -> Result<Self, ServerError> {
        let config = config(&resolver, min_version, clients, &protocols)?;
        Ok(Self { resolver, min_version, protocols, current: RwLock::new(config) })
    }

    /// What the next connection is accepted with.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Accepts these clients from now on; connections that are there stay.
    pub fn accept(&self, clients: &Clients) -> Result<(), ServerError> {
        let config = config(&self.resolver, self.min_version, clients, &self.protocols)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }
}

/// The algorithms: the library's, with the key exchange that a quantum computer does not break
/// before the others.
fn provider() -> CryptoProvider {
    CryptoProvider {
        kx_groups: vec![
            aws_lc_rs::kx_group::X25519MLKEM768,
            aws_lc_rs::kx_group::X25519,
            aws_lc_rs::kx_group::SECP256R1,
            aws_lc_rs::kx_group::SECP384R1,
        ],
        ..aws_lc_rs::default_provider()
    }
}

fn config(
    resolver: &Arc<Resolver>,
    min_version: MinVersion,
    clients: &Clients,
    protocols: &[Vec<u8>],
) -> Result<Arc<ServerConfig>, ServerError> {
    let error = |error: rustls::Error| ServerError(error.to_string());
    let builder = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(min_version.versions())
        .map_err(error)?;
    let builder = match clients {
        Clients::Anybody => builder.with_no_client_auth(),
        Clients::Of(authorities, absence) => {
            builder.with_client_cert_verifier(authorities.verifier(*absence).map_err(ServerError)?)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::<Resolver>::clone(resolver));
    config.alpn_protocols = protocols.to_vec();
    match clients {
        Clients::Anybody => config.ticketer = aws_lc_rs::Ticketer::new().map_err(error)?,
        // A resumed session brings the certificate of the first handshake unseen, though it may be
        // over by now, or its authority be gone: with certificates every handshake is a full one.
        Clients::Of(..) => {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
    }
    Ok(Arc::new(config))
}
