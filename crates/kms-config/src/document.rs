//! The texts that are made from the table of options: the help text, the reference page and a
//! template of the `.env` file.
//!
//! Nothing about an option is written here; it stands in its row.

use crate::options::{OPTIONS, Use};
use crate::resolve::Build;

/// The text of `--help`.
pub fn help(build: Build) -> String {
    let mut text = format!(
        "A key management server that speaks KMIP over HTTP ({} build).\n\n\
         Usage: kms-server [OPTIONS]\n\n\
         Every option may be given as an argument, in the environment, or in a `.env` file in the\n\
         directory where the server is started; the first of these that has it wins.\n\nOptions:\n",
        build.name()
    );
    for row in OPTIONS {
        let unused = match row.used_in(build) {
            Use::Available => "",
            Use::Unused => "\n          Not used by this build.",
        };
        text += &format!(
            "  {} <{}>\n          {}\n          Allowed: {}.\n          \
             Environment and .env: {}   Default: {}{unused}\n\n",
            row.argument, row.placeholder, row.help, row.allowed, row.environment, row.default
        );
    }
    text.push_str(
        "  -h, --help\n          Prints this text.\n\n  \
         -V, --version\n          Prints the version and what this build is.\n",
    );
    text
}

/// The page `docs/reference/configuration.md`.
pub fn reference() -> String {
    let mut page = String::from(
        "# Configuration of `kms-server`\n\n\
         <!-- Made by `cargo xtask codegen` from crates/kms-config/src/options.rs. -->\n\n\
         An option is taken from the first of these that has it: the arguments, the environment, a\n\
         `.env` file in the directory where the server is started, its default. A value that is\n\
         not allowed stops the server with exit code 2 and the list of everything that is wrong.\n\
         A `KMS_*` variable that is no option is warned about.\n\n\
         | Variable | Argument | Default | dev | production |\n|---|---|---|---|---|\n",
    );
    for row in OPTIONS {
        page += &format!(
            "| `{}` | `{}` | `{}` | {} | {} |\n",
            row.environment,
            row.argument,
            row.default,
            word(row.dev),
            word(row.production)
        );
    }
    for row in OPTIONS {
        page += &format!(
            "\n## {}\n\n{}\n\n- Argument: `{} {}`\n- Default: `{}`\n- Allowed: {}\n",
            row.environment, row.help, row.argument, row.placeholder, row.default, row.allowed
        );
    }
    page
}

/// A `.env` file with every option at its default, commented out.
pub fn template() -> String {
    let mut text =
        String::from("# Options of kms-server. Remove the `#` before what you change.\n");
    for row in OPTIONS {
        text += &format!(
            "\n# {}\n# Allowed: {}.\n#{}={}\n",
            row.help, row.allowed, row.environment, row.default
        );
    }
    text
}

fn word(usage: Use) -> &'static str {
    match usage {
        Use::Available => "available",
        Use::Unused => "unused",
    }
}
