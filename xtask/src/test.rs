//! `cargo xtask test`: everything that decides whether the tree is good, in one order, with one
//! summary. What is ignored or left out counts as failed.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::run::{self, FEATURES};
use crate::{codegen, databases, fuzz, places, setup, tour};

/// How one step went.
struct Step {
    name: &'static str,
    passed: u32,
    failed: u32,
    took: Duration,
    note: String,
}

/// What a test runner said of its tests.
#[derive(Default)]
struct Count {
    passed: u32,
    failed: u32,
    ignored: u32,
}

/// A step: one part of what must hold.
type Run = fn() -> Result<Count>;

/// The steps after the setup, in their order. What needs a build comes after what does not.
const STEPS: &[(&str, Run)] = &[
    ("format", format),
    ("clippy", clippy),
    ("build", build),
    ("tests", tests),
    ("on PostgreSQL", on_postgres),
    ("on MariaDB", on_mariadb),
    ("doc tests", doc_tests),
    ("generated pages", generated),
    ("fuzz smoke", fuzz_smoke),
    ("README's tour", readme_tour),
    ("users' tour", users_tour),
    // Last: it puts another server in the place of the one that the others start.
    ("production", production),
];

pub(crate) fn task(_: &[String]) -> Result<bool> {
    let begun = Instant::now();
    setup::prepare()?;
    let mut steps = Vec::new();
    for (name, step) in STEPS {
        println!("\n=== {name}");
        let step = perform(name, *step);
        let built = step.failed == 0 || *name != "build";
        steps.push(step);
        if !built {
            println!("\nnothing that follows can run: the build failed");
            break;
        }
    }
    Ok(summary(&steps, begun.elapsed()))
}

fn perform(name: &'static str, step: Run) -> Step {
    let begun = Instant::now();
    let (count, mut note) = match step() {
        Ok(count) => (count, String::new()),
        Err(error) => (Count { failed: 1, ..Count::default() }, format!("{error:#}")),
    };
    if count.ignored > 0 {
        note = format!("{} ignored or skipped, which counts as failed", count.ignored);
    }
    Step {
        name,
        passed: count.passed,
        failed: count.failed + count.ignored,
        took: begun.elapsed(),
        note,
    }
}

fn summary(steps: &[Step], took: Duration) -> bool {
    println!("\n=== summary");
    for step in steps {
        let word = if step.failed == 0 { "ok" } else { "FAILED" };
        println!(
            "{:<16} {:>6} {:>5} passed {:>3} failed  {:>6.1} s  {}",
            step.name,
            word,
            step.passed,
            step.failed,
            step.took.as_secs_f64(),
            step.note
        );
    }
    let passed: u32 = steps.iter().map(|step| step.passed).sum();
    let failed: u32 = steps.iter().map(|step| step.failed).sum();
    let left = STEPS.len() - steps.len();
    if left > 0 {
        println!("{left} steps did not run");
    }
    println!("in {:.0} s", took.as_secs_f64());
    println!("{passed} passed, {failed} failed");
    failed == 0 && left == 0
}

/// One step that either passes or fails.
fn one(passed: bool) -> Count {
    Count { passed: u32::from(passed), failed: u32::from(!passed), ignored: 0 }
}

fn format() -> Result<Count> {
    Ok(one(run::succeeds(&mut run::cargo(["fmt", "--all", "--check"]))?))
}

fn clippy() -> Result<Count> {
    let mut command = run::cargo(["clippy", "--workspace", "--all-targets", "--quiet"]);
    command.args(FEATURES).args(["--", "-D", "warnings"]);
    Ok(one(run::succeeds(&mut command)?))
}

fn build() -> Result<Count> {
    // Programs first: tests of one crate start the program of another.
    let programs = run::succeeds(run::cargo(["build", "--workspace", "--bins"]).args(FEATURES))?;
    let tests = programs
        && run::succeeds(
            run::cargo(["test", "--workspace", "--no-run", "--quiet"]).args(FEATURES),
        )?;
    Ok(one(tests))
}

/// Every test, with the servers of tests on the database in their own directory.
fn tests() -> Result<Count> {
    let mut runner = Runner::new();
    if !runner.is_nextest {
        runner.command.args(["--workspace", "--lib", "--bins", "--tests"]);
    }
    runner.count()
}

fn on_postgres() -> Result<Count> {
    on("postgres")
}

fn on_mariadb() -> Result<Count> {
    on("mariadb")
}

/// What servers do, again, with a database beside them. The tests that choose a database themselves
/// do the same here as before, and are left out.
fn on(database: &str) -> Result<Count> {
    const SERVERS: &str =
        "package(kms-server) & kind(test) & !test(/^(databases|keyring|leaks|rotation)::/)";
    let mut runner = Runner::new();
    runner.command.env(databases::CHOICE, database);
    if runner.is_nextest {
        runner.command.args(["--filterset", SERVERS]);
    } else {
        runner.command.args(["--package", "kms-server", "--tests"]);
    }
    // What is ignored was counted with all tests.
    Ok(Count { ignored: 0, ..runner.count()? })
}

/// The runner of tests that is there, told to run all of the workspace's, or those added.
struct Runner {
    command: Command,
    is_nextest: bool,
}

