//! The server's program, started for a test: its own directory, a free port, its output kept.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::database::{Database, Kind, database};
use crate::http::Connection;

/// How long a server may take to start or to end.
const PATIENCE: Duration = Duration::from_mins(1);

/// What to start, and how.
#[derive(Clone, Debug)]
pub struct Builder {
    binary: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    directory: Arc<Home>,
}

/// A directory of its own, with which the database goes that goes with it.
#[derive(Debug)]
struct Home(TempDir);

impl Drop for Home {
    fn drop(&mut self) {
        let database = databases().remove(self.0.path());
        drop(database);
    }
}

impl Default for Builder {
    fn default() -> Self {
        let directory = TempDir::new().unwrap_or_else(|error| panic!("no directory: {error}"));
        Self {
            binary: binary(),
            arguments: Vec::new(),
            environment: Vec::new(),
            directory: Arc::new(Home(directory)),
        }
    }
}

impl Builder {
    /// Another program than the one beside the test.
    #[must_use]
    pub fn binary(mut self, path: impl Into<PathBuf>) -> Self {
        self.binary = path.into();
        self
    }

    /// One more argument. `--root-dir`, `--hostname` and `--port` are given already.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// One more variable.
    #[must_use]
    pub fn environment(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// The directory of another server.
    #[must_use]
    pub fn directory_of(mut self, server: &Server) -> Self {
        self.directory = Arc::clone(&server.builder.directory);
        self
    }

    /// The directory in which the server will keep its database, and in which it is started.
    pub fn directory(&self) -> &Path {
        self.directory.0.path()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("KMS_") {
                command.env_remove(name);
            }
        }
        command
            .current_dir(self.directory())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn not_there(&self, error: &std::io::Error) -> ! {
        panic!(
            "{}: {error}; build it first: cargo build -p kms-server --features dev",
            self.binary.display()
        )
    }

    /// The directory that `--root-dir` names among the arguments.
    fn named_directory(&self) -> Option<PathBuf> {
        let mut arguments = self.arguments.iter();
        let mut named = None;
        while let Some(argument) = arguments.next() {
            if argument == "--root-dir" {
                named = arguments.next().map(PathBuf::from);
            } else if let Some(path) =
                argument.to_str().and_then(|it| it.strip_prefix("--root-dir="))
            {
                named = Some(PathBuf::from(path));
            }
        }
        named
    }

    /// Tells the program which database goes with a directory, where tests are to run on one that is
    /// not in the directory itself.
    fn name_database(&self, command: &mut Command, directory: &Path) {
        const NAMES: [&str; 2] = ["KMS_POSTGRES_URL", "KMS_MYSQL_URL"];
        let Some(kind) = database_kind() else { return };
        if self.environment.iter().any(|(name, _)| NAMES.iter().any(|it| name == it)) {
            return;
        }
        let name = if kind == Kind::Postgres { "KMS_POSTGRES_URL" } else { "KMS_MYSQL_URL" };
        command.env(name, database_of(kind, directory));
    }

    /// Runs the program with exactly the arguments given, and waits for its end.
    pub fn run(&self) -> Ended {
        let mut command = self.command();
        if let Some(directory) = self.named_directory() {
            self.name_database(&mut command, &directory);
        }
        let output = command.args(&self.arguments).output();
        let output = output.unwrap_or_else(|error| self.not_there(&error));
        Ended {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Starts the server and waits until it is ready; what it wrote, where it is not.
    pub fn try_start(self) -> Result<Server, Ended> {
        let mut command = self.command();
        command.args(["--hostname", "127.0.0.1", "--port", "0", "--root-dir"]);
        command.arg(self.directory()).args(&self.arguments);
        let directory = self.named_directory().unwrap_or_else(|| self.directory().to_owned());
        self.name_database(&mut command, &directory);
        let mut child = command.spawn().unwrap_or_else(|error| self.not_there(&error));
        let log = Arc::new(Mutex::new(String::new()));
        let report = Arc::new(Mutex::new(String::new()));
        let (found, address) = mpsc::channel();
        follow(child.stderr.take(), Arc::clone(&log), |_| {});
        let mut url = String::new();
        follow(child.stdout.take(), Arc::clone(&report), move |line| {
            if let Some((_, address)) = line.trim().split_once("is ready: http://") {
                address.clone_into(&mut url);
            }
            // The report's last part. The test may have given up.
            if line.contains("keys create") {
                drop(found.send(url.clone()));
            }
        });
        if let Some(address) = wait_for(&address, &mut child) {
            return Ok(Server { child, address, log, report, builder: self });
        }
        let status = end(&mut child);
        let text =
            |text: &Mutex<String>| text.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Err(Ended { status, stdout: text(&report), stderr: text(&log) })
    }

    /// Starts the server and waits until it is ready.
    pub fn start(self) -> Server {
        self.try_start().unwrap_or_else(|ended| panic!("the server did not start: {ended:?}"))
    }
}

/// The kind of database that servers of tests use: what `KMS_TEST_DATABASE` says, or none but the
/// file in their directory.
pub fn database_kind() -> Option<Kind> {
    match std::env::var_os("KMS_TEST_DATABASE")?.to_str() {
        Some("" | "sqlite") => None,
        Some("postgres") => Some(Kind::Postgres),
        Some("mariadb") => Some(Kind::MariaDb),
        other => panic!("KMS_TEST_DATABASE is sqlite, postgres or mariadb, not {other:?}"),
    }
}

/// The URL of the database that goes with a directory, made when it is first asked for.
fn database_of(kind: Kind, directory: &Path) -> String {
    databases().entry(directory.to_owned()).or_insert_with(|| database(kind)).url()
}

/// The databases that go with directories.
fn databases() -> MutexGuard<'static, BTreeMap<PathBuf, Database>> {
    static MADE: Mutex<BTreeMap<PathBuf, Database>> = Mutex::new(BTreeMap::new());
    MADE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A program that has ended.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// What it wrote.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
}

/// A server that runs. It is killed when this is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
    log: Arc<Mutex<String>>,
    report: Arc<Mutex<String>>,
    builder: Builder,
}

impl Server {
    /// Starts the program beside the test, with a new directory.
    pub fn spawn() -> Self {
        Self::builder().start()
    }

