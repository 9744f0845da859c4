//! The texts that are made from the table of options: the help text, the reference page and a
//! template of the `.env` file.
//!
//! Nothing about an option is written here; it stands in its row.

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
            row.argument, row.placeholder, row.help, row.allowed, row.environment, row.default
        )
    };
    let entries: String = OPTIONS.iter().map(entry).collect();
    format!(
        "A key management server that speaks KMIP over HTTP ({} build).\n\n\
         Usage: kms-server [OPTIONS]\n\n\
         Every option may be given as an argument, in the environment, or in a `.env` file in the\n\
         directory where the server is started; the first of these that has it wins.\n\n\
         Options:\n{entries}  \
         -h, --help\n          Prints this text.\n\n  \
         -V, --version\n          Prints the version and what this build is.\n",
        build.name()
    )
}

/// The page `docs/reference/configuration.md`.
pub fn reference() -> String {
    let line = |row: &Row| {
        format!(
            "| `{}` | `{}` | `{}` | {} | {} |\n",
            row.environment,
            row.argument,
            row.default,
            word(row.dev),
            word(row.production)
        )
    };
    let section = |row: &Row| {
        format!(
            "\n## {}\n\n{}\n\n- Argument: `{} {}`\n- Default: `{}`\n- Allowed: {}\n",
            row.environment, row.help, row.argument, row.placeholder, row.default, row.allowed
        )
    };
    let lines: String = OPTIONS.iter().map(line).collect();
    let sections: String = OPTIONS.iter().map(section).collect();
    format!(
        "# Configuration of `kms-server`\n\n\
         <!-- Made by `cargo xtask codegen` from crates/kms-config/src/options.rs. -->\n\n\
         An option is taken from the first of these that has it: the arguments, the environment, a\n\
         `.env` file in the directory where the server is started, its default. A value that is\n\
         not allowed stops the server with exit code 2 and the list of everything that is wrong.\n\
         A `KMS_*` variable that is no option is warned about.\n\n\
         | Variable | Argument | Default | dev | production |\n|---|---|---|---|---|\n\
         {lines}{sections}"
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

fn word(usage: Use) -> &'static str {
    match usage {
        Use::Available => "available",
        Use::Unused => "unused",
    }
}
