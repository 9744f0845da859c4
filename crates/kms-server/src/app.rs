//! What every request has at hand.

use std::net::SocketAddr;
use std::sync::Arc;

use kms_auth::Authentication;
use kms_core::Service;
use kms_seal::Protection;
use kms_store::Store;

use crate::audit::Name;
use crate::authorities::Authorities;
use crate::connection::Registry;
use crate::facts::Facts;
use crate::http::Bodies;
use crate::limits::Limits;
use crate::observe::RequestIds;
use crate::observe::metrics::Metrics;

/// What every request has at hand.
pub(crate) struct App {
    /// The core.
    pub(crate) service: Service,
    /// The database, for its health and its numbers; requests go through the core.
    pub(crate) store: Store,
    /// Who is calling.
    pub(crate) authentication: Authentication,
    /// Whose tokens say who is calling.
    pub(crate) authorities: Authorities,
    /// What the start-up report says of who may call.
    pub(crate) callers: String,
    /// The bounds.
    pub(crate) limits: Limits,
    /// The room for large bodies.
    pub(crate) bodies: Bodies,
    /// The numbers.
    pub(crate) metrics: Metrics,
    /// The open connections.
    pub(crate) registry: Arc<Registry>,
    /// The identifiers of requests.
    pub(crate) ids: RequestIds,
    /// What this build is.
    pub(crate) facts: Facts,
    /// What protects the data key.
    pub(crate) protection: Protection,
    /// What the start-up report says of a root key that was made.
    pub(crate) made: Option<String>,
    /// What the server is called; no other has the name while this is held.
    #[expect(dead_code, reason = "held, not looked at")]
    pub(crate) name: Name,
}

impl App {
    /// Whether the other end may see metrics and details without a name.
    pub(crate) fn is_operator(&self, peer: SocketAddr) -> bool {
        self.facts.build == kms_config::Build::Dev || peer.ip().to_canonical().is_loopback()
    }
}
