//! `kms keys`.

mod activate;
mod create;
mod create_pair;
mod destroy;
mod export;
mod import;
mod list;
mod material;
mod rekey;
mod revoke;
mod show;
mod wanted;
mod wrapping;

pub(crate) use list::table;

use clap::Subcommand;

use crate::context::Context;
use crate::error::Error;
use crate::render::Answer;

/// A command about keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Create(create::Create),
    CreatePair(create_pair::CreatePair),
    Import(import::Import),
    Export(export::Export),
    Rekey(rekey::Rekey),
    Activate(activate::Activate),
    Revoke(revoke::Revoke),
    Destroy(destroy::Destroy),
    List(list::List),
    Show(show::Show),
}

impl Command {
    pub(crate) async fn run(self, context: &Context) -> Result<Answer, Error> {
        match self {
            Self::Create(command) => command.run(context).await,
            Self::CreatePair(command) => command.run(context).await,
            Self::Import(command) => command.run(context).await,
            Self::Export(command) => command.run(context).await,
            Self::Rekey(command) => command.run(context).await,
            Self::Activate(command) => command.run(context).await,
            Self::Revoke(command) => command.run(context).await,
            Self::Destroy(command) => command.run(context).await,
            Self::List(command) => command.run(context).await,
            Self::Show(command) => command.run(context).await,
        }
    }
}
