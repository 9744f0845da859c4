//! `kms profiles`.

mod list;
mod remove;
mod set;

use clap::Subcommand;

use crate::context::Context;
use crate::error::Error;
use crate::render::Answer;

/// A command about profiles.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    List(list::List),
    Set(set::Set),
    Remove(remove::Remove),
}

impl Command {
    pub(crate) fn run(self, context: &Context) -> Result<Answer, Error> {
        match self {
            Self::List(list::List {}) => list::run(),
            Self::Set(command) => command.run(context),
            Self::Remove(command) => command.run(),
        }
    }
}
