//! Fuzzing: a smoke run in the tests without a fuzzer, and long runs with libFuzzer; both on
//! stable Rust.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{places, run};

/// Seconds for the smoke run of all targets together.
const SMOKE_SECONDS: &str = "60";

/// Coverage for libFuzzer without a sanitizer, which needs no nightly compiler.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

pub(crate) fn task(arguments: &[String]) -> Result<bool> {
    let minutes: u32 = run::number(arguments, "--minutes", 10)?;
    let asked = arguments.first().filter(|argument| !argument.starts_with("--"));
    let targets = targets()?;
    if let Some(asked) = asked
        && !targets.contains(asked)
    {
        bail!("no fuzz target `{asked}`; there are: {}", targets.join(", "));
    }
    if run::output(Command::new("c++").arg("--version")).is_none() {
        bail!("libFuzzer needs a C++ compiler. On Debian or Ubuntu: apt-get install g++");
    }
    let fuzz = places::root().join("fuzz");
    let verbose = run::output(run::cargo(["-vV"]).current_dir(&fuzz)).unwrap_or_default();
    let host = verbose.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("cargo -vV names no host")?;
    // With a target given, the flags do not reach build scripts, which would not link with them.
    run::must(
        run::cargo(["build", "--release", "--target", host])
            .current_dir(&fuzz)
            .env("CARGO_TARGET_DIR", "target")
            .env("RUSTFLAGS", FLAGS),
    )?;
    let mut passed = true;
    for target in targets.iter().filter(|target| asked.is_none_or(|asked| asked == *target)) {
        std::fs::create_dir_all(fuzz.join("corpus").join(target))?;
        std::fs::create_dir_all(fuzz.join("artifacts"))?;
        let mut command = Command::new(fuzz.join("target").join(host).join("release").join(target));
        command
            .arg(format!("-max_total_time={}", minutes * 60))
            .args(["-timeout=5", "-rss_limit_mb=1024", "-max_len=16384"])
            .arg("-artifact_prefix=artifacts/")
            .arg(format!("corpus/{target}"))
            .current_dir(&fuzz);
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
