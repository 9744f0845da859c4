//! Where a server lives: its directory and its port.

use std::collections::hash_map::RandomState;
use std::fs::{self, Permissions};
use std::hash::BuildHasher;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::account::Account;

/// Below the ports that outgoing connections take, so that a port is still free after a restart.
const PORTS: std::ops::Range<u16> = 17_000..32_000;

/// A directory that the server's account can use, and a port.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) directory: PathBuf,
    pub(super) port: u16,
    pub(super) account: Account,
}

impl Place {
    /// A new one.
    pub(super) fn new(directory: &Path, account: Account) -> Self {
        fs::create_dir_all(directory)
            .unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
        // The server's account passes through; what is secret below is its own alone.
        permit(directory, 0o755);
        let place = Self { directory: directory.to_path_buf(), port: free_port(), account };
        place.folder("run");
        place.folder("tmp");
        place
    }

    /// Lets `command` run as the server's account, at home here and nowhere else: servers that start
    /// clear what they take for their own leavings out of the folder for temporary files.
    pub(super) fn runs(&self, command: &mut Command) {
        self.account.runs(command);
        command.current_dir(&self.directory).env("TMPDIR", self.path("tmp"));
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// A folder of the server's account alone.
    pub(super) fn folder(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        permit(&path, 0o700);
        self.account.owns(&path);
        path
    }

    /// A file that everybody may read.
    pub(super) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        permit(&path, 0o644);
        path
    }

    /// A file of the test's account alone.
    pub(super) fn own_secret(&self, name: &str, text: &str) -> PathBuf {
        let path = self.file(name, "");
        permit(&path, 0o600);
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }

    /// A file of the server's account alone.
    pub(super) fn secret(&self, name: &str, text: &str) -> PathBuf {
        let path = self.own_secret(name, text);
        self.account.owns(&path);
        path
    }
}

fn permit(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// A number that nobody else draws.
pub(super) fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

/// A port on which nothing listens now.
pub(super) fn free_port() -> u16 {
    let width = u64::from(PORTS.end - PORTS.start);
    for _ in 0..1000 {
        let offset = u16::try_from(random() % width).unwrap_or_default();
        let port = PORTS.start + offset;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free between {} and {}", PORTS.start, PORTS.end)
}
