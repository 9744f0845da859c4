//! Servers on PostgreSQL and MariaDB: several on one database, what they show of it, and commands.

use std::time::{Duration, Instant};

use kms_testkit::database::{Database, Instance, Kind, database};
use kms_testkit::http::{Answer, Connection};
use kms_testkit::issuer::{self, Algorithm, Issuer, Key};
use kms_testkit::server::{Builder, Server, pause};
use serde_json::{Value, json};

const KINDS: [Kind; 2] = [Kind::Postgres, Kind::MariaDb];

fn variable(kind: Kind) -> &'static str {
    if kind == Kind::Postgres { "KMS_POSTGRES_URL" } else { "KMS_MYSQL_URL" }
}

fn on(kind: Kind, url: String) -> Builder {
    super::builder().environment(variable(kind), url)
}

fn several<const N: usize>(database: &Database) -> [Server; N] {
    std::array::from_fn(|_| on(database.kind(), database.url()).start())
}

fn text(tag: &str, value: &str) -> Value {
    json!({"tag": tag, "type": "TextString", "value": value})
}

fn create(connection: &mut Connection, id: &str) -> Answer {
    connection.operation(&new_key(id))
}

fn new_key(id: &str) -> Value {
    let attribute =
        |tag: &str, kind: &str, value: Value| json!({"tag": tag, "type": kind, "value": value});
    json!({"tag": "Create", "value": [
        attribute("ObjectType", "Enumeration", json!("SymmetricKey")),
        {"tag": "Attributes", "value": [
            attribute("CryptographicAlgorithm", "Enumeration", json!("AES")),
            attribute("CryptographicLength", "Integer", json!(256)),
            attribute("CryptographicUsageMask", "Integer", json!(12)),
            attribute("ActivationDate", "DateTime", json!("2020-01-01T00:00:00Z")),
            text("UniqueIdentifier", id),
        ]},
    ]})
}

fn encrypt(connection: &mut Connection, id: &str) -> Answer {
    connection.operation(&use_of(id))
}

fn use_of(id: &str) -> Value {
    json!({"tag": "Encrypt", "value": [
        text("UniqueIdentifier", id),
        {"tag": "Data", "type": "ByteString", "value": "00"},
    ]})
}

fn on_object(connection: &mut Connection, operation: &str, id: &str) -> Answer {
    let mut value = vec![text("UniqueIdentifier", id)];
    if operation == "Revoke" {
        value.push(json!({"tag": "RevocationReason", "value": [
            {"tag": "RevocationReasonCode", "type": "Enumeration", "value": "KeyCompromise"},
        ]}));
    }
    connection.operation(&json!({"tag": operation, "value": value}))
}

#[test]
fn what_one_server_does_the_others_obey_on_their_next_request() {
    for kind in KINDS {
        let database = database(kind);
        let servers = several::<4>(&database);
        let mut connections = servers.each_ref().map(Server::connect);
        let [first, others @ ..] = &mut connections;
        for turn in 0..5 {
            let id = format!("key {turn}").replace(' ', "-");
            let answer = create(first, &id);
            assert_eq!(answer.status, 200, "{kind:?} {}", answer.text());
            for other in &mut *others {
                assert_eq!(encrypt(other, &id).status, 200, "{kind:?}");
            }
            assert_eq!(on_object(first, "Revoke", &id).status, 200);
            for other in &mut *others {
                let refused = encrypt(other, &id);
                assert_ne!(refused.status, 200, "{kind:?}: {}", refused.text());
            }
            assert_eq!(on_object(&mut others[turn % 3], "Destroy", &id).status, 200);
            let gone = on_object(first, "Get", &id);
            assert_ne!(gone.status, 200, "{kind:?}: {}", gone.text());
        }
    }
}

#[test]
fn servers_that_start_together_share_one_keyring() {
    for kind in KINDS {
        let database = database(kind);
        let starting: Vec<_> = (0..4)
            .map(|_| {
                let builder = on(kind, database.url());
                std::thread::spawn(move || builder.start())
            })
            .collect();
        let servers: Vec<_> = starting.into_iter().map(|it| it.join().unwrap()).collect();
        assert_eq!(create(&mut servers[0].connect(), "shared").status, 200);
        for server in &servers {
            let answer = encrypt(&mut server.connect(), "shared");
            assert_eq!(answer.status, 200, "{kind:?} {}", answer.text());
        }
    }
}

