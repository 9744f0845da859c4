//! Another data key for everything: while servers run, without any, killed in the middle, and with
//! rows that somebody changed.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kms_core::SystemClock;
use kms_seal::{File, Place, Protection, RootKey, Voucher};
use kms_store::{KeyringRow, KeyringWrite};
use kms_testkit::database::Kind;
use kms_testkit::http::Connection;
use kms_testkit::server::{Server, pause};
use serde_json::Value;

use super::keyring::{Home, protected};

const KEY: [u8; 32] = *b"\0this is a root key of 32 byte\n\xFF";

/// What `keyring show` says.
fn shown(home: &Home, key: &Path) -> String {
    let ended = protected(home.command("keyring show"), key).run();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    ended.stdout
}

fn rotate(home: &Home, key: &Path) {
    let ended = protected(home.command("keyring rotate"), key).run();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(ended.stderr.contains("every row is sealed by generation"), "{}", ended.stderr);
}

fn made(server: &Server, count: usize) -> Vec<String> {
    let mut connection = server.connect();
    (0..count).map(|_| super::try_made(&mut connection).unwrap()).collect()
}

fn assert_kept(server: &Server, ids: &[String]) {
    for id in ids {
        super::assert_kept(server, id);
    }
}

#[test]
fn a_rotation_leaves_nothing_to_the_older_key() {
    for home in Home::all() {
        let key = home.file("key", &KEY, 0o600);
        let server = protected(home.server(), &key).start();
        let ids = made(&server, 300);
        // Beside it, and once more without it.
        rotate(&home, &key);
        assert_kept(&server, &ids);
        let text = shown(&home, &key);
        assert!(text.contains("\n2  ") && !text.contains("\n1  "), "{text}");
        let more = made(&server, 3);
        drop(server);
        rotate(&home, &key);
        let text = shown(&home, &key);
        assert!(text.contains("\n3  ") && !text.contains("\n2  "), "{text}");
        let server = protected(home.server(), &key).start();
        assert_kept(&server, &ids);
        assert_kept(&server, &more);
    }
}

#[test]
fn out_of_the_clear_every_row_is_sealed_anew() {
    for home in Home::all() {
        let key = home.file("key", &KEY, 0o600);
        let server = protected(home.server(), &key).argument("--allow-clear-keyring");
        let clear = home.server().start();
        let ids = made(&clear, 20);
        drop(clear);
        let server = server.start();
        let words = format!("keyring protect --with file --new-root-key {}", key.display());
        let ended = home.command(&words).run();
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        assert!(ended.stderr.contains("Back the root key up"), "{}", ended.stderr);
        let text = shown(&home, &key);
        assert!(text.contains("rested in the clear: 0\n") && text.contains("file"), "{text}");
        assert_kept(&server, &ids);
        drop(server);
        // Nobody has to allow it any more.
        let server = protected(home.server(), &key).start();
        assert_kept(&server, &ids);
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn protection(key: &Path) -> Protection {
    Protection::new(File::new(RootKey::read(key).unwrap()))
}

/// What `/health` says of the keyring; none while the server is gone.
fn health(connection: &mut Connection) -> Option<Value> {
    connection.begin("GET", "/health", &[], b"");
    Some(connection.answer()?.json()["dependencies"]["keyring"].clone())
}

/// Makes keys for as long as it is told to, whatever becomes of the servers; those that were answered.
fn make_keys(
    address: impl Fn() -> std::net::SocketAddr + std::panic::RefUnwindSafe,
    stop: &AtomicBool,
) -> Vec<String> {
    let mut ids = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        // Another may take the port between the two, which is as good as nobody.
        let open = || std::panic::catch_unwind(|| Connection::open(address()));
        let is_there = std::net::TcpStream::connect(address()).is_ok();
        match is_there.then(open) {
            Some(Ok(mut connection)) => ids.extend(super::try_made(&mut connection).ok()),
            _ => pause(),
        }
    }
    ids
}

/// The server that seals anew is killed in the middle, while keys are made on it; whoever is left, or
/// is started again, goes on, and nothing is lost.
fn outlives_its_worker(kind: Option<Kind>) {
    let home = Home::of(kind);
    let key = home.file("key", &KEY, 0o600);
    let mut servers = vec![protected(home.server(), &key).start()];
    let ids = made(&servers[0], 1200);
    if home.database.is_some() {
        servers.push(protected(home.server(), &key).start());
    }
    let addresses = std::sync::Mutex::new(servers[0].address());
    let stop = AtomicBool::new(false);
    let address = || *addresses.lock().unwrap();
    let more = std::thread::scope(|scope| {
        let load = scope.spawn(|| make_keys(address, &stop));
        let runtime = runtime();
        let store = home.store(&runtime);
        let (open, clock) = (protection(&key), SystemClock);
        runtime.block_on(kms_core::mint(&store, &open, &open, &clock)).unwrap();
        // Until one of them is in the middle.
        let until = Instant::now() + Duration::from_secs(30);
        let mut connections: Vec<_> = servers.iter().map(Server::connect).collect();
        let worker = 'found: loop {
            assert!(Instant::now() < until, "nobody seals anew");
            for (at, connection) in connections.iter_mut().enumerate() {
                let metrics = connection.get("/metrics").text();
                let done = metrics.lines().find_map(|line| {
                    line.strip_prefix("kms_keyring_rows_resealed ")?.parse::<u64>().ok()
                });
                if done.is_some_and(|done| done > 0) {
                    break 'found at;
                }
            }
        };
        servers[worker].kill();
        let killed = servers.remove(worker);
        let again = killed.restart();
        *addresses.lock().unwrap() = again.address();
        servers.push(again);
        let mut connections: Vec<_> = servers.iter().map(Server::connect).collect();
        let until = Instant::now() + Duration::from_secs(90);
        while !connections.iter_mut().all(|it| health(it).unwrap()["data_keys"] == 1) {
            assert!(Instant::now() < until, "{}", servers[0].log());
            pause();
        }
        let counts = runtime.block_on(store.sealed_counts()).unwrap();
        assert!(counts.iter().all(|count| count.generation == 2), "{counts:?}");
        stop.store(true, Ordering::SeqCst);
        load.join().unwrap()
    });
    assert!(!more.is_empty());
    for server in &servers {
        assert_kept(server, &ids);
        assert_kept(server, &more);
    }
}

