//! How a database on a server is reached: who is believed there, who we are, how long we wait.
//!
//! It must not read a file, nor know what is in one.

use std::time::Duration;

use crate::location::Password;

/// The authorities that are trusted to vouch for a database's host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// Those that the system trusts.
    Public,
    /// Those of a PEM file alone, and the certificates in it themselves.
    Only(Vec<u8>),
}

/// The certificate and the key with which the server proves itself to a database.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    bytes: Vec<u8>,
    password: Password,
}

impl Identity {
    /// A PKCS#12 file with its password, or a PEM file with a certificate and its key.
    pub fn new(bytes: Vec<u8>, password: Password) -> Self {
        Self { bytes, password }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn password(&self) -> &str {
        self.password.expose()
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(hidden)")
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.bytes);
    }
}

/// How a database on a server is reached and used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Who vouches for its host.
    pub roots: Roots,
    /// Whether the roots were named for this database, which then speaks TLS in any case.
    pub demands_tls: bool,
    /// Who the server is.
    pub identity: Option<Identity>,
    /// How long an unreachable database is waited for at the start.
    pub wait: Duration,
    /// How long a row that was read is used without asking whether another server has changed it.
    pub staleness: Duration,
    /// The most connections at once.
    pub connections: usize,
}

impl Default for Remote {
    fn default() -> Self {
        Self {
            roots: Roots::Public,
            demands_tls: false,
            identity: None,
            wait: Duration::from_secs(30),
            staleness: Duration::ZERO,
            connections: 20,
        }
    }
}
