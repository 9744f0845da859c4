//! A database server for a developer: private, on the loopback, run by an unprivileged account, with
//! an empty database, until a signal ends it. It must not know what the server stores there.

use std::net::TcpListener;
use std::path::PathBuf;

use kms_testkit::database::{Instance, Kind};
use tokio::signal::unix::{SignalKind, signal};

use crate::{Result, option};

/// `kms-lab db postgres|mariadb [--port N] [--directory DIR]`.
pub(crate) fn task(arguments: &[String]) -> Result<bool> {
    let (kind, variable) = match arguments.first().map(String::as_str) {
        Some("postgres") => (Kind::Postgres, "KMS_POSTGRES_URL"),
        Some("mariadb") => (Kind::MariaDb, "KMS_MYSQL_URL"),
        _ => return Err("which one: postgres or mariadb".into()),
    };
    // As operators run theirs: what is committed is on the disk.
    let mut builder = Instance::builder(kind).durable();
    if let Some(port) = option(arguments, "--port") {
        builder = builder.port(free(port)?);
    }
    if let Some(directory) = option(arguments, "--directory") {
        builder = builder.directory(empty(directory)?);
    }
    let instance = builder.start();
    println!(
        "\n{} is ready in {}. Start a server on it:\n\n    {variable}={} cargo run --release --features dev\n\n\
         Ctrl-C ends it and removes all that it holds.",
        kind.name(),
        instance.directory().display(),
        instance.url()
    );
    wait()?;
    drop(instance);
    Ok(true)
}

/// The port, on which nothing listens.
fn free(port: &str) -> Result<u16> {
    let number =
        port.parse().map_err(|_no_number| format!("--port takes a number, not `{port}`"))?;
    match TcpListener::bind(("127.0.0.1", number)) {
        Ok(_) => Ok(number),
        Err(error) => Err(format!("port {number}: {error}").into()),
    }
}

/// The directory, which is empty or not there yet: it will be removed.
fn empty(directory: &str) -> Result<PathBuf> {
    let path = std::path::absolute(directory)?;
    if path.exists() && std::fs::read_dir(&path)?.next().is_some() {
        return Err(format!("{} is not empty; name a new one", path.display()).into());
    }
    Ok(path)
}

/// Waits until somebody wants this program to end.
fn wait() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        Ok(())
    })
}
