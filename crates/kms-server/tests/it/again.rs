//! Requests that come again: by each route, to another server, at the same moment, and after the server
//! was killed before it could answer.

use std::net::SocketAddr;
use std::time::Duration;

use kms_testkit::database::{Kind, database};
use kms_testkit::http::{Answer, Connection};
use kms_testkit::proxy::Proxy;
use kms_testkit::server::{Server, pause};
use serde_json::{Value, json};

use super::{builder, server};

const KINDS: [Kind; 2] = [Kind::Postgres, Kind::MariaDb];

fn on(kind: Kind, url: String) -> kms_testkit::server::Builder {
    let variable = if kind == Kind::Postgres { "KMS_POSTGRES_URL" } else { "KMS_MYSQL_URL" };
    builder().environment(variable, url)
}

/// A bare request for a key whose identifier the server chooses.
fn create(name: &str) -> Value {
    json!({"tag": "Create", "value": [
        {"tag": "ObjectType", "type": "Enumeration", "value": "SymmetricKey"},
        {"tag": "Attributes", "value": [
            {"tag": "CryptographicAlgorithm", "type": "Enumeration", "value": "AES"},
            {"tag": "CryptographicLength", "type": "Integer", "value": 256},
            {"tag": "CryptographicUsageMask", "type": "Integer", "value": 12},
            {"tag": "Name", "value": [
                {"tag": "NameValue", "type": "TextString", "value": name},
                {"tag": "NameType", "type": "Enumeration", "value": "UninterpretedTextString"},
            ]},
        ]},
    ]})
}

fn send(
    connection: &mut Connection,
    (path, kind): (&str, &str),
    keys: &[&str],
    body: &str,
) -> Answer {
    let mut headers = vec![("content-type", kind)];
    headers.extend(keys.iter().map(|key| ("Idempotency-Key", *key)));
    connection.request("POST", path, &headers, body.as_bytes())
}

const BARE: (&str, &str) = ("/kmip/2_1", "application/json");

fn bare(connection: &mut Connection, key: &str, body: &Value) -> Answer {
    send(connection, BARE, &[key], &body.to_string())
}

/// Makes a key under a name, unless it was made; its identifier.
pub(super) fn made_once(server: &Server, key: &str) -> String {
    id(&bare(&mut server.connect(), key, &create(key)))
}

/// The identifier in an answer, in whichever encoding.
fn id(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = answer.text();
    let at = text.find("UniqueIdentifier").unwrap_or_else(|| panic!("{text}"));
    let (_, rest) = text.split_at(at);
    let (_, rest) = rest.split_once("value").unwrap();
    let letter = |letter: &char| letter.is_ascii_hexdigit() || *letter == '-';
    rest.chars().skip_while(|it| !letter(it)).take_while(letter).collect()
}

/// The keys with a name.
fn named(connection: &mut Connection, name: &str) -> Vec<String> {
    let answer = connection.operation(&json!({"tag": "Locate", "value": [
        {"tag": "Attributes", "value": [
            {"tag": "Name", "value": [
                {"tag": "NameValue", "type": "TextString", "value": name},
                {"tag": "NameType", "type": "Enumeration", "value": "UninterpretedTextString"},
            ]},
        ]},
    ]}));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let found = answer.json();
    let fields = found["value"].as_array().unwrap().iter();
    let ids = fields.filter(|field| field["tag"] == "UniqueIdentifier");
    ids.map(|field| field["value"].as_str().unwrap().to_owned()).collect()
}

