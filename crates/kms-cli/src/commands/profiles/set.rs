//! `kms profiles set`.

use clap::Args;
use kms_client::Client;
use serde_json::json;

use crate::error::Error;
use crate::profiles::{Config, Profile};
use crate::render::Answer;

/// Make a profile, or change one
///
/// The first profile becomes the default.
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
    /// Use it when no profile is named
    #[arg(long)]
    default: bool,
}

impl Set {
    pub(crate) fn run(self) -> Result<Answer, Error> {
        let path = Config::path()?;
        let mut config = Config::read(&path)?;
        let profile = Profile {
            url: self.address,
            connect_timeout: self.connect_timeout,
            request_timeout: self.request_timeout,
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
