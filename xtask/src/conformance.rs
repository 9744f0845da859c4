//! The OASIS cases against a real server. They are no part of the project: a directory is given.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::{places, run};

/// Where the cases lie unless a directory is given.
const CASES: &str = "../shared/kmip/cases";

pub(crate) fn task(arguments: &[String]) -> Result<bool> {
    let given = arguments.iter().find(|argument| !argument.starts_with("--"));
    let cases = match given {
        Some(path) => std::env::current_dir()?.join(path),
        None => places::root().join(CASES),
    };
    if !cases.is_dir() {
        bail!(
            "no cases at {}: give the directory that holds them (v1.0, v1.4, v2.1 with the XML \
             files of the OASIS profiles)",
            cases.display()
        );
    }
    run::must(run::cargo(["build", "--workspace", "--bins"]).args(run::FEATURES))?;
    let unsupported: PathBuf = places::root().join("xtask/conformance/unsupported.txt");
    let mut command = std::process::Command::new(places::program("debug", "kms-lab"));
    command
        .arg("conformance")
        .arg("--server")
        .arg(places::program("debug", "kms-server"))
        .arg("--unsupported")
        .arg(unsupported)
        .args(arguments.iter().filter(|argument| argument.starts_with("--")))
        .arg(cases)
        .current_dir(places::root());
    run::succeeds(&mut command)
}
