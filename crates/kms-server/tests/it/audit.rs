//! The audit log of a real server: what it says, how it is checked, and what happens to it when the
//! server is killed, the disk is full or somebody writes to it.

use std::path::PathBuf;

use kms_testkit::http::Answer;
use kms_testkit::issuer::{self, Algorithm, Issuer, Key};
use kms_testkit::server::{Builder, Ended, Server, pause};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};

use super::builder;

const PLAINTEXT: &str = "6120706C61696E74657874206F66203136";

fn attribute(tag: &str, kind: &str, value: impl Into<Value>) -> Value {
    json!({"tag": tag, "type": kind, "value": value.into()})
}

fn create() -> Value {
    json!({"tag": "Create", "value": [
        attribute("ObjectType", "Enumeration", "SymmetricKey"),
        {"tag": "Attributes", "value": [
            attribute("ActivationDate", "DateTime", "2024-01-01T00:00:00Z"),
            attribute("CryptographicAlgorithm", "Enumeration", "AES"),
            attribute("CryptographicLength", "Integer", 256),
            attribute("CryptographicUsageMask", "Integer", 12),
        ]},
    ]})
}

fn about(operation: &str, id: &str) -> Value {
    json!({"tag": operation, "value": [attribute("UniqueIdentifier", "TextString", id)]})
}

fn encrypt(id: &str) -> Value {
    let mut request = about("Encrypt", id);
    let data = attribute("Data", "ByteString", PLAINTEXT);
    request["value"].as_array_mut().unwrap().push(data);
    request
}

/// The value of an item of an answer.
fn item(answer: &Answer, tag: &str) -> String {
    let text = answer.text();
    let found = text.split_once(&format!("\"{tag}\"")).and_then(|(_, rest)| {
        Some(rest.split_once("\"value\"")?.1.split_once('"')?.1.split_once('"')?.0.to_owned())
    });
    found.unwrap_or_else(|| panic!("no {tag}: {text}"))
}

fn make_key(server: &Server) -> String {
    let answer = server.connect().operation(&create());
    assert_eq!(answer.status, 200, "{}", answer.text());
    item(&answer, "UniqueIdentifier")
}

fn files(server: &Server) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(server.directory().join("audit")).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn text(server: &Server) -> String {
    let mut all = String::new();
    for file in files(server) {
        all.push_str(&std::fs::read_to_string(file).unwrap());
    }
    all
}

fn records(server: &Server) -> Vec<Value> {
    text(server).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// `audit verify` beside the server.
fn verify(server: &Server, more: &[&str]) -> Ended {
    let mut command = builder().argument("audit").argument("verify").argument("--root-dir");
    command = command.argument(server.directory());
    for argument in more {
        command = command.argument(*argument);
    }
    command.run()
}

fn is_sound(server: &Server, more: &[&str]) -> String {
    let ended = verify(server, more);
    assert_eq!(ended.status.code(), Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("The audit log is sound"), "{}", ended.stdout);
    ended.stdout
}

fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    for _ in 0..500 {
        if is() {
            return;
        }
        pause();
    }
    panic!("{what}");
}