/// A message for a key, in XML, with a time stamp and perhaps an extension.
fn message(name: &str, time: u32, extension: &str) -> String {
    format!(
        "<RequestMessage><RequestHeader><ProtocolVersion>\
         <ProtocolVersionMajor type=\"Integer\" value=\"2\"/>\
         <ProtocolVersionMinor type=\"Integer\" value=\"1\"/></ProtocolVersion>\
         <ClientCorrelationValue type=\"TextString\" value=\"mine {time}\"/>\
         <TimeStamp type=\"DateTime\" value=\"2026-11-25T00:00:{time:02}Z\"/>\
         <BatchCount type=\"Integer\" value=\"1\"/></RequestHeader>\
         <BatchItem><Operation type=\"Enumeration\" value=\"Create\"/><RequestPayload>\
         <ObjectType type=\"Enumeration\" value=\"SymmetricKey\"/><Attributes>\
         <CryptographicAlgorithm type=\"Enumeration\" value=\"AES\"/>\
         <CryptographicLength type=\"Integer\" value=\"256\"/>\
         <CryptographicUsageMask type=\"Integer\" value=\"Encrypt Decrypt\"/>\
         <Name><NameValue type=\"TextString\" value=\"{name}\"/>\
         <NameType type=\"Enumeration\" value=\"UninterpretedTextString\"/></Name>\
         </Attributes></RequestPayload>{extension}</BatchItem></RequestMessage>"
    )
}

const XML: (&str, &str) = ("/kmip", "text/xml");

fn extension(key: &str) -> String {
    format!(
        "<MessageExtension><VendorIdentification type=\"TextString\" value=\"open_kms\"/>\
         <CriticalityIndicator type=\"Boolean\" value=\"true\"/><VendorExtension>\
         <IdempotencyKey type=\"TextString\" value=\"{key}\"/></VendorExtension></MessageExtension>"
    )
}

#[test]
fn each_route_answers_what_comes_again_as_before() {
    let server = server();
    let mut connection = server.connect();
    let first = id(&bare(&mut connection, "k", &create("one")));
    assert_eq!(id(&bare(&mut connection, "k", &create("one"))), first);
    // The same in another encoding, with what is around it another each time.
    assert_eq!(id(&send(&mut connection, XML, &["k"], &message("one", 1, ""))), first);
    assert_eq!(id(&send(&mut connection, XML, &[], &message("one", 2, &extension("k")))), first);
    assert_eq!(named(&mut connection, "one"), [first.as_str()]);
    let other = bare(&mut connection, "k", &create("two"));
    assert_eq!(other.status, 422);
    assert!(other.text().starts_with("Invalid_Field: this Idempotency Key"), "{}", other.text());
    let other = send(&mut connection, XML, &["k"], &message("two", 3, ""));
    assert!(other.text().contains("\"InvalidField\""), "{}", other.text());
    assert!(named(&mut connection, "two").is_empty());
    // What was withdrawn is not granted again by a grant that comes late.
    let grant = json!({"unique_identifier": first, "user_id": "bob", "operation_types": ["get"]});
    let mut change = |what: &str, key: &str| {
        let path = format!("/access/{what}");
        let answer = send(&mut connection, (&path, "application/json"), &[key], &grant.to_string());
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["success"].as_str().unwrap().to_owned()
    };
    let granted = change("grant", "g");
    change("revoke", "w");
    assert_eq!(change("grant", "g"), granted);
    let list = connection.get(&format!("/access/list/{first}")).json();
    assert_eq!(list, json!([]));
}

#[test]
fn what_is_no_key_is_refused() {
    let server = server();
    let mut connection = server.connect();
    let long = "k".repeat(256);
    for keys in [&[""][..], &["a\tb"], &["k\u{e4}"], &[&long], &["a", "b"]] {
        let answer = send(&mut connection, BARE, keys, &create("none").to_string());
        assert_eq!(answer.status, 422, "{keys:?} {}", answer.text());
        assert!(answer.text().starts_with("Invalid_Field: "), "{}", answer.text());
        let answer = send(&mut connection, XML, keys, &message("none", 1, ""));
        assert!(answer.text().contains("\"InvalidField\""), "{keys:?} {}", answer.text());
        let path = ("/access/grant", "application/json");
        let answer = send(&mut connection, path, keys, "{}");
        assert_eq!(answer.status, 422, "{keys:?}");
    }
    assert!(named(&mut connection, "none").is_empty());
}

#[test]
fn a_correlation_value_is_logged_and_returned_and_means_nothing() {
    let server = server();
    let mut connection = server.connect();
    for _ in 0..2 {
        let answer = send(&mut connection, XML, &[], &message("twice", 7, ""));
        assert!(answer.text().contains("value=\"mine 7\""), "{}", answer.text());
    }
    assert_eq!(named(&mut connection, "twice").len(), 2);
    let records = || {
        let files = std::fs::read_dir(server.directory().join("audit")).unwrap();
        let texts = files.map(|it| std::fs::read_to_string(it.unwrap().path()).unwrap());
        texts.collect::<String>().matches("\"correlation\":\"mine 7\"").count()
    };
    while records() < 2 {
        pause();
    }
}

