//! Starts that are refused, and ends: in order, at once, by force.

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use kms_testkit::server::{Server, pause};
use serde_json::json;

use super::{assert_answers, builder, in_directories, server, wait_for_warning};

#[test]
fn help_and_version_end_well() {
    let help = builder().argument("--help").run();
    assert_eq!(help.status.code(), Some(0));
    for text in ["--hostname", "KMS_PORT", "0.0.0.0", "9998", "/tmp", ".env"] {
        assert!(help.stdout.contains(text), "{text}");
    }
    let version = builder().argument("--version").run();
    assert_eq!(version.status.code(), Some(0));
    assert!(version.stdout.contains("build: dev\n"), "{}", version.stdout);
}

#[test]
fn the_report_tells_what_an_operator_should_know() {
    let server = server();
    let report = server.report();
    let database = server.directory().join("kms.db").display().to_string();
    let database = if in_directories() { database } else { "://kms@127.0.0.1:".to_owned() };
    for text in [
        "dev build",
        &server.url(),
        &database,
        "`admin`",
        "no authentication",
        "in the clear",
        "try next",
    ] {
        assert!(report.contains(text), "{text} not in\n{report}");
    }
    wait_for_warning(&server);
    assert_eq!(server.log().matches("keys rest unprotected").count(), 1, "{}", server.log());
}

#[test]
fn wrong_options_are_all_named_and_nothing_is_touched() {
    let refused = builder()
        .argument("--prot=1")
        .argument("--log=loud")
        .environment("KMS_PORT", "eighty")
        .environment("KMS_HOSTNAME", "a b");
    let directory = refused.directory().to_owned();
    let ended = refused.run();
    assert_eq!(ended.status.code(), Some(2));
    for text in ["4 problems", "--port?", "--log", "KMS_PORT (environment): \"eighty\"", "\"a b\""]
    {
        assert!(ended.stderr.contains(text), "{text} not in\n{}", ended.stderr);
    }
    assert_eq!(std::fs::read_dir(directory).unwrap().count(), 0);
}

#[test]
fn options_that_cannot_be_meant_are_all_named_and_nothing_is_touched() {
    let refused = builder()
        .environment("KMS_USER_MAP", "bob@example.com=admin")
        .environment("KMS_CLIENT_CA_PATH", "/nowhere/ca.pem")
        .environment("KMS_POSTGRES_URL", "postgres://kms@localhost/kms")
        .environment("KMS_DATABASE_CA_PATH", "/nowhere/database.pem")
        .environment("KMS_PRIVILEGED_USERS", "*")
        .environment("KMS_DELEGATED_AUTHORITY_DOMAIN", "http://id.example/");
    let root = refused.directory().to_owned();
    let refused = refused.argument("--root-dir").argument(&root);
    let ended = refused.run();
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    for option in [
        "KMS_USER_MAP: ",
        "KMS_CLIENT_CA_PATH: ",
        "KMS_PRIVILEGED_USERS: ",
        "/nowhere/database.pem: ",
        "KMS_DELEGATED_AUTHORITY_DOMAIN: ",
    ] {
        assert!(ended.stderr.contains(option), "{option} not in\n{}", ended.stderr);
    }
    assert_eq!(std::fs::read_dir(root).unwrap().count(), 0);
}

#[test]
fn an_option_without_effect_is_in_the_report() {
    let server = builder().environment("KMS_JWT_AUDIENCE", "https://kms.example/").start();
    let text = "KMS_JWT_AUDIENCE has no effect: KMS_DELEGATED_AUTHORITY_DOMAIN is not set";
    assert!(server.report().contains(text), "{}", server.report());
}

#[test]
fn the_env_file_of_the_working_directory_counts() {
    let builder = builder();
    std::fs::write(builder.directory().join(".env"), "KMS_MAX_BODY_SIZE=2KiB\n").unwrap();
    let server = builder.start();
    let answer = server.connect().post("/kmip/2_1", "application/json", &[b' '; 3000]);
    assert_eq!(answer.status, 413);
}

#[test]
fn an_address_that_is_taken_ends_with_2() {
    let first = server();
    let ended = builder().argument(format!("--port={}", first.address().port())).run();
    // Given twice: the builder's `run` adds nothing, so this is the only port.
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
    let ended = builder()
        .argument("--hostname=127.0.0.1")
        .argument(format!("--port={}", first.address().port()))
        .environment("KMS_ROOT_DIR", tempfile::tempdir().unwrap().keep())
        .run();
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("another program listens there"), "{}", ended.stderr);
}

