//! Who runs a database server, and where its programs are. Database servers refuse to run as root.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The account that a server runs under, where that is not the test's own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    /// None: the test's own account, which is not root's.
    other: Option<(u32, u32)>,
}

impl Account {
    /// The first of these that exists, or the own one where the test is not run by root.
    pub(super) fn unprivileged(name: &str) -> Self {
        if !rustix::process::geteuid().is_root() {
            return Self { other: None };
        }
        let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let found = [name, "nobody"].iter().find_map(|name| numbers(&accounts, name));
        assert!(found.is_some(), "there is neither an account `{name}` nor `nobody`");
        Self { other: found }
    }

    /// Lets `command` run under it, apart from the test's signals.
    pub(super) fn runs(self, command: &mut Command) {
        if let Some((user, group)) = self.other {
            // Leaves all further groups, too.
            command.uid(user).gid(group);
        }
        command.process_group(0);
    }

    /// Gives it a file or directory.
    pub(super) fn owns(self, path: &Path) {
        if let Some((user, group)) = self.other {
            chown(path, Some(user), Some(group))
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }
}

fn numbers(accounts: &str, name: &str) -> Option<(u32, u32)> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
    })
}

/// The folder with the programs of the newest PostgreSQL, as Debian lays them out.
pub(super) fn postgres_programs() -> PathBuf {
    let folder = Path::new("/usr/lib/postgresql");
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            let programs = entry.path().join("bin");
            programs.join("initdb").exists().then_some((version, programs))
        })
        .collect();
    versions.sort();
    let Some((_, programs)) = versions.pop() else {
        panic!("no PostgreSQL below {}; `cargo xtask test` installs it", folder.display())
    };
    programs
}

/// A program of MariaDB.
pub(super) fn mariadb_program(name: &str) -> PathBuf {
    let folders = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];
    let found =
        folders.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("no program `{name}`; `cargo xtask test` installs MariaDB"))
}