#[test]
fn a_conversation_is_recorded_and_nothing_secret_of_it() {
    let issuer = Issuer::with_keys(vec![Key::new("first", Algorithm::Es256)]);
    let server = builder()
        .environment("KMS_DELEGATED_AUTHORITY_DOMAIN", issuer.url())
        .environment("KMS_JWT_AUDIENCE", issuer::AUDIENCE)
        .start();
    let (alice, bob) = (issuer.token("alice@example.com"), issuer.token("bob@example.com"));
    let ask = |token: &str, method: &str, path: &str, body: &Value| {
        let bearer = format!("Bearer {token}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("x-request-id", "call-1"),
        ];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        server.connect().request(method, path, &headers, body.as_bytes())
    };
    let kmip = |token: &str, body: &Value| ask(token, "POST", "/kmip/2_1", body);
    let created = kmip(&alice, &create());
    assert_eq!(created.status, 200, "{}", created.text());
    let id = item(&created, "UniqueIdentifier");
    let got = kmip(&alice, &about("Get", &id));
    let key = item(&got, "KeyMaterial");
    assert_eq!(kmip(&alice, &encrypt(&id)).status, 200);
    assert_eq!(kmip(&bob, &about("Get", &id)).status, 422);
    let grant = json!({"user_id": "bob@example.com", "operation_type": "Get"});
    assert_eq!(ask(&alice, "POST", &format!("/accesses/{id}"), &grant).status, 200);
    assert_eq!(ask(&bob, "GET", "/objects/shared", &Value::Null).status, 200);
    assert_eq!(ask("nonsense.token.of-nobody", "GET", "/me", &Value::Null).status, 401);
    let lines = records(&server);
    let seen: Vec<String> = lines
        .iter()
        .map(|it| {
            let text = |name: &str| it[name].as_str().unwrap_or("-").to_owned();
            let object = text("object").replace(&id, "KEY");
            let peer = it["peer"].as_str().is_some_and(|peer| peer.starts_with("127.0.0.1:"));
            let what = if it["log"].is_null() { text("operation") } else { text("log") };
            let request = text("request");
            let (user, scheme, result) = (text("user"), text("scheme"), text("result"));
            format!("{request} {user} {scheme} {peer} {what} {object} {result}")
        })
        .collect();
    assert_eq!(
        seen,
        [
            "- - - false Start - -",
            "call-1 alice@example.com bearer true Create KEY Success",
            "call-1 alice@example.com bearer true Get KEY Success",
            "call-1 alice@example.com bearer true Encrypt KEY Success",
            "call-1 bob@example.com bearer true Get KEY ObjectNotFound",
            "call-1 alice@example.com bearer true Grant KEY Success",
            "call-1 bob@example.com bearer true ListObtained - Success",
            "call-1 - - true Authenticate - AuthenticationNotSuccessful",
        ]
    );
    assert_eq!(lines[5]["for"], "bob@example.com");
    assert_eq!(lines[5]["detail"], "Get");
    is_sound(&server, &[]);
    let log = text(&server).to_uppercase();
    let parts = [&alice, &bob].into_iter().flat_map(|token| token.split('.'));
    for secret in parts.chain([key.as_str(), PLAINTEXT, "nonsense", "of-nobody"]) {
        assert!(secret.len() >= 8 && !log.contains(&secret.to_uppercase()), "{secret}");
    }
}

