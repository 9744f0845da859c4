//! Runs other programs: what is run is shown, and what it prints can be read on the way.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::places;

/// The features that everything is built with outside a release: one set, so that nothing is
/// built twice.
pub(crate) const FEATURES: &[&str] = &["--features", "kms-server/dev"];

/// Cargo, in the root of the repository, with these arguments.
pub(crate) fn cargo<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(places::root());
    command
}

/// Runs `command` with its output passed through; whether it succeeded.
pub(crate) fn succeeds(command: &mut Command) -> Result<bool> {
    println!("$ {}", spell(command));
    let status = command.status().with_context(|| format!("running {}", spell(command)))?;
    Ok(status.success())
}

/// Runs `command`; an error unless it succeeds.
pub(crate) fn must(command: &mut Command) -> Result<()> {
    if !succeeds(command)? {
        bail!("`{}` failed", spell(command));
    }
    Ok(())
}

/// Runs `command`, shows every line it prints, on either stream, and gives each to `read`.
pub(crate) fn read_lines(command: &mut Command, mut read: impl FnMut(&str)) -> Result<bool> {
    println!("$ {}", spell(command));
    let (reader, writer) = std::io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().with_context(|| format!("running {}", spell(command)))?;
    // The command holds the writing ends, and reading ends only when all of them are closed.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    for line in BufReader::new(reader).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        println!("{line}");
        read(&line);
    }
    Ok(child.wait()?.success())
}

/// What `command` prints to standard output; `None` unless it is there and succeeds.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The value of `--name VALUE` among `arguments`.
pub(crate) fn option<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    let at = arguments.iter().position(|argument| argument == name)?;
    arguments.get(at + 1).map(String::as_str)
}

/// The number after `--name`, or `default`.
pub(crate) fn number<T: std::str::FromStr>(
    arguments: &[String],
    name: &str,
    default: T,
) -> Result<T> {
    match option(arguments, name) {
        None => Ok(default),
        Some(text) => match text.parse() {
            Ok(number) => Ok(number),
            Err(_) => bail!("{name} takes a number, not `{text}`"),
        },
    }
}

/// The commit that the tree stands at, with a sign when files differ from it.
pub(crate) fn commit() -> String {
    let root = places::root();
    let hash =
        output(Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).current_dir(&root));
    let dirty = output(
        Command::new("git")
            .args(["status", "--porcelain", "--untracked-files=no"])
            .current_dir(&root),
    );
    match (hash, dirty) {
        (Some(hash), Some(dirty)) if dirty.is_empty() => hash,
        (Some(hash), _) => format!("{hash} with changes"),
        (None, _) => "unknown".to_owned(),
    }
}

/// The day, for file names, as `date` gives it.
pub(crate) fn today() -> String {
    output(Command::new("date").args(["-u", "+%Y-%m-%d"])).unwrap_or_else(|| "undated".to_owned())
}

fn spell(command: &Command) -> String {
    let mut text = match command.get_program().to_str() {
        Some(program) if program.ends_with("/cargo") => "cargo".to_owned(),
        other => other.unwrap_or_default().to_owned(),
    };
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}
