//! The README's tour, run as it is printed against a fresh server.
//!
//! A fenced block that opens with ```` ```sh tour ```` is run; the blocks run in one shell, in
//! their order, in an empty directory. Only the port differs from what is printed. A command has to
//! succeed, and one behind `! ` has to fail.
//!
//! The blocks of users, ```` ```sh tour users ````, are a tour of their own, in another such shell:
//! against a server that believes a real identity provider, whose address takes the place of the
//! printed one. In a block that opens with ```` ```sh tour users alice ```` it is Alice's terminal:
//! she has a home directory of her own, and a browser that logs in as her where `kms login` opens it.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::lab::Lab;
use crate::server::Server;
use crate::{places, run};

/// The port that the README prints.
const PRINTED: &str = "9998";
/// The identity provider that the README prints.
const PRINTED_ISSUER: &str = "https://login.example.com/";
/// The audience that the README prints and the server of the users' tour wants.
const AUDIENCE: &str = "https://kms.example.com/";
/// How the blocks of each tour open.
const OPENS: &str = "```sh tour";
const OPENS_USERS: &str = "```sh tour users";

pub(crate) fn task(_: &[String]) -> Result<bool> {
    crate::setup::prepare()?;
    run::must(run::cargo(["build", "--workspace", "--bins"]).args(run::FEATURES))?;
    Ok(walk()? && walk_users()?)
}

/// Runs the tour of one user with the programs of the `debug` profile, which are built already.
pub(crate) fn walk() -> Result<bool> {
    let blocks = blocks(OPENS, |opening| opening == OPENS)?;
    let walk = Walk::new("tour")?;
    walk.run(&blocks, &[], &[])
}

/// Runs the tour of several users, with an identity provider.
pub(crate) fn walk_users() -> Result<bool> {
    let blocks = blocks(OPENS_USERS, |opening| opening.starts_with(OPENS_USERS))?;
    let provider = Lab::start(&places::program("debug", "kms-lab"), "provider")?;
    let walk = Walk::new("tour-users")?;
    walk.browser()?;
    let server =
        [("KMS_DELEGATED_AUTHORITY_DOMAIN", provider.url.as_str()), ("KMS_JWT_AUDIENCE", AUDIENCE)];
    walk.run(&blocks, &server, &[(PRINTED_ISSUER, &provider.url)])
}

/// One walk through one tour: its directories.
struct Walk {
    directory: PathBuf,
}

impl Walk {
    fn new(name: &str) -> Result<Self> {
        let directory = places::scratch(name)?;
        for part in ["data", "work", "homes", "tools"] {
            std::fs::create_dir_all(directory.join(part))?;
        }
        Ok(Self { directory })
    }

    /// Runs the blocks in one shell against a new server, with what is printed replaced.
    fn run(
        &self,
        blocks: &[Block],
        variables: &[(&str, &str)],
        printed: &[(&str, &str)],
    ) -> Result<bool> {
        let place = |part| self.directory.join(part);
        let server =
            Server::start(&places::program("debug", "kms-server"), &place("data"), variables)?;
        let port = server.address.port().to_string();
        let mut script = "set -eux\n".to_owned();
        let mut user = None;
        for block in blocks {
            if user.replace(&block.user) != Some(&block.user) {
                script.push_str(&self.terminal(&block.user)?);
            }
            let text = block.text.replace(PRINTED, &port);
            script.push_str(&printed.iter().fold(text, |text, (old, new)| text.replace(old, new)));
        }
        let mut command = Command::new("bash");
        for (name, _) in std::env::vars_os() {
            // What the person who runs this has set must not change what happens.
            if name.to_string_lossy().starts_with("KMS_") {
                command.env_remove(name);
            }
        }
        command
            .current_dir(place("work"))
            .env("PATH", path(&self.directory)?)
            .env("KMS_URL", format!("http://localhost:{port}"))
            .env("DISPLAY", "tour")
            .stdin(Stdio::piped());
        let mut shell = command.spawn().context("bash")?;
        shell.stdin.take().context("bash")?.write_all(script.as_bytes())?;
        let passed = shell.wait()?.success();
        let stopped = server.stop()?;
        if !stopped {
            println!("tour: the server did not end well");
        }
        if passed && stopped {
            std::fs::remove_dir_all(&self.directory)?;
        } else {
            println!("tour: left for you to look at: {}", self.directory.display());
        }
        Ok(passed && stopped)
    }

    /// What makes the shell the terminal of `user`.
    fn terminal(&self, user: &str) -> Result<String> {
        let home = self.directory.join("homes").join(user);
        std::fs::create_dir_all(&home)?;
        let home = home.display();
        Ok(format!("export HOME='{home}' XDG_CONFIG_HOME='{home}' KMS_TOUR_USER='{user}'\n"))
    }

    /// A browser that logs in as the user whose terminal it is opened from.
    fn browser(&self) -> Result<()> {
        let lab = places::program("debug", "kms-lab");
        let script = format!("exec '{}' browser \"$1\" \"$KMS_TOUR_USER\"\n", lab.display());
        for name in ["xdg-open", "open"] {
            tool(&self.directory, name, &script)?;
        }
        Ok(())
    }
}

/// A program for the tour: a script.
fn tool(directory: &Path, name: &str, script: &str) -> Result<()> {
    let path = directory.join("tools").join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}"))?;
    Ok(std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?)
}

/// The search path for the tour: its own tools and the built programs first. Where curl is not
/// installed, a stand-in that understands what the tour uses is one of the tools.
fn path(directory: &Path) -> Result<String> {
    if run::output(Command::new("curl").arg("--version")).is_none() {
        println!("tour: curl is not installed; the curl commands run by a stand-in");
        let this = std::env::current_exe()?;
        tool(directory, "curl", &format!("exec '{}' curl \"$@\"\n", this.display()))?;
    }
    let tools = directory.join("tools");
    let before = std::env::var("PATH").unwrap_or_default();
    let programs = places::program("debug", "");
    Ok(format!("{}:{}:{before}", tools.display(), programs.display()))
}

/// A block of the README that is run.
struct Block {
    /// Whose terminal it is; empty where the README does not say.
    user: String,
    text: String,
}

/// The blocks whose opening line `is_wanted`.
fn blocks(opens: &str, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<Block>> {
    let readme = std::fs::read_to_string(places::root().join("README.md"))?;
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for shown in readme.lines() {
        let line = shown.trim_end();
        match &mut open {
            None if is_wanted(line) => {
                let user = line.strip_prefix(opens).unwrap_or_default().trim().to_owned();
                open = Some(Block { user, text: String::new() });
            }
            None => {}
            Some(_) if line == "```" => blocks.extend(open.take()),
            Some(block) => {
                // The shell itself would go on where `! command` succeeds.
                let refused = line.strip_prefix("! ");
                let line = refused.map(|line| format!("if {line}; then exit 1; fi"));
                block.text.push_str(line.as_deref().unwrap_or(shown));
                block.text.push('\n');
            }
        }
    }
    if blocks.is_empty() {
        bail!("README.md has no block that opens with {opens}");
    }
    Ok(blocks)
}