    /// The same, with choices.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where its database is.
    pub fn directory(&self) -> &Path {
        self.builder.directory()
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// A new connection to it.
    pub fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// What it has written to standard error so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What it has written to standard output so far.
    pub fn report(&self) -> String {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let Some(pid) = pid else { panic!("no process {}", self.child.id()) };
        kill_process(pid, signal).unwrap_or_else(|error| panic!("{signal:?}: {error}"));
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Waits for its end, for at most a minute.
    pub fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return status,
                Ok(None) if Instant::now() < until => pause(),
                Ok(None) => panic!("the server does not end; its log: {}", self.log()),
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Kills it, as a power cut would.
    pub fn kill(&mut self) {
        end(&mut self.child);
    }

    /// Kills it if it runs, and starts it again over the same directory.
    #[must_use]
    pub fn restart(mut self) -> Self {
        self.kill();
        self.builder.clone().start()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn end(child: &mut Child) -> ExitStatus {
    // It may have ended by itself.
    drop(child.kill());
    child.wait().unwrap_or_else(|error| panic!("{error}"))
}

fn wait_for(address: &Receiver<String>, child: &mut Child) -> Option<SocketAddr> {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if let Ok(text) = address.recv_timeout(Duration::from_millis(20)) {
            return Some(text.parse().unwrap_or_else(|error| panic!("{text}: {error}")));
        }
        match child.try_wait() {
            Ok(None) => {}
            // Its last words may still be on their way.
            Ok(Some(_)) => {
                pause();
                return None;
            }
            Err(error) => panic!("{error}"),
        }
    }
    None
}

/// Keeps what a program writes, and gives each line to `each`.
pub(crate) fn follow(
    stream: Option<impl Read + Send + 'static>,
    text: Arc<Mutex<String>>,
    mut each: impl FnMut(&str) + Send + 'static,
) {
    let Some(stream) = stream else { return };
    std::thread::spawn(move || {
        let mut lines = BufReader::new(stream);
        let mut line = String::new();
        while matches!(lines.read_line(&mut line), Ok(1..)) {
            text.lock().unwrap_or_else(PoisonError::into_inner).push_str(&line);
            each(&line);
            line.clear();
        }
    });
}

/// A short while, in a test.
pub fn pause() {
    #[expect(clippy::disallowed_methods, reason = "a test waits for another process")]
    std::thread::sleep(Duration::from_millis(20));
}

/// The server's program: where `KMS_TEST_SERVER` says, or beside the test.
fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("KMS_TEST_SERVER") {
        return path.into();
    }
    let test = std::env::current_exe().unwrap_or_else(|error| panic!("{error}"));
    let in_deps = test.parent().filter(|parent| parent.file_name() == Some(OsStr::new("deps")));
    let target = in_deps.and_then(Path::parent).or(test.parent());
    target.map_or_else(|| PathBuf::from("kms-server"), |target| target.join("kms-server"))
}
