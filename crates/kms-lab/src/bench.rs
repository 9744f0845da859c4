//! A database for the benchmark, and a way to it that counts round trips.
//!
//! The benchmark is in `xtask`, which links none of the project's crates; it runs this program and
//! talks with it by lines. It must not know what the server stores.

use std::io::{BufRead as _, Write as _};

use kms_testkit::database::{Instance, Kind};
use kms_testkit::proxy::Proxy;

use crate::Result;

/// `kms-lab database postgres|mariadb`: prints `database URL`, then answers each line `proxy` with the
/// URL of a way that counts, `turns` with how many round trips were made on it, and `sql STATEMENT` with
/// `done` when it is.
pub(crate) fn database(arguments: &[String]) -> Result<bool> {
    let kind = match arguments.first().map(String::as_str) {
        Some("postgres") => Kind::Postgres,
        Some("mariadb") => Kind::MariaDb,
        _ => return Err("which one: postgres or mariadb".into()),
    };
    let instance = Instance::builder(kind).connections(300).start();
    let url = instance.create_database("bench");
    let proxy = Proxy::to(instance.address());
    let mut out = std::io::stdout().lock();
    writeln!(out, "database {url}")?;
    out.flush()?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("proxy", _) => writeln!(out, "{}", proxy.in_url(&url))?,
            ("turns", _) => writeln!(out, "{}", proxy.turns())?,
            ("sql", statement) => {
                instance.sql_in("bench", statement);
                writeln!(out, "done")?;
            }
            _ => return Err(format!("not understood: {line}").into()),
        }
        out.flush()?;
    }
    Ok(true)
}
