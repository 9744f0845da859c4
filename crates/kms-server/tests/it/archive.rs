//! `export`, `import` and `verify ARCHIVE` as programs: beside servers, killed in the middle, and with
//! as much memory as it takes for one object.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use kms_archive::{Key, Reader, Writer};
use kms_crypto::Secret;
use kms_testkit::database::{Database, Kind, database};
use kms_testkit::server::{Builder, Ended, Server, pause};
use serde_json::{Value, json};

const KEY: [u8; 32] = [0xA5; 32];
/// A database in files, and on each kind of server.
const PLACES: [Option<Kind>; 3] = [None, Some(Kind::Postgres), Some(Kind::MariaDb)];

fn attribute(tag: &str, kind: &str, value: impl Into<Value>) -> Value {
    json!({"tag": tag, "type": kind, "value": value.into()})
}

fn create(server: &Server, id: &str) {
    let answer = server.connect().operation(&json!({"tag": "Create", "value": [
        attribute("ObjectType", "Enumeration", "SymmetricKey"),
        {"tag": "Attributes", "value": [
            attribute("ActivationDate", "DateTime", "2024-01-01T00:00:00Z"),
            attribute("CryptographicAlgorithm", "Enumeration", "AES"),
            attribute("CryptographicLength", "Integer", 256),
            attribute("CryptographicUsageMask", "Integer", 12),
            attribute("UniqueIdentifier", "TextString", id),
        ]},
    ]}));
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// What the server answers to Get; none if there is no such object.
fn get(server: &Server, id: &str) -> Option<String> {
    let named = attribute("UniqueIdentifier", "TextString", id);
    let answer = server.connect().operation(&json!({"tag": "Get", "value": [named]}));
    (answer.status == 200).then(|| answer.text())
}

/// A directory with keys, archives, and a place for the database that a test moves things into.
struct Desk {
    builder: Builder,
    target: Option<Database>,
}

impl Desk {
    fn new(kind: Option<Kind>) -> Self {
        let desk = Self { builder: super::builder(), target: kind.map(database) };
        desk.secret("key", &KEY);
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.builder.directory().join(name)
    }

    fn secret(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// The options that name the target, whatever the other tests run on.
    fn on_target(&self, builder: Builder) -> Builder {
        match &self.target {
            None => builder.environment("KMS_POSTGRES_URL", "").environment("KMS_MYSQL_URL", ""),
            Some(database) if database.kind() == Kind::Postgres => {
                builder.environment("KMS_POSTGRES_URL", database.url())
            }
            Some(database) => builder.environment("KMS_MYSQL_URL", database.url()),
        }
    }

    /// A server on the target.
    fn server(&self) -> Server {
        self.on_target(self.builder.clone()).start()
    }

    fn command(&self, words: &[&str]) -> Builder {
        let builder = words.iter().fold(self.builder.clone(), |it, word| it.argument(*word));
        self.on_target(builder.argument("--root-dir").argument(self.builder.directory()))
    }

    fn run(&self, words: &[&str]) -> Ended {
        self.command(words).argument("--key-file").argument(self.path("key")).run()
    }

    /// The same command, while it runs.
    fn spawn(&self, words: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kms-server"));
        command.args(words).arg("--key-file").arg(self.path("key"));
        command.arg("--root-dir").arg(self.path("")).current_dir(self.path(""));
        match &self.target {
            Some(database) if database.kind() == Kind::Postgres => {
                command.env("KMS_POSTGRES_URL", database.url());
            }
            Some(database) => drop(command.env("KMS_MYSQL_URL", database.url())),
            None => {}
        }
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// An archive with one object, and one with so many more like it.
    fn archives(&self, copies: u32) -> (String, String) {
        let source = Self::new(None);
        create(&source.server(), "seed");
        let one = self.path("one").display().to_string();
        let ended = source.run(&["export", "--to", &one]);
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        let many = self.path("many");
        multiply(Path::new(&one), &many, copies);
        (one, many.display().to_string())
    }

    /// Whether an import is in the middle of its work.
    fn is_amid(&self) -> bool {
        let Some(database) = &self.target else {
            // So much does not stay in memory.
            let log = fs::metadata(self.path("kms.db-wal"));
            return log.is_ok_and(|log| log.len() > 1 << 20);
        };
        let busy = match database.kind() {
            Kind::Postgres => {
                "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation \
                 WHERE c.relname = 'objects' AND l.mode = 'RowExclusiveLock' AND l.database = \
                 (SELECT oid FROM pg_database WHERE datname = current_database())"
            }
            // What is not committed yet can be counted here.
            _ => {
                "SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED; \
                 SELECT count(*) FROM objects"
            }
        };
        // At first there is no such table.
        database.try_sql(busy).is_ok_and(|count| count.trim() != "0")
    }
}

fn key() -> Key {
    Key::file(Secret::new(KEY.to_vec())).unwrap()
}

/// Writes an archive that has the object `seed` of another one so many times more, as `copy-0` and so on.
fn multiply(from: &Path, to: &Path, copies: u32) {
    let mut reader = Reader::new(fs::File::open(from).unwrap(), &key()).unwrap();
    let out = std::io::BufWriter::new(fs::File::create(to).unwrap());
    let mut writer = Writer::new(out, &key()).unwrap();
    while let Some(frame) = reader.next_frame().unwrap() {
        let item = frame.item.expose();
        if frame.last {
            let mut end = item.to_vec();
            let objects = u64::from_be_bytes(end[1..9].try_into().unwrap()) + u64::from(copies);
            end[1..9].copy_from_slice(&objects.to_be_bytes());
            writer.finish(&end).unwrap();
            return;
        }
        writer.add(item).unwrap();
        if item[0] == 2 {
            let rest = item.strip_prefix(b"\x02\0\0\0\x04seed").unwrap();
            for number in 0..copies {
                let id = format!("copy-{number}");
                let length = u32::try_from(id.len()).unwrap().to_be_bytes();
                writer.add(&[&[2], &length[..], id.as_bytes(), rest].concat()).unwrap();
            }
        }
    }
    panic!("no end");
}

#[test]
fn a_database_is_moved_beside_its_server() {
    let desk = Desk::new(None);
    let server = desk.server();
    for id in ["a", "b"] {
        create(&server, id);
    }
    let archive = desk.path("archive").display().to_string();
    let ended = desk.run(&["export", "--to", &archive]);
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(ended.stdout.contains("2 objects"), "{ended:?}");
    let mode = fs::metadata(&archive).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // What is there is not written over.
    assert_eq!(desk.run(&["export", "--to", &archive]).status.code(), Some(1));
    let ended = desk.run(&["verify", &archive]);
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(ended.stdout.contains("2 SymmetricKey"), "{ended:?}");
    let secret = get(&server, "a").unwrap();

    for kind in PLACES {
        let to = Desk::new(kind);
        let import = ["import", "--from", &archive];
        let ended = to.run(&["import", "--from", &archive, "--dry-run"]);
        assert_eq!(ended.status.code(), Some(0), "{kind:?} {ended:?}");
        assert!(ended.stdout.contains("would bring in"), "{kind:?} {ended:?}");
        let ended = to.run(&import);
        assert_eq!(ended.status.code(), Some(0), "{kind:?} {ended:?}");
        let moved = to.server();
        assert_eq!(get(&moved, "a").as_ref(), Some(&secret), "{kind:?}");
        create(&moved, "c");
        // SQLite is held by its server; elsewhere the names are in use.
        let held = to.run(&import);
        let (code, says) = if kind.is_none() { (6, "another server") } else { (1, "\"a\"") };
        assert_eq!(held.status.code(), Some(code), "{kind:?} {held:?}");
        assert!(held.stderr.contains(says), "{kind:?} {held:?}");
        drop(moved);
        let again = to.run(&import);
        assert_eq!(again.status.code(), Some(1), "{kind:?} {again:?}");
        assert!(again.stderr.contains("\"a\", the object \"b\""), "{kind:?} {again:?}");
    }
}

#[test]
fn both_ways_are_recorded() {
    let desk = Desk::new(None);
    let (one, _) = desk.archives(0);
    assert_eq!(desk.run(&["import", "--from", &one]).status.code(), Some(0));
    let to = desk.path("again").display().to_string();
    assert_eq!(desk.run(&["export", "--to", &to]).status.code(), Some(0));
    let server = desk.server();
    create(&server, "a");
    let log = || {
        let files = fs::read_dir(desk.path("audit")).unwrap();
        files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect::<String>()
    };
    while !log().contains("\"Create\"") {
        pause();
    }
    for record in ["\"import\"", "\"export\"", "1 objects"] {
        assert!(log().contains(record), "{record}: {}", log());
    }
}

#[test]
fn what_is_wrong_is_said_and_ends_with_its_code() {
    let desk = Desk::new(None);
    let (one, _) = desk.archives(0);
    desk.secret("phrase", b"correct horse battery\n");
    desk.secret("short", b"horse\n");
    desk.secret("long", &[1; 33]);
    desk.secret("other", &[1; 32]);
    desk.secret("open", &KEY);
    fs::set_permissions(desk.path("open"), Permissions::from_mode(0o644)).unwrap();
    let bytes = fs::read(&one).unwrap();
    let changed = [&bytes[..200], &[bytes[200] ^ 1], &bytes[201..]].concat();
    fs::write(desk.path("changed"), changed).unwrap();
    fs::write(desk.path("cut"), &bytes[..bytes.len() - 1]).unwrap();
    fs::write(desk.path("text"), "not an archive").unwrap();
    let path = |name: &str| desk.path(name).display().to_string();
    let run = |words: &[String]| {
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        desk.command(&words).run()
    };
    for (archive, option, file, code, says) in [
        ("one", "--key-file", "key", 0, "whole"),
        ("one", "--key-file", "other", 5, "does not open it"),
        ("one", "--passphrase-file", "phrase", 5, "--key-file"),
        ("one", "--key-file", "long", 2, "32 bytes"),
        ("one", "--key-file", "open", 2, "chmod 600"),
        ("one", "--key-file", "missing", 2, "cannot be read"),
        ("missing", "--key-file", "key", 1, "cannot be read"),
        ("changed", "--key-file", "key", 11, "altered"),
        ("cut", "--key-file", "key", 11, "cut off"),
        ("text", "--key-file", "key", 11, "not an archive"),
    ] {
        let verify = run(&["verify".into(), path(archive), option.into(), path(file)]);
        let import =
            run(&["import".into(), "--from".into(), path(archive), option.into(), path(file)]);
        for ended in [verify, import] {
            if code == 0 {
                // Only the first of them is without a database.
                assert_eq!(ended.status.code(), Some(0), "{archive} {file}: {ended:?}");
                continue;
            }
            assert_eq!(ended.status.code(), Some(code), "{archive} {file}: {ended:?}");
            assert!(ended.stderr.contains(says), "{archive} {file}: {ended:?}");
        }
    }
    for words in [
        vec!["export".into(), "--to".into(), path("new")],
        vec!["verify".into(), path("one")],
        vec![
            "export".into(),
            "--to".into(),
            path("new"),
            "--passphrase-file".into(),
            path("short"),
        ],
    ] {
        assert_eq!(run(&words).status.code(), Some(2), "{words:?}");
    }
    assert!(!desk.path("new").exists());
    let phrase = ["--passphrase-file".into(), path("phrase")];
    for words in
        [vec!["export".into(), "--to".into(), path("new")], vec!["verify".into(), path("new")]]
    {
        let ended = run(&[words, phrase.to_vec()].concat());
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    }
}

/// Killed again and again while it stores, and then left alone.
#[test]
fn a_killed_import_leaves_nothing() {
    for kind in PLACES {
        let desk = Desk::new(kind);
        // So many that it is seen at work; SQLite keeps the first thousands in memory.
        let copies = if kind.is_none() { 20_000 } else { 8000 };
        let last = format!("copy-{}", copies - 1);
        let (_, many) = desk.archives(copies);
        let import = ["import", "--from", &many];
        for _ in 0..3 {
            let mut child = desk.spawn(&import);
            while !desk.is_amid() && child.try_wait().unwrap().is_none() {
                pause();
            }
            drop(child.kill());
            let ended = child.wait().unwrap();
            assert_eq!(ended.code(), None, "{kind:?}: it was killed at work");
            let mut server = desk.server();
            for id in ["seed", "copy-0", &last] {
                assert_eq!(get(&server, id), None, "{kind:?}");
            }
            server.terminate();
            assert!(server.wait().success());
        }
        let ended = desk.run(&import);
        assert_eq!(ended.status.code(), Some(0), "{kind:?} {ended:?}");
        let server = desk.server();
        assert!(["seed", "copy-0", &last].iter().all(|id| get(&server, id).is_some()));
    }
}

/// A server sees all of an import or nothing of it.
#[test]
fn no_server_sees_half_of_an_import() {
    for kind in [Kind::Postgres, Kind::MariaDb] {
        let desk = Desk::new(Some(kind));
        let (_, many) = desk.archives(2000);
        let server = desk.server();
        let mut child = desk.spawn(&["import", "--from", &many]);
        let mut looked = 0;
        let ended = loop {
            let ended = child.try_wait().unwrap();
            // What is stored first is seen first, if anything is.
            let first = get(&server, "copy-0").is_some();
            assert!(!first || get(&server, "copy-1999").is_some(), "{kind:?}");
            looked += u32::from(!first);
            if let Some(ended) = ended {
                break ended;
            }
        };
        assert!(ended.success() && looked > 0, "{kind:?}");
        assert!(get(&server, "copy-0").is_some(), "{kind:?}");
    }
}

/// The most memory that a command had, in KiB, as far as it was seen.
fn peak(mut child: Child) -> u64 {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.trim().split(' ').next()?.parse().ok());
        peak = now.unwrap_or(0).max(peak);
        // The last moments are those that count.
        std::thread::yield_now();
    }
    assert!(child.wait().unwrap().success());
    peak
}

/// What an import, an export and a check of so many objects take.
fn peaks(copies: u32) -> [u64; 3] {
    let desk = Desk::new(None);
    let (_, archive) = desk.archives(copies);
    let import = peak(desk.spawn(&["import", "--from", &archive]));
    let to = desk.path("out").display().to_string();
    let export = peak(desk.spawn(&["export", "--to", &to]));
    [import, export, peak(desk.spawn(&["verify", &to]))]
}

#[test]
fn memory_does_not_grow_with_the_objects() {
    // Some pages are in memory at once, so that the lesser number is that of some pages. Of a short
    // run the end may be missed.
    let few = (0..3).map(|_| peaks(3000)).reduce(|a, b| [0, 1, 2].map(|it| a[it].max(b[it])));
    let few = few.unwrap();
    let many = peaks(12_000);
    for (what, (few, many)) in ["import", "export", "verify"].iter().zip(few.iter().zip(many)) {
        assert!(many < few + few / 4, "{what}: {few} KiB, then {many} KiB");
    }
}