#[test]
fn another_server_answers_as_the_first_did() {
    for kind in KINDS {
        let database = database(kind);
        let servers: [Server; 2] = std::array::from_fn(|_| on(kind, database.url()).start());
        let [mut one, mut two] = servers.each_ref().map(Server::connect);
        let first = id(&bare(&mut one, "k", &create("one")));
        assert_eq!(id(&bare(&mut two, "k", &create("one"))), first, "{kind:?}");
        assert_eq!(bare(&mut two, "k", &create("two")).status, 422);
        assert_eq!(named(&mut two, "one"), [first], "{kind:?}");
    }
}

#[test]
fn of_two_at_the_same_moment_on_two_servers_one_is_done() {
    for kind in KINDS {
        let database = database(kind);
        let servers: [Server; 2] = std::array::from_fn(|_| on(kind, database.url()).start());
        for round in 0..10 {
            let (key, name) = (format!("k{round}"), format!("n{round}"));
            let mut connections: Vec<_> =
                servers.iter().chain(&servers).map(Server::connect).collect();
            let ids: Vec<_> = std::thread::scope(|scope| {
                let asked = connections.iter_mut().map(|connection| {
                    let (key, name) = (&key, &name);
                    scope.spawn(move || id(&bare(connection, key, &create(name))))
                });
                let asked: Vec<_> = asked.collect();
                asked.into_iter().map(|it| it.join().unwrap()).collect()
            });
            let made = named(&mut connections[0], &name);
            assert_eq!(made.len(), 1, "{kind:?}");
            assert!(ids.iter().all(|id| *id == made[0]), "{kind:?} {ids:?}");
        }
    }
}

/// A server is killed when its database has made a change, and before it hears of that.
#[test]
fn an_answer_that_was_lost_with_the_server_is_there_for_the_next() {
    for kind in KINDS {
        let database = database(kind);
        let proxy = Proxy::to(SocketAddr::from(([127, 0, 0, 1], database.port())));
        let mut server = on(kind, proxy.in_url(&database.url())).start();
        let mut connection = server.connect();
        // All is ready on both sides.
        id(&bare(&mut connection, "before", &create("before")));
        proxy.delay(Duration::from_millis(400));
        let body = create("lost").to_string();
        let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
        connection.begin("POST", "/kmip/2_1", &headers, body.as_bytes());
        while database.sql("SELECT count(*) FROM answers").trim() != "2" {
            pause();
        }
        server.kill();
        assert!(connection.answer().is_none(), "{kind:?}: it was answered");
        let next = on(kind, database.url()).start();
        let mut connection = next.connect();
        let made = named(&mut connection, "lost");
        assert_eq!(made.len(), 1, "{kind:?}");
        assert_eq!(id(&bare(&mut connection, "k", &create("lost"))), made[0], "{kind:?}");
        assert_eq!(named(&mut connection, "lost"), made);
    }
}

/// Killed at any moment: whatever was done, once more under the same key it is done once.
#[test]
fn a_server_that_is_killed_does_nothing_twice() {
    let mut server = server();
    for round in 0..12 {
        let (key, name) = (format!("k{round}"), format!("n{round}"));
        let mut connection = server.connect();
        let headers = [("content-type", "application/json"), ("idempotency-key", key.as_str())];
        let body = create(&name).to_string();
        connection.begin("POST", "/kmip/2_1", &headers, body.as_bytes());
        #[expect(clippy::disallowed_methods, reason = "the moment is to be another each time")]
        std::thread::sleep(Duration::from_micros(300 * round));
        server.kill();
        let answered = connection.answer();
        server = server.restart();
        let mut connection = server.connect();
        let again = id(&bare(&mut connection, &key, &create(&name)));
        assert_eq!(named(&mut connection, &name), [again.as_str()]);
        if let Some(answered) = answered {
            assert_eq!(id(&answered), again);
        }
    }
}
