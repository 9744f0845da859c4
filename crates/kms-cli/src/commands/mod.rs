//! The commands. Their doc comments are the help, and the reference that is made from it.
#![expect(
    clippy::doc_link_with_quotes,
    clippy::doc_markdown,
    reason = "the doc comments are read in a terminal, where Markdown would be in the way"
)]

pub(crate) mod access;
pub(crate) mod attributes;
pub(crate) mod completions;
pub(crate) mod data_key;
pub(crate) mod decrypt;
pub(crate) mod encrypt;
pub(crate) mod keys;
pub(crate) mod locate;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod profiles;
pub(crate) mod reference;
pub(crate) mod server;
pub(crate) mod subject;
pub(crate) mod whoami;

use clap::{Args, Parser, Subcommand};

use crate::context::Context;
use crate::error::Error;
use crate::render::{Answer, Output};

/// Keep keys at a KMIP server, and encrypt files with them
///
/// Start with `kms keys create --name backup`, then `kms encrypt FILE --key ID`.
#[derive(Debug, Parser)]
#[command(name = "kms", version, arg_required_else_help = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command understands.
#[derive(Args, Debug)]
#[command(next_help_heading = "Which server")]
pub(crate) struct Global {
    /// The server's address [default: the default profile's, or http://localhost:9998]
    #[arg(long, global = true, env = "KMS_URL", hide_env_values = true, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// A profile of the profile file, instead of an address
    #[arg(long, global = true, env = "KMS_PROFILE", hide_env_values = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Let a token go over a network without TLS, where whoever listens can use it
    #[arg(long, global = true)]
    pub(crate) insecure_token: bool,
    /// How the answer is written
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORM")]
    pub(crate) output: Output,
}

/// A command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make, move, look at and end keys and other objects
    #[command(subcommand)]
    Keys(keys::Command),
    /// Read and change attributes
    #[command(subcommand)]
    Attributes(attributes::Command),
    Locate(locate::Locate),
    Encrypt(encrypt::Encrypt),
    Decrypt(decrypt::Decrypt),
    /// Share objects with others
    #[command(subcommand)]
    Access(access::Command),
    Login(login::Login),
    Logout(logout::Logout),
    Whoami(whoami::Whoami),
    /// Ask the server about itself
    #[command(subcommand)]
    Server(server::Command),
    /// Name servers in the profile file
    #[command(subcommand)]
    Profiles(profiles::Command),
    Completions(completions::Completions),
    Reference(reference::Reference),
}

impl Command {
    /// Does it.
    pub(crate) async fn run(self, context: &Context) -> Result<Answer, Error> {
        match self {
            Self::Keys(command) => command.run(context).await,
            Self::Attributes(command) => command.run(context).await,
            Self::Locate(command) => command.run(context).await,
            Self::Encrypt(command) => command.run(context).await,
            Self::Decrypt(command) => command.run(context).await,
            Self::Access(command) => command.run(context).await,
            Self::Server(command) => command.run(context).await,
            Self::Login(command) => command.run(context).await,
            Self::Logout(command) => command.run(context).await,
            Self::Whoami(command) => command.run(context).await,
            Self::Profiles(command) => command.run(context),
            Self::Completions(command) => command.run(),
            Self::Reference(reference::Reference {}) => reference::run(),
        }
    }
}

/// The end of `kms --help`; a test compares it with [`crate::error::Kind::ALL`].
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    something that should not happen
  2    the command line or the profile file is wrong
  3    the server cannot be reached, or does not answer as one
  4    the server does not accept the caller
  5    there is no such object, or it is not the caller's to see
  6    the server refused
  7    an encrypted file was altered, cut, or is none
  8    a file of this machine cannot be read or written
  130  it was interrupted";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::error::Kind;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_exit_codes_of_the_help_are_those_of_the_program() {
        for (_, code, meaning) in Kind::ALL {
            assert!(EXIT_CODES.contains(&format!("\n  {code:<4} {meaning}")), "{code} {meaning}");
        }
        assert_eq!(EXIT_CODES.lines().count(), Kind::ALL.len() + 2);
    }
}
