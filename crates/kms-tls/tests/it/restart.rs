//! A server that is killed between any two steps, or whose disk is full, and started again: as a
//! process, because nothing less can be killed.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use kms_testkit::pebble::{Options, Pebble, free_ports, get_https};
use kms_tls::Step;
use serde_json::json;
use tempfile::TempDir;

use crate::setup::DOMAIN;

/// A server as a process, with a directory of its own.
pub(crate) struct Process {
    directory: TempDir,
    port: u16,
}

impl Process {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        std::fs::create_dir(directory.path().join("keys")).unwrap();
        let [port] = free_ports();
        Self { directory, port }
    }

    fn keys(&self) -> PathBuf {
        self.directory.path().join("keys")
    }

    pub(crate) fn address(&self) -> std::net::SocketAddr {
        std::net::SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Where the program is: examples are built with the tests.
    fn program() -> PathBuf {
        let test = std::env::current_exe().unwrap();
        let target = test.ancestors().find(|folder| folder.join("examples/serve").exists());
        target.expect("cargo build -p kms-tls --examples").join("examples/serve")
    }

    fn wish(&self, wish: &serde_json::Value) -> PathBuf {
        let path = self.directory.path().join("wish.json");
        std::fs::write(&path, wish.to_string()).unwrap();
        path
    }

    /// Starts it with an authority, after `limit` in the shell.
    fn start(&self, pebble: &Pebble, die_after: Option<Step>, limit: &str) -> Child {
        let path = self.wish(&json!({
            "address": self.address(),
            "acme": {
                "directory": pebble.url(),
                "domain": DOMAIN,
                "keys": self.keys(),
                "challenges": format!("127.0.0.1:{}", pebble.http_port()),
                "root": self.directory.path().join("http"),
                "trusted": pebble.trusted(),
                "die_after": die_after.map(|step| format!("{step:?}")),
            },
        }));
        Self::spawn(&path, limit)
    }

    /// What is kept becomes older.
    fn let_a_minute_pass(&self) -> serde_json::Value {
        let path = self.keys().join("acme.json");
        let mut kept: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        kept["history"]["last"]["at"] = json!(0);
        std::fs::write(&path, kept.to_string()).unwrap();
        kept
    }

    /// Starts it once and tells whether that failed because the authority had seen nobody.
    fn was_not_seen(&self, pebble: &Pebble) -> bool {
        let mut child = self.start(pebble, None, ":");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        if lines.any(|line| line.unwrap().starts_with("ready ")) {
            child.kill().unwrap();
            child.wait().unwrap();
            return false;
        }
        assert_eq!(child.wait().unwrap().code(), Some(3));
        let kept = self.let_a_minute_pass();
        assert_eq!(kept["history"]["validations"].as_array().unwrap().len(), 1);
        true
    }

    /// Starts it with these files.
    pub(crate) fn start_with_files(&self, certificate: &Path, key: &Path) -> Child {
        let path = self.wish(&json!({ "address": self.address(), "files": [certificate, key] }));
        Self::spawn(&path, ":")
    }

    fn spawn(wish: &Path, limit: &str) -> Child {
        Command::new("sh")
            .args(["-c", &format!("{limit}; exec \"$@\""), "sh"])
            .arg(Self::program())
            .arg(wish)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

/// A server that serves. It is killed when this goes.
pub(crate) struct Running {
    child: Child,
    /// Held open: it goes on speaking.
    lines: BufReader<ChildStdout>,
    said: String,
}

impl Running {
    /// Waits until it serves.
    pub(crate) fn wait(mut child: Child) -> Self {
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut running = Self { child, lines, said: String::new() };
        while !running.said.contains("ready ") {
            if running.lines.read_line(&mut running.said).unwrap() == 0 {
                let mut why = String::new();
                running.child.stderr.take().unwrap().read_to_string(&mut why).unwrap();
                panic!("{}{why}", running.said);
            }
        }
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// How often something was asked for; the authority's refusals of nonces make no difference.
fn orders_at(pebble: &Pebble) -> usize {
    pebble.log().matches("Added order").count()
}

#[test]
fn killed_between_any_two_steps_it_goes_on_from_there() {
    let pebble = Pebble::start_with(Options { nonces_refused: 0, ..Options::default() });
    let root = pebble.root();
    for step in Step::ALL {
        let process = Process::new();
        let before = orders_at(&pebble);
        let killed = process.start(&pebble, Some(*step), ":").wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&killed.stdout).into_owned();
        assert!(said.ends_with(&format!("step {step:?}\n")), "{said}");
        assert_eq!(killed.status.code(), None, "it was not killed");

        // An authority that was just looking has seen nobody: that counts, and is tried again.
        let unseen = *step == Step::ChallengeReady && process.was_not_seen(&pebble);
        let running = Running::wait(process.start(&pebble, None, ":"));
        let (_, body) = get_https(process.address(), DOMAIN, &root, "/").unwrap();
        assert_eq!(body, "hello\n", "{step:?}");
        drop(running);
        // Only an order whose address was never heard of is made twice, or one that is void.
        let twice = *step == Step::OrderMade || unseen;
        assert_eq!(orders_at(&pebble) - before, if twice { 2 } else { 1 }, "{step:?}");
        let left = std::fs::read_dir(process.keys()).unwrap().count();
        assert_eq!(left, 4, "{step:?}: something is left behind");
        // And then nobody is asked any more.
        let running = Running::wait(process.start(&pebble, None, ":"));
        assert!(!running.said.contains("asks "), "{step:?}: {}", running.said);
    }
}

#[test]
fn a_full_disk_loses_nothing() {
    let pebble = Pebble::start_with(Options { nonces_refused: 0, ..Options::default() });
    // Blocks of 512 bytes: none; and enough for keys and the state, but not for a chain.
    for (blocks, code, orders) in [(0, 2, 0), (2, 3, 1)] {
        let process = Process::new();
        let before = orders_at(&pebble);
        let limit = format!("trap '' XFSZ; ulimit -f {blocks}");
        let full = process.start(&pebble, None, &limit).wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&full.stderr).into_owned();
        assert_eq!(full.status.code(), Some(code), "{said}");
        assert!(said.contains("File too large") && said.contains("keys/"), "{said}");
        assert_eq!(orders_at(&pebble) - before, orders);
        for entry in std::fs::read_dir(process.keys()).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(!name.contains(".part") && !name.starts_with("tls."), "{name}");
        }
        if orders == 0 {
            continue;
        }
        // The failure was noted, and the next start waits its minute.
        let soon = process.start(&pebble, None, ":").wait_with_output().unwrap();
        assert_eq!(soon.status.code(), Some(3));
        assert!(String::from_utf8_lossy(&soon.stderr).contains("next attempt"));
        // Somebody waits; the order that was paid for is gone on with.
        process.let_a_minute_pass();
        drop(Running::wait(process.start(&pebble, None, ":")));
        assert_eq!(orders_at(&pebble) - before, 1);
    }
}
