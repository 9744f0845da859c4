//! The artefacts of a release: the programs, stripped, with their checksums and documents.

use std::process::Command;

use anyhow::{Context, Result};

use crate::{places, run};

const PROGRAMS: &[&str] = &["kms-server", "kms"];
const DOCUMENTS: &[&str] =
    &["README.md", "CHANGELOG.md", "SECURITY.md", "LICENSE-APACHE", "LICENSE-MIT"];

pub(crate) fn task(_: &[String]) -> Result<bool> {
    run::must(&mut run::cargo([
        "build",
        "--release",
        "--locked",
        "-p",
        "kms-server",
        "-p",
        "kms-cli",
    ]))?;
    let directory = places::target().join("dist");
    if directory.exists() {
        std::fs::remove_dir_all(&directory)?;
    }
    std::fs::create_dir_all(&directory)?;
    for name in PROGRAMS {
        let from = places::program("release", name);
        std::fs::copy(&from, directory.join(name)).with_context(|| from.display().to_string())?;
    }
    for name in DOCUMENTS {
        std::fs::copy(places::root().join(name), directory.join(name)).context(*name)?;
    }
    let sums = Command::new("sha256sum")
        .args(PROGRAMS)
        .args(DOCUMENTS)
        .current_dir(&directory)
        .output()
        .context("sha256sum (package coreutils)")?;
    std::fs::write(directory.join("SHA256SUMS"), sums.stdout)?;
    println!("commit {}: {}", run::commit(), directory.display());
    Ok(true)
}
