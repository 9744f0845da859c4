//! The commands beside serving: each opens what it needs by the server's own options, does one
//! thing and ends.

use kms_config::Serve;
use kms_config::commands::Given;
use kms_config::exit::Exit;

use crate::complain;

/// Does what the command says.
pub(crate) fn run(_serve: &Serve, given: &Given) -> Exit {
    complain(&format!("{} is not there yet", given.command.name));
    Exit::Failure
}
