//! The texts that are made from the table of options: the help text, the reference page and a
//! template of the `.env` file.
//!
//! Nothing about an option is written here; it stands in its row.

use crate::commands::{COMMANDS, Command, Operand};
use crate::options::{OPTIONS, Row, Use};
use crate::resolve::Build;

/// The text of `--help`.
pub fn help(build: Build) -> String {
    let entry = |row: &Row| {
        let unused = match row.used_in(build) {
            Use::Available => "",
            Use::Unused => "\n          Not used by this build.",
        };
        format!(
            "  {} <{}>\n          {}\n          Allowed: {}.\n          \
             Environment and .env: {}   Default: {}{unused}\n\n",
            row.argument,
            row.placeholder,
            row.help,
            row.allowed,
            row.environment,
            or_none(row.default)
        )
    };
    let entries: String = OPTIONS.iter().map(entry).collect();
    let commands: String = COMMANDS.iter().map(usage).collect();
    format!(
        "A key management server that speaks KMIP over HTTP ({} build).\n\n\
         Usage: kms-server [OPTIONS]\n       kms-server COMMAND [OPTIONS]\n\n\
         Commands:\n{commands}\n\
         Every option may be given as an argument, in the environment, or in a `.env` file in the\n\
         directory where the server is started; the first of these that has it wins.\n\n\
         Options:\n{entries}  \
         -h, --help\n          Prints this text.\n\n  \
         -V, --version\n          Prints the version and what this build is.\n",
        build.name()
    )
}

/// How a command is called, and what it does.
fn usage(command: &Command) -> String {
    let operand = |operand: &Operand| {
        let given = match operand.argument {
            Some(argument) if operand.flag => argument.to_owned(),
            Some(argument) => format!("{argument} <{}>", operand.name),
            None => format!("<{}>", operand.name),
        };
        if operand.required { format!(" {given}") } else { format!(" [{given}]") }
    };
    let operands: String = command.operands.iter().map(operand).collect();
    let explained =
        |operand: &Operand| format!("            {}: {}.\n", operand.name, operand.help);
    let explained: String = command.operands.iter().map(explained).collect();
    format!("  {}{operands}\n          {}\n{explained}", command.name, command.help)
}

fn or_none(default: &str) -> &str {
    if default.is_empty() { "–" } else { default }
}

/// The page `docs/reference/configuration.md`.
pub fn reference() -> String {
    let line = |row: &Row| {
        format!(
            "| `{}` | `{}` | {} | {} | {} |\n",
            row.environment,
            row.argument,
            code(row.default),
            word(row.dev),
            word(row.production)
        )
    };
    let section = |row: &Row| {
        format!(
            "\n## {}\n\n{}\n\n- Argument: `{} {}`\n- Default: {}\n- Allowed: {}\n",
            row.environment,
            row.help,
            row.argument,
            row.placeholder,
            code(row.default),
            row.allowed
        )
    };
    let lines: String = OPTIONS.iter().map(line).collect();
    let sections: String = OPTIONS.iter().map(section).collect();
    let commands: String = COMMANDS.iter().map(usage).collect();
    format!(
        "# Configuration of `kms-server`\n\n\
         <!-- Made by `cargo xtask codegen` from crates/kms-config/src/options.rs. -->\n\n\
         An option is taken from the first of these that has it: the arguments, the environment, a\n\
         `.env` file in the directory where the server is started, its default. A value that is\n\
         not allowed stops the server with exit code 2 and the list of everything that is wrong.\n\
         A `KMS_*` variable that is no option is warned about.\n\n\
         | Variable | Argument | Default | dev | staging and production |\n|---|---|---|---|---|\n\
         {lines}{sections}\n## Commands\n\n\
         A command takes the options of a server, so that it finds the same database.\n\n\
         ```text\n{commands}```\n"
    )
}

/// A `.env` file with every option at its default, commented out.
pub fn template() -> String {
    let entry = |row: &Row| {
        format!(
            "\n# {}\n# Allowed: {}.\n#{}={}\n",
            row.help, row.allowed, row.environment, row.default
        )
    };
    let entries: String = OPTIONS.iter().map(entry).collect();
    format!("# Options of kms-server. Remove the `#` before what you change.\n{entries}")
}

fn code(default: &str) -> String {
    if default.is_empty() { "–".to_owned() } else { format!("`{default}`") }
}

fn word(usage: Use) -> &'static str {
    match usage {
        Use::Available => "available",
        Use::Unused => "unused",
    }
}
