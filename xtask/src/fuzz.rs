//! Fuzzing: a smoke run on stable Rust in the tests, and long runs with libFuzzer on nightly.

use std::process::Command;

use anyhow::{Result, bail};

use crate::{places, run};

/// Seconds for the smoke run of all targets together.
const SMOKE_SECONDS: &str = "60";

pub(crate) fn task(arguments: &[String]) -> Result<bool> {
    let minutes: u32 = run::number(arguments, "--minutes", 10)?;
    let asked = arguments.first().filter(|argument| !argument.starts_with("--"));
    let targets = targets()?;
    if let Some(asked) = asked
        && !targets.contains(asked)
    {
        bail!("no fuzz target `{asked}`; there are: {}", targets.join(", "));
    }
    let nightly = run::output(Command::new("cargo").args(["+nightly", "fuzz", "--version"]));
    if nightly.is_none() {
        bail!(
            "fuzzing needs nightly Rust and cargo-fuzz: rustup toolchain install nightly, \
             cargo install cargo-fuzz. `cargo xtask test` has a smoke run on stable."
        );
    }
    let mut passed = true;
    for target in targets.iter().filter(|target| asked.is_none_or(|asked| asked == *target)) {
        let mut command = Command::new("cargo");
        command
            .args(["+nightly", "fuzz", "run", target, "--"])
            .arg(format!("-max_total_time={}", minutes * 60))
            .current_dir(places::root());
        passed &= run::succeeds(&mut command)?;
    }
    Ok(passed)
}

/// A short run of every target, on stable Rust.
pub(crate) fn smoke() -> Result<bool> {
    let mut command = Command::new(places::program("debug", "kms-lab"));
    run::succeeds(
        command.args(["fuzz-smoke", "--seconds", SMOKE_SECONDS]).current_dir(places::root()),
    )
}

fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(places::root().join("fuzz/fuzz_targets"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs")
            && let Some(name) = path.file_stem()
        {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}
