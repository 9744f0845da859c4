//! `kms attributes`.

mod add;
mod delete;
mod get;
mod list;
mod modify;
mod set;

use clap::Subcommand;

use crate::context::Context;
use crate::error::Error;
use crate::render::Answer;

/// A command about attributes.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Get(get::Get),
    List(list::List),
    Set(set::Set),
    Add(add::Add),
    Modify(modify::Modify),
    Delete(delete::Delete),
}

impl Command {
    pub(crate) async fn run(self, context: &Context) -> Result<Answer, Error> {
        match self {
            Self::Get(command) => command.run(context).await,
            Self::List(command) => command.run(context).await,
            Self::Set(command) => command.run(context).await,
            Self::Add(command) => command.run(context).await,
            Self::Modify(command) => command.run(context).await,
            Self::Delete(command) => command.run(context).await,
        }
    }
}
