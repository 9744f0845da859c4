//! A user with a home of their own, who runs `kms`.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use kms_testkit::server::Server;
use serde_json::Value;
use tempfile::TempDir;

/// A user with a home and a directory of files, and perhaps a server.
pub(crate) struct User {
    directory: TempDir,
    server: Option<Arc<Server>>,
    environment: Vec<(&'static str, String)>,
}

/// What a run gave.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl User {
    pub(crate) fn alone() -> Self {
        Self { directory: TempDir::new().unwrap(), server: None, environment: Vec::new() }
    }

    pub(crate) fn with_server() -> Self {
        Self::of(&Arc::new(Server::spawn()))
    }

    /// One of several users of a server.
    pub(crate) fn of(server: &Arc<Server>) -> Self {
        Self { server: Some(Arc::clone(server)), ..Self::alone() }
    }

    /// The same user, with one more variable.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kms"));
        command.args(arguments).current_dir(self.directory.path());
        command.env_clear().env("HOME", self.directory.path());
        if let Some(server) = &self.server {
            command.env("KMS_URL", server.url());
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn feed(&self, arguments: &[&str], input: &[u8]) -> Ran {
        ran(self.command(arguments), input)
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.feed(arguments, b"")
    }

    /// Runs what must succeed; what it says.
    #[track_caller]
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.stderr);
        ran.text()
    }

    /// Runs what must succeed; what it says to programs.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let text = self.ok(&[arguments, &["--output", "json"]].concat());
        serde_json::from_str(&text).unwrap()
    }

    /// Runs what must fail with this exit code; what it complains of.
    #[track_caller]
    pub(crate) fn fails(&self, arguments: &[&str], code: i32) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, code, "{arguments:?}: {}{}", ran.text(), ran.stderr);
        assert_eq!(ran.text(), "", "nothing but data goes to standard output");
        ran.stderr
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// The names of the files there are, but for the profile file's directory.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name != ".config");
        names.sort();
        names
    }

    pub(crate) fn key(&self, more: &[&str]) -> String {
        self.ok(&[&["keys", "create"], more].concat())
    }

    pub(crate) fn pair(&self, more: &[&str]) -> (String, String) {
        let made = self.json(&[&["keys", "create-pair"], more].concat());
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        (text("private_key"), text("public_key"))
    }
}

impl Ran {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap().trim_end().to_owned()
    }
}

pub(crate) fn ran(mut command: Command, input: &[u8]) -> Ran {
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || {
        // A program that does not read its input closes it.
        drop(stdin.write_all(&input));
    });
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        stdout: output.stdout,
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

pub(crate) fn text(size: usize) -> Vec<u8> {
    (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

pub(crate) fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}
