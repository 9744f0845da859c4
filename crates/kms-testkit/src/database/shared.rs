//! An instance that all tests share, of this process and of others: started by the first that needs
//! it, taken away when none has used it for some seconds. Each test has a database of its own there.

use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::instance::{ClientFiles, Server, Setup, temporary};
use super::place::{Place, random};
use super::{Kind, USER};

/// Changes when an instance of before would not do any more.
const GENERATION: u32 = 2;

/// Enough for many tests at once, each with pools of several servers.
const CONNECTIONS: u32 = 500;

/// An empty database of one test. It is removed when this is dropped.
#[derive(Debug)]
pub struct Database {
    shared: &'static Shared,
    name: String,
}

/// A new, empty database on the instance that tests share.
pub fn database(kind: Kind) -> Database {
    let shared = shared(kind);
    let name = format!("{USER}_{:016x}", random());
    shared.server.create(&name);
    Database { shared, name }
}

impl Database {
    /// Which server it is on.
    pub fn kind(&self) -> Kind {
        self.shared.server.setup.kind
    }

    /// The URL with which the server's user reaches it.
    pub fn url(&self) -> String {
        self.shared.server.url(&self.name)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port of the instance.
    pub fn port(&self) -> u16 {
        self.shared.server.place.port
    }

    /// What a client of the stand-in for EdgelessDB needs.
    pub fn client_files(&self) -> ClientFiles {
        ClientFiles::of(&self.shared.server.place)
    }

    /// Runs a statement as the administrator and gives what it answers: a line for each row.
    pub fn sql(&self, statement: &str) -> String {
        self.try_sql(statement).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same; what the server complains of, where it refuses.
    pub fn try_sql(&self, statement: &str) -> Result<String, String> {
        self.shared.server.sql(Some(&self.name), statement)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let removed = self.shared.server.remove(&self.name);
        if let Err(error) = removed
            && !std::thread::panicking()
        {
            panic!("{error}");
        }
    }
}

/// The instance, and the lock that keeps it.
#[derive(Debug)]
struct Shared {
    server: Server,
    _user: File,
}

fn shared(kind: Kind) -> &'static Shared {
    static POSTGRES: OnceLock<Shared> = OnceLock::new();
    static MARIADB: OnceLock<Shared> = OnceLock::new();
    static EDGELESSDB: OnceLock<Shared> = OnceLock::new();
    let once = match kind {
        Kind::Postgres => &POSTGRES,
        Kind::MariaDb => &MARIADB,
        Kind::EdgelessDb => &EDGELESSDB,
    };
    once.get_or_init(|| join(kind))
}

/// Takes part in the instance that runs, or starts it.
fn join(kind: Kind) -> Shared {
    let mut setup = Setup::new(kind);
    setup.connections = CONNECTIONS;
    let directory = home(kind);
    loop {
        fs::create_dir_all(&directory)
            .unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
        let door = open(&directory.join("door"));
        door.lock().unwrap_or_else(|error| panic!("{error}"));
        // While we waited, the door that we hold may have gone with its house.
        if !is_still(&door, &directory.join("door")) {
            continue;
        }
        let user = open(&directory.join("users"));
        let place = running(kind, &directory);
        let server = if let Some(place) = place {
            Server::running(setup, place)
        } else {
            clear(&directory);
            let server = Server::set_up(setup, &directory, None);
            server.share();
            fs::write(directory.join("port"), server.place.port.to_string())
                .unwrap_or_else(|error| panic!("{error}"));
            server
        };
        user.lock_shared().unwrap_or_else(|error| panic!("{error}"));
        return Shared { server, _user: user };
    }
}

/// The directory: one for each account, each kind, and each way of setting up.
fn home(kind: Kind) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    (GENERATION, kind, CONNECTIONS, env!("CARGO_MANIFEST_DIR")).hash(&mut hasher);
    let account = rustix::process::geteuid().as_raw();
    temporary(&format!("kms-{}-shared-{account}-{:016x}", kind.name(), hasher.finish()))
}

/// Where it runs, if it does.
fn running(kind: Kind, directory: &Path) -> Option<Place> {
    let port = fs::read_to_string(directory.join("port")).ok()?.parse().ok()?;
    TcpStream::connect(("127.0.0.1", port)).ok()?;
    let account = (Setup::new(kind).flavour().account)();
    Some(Place { directory: directory.to_path_buf(), port, account })
}

/// Removes what one has left that ended without its guard, as with the machine.
fn clear(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_name() == "door" || entry.file_name() == "users" {
            continue;
        }
        let removed =
            if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

fn open(path: &Path) -> File {
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn is_still(file: &File, path: &Path) -> bool {
    let held = file.metadata().map(|data| data.ino()).ok();
    held.is_some() && held == fs::metadata(path).map(|data| data.ino()).ok()
}
