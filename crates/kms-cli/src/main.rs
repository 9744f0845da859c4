//! `kms`: the command line client of a KMIP server.
//!
//! One file per command, under `commands`; what a command says is in `render`, what goes wrong in
//! `error`. It knows the server only through `kms-client`, and identity providers only through `oidc`.

mod attribute_text;
mod browser;
mod commands;
mod context;
mod error;
mod file_format;
mod files;
mod key_text;
mod oidc;
mod profiles;
mod progress;
mod render;
mod secret_text;
mod session;
mod time_text;
mod tokens;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

use commands::Cli;
use context::Context;
use error::Error;

fn main() -> ExitCode {
    let parsed = Cli::command().try_get_matches().and_then(|matches| {
        let cli = Cli::from_arg_matches(&matches)?;
        Ok((matches, cli))
    });
    let (matches, cli) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            // Help and version are "errors" of code 0; a closed pipe is nobody's.
            drop(error.print());
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&Error::unexpected(error.to_string())),
    };
    let output = cli.global.output;
    let done = runtime.block_on(async {
        let context = Context::new(&cli.global, &matches);
        let answer = cli.command.run(&context).await?;
        answer.print(output).map_err(|error| {
            Error::file("written", std::path::Path::new("standard output"), &error)
        })
    });
    // A thread that waits for standard input must not hold up the end.
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &Error) -> ExitCode {
    let mut text = format!("error: {error}\n");
    if let Some(hint) = &error.hint {
        text.push_str("hint: ");
        text.push_str(hint);
        text.push('\n');
    }
    // Where even this cannot be written, the exit code still tells.
    drop(std::io::stderr().lock().write_all(text.as_bytes()));
    ExitCode::from(error.kind.code())
}
