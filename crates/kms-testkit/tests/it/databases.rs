//! Database servers: shared ones, private ones, and that nothing of them is left.

use std::fs::{File, Permissions};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kms_testkit::certificates::{Authority, Identity};
use kms_testkit::database::{Cluster, Instance, Kind, client, database};
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
            Kind::MariaDb | Kind::EdgelessDb => "SHOW DATABASES",
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
        .stdout(File::create(noted.path().join("stdout")).unwrap())
        .stderr(File::create(noted.path().join("stderr")).unwrap())
        .spawn()
        .unwrap();
    let all_noted =
        || Kind::ALL.iter().filter_map(|kind| note(noted.path(), *kind)).collect::<Vec<PathBuf>>();
    within(Duration::from_mins(1), || {
        let ended = victim.try_wait().unwrap();
        assert!(ended.is_none(), "{:?}", std::fs::read_to_string(noted.path().join("stdout")));
        all_noted().len() == Kind::ALL.len()
    });
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

/// Asks with the client program, verifying the server by `root`, showing `identity` if any.
fn ask(instance: &Instance, root: &str, identity: Option<&Identity>) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        // psql takes no key that others may read.
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let root = file("root.pem", root);
    let own = identity.map(|own| (file("own.pem", &own.certificate), file("key.pem", &own.key)));
    let mut command = Command::new(client(instance.kind()));
    if instance.kind() == Kind::Postgres {
        let mut url = format!("{}?sslmode=verify-full&sslrootcert={root}", instance.url());
        if let Some((certificate, key)) = own {
            url.extend(["&sslcert=", &certificate, "&sslkey=", &key]);
        }
        command.args(["-d", &url, "-c", "SELECT 1"]);
    } else {
        let port = instance.address().port();
        command.args(["--no-defaults", "--protocol=TCP", "--host=localhost", "--user=kms"]);
        command.arg(format!("--port={port}")).arg(format!("--ssl-ca={root}"));
        command.args(["--database=kms", "--ssl-verify-server-cert", "--execute=SELECT 1"]);
        match own {
            None => command.arg("--password=kms"),
            Some((certificate, key)) => {
                command.arg(format!("--ssl-cert={certificate}")).arg(format!("--ssl-key={key}"))
            }
        };
    }
    command.stdin(Stdio::null()).output().unwrap().status.success()
}

#[test]
fn a_server_with_tls_proves_itself() {
    for kind in [Kind::Postgres, Kind::MariaDb] {
        let authority = Authority::new("database");
        let instance = Instance::builder(kind).tls(authority.server()).start();
        assert!(ask(&instance, &authority.pem(), None), "{}", instance.log());
        assert!(!ask(&instance, &Authority::new("database").pem(), None), "another root");
    }
}

#[test]
fn users_with_certificates_prove_themselves() {
    for kind in [Kind::Postgres, Kind::MariaDb] {
        let authority = Authority::new("KMS database CA");
        let instance = Instance::builder(kind).client_certificates(&authority).start();
        for (what, identity, expected) in [
            ("the right one", Some(authority.client("kms")), true),
            ("none", None, false),
            ("another subject", Some(authority.client("other")), false),
            ("expired", Some(authority.expired_client("kms")), false),
            ("another authority", Some(Authority::new("KMS database CA").client("kms")), false),
        ] {
            let went = ask(&instance, &authority.pem(), identity.as_ref());
            assert_eq!(went, expected, "{kind:?}, {what}: {}", instance.log());
        }
    }
}

#[test]
fn the_stand_in_for_edgelessdb_has_its_traps() {
    let instance = Instance::start(Kind::EdgelessDb);
    let files = instance.client_files();
    let text = |path: &Path| std::fs::read_to_string(path).unwrap();
    let (root, subject) = (text(&files.root), "/CN=kms".to_owned());
    let own = Identity { certificate: text(&files.certificate), key: text(&files.key), subject };
    assert!(ask(&instance, &root, Some(&own)), "{}", instance.log());
    assert!(!ask(&instance, &root, None), "a password");
    let stranger = Authority::new("KMS database CA").client("kms");
    assert!(!ask(&instance, &root, Some(&stranger)), "the names alone");
    instance.sql("CREATE TABLE p (n INT PRIMARY KEY)");
    for (statement, error) in [
        ("CREATE TABLE t (n INT PRIMARY KEY) ENGINE=InnoDB", "ERROR 1290"),
        ("CREATE TABLE t (n INT PRIMARY KEY, FOREIGN KEY (n) REFERENCES p (n))", "ERROR 1235"),
        ("CREATE TABLE t (n VARCHAR(768) CHARACTER SET utf8mb4 PRIMARY KEY)", "ERROR 1071"),
        ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; BEGIN; SELECT n FROM p", "ERROR 4057"),
        (
            "BEGIN; INSERT INTO p VALUES (1); SAVEPOINT a; INSERT INTO p VALUES (2); ROLLBACK TO a",
            "ERROR 4061",
        ),
    ] {
        let refused = instance.try_sql(Some("kms"), statement).expect_err(statement);
        assert!(refused.contains(error), "{statement}: {refused}");
    }
    let shown = instance.sql("SHOW CREATE TABLE p");
    assert!(shown.contains("ENGINE=ROCKSDB") && shown.contains("CHARSET=latin1"), "{shown}");
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

#[test]
fn a_cluster_goes_on_without_a_node_that_is_killed() {
    let cluster = Cluster::start(3);
    cluster.node(0).sql("CREATE TABLE t (n INT PRIMARY KEY)");
    for (number, node) in cluster.nodes().iter().enumerate() {
        node.sql(&format!("INSERT INTO t VALUES ({number})"));
    }
    cluster.kill(0);
    let killed = Instant::now();
    cluster.node(1).sql("INSERT INTO t VALUES (3)");
    assert!(killed.elapsed() < Duration::from_secs(5), "{:?}", killed.elapsed());
    let all = "SET SESSION wsrep_sync_wait = 1; SELECT COUNT(*) FROM t";
    assert_eq!(cluster.node(2).sql(all), "4");
    cluster.resume(0);
    assert_eq!(cluster.node(0).sql(all), "4");
    assert!(cluster.url_from(2).starts_with("mysql://kms:kms@127.0.0.1:"));
}

#[test]
fn a_standby_has_what_was_answered_and_takes_over() {
    let primary = Instance::start(Kind::Postgres);
    primary.sql("CREATE TABLE t (n INT PRIMARY KEY)");
    let standby = primary.standby();
    primary.sql("INSERT INTO t VALUES (1)");
    standby.try_sql(Some("kms"), "INSERT INTO t VALUES (2)").expect_err("it only reads");
    primary.kill();
    standby.promote();
    standby.sql("INSERT INTO t VALUES (2)");
    assert_eq!(standby.sql("SELECT n FROM t ORDER BY n"), "1\n2");
}
