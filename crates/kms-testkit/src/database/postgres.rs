//! How PostgreSQL is set up, started and spoken to.

use std::path::PathBuf;
use std::process::Command;

use super::USER;
use super::account::{Account, postgres_programs};
use super::instance::{Flavour, Setup};
use super::place::Place;

pub(super) const FLAVOUR: Flavour = Flavour {
    account: || Account::unprivileged("postgres"),
    // Children and shared memory are gone when it has ended.
    signal: "QUIT",
    ready: "ready to accept",
    prepare,
    configure,
    command,
    first,
    client,
    url,
};

fn program(name: &str) -> PathBuf {
    postgres_programs().join(name)
}

fn prepare(place: &Place) -> Command {
    let mut command = Command::new(program("initdb"));
    command
        .arg("--pgdata")
        .arg(place.path("data"))
        .args(["--no-sync", "--username=postgres", "--auth=trust"])
        .args(["--encoding=UTF8", "--locale=C.UTF-8"]);
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
    place.file("postgresql.conf", &text);
    // The socket is in a folder of the account alone.
    let mut rules = "local all all trust\nlocal replication all trust\n".to_owned();
    rules.push_str("host replication all 127.0.0.1/32 scram-sha-256\n");
    rules.push_str("host all all 127.0.0.1/32 scram-sha-256\n");
    place.file("pg_hba.conf", &rules);
}

fn command(place: &Place) -> Command {
    let mut command = Command::new(program("postgres"));
    command.arg("-D").arg(place.path("data"));
    for (option, file) in [("config_file", "postgresql.conf"), ("hba_file", "pg_hba.conf")] {
        command.arg("-c").arg(format!("{option}={}", place.path(file).display()));
    }
    command
}

fn first(_: &Setup) -> Vec<String> {
    vec![
        format!("CREATE ROLE {USER} LOGIN PASSWORD '{USER}'"),
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

fn url(place: &Place, database: &str) -> String {
    format!("postgresql://{USER}:{USER}@127.0.0.1:{}/{database}", place.port)
}
