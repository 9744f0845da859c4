//! Database servers: shared ones, private ones, and that nothing of them is left.

use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kms_testkit::database::{Instance, Kind, database};
use kms_testkit::server::pause;

/// Set where this program is started by one of its own tests, to be killed.
const VICTIM: &str = "KMS_TESTKIT_VICTIM";

fn each(check: fn(Kind)) {
    for kind in Kind::ALL {
        check(kind);
    }
}

#[test]
fn tests_share_an_instance_and_have_databases_of_their_own() {
    each(|kind| {
        let (one, other) = (database(kind), database(kind));
        assert_ne!(one.url(), other.url());
        assert_eq!(one.port(), other.port());
        one.sql("CREATE TABLE t (n INT PRIMARY KEY)");
        one.sql("INSERT INTO t VALUES (7)");
        assert_eq!(one.sql("SELECT n FROM t"), "7");
        other.try_sql("SELECT n FROM t").expect_err("it is in the other database");
        let name = one.name().to_owned();
        drop(one);
        let left = match kind {
            Kind::Postgres => "SELECT datname FROM pg_database",
            Kind::MariaDb => "SHOW DATABASES",
        };
        let left = other.sql(left);
        assert!(left.contains(other.name()) && !left.contains(&name), "{left}");
    });
}

#[test]
fn what_was_committed_survives_the_process() {
    each(|kind| {
        let instance = Instance::start(kind);
        instance.sql("CREATE TABLE t (n INT PRIMARY KEY)");
        let stops: [fn(&Instance); 2] = [Instance::kill, Instance::stop];
        for (number, stop) in stops.iter().enumerate() {
            instance.sql(&format!("INSERT INTO t VALUES ({number})"));
            let url = instance.url();
            stop(&instance);
            assert!(instance.process().is_none());
            TcpStream::connect(instance.address()).expect_err("it has ended");
            instance.resume();
            assert_eq!(instance.url(), url);
        }
        assert_eq!(instance.sql("SELECT n FROM t ORDER BY n"), "0\n1");
    });
}

#[test]
fn nothing_is_left_when_the_test_panics() {
    each(|kind| {
        let mut seen = None;
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let instance = Instance::start(kind);
            seen = Some((instance.directory().to_path_buf(), instance.process().unwrap()));
            assert!(instance.directory().is_dir());
            panic!("as a test does");
        }));
        panicked.expect_err("it panics");
        let (directory, process) = seen.unwrap();
        assert!(!directory.exists(), "{}", directory.display());
        assert!(!Path::new(&format!("/proc/{process}")).exists());
    });
}

#[test]
fn nothing_is_left_when_the_test_is_killed() {
    if std::env::var_os(VICTIM).is_some() {
        return;
    }
    let noted = tempfile::tempdir().unwrap();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "databases::what_a_victim_does"])
        .env(VICTIM, noted.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let all_noted =
        || Kind::ALL.iter().filter_map(|kind| note(noted.path(), *kind)).collect::<Vec<PathBuf>>();
    within(Duration::from_mins(1), || all_noted().len() == Kind::ALL.len());
    let directories = all_noted();
    assert!(directories.iter().all(|directory| directory.is_dir()));
    victim.kill().unwrap();
    victim.wait().unwrap();
    within(Duration::from_secs(20), || directories.iter().all(|directory| !directory.exists()));
}

/// It does so only where the test above starts it.
#[test]
fn what_a_victim_does() {
    let Some(notes) = std::env::var_os(VICTIM) else { return };
    let instances: Vec<Instance> = Kind::ALL.into_iter().map(Instance::start).collect();
    for instance in &instances {
        let note = Path::new(&notes).join(instance.kind().name());
        std::fs::write(note, instance.directory().to_str().unwrap()).unwrap();
    }
    within(Duration::from_mins(2), || false);
}

fn note(folder: &Path, kind: Kind) -> Option<PathBuf> {
    let text = std::fs::read_to_string(folder.join(kind.name())).ok()?;
    (!text.is_empty()).then(|| text.into())
}

fn within(patience: Duration, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + patience;
    while !done() {
        assert!(Instant::now() < until, "it does not happen");
        pause();
    }
}
