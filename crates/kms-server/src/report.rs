//! The start-up report: what an operator should know before the first request.
//!
//! Only puts together what it is given.

use std::fmt;
use std::net::SocketAddr;

use crate::facts::VERSION;

/// What a server says of itself at the start.
#[derive(Clone, Debug)]
pub struct Report {
    pub(crate) build: &'static str,
    pub(crate) listening: SocketAddr,
    pub(crate) url: String,
    pub(crate) database: String,
    pub(crate) callers: String,
    pub(crate) keys: String,
    pub(crate) audit: String,
    pub(crate) clear: bool,
    /// What whoever starts the server should know.
    pub(crate) warnings: Vec<String>,
}

impl Report {
    /// Where the server can be called from this machine.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Puts it into the log, for those who read nothing else.
    pub(crate) fn log(&self) {
        tracing::info!(
            version = VERSION,
            build = self.build,
            listening = %self.listening,
            database = self.database,
            callers = self.callers,
            keys = self.keys,
            audit = self.audit,
            "ready"
        );
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "kms-server {VERSION} ({} build) is ready: {}", self.build, self.url)?;
        writeln!(f, "  listening  {}", self.listening)?;
        writeln!(f, "  database   {}", self.database)?;
        writeln!(f, "  callers    {}", self.callers)?;
        writeln!(f, "  keys       {}", self.keys)?;
        writeln!(f, "  audit      {}", self.audit)?;
        for warning in &self.warnings {
            writeln!(f, "  warning    {warning}")?;
        }
        writeln!(f, "  try next   curl {}/version", self.url)?;
        writeln!(f, "             cargo run -p kms-cli -- keys create --id first-key")
    }
}
