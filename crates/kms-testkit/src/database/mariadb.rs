//! How MariaDB is set up, started and spoken to.

use std::path::PathBuf;
use std::process::Command;

use super::account::{Account, mariadb_program};
use super::edgeless;
use super::instance::{Flavour, Origin, Setup};
use super::place::Place;
use super::{Kind, USER};

pub(super) const FLAVOUR: Flavour = Flavour {
    account: || Account::unprivileged("mysql"),
    // Its own clean end takes long, and nothing but its directory is left behind.
    signal: "KILL",
    // A node of a cluster says that it is ready before it listens, in other words.
    ready: "d: ready for connections",
    prepare,
    configure,
    command,
    first,
    birth,
    client,
    url,
};

fn prepare(place: &Place, _: &Setup) -> Command {
    let mut command = Command::new(mariadb_program("mariadb-install-db"));
    command
        .arg("--no-defaults")
        .arg(format!("--datadir={}", place.path("data").display()))
        .arg(format!("--tmpdir={}", place.path("tmp").display()))
        .args(["--auth-root-authentication-method=normal", "--skip-test-db"])
        .args(["--skip-name-resolve", "--innodb-flush-method=nosync"])
        .arg("--innodb-log-file-size=8M");
    command
}

fn birth(setup: &Setup) -> Vec<String> {
    match setup.origin {
        Origin::Founded => vec!["--wsrep-new-cluster".to_owned()],
        _ => Vec::new(),
    }
}

fn configure(place: &Place, setup: &Setup) {
    let mut text = format!(
        "[mariadbd]\n\
         datadir={}\n\
         socket={}\n\
         pid-file={}\n\
         tmpdir={}\n\
         bind-address=127.0.0.1\n\
         port={}\n\
         skip-name-resolve\n\
         max-connections={}\n\
         innodb-log-file-size=8M\n\
         innodb-buffer-pool-size=64M\n",
        place.path("data").display(),
        place.path("run/socket").display(),
        place.path("run/pid").display(),
        place.path("tmp").display(),
        place.port,
        setup.connections,
    );
    if !setup.durable {
        // What the process has written survives the process, which is all that tests kill.
        text.push_str("innodb-flush-method=nosync\n");
    }
    if setup.kind == Kind::EdgelessDb {
        text.push_str(edgeless::CONFIGURATION);
    }
    for (name, value) in &setup.settings {
        text.extend([name, "=", value, "\n"]);
    }
    if let Some(tls) = &setup.tls {
        text.push_str("require-secure-transport=1\n");
        let mut file = |option: &str, path: PathBuf| {
            text.extend([option, "=", &path.display().to_string(), "\n"]);
        };
        file("ssl-cert", place.file("server.pem", &tls.server.certificate));
        file("ssl-key", place.secret("server-key.pem", &tls.server.key));
        if let Some(clients) = &tls.clients {
            file("ssl-ca", place.file("clients.pem", &clients.authority));
        }
    }
    place.file("my.cnf", &text);
}

fn command(place: &Place) -> Command {
    let mut command = Command::new(mariadb_program("mariadbd"));
    command.arg(format!("--defaults-file={}", place.path("my.cnf").display()));
    command
}

/// The root of a new server has no password and can be reached by anybody: it is left the socket,
/// which is in a folder of the account alone. The anonymous users would win over ours.
fn first(setup: &Setup) -> Vec<String> {
    let mut statements = vec![
        "DELETE FROM mysql.global_priv WHERE NOT (User = 'mariadb.sys' OR \
         (User = 'root' AND Host = 'localhost'))"
            .to_owned(),
        "FLUSH PRIVILEGES".to_owned(),
    ];
    if setup.kind == Kind::EdgelessDb {
        statements.extend(edgeless::bootstrap(setup));
        return statements;
    }
    let proof = if setup.by_certificate() {
        format!("REQUIRE ISSUER '{}' SUBJECT '/CN={USER}'", setup.issuer)
    } else {
        format!("IDENTIFIED BY '{USER}'")
    };
    statements.push(format!("CREATE USER {USER}@'%' {proof}"));
    // Each database of a test begins with this word.
    statements.push(format!("GRANT ALL ON `{USER}%`.* TO {USER}@'%'"));
    statements.push(format!("CREATE DATABASE {USER} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"));
    statements
}

fn client(place: &Place, database: Option<&str>, statement: &str) -> Command {
    let mut command = Command::new(mariadb_program("mariadb"));
    command
        .arg("--no-defaults")
        .arg(format!("--socket={}", place.path("run/socket").display()))
        .args(["--user=root", "--batch", "--skip-column-names", "--raw"])
        .args(database.map(|name| format!("--database={name}")))
        .args(["--execute", statement]);
    command
}

fn url(place: &Place, setup: &Setup, database: &str) -> String {
    let user = if setup.by_certificate() { USER.to_owned() } else { format!("{USER}:{USER}") };
    // EdgelessDB's certificate is for a name.
    let host = if setup.kind == Kind::EdgelessDb { "localhost" } else { "127.0.0.1" };
    format!("mysql://{user}@{host}:{}/{database}", place.port)
}
