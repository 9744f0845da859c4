//! Long runs. `soak crash`: the server is killed under write load, again and again; nothing that
//! was answered may be lost and no half of a batch may be found.

use std::fmt::Write as _;
use std::process::Command;

use anyhow::{Result, bail};

use crate::{places, run};

pub(crate) fn task(arguments: &[String]) -> Result<bool> {
    if arguments.first().map(String::as_str) != Some("crash") {
        bail!("the only soak is `cargo xtask soak crash [--times N]`");
    }
    let times: u32 = run::number(arguments, "--times", 50)?;
    run::must(run::cargo(["build", "--workspace", "--bins"]).args(run::FEATURES))?;
    let mut lines = Vec::new();
    let passed = run::read_lines(
        Command::new(places::program("debug", "kms-lab"))
            .arg("crash")
            .arg("--server")
            .arg(places::program("debug", "kms-server"))
            .arg("--times")
            .arg(times.to_string()),
        |line| lines.push(line.to_owned()),
    )?;
    record(times, passed, &lines)?;
    Ok(passed)
}

fn record(times: u32, passed: bool, lines: &[String]) -> Result<()> {
    let directory = places::root().join("bench/results");
    std::fs::create_dir_all(&directory)?;
    let path = directory.join(format!("{}-soak-crash.md", run::today()));
    let verdict = if passed { "passed" } else { "FAILED" };
    let mut text = format!(
        "# Killed under write load, {times} times: {verdict}\n\nCommit {}.\n\n```text\n",
        run::commit()
    );
    for line in lines {
        writeln!(text, "{line}")?;
    }
    text.push_str("```\n");
    std::fs::write(&path, text)?;
    println!("written to {}", path.display());
    Ok(())
}
