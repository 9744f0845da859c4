//! `kms server`.

mod health;
mod info;

use clap::Subcommand;

use crate::context::Context;
use crate::error::Error;
use crate::render::Answer;

/// A command about the server.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Info(info::Info),
    Health(health::Health),
}

impl Command {
    pub(crate) async fn run(self, context: &Context) -> Result<Answer, Error> {
        match self {
            Self::Info(command) => command.run(context).await,
            Self::Health(command) => command.run(context).await,
        }
    }
}