#[test]
fn servers_of_one_directory_have_logs_of_their_own() {
    for kind in KINDS {
        let database = database(kind);
        let first = on(kind, database.url()).start();
        let second = on(kind, database.url()).directory_of(&first).start();
        for (server, id) in [(&first, "a"), (&second, "b")] {
            assert_eq!(create(&mut server.connect(), id).status, 200);
        }
        let verify = || {
            let builder = on(kind, database.url()).directory_of(&first);
            let builder = builder.argument("audit").argument("verify").argument("--root-dir");
            builder.argument(first.directory()).run()
        };
        let ended = verify();
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        assert_eq!(ended.stdout.matches("The audit log is sound").count(), 2, "{ended:?}");
        // A log that is altered is found, whichever of them it is.
        let files = std::fs::read_dir(first.directory().join("audit")).unwrap();
        let last = files.map(|it| it.unwrap().path()).max().unwrap();
        let text = || std::fs::read_to_string(&last).unwrap();
        // The record of a change reaches the file soon after its answer.
        while !text().contains("Create") {
            pause();
        }
        std::fs::write(&last, text().replace("Create", "Get")).unwrap();
        assert_eq!(verify().status.code(), Some(11));
    }
}

/// A batch that happens as a whole and changes nothing: each of its items is decided when it is done,
/// not when the first was.
#[test]
fn a_withdrawal_ends_what_a_running_batch_may_do() {
    for kind in KINDS {
        let database = database(kind);
        let issuer = Issuer::with_keys(vec![Key::new("first", Algorithm::Es256)]);
        let server = on(kind, database.url())
            .environment("KMS_DELEGATED_AUTHORITY_DOMAIN", issuer.url())
            .environment("KMS_JWT_AUDIENCE", issuer::AUDIENCE)
            .start();
        let (ann, bob) = (issuer.bearer("ann@example.com"), issuer.bearer("bob@example.com"));
        let send = |who: &str, path: &str, body: &Value| {
            let headers = [("content-type", "application/json"), ("authorization", who)];
            server.connect().request("POST", path, &headers, body.to_string().as_bytes())
        };
        assert_eq!(send(&ann, "/kmip/2_1", &new_key("key")).status, 200);
        let access = json!({"unique_identifier": "key", "user_id": "bob@example.com",
            "operation_types": ["Encrypt"]});
        // Each Locate that finds nothing takes two milliseconds.
        let batch = undone_together(&use_of("key"), &locate_nothing(), 300);
        let failed_at = (0..10).find_map(|_| {
            assert_eq!(send(&ann, "/access/grant", &access).status, 200);
            std::thread::scope(|scope| {
                let batch = scope.spawn(|| send(&bob, "/kmip", &batch));
                pause();
                pause();
                assert_eq!(send(&ann, "/access/revoke", &access).status, 200);
                assert!(!batch.is_finished(), "the batch was over before the withdrawal");
                let text = batch.join().unwrap().text();
                let failed = text.matches("\"OperationFailed\"").count();
                assert_eq!(failed, 1, "{kind:?}: it was not refused");
                // Where it was refused at once, it came after the withdrawal.
                Some(text.matches("\"OperationUndone\"").count()).filter(|undone| *undone > 0)
            })
        });
        assert_eq!(failed_at, Some(301), "{kind:?}");
    }
}

fn locate_nothing() -> Value {
    json!({"tag": "Locate", "value": [{"tag": "Attributes", "value": [
        {"tag": "ObjectType", "type": "Enumeration", "value": "Certificate"},
    ]}]})
}

/// A batch with Undo: one request, another many times, and the first again.
fn undone_together(first: &Value, between: &Value, count: usize) -> Value {
    let integer = |tag: &str, value: usize| json!({"tag": tag, "type": "Integer", "value": value});
    let items = [first].into_iter().chain(std::iter::repeat_n(between, count)).chain([first]);
    let items = items.enumerate().map(|(number, item)| {
        json!({"tag": "BatchItem", "value": [
            {"tag": "Operation", "type": "Enumeration", "value": item["tag"]},
            {"tag": "UniqueBatchItemID", "type": "ByteString", "value": format!("{number:04x}")},
            {"tag": "RequestPayload", "value": item["value"]},
        ]})
    });
    let header = json!({"tag": "RequestHeader", "value": [
        {"tag": "ProtocolVersion", "value": [
            integer("ProtocolVersionMajor", 2),
            integer("ProtocolVersionMinor", 1),
        ]},
        {"tag": "BatchErrorContinuationOption", "type": "Enumeration", "value": "Undo"},
        integer("BatchCount", count + 2),
    ]});
    let all: Vec<_> = [header].into_iter().chain(items).collect();
    json!({"tag": "RequestMessage", "value": all})
}

