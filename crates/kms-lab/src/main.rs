//! The laboratory: the parts of the project's automation that need the project's own crates.
//! `cargo xtask` builds it and calls it; people call `cargo xtask`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a program for a person at a terminal, which waits and reads the clock"
)]

mod calendar;
mod case;
mod check;
mod conformance;
mod db;
mod edgelessdb;
mod faults;
mod people;
#[path = "../../../fuzz/src/lib.rs"]
#[expect(
    unreachable_pub,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "the fuzzer's own file, compiled here without the fuzzer: it panics on purpose"
)]
mod promises;
mod reference;
mod smoke;
mod tree;
mod variables;

use std::process::ExitCode;

/// What went wrong, for a person.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A task of the laboratory: whether it passed.
type Task = fn(&[String]) -> Result<bool>;

const TASKS: &[(&str, Task)] = &[
    ("browser", people::browser),
    ("conformance", conformance::task),
    ("db", db::task),
    ("edgelessdb", edgelessdb::task),
    ("faults", faults::task),
    ("fuzz-smoke", smoke::task),
    ("issuer", people::issuer),
    ("provider", people::provider),
    ("reference", reference::task),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let name = arguments.first().map_or("", String::as_str);
    let Some((_, task)) = TASKS.iter().find(|(task, _)| *task == name) else {
        eprintln!("kms-lab: no task `{name}`; cargo xtask calls this program");
        return ExitCode::FAILURE;
    };
    match task(arguments.get(1..).unwrap_or_default()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("kms-lab {name}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The value after `--name` among `arguments`.
fn option<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    let at = arguments.iter().position(|argument| argument == name)?;
    arguments.get(at + 1).map(String::as_str)
}
