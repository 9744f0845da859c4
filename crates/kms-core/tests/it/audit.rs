//! What is recorded, where it is kept until it is on the disk, and what happens when it cannot be.

use kmip::enumerations::{BatchErrorContinuationOption, Operation, ResultReason, ResultStatus};
use kmip::message::{RequestHeader, RequestItem, RequestMessage};
use kmip::operation::{
    DestroyRequest, EncryptRequest, GetRequest, LocateRequest, QueryRequest, Request,
};
use kmip::wire::Bytes;
use kms_audit::{Note, What};
use kms_core::{
    ApiTokens, AuditKept, AuditOptions, AuditPlace, Caller, Permission, Principal, RequestId, Vault,
};
use kms_store::{Config, Store};
use serde_json::{Value, json};

use super::{START, World, create};

const PLAINTEXT: &[u8] = b"a plaintext of 32 bytes, for all";

fn options(world: &World, place: &str) -> AuditOptions {
    let kept = match place {
        "file" => AuditKept::Files(world.directory.path().join("audit")),
        _ => AuditKept::Database,
    };
    let place = AuditPlace { kept, server: None };
    AuditOptions { place, each: false, file_size: 1 << 20 }
}

async fn audited(place: &str) -> World {
    let mut world = World::new().await;
    open(&mut world, place).await;
    world
}

async fn open(world: &mut World, place: &str) {
    let options = options(world, place);
    world.service.open_audit(&options).await.unwrap();
}

