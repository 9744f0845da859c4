//! The OASIS cases against real servers, on one database or on each. They are no part of the
//! project: a directory is given.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{databases, places, run};

/// Where the cases lie unless a directory is given.
const CASES: &str = "../shared/kmip/cases";

/// What was asked for.
struct Asked<'a> {
    databases: &'a [&'a str],
    only: Option<&'a str>,
    cases: PathBuf,
}

pub(crate) fn task(arguments: &[String]) -> Result<bool> {
    let mut databases: &[&str] = databases::SQLITE;
    let mut only = None;
    let mut cases = places::root().join(CASES);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} what?"));
        match argument.as_str() {
            "--database" => databases = databases::named(value()?)?,
            "--only" => only = Some(value()?.as_str()),
            option if option.starts_with("--") => bail!("there is no option {option}"),
            path => cases = std::env::current_dir()?.join(path),
        }
    }
    if !cases.is_dir() {
        bail!(
            "no cases at {}: give the directory that holds them (v1.0, v1.4, v2.1 with the XML \
             files of the OASIS profiles)",
            cases.display()
        );
    }
    perform(&Asked { databases, only, cases })
}

fn perform(asked: &Asked<'_>) -> Result<bool> {
    if asked.databases != databases::SQLITE {
        databases::install()?;
    }
    run::must(run::cargo(["build", "--workspace", "--bins"]).args(run::FEATURES))?;
    let mut passed = true;
    for database in asked.databases {
        println!("\n=== conformance on {database}");
        passed &= run::succeeds(&mut lab(asked, database))?;
    }
    Ok(passed)
}

fn lab(asked: &Asked<'_>, database: &str) -> Command {
    let unsupported: &Path = &places::root().join("xtask/conformance/unsupported.txt");
    let mut command = Command::new(places::program("debug", "kms-lab"));
    command
        .arg("conformance")
        .arg("--server")
        .arg(places::program("debug", "kms-server"))
        .arg("--unsupported")
        .arg(unsupported)
        .args(asked.only.iter().flat_map(|only| ["--only", only]))
        .arg(&asked.cases)
        .env(databases::CHOICE, database)
        .current_dir(places::root());
    command
}
