//! Two and four servers on one database, whose callers want the same at the same time: no change is
//! lost, one of several Re-keys wins, and no key is used more often than it may be.

use std::sync::Barrier;

use kms_testkit::database::{Kind, database};
use kms_testkit::http::{Answer, Connection};
use kms_testkit::server::Server;
use serde_json::{Value, json};

/// How a failure ends that may be tried again.
const TRY_AGAIN: &str = "nothing was changed; try again";

fn text(tag: &str, value: &str) -> Value {
    json!({"tag": tag, "type": "TextString", "value": value})
}

fn create(connection: &mut Connection, id: &str, more: &[Value]) {
    let attribute =
        |tag: &str, kind: &str, value: Value| json!({"tag": tag, "type": kind, "value": value});
    let mut attributes = vec![
        attribute("CryptographicAlgorithm", "Enumeration", json!("AES")),
        attribute("CryptographicLength", "Integer", json!(256)),
        attribute("CryptographicUsageMask", "Integer", json!(12)),
        attribute("ActivationDate", "DateTime", json!("2020-01-01T00:00:00Z")),
        text("UniqueIdentifier", id),
    ];
    attributes.extend_from_slice(more);
    let answer = connection.operation(&json!({"tag": "Create", "value": [
        attribute("ObjectType", "Enumeration", json!("SymmetricKey")),
        {"tag": "Attributes", "value": attributes},
    ]}));
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn about(operation: &str, id: &str, more: &[Value]) -> Value {
    let mut value = vec![text("UniqueIdentifier", id)];
    value.extend_from_slice(more);
    json!({"tag": operation, "value": value})
}

/// Each server is asked `times` times by a caller of its own, all at the same time; what they were
/// answered. Who is told to try again does.
fn all_at_once(
    servers: &[Server],
    times: usize,
    ask: impl Fn(&mut Connection, usize, usize) -> Answer + Sync,
) -> Vec<Answer> {
    let barrier = Barrier::new(servers.len());
    let (barrier, ask) = (&barrier, &ask);
    std::thread::scope(|scope| {
        let callers: Vec<_> = servers
            .iter()
            .enumerate()
            .map(|(number, server)| {
                scope.spawn(move || {
                    let mut connection = server.connect();
                    connection.get("/version");
                    barrier.wait();
                    (0..times).map(|time| ask(&mut connection, number, time)).collect::<Vec<_>>()
                })
            })
            .collect();
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    })
}

/// Asks until the answer is another than to try again, which it has to be in reasonable time.
fn patiently(mut ask: impl FnMut() -> Answer) -> Answer {
    for _ in 0..100 {
        let answer = ask();
        let passes = answer.status == 503 && answer.header("retry-after").is_some();
        assert_eq!(passes, answer.text().trim_end().ends_with(TRY_AGAIN), "{}", answer.text());
        if !passes {
            return answer;
        }
    }
    panic!("it was to be tried again, again and again");
}

fn check(test: fn(Kind, &[Server])) {
    for kind in [Kind::Postgres, Kind::MariaDb] {
        for count in [2, 4] {
            let database = database(kind);
            let variable =
                if kind == Kind::Postgres { "KMS_POSTGRES_URL" } else { "KMS_MYSQL_URL" };
            let servers: Vec<Server> = (0..count)
                .map(|_| super::builder().environment(variable, database.url()).start())
                .collect();
            test(kind, &servers);
        }
    }
}

#[test]
fn one_of_several_re_keys_wins() {
    check(|kind, servers| {
        const ROUNDS: usize = 8;
        let mut connection = servers[0].connect();
        for round in 0..ROUNDS {
            let id = format!("key-{round}");
            create(&mut connection, &id, &[]);
            let answers = all_at_once(servers, 1, |connection, _, _| {
                connection.operation(&about("ReKey", &id, &[]))
            });
            let won = answers.iter().filter(|answer| answer.status == 200).count();
            let said: Vec<String> = answers.iter().map(Answer::text).collect();
            assert_eq!(won, 1, "{kind:?} {said:?}");
            for (answer, said) in answers.iter().zip(&said) {
                // Who met the winner may try again; who came after it hears that it is done.
                let clear = match answer.status {
                    200 => true,
                    503 => said.trim_end().ends_with(TRY_AGAIN),
                    _ => said.contains("replaced"),
                };
                assert!(clear, "{kind:?} {said}");
            }
        }
        // Nothing of those that lost is left.
        let owned = connection.get("/objects/owned").json();
        assert_eq!(owned.as_array().unwrap().len(), 2 * ROUNDS, "{kind:?}");
    });
}

#[test]
fn no_key_is_used_more_often_than_it_may_be() {
    check(|kind, servers| {
        const ALLOWED: usize = 30;
        let limits = json!({"tag": "UsageLimits", "value": [
            {"tag": "UsageLimitsTotal", "type": "LongInteger", "value": ALLOWED},
            {"tag": "UsageLimitsCount", "type": "LongInteger", "value": ALLOWED},
            {"tag": "UsageLimitsUnit", "type": "Enumeration", "value": "Object"},
        ]});
        create(&mut servers[0].connect(), "limited", &[limits]);
        let data = json!({"tag": "Data", "type": "ByteString", "value": "00"});
        let answers = all_at_once(servers, ALLOWED, |connection, _, _| {
            patiently(|| {
                connection.operation(&about("Encrypt", "limited", std::slice::from_ref(&data)))
            })
        });
        let used = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(used, ALLOWED, "{kind:?}");
        for answer in answers.iter().filter(|answer| answer.status != 200) {
            assert!(answer.text().contains("Permission_Denied"), "{kind:?} {}", answer.text());
        }
    });
}

#[test]
fn no_change_of_one_object_is_lost() {
    check(|kind, servers| {
        const EACH: usize = 6;
        create(&mut servers[0].connect(), "shared", &[]);
        let name = |server: usize, time: usize| format!("name-{server}-{time}");
        let answers = all_at_once(servers, EACH, |connection, server, time| {
            let attribute = json!({"tag": "NewAttribute", "value": [
                {"tag": "Name", "value": [
                    text("NameValue", &name(server, time)),
                    {"tag": "NameType", "type": "Enumeration", "value": "UninterpretedTextString"},
                ]},
            ]});
            let added = patiently(|| {
                connection.operation(&about(
                    "AddAttribute",
                    "shared",
                    std::slice::from_ref(&attribute),
                ))
            });
            assert_eq!(added.status, 200, "{}", added.text());
            let grant = json!({"user_id": name(server, time), "operation_type": "Get"});
            patiently(|| connection.post_json("/accesses/shared", &grant))
        });
        for answer in &answers {
            assert_eq!(answer.status, 200, "{kind:?} {}", answer.text());
        }
        let last = servers.last().unwrap();
        let attributes = last.connect().operation(&about("GetAttributes", "shared", &[])).text();
        let grants = last.connect().get("/accesses/shared").text();
        for (server, _) in servers.iter().enumerate() {
            for time in 0..EACH {
                let name = format!("\"{}\"", name(server, time));
                assert!(attributes.contains(&name), "{kind:?} {name} is not in {attributes}");
                assert!(grants.contains(&name), "{kind:?} {name} is not in {grants}");
            }
        }
    });
}
