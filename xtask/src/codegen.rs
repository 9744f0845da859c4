//! The reference pages: written by the programs from the tables they run by, compared by a test.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{places, run};

/// A page and what prints it.
struct Page {
    /// Below `docs/reference`.
    file: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
}

const PAGES: &[Page] = &[
    Page {
        file: "configuration.md",
        program: "kms-lab",
        arguments: &["reference", "configuration"],
    },
    Page { file: "exit-codes.md", program: "kms-lab", arguments: &["reference", "exit-codes"] },
    Page { file: "operations.md", program: "kms-lab", arguments: &["reference", "operations"] },
    Page { file: "algorithms.md", program: "kms-lab", arguments: &["reference", "algorithms"] },
    Page { file: "permissions.md", program: "kms-lab", arguments: &["reference", "permissions"] },
    Page {
        file: "access-matrix.md",
        program: "kms-lab",
        arguments: &["reference", "access-matrix"],
    },
    Page { file: "cli.md", program: "kms", arguments: &["reference"] },
];

pub(crate) fn task(arguments: &[String]) -> Result<bool> {
    run::must(run::cargo(["build", "--workspace", "--bins"]).args(run::FEATURES))?;
    if arguments.iter().any(|argument| argument == "--check") {
        return check();
    }
    for page in PAGES {
        std::fs::write(path(page), print(page)?)?;
        println!("written: docs/reference/{}", page.file);
    }
    Ok(true)
}

/// Whether each page is what its program prints now.
pub(crate) fn check() -> Result<bool> {
    let mut same = true;
    for page in PAGES {
        let now = print(page)?;
        if std::fs::read_to_string(path(page)).unwrap_or_default() != now {
            println!("docs/reference/{} is not what the code says: cargo xtask codegen", page.file);
            same = false;
        }
    }
    Ok(same)
}

fn print(page: &Page) -> Result<String> {
    let program = places::program("debug", page.program);
    let output = Command::new(&program)
        .args(page.arguments)
        .output()
        .with_context(|| program.display().to_string())?;
    if !output.status.success() {
        bail!("{} {} failed", page.program, page.arguments.join(" "));
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn path(page: &Page) -> PathBuf {
    places::root().join("docs/reference").join(page.file)
}
