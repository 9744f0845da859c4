//! `cargo xtask bench`: the load generator, the server under test and a bare hyper echo in turn,
//! in one run and several rounds. The steadiest figure is the processor time that the kernel
//! accounts to the server; everything is written to `bench/results`.

mod audit;
mod bare;
mod callers;
mod databases;
mod existence;
mod load;
mod message;
mod report;
mod rows;
mod shares;
mod special;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use crate::server::Server;
use crate::{places, run};

/// The variables of a server under measurement: what a row does not measure is off.
pub(crate) const QUIET: &[(&str, &str)] = &[("KMS_AUDIT", "off")];

/// What is measured and how long.
pub(crate) struct Plan {
    /// One measurement of one row.
    pub(crate) slice: Duration,
    /// How many times each row is measured, in turn with its echo.
    pub(crate) rounds: u32,
    /// Objects in the large database.
    pub(crate) objects: u64,
    /// Only the rows whose name has this word.
    pub(crate) only: Option<String>,
    /// Requests for the row on memory.
    pub(crate) requests: u64,
    /// Whether a build from nothing is measured too.
    pub(crate) build: bool,
    /// Whether everything is measured, for as long as it should be.
    pub(crate) whole: bool,
}

/// The programs under measurement, built for release.
pub(crate) struct Programs {
    pub(crate) server: PathBuf,
    pub(crate) echo: PathBuf,
    /// The echo that asks a database.
    pub(crate) database_echo: PathBuf,
    pub(crate) bare: PathBuf,
    pub(crate) lab: PathBuf,
}

/// A line of the report.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) target: String,
    pub(crate) result: String,
    /// Whether the target is met; `None` where there is only a figure.
    pub(crate) met: Option<bool>,
    /// The figures behind it, by name.
    pub(crate) figures: Vec<(String, f64)>,
}

impl Plan {
    fn read(arguments: &[String]) -> Result<Self> {
        let quick = arguments.iter().any(|argument| argument == "--quick");
        let seconds: f64 = run::number(arguments, "--seconds", if quick { 1.0 } else { 4.0 })?;
        Ok(Self {
            slice: Duration::from_secs_f64(seconds),
            rounds: run::number(arguments, "--rounds", if quick { 2 } else { 5 })?,
            objects: run::number(arguments, "--objects", if quick { 10_000 } else { 1_000_000 })?,
            only: run::option(arguments, "--only").map(str::to_lowercase),
            requests: if quick { 100_000 } else { 1_000_000 },
            build: arguments.iter().any(|argument| argument == "--build"),
            whole: !quick && run::option(arguments, "--only").is_none(),
        })
    }

    /// Whether a row of this name is wanted.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|word| name.to_lowercase().contains(word))
    }

    /// Whether one of them is wanted.
    pub(crate) fn wants_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.wants(name))
    }
}

pub(crate) fn task(arguments: &[String]) -> Result<bool> {
    let plan = Plan::read(arguments)?;
    let programs = build()?;
    let scratch = places::scratch("bench")?;
    let echo = Server::start_at(&programs.echo, &[], &scratch.join("echo.log"))?;
    let mut lines = Vec::new();
    let data = scratch.join("small");
    std::fs::create_dir_all(&data)?;
    {
        let server = Server::start(&programs.server, &data, QUIET)?;
        lines.extend(rows::measure(&plan, &server, &echo)?);
        lines.extend(audit::measure(&plan, &server, &programs, &scratch)?);
        lines.extend(special::beside_generation(&plan, &server)?);
        lines.extend(special::against_bare(&plan, &server, &echo, &programs.bare)?);
        if [callers::NAMES, shares::NAMES, existence::NAMES].iter().any(|it| plan.wants_any(it)) {
            let mut callers = callers::Callers::start(&programs, &scratch)?;
            lines.extend(existence::measure(&plan, &mut callers)?);
            lines.extend(callers::measure(&plan, &server, &echo, &mut callers)?);
            lines.extend(shares::measure(&plan, &mut callers)?);
        }
    }
    lines.extend(databases::measure(&plan, &programs, &scratch)?);
    lines.extend(special::memory_and_start(&plan, &programs, &scratch)?);
    lines.extend(special::large(&plan, &programs, &echo, &scratch)?);
    lines.extend(special::binary_size(&plan, &programs)?);
    lines.extend(special::build_time(&plan, &scratch)?);
    drop(echo);
    std::fs::remove_dir_all(&scratch)?;
    report::write(&plan, &lines)?;
    Ok(true)
}

fn build() -> Result<Programs> {
    run::must(&mut run::cargo([
        "build",
        "--release",
        "-p",
        "kms-server",
        "--features",
        "dev",
        "--bins",
        "--examples",
    ]))?;
    run::must(&mut run::cargo(["build", "--release", "-p", "kms-crypto", "--example", "bare"]))?;
    let database = ["build", "--release", "-p", "kms-store", "--example", "echo_database"];
    run::must(&mut run::cargo(database))?;
    run::must(&mut run::cargo(["build", "--release", "-p", "kms-lab"]))?;
    Ok(Programs {
        server: places::program("release", "kms-server"),
        echo: places::program("release/examples", "echo"),
        database_echo: places::program("release/examples", "echo_database"),
        bare: places::program("release/examples", "bare"),
        lab: places::program("release", "kms-lab"),
    })
}
