//! One database server: set up, started, killed, started again, and taken away.

use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::account::Account;
use super::edgeless::{self, Manifest};
use super::guard::{self, Guard};
use super::place::{Place, free_port, random};
use super::{Kind, USER, mariadb, postgres};
use crate::certificates::{Authority, Identity};
use crate::server::pause;

/// How long a database server may take to start or to end.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often another port is tried, where somebody has just taken the one that was free.
const PORTS_TRIED: u32 = 5;

/// What one kind of server does its own way.
pub(super) struct Flavour {
    /// Who runs it.
    pub(super) account: fn() -> Account,
    /// The signal that ends it at once and leaves nothing behind.
    pub(super) signal: &'static str,
    /// What its log says when it can be used.
    pub(super) ready: &'static str,
    /// Makes `data`.
    pub(super) prepare: fn(&Place, &Setup) -> Command,
    /// Writes its configuration.
    pub(super) configure: fn(&Place, &Setup),
    /// The server.
    pub(super) command: fn(&Place) -> Command,
    /// What the administrator does in a new one.
    pub(super) first: fn(&Setup) -> Vec<String>,
    /// What it is told besides, when it is started for the first time.
    pub(super) birth: fn(&Setup) -> Vec<String>,
    /// The administrator's client, with one statement.
    pub(super) client: fn(&Place, Option<&str>, &str) -> Command,
    /// What a user of the server is given.
    pub(super) url: fn(&Place, &Setup, &str) -> String,
}

/// How a server is set up.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) kind: Kind,
    pub(super) connections: u32,
    pub(super) durable: bool,
    pub(super) settings: Vec<(String, String)>,
    /// Variables of its process.
    pub(super) environment: Vec<(String, String)>,
    pub(super) tls: Option<Tls>,
    /// The name of the authority of clients, in one line.
    pub(super) issuer: String,
    pub(super) manifest: Option<Manifest>,
    /// The one that it must have; else a free one.
    pub(super) port: Option<u16>,
    pub(super) origin: Origin,
}

/// Where the data of a new server comes from.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// It begins empty.
    Nothing,
    /// It is the first of a cluster.
    Founded,
    /// The other nodes of its cluster.
    Cluster,
    /// The PostgreSQL that it follows, where that can be reached: directory of the socket, and port.
    Primary(PathBuf, u16),
}

impl Origin {
    /// Whether others have set it up.
    fn is_others(&self) -> bool {
        matches!(self, Self::Cluster | Self::Primary(..))
    }
}

/// What a server proves itself with, and what its users must.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    pub(super) server: Identity,
    pub(super) clients: Option<Clients>,
}

/// Users that come with a certificate, and without a password.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    /// The authority's certificate.
    pub(super) authority: String,
}

impl Setup {
    /// Whether users have a certificate instead of a password.
    pub(super) fn by_certificate(&self) -> bool {
        // One that another process has set up is not settled here.
        self.kind == Kind::EdgelessDb || self.tls.as_ref().is_some_and(|tls| tls.clients.is_some())
    }
}

impl Setup {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            connections: 200,
            durable: false,
            settings: Vec::new(),
            environment: Vec::new(),
            tls: None,
            issuer: String::new(),
            manifest: None,
            port: None,
            origin: Origin::Nothing,
        }
    }

    pub(super) fn flavour(&self) -> &'static Flavour {
        match self.kind {
            Kind::Postgres => &postgres::FLAVOUR,
            Kind::MariaDb | Kind::EdgelessDb => &mariadb::FLAVOUR,
        }
    }
}

/// What to start, and how.
#[derive(Clone, Debug)]
pub struct Builder {
    setup: Setup,
    directory: Option<PathBuf>,
}

impl Builder {
    /// A line of the server's configuration.
    #[must_use]
    pub fn setting(mut self, name: &str, value: impl Display) -> Self {
        self.setup.settings.push((name.to_owned(), value.to_string()));
        self
    }

    /// A variable of the server's process.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.setup.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// At most so many connections (200 unless told).
    #[must_use]
    pub fn connections(mut self, most: u32) -> Self {
        self.setup.connections = most;
        self
    }

