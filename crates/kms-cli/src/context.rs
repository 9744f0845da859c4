//! What every command is given: which server is meant, and who calls it.

use clap::ArgMatches;
use clap::parser::ValueSource;
use kms_client::Client;

use crate::commands::Global;
use crate::error::Error;
use crate::profiles::{Config, DEFAULT_URL, Profile};
use crate::session;
use crate::tokens::Place;

/// Which server is meant; nothing is read or connected before a command asks.
#[derive(Debug)]
pub(crate) struct Context {
    url: Option<String>,
    profile: Option<String>,
    token_in_clear: bool,
}

/// The server that is meant.
#[derive(Debug)]
pub(crate) struct Server {
    /// How to reach it.
    pub(crate) profile: Profile,
    /// The profile's name, where it is one of the file.
    name: Option<String>,
}

impl Server {
    /// A client that does not say who calls.
    pub(crate) fn anonymous(&self) -> Result<Client, Error> {
        Ok(Client::new(self.profile.client())?)
    }

    /// For what a login counts.
    pub(crate) fn place(&self, client: &Client) -> Place {
        Place { server: client.origin(), profile: self.name.clone() }
    }
}

impl Context {
    /// What stands on the command line counts before the environment, and an address before a
    /// profile.
    pub(crate) fn new(global: &Global, matches: &ArgMatches) -> Self {
        let typed = |name| matches.value_source(name) == Some(ValueSource::CommandLine);
        let url = if typed("profile") && !typed("url") { None } else { global.url.clone() };
        Self { url, profile: global.profile.clone(), token_in_clear: global.insecure_token }
    }

    /// Whether the user lets a token go over a network in the clear.
    pub(crate) fn insecure_token(&self) -> bool {
        self.token_in_clear
    }

    /// The server.
    pub(crate) fn server(&self) -> Result<Server, Error> {
        let (mut profile, name) = self.profile()?;
        if self.token_in_clear {
            profile.insecure_token = Some(true);
        }
        Ok(Server { profile, name })
    }

    fn profile(&self) -> Result<(Profile, Option<String>), Error> {
        if let Some(url) = &self.url {
            return Ok((Profile::at(url), None));
        }
        let config = match Config::path() {
            Ok(path) => Config::read(&path)?,
            Err(error) if self.profile.is_some() => return Err(error),
            Err(_) => Config::default(),
        };
        match self.profile.as_ref().or(config.default.as_ref()) {
            Some(name) => Ok((config.named(name)?.clone(), Some(name.clone()))),
            None => Ok((Profile::at(DEFAULT_URL), None)),
        }
    }

    /// A client of the server, for whoever is logged in there.
    pub(crate) async fn client(&self) -> Result<Client, Error> {
        let server = self.server()?;
        let client = server.anonymous()?;
        let trusted = server.profile.trusted_ca();
        match session::token(&server.place(&client), trusted.as_deref()).await? {
            Some(token) => Ok(client.with_token(token)?),
            None => Ok(client),
        }
    }
}