#[test]
fn requests_that_are_refused_unread_are_recorded_too() {
    let server = builder().start();
    let mut connection = server.connect();
    let bare = json!({"tag": "Encrypt", "value": [attribute("Data", "Integer", 1)]}).to_string();
    let many = message(&vec![json!({"tag": "Query", "value": []}); 1001]).to_string();
    let grant = |more: &str| format!("{{\"user_id\":\"bob@example.com\",{more}}}");
    let sign = grant("\"operation_type\":\"Sign\"");
    let never = grant("\"operation_type\":\"Get\",\"expires\":\"never\"");
    let ended = grant("\"operation_types\":[\"Get\"],\"expires\":4102444800");
    for (method, path, body, says) in [
        ("POST", "/kmip/2_1", "no JSON", "Request - InvalidMessage"),
        ("POST", "/kmip/2_1", r#"{"tag":"Sing","value":[]}"#, "Request - InvalidMessage"),
        ("POST", "/kmip/2_1", &bare, "Encrypt - InvalidMessage"),
        ("POST", "/kmip", "no JSON", "Request - InvalidMessage"),
        ("POST", "/kmip", r#"{"tag":"Query","value":[]}"#, "Request - InvalidMessage"),
        ("POST", "/kmip", &message(&[]).to_string(), "Request - InvalidMessage"),
        ("POST", "/kmip", &many, "Request - InvalidMessage"),
        ("POST", "/accesses/key", &sign, "Grant key InvalidField"),
        ("POST", "/accesses/key", &never, "Grant key InvalidField"),
        ("DELETE", "/accesses/key", "{}", "Withdraw key InvalidField"),
        ("POST", "/access/revoke", &ended, "Withdraw - InvalidField"),
    ] {
        let before = records(&server).len();
        let headers = [("content-type", "application/json")];
        let answer = connection.request(method, path, &headers, body.as_bytes()).text();
        let new = records(&server).split_off(before);
        let [record] = new.as_slice() else { panic!("{path} {body}: {new:?}\n{answer}") };
        let text = |name: &str| record[name].as_str().unwrap_or("-");
        let found = format!("{} {} {}", text("operation"), text("object"), text("result"));
        assert_eq!(found, says, "{path} {body}: {answer}");
        assert_eq!(text("user"), "admin");
    }
    // Where that cannot be recorded, the answer says so.
    let length = files(&server).remove(0).metadata().unwrap().len();
    limit_files(&server, Some(length + 10));
    for path in ["/kmip/2_1", "/kmip", "/accesses/key"] {
        let headers = [("content-type", "application/json")];
        let text = connection.request("POST", path, &headers, b"no JSON").text();
        assert!(text.contains("the audit log cannot be written"), "{path}: {text}");
    }
}

#[test]
fn the_log_goes_on_over_stops_and_kills() {
    let mut server = builder().start();
    let id = make_key(&server);
    server.terminate();
    assert!(server.wait().success());
    let text = is_sound(&server, &[]);
    assert!(!text.contains("note") && !text.contains("lost"), "{text}");
    let mut server = server.restart();
    for _ in 0..50 {
        assert_eq!(server.connect().operation(&encrypt(&id)).status, 200);
        make_key(&server);
    }
    server.kill();
    assert!(is_sound(&server, &[]).contains("epoch 2 is open after record"));
    let server = server.restart();
    assert_eq!(server.connect().operation(&encrypt(&id)).status, 200);
    let text = is_sound(&server, &[]);
    assert!(text.contains("lost tail: epoch 2 was not ended in order"), "{text}");
    // What was answered is there, and once: the uses too, since only the server was killed.
    let records = records(&server);
    let count = |operation| records.iter().filter(|it| it["operation"] == operation).count();
    assert_eq!((count("Encrypt"), count("Create")), (51, 51));
}

#[test]
fn a_record_that_was_changed_is_named() {
    let server = builder().start();
    let id = make_key(&server);
    for _ in 0..5 {
        server.connect().operation(&encrypt(&id));
    }
    is_sound(&server, &[]);
    let file = files(&server).remove(0);
    let changed = std::fs::read_to_string(&file).unwrap().replacen("Encrypt", "Decrypt", 1);
    std::fs::write(&file, changed).unwrap();
    let ended = verify(&server, &[]);
    assert_eq!(ended.status.code(), Some(11), "{}{}", ended.stdout, ended.stderr);
    let name = file.file_name().unwrap().to_str().unwrap();
    let expected = format!("{name}, line 3: record 3 was changed");
    assert!(ended.stdout.contains(&expected), "{}", ended.stdout);
    // It says so after further starts, too.
    let server = server.restart();
    assert!(verify(&server, &[]).stdout.contains(&expected));
}

#[test]
fn an_end_that_was_cut_off_is_no_lost_tail() {
    let mut server = builder().start();
    make_key(&server);
    server.terminate();
    assert!(server.wait().success());
    let file = files(&server).remove(0);
    let text = std::fs::read_to_string(&file).unwrap();
    let kept: String = text.split_inclusive('\n').take(2).collect();
    std::fs::write(&file, kept).unwrap();
    let cut = |server: &Server| {
        let ended = verify(server, &[]);
        assert_eq!(ended.status.code(), Some(11), "{}", ended.stdout);
        assert!(ended.stdout.contains("cut off: records 3 to 3"), "{}", ended.stdout);
    };
    cut(&server);
    // A start does not make it good.
    let server = server.restart();
    cut(&server);
    assert!(server.log().contains("the end of the audit log is missing"), "{}", server.log());
}

/// Lets files of the server have so many bytes at most, as a full disk would.
fn limit_files(server: &Server, bytes: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(server.process()).unwrap());
    let limit = Rlimit { current: bytes, maximum: None };
    prlimit(pid, Resource::Fsize, limit).unwrap();
}

#[test]
fn a_full_disk_refuses_requests_until_there_is_room() {
    let server = builder().start();
    let id = make_key(&server);
    let mut connection = server.connect();
    assert_eq!(connection.operation(&encrypt(&id)).status, 200);
    let length = files(&server).remove(0).metadata().unwrap().len();
    // In the middle of the third line from here.
    limit_files(&server, Some(length + 700));
    let mut answered = 0;
    let refused = loop {
        let answer = connection.operation(&encrypt(&id));
        if answer.status != 200 {
            break answer;
        }
        answered += 1;
        assert!(answered < 10);
    };
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("the audit log cannot be written"), "{}", refused.text());
    assert!(!refused.text().contains("IVCounterNonce"));
    for request in [create(), about("Get", &id), about("Destroy", &id)] {
        let answer = connection.operation(&request);
        assert_eq!(answer.status, 503, "{}", answer.text());
    }
    assert_eq!(connection.get("/objects/owned").status, 503);
    let health = connection.get("/health");
    assert_eq!(health.status, 503);
    let audit = &health.json()["dependencies"]["audit"];
    assert_eq!(audit["status"], "DOWN");
    assert!(audit["reason"].as_str().unwrap().contains("File too large"), "{audit}");
    limit_files(&server, None);
    eventually("still refused", || connection.get("/health").status == 200);
    assert_eq!(connection.operation(&encrypt(&id)).status, 200);
    assert_eq!(connection.operation(&about("Get", &id)).status, 200);
    // What could not be written for a while is not lost.
    is_sound(&server, &[]);
}

