//! All automation of the project: `cargo xtask <task>`.
//!
//! It drives cargo and the programs that cargo builds; it links none of the project's crates, so
//! that it builds in seconds and can judge a tree that does not build. It must not know what the
//! server does inside.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a program for a person at a terminal, which reads the environment and waits"
)]

mod bench;
mod codegen;
mod conformance;
mod curl;
mod databases;
mod db;
mod dist;
mod fuzz;
mod http;
mod lab;
mod places;
mod run;
mod server;
mod setup;
mod soak;
mod test;
mod tour;

use std::process::ExitCode;

use anyhow::Result;

/// A task: its name, what `--help` says of its arguments and purpose, and the function.
struct Task {
    name: &'static str,
    arguments: &'static str,
    purpose: &'static str,
    run: fn(&[String]) -> Result<bool>,
}

const TASKS: &[Task] = &[
    Task {
        name: "test",
        arguments: "",
        purpose: "set up what the tests need, run every test, print a summary",
        run: test::task,
    },
    Task {
        name: "setup",
        arguments: "",
        purpose: "set up what the tests need, for running some of them by hand",
        run: setup::task,
    },
    Task {
        name: "conformance",
        arguments: "[--database sqlite|postgres|mariadb|all] [--only WORD] [DIRECTORY]",
        purpose: "run the OASIS cases (default: ../shared/kmip/cases) against real servers",
        run: conformance::task,
    },
    Task {
        name: "db",
        arguments: "postgres|mariadb|galera [--port N] [--directory DIR]",
        purpose: "run a database server to play with, until Ctrl-C; prints how to use it",
        run: db::task,
    },
    Task {
        name: "edgelessdb",
        arguments: "DIR",
        purpose: "make what an operator of an EdgelessDB needs, and print the commands to use it",
        run: db::edgelessdb,
    },
    Task {
        name: "codegen",
        arguments: "[--check]",
        purpose: "write docs/reference from the tables in the code; --check fails on a difference",
        run: codegen::task,
    },
    Task {
        name: "tour",
        arguments: "",
        purpose: "run the README's tour as it is printed, against a fresh server",
        run: tour::task,
    },
    Task {
        name: "fuzz",
        arguments: "[TARGET] [--minutes N]",
        purpose: "fuzz one target, or each in turn (default: 10 minutes a target)",
        run: fuzz::task,
    },
    Task {
        name: "soak",
        arguments: "crash|faults|galera [--rounds N] [--only WORD]",
        purpose: "let things go wrong under write load, again and again; writes bench/results",
        run: soak::task,
    },
    Task {
        name: "bench",
        arguments: "[--quick] [--rounds N] [--seconds N] [--objects N] [--only WORD] [--build]",
        purpose: "measure the server beside a bare echo; writes bench/results",
        run: bench::task,
    },
    Task {
        name: "dist",
        arguments: "",
        purpose: "build the release artefacts into target/dist, with their checksums",
        run: dist::task,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let name = arguments.first().map_or("help", String::as_str);
    if name == "curl" {
        return curl::main(arguments.get(1..).unwrap_or_default());
    }
    let Some(task) = TASKS.iter().find(|task| task.name == name) else {
        return help(name);
    };
    match (task.run)(arguments.get(1..).unwrap_or_default()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask {name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn help(asked: &str) -> ExitCode {
    println!("cargo xtask <task>\n");
    for task in TASKS {
        println!("  {:<12} {}", task.name, task.purpose);
        if !task.arguments.is_empty() {
            println!("  {:<12} arguments: {}", "", task.arguments);
        }
    }
    if matches!(asked, "help" | "--help" | "-h") {
        return ExitCode::SUCCESS;
    }
    eprintln!("\nxtask: there is no task `{asked}`");
    ExitCode::FAILURE
}
