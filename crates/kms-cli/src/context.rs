//! What every command is given: which server is meant.

use clap::ArgMatches;
use clap::parser::ValueSource;
use kms_client::Client;

use crate::commands::Global;
use crate::error::Error;
use crate::profiles::{Config, DEFAULT_URL, Profile};

/// Which server is meant; nothing is read or connected before a command asks.
#[derive(Debug)]
pub(crate) struct Context {
    url: Option<String>,
    profile: Option<String>,
}

impl Context {
    /// What stands on the command line counts before the environment, and an address before a
    /// profile.
    pub(crate) fn new(global: &Global, matches: &ArgMatches) -> Self {
        let typed = |name| matches.value_source(name) == Some(ValueSource::CommandLine);
        let url = if typed("profile") && !typed("url") { None } else { global.url.clone() };
        Self { url, profile: global.profile.clone() }
    }

    /// The server, as a profile.
    pub(crate) fn profile(&self) -> Result<Profile, Error> {
        if let Some(url) = &self.url {
            return Ok(Profile::at(url));
        }
        let config = match Config::path() {
            Ok(path) => Config::read(&path)?,
            Err(error) if self.profile.is_some() => return Err(error),
            Err(_) => Config::default(),
        };
        match self.profile.as_ref().or(config.default.as_ref()) {
            Some(name) => config.named(name).cloned(),
            None => Ok(Profile::at(DEFAULT_URL)),
        }
    }

    /// A client of the server.
    pub(crate) fn client(&self) -> Result<Client, Error> {
        Ok(Client::new(self.profile()?.client())?)
    }
}