/// A whole message with these items.
fn message(items: &[Value]) -> Value {
    let header = json!({"tag": "RequestHeader", "value": [
        {"tag": "ProtocolVersion", "value": [
            attribute("ProtocolVersionMajor", "Integer", 2),
            attribute("ProtocolVersionMinor", "Integer", 1),
        ]},
        attribute("BatchCount", "Integer", items.len()),
    ]});
    let mut all = vec![header];
    for (number, item) in items.iter().enumerate() {
        all.push(json!({"tag": "BatchItem", "value": [
            attribute("Operation", "Enumeration", item["tag"].clone()),
            attribute("UniqueBatchItemID", "ByteString", format!("0{number}")),
            {"tag": "RequestPayload", "value": item["value"].clone()},
        ]}));
    }
    json!({"tag": "RequestMessage", "value": all})
}

#[test]
fn an_answer_whose_record_cannot_be_written_is_withheld() {
    let server = builder().start();
    let id = make_key(&server);
    let request = message(&[about("Get", &id), about("GetAttributes", &id)]);
    // The first Get of a key is a change; later ones are uses alone.
    assert_eq!(server.connect().post_json("/kmip", &request).status, 200);
    let length = files(&server).remove(0).metadata().unwrap().len();
    limit_files(&server, Some(length + 100));
    // The log was fine when the request was begun.
    let answer = server.connect().post_json("/kmip", &request);
    let text = answer.text();
    assert_eq!(text.matches("OperationFailed").count(), 2, "{text}");
    assert_eq!(text.matches("the audit log cannot be written").count(), 2, "{text}");
    assert!(!text.contains("CryptographicLength") && !text.contains("KeyMaterial"), "{text}");
    limit_files(&server, None);
    eventually("still refused", || server.connect().get("/health").status == 200);
    let answer = server.connect().post_json("/kmip", &request).text();
    assert!(answer.contains("CryptographicLength") && answer.contains("KeyMaterial"), "{answer}");
    is_sound(&server, &[]);
}

#[test]
fn the_log_can_be_kept_in_the_database() {
    let options = ["--audit", "database"];
    let mut server = options.iter().fold(builder(), |it, option| it.argument(*option)).start();
    let id = make_key(&server);
    assert_eq!(server.connect().operation(&encrypt(&id)).status, 200);
    assert!(server.report().contains("the database, table audit_log"), "{}", server.report());
    assert!(!server.directory().join("audit").exists());
    assert!(is_sound(&server, &options).contains("3 records"));
    server.kill();
    let server = server.restart();
    let text = is_sound(&server, &options);
    assert!(text.contains("4 records") && text.contains("lost tail"), "{text}");
}

#[test]
fn each_use_can_wait_for_the_disk_and_files_can_be_small() {
    let server = builder()
        .environment("KMS_AUDIT_SYNC", "each")
        .environment("KMS_AUDIT_FILE_SIZE", "1KiB")
        .environment("KMS_AUDIT_PATH", "elsewhere")
        .start();
    let id = make_key(&server);
    for _ in 0..20 {
        assert_eq!(server.connect().operation(&encrypt(&id)).status, 200);
    }
    let directory = server.directory().join("elsewhere");
    assert!(std::fs::read_dir(&directory).unwrap().count() > 3);
    let path = directory.to_str().unwrap();
    let text = is_sound(&server, &["--audit-path", path]);
    let mut files: Vec<_> =
        std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(text.contains(&format!("in {} parts", files.len())), "{text}");
    // Older files may be put away by those who say so.
    std::fs::remove_file(&files[0]).unwrap();
    assert_eq!(verify(&server, &["--audit-path", path]).status.code(), Some(11));
    let first = std::fs::read_to_string(&files[1]).unwrap();
    let first: Value = serde_json::from_str(first.lines().next().unwrap()).unwrap();
    let text = is_sound(&server, &["--audit-path", path, "--from", &first["seq"].to_string()]);
    assert!(text.contains(&format!("in {} parts", files.len() - 1)), "{text}");
}

#[test]
fn a_log_that_cannot_be_kept_ends_the_start() {
    let refused = |builder: Builder| builder.try_start().err().unwrap();
    let builder = builder();
    std::fs::write(builder.directory().join("audit"), "in the way").unwrap();
    let ended = refused(builder);
    assert_eq!(ended.status.code(), Some(10), "{}", ended.stderr);
    assert!(ended.stderr.contains("it is not a directory"), "{}", ended.stderr);
}

#[test]
fn without_a_log_the_dev_build_says_so() {
    let server = builder().environment("KMS_AUDIT", "off").start();
    make_key(&server);
    assert!(server.report().contains("off: nothing that is decided is recorded"));
    assert!(!server.directory().join("audit").exists());
    let health = server.connect().get("/health").json();
    assert_eq!(health["dependencies"]["audit"]["status"], "OFF");
    let ended = verify(&server, &["--audit", "off"]);
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
}
