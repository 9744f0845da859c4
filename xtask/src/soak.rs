//! Long runs: what goes wrong beside and below a server, again and again, under write load. Nothing
//! that was answered may be lost, and nothing half done; the laboratory's faults say how.

use std::fmt::Write as _;
use std::process::Command;

use anyhow::{Result, bail};

use crate::{databases, places, run};

/// A soak: its name, what it does, and how often unless told.
const SOAKS: &[(&str, &str, u32)] = &[
    ("crash", "The server killed under write load", 50),
    ("faults", "What goes wrong below a server under write load", 10),
    ("galera", "Nodes of a Galera cluster killed under write load", 12),
];

pub(crate) fn task(arguments: &[String]) -> Result<bool> {
    let name = arguments.first().map_or("", String::as_str);
    let Some((name, title, rounds)) = SOAKS.iter().find(|(known, ..)| *known == name) else {
        bail!("cargo xtask soak crash|faults|galera [--rounds N] [--only WORD]");
    };
    let rounds: u32 = run::number(arguments, "--rounds", *rounds)?;
    databases::install()?;
    run::must(run::cargo(["build", "--workspace", "--bins"]).args(run::FEATURES))?;
    let mut command = Command::new(places::program("debug", "kms-lab"));
    command.arg("faults").arg("--server").arg(places::program("debug", "kms-server"));
    command.args(["--soak", name, "--rounds", &rounds.to_string()]);
    if let Some(only) = run::option(arguments, "--only") {
        command.args(["--only", only]);
    }
    let mut lines = Vec::new();
    let passed = run::read_lines(&mut command, |line| lines.push(line.to_owned()))?;
    record(name, title, passed, &lines)?;
    Ok(passed)
}

/// The table first, then each round.
fn record(name: &str, title: &str, passed: bool, lines: &[String]) -> Result<()> {
    let directory = places::root().join("bench/results");
    std::fs::create_dir_all(&directory)?;
    let path = directory.join(format!("{}-soak-{name}.md", run::today()));
    let verdict = if passed { "passed" } else { "FAILED" };
    let mut text = format!("# {title}: {verdict}\n\nCommit {}.\n\n", run::commit());
    let (table, rounds): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.starts_with('|'));
    for line in table {
        writeln!(text, "{line}")?;
    }
    text.push_str("\n```text\n");
    for line in rounds {
        writeln!(text, "{line}")?;
    }
    text.push_str("```\n");
    std::fs::write(&path, text)?;
    println!("written to {}", path.display());
    Ok(())
}