#[test]
fn no_password_is_shown() {
    for kind in KINDS {
        let database = database(kind);
        let secret = "kms:kms@";
        assert!(database.url().contains(secret));
        let server = on(kind, database.url()).environment("KMS_LOG", "trace").start();
        let mut connection = server.connect();
        create(&mut connection, "a");
        let metrics = connection.get("/metrics").text();
        let health = connection.get("/health").text();
        let info = connection.get("/server-info").text();
        for shown in [server.log(), server.report(), metrics, health, info] {
            assert!(!shown.contains(secret) && !shown.contains("kms:kms"), "{shown}");
        }
        assert!(server.report().contains("://kms@127.0.0.1:"), "{}", server.report());
        let wrong = on(kind, database.url().replace("kms:kms@", "kms:secret-word/x@"));
        let ended = wrong.try_start().unwrap_err();
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        assert!(!ended.stderr.contains("secret-word"), "{}", ended.stderr);
        assert!(ended.stderr.contains("%2F"), "{}", ended.stderr);
        let refused = on(kind, database.url().replace("kms:kms@", "kms:secret-word@"));
        let ended = refused.try_start().unwrap_err();
        assert_eq!(ended.status.code(), Some(3), "{ended:?}");
        assert!(!ended.stderr.contains("secret-word"), "{}", ended.stderr);
        assert!(ended.stderr.contains("does not let the user kms in"), "{}", ended.stderr);
    }
}

#[test]
fn one_database_is_named_and_no_more() {
    let builder = super::builder()
        .environment("KMS_POSTGRES_URL", "postgresql://u:secret-word@h/d")
        .environment("KMS_MYSQL_URL", "mysql://u:secret-word@h/d");
    let ended = builder.run();
    assert_eq!(ended.status.code(), Some(2));
    assert!(ended.stderr.contains("are both set") && !ended.stderr.contains("secret-word"));
    let ended = super::builder().environment("KMS_MYSQL_URL", "postgres://u:secret-word@h/d").run();
    assert_eq!(ended.status.code(), Some(2));
    assert!(ended.stderr.contains("(not shown)") && !ended.stderr.contains("secret-word"));
}

#[test]
fn migrate_tells_and_makes_what_is_missing() {
    let in_directory = tempfile::tempdir().unwrap();
    let databases: Vec<_> = KINDS.map(database).into_iter().collect();
    let mut places: Vec<(&str, String)> =
        databases.iter().map(|it| (variable(it.kind()), it.url())).collect();
    places.push(("KMS_ROOT_DIR", in_directory.path().display().to_string()));
    for (name, value) in places {
        let migrate = |arguments: &[&str]| {
            let builder = super::builder().environment(name, &value).argument("migrate");
            arguments.iter().fold(builder, |it, argument| it.argument(*argument)).run()
        };
        let missing = migrate(&["--check"]);
        assert_eq!(missing.status.code(), Some(1), "{missing:?}");
        assert!(missing.stderr.contains("missing: 0001-objects"), "{missing:?}");
        assert_eq!(migrate(&["--check"]).status.code(), Some(1), "it was changed");
        let made = migrate(&[]);
        assert_eq!(made.status.code(), Some(0), "{made:?}");
        let current = migrate(&["--check"]);
        assert_eq!(current.status.code(), Some(0), "{current:?}");
        assert!(current.stderr.contains("up to date"), "{current:?}");
        assert_eq!(migrate(&["--check=no"]).status.code(), Some(2));
    }
}

/// The database dies under a server, and comes back: callers are told, `/health` tells the truth,
/// and within two seconds all is as before.
#[test]
fn a_server_outlives_its_database() {
    for kind in KINDS {
        let instance = Instance::start(kind);
        let server = on(kind, instance.url()).start();
        let mut connection = server.connect();
        assert_eq!(create(&mut connection, "a").status, 200);
        instance.kill();
        let refused = encrypt(&mut connection, "a");
        assert_ne!(refused.status, 200, "{kind:?}");
        assert!(refused.text().contains("try again"), "{kind:?}: {}", refused.text());
        let health = connection.get("/health");
        assert_eq!((health.status, &health.json()["status"]), (503, &json!("DOWN")), "{kind:?}");
        instance.resume();
        let back = Instant::now();
        while encrypt(&mut connection, "a").status != 200 {
            assert!(back.elapsed() < Duration::from_secs(2), "{kind:?}: {}", server.log());
            pause();
        }
        while connection.get("/health").status != 200 {
            assert!(back.elapsed() < Duration::from_secs(2), "{kind:?}");
            pause();
        }
    }
}