#[test]
fn a_rotation_outlives_its_worker() {
    outlives_its_worker(None);
}

#[test]
fn a_rotation_outlives_its_worker_on_postgres() {
    outlives_its_worker(Some(Kind::Postgres));
}

#[test]
fn a_rotation_outlives_its_worker_on_mariadb() {
    outlives_its_worker(Some(Kind::MariaDb));
}

/// Somebody who can write the table puts data keys of their own there, or old ones back: a server that
/// runs seals nothing any more and says so, and none starts.
#[test]
fn data_keys_of_somebody_else_are_refused() {
    for home in Home::all() {
        let key = home.file("key", &KEY, 0o600);
        let theirs = home.file("theirs", &[&KEY[1..], &[1]].concat(), 0o600);
        let server = protected(home.server(), &key).start();
        let id = super::made(&server);
        let runtime = runtime();
        let store = home.store(&runtime);
        let first = runtime.block_on(store.keyring()).unwrap().remove(0);
        drop(server);
        rotate(&home, &key);
        let second = runtime.block_on(store.keyring()).unwrap().remove(0);
        let change = |writes: Vec<KeyringWrite>| {
            runtime.block_on(store.change_keyring(writes, None)).unwrap();
        };
        let forged = |generation: u32, kind: &str, by: &Protection| {
            let place = Place { database_id: store.database_id(), generation };
            let data_key = kms_crypto::Secret::new(vec![9; 32]);
            let voucher = Voucher { generation: 2, commitment: [0; 32] };
            let slot = by.sealer().wrap(place, &data_key, 0, &[voucher]).unwrap();
            KeyringRow { generation, kind: kind.to_owned(), slot }
        };
        let moved = KeyringRow { generation: 3, ..second.clone() };
        for (row, says) in [
            (forged(3, "file", &protection(&theirs)), "another root key"),
            (forged(3, "clear", &Protection::from(&kms_seal::Clear)), "\"clear\""),
            (moved, "another generation"),
            // One that was in use, and one that never was.
            (first, "vouch"),
            (forged(1, "clear", &Protection::from(&kms_seal::Clear)), "vouch"),
        ] {
            let server = protected(home.server(), &key).start();
            let mut connection = server.connect();
            let (generation, slot) = (row.generation, row.slot.clone());
            change(vec![KeyringWrite::Put { row, expected: None }]);
            let until = Instant::now() + Duration::from_secs(20);
            while connection.get("/health").status != 503 {
                assert!(Instant::now() < until, "{says}: {}", server.log());
                pause();
            }
            let shown = health(&mut connection).unwrap();
            assert!(shown["reason"].as_str().unwrap().contains(says), "{shown}");
            // Nothing can be made any more.
            assert!(super::try_made(&mut connection).is_err(), "{says}");
            drop(server);
            let ended = protected(home.server(), &key).try_start().unwrap_err();
            assert_eq!(ended.status.code(), Some(5), "{ended:?}");
            assert!(ended.stderr.contains(says), "{says}: {}", ended.stderr);
            change(vec![KeyringWrite::Remove { generation, expected: slot }]);
        }
        let server = protected(home.server(), &key).start();
        super::assert_kept(&server, &id);
    }
}

/// What protects the data keys is changed beside a server, which goes on.
#[test]
fn protection_is_changed_in_one_row() {
    let home = Home::of(None);
    let key = home.file("key", &KEY, 0o600);
    let other = home.file("other", b"correct horse battery staple", 0o600);
    let server = protected(home.server(), &key).start();
    let id = super::made(&server);
    let protect = |words: &str, by: &Path| {
        let ended = protected(home.command(&format!("keyring protect {words}")), by).run();
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        ended.stderr
    };
    assert!(protect("--with file", &key).contains("already"));
    let words = format!("--with file --new-root-key {}", other.display());
    assert!(protect(&words, &key).contains("Another root key"));
    let until = Instant::now() + Duration::from_secs(20);
    while !server.log().contains("wrapped anew") {
        assert!(Instant::now() < until, "{}", server.log());
        pause();
    }
    super::assert_kept(&server, &super::made(&server));
    drop(server);
    let ended = protected(home.server(), &key).try_start().unwrap_err();
    assert_eq!(ended.status.code(), Some(5), "{ended:?}");
    super::assert_kept(&protected(home.server(), &other).start(), &id);
    assert!(protect("--with clear", &other).contains("in the clear now"));
    let server = home.server().start();
    super::assert_kept(&server, &id);
    let mut connection = server.connect();
    assert_eq!(health(&mut connection).unwrap()["exposed_rows"], "all");
    let ended = home.command("keyring protect --with lead").run();
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    let ended = home.command("keyring protect").run();
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
}