    /// Writes through to the disk at each commit, as an operator's does: for measurements. Without
    /// it a commit survives the death of the process, and not that of the machine.
    #[must_use]
    pub fn durable(mut self) -> Self {
        self.setup.durable = true;
        self
    }

    /// On this port, or not at all.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.setup.port = Some(port);
        self
    }

    /// In this directory, which is empty or not there yet, and goes away with the server.
    #[must_use]
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.directory = Some(path.into());
        self
    }

    /// Speaks TLS, and refuses users that do not.
    #[must_use]
    pub fn tls(mut self, server: Identity) -> Self {
        let clients = self.setup.tls.take().and_then(|tls| tls.clients);
        self.setup.tls = Some(Tls { server, clients });
        self
    }

    /// Its user comes with a certificate of this authority, whose subject is `/CN=kms`, and has no
    /// password. Where [`Self::tls`] is not asked for, the authority signs the server's, too.
    #[must_use]
    pub fn client_certificates(mut self, authority: &Authority) -> Self {
        let server = self.setup.tls.take().map_or_else(|| authority.server(), |tls| tls.server);
        let clients = Clients { authority: authority.pem() };
        self.setup.issuer = authority.subject();
        self.setup.tls = Some(Tls { server, clients: Some(clients) });
        self
    }

    /// Sets the stand-in for EdgelessDB up as this manifest says.
    #[must_use]
    pub fn manifest(mut self, text: &str) -> Self {
        self.setup.manifest = Some(Manifest::parse(text));
        self
    }

    /// What its data comes from.
    #[must_use]
    pub(super) fn origin(mut self, origin: Origin) -> Self {
        self.setup.origin = origin;
        self
    }

    /// Sets it up, starts it and waits until it can be used.
    pub fn start(self) -> Instance {
        let name = format!("kms-{}-{:016x}", self.setup.kind.name(), random());
        let directory = self.directory.unwrap_or_else(|| temporary(&name));
        let guard = Guard::over(&directory, self.setup.flavour().signal);
        let server = Server::set_up(self.setup, &directory, Some(&guard));
        Instance { server, guard }
    }
}

/// A database server of one test. It is killed, and its directory removed, when this is dropped or
/// the test's process ends.
#[derive(Debug)]
pub struct Instance {
    // Dropped in this order: the guard removes what the server leaves.
    server: Server,
    guard: Guard,
}

impl Instance {
    /// Starts one as it is.
    pub fn start(kind: Kind) -> Self {
        Self::builder(kind).start()
    }

    /// Starts one with choices.
    pub fn builder(kind: Kind) -> Builder {
        Builder { setup: Setup::new(kind), directory: None }
    }

    /// Which server it is.
    pub fn kind(&self) -> Kind {
        self.server.setup.kind
    }

    /// The URL of the database that is there from the start.
    pub fn url(&self) -> String {
        self.url_of(USER)
    }

