//! The server as a library, so that tests can hold one: composition, routes and sockets.
//!
//! The only crate that knows all the others. It decides nothing about objects or rights.

mod app;
mod audit;
mod authorities;
mod callers;
mod command;
mod compose;
mod connection;
mod database;
mod facts;
mod http;
mod lanes;
mod limits;
mod observe;
mod protection;
mod report;
mod resealing;
mod server;
mod shutdown;
mod wire;

#[cfg(all(feature = "dev", feature = "staging"))]
compile_error!("choose one build: `dev` or `staging`");

use std::io::{self, Write};
use std::process::ExitCode;

use kms_config::exit::Exit;
use kms_config::value::LogFormat;
use kms_config::{Invocation, Serve, Sources};

pub use compose::StartError;
pub use facts::{BUILDS, FACTS, Facts, VERSION};
pub use report::Report;
pub use server::Server;

use crate::shutdown::Signals;

/// The program: reads the configuration, serves until it is told to stop.
pub fn main() -> ExitCode {
    let exit = match kms_config::resolve(&Sources::of_process(), FACTS.build) {
        Ok(Invocation::Help(text)) => print(text.as_bytes()),
        Ok(Invocation::Version) => print(FACTS.version().as_bytes()),
        Ok(Invocation::Serve(serve)) if !FACTS.missing.is_empty() => {
            complain(&FACTS.refusal());
            // What is wrong beside, so that it need not be found out later.
            for problem in authorities::problems(&serve.config, FACTS.build) {
                complain(&problem);
            }
            Exit::Configuration
        }
        Ok(Invocation::Serve(serve)) => run(&serve),
        Ok(Invocation::Command(serve, given)) => command::run(&serve, &given),
        Err(problems) => {
            complain(&problems.to_string());
            Exit::Configuration
        }
    };
    ExitCode::from(exit.code())
}

fn run(serve: &Serve) -> Exit {
    compose::log(&serve.config);
    for warning in &serve.warnings {
        tracing::warn!("{warning}");
    }
    raise_open_files();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("the server cannot start: {error}"));
            return Exit::Failure;
        }
    };
    let exit = runtime.block_on(serve_until_told(serve));
    // After a second signal nothing is waited for.
    runtime.shutdown_background();
    exit
}

async fn serve_until_told(serve: &Serve) -> Exit {
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            complain(&format!("signals cannot be received: {error}"));
            return Exit::Failure;
        }
    };
    let server = match Server::start(&serve.config).await {
        Ok(server) => server,
        Err(error) => {
            complain(&error.message);
            return error.exit;
        }
    };
    let report = server.report();
    for warning in &report.warnings {
        tracing::warn!("{warning}");
    }
    if report.clear {
        tracing::warn!("keys rest unprotected: whoever reads the database can use them");
    }
    match *serve.config.log_format {
        // A report that nobody can read any more is no reason to end.
        LogFormat::Text => drop(print(report.to_string().as_bytes())),
        LogFormat::Json => report.log(),
    }
    let name = signals.next().await;
    tracing::info!(signal = name, "stopping: running requests end; another signal stops at once");
    tokio::select! {
        ended = server.stop() => {
            tracing::info!(complete = ended, "stopped");
            if ended { Exit::Success } else { Exit::Failure }
        }
        name = signals.next() => {
            tracing::warn!(signal = name, "stopped at once; running requests were cut off");
            Exit::Failure
        }
    }
}

/// Each connection is an open file, and the usual bound of 1,024 is meant to be raised.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) =
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
    {
        tracing::debug!(%error, "the number of open files stays as it is");
    }
}

fn print(text: &[u8]) -> Exit {
    let mut out = io::stdout();
    match out.write_all(text).and_then(|()| out.flush()) {
        Ok(()) => Exit::Success,
        Err(_) => Exit::Failure,
    }
}

fn complain(text: &str) {
    // Where standard error is closed nobody listens, and the exit code has to do.
    drop(writeln!(io::stderr(), "{text}"));
}
