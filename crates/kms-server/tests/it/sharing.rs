//! Sharing over HTTP: ends and notes of grants, who may create, and what a withdrawal does at once.

use kms_testkit::http::{Answer, Connection};
use kms_testkit::issuer::{self, Issuer};
use kms_testkit::server::{Builder, Server, pause};
use serde_json::{Value, json};

const ANN: &str = "ann@example.org";
const BOB: &str = "bob@example.org";
const EVE: &str = "eve@example.org";

/// A server that asks its callers for tokens.
struct World {
    server: Server,
    issuer: Issuer,
}

/// One connection of a user.
struct Caller {
    connection: Connection,
    bearer: String,
}

impl World {
    fn start() -> Self {
        Self::by(|builder| builder)
    }

    fn by(change: impl FnOnce(Builder) -> Builder) -> Self {
        let issuer = Issuer::start();
        let builder = super::builder()
            .environment("KMS_DELEGATED_AUTHORITY_DOMAIN", issuer.url())
            .environment("KMS_JWT_AUDIENCE", issuer::AUDIENCE);
        let world = Self { server: change(builder).start(), issuer };
        // Until the issuer's keys are there.
        while world.caller(ANN).get("/me").status == 503 {
            pause();
        }
        world
    }

    fn caller(&self, user: &str) -> Caller {
        Caller { connection: self.server.connect(), bearer: self.issuer.bearer(user) }
    }
}

impl Caller {
    fn send(&mut self, method: &str, path: &str, body: &Value) -> Answer {
        let bearer = self.bearer.clone();
        let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.connection.request(method, path, &headers, body.as_bytes())
    }

    fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, &Value::Null)
    }

    fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, body)
    }

    fn create(&mut self, id: &str) -> Answer {
        self.post("/kmip/2_1", &create(id))
    }

    fn encrypt(&mut self, id: &str) -> Answer {
        let body = json!({"tag": "Encrypt", "value": [
            {"tag": "UniqueIdentifier", "type": "TextString", "value": id},
            {"tag": "Data", "type": "ByteString", "value": "00"},
        ]});
        self.post("/kmip/2_1", &body)
    }

    /// Lets `user` do `operations`.
    fn grant(&mut self, id: &str, user: &str, operations: &[&str]) {
        let body = json!({"unique_identifier": id, "user_id": user, "operation_types": operations});
        let answer = self.post("/access/grant", &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

fn create(id: &str) -> Value {
    json!({"tag": "Create", "value": [
        {"tag": "ObjectType", "type": "Enumeration", "value": "SymmetricKey"},
        {"tag": "Attributes", "value": [
            {"tag": "ActivationDate", "type": "DateTime", "value": "2024-01-01T00:00:00Z"},
            {"tag": "CryptographicAlgorithm", "type": "Enumeration", "value": "AES"},
            {"tag": "CryptographicLength", "type": "Integer", "value": 256},
            {"tag": "CryptographicUsageMask", "type": "Integer", "value": 12},
            {"tag": "UniqueIdentifier", "type": "TextString", "value": id},
        ]},
    ]})
}

fn is_line(answer: &Answer, status: u16, start: &str) -> bool {
    answer.status == status && answer.text().starts_with(start) && !answer.text().contains('\n')
}

#[test]
fn a_grant_has_an_end_and_a_note_where_it_was_given_them() {
    let world = World::start();
    let (mut ann, mut bob) = (world.caller(ANN), world.caller(BOB));
    for id in ["a", "b", "c"] {
        assert_eq!(ann.create(id).status, 200);
    }
    let one = json!({"user_id": "Bob@Example.org", "operation_type": "Encrypt",
        "expires": "2050-01-01T01:00:00.9+01:00", "note": "für die Prüfung"});
    assert_eq!(ann.post("/accesses/a", &one).status, 200);
    let several = json!({"unique_identifier": "b", "user_id": "*",
        "operation_types": ["get", "encrypt"], "expires": 2_524_608_000_i64});
    assert_eq!(ann.post("/access/grant", &several).status, 200);
    ann.grant("c", BOB, &["locate"]);
    let (end, note) = ("2050-01-01T00:00:00Z", "für die Prüfung");
    assert_eq!(
        ann.get("/accesses/a").json(),
        json!([{"user_id": BOB, "operations": ["Encrypt"], "expires": end, "note": note}])
    );
    assert_eq!(
        ann.get("/access/list/b").json(),
        json!([{"user_id": "*", "operations": ["encrypt", "get"], "expires": end}])
    );
    assert_eq!(ann.get("/accesses/c").json(), json!([{"user_id": BOB, "operations": ["Locate"]}]));
    let shared = |id: &str, operations: &[&str]| json!({"object_id": id, "owner_id": ANN, "state": "Active", "operations": operations});
    let mut expected =
        [shared("a", &["Encrypt"]), shared("b", &["Encrypt", "Get"]), shared("c", &["Locate"])];
    expected[0]["expires"] = json!(end);
    expected[0]["note"] = json!(note);
    expected[1]["expires"] = json!(end);
    assert_eq!(bob.get("/objects/shared").json(), json!(expected));
    assert_eq!(bob.encrypt("a").status, 200);
    assert_eq!(ann.get("/objects/shared").json(), json!([]));
    // A list of one's own says nothing of others.
    assert_eq!(bob.get("/objects/owned").json(), json!([]));
}

#[test]
fn an_end_that_passes_ends_it_on_a_real_clock() {
    let world = World::start();
    let (mut ann, mut bob) = (world.caller(ANN), world.caller(BOB));
    assert_eq!(ann.create("key").status, 200);
    let end = issuer::now_s() + 2;
    let grant = json!({"user_id": BOB, "operation_type": "Encrypt", "expires": end});
    assert_eq!(ann.post("/accesses/key", &grant).status, 200);
    let mut allowed = 0;
    loop {
        let before = issuer::now_s();
        let status = bob.encrypt("key").status;
        match status {
            200 => assert!(before < end, "allowed after its end"),
            _ => break,
        }
        allowed += 1;
    }
    assert!(issuer::now_s() >= end, "refused before its end");
    assert!(allowed > 0);
    assert_eq!(bob.get("/objects/shared").json(), json!([]));
    assert_eq!(ann.get("/accesses/key").json(), json!([]));
}

#[test]
fn what_cannot_be_granted_is_told_why() {
    let world = World::start();
    let mut ann = world.caller(ANN);
    assert_eq!(ann.create("key").status, 200);
    let note = "n".repeat(256);
    for (change, says) in [
        (json!({"expires": "tomorrow"}), "expires is a moment as in"),
        (json!({"expires": "2050-01-01"}), "expires is a moment as in"),
        (json!({"expires": "2050-01-01T00:00:00"}), "expires is a moment as in"),
        (json!({"expires": 1.5}), "expires is a moment as in"),
        (json!({"expires": i64::MAX}), "expires is a moment as in"),
        (json!({"expires": ["2050-01-01T00:00:00Z"]}), "expires is a moment as in"),
        (json!({"expires": "2020-01-01T00:00:00Z"}), "name a time to come"),
        (json!({"expires": 0}), "name a time to come"),
        (json!({"expires": -1}), "name a time to come"),
        (json!({"note": note}), "a note has 1 to 255 bytes"),
        (json!({"note": ""}), "a note has 1 to 255 bytes"),
        (json!({"note": "a\u{7}b"}), "a note has 1 to 255 bytes"),
        (json!({"note": 5}), "invalid type"),
        (json!({"expiry": 5}), "unknown field"),
        (json!({"user_id": ANN}), "may do everything with it already"),
        (json!({"user_id": "bob@"}), "one @"),
        (json!({"user_id": "Cert:backup"}), "lower case"),
        (json!({"operation_type": "Fly"}), "is not an operation that can be granted"),
    ] {
        let mut grant = json!({"user_id": BOB, "operation_type": "Encrypt"});
        grant.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let answer = ann.post("/accesses/key", &grant);
        assert!(is_line(&answer, 422, "Invalid"), "{change}: {}", answer.text());
        assert!(answer.text().contains(says), "{change}: {}", answer.text());
    }
    assert_eq!(ann.get("/accesses/key").json(), json!([]));
    // A withdrawal is now.
    let until = json!({"user_id": BOB, "operation_type": "Encrypt", "expires": 2_524_608_000_i64});
    assert!(is_line(&ann.send("DELETE", "/accesses/key", &until), 422, "Invalid_Field"));
    // Another end is not taken for a part.
    assert_eq!(ann.post("/accesses/key", &until).status, 200);
    let more = json!({"user_id": BOB, "operation_type": "Get"});
    let refused = ann.post("/accesses/key", &more);
    assert!(is_line(&refused, 422, "Invalid_Field: what bob@example.org has"));
    assert!(refused.text().contains("2050-01-01T00:00:00Z"), "{}", refused.text());
}

#[test]
fn a_record_tells_until_when_it_was_granted() {
    let mut world = World::start();
    let mut ann = world.caller(ANN);
    assert_eq!(ann.create("key").status, 200);
    let until = json!({"user_id": BOB, "operation_type": "Encrypt", "expires": 2_524_608_000_i64});
    assert_eq!(ann.post("/accesses/key", &until).status, 200);
    ann.grant("key", EVE, &["get", "encrypt"]);
    // Records of changes come to the log after the answer, and before the server has stopped.
    world.server.terminate();
    world.server.wait();
    let (directory, mut told) = (world.server.directory().join("audit"), Vec::new());
    for file in std::fs::read_dir(directory).unwrap() {
        for line in std::fs::read_to_string(file.unwrap().path()).unwrap().lines() {
            let record: Value = serde_json::from_str(line).unwrap();
            if record["operation"] == "Grant" {
                told.push(record["detail"].as_str().unwrap_or_default().to_owned());
            }
        }
    }
    assert_eq!(told, ["Encrypt until 2050-01-01T00:00:00Z", "Get, Encrypt"]);
}

#[test]
fn a_withdrawal_ends_it_on_every_connection_at_once() {
    let world = World::start();
    let mut ann = world.caller(ANN);
    let mut bobs: Vec<Caller> = (0..16).map(|_| world.caller(BOB)).collect();
    assert_eq!(ann.create("key").status, 200);
    for round in 0..20 {
        let user = if round % 2 == 0 { BOB } else { "*" };
        ann.grant("key", user, &["encrypt"]);
        for bob in &mut bobs {
            assert_eq!(bob.encrypt("key").status, 200, "{round}");
        }
        let withdraw = json!({"user_id": user, "operation_type": "Encrypt"});
        assert_eq!(ann.send("DELETE", "/accesses/key", &withdraw).status, 200);
        for bob in &mut bobs {
            let answer = bob.encrypt("key");
            assert!(is_line(&answer, 422, "Object_Not_Found: no object \"key\""), "{round}");
        }
    }
}

#[test]
fn what_is_anothers_and_what_is_not_there_have_one_answer() {
    let world = World::start();
    let (mut ann, mut bob) = (world.caller(ANN), world.caller(BOB));
    assert_eq!(ann.create("there").status, 200);
    ann.grant("there", EVE, &["get"]);
    let ask = |caller: &mut Caller, id: &str| {
        let one = json!({"user_id": EVE, "operation_type": "Get"});
        let several = json!({"unique_identifier": id, "user_id": EVE, "operation_types": ["get"]});
        let path = format!("/accesses/{id}");
        [
            caller.get(&path),
            caller.get(&format!("/access/list/{id}")),
            caller.post(&path, &one),
            caller.send("DELETE", &path, &one),
            caller.post("/access/grant", &several),
            caller.post("/access/revoke", &several),
            caller.encrypt(id),
        ]
        .map(|answer| {
            let mut names: Vec<_> = answer.headers.iter().map(|(name, _)| name.clone()).collect();
            names.sort_unstable();
            (answer.status, names, answer.text().replace(id, "…"))
        })
    };
    assert_eq!(ask(&mut bob, "there"), ask(&mut bob, "where"));
}

#[test]
fn only_the_privileged_create_and_let_others_create() {
    let privileged =
        |builder: Builder| builder.environment("KMS_PRIVILEGED_USERS", "Ann@Example.org");
    let world = World::by(privileged);
    let (mut ann, mut bob) = (world.caller(ANN), world.caller(BOB));
    assert_eq!(ann.create("anns").status, 200);
    assert!(is_line(&bob.create("bobs"), 422, "Permission_Denied: on this server only some users"));
    let create = |user: &str| json!({"user_id": user, "operation_types": ["create"]});
    for path in ["/access/grant", "/access/revoke"] {
        for user in [EVE, BOB] {
            let answer = bob.post(path, &create(user));
            assert!(is_line(&answer, 403, "Permission_Denied: only the privileged"), "{path}");
        }
        let answer = ann.post(path, &create(ANN));
        assert!(is_line(&answer, 422, "Invalid_Field: who lets others create may"), "{path}");
    }
    assert!(is_line(&bob.get("/accesses/*"), 403, "Permission_Denied"));
    let granted = ann.post("/access/grant", &create(BOB));
    assert_eq!(granted.json()["success"], format!("Access for {BOB} successfully added"));
    assert_eq!(bob.create("bobs").status, 200);
    assert_eq!(ann.get("/accesses/*").json(), json!([{"user_id": BOB, "operations": ["Create"]}]));
    assert_eq!(ann.post("/access/revoke", &create(BOB)).status, 200);
    assert_eq!(bob.create("more").status, 422);
    for list in ["/objects/owned", "/objects/shared", "/access/owned", "/access/obtained"] {
        for caller in [&mut ann, &mut bob] {
            assert!(!caller.get(list).text().contains("\"*\""), "{list}");
        }
    }
}

#[test]
fn a_list_that_nobody_is_on_is_warned_of() {
    let start = |users: &str| super::builder().environment("KMS_PRIVILEGED_USERS", users).start();
    let lonely = start("ann@example.org, cert:Backup");
    assert!(lonely.report().contains("nobody can create objects"), "{}", lonely.report());
    let answer = lonely.connect().operation(&create("key"));
    assert!(is_line(&answer, 422, "Permission_Denied"), "{}", answer.text());
    let well = start("ann@example.org,Admin");
    assert!(!well.report().contains("nobody can create objects"), "{}", well.report());
    assert_eq!(well.connect().operation(&create("key")).status, 200);
    for (users, says) in [("*", "leave the list out"), ("ann@", "one @"), ("a b", "without blanks")]
    {
        let ended = super::builder().environment("KMS_PRIVILEGED_USERS", users).try_start();
        let ended = ended.unwrap_err();
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        assert!(ended.stderr.contains("KMS_PRIVILEGED_USERS") && ended.stderr.contains(says));
    }
}

#[test]
fn a_long_list_of_shared_objects_is_whole() {
    let world = World::start();
    let (mut ann, mut bob) = (world.caller(ANN), world.caller(BOB));
    // More than two pages of each kind.
    for number in 0..1_100 {
        let id = format!("key-{number:04}");
        assert_eq!(ann.create(&id).status, 200);
        ann.grant(&id, if number % 2 == 0 { BOB } else { "*" }, &["locate"]);
    }
    let list = bob.get("/objects/shared").json();
    let ids: Vec<&str> =
        list.as_array().unwrap().iter().map(|it| it["object_id"].as_str().unwrap()).collect();
    let expected: Vec<String> = (0..1_100).map(|number| format!("key-{number:04}")).collect();
    assert_eq!(ids, expected);
}