#[test]
fn a_directory_that_is_not_there_ends_with_3() {
    if !in_directories() {
        return;
    }
    let ended = builder().argument("--root-dir=/no/such/directory").argument("--port=0").run();
    assert_eq!(ended.status.code(), Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("/no/such/directory"), "{}", ended.stderr);
}

#[test]
fn a_second_server_on_the_same_database_ends_with_6() {
    if !in_directories() {
        return;
    }
    let first = server();
    let ended = builder().directory_of(&first).try_start().unwrap_err();
    assert_eq!(ended.status.code(), Some(6), "{}", ended.stderr);
    assert!(ended.stderr.contains("another server is using it"), "{}", ended.stderr);
    assert_answers(&first);
}

#[test]
fn a_stop_in_order_ends_with_0_and_lets_the_database_go() {
    let mut server = server();
    let mut idle = server.connect();
    assert_eq!(idle.get("/version").status, 200);
    let _fresh = server.connect();
    let begun = Instant::now();
    server.terminate();
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    // Its last words may still be on their way.
    for _ in 0..250 {
        if server.log().contains("stopped") {
            break;
        }
        pause();
    }
    assert!(server.log().contains("stopped"), "{}", server.log());
    let again = builder().directory_of(&server).start();
    assert_answers(&again);
}

/// Key pairs that take long enough to be running when a signal comes.
fn begin_slow_work(server: &Server) -> kms_testkit::http::Connection {
    let mut connection = server.connect();
    let request = json!({"tag": "CreateKeyPair", "value": [{"tag": "CommonAttributes", "value": [
        {"tag": "CryptographicAlgorithm", "type": "Enumeration", "value": "RSA"},
        {"tag": "CryptographicLength", "type": "Integer", "value": 4096},
        {"tag": "CryptographicUsageMask", "type": "Integer", "value": 3},
    ]}]});
    let headers = [("content-type", "application/json")];
    connection.begin("POST", "/kmip/2_1", &headers, request.to_string().as_bytes());
    connection
}

#[test]
fn running_requests_end_before_the_server_does() {
    let mut server = server();
    let mut running = begin_slow_work(&server);
    for _ in 0..5 {
        pause();
    }
    server.signal(rustix::process::Signal::INT);
    let answer = running.answer().expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    let again = builder().directory_of(&server).start();
    assert_eq!(again.connect().get("/objects/owned").json().as_array().unwrap().len(), 2);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut server = server();
    // More than can be made in the time of this test.
    let running: Vec<_> = (0..40).map(|_| begin_slow_work(&server)).collect();
    for _ in 0..5 {
        pause();
    }
    server.terminate();
    for _ in 0..5 {
        pause();
    }
    let begun = Instant::now();
    server.terminate();
    let status = server.wait();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(status.code(), Some(1), "{}", server.log());
    drop(running);
    assert_answers(&builder().directory_of(&server).start());
}

#[test]
fn what_does_not_end_in_time_is_cut_off() {
    let mut server = builder().argument("--stop-timeout=1s").start();
    let _running: Vec<_> = (0..40).map(|_| begin_slow_work(&server)).collect();
    for _ in 0..5 {
        pause();
    }
    let begun = Instant::now();
    server.terminate();
    assert_eq!(server.wait().code(), Some(1), "{}", server.log());
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn what_was_answered_survives_a_kill() {
    let mut server = server();
    let mut connection = server.connect();
    let answer = connection.operation(&json!({"tag": "Create", "value": [
        {"tag": "ObjectType", "type": "Enumeration", "value": "SymmetricKey"},
        {"tag": "Attributes", "value": [
            {"tag": "CryptographicAlgorithm", "type": "Enumeration", "value": "AES"},
            {"tag": "CryptographicLength", "type": "Integer", "value": 256},
            {"tag": "CryptographicUsageMask", "type": "Integer", "value": 12},
            {"tag": "UniqueIdentifier", "type": "TextString", "value": "kept"},
        ]},
    ]}));
    assert_eq!(answer.status, 200, "{}", answer.text());
    server.kill();
    assert_eq!(server.wait().signal(), Some(9));
    let again = server.restart();
    assert_eq!(
        again.connect().get("/objects/owned").json(),
        json!([{"object_id": "kept", "state": "PreActive"}])
    );
}
