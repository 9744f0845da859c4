//! Coming to a database on a server: what is waited for, what ends at once and how that is said,
//! which of several hosts is taken, and who is believed.

use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kms_store::{Config, Error, Identity, OpenError, Password, Remote, Roots, Store};
use kms_testkit::certificates::{self, Authority};
use kms_testkit::database::{Instance, Kind, database};

use crate::remote::{address, edgeless, open, with_certificates};
use crate::{commit, new};

const KINDS: [Kind; 2] = [Kind::Postgres, Kind::MariaDb];

/// What is said of a database that cannot be opened. It never holds a password.
async fn refusal(kind: Kind, url: &str, remote: Remote) -> String {
    let config = Config::server(address(kind, url), remote);
    let shown = format!("{config:?}");
    let error = Store::open(config).await.expect_err("it was opened");
    assert!(matches!(error, OpenError::Server { .. }), "{error}");
    let text = error.to_string();
    for secret in ["wrong-secret", "kms:kms"] {
        assert!(!text.contains(secret) && !shown.contains(secret), "{text}\n{shown}");
    }
    text
}

fn at_once() -> Remote {
    Remote { wait: Duration::from_mins(1), ..Remote::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_pass_ends_at_once() {
    for kind in KINDS {
        let database = database(kind);
        let url = database.url();
        let began = Instant::now();
        let wrong = url.replace("kms:kms@", "kms:wrong-secret@");
        let said = refusal(kind, &wrong, at_once()).await;
        assert!(
            said.contains("does not let the user kms in") && said.contains("password"),
            "{said}"
        );
        let said = refusal(kind, &url.replace(database.name(), "kms_absent"), at_once()).await;
        assert!(
            said.contains("no database kms_absent") && said.contains("CREATE DATABASE"),
            "{said}"
        );
        let demanded = Remote { demands_tls: true, ..at_once() };
        let said = refusal(kind, &url, demanded).await;
        assert!(said.contains("offers no TLS"), "{said}");
        assert!(began.elapsed() < Duration::from_secs(10), "{kind:?}: it was waited for");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_rights_end_at_once() {
    let on_postgres = database(Kind::Postgres);
    on_postgres.sql("REVOKE ALL ON SCHEMA public FROM PUBLIC, kms");
    on_postgres.sql("ALTER SCHEMA public OWNER TO postgres");
    let said = refusal(Kind::Postgres, &on_postgres.url(), at_once()).await;
    assert!(said.contains("may not make or use its tables"), "{said}");

    let instance = Instance::start(Kind::MariaDb);
    instance.sql("CREATE USER poor@'%' IDENTIFIED BY 'poor'");
    instance.sql("GRANT SELECT ON kms.* TO poor@'%'");
    let url = instance.url().replace("kms:kms@", "poor:poor@");
    let said = refusal(Kind::MariaDb, &url, at_once()).await;
    assert!(said.contains("may not make or use its tables"), "{said}");
    instance.sql("CREATE USER none@'%' IDENTIFIED BY 'none'");
    let url = instance.url().replace("kms:kms@", "none:none@");
    let said = refusal(Kind::MariaDb, &url, at_once()).await;
    assert!(said.contains("may not use it") && said.contains("GRANT ALL"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_pass_is_waited_for_and_no_longer() {
    for kind in KINDS {
        let database = database(kind);
        let (name, port) = (database.url(), database.port().to_string());
        // Nobody listens there; the name has no address; somebody listens and says nothing.
        let free = {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port().to_string()
        };
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let silent = silent.local_addr().unwrap().port().to_string();
        for (url, says, least) in [
            (name.replace(&port, &free), "connection refused", 1),
            (name.replace("127.0.0.1", "absent.invalid"), "has no address", 1),
            (name.replace(&port, &silent), "", 1),
        ] {
            let began = Instant::now();
            let remote = Remote { wait: Duration::from_secs(1), ..Remote::default() };
            let url = if url.contains("invalid") { url + "?" } else { url };
            let url = match (kind, url.contains("invalid")) {
                (_, false) => url,
                (Kind::Postgres, true) => url + "sslmode=disable",
                (_, true) => url + "ssl-mode=DISABLED",
            };
            let said = refusal(kind, &url, remote).await;
            assert!(said.contains(says), "{said}");
            let waited = began.elapsed().as_secs();
            assert!((least..8).contains(&waited), "{kind:?} {said}: {waited} s");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_comes_late_is_taken() {
    for kind in KINDS {
        let instance = Arc::new(Instance::start(kind));
        instance.stop();
        let url = instance.url();
        let opening = tokio::spawn(async move {
            open(kind, &url, Remote { wait: Duration::from_secs(30), ..Remote::default() }).await
        });
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert!(!opening.is_finished(), "{kind:?}");
        let resumed = Arc::clone(&instance);
        tokio::task::spawn_blocking(move || resumed.resume()).await.unwrap();
        let store = opening.await.unwrap();
        commit(&store, vec![new("a")]).await;
    }
}

/// Of several hosts the one that writes is found, and found again when another becomes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host_that_writes_is_found() {
    let first = Instance::start(Kind::Postgres);
    let second = Instance::start(Kind::Postgres);
    let read_only = |instance: &Instance, is: &str| {
        instance.sql(&format!("ALTER SYSTEM SET default_transaction_read_only = {is}"));
        instance.sql("SELECT pg_reload_conf()");
    };
    read_only(&first, "on");
    let dead = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let hosts = format!("{dead},{},{}", first.address(), second.address());
    let url = first.url().replace(&first.address().to_string(), &hosts);
    let store = open(Kind::Postgres, &url, Remote::default()).await;
    commit(&store, vec![new("a")]).await;
    assert_eq!(second.sql("SELECT count(*) FROM objects").trim(), "1");
    // The second is made what the first was: its sessions are of no use any more.
    let schema = open(Kind::Postgres, &second.url(), Remote::default()).await;
    drop(schema);
    read_only(&first, "off");
    drop(open(Kind::Postgres, &first.url(), Remote::default()).await);
    read_only(&second, "on");
    let began = Instant::now();
    for number in 0.. {
        // What comes before the second has heard of it is still written there.
        match store.commit(Vec::new(), vec![new(&format!("b {number}"))]).await {
            Ok(()) if first.sql("SELECT count(*) FROM objects").trim() == "1" => return,
            Ok(()) | Err(Error::ReadOnly | Error::Unavailable(_) | Error::Unknown(_)) => {}
            Err(other) => panic!("{other}"),
        }
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}

// TLS.

fn pem(identity: &certificates::Identity) -> String {
    format!("{}{}", identity.certificate, identity.key)
}

/// The same as an operator's openssl makes it.
fn pkcs12(identity: &certificates::Identity, password: &str, more: &[&str]) -> Vec<u8> {
    let directory = tempfile::TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("c.pem"), &identity.certificate).unwrap();
    std::fs::write(path("k.pem"), &identity.key).unwrap();
    let mut command = Command::new("openssl");
    command.args(["pkcs12", "-export", "-passout", &format!("pass:{password}")]).args(more);
    command.arg("-in").arg(path("c.pem")).arg("-inkey").arg(path("k.pem"));
    let made = command.arg("-out").arg(path("c.p12")).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    std::fs::read(path("c.p12")).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_is_believed_by_its_certificate_and_name() {
    for kind in KINDS {
        let authority = Authority::new("database authority");
        let instance = Instance::builder(kind).tls(authority.server_of(&["localhost"])).start();
        let url = instance.url().replace("127.0.0.1", "localhost");
        let believed = || with_certificates(&authority.pem(), None);
        let store = open(kind, &url, believed()).await;
        commit(&store, vec![new("a")]).await;
        assert!(store.object("a").await.unwrap().is_some());

        let said = refusal(kind, &instance.url(), believed()).await;
        assert!(said.contains("not for the name 127.0.0.1"), "{said}");
        let other = Authority::new("database authority");
        let said = refusal(kind, &url, with_certificates(&other.pem(), None)).await;
        assert!(said.contains("not trusted here"), "{said}");
        // What is trusted elsewhere does not count, and TLS that is asked for is checked.
        let always = match kind {
            Kind::Postgres => "?sslmode=require",
            _ => "?ssl-mode=REQUIRED",
        };
        let said = refusal(kind, &format!("{url}{always}"), Remote::default()).await;
        assert!(said.contains("not trusted here"), "{said}");
        // Plain text is refused by this database, and contradicts certificates.
        let plain = match kind {
            Kind::Postgres => "?sslmode=disable",
            _ => "?ssl-mode=DISABLED",
        };
        refusal(kind, &format!("{url}{plain}"), Remote::default()).await;
        let said = refusal(kind, &format!("{url}{plain}"), believed()).await;
        assert!(said.contains("plain text, and certificates are named"), "{said}");
        let nonsense = Remote { roots: Roots::Only(b"nonsense".to_vec()), ..believed() };
        let said = refusal(kind, &url, nonsense).await;
        assert!(said.contains("no certificate"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_proves_itself_by_a_certificate() {
    for kind in KINDS {
        let authority = Authority::new("KMS database CA");
        let instance = Instance::builder(kind).client_certificates(&authority).start();
        let url = instance.url();
        let roots = authority.pem();
        let own = authority.client("kms");
        let with = |bytes: Vec<u8>, password: &str| Remote {
            identity: Some(Identity::new(bytes, Password::new(password.to_owned()))),
            ..with_certificates(&roots, None)
        };
        for (what, bytes, password) in [
            ("PEM", pem(&own).into_bytes(), ""),
            ("PKCS#12", pkcs12(&own, "secret", &[]), "secret"),
            ("PKCS#12 without a password", pkcs12(&own, "", &[]), ""),
            ("PKCS#12 of OpenSSL 1", pkcs12(&own, "secret", &["-legacy"]), "secret"),
            ("the same without a password", pkcs12(&own, "", &["-legacy"]), ""),
        ] {
            let config = Config::server(address(kind, &url), with(bytes, password));
            if let Err(error) = Store::open(config).await {
                panic!("{kind:?} {what}: {error}");
            }
        }
        let stranger = Authority::new("KMS database CA").client("kms");
        let expired = authority.expired_client("kms");
        let other = authority.client("other");
        for (what, remote, says) in [
            ("none", with_certificates(&roots, None), "client certificate"),
            ("another authority's", with(pem(&stranger).into_bytes(), ""), "client certificate"),
            ("expired", with(pem(&expired).into_bytes(), ""), "has expired"),
            ("another name", with(pem(&other).into_bytes(), ""), "let the user kms in"),
            ("wrong password", with(pkcs12(&own, "secret", &[]), "wrong-secret"), "password"),
            ("no MAC", with(pkcs12(&own, "", &["-nomac"]), ""), "no MAC"),
            ("no key", with(own.certificate.clone().into_bytes(), ""), "no private key"),
            (
                "another key",
                {
                    let mixed = format!("{}{}", own.certificate, other.key);
                    with(mixed.into_bytes(), "")
                },
                "do not fit together",
            ),
            ("nonsense", with(vec![0x30, 0x03, 1, 2, 3], ""), "PKCS#12"),
        ] {
            let remote = Remote { wait: Duration::from_secs(1), ..remote };
            let said = refusal(kind, &url, remote).await;
            assert!(said.contains(says), "{kind:?} {what}: {said}");
        }
    }
}

/// What `openssl x509 -req` makes without extensions, and every TLS of today refuses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_version_1_is_called_by_its_name() {
    let directory = tempfile::TempDir::new().unwrap();
    let script = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
         -keyout ca.key -out ca.pem -subj '/CN=ca' -days 2 && \
         openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout c.key -out c.csr \
         -subj /CN=kms && \
         openssl x509 -req -in c.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out c.pem";
    let made = Command::new("sh").arg("-ec").arg(script).current_dir(&directory).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
    let remote =
        with_certificates(&read("ca.pem"), Some(format!("{}{}", read("c.pem"), read("c.key"))));
    let said = refusal(Kind::MariaDb, "mysql://kms@localhost/kms", remote).await;
    assert!(said.contains("version 1") && said.contains("-extfile"), "{said}");
}

/// `EdgelessDB` shows an authority's certificate as its own: believed if it is named, and only then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edgelessdb_is_believed_by_exactly_its_certificate() {
    let instance = Instance::start(Kind::EdgelessDb);
    let files = instance.client_files();
    let url = instance.url();
    let store = open(Kind::EdgelessDb, &url, edgeless(&files)).await;
    commit(&store, vec![new("a")]).await;
    // The same words in another certificate are another's.
    let subject = [("EDB root", "localhost")];
    let twin = certificates::Identity::self_signed_authority(
        &[
            (rcgen::DnType::OrganizationName, subject[0].0),
            (rcgen::DnType::CommonName, subject[0].1),
        ],
        &["localhost"],
    );
    let remote = Remote { roots: Roots::Only(twin.certificate.into()), ..edgeless(&files) };
    let said = refusal(Kind::EdgelessDb, &url, remote).await;
    assert!(said.contains("authority"), "{said}");
    // The name counts, too.
    let said =
        refusal(Kind::EdgelessDb, &url.replace("localhost", "127.0.0.1"), edgeless(&files)).await;
    assert!(said.contains("not for the name 127.0.0.1"), "{said}");
    let said = refusal(Kind::EdgelessDb, &url, Remote { identity: None, ..edgeless(&files) }).await;
    assert!(said.contains("certificate"), "{said}");
}
