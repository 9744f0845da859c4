//! Databases for people: a server for a developer, of the kind that the tests start for themselves,
//! which runs until Ctrl-C and leaves nothing behind; and what an operator of an EdgelessDB needs.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{databases, places, run};

pub(crate) fn task(arguments: &[String]) -> Result<bool> {
    databases::install()?;
    become_lab("db", arguments)
}

pub(crate) fn edgelessdb(arguments: &[String]) -> Result<bool> {
    become_lab("edgelessdb", arguments)
}

/// Runs a task of the laboratory in the place of this program, so that Ctrl-C is for that one, and is
/// waited for.
fn become_lab(task: &str, arguments: &[String]) -> Result<bool> {
    run::must(run::cargo(["build", "--workspace", "--bins"]).args(run::FEATURES))?;
    let program = places::program("debug", "kms-lab");
    let error = Command::new(&program).arg(task).args(arguments).exec();
    Err(error).with_context(|| program.display().to_string())
}
