//! A database server for a developer: private, on the loopback, run by an unprivileged account, with
//! an empty database, until a signal ends it. It must not know what the server stores there.

use std::net::TcpListener;
use std::path::PathBuf;

use kms_testkit::database::{Cluster, Instance, Kind};
use tokio::signal::unix::{SignalKind, signal};

use crate::{Result, option};

/// The least of which one can be lost.
const NODES: usize = 3;

/// `kms-lab db postgres|mariadb|galera [--port N] [--directory DIR]`; a cluster chooses its own places.
pub(crate) fn task(arguments: &[String]) -> Result<bool> {
    let (port, directory) = (option(arguments, "--port"), option(arguments, "--directory"));
    match arguments.first().map(String::as_str) {
        Some("postgres") => one(Kind::Postgres, "KMS_POSTGRES_URL", port, directory),
        Some("mariadb") => one(Kind::MariaDb, "KMS_MYSQL_URL", port, directory),
        Some("galera") if port.is_some() || directory.is_some() => {
            Err("a cluster has several ports and directories, and chooses them itself".into())
        }
        Some("galera") => {
            let cluster = Cluster::start(NODES);
            serve("KMS_MYSQL_URL", &cluster.url(), cluster.nodes())?;
            drop(cluster);
            Ok(true)
        }
        _ => Err("which one: postgres, mariadb or galera".into()),
    }
}

fn one(kind: Kind, variable: &str, port: Option<&str>, directory: Option<&str>) -> Result<bool> {
    // As operators run theirs: what is committed is on the disk.
    let mut builder = Instance::builder(kind).durable();
    if let Some(port) = port {
        builder = builder.port(free(port)?);
    }
    if let Some(directory) = directory {
        builder = builder.directory(empty(directory)?);
    }
    let instance = builder.start();
    serve(variable, &instance.url(), std::slice::from_ref(&instance))?;
    drop(instance);
    Ok(true)
}

/// Says how to use it, and waits.
fn serve(variable: &str, url: &str, instances: &[Instance]) -> Result<()> {
    println!();
    for instance in instances {
        let kind = instance.kind().name();
        println!("{kind} is ready in {}", instance.directory().display());
    }
    println!(
        "\nStart a server on it:\n\n    {variable}={url} cargo run --release --features dev\n\n\
         Ctrl-C ends it and removes all that it holds."
    );
    wait()
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