/// Every record of the files, in order.
fn records(world: &World) -> Vec<Value> {
    let mut names: Vec<_> = std::fs::read_dir(world.directory.path().join("audit"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    let text: Vec<_> = names.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    // A crash may leave part of a line.
    let lines = text.iter().flat_map(|text| text.lines()).filter(|line| line.ends_with('}'));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Records without what differs from run to run.
fn plain(mut record: Value) -> Value {
    let members = record.as_object_mut().unwrap();
    for name in ["mac", "seq", "change", "time", "epoch", "previous", "head"] {
        members.remove(name);
    }
    record
}

fn get(id: &str) -> Request {
    Request::Get(GetRequest { unique_identifier: Some(id.into()), ..GetRequest::default() })
}

fn encrypt(id: &str) -> Request {
    Request::Encrypt(EncryptRequest {
        unique_identifier: Some(id.into()),
        data: Some(Bytes(PLAINTEXT.to_vec())),
        ..EncryptRequest::default()
    })
}

fn destroy(id: &str) -> Request {
    Request::Destroy(DestroyRequest {
        unique_identifier: Some(id.into()),
        ..DestroyRequest::default()
    })
}

/// What a check says of the log, beside the service.
async fn verify(world: &World, place: &str) -> kms_audit::Verdict {
    let config = Config::directory(world.directory.path()).beside();
    let store = Store::open(config).await.unwrap();
    let vault = Vault::open(&store, &kms_seal::Clear).await.unwrap();
    let place = options(world, place).place;
    kms_core::verify_audit(&store, &vault, &place, None).await.unwrap().verdict
}

fn rows(world: &World) -> i64 {
    let path = world.directory.path().join("kms.db");
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.query_row("SELECT count(*) FROM audit_changes", [], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_decision_is_one_record() {
    let world = audited("file").await;
    let ann = Principal::by("bearer", "ann@example.com");
    let caller = Caller {
        principal: &ann,
        peer: Some("192.0.2.7:4711".parse().unwrap()),
        request: RequestId::Given("r-1"),
    };
    world.service.perform(caller, create("key", true)).await.unwrap();
    world.service.perform(caller, encrypt("key")).await.unwrap();
    let made = Caller { request: RequestId::Made { process: 0xAB, number: 7 }, ..caller };
    world.service.perform(made, get("no such \"key\"\n")).await.unwrap_err();
    world.service.perform(&ann, Request::Locate(LocateRequest::default())).await.unwrap();
    world.service.perform(&ann, Request::Query(QueryRequest::default())).await.unwrap();
    let bob = Principal::new("bob");
    world.service.perform(&bob, get("key")).await.unwrap_err();
    world.service.perform(&bob, destroy("key")).await.unwrap_err();
    let get_it = [Permission::Get, Permission::Encrypt];
    world.service.grant(caller, Some("key"), "bob", &get_it).await.unwrap();
    world.service.grant(caller, Some("key"), "bob", &get_it).await.unwrap();
    world.service.withdraw(caller, Some("key"), "bob", &[Permission::Get]).await.unwrap();
    world.service.grant(&bob, Some("key"), "eve", &get_it).await.unwrap_err();
    world.service.accesses(&ann, "key").await.unwrap();
    world.service.accesses(&bob, "key").await.unwrap_err();
    let peer = "[2001:db8::9]:1".parse().ok();
    world.service.record_refused(peer, RequestId::Given("r-2"), "expired").await;
    world.service.close_audit().await.unwrap();
    let records = records(&world);
    assert_eq!(records[0]["time"], "2023-11-14T22:13:20.000Z");
    assert_eq!(records.into_iter().map(plain).collect::<Vec<_>>(), conversation());
    assert_eq!(verify(&world, "file").await.unwrap().notes, []);
}

/// The records of the conversation above.
fn conversation() -> Vec<Value> {
    let by_ann = json!({"user": "ann@example.com", "scheme": "bearer", "result": "Success"});
    let with = |base: &Value, more: Value| {
        let mut record = base.clone();
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        record
    };
    let from = with(&by_ann, json!({"request": "r-1", "peer": "192.0.2.7:4711"}));
    let by_bob = json!({"user": "bob", "scheme": "none", "result": "ObjectNotFound"});
    let granted = json!({"operation": "Grant", "object": "key", "for": "bob",
        "detail": "Get, Encrypt"});
    vec![
        json!({"log": "Start"}),
        with(&from, json!({"operation": "Create", "object": "key"})),
        with(&from, json!({"operation": "Encrypt", "object": "key"})),
        with(
            &from,
            json!({"operation": "Get", "object": "no such \"key\"\n",
            "request": "00000000000000ab-7", "result": "ObjectNotFound"}),
        ),
        with(&by_ann, json!({"operation": "Locate"})),
        with(&by_ann, json!({"operation": "Query"})),
        with(&by_bob, json!({"operation": "Get", "object": "key"})),
        with(&by_bob, json!({"operation": "Destroy", "object": "key"})),
        with(&from, granted.clone()),
        with(&from, granted),
        with(
            &from,
            json!({"operation": "Withdraw", "object": "key", "for": "bob",
            "detail": "Get"}),
        ),
        with(
            &by_bob,
            json!({"operation": "Grant", "object": "key", "for": "eve",
            "detail": "Get, Encrypt"}),
        ),
        with(&by_ann, json!({"operation": "ListAccesses", "object": "key"})),
        with(&by_bob, json!({"operation": "ListAccesses", "object": "key"})),
        json!({"operation": "Authenticate", "request": "r-2", "peer": "[2001:db8::9]:1",
            "detail": "expired", "result": "AuthenticationNotSuccessful"}),
        json!({"log": "Stop"}),
    ]
}

fn message(option: Option<BatchErrorContinuationOption>, requests: Vec<Request>) -> RequestMessage {
    let mut header =
        RequestHeader::new(kmip::Version::V2_1, i32::try_from(requests.len()).unwrap());
    header.batch_error_continuation_option = option;
    RequestMessage { header, items: requests.into_iter().map(RequestItem::new).collect() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_a_record_for_each_item() {
    let world = audited("file").await;
    let ann = Principal::new("ann");
    let requests = || vec![create("a", true), encrypt("a"), get("no"), get("a")];
    let undo = Some(BatchErrorContinuationOption::Undo);
    let go_on = Some(BatchErrorContinuationOption::Continue);
    for option in [undo, None, go_on] {
        world.service.execute(&ann, message(option, requests())).await;
    }
    let all = vec![create("b", true), get("b")];
    world.service.execute(&ann, message(undo, all)).await;
    world.service.close_audit().await.unwrap();
    let seen: Vec<(String, String)> = records(&world)
        .iter()
        .filter(|record| record["log"].is_null())
        .map(|it| (it["operation"].as_str().unwrap().into(), it["result"].as_str().unwrap().into()))
        .collect();
    let expected = [
        // Undone: the one that failed, and what was taken back with it.
        ("Get", "ObjectNotFound"),
        ("Create", "Undone"),
        ("Encrypt", "Undone"),
        // Stopped.
        ("Create", "Success"),
        ("Encrypt", "Success"),
        ("Get", "ObjectNotFound"),
        // Continued.
        ("Create", "ObjectAlreadyExists"),
        ("Encrypt", "Success"),
        ("Get", "ObjectNotFound"),
        ("Get", "Success"),
        // All in one transaction.
        ("Create", "Success"),
        ("Get", "Success"),
    ];
    assert_eq!(seen, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_of_a_change_is_kept_until_it_is_on_the_disk() {
    for place in ["file", "database"] {
        let mut world = audited(place).await;
        let path = world.directory.path().join("kms.db");
        for number in 0..5 {
            world.aes("ann", &format!("key-{number}"), true).await;
        }
        assert_eq!(rows(&world), 5);
        // The service is dropped like by a crash: nothing tells the database what is in the log.
        world = world.reopen(|_| {}).await;
        assert_eq!(rows(&world), 5);
        open(&mut world, place).await;
        assert_eq!(rows(&world), 0);
        // And with a log that never got them, or some of them.
        world.aes("ann", "key-5", true).await;
        world = world.reopen(|_| {}).await;
        if place == "file" {
            // As if the machine had lost what was not flushed.
            let log = last_file(&world);
            let text = std::fs::read_to_string(&log).unwrap();
            let at = text.find("\"Create\"").unwrap();
            let begin = text.split_at(at).0.rfind('\n').unwrap();
            std::fs::write(&log, text.split_at(begin + 9).0).unwrap();
        } else {
            let connection = rusqlite::Connection::open(&path).unwrap();
            let sql = "DELETE FROM audit_log WHERE instr(line, 'key-5') > 0";
            assert_eq!(connection.execute(sql, []).unwrap(), 1);
        }
        open(&mut world, place).await;
        world.service.close_audit().await.unwrap();
        let summary = verify(&world, place).await.unwrap();
        let tails = |note: &&Note| matches!(note, Note::LostTail { .. });
        assert_eq!(summary.notes.iter().filter(tails).count(), 2, "{:?}", summary.notes);
        let mut made: Vec<String> = lines(&world, place)
            .iter()
            .filter(|record| record["operation"] == "Create")
            .map(|record| record["object"].as_str().unwrap().to_owned())
            .collect();
        made.sort();
        assert_eq!(made, ["key-0", "key-1", "key-2", "key-3", "key-4", "key-5"]);
        assert_eq!(rows(&world), 0);
    }
}

fn last_file(world: &World) -> std::path::PathBuf {
    let entries = std::fs::read_dir(world.directory.path().join("audit")).unwrap();
    entries.map(|entry| entry.unwrap().path()).max().unwrap()
}

fn lines(world: &World, place: &str) -> Vec<Value> {
    if place == "file" {
        return records(world);
    }
    let path = world.directory.path().join("kms.db");
    let connection = rusqlite::Connection::open(path).unwrap();
    let mut statement = connection.prepare("SELECT line FROM audit_log ORDER BY seq").unwrap();
    let rows = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    rows.map(|line| serde_json::from_slice(&line.unwrap()).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_go_when_the_log_is_on_the_disk() {
    let world = audited("file").await;
    world.aes("ann", "key", true).await;
    for _ in 0..500 {
        world.service.keep_audit().await.unwrap();
        if rows(&world) == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the row is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_fails_is_recorded_and_leaves_no_row() {
    let world = audited("file").await;
    world.aes("ann", "key", true).await;
    assert_eq!(world.ask("ann", create("key", true)).await, Err(ResultReason::ObjectAlreadyExists));
    assert_eq!(rows(&world), 1);
    world.service.close_audit().await.unwrap();
    assert_eq!(records(&world)[2]["result"], "ObjectAlreadyExists");
    assert_eq!(rows(&world), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_is_recorded() {
    let world = audited("file").await;
    world.aes("ann", "key", true).await;
    let kmip::operation::Response::Get(got) = world.ask("ann", get("key")).await.unwrap() else {
        panic!("not an answer to Get")
    };
    let kmip::object::KeyMaterial::Bytes(key) = got.object.key_block().unwrap().material().unwrap()
    else {
        panic!("no bytes")
    };
    let key = key.to_vec();
    world.ask("ann", encrypt("key")).await.unwrap();
    world.service.close_audit().await.unwrap();
    let log = std::fs::read(last_file(&world)).unwrap();
    let path = world.directory.path().join("kms.db-wal");
    let text = String::from_utf8(log.clone()).unwrap().to_lowercase();
    for secret in [&key[..], PLAINTEXT] {
        let hex = secret[..12].iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        assert!(!text.contains(&hex));
        for bytes in [&log, &std::fs::read(&path).unwrap()] {
            assert!(!bytes.windows(12).any(|window| window == &secret[..12]));
        }
    }
    assert!(text.contains("encrypt"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_done_that_cannot_be_recorded() {
    let world = audited("file").await;
    world.aes("ann", "key", true).await;
    let directory = world.directory.path().join("audit");
    std::fs::rename(&directory, world.directory.path().join("away")).unwrap();
    std::fs::write(&directory, "in the way").unwrap();
    let mut closed = false;
    for _ in 0..500 {
        closed = world.ask("ann", encrypt("key")).await == Err(ResultReason::GeneralFailure);
        if closed {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(closed, "the log is gone, and a key is used");
    let ann = Principal::new("ann");
    for request in [create("new", true), destroy("key"), get("key"), get("other")] {
        let error = world.service.perform(&ann, request).await.unwrap_err();
        assert!(error.message.contains("the audit log cannot be written"), "{error}");
        assert!(error.is_servers());
    }
    let batch = message(Some(BatchErrorContinuationOption::Continue), vec![get("key"), get("key")]);
    for item in world.service.execute(&ann, batch).await.items {
        assert_eq!(item.status, ResultStatus::OperationFailed);
        assert_eq!(item.operation, Some(Operation::Get));
    }
    let read = [Permission::Get];
    world.service.grant(&ann, Some("key"), "bob", &read).await.unwrap_err();
    world.service.accesses(&ann, "key").await.unwrap_err();
    assert!(world.service.audit_status().unwrap().unwrap_err().contains("cannot be written"));
    world.service.record_refused(None, RequestId::None, "still refused").await;
    std::fs::remove_file(&directory).unwrap();
    for _ in 0..500 {
        if world.service.audit_status().unwrap().is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    world.ask("ann", encrypt("key")).await.unwrap();
    assert_eq!(world.ask("ann", get("new")).await, Err(ResultReason::ObjectNotFound));
    // Whoever was turned away meanwhile was counted.
    world.service.keep_audit().await.unwrap();
    world.service.close_audit().await.unwrap();
    assert!(records(&world).iter().any(|it| it["count"] == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_callers_beyond_a_number_are_counted() {
    let world = audited("file").await;
    for _ in 0..250 {
        world.service.record_refused(None, RequestId::None, "no token").await;
    }
    world.clock.set(START + 1);
    world.service.record_refused(None, RequestId::None, "no token").await;
    world.service.close_audit().await.unwrap();
    let records = records(&world);
    assert_eq!(records.len(), 1 + 100 + 1 + 1 + 1);
    assert_eq!(records[102]["count"], 150);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_beside_the_server_is_recorded_by_it() {
    for running in [true, false] {
        let mut world = audited("file").await;
        if !running {
            world.service.close_audit().await.unwrap();
            world = world.reopen(|_| {}).await;
        }
        let config = Config::directory(world.directory.path()).beside();
        let store = Store::open(config).await.unwrap();
        let vault = Vault::open(&store, &kms_seal::Clear).await.unwrap();
        let clock = std::sync::Arc::clone(&world.clock);
        let tokens = ApiTokens::new(store, std::sync::Arc::new(vault), clock);
        let text = tokens.create("night", None, None).await.unwrap();
        tokens.revoke("night").await.unwrap();
        assert_eq!(rows(&world), 2);
        if running {
            world.service.keep_audit().await.unwrap();
            world.service.keep_audit().await.unwrap();
        } else {
            open(&mut world, "file").await;
        }
        world.service.close_audit().await.unwrap();
        let mut done: Vec<_> = records(&world)
            .into_iter()
            .filter(|record| record["log"].is_null())
            .map(|record| record["operation"].as_str().unwrap().to_owned())
            .collect();
        done.sort();
        assert_eq!(done, ["token create", "token revoke"]);
        let log = std::fs::read_to_string(last_file(&world)).unwrap();
        let text = std::str::from_utf8(text.expose()).unwrap().to_owned();
        assert!(log.contains("token:night") && !log.contains(text.split_at(24).0));
        assert_eq!(rows(&world), 0);
        verify(&world, "file").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_somebody_wrote_are_not_believed() {
    let mut world = audited("file").await;
    world.aes("ann", "key", true).await;
    world = world
        .reopen(|connection| {
            let sql = "UPDATE audit_changes SET body = \
                 CAST(replace(CAST(body AS TEXT), 'Create', 'Revoke') AS BLOB), number = 77";
            assert_eq!(connection.execute(sql, []).unwrap(), 1);
        })
        .await;
    open(&mut world, "file").await;
    world.service.close_audit().await.unwrap();
    let records = records(&world);
    let altered = records.iter().find(|record| record["operation"] == "Recover").unwrap();
    assert_eq!(altered["result"], "Altered");
    assert!(!records.iter().any(|record| record["operation"] == "Revoke"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_is_found_in_both_places() {
    for place in ["file", "database"] {
        let world = audited(place).await;
        world.aes("ann", "key", true).await;
        for _ in 0..10 {
            world.ask("ann", encrypt("key")).await.unwrap();
        }
        world.service.close_audit().await.unwrap();
        assert_eq!(verify(&world, place).await.unwrap().records, 13);
        let world = world
            .reopen(|connection| {
                let sql = "UPDATE audit_log SET line = \
                     CAST(replace(CAST(line AS TEXT), 'ann', 'bob') AS BLOB) WHERE seq = 5";
                connection.execute(sql, []).unwrap();
            })
            .await;
        if place == "file" {
            let file = last_file(&world);
            let text = std::fs::read_to_string(&file).unwrap();
            let lines = text.lines().enumerate().map(|(at, line)| match at {
                4 => line.replace("ann", "bob") + "\n",
                _ => line.to_owned() + "\n",
            });
            std::fs::write(&file, lines.collect::<String>()).unwrap();
        }
        assert_eq!(verify(&world, place).await.unwrap_err().what, What::Changed { seq: 5 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_the_log_that_were_changed_are_found() {
    for (sql, is) in [
        ("DELETE FROM audit_heads", "where the log stood"),
        ("UPDATE audit_heads SET seq = seq - 1", "where the log stood"),
        ("DELETE FROM audit_epochs WHERE epoch = 1", "records 1 to 3 were removed"),
        ("DELETE FROM audit_epochs WHERE epoch = 2", "does not know epoch 2"),
        ("UPDATE audit_epochs SET first = first + 1 WHERE epoch = 2", "its row was altered"),
        ("UPDATE audit_epochs SET head = 0 WHERE epoch = 2", "its row was altered"),
    ] {
        let mut world = audited("file").await;
        world.aes("ann", "key", true).await;
        world.service.close_audit().await.unwrap();
        world = world.reopen(|_| {}).await;
        open(&mut world, "file").await;
        world.ask("ann", encrypt("key")).await.unwrap();
        world.service.close_audit().await.unwrap();
        verify(&world, "file").await.unwrap();
        let world =
            world.reopen(|connection| assert_eq!(connection.execute(sql, []).unwrap(), 1)).await;
        let finding = verify(&world, "file").await.unwrap_err();
        assert!(finding.to_string().contains(is), "{sql}: {finding}");
    }
}
