//! What the tests need of the machine: installed where that can be done, else said exactly.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{databases, run};

/// Sees to it that a C compiler, the database servers, rustfmt and clippy are there.
pub(crate) fn prepare() -> Result<()> {
    c_compiler()?;
    databases::install()?;
    for (component, argument) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        if run::output(&mut run::cargo([argument, "--version"])).is_some() {
            continue;
        }
        println!("{component} is missing; adding it to the toolchain");
        let added = Command::new("rustup").args(["component", "add", component]).status();
        if !added.is_ok_and(|status| status.success()) {
            bail!(
                "{component} is missing and could not be added: rustup component add {component}"
            );
        }
    }
    Ok(())
}

fn c_compiler() -> Result<()> {
    if ["cc", "gcc", "clang"]
        .iter()
        .any(|name| run::output(Command::new(name).arg("--version")).is_some())
    {
        return Ok(());
    }
    let install = "apt-get install -y gcc libc6-dev";
    if !(is_root() && Path::new("/etc/debian_version").exists()) {
        bail!("a C compiler is missing. On Debian or Ubuntu: sudo {install}");
    }
    println!("a C compiler is missing; installing one");
    run::must(Command::new("apt-get").args(["update", "-q"]))?;
    run::must(
        Command::new("apt-get")
            .args(["install", "-y", "-q", "--no-install-recommends", "gcc", "libc6-dev"])
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
    .context("installing a C compiler")
}

fn is_root() -> bool {
    run::output(Command::new("id").arg("-u")).is_some_and(|id| id == "0")
}