    /// The URL of another database.
    pub fn url_of(&self, database: &str) -> String {
        self.server.url(database)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.server.place.port))
    }

    /// Its process, while it runs.
    pub fn process(&self) -> Option<u32> {
        self.server.child().as_ref().map(Child::id)
    }

    /// What a client of the stand-in for EdgelessDB needs.
    pub fn client_files(&self) -> ClientFiles {
        ClientFiles::of(&self.server.place)
    }

    /// Where it keeps everything.
    pub fn directory(&self) -> &Path {
        &self.server.place.directory
    }

    pub(super) fn place(&self) -> &Place {
        &self.server.place
    }

    /// Makes an empty database and gives its URL.
    pub fn create_database(&self, name: &str) -> String {
        self.server.create(name);
        self.url_of(name)
    }

    /// Removes a database, whoever is connected to it.
    pub fn drop_database(&self, name: &str) {
        self.server.remove(name).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Runs a statement as the administrator, in the database that is there from the start, and
    /// gives what it answers: a line for each row.
    pub fn sql(&self, statement: &str) -> String {
        self.sql_in(USER, statement)
    }

    /// The same in another database.
    pub fn sql_in(&self, database: &str, statement: &str) -> String {
        self.try_sql(Some(database), statement).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same in whichever, or none; what the server complains of, where it refuses.
    pub fn try_sql(&self, database: Option<&str>, statement: &str) -> Result<String, String> {
        self.server.sql(database, statement)
    }

    /// What it has written to its log so far.
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// Kills it, as a power cut would.
    pub fn kill(&self) {
        self.server.end(Signal::KILL);
        self.guard.watch(None);
    }

    /// Lets it end as an operator would, who wants it now: connections are cut.
    pub fn stop(&self) {
        self.server.end(match self.kind() {
            Kind::Postgres => Signal::INT,
            Kind::MariaDb | Kind::EdgelessDb => Signal::TERM,
        });
        self.guard.watch(None);
    }

    /// Starts it again where it was killed or stopped, on the same port.
    pub fn resume(&self) {
        self.server.start(Some(&self.guard));
    }

    /// Stops it and starts it again.
    pub fn restart(&self) {
        self.stop();
        self.resume();
    }

    /// Sends its process a signal: `STOP` freezes it, `CONT` lets it go on.
    pub fn signal(&self, signal: Signal) {
        self.server.signal(signal);
    }
}

/// The files with which a client of the stand-in for EdgelessDB verifies it and proves itself.
#[derive(Clone, Debug)]
pub struct ClientFiles {
    /// The certificate that the server shows, to be pinned.
    pub root: PathBuf,
    /// The client's certificate. It is there where no manifest was given.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl ClientFiles {
    pub(super) fn of(place: &Place) -> Self {
        Self {
            root: place.path("root.pem"),
            certificate: place.path("client.pem"),
            key: place.path("client-key.pem"),
        }
    }
}

/// A server without its guard.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) setup: Setup,
    pub(super) place: Place,
    child: Mutex<Option<Child>>,
}

impl Server {
    /// Sets one up in an empty directory and starts it.
    pub(super) fn set_up(mut setup: Setup, directory: &Path, guard: Option<&Guard>) -> Self {
        let flavour = setup.flavour();
        let mut place = Place::new(directory, (flavour.account)());
        place.port = setup.port.unwrap_or(place.port);
        if setup.kind == Kind::EdgelessDb {
            edgeless::settle(&mut setup, &place);
        }
        // The programs make their directory themselves, or find it empty.
        place.folder("data");
        // The nodes of a cluster send a new one all that they have.
        if !matches!(setup.origin, Origin::Cluster) {
            let mut prepare = (flavour.prepare)(&place, &setup);
            place.runs(&mut prepare);
            run(&mut prepare).unwrap_or_else(|error| panic!("{error}"));
        }
        let mut server = Self { setup, place, child: Mutex::new(None) };
        server.start_somewhere(guard);
        server
    }

    fn start_somewhere(&mut self, guard: Option<&Guard>) {
        let flavour = self.setup.flavour();
        for _ in 0..PORTS_TRIED {
            (flavour.configure)(&self.place, &self.setup);
            if self.try_start(guard, &(flavour.birth)(&self.setup)) {
                return self.begin();
            }
            let may_move = self.setup.port.is_none() && self.log().contains("in use");
            assert!(may_move, "{}", self.log());
            self.place.port = free_port();
        }
        panic!("no port stays free: {}", self.log())
    }

    /// What the administrator does first, where others have not done it.
    fn begin(&self) {
        if self.setup.origin.is_others() {
            return;
        }
        for statement in (self.setup.flavour().first)(&self.setup) {
            self.sql(None, &statement).unwrap_or_else(|error| panic!("{error}"));
        }
    }

    /// Starts it over what is there.
    fn start(&self, guard: Option<&Guard>) {
        assert!(self.child().is_none(), "it runs already");
        assert!(self.try_start(guard, &[]), "it does not start: {}", self.log());
    }

