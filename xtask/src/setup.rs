//! What the tests need of the machine: installed where that can be done, else said exactly.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{databases, places, run};

/// The oldest Node that the identity provider runs on.
const NODE_MIN: u32 = 20;
/// The Node that is installed beside the provider where the machine's is older.
const NODE: &str = "node@22";

pub(crate) fn task(_: &[String]) -> Result<bool> {
    prepare()?;
    println!("everything that the tests need is there");
    Ok(true)
}

/// Sees to it that a C compiler, the database servers, rustfmt, clippy, a browser and the identity
/// provider are there.
pub(crate) fn prepare() -> Result<()> {
    c_compiler()?;
    databases::install()?;
    for (component, argument) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        if run::output(&mut run::cargo([argument, "--version"])).is_some() {
            continue;
        }
        println!("{component} is missing; adding it to the toolchain");
        let added = Command::new("rustup").args(["component", "add", component]).status();
        if !added.is_ok_and(|status| status.success()) {
            bail!(
                "{component} is missing and could not be added: rustup component add {component}"
            );
        }
    }
    browser()?;
    authority()?;
    provider().context("the identity provider of the tests")
}

fn c_compiler() -> Result<()> {
    if ["cc", "gcc", "clang"]
        .iter()
        .any(|name| run::output(Command::new(name).arg("--version")).is_some())
    {
        return Ok(());
    }
    install("a C compiler", &["gcc", "libc6-dev"])
}

/// A browser that a test can drive: logging in has to work in a real one.
fn browser() -> Result<()> {
    let driver = std::env::var_os("KMS_TEST_CHROMEDRIVER");
    let driver = driver.unwrap_or_else(|| "chromedriver".into());
    if run::output(Command::new(driver).arg("--version")).is_some() {
        return Ok(());
    }
    install("Chromium with chromedriver", &["chromium", "chromium-driver"])
}

/// An authority that gives certificates, and a stranger's view of how we speak TLS.
fn authority() -> Result<()> {
    let is_there = |name: &str, argument: &str| Command::new(name).arg(argument).output().is_ok();
    if ["pebble", "pebble-challtestsrv"].iter().all(|name| is_there(name, "-help"))
        && is_there("sslscan", "--version")
    {
        return Ok(());
    }
    install("pebble with pebble-challtestsrv, and sslscan", &["pebble", "sslscan"])
}

/// Installs the real identity provider beside what cargo builds, where `kms_testkit::provider`
/// finds it: exactly what its lock file says.
fn provider() -> Result<()> {
    let source = places::root().join("crates/kms-testkit/provider");
    let place = places::target().join("provider");
    let lock = std::fs::read_to_string(source.join("package-lock.json"))?;
    // Written last: what stands before it is complete.
    let stamp = place.join("installed");
    let has_node = own_node(&place).exists() || node_version().is_some_and(|it| it >= NODE_MIN);
    if has_node && std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    if node_version().is_none() || run::output(Command::new("npm").arg("--version")).is_none() {
        install("Node.js with npm", &["nodejs", "npm"])?;
    }
    std::fs::create_dir_all(&place)?;
    if node_version().is_none_or(|version| version < NODE_MIN) {
        println!("Node.js is older than {NODE_MIN}; installing {NODE} beside the provider");
        std::fs::create_dir_all(place.join("node"))?;
        run::must(npm(&place.join("node")).args(["install", NODE]))?;
        if !own_node(&place).exists() {
            bail!("npm installed {NODE} without its program; install Node.js {NODE_MIN} or newer");
        }
    }
    for file in ["package.json", "package-lock.json"] {
        std::fs::copy(source.join(file), place.join(file))?;
    }
    run::must(npm(&place).args(["ci", "--ignore-scripts"]))
        .context("it comes from the npm registry")?;
    Ok(std::fs::write(&stamp, lock)?)
}

fn npm(directory: &Path) -> Command {
    let mut command = Command::new("npm");
    command.current_dir(directory);
    command.args(["--prefix", ".", "--no-audit", "--no-fund", "--no-update-notifier"]);
    command
}

fn own_node(place: &Path) -> PathBuf {
    place.join("node/node_modules/node/bin/node")
}

/// The first number of the version of the machine's Node.js.
fn node_version() -> Option<u32> {
    let version = run::output(Command::new("node").arg("--version"))?;
    version.trim_start_matches('v').split('.').next()?.parse().ok()
}

/// Installs Debian's packages, or says which.
pub(crate) fn install(what: &str, packages: &[&str]) -> Result<()> {
    let names = packages.join(" ");
    if !(is_root() && Path::new("/etc/debian_version").exists()) {
        bail!("{what} is missing. On Debian or Ubuntu: sudo apt-get install -y {names}");
    }
    println!("{what} is missing; installing {names}");
    run::must(Command::new("apt-get").args(["update", "-q"]))?;
    run::must(
        Command::new("apt-get")
            .args(["install", "-y", "-q", "--no-install-recommends"])
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
    .with_context(|| format!("installing {names}"))
}

pub(crate) fn is_root() -> bool {
    run::output(Command::new("id").arg("-u")).is_some_and(|id| id == "0")
}
