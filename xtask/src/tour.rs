//! The README's tour, run as it is printed against a fresh server.
//!
//! A fenced block that opens with ```` ```sh tour ```` is run; the blocks run in one shell, in
//! their order, in an empty directory. Only the port differs from what is printed.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::server::Server;
use crate::{places, run};

/// The port that the README prints.
const PRINTED: &str = "9998";

pub(crate) fn task(_: &[String]) -> Result<bool> {
    run::must(run::cargo(["build", "--workspace", "--bins"]).args(run::FEATURES))?;
    walk()
}

/// Runs the tour with the programs of the `debug` profile, which are built already.
pub(crate) fn walk() -> Result<bool> {
    let readme = std::fs::read_to_string(places::root().join("README.md"))?;
    let blocks = blocks(&readme);
    if blocks.is_empty() {
        bail!("README.md has no block that opens with ```sh tour");
    }
    let directory = places::scratch("tour")?;
    let data = directory.join("data");
    let work = directory.join("work");
    std::fs::create_dir_all(&data)?;
    std::fs::create_dir_all(&work)?;
    let server = Server::start(&places::program("debug", "kms-server"), &data)?;
    let port = server.address.port().to_string();
    // A `kms` profile of the person who runs this must not change what happens.
    let script = format!("set -eux\n{}\n", blocks.join("\n")).replace(PRINTED, &port);
    let mut command = Command::new("bash");
    command
        .current_dir(&work)
        .env("PATH", path(&directory)?)
        .env("HOME", &work)
        .env("XDG_CONFIG_HOME", &work)
        .env("KMS_URL", format!("http://localhost:{port}"))
        .stdin(Stdio::piped());
    let mut shell = command.spawn().context("bash")?;
    shell.stdin.take().context("bash")?.write_all(script.as_bytes())?;
    let passed = shell.wait()?.success();
    let stopped = server.stop()?;
    if !stopped {
        println!("tour: the server did not end well");
    }
    if passed && stopped {
        std::fs::remove_dir_all(&directory)?;
    } else {
        println!("tour: left for you to look at: {}", directory.display());
    }
    Ok(passed && stopped)
}

/// The search path for the tour: the built programs first. Where curl is not installed, a
/// stand-in that understands what the tour uses is put last.
fn path(directory: &Path) -> Result<String> {
    let mut path = format!("{}:", places::program("debug", "").display());
    path.push_str(&std::env::var("PATH").unwrap_or_default());
    if run::output(Command::new("curl").arg("--version")).is_none() {
        println!("tour: curl is not installed; the curl commands run by a stand-in");
        let tools = directory.join("tools");
        std::fs::create_dir_all(&tools)?;
        let script = tools.join("curl");
        let this = std::env::current_exe()?;
        std::fs::write(&script, format!("#!/bin/sh\nexec '{}' curl \"$@\"\n", this.display()))?;
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
        path.push(':');
        path.push_str(&tools.display().to_string());
    }
    Ok(path)
}

fn blocks(readme: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in readme.lines() {
        match &mut open {
            None if line.trim_end() == "```sh tour" => open = Some(String::new()),
            None => {}
            Some(_) if line.trim_end() == "```" => blocks.extend(open.take()),
            Some(block) => {
                block.push_str(line);
                block.push('\n');
            }
        }
    }
    blocks
}
