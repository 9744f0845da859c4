//! The databases of tests: their names, and the servers that tests start for themselves, found or
//! installed from Debian's packages without a system service being started. It must not know how the
//! tests start them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{run, setup};

/// The variable that tells the servers of tests which database they have.
pub(crate) const CHOICE: &str = "KMS_TEST_DATABASE";

/// Each database that servers of tests can have.
const ALL: &[&str] = &["sqlite", "postgres", "mariadb"];
/// The one that needs nothing installed.
pub(crate) const SQLITE: &[&str] = &["sqlite"];

/// The databases of this name: one of them, or `all`.
pub(crate) fn named(name: &str) -> Result<&'static [&'static str]> {
    if name == "all" {
        return Ok(ALL);
    }
    match ALL.iter().position(|known| *known == name).and_then(|at| ALL.get(at..=at)) {
        Some(one) => Ok(one),
        None => bail!("the databases are {} and all, not `{name}`", ALL.join(", ")),
    }
}

/// Whether something is there.
type IsThere = fn() -> bool;

/// What must be there, and the package that brings it.
const NEEDED: &[(IsThere, &str)] = &[
    (postgresql, "postgresql"),
    (|| any(&["/usr/sbin/mariadbd", "/usr/bin/mariadbd"]), "mariadb-server"),
    (|| any(&["/usr/bin/mariadb"]), "mariadb-client"),
    (|| any(&["/usr/lib/galera/libgalera_smm.so"]), "galera-4"),
    (|| any(&["/usr/lib/mysql/plugin/ha_rocksdb.so"]), "mariadb-plugin-rocksdb"),
];

/// What invoke-rc.d asks before it starts a service.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Sees to it that the servers are installed.
pub(crate) fn install() -> Result<()> {
    let missing: Vec<&str> =
        NEEDED.iter().filter(|(there, _)| !there()).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let still = Stillness::keep()?;
    let installed = setup::install("a database server that the tests start", &missing);
    drop(still);
    installed
}

fn any(paths: &[&str]) -> bool {
    paths.iter().any(|path| Path::new(path).exists())
}

/// Each version of PostgreSQL has a folder of its own.
fn postgresql() -> bool {
    let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") else { return false };
    versions.flatten().any(|version| version.path().join("bin/initdb").exists())
}

/// While this lives, packages that are installed start no service.
struct Stillness {
    ours: Option<PathBuf>,
}

impl Stillness {
    fn keep() -> Result<Self> {
        if Path::new(POLICY).exists() || !setup::is_root() {
            // Somebody else decides already, as in most containers.
            return Ok(Self { ours: None });
        }
        // 101: the action is forbidden by policy.
        std::fs::write(POLICY, "#!/bin/sh\nexit 101\n").with_context(|| POLICY.to_owned())?;
        let still = Self { ours: Some(POLICY.into()) };
        let executable = [OsStr::new("0755"), OsStr::new(POLICY)];
        run::must(Command::new("chmod").args(executable))?;
        Ok(still)
    }
}

impl Drop for Stillness {
    fn drop(&mut self) {
        if let Some(path) = &self.ours
            && let Err(error) = std::fs::remove_file(path)
        {
            println!("{}: {error}; take it away, or services will not start", path.display());
        }
    }
}
