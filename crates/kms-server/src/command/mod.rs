//! The commands beside serving: each opens what it needs by the server's own options, does one
//! thing and ends. What was asked for goes to standard output; all else goes to standard error.
//!
//! To add one, add its row to the table of `kms-config`, a function here, and its row below.

mod archive;
mod audit;
mod keyring;
mod migrate;
mod progress;
mod secret_file;
mod token;

use std::pin::Pin;

use kms_config::commands::{
    AUDIT_VERIFY, EXPORT, Given, IMPORT, KEYRING_PROTECT, KEYRING_ROTATE, KEYRING_SHOW, MIGRATE,
    TOKEN_CREATE, TOKEN_LIST, TOKEN_REVOKE, VERIFY,
};
use kms_config::exit::Exit;
use kms_config::{Config, Serve};

use crate::complain;
use crate::compose::StartError;
use crate::facts::FACTS;

/// What the process ends with, or why the command failed.
type Ending<'a> = Pin<Box<dyn Future<Output = Result<Exit, StartError>> + 'a>>;
type Run = for<'a> fn(&'a Config, &'a Given) -> Ending<'a>;

/// What carries each command out.
static RUNS: &[(&str, Run)] = &[
    (TOKEN_CREATE, |config, given| Box::pin(token::create(config, given))),
    (TOKEN_LIST, |config, _| Box::pin(token::list(config))),
    (TOKEN_REVOKE, |config, given| Box::pin(token::revoke(config, given))),
    (AUDIT_VERIFY, |config, given| Box::pin(audit::verify(config, given))),
    (KEYRING_SHOW, |config, _| Box::pin(keyring::show(config))),
    (KEYRING_PROTECT, |config, given| Box::pin(keyring::protect(config, given))),
    (KEYRING_ROTATE, |config, _| Box::pin(keyring::rotate(config))),
    (MIGRATE, |config, given| Box::pin(migrate::run(config, given))),
    (EXPORT, |config, given| Box::pin(archive::export(config, given))),
    (IMPORT, |config, given| Box::pin(archive::import(config, given))),
    (VERIFY, |_, given| Box::pin(async { archive::verify(given) })),
];

/// Does what the command says.
pub(crate) fn run(serve: &Serve, given: &Given) -> Exit {
    if !FACTS.missing.is_empty() {
        complain(&FACTS.refusal());
        return Exit::Configuration;
    }
    match carry_out(&serve.config, given) {
        Ok(exit) => exit,
        Err(error) => {
            complain(&error.message);
            error.exit
        }
    }
}

fn carry_out(config: &Config, given: &Given) -> Result<Exit, StartError> {
    let name = given.command.name;
    let Some((_, run)) = RUNS.iter().find(|(known, _)| *known == name) else {
        return Err(StartError::new(Exit::Failure, format!("{name} is not known here")));
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| StartError::new(Exit::Failure, format!("no runtime: {error}")))?;
    runtime.block_on(run(config, given))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_carried_out() {
        let known: Vec<_> = RUNS.iter().map(|(name, _)| *name).collect();
        let named: Vec<_> = kms_config::commands::COMMANDS.iter().map(|it| it.name).collect();
        assert_eq!(known, named);
    }
}
