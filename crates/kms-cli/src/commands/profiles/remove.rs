//! `kms profiles remove`.

use clap::Args;
use serde_json::json;

use crate::error::Error;
use crate::profiles::Config;
use crate::render::Answer;

/// Remove a profile
#[derive(Args, Debug)]
pub(crate) struct Remove {
    /// Its name
    name: String,
}

impl Remove {
    pub(crate) fn run(self) -> Result<Answer, Error> {
        let path = Config::path()?;
        let mut config = Config::read(&path)?;
        config.named(&self.name)?;
        config.profiles.remove(&self.name);
        if config.default.as_ref() == Some(&self.name) {
            config.default = None;
        }
        config.write(&path)?;
        Ok(Answer::done(format!("{} is removed", self.name), [("name", json!(self.name))]))
    }
}
