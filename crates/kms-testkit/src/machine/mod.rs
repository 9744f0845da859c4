//! A machine that gets into trouble while programs run on it: its disk is full, its clock is set.
//!
//! Programs that are started with [`Machine::environment`] believe it; nobody else notices, and
//! neither rights nor a kernel of its own are needed. A small library, compiled when it is first
//! wanted, stands between them and the C library (`machine.c`). It must not know the programs.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

const SOURCE: &str = include_str!("machine.c");

/// The places of what the library is told, in its file.
const FULL: u64 = 0;
const AHEAD: u64 = 8;

/// A machine. Programs that were started with it go on in peace when it is dropped.
#[derive(Debug)]
pub struct Machine {
    directory: TempDir,
    orders: File,
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine {
    /// One without trouble.
    pub fn new() -> Self {
        let directory = TempDir::new().unwrap_or_else(|error| panic!("no directory: {error}"));
        // Database servers run as others, and look in here.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755))
            .unwrap_or_else(|error| panic!("{error}"));
        let source = directory.path().join("machine.c");
        fs::write(&source, SOURCE).unwrap_or_else(|error| panic!("{error}"));
        let orders = File::create(directory.path().join("orders"));
        let orders = orders.unwrap_or_else(|error| panic!("{error}"));
        let machine = Self { directory, orders };
        machine.order(FULL, 0);
        machine.order(AHEAD, 0);
        let made = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .arg(machine.library())
            .arg(&source)
            .arg("-ldl")
            .output();
        let made = made.unwrap_or_else(|error| panic!("cc: {error}"));
        assert!(made.status.success(), "cc: {}", String::from_utf8_lossy(&made.stderr));
        machine
    }

    fn library(&self) -> PathBuf {
        self.directory.path().join("machine.so")
    }

    /// What a program is started with that is to run on it.
    pub fn environment(&self) -> [(&'static str, String); 2] {
        let orders = self.directory.path().join("orders");
        [
            ("LD_PRELOAD", self.library().display().to_string()),
            ("FAULTS_OF_MACHINE", orders.display().to_string()),
        ]
    }

    /// Whether the disk has no room for anything more.
    pub fn fill_disk(&self, full: bool) {
        self.order(FULL, full.into());
    }

    /// Sets its clock so many seconds before or behind the real one.
    pub fn set_clock(&self, ahead_s: i64) {
        self.order(AHEAD, ahead_s);
    }

    fn order(&self, place: u64, value: i64) {
        self.orders
            .write_all_at(&value.to_ne_bytes(), place)
            .unwrap_or_else(|error| panic!("{error}"));
    }
}