    fn try_start(&self, guard: Option<&Guard>, options: &[String]) -> bool {
        let flavour = self.setup.flavour();
        let begins = self.log().len();
        let mut command = (flavour.command)(&self.place);
        command.args(options);
        command.envs(self.setup.environment.iter().map(|(name, value)| (name, value)));
        self.place.runs(&mut command);
        let log = self.log_file();
        let errors = log.try_clone().unwrap_or_else(|error| panic!("{error}"));
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        if let Some(guard) = guard {
            guard.watch(Some(child.id()));
        }
        *self.child() = Some(child);
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if self.log().get(begins..).is_some_and(|new| new.contains(flavour.ready)) {
                return true;
            }
            let ended = self.child().as_mut().is_none_or(has_ended);
            if ended {
                *self.child() = None;
                if let Some(guard) = guard {
                    guard.watch(None);
                }
                return false;
            }
            pause();
        }
        panic!("it is not ready after {PATIENCE:?}: {}", self.log())
    }

    fn log_file(&self) -> File {
        let path = self.place.path("log");
        OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn log(&self) -> String {
        let bytes = fs::read(self.place.path("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self, signal: Signal) {
        let process = self.child().as_ref().and_then(|child| i32::try_from(child.id()).ok());
        let Some(pid) = process.and_then(Pid::from_raw) else { panic!("it does not run") };
        kill_process(pid, signal).unwrap_or_else(|error| panic!("{signal:?}: {error}"));
    }

    /// Ends it if it runs, and waits for that.
    fn end(&self, signal: Signal) {
        if self.child().is_none() {
            return;
        }
        self.signal(signal);
        let until = Instant::now() + PATIENCE;
        while !self.child().as_mut().is_none_or(has_ended) {
            assert!(Instant::now() < until, "it does not end: {}", self.log());
            pause();
        }
        *self.child() = None;
    }

    /// Leaves it running for others, under a guard of its own.
    pub(super) fn share(&self) {
        if let Some(child) = self.child().take() {
            guard::share(&self.place.directory, self.setup.flavour().signal, child.id());
        }
    }

    pub(super) fn sql(&self, database: Option<&str>, statement: &str) -> Result<String, String> {
        run(&mut (self.setup.flavour().client)(&self.place, database, statement))
    }

    pub(super) fn url(&self, database: &str) -> String {
        (self.setup.flavour().url)(&self.place, &self.setup, database)
    }

    pub(super) fn create(&self, name: &str) {
        let how = match self.setup.kind {
            Kind::Postgres => format!("CREATE DATABASE {name} OWNER {USER}"),
            Kind::MariaDb => {
                format!("CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
            }
            // As its manual says, which leaves latin1.
            Kind::EdgelessDb => format!("CREATE DATABASE {name}"),
        };
        self.sql(None, &how).unwrap_or_else(|error| panic!("{error}"));
    }

    pub(super) fn remove(&self, name: &str) -> Result<String, String> {
        let how = match self.setup.kind {
            Kind::Postgres => format!("DROP DATABASE {name} WITH (FORCE)"),
            Kind::MariaDb | Kind::EdgelessDb => format!("DROP DATABASE {name}"),
        };
        self.sql(None, &how)
    }

    /// One that runs already, as another process has set it up.
    pub(super) fn running(setup: Setup, place: Place) -> Self {
        Self { setup, place, child: Mutex::new(None) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The quick way, and the sure one after it. Its directory is the guard's.
        if self.child().is_some() {
            let quick = match self.setup.kind {
                Kind::Postgres => Signal::QUIT,
                Kind::MariaDb | Kind::EdgelessDb => Signal::KILL,
            };
            self.signal(quick);
            let until = Instant::now() + Duration::from_secs(3);
            while Instant::now() < until && !self.child().as_mut().is_none_or(has_ended) {
                pause();
            }
        }
        if let Some(mut child) = self.child().take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

fn has_ended(child: &mut Child) -> bool {
    child.try_wait().unwrap_or_else(|error| panic!("{error}")).is_some()
}

/// Runs a program to its end; what it printed.
fn run(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{command:?}: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err(format!("{command:?}: {} {}", text(&output.stdout), text(&output.stderr)))
}

/// Where a program looks for its own directory. Kept apart for what shares an instance.
pub(super) fn temporary(name: &str) -> PathBuf {
    std::env::temp_dir().join(name)
}