impl Runner {
    fn new() -> Self {
        let is_nextest = run::output(&mut run::cargo(["nextest", "--version"])).is_some();
        let mut command = if is_nextest {
            // One set of features: nothing is built twice.
            run::cargo(["nextest", "run", "--workspace", "--profile", "ci", "--cargo-quiet"])
        } else {
            run::cargo(["test", "--no-fail-fast", "--quiet"])
        };
        command.args(FEATURES);
        Self { command, is_nextest }
    }

    fn count(&mut self) -> Result<Count> {
        count(&mut self.command, if self.is_nextest { NEXTEST } else { CARGO })
    }
}

/// Doc tests run only where some exist: each crate's are a build of their own.
fn doc_tests() -> Result<Count> {
    let mut command = run::cargo(["test", "--doc", "--no-fail-fast", "--quiet"]);
    let mut any = false;
    for entry in std::fs::read_dir(places::root().join("crates"))? {
        let path = entry?.path();
        if has_doc_tests(&path.join("src"))?
            && let Some(name) = path.file_name()
        {
            any = true;
            command.arg("--package").arg(name);
        }
    }
    if any { count(&mut command, CARGO) } else { Ok(Count::default()) }
}

fn has_doc_tests(directory: &Path) -> Result<bool> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            if has_doc_tests(&path)? {
                return Ok(true);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path)?;
            let opens = |line: &str| {
                let line = line.trim_start();
                let code = line.strip_prefix("/// ```").or_else(|| line.strip_prefix("//! ```"));
                matches!(code.map(str::trim), Some("" | "rust" | "no_run" | "should_panic"))
            };
            if text.lines().any(opens) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn generated() -> Result<Count> {
    Ok(one(codegen::check()?))
}

fn fuzz_smoke() -> Result<Count> {
    Ok(one(fuzz::smoke()?))
}

fn readme_tour() -> Result<Count> {
    Ok(one(tour::walk()?))
}

fn users_tour() -> Result<Count> {
    Ok(one(tour::walk_users()?))
}

/// The build without features must not start half-secure: it says what is missing and ends.
fn production() -> Result<Count> {
    run::must(&mut run::cargo(["build", "--workspace", "--bins", "--quiet"]))?;
    let directory = places::scratch("production")?;
    let output = Command::new(places::program("debug", "kms-server"))
        .args(["--port", "0", "--root-dir"])
        .arg(&directory)
        .current_dir(&directory)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    print!("{said}");
    let nothing_made = std::fs::read_dir(&directory)?.next().is_none();
    std::fs::remove_dir_all(&directory)?;
    // Tests that are run by hand afterwards find the server that they expect again.
    run::must(run::cargo(["build", "--workspace", "--bins", "--quiet"]).args(FEATURES))?;
    // The code for configuration: docs/reference/exit-codes.md.
    let refused = output.status.code() == Some(2) && said.contains("--features dev");
    Ok(one(refused && nothing_made))
}

/// Runs a test runner and adds up what it says.
fn count(command: &mut Command, summary: &str) -> Result<Count> {
    let mut count = Count::default();
    let mut said = 0_u32;
    let passed = run::read_lines(command, |line| {
        let Some(numbers) = numbers(line, summary) else { return };
        said += 1;
        count.passed += numbers.passed;
        count.failed += numbers.failed;
        count.ignored += numbers.ignored;
    })?;
    if !passed && count.failed == 0 || said == 0 {
        // It failed before it could say so, as when a program does not link.
        count.failed += 1;
    }
    Ok(count)
}

/// How the summary of each runner begins. A test that fails shows the other's too.
const CARGO: &str = "test result:";
const NEXTEST: &str = "Summary [";

/// The numbers in a runner's summary: `test result: ok. 3 passed; 0 failed; 0 ignored; …` of
/// cargo, `Summary [ 1.0s] 3 tests run: 3 passed (1 slow), 0 skipped` of nextest.
fn numbers(line: &str, summary: &str) -> Option<Count> {
    let rest = line.trim_start().strip_prefix(summary)?;
    let rest = rest.split_once("run:").map_or(rest, |(_, rest)| rest);
    let mut count = Count::default();
    for part in rest.split([';', ',', '.', ':']) {
        let mut words = part.split_whitespace();
        let (Some(number), Some(word)) = (words.next(), words.next()) else { continue };
        let Ok(number) = number.parse::<u32>() else { continue };
        match word {
            "passed" => count.passed += number,
            "failed" | "timed" | "exec" => count.failed += number,
            "ignored" | "skipped" => count.ignored += number,
            _ => {}
        }
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::{CARGO, NEXTEST, numbers};

    #[test]
    fn the_summaries_of_both_runners_are_read() {
        for (line, expected) in [
            (
                "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.01s",
                (12, 0, 1),
            ),
            (
                "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out",
                (3, 2, 0),
            ),
            ("     Summary [   0.012s] 7 tests run: 7 passed, 0 skipped", (7, 0, 0)),
            (
                "     Summary [   1.5s] 9 tests run: 6 passed (1 slow), 2 failed, 1 timed out, 4 skipped",
                (6, 3, 4),
            ),
        ] {
            let count = numbers(line, CARGO).or(numbers(line, NEXTEST)).expect(line);
            assert_eq!((count.passed, count.failed, count.ignored), expected, "{line}");
        }
        assert!(numbers("running 3 tests", CARGO).is_none());
        assert!(numbers("test result: ok. 1 passed", NEXTEST).is_none());
    }
}
