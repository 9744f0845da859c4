//! `kms profiles set`.

use std::path::{Path, PathBuf};

use clap::Args;
use kms_client::Client;
use serde_json::json;

use crate::context::Context;
use crate::error::Error;
use crate::profiles::{Config, Profile};
use crate::render::Answer;

/// Make a profile, or change one
///
/// The first profile becomes the default. With --insecure-token, it stays allowed for this server.
#[derive(Args, Debug)]
pub(crate) struct Set {
    /// Its name
    name: String,
    /// The server's address
    #[arg(value_name = "ADDRESS")]
    address: String,
    /// How many seconds a connection may take to open
    #[arg(long, value_name = "SECONDS")]
    connect_timeout: Option<u64>,
    /// How many seconds a request may take
    #[arg(long, value_name = "SECONDS")]
    request_timeout: Option<u64>,
    /// The identity provider's address, for `kms login`
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// The name under which the provider knows kms
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// For whom the token is: the server's KMS_JWT_AUDIENCE
    #[arg(long, value_name = "NAME")]
    audience: Option<String>,
    /// What to ask the provider for
    #[arg(long, value_name = "WORDS")]
    scope: Option<String>,
    /// The port of this machine to which the browser returns, where the provider wants one port
    #[arg(long, value_name = "PORT")]
    redirect_port: Option<u16>,
    /// Certificates, in PEM, of authorities to trust beside the system's, for the provider
    #[arg(long, value_name = "FILE")]
    trusted_ca_path: Option<PathBuf>,
    /// Use it when no profile is named
    #[arg(long)]
    default: bool,
}

impl Set {
    pub(crate) fn run(self, context: &Context) -> Result<Answer, Error> {
        let path = Config::path()?;
        let mut config = Config::read(&path)?;
        let profile = Profile {
            url: self.address,
            connect_timeout: self.connect_timeout,
            request_timeout: self.request_timeout,
            insecure_token: context.insecure_token().then_some(true),
            issuer: self.issuer,
            client_id: self.client_id,
            audience: self.audience,
            scope: self.scope,
            redirect_port: self.redirect_port,
            trusted_ca_path: self.trusted_ca_path.as_deref().map(absolute).transpose()?,
        };
        // Only to see that it could be used.
        Client::new(profile.client())?;
        if self.default || config.profiles.is_empty() {
            config.default = Some(self.name.clone());
        }
        let sentence = format!("{} is {}", self.name, profile.url);
        let facts = [("name", json!(self.name)), ("url", json!(profile.url))];
        config.profiles.insert(self.name, profile);
        config.write(&path)?;
        Ok(Answer::done(sentence, facts))
    }
}

/// The profile is used in other directories, too.
fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|error| Error::file("found", path, &error))
}
