//! How PostgreSQL is set up, started and spoken to.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::USER;
use super::account::{Account, postgres_programs};
use super::instance::{Flavour, Origin, Setup};
use super::place::Place;

/// The name of a standby, as its primary knows it.
pub(super) const STANDBY: &str = "standby";

pub(super) const FLAVOUR: Flavour = Flavour {
    account: || Account::unprivileged("postgres"),
    // Children and shared memory are gone when it has ended.
    signal: "QUIT",
    ready: "ready to accept",
    prepare,
    configure,
    command,
    first,
    birth: |_| Vec::new(),
    client,
    url,
};

fn program(name: &str) -> PathBuf {
    postgres_programs().join(name)
}

fn prepare(place: &Place, setup: &Setup) -> Command {
    if let Origin::Primary(socket, port) = &setup.origin {
        return copy(place, socket, *port);
    }
    let mut command = Command::new(program("initdb"));
    command
        .arg("--pgdata")
        .arg(place.path("data"))
        .args(["--no-sync", "--username=postgres", "--auth=trust"])
        .args(["--encoding=UTF8", "--locale=C.UTF-8"]);
    command
}

/// Copies a primary that runs, and leaves behind what makes the copy follow it.
fn copy(place: &Place, socket: &Path, port: u16) -> Command {
    let source =
        format!("host={} port={port} user=postgres application_name={STANDBY}", socket.display());
    let mut command = Command::new(program("pg_basebackup"));
    command
        .args(["--dbname", &source, "--write-recovery-conf", "--checkpoint=fast", "--no-sync"])
        .arg("--pgdata")
        .arg(place.path("data"));
    command
}

fn configure(place: &Place, setup: &Setup) {
    let mut text = format!(
        "listen_addresses = '127.0.0.1'\n\
         port = {}\n\
         unix_socket_directories = '{}'\n\
         max_connections = {}\n\
         shared_buffers = 32MB\n\
         # Files of the directory, which go away with it.\n\
         dynamic_shared_memory_type = mmap\n",
        place.port,
        place.path("run").display(),
        setup.connections,
    );
    if !setup.durable {
        // What the process has written survives the process, which is all that tests kill.
        text.push_str("fsync = off\nfull_page_writes = off\n");
    }
    for (name, value) in &setup.settings {
        text.extend([name, " = '", value, "'\n"]);
    }
    if let Some(tls) = &setup.tls {
        text.push_str("ssl = on\n");
        let mut file = |option: &str, path: PathBuf| {
            text.extend([option, " = '", &path.display().to_string(), "'\n"]);
        };
        file("ssl_cert_file", place.file("server.pem", &tls.server.certificate));
        file("ssl_key_file", place.secret("server-key.pem", &tls.server.key));
        if let Some(clients) = &tls.clients {
            file("ssl_ca_file", place.file("clients.pem", &clients.authority));
        }
    }
    place.file("postgresql.conf", &text);
    place.file("pg_hba.conf", &rules(setup));
}

/// Who may come in how. The socket is in a folder of the account alone.
fn rules(setup: &Setup) -> String {
    let how = match &setup.tls {
        None => ("host", "scram-sha-256"),
        Some(tls) if tls.clients.is_some() => ("hostssl", "cert"),
        Some(_) => ("hostssl", "scram-sha-256"),
    };
    let mut rules = String::new();
    for database in ["all", "replication"] {
        rules.extend(["local ", database, " all trust\n"]);
        rules.extend([how.0, " ", database, " all 127.0.0.1/32 ", how.1, "\n"]);
    }
    rules
}

fn command(place: &Place) -> Command {
    let mut command = Command::new(program("postgres"));
    command.arg("-D").arg(place.path("data"));
    for (option, file) in [("config_file", "postgresql.conf"), ("hba_file", "pg_hba.conf")] {
        command.arg("-c").arg(format!("{option}={}", place.path(file).display()));
    }
    command
}

/// What PostgreSQL keeps of the user's password, of few rounds: with its own 4096, a program without
/// optimisation is busy for a tenth of a second with each connection.
const VERIFIER: &str = "SCRAM-SHA-256$16:\
     a21zLXRlc3RraXQtc2FsdA==$XojzEgujxhy3bdYh8BwftYd5kVpJV2YZANHcZrllsE0=:8DfQHXEfkgneEG+U9veRpoRIBhJR+rk9SYlHtBymTcU=";

fn first(_: &Setup) -> Vec<String> {
    vec![
        format!("CREATE ROLE {USER} LOGIN PASSWORD '{VERIFIER}'"),
        format!("CREATE DATABASE {USER} OWNER {USER}"),
    ]
}

fn client(place: &Place, database: Option<&str>, statement: &str) -> Command {
    let mut command = Command::new(program("psql"));
    command
        .arg("-h")
        .arg(place.path("run"))
        .args(["-p", &place.port.to_string(), "-U", "postgres"])
        .args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database.unwrap_or("postgres")])
        .args(["-c", statement]);
    command
}

fn url(place: &Place, setup: &Setup, database: &str) -> String {
    let user = if setup.by_certificate() { USER.to_owned() } else { format!("{USER}:{USER}") };
    format!("postgresql://{user}@127.0.0.1:{}/{database}", place.port)
}
