//! Two users of one server, who share.

use jiff::{Timestamp, ToSpan as _};
use serde_json::json;

use crate::world::World;

const ALICE: &str = "alice@example.org";
const BOB: &str = "bob@example.org";

#[test]
fn a_key_is_shared_to_decrypt_and_nothing_else() {
    let world = World::new();
    let (alice, bob) = (world.logged_in("alice"), world.logged_in("bob"));
    let id = alice.key(&["--id", "plans"]);
    alice.write("plain", b"the plans");
    alice.ok(&["encrypt", "plain", "--key", &id]);
    bob.write("plain.kms", &alice.read("plain.kms"));
    let told = bob.fails(&["decrypt", "plain.kms"], 5);
    assert!(told.contains("hint: "), "{told}");

    let granted =
        alice.ok(&["access", "grant", &id, "Bob@Example.org", "decrypt", "--expires", "90d"]);
    assert!(
        granted.starts_with("Bob@Example.org may now decrypt with plans until 20"),
        "{granted}"
    );
    bob.ok(&["decrypt", "plain.kms"]);
    assert_eq!(bob.read("plain"), b"the plans");
    let shared = bob.json(&["access", "shared"]);
    assert_eq!(shared[0]["owner"], ALICE);
    assert!(shared[0]["operations"].as_array().unwrap().len() == 1, "{shared}");
    // What he may not do, there is no object for.
    for command in [
        &["keys", "export", &id, "-o", "key"][..],
        &["encrypt", "plain", "--key", &id, "--force"],
        &["keys", "revoke", &id],
        &["keys", "destroy", &id],
        &["access", "list", &id],
        &["access", "grant", &id, "carol@example.org", "encrypt"],
        &["access", "revoke", &id, ALICE, "decrypt"],
    ] {
        bob.fails(command, 5);
    }
    alice.ok(&["access", "revoke", &id, BOB, "decrypt"]);
    bob.fails(&["decrypt", "plain.kms", "--force"], 5);
    assert_eq!(bob.json(&["access", "shared"]), json!([]));
}

#[test]
fn lists_say_until_when_and_what_for() {
    let world = World::new();
    let (alice, bob) = (world.logged_in("alice"), world.logged_in("bob"));
    let id = alice.key(&[]);
    alice.ok(&["access", "grant", &id, "carol@example.org", "get"]);
    let listed = alice.json(&["access", "list", &id]);
    assert_eq!(listed, json!([{"user": "carol@example.org", "operations": ["get"]}]));
    let end = "2099-01-31T12:00:00Z";
    let terms = ["--expires", "2099-01-31T13:00:00+01:00", "--note", "for the review"];
    let granted = alice.json(&[&["access", "grant", &id, BOB, "decrypt"][..], &terms].concat());
    assert_eq!((&granted["expires"], &granted["note"]), (&json!(end), &json!("for the review")));
    let listed = alice.json(&["access", "list", &id]);
    let of = |user: &str| {
        let rows = listed.as_array().unwrap();
        rows.iter().find(|row| row["user"] == user).unwrap().clone()
    };
    assert_eq!(of(BOB)["expires"], end);
    assert_eq!(of(BOB)["note"], "for the review");
    assert_eq!(of("carol@example.org")["expires"], json!(null));
    assert_eq!(bob.json(&["access", "shared"])[0]["expires"], end);
    let table = alice.ok(&["access", "list", &id]);
    assert!(table.lines().next().unwrap().contains("Expires"), "{table}");
    // Another end is for all that the user may do, or for nothing.
    let told = alice.fails(&["access", "grant", &id, BOB, "encrypt"], 6);
    assert!(told.contains(end), "{told}");
    alice.ok(&["access", "grant", &id, BOB, "encrypt", "decrypt"]);
    let listed = alice.json(&["access", "list", &id]);
    assert!(listed.as_array().unwrap().iter().all(|row| row.get("expires").is_none()), "{listed}");
}

#[test]
fn a_grant_ends_by_itself() {
    let world = World::new();
    let (alice, bob) = (world.logged_in("alice"), world.logged_in("bob"));
    let id = alice.key(&[]);
    let end = (Timestamp::now() + 3.seconds()).to_string();
    alice.ok(&["access", "grant", &id, BOB, "get", "--expires", &end]);
    bob.ok(&["keys", "export", &id, "-o", "key"]);
    while bob.run(&["keys", "show", &id]).code == 0 {
        kms_testkit::server::pause();
    }
    let told = bob.fails(&["keys", "export", &id, "-o", "key", "--force"], 5);
    assert!(told.contains("hint: "), "{told}");
    assert_eq!(bob.json(&["access", "shared"]), json!([]));
}

#[test]
fn an_end_that_is_none_is_told() {
    let world = World::new();
    let alice = world.logged_in("alice");
    let id = alice.key(&[]);
    for (end, expected) in [("soon", "is no time"), ("2020-01-01", "is over"), ("0d", "is over")] {
        let told = alice.fails(&["access", "grant", &id, BOB, "get", "--expires", end], 2);
        assert!(told.contains(expected), "{told}");
    }
    assert_eq!(alice.json(&["access", "list", &id]), json!([]));
}
