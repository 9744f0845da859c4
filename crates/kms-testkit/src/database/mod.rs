//! Database servers for tests: real ones, private to the tests, on free ports of the loopback, run by
//! an unprivileged account, in directories that go away with them, whatever becomes of the test.
//!
//! [`database`] is what most tests want: an empty database on an instance that tests share. A test
//! that kills, stops or configures its server starts an [`Instance`] of its own. Instances of the
//! system are neither looked for nor touched. It must not know what the server stores.

mod account;
mod cluster;
mod edgeless;
mod guard;
mod instance;
mod mariadb;
mod place;
mod postgres;
mod shared;
mod standby;

pub use cluster::Cluster;
pub use instance::{Builder, ClientFiles, Instance};
pub use shared::{Database, database};

/// Which server.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// PostgreSQL.
    Postgres,
    /// MariaDB.
    MariaDb,
    /// A stand-in for EdgelessDB: MariaDB on MyRocks, with users by certificate alone.
    EdgelessDb,
}

impl Kind {
    /// All, for tests that run on each.
    pub const ALL: [Self; 3] = [Self::Postgres, Self::MariaDb, Self::EdgelessDb];

    /// The word for it in names of files and in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::MariaDb => "mariadb",
            Self::EdgelessDb => "edgelessdb",
        }
    }
}

/// The user that the URLs name. Its password is the same word.
pub const USER: &str = "kms";

/// The client program of a kind: `psql` or `mariadb`.
pub fn client(kind: Kind) -> std::path::PathBuf {
    match kind {
        Kind::Postgres => account::postgres_programs().join("psql"),
        Kind::MariaDb | Kind::EdgelessDb => account::mariadb_program("mariadb"),
    }
}

/// Everything in a database, as its own program for backups writes it.
pub fn dump(database: &Database) -> Vec<u8> {
    let (kind, port) = (database.kind(), database.port().to_string());
    let mut command = match kind {
        Kind::Postgres => {
            let mut command =
                std::process::Command::new(account::postgres_programs().join("pg_dump"));
            command.arg(database.url());
            command
        }
        Kind::MariaDb | Kind::EdgelessDb => {
            let mut command = std::process::Command::new(account::mariadb_program("mariadb-dump"));
            let (user, password) = (format!("--user={USER}"), format!("--password={USER}"));
            command.args(["--no-defaults", "--host=127.0.0.1", "--port", &port, &user, &password]);
            command.args(["--single-transaction", "--hex-blob", database.name()]);
            command
        }
    };
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {complaint}");
    output.stdout
}
