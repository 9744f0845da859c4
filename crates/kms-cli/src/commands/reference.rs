//! `kms reference`: the help of every command as one page, for `docs/reference/cli.md`.

use clap::{Args, Command, CommandFactory as _};

use super::Cli;
use crate::error::Error;
use crate::files::{self, Existing};
use crate::render::Answer;

/// Write the reference of all commands as Markdown
#[derive(Args, Debug)]
#[command(hide = true)]
pub(crate) struct Reference {}

pub(crate) fn run() -> Result<Answer, Error> {
    files::write_key("-".as_ref(), page().as_bytes(), Existing::Keep)?;
    Ok(Answer::Silent)
}

/// The page.
pub(crate) fn page() -> String {
    let mut root = Cli::command().term_width(100).version("");
    root.build();
    let mut out = String::from(
        "# The command line\n\nMade from the program by `kms reference`; a test compares. \
         The profile file is `kms/config.toml` in the user's\nconfiguration directory \
         (`~/.config` on Linux) and is described in [login](../login.md); an encrypted file, in\n\
         [file-format](../file-format.md).\n",
    );
    section(&mut out, &mut root, "kms", true);
    out
}

fn section(out: &mut String, command: &mut Command, path: &str, root: bool) {
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string);
    let about = about.unwrap_or_default();
    let help = command.render_help().to_string();
    // What every command understands is told once, and so is what the command is for.
    let help = help.split_once("Usage:").map_or(help.as_str(), |(_, usage)| usage);
    let help = match help.split_once("Which server:") {
        Some((own, _)) if !root => own,
        _ => help,
    };
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    let text = lines.join("\n");
    out.extend(["\n## `", path, "`\n\n", about.trim(), "\n\n```text\nUsage: "]);
    out.extend([text.trim(), "\n```\n"]);
    for inner in command.get_subcommands_mut() {
        if inner.is_hide_set() || inner.get_name() == "help" {
            continue;
        }
        let path = format!("{path} {}", inner.get_name());
        section(out, inner, &path, false);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_in_the_documentation_is_this_one() {
        let kept = include_str!("../../../../docs/reference/cli.md");
        assert!(
            kept == super::page(),
            "write it anew: cargo run -p kms-cli -- reference > docs/reference/cli.md"
        );
    }
}
