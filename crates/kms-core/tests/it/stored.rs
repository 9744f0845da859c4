//! What rests: nothing of a key is in the files, and what was moved, swapped or edited is refused.

use kmip::enumerations::ResultReason;
use kmip::operation::{EncryptRequest, GetRequest, Request, Response};
use kmip::wire::Bytes;
use kms_core::{Permission, Principal};

use super::World;

fn get(id: &str) -> Request {
    Request::Get(GetRequest { unique_identifier: Some(id.into()), ..GetRequest::default() })
}

fn encrypt(id: &str) -> Request {
    Request::Encrypt(EncryptRequest {
        unique_identifier: Some(id.into()),
        data: Some(Bytes(vec![1; 16])),
        ..EncryptRequest::default()
    })
}

async fn key_of(world: &World, id: &str) -> Vec<u8> {
    let Response::Get(got) = world.ask("ann", get(id)).await.unwrap() else {
        panic!("not an answer to Get")
    };
    match got.object.key_block().unwrap().material().unwrap() {
        kmip::object::KeyMaterial::Bytes(bytes) => bytes.to_vec(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_byte_is_in_the_files() {
    let world = World::new().await;
    world.aes("ann", "key", true).await;
    let key = key_of(&world, "key").await;
    let part = &key[..16];
    for entry in std::fs::read_dir(world.directory.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let found = bytes.windows(part.len()).any(|window| window == part);
        assert!(!found, "{}", path.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_is_there_after_a_restart() {
    let world = World::new().await;
    world.aes("ann", "key", true).await;
    let before = key_of(&world, "key").await;
    let world = world.reopen(|_| {}).await;
    assert_eq!(key_of(&world, "key").await, before);
}

/// Each change that somebody with the database could make, and that the object is refused then.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_were_changed_are_refused() {
    let changes = [
        ("owner", "UPDATE objects SET owner = 'ann' WHERE id = 'bobs'"),
        ("version", "UPDATE objects SET version = version + 1 WHERE id = 'key'"),
        ("type", "UPDATE objects SET object_type = 7 WHERE id = 'key'"),
        (
            "record of another",
            "UPDATE objects SET object = (SELECT object FROM objects WHERE id = 'other') \
             WHERE id = 'key'",
        ),
        (
            "material of another",
            "UPDATE objects SET material = (SELECT material FROM objects WHERE id = 'other') \
             WHERE id = 'key'",
        ),
        ("generation", "UPDATE objects SET material_generation = 9 WHERE id = 'key'"),
        (
            "record edited",
            "UPDATE objects SET object = CAST(object || x'00' AS BLOB) WHERE id = 'key'",
        ),
    ];
    for (name, sql) in changes {
        let world = World::new().await;
        world.aes("ann", "key", true).await;
        world.aes("ann", "other", true).await;
        world.aes("bob", "bobs", true).await;
        let world = world
            .reopen(|database| {
                assert_eq!(database.execute(sql, []).unwrap(), 1, "{name}");
            })
            .await;
        let id = if name == "owner" { "bobs" } else { "key" };
        let answer = world.ask("ann", get(id)).await;
        assert_eq!(answer.err(), Some(ResultReason::GeneralFailure), "{name}");
        assert!(world.ask("ann", get("other")).await.is_ok(), "{name}: others go on working");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_was_edited_changes_nothing() {
    let world = World::new().await;
    world.aes("ann", "key", false).await;
    let world = world
        .reopen(|database| {
            database.execute("UPDATE objects SET state = 'Active' WHERE id = 'key'", []).unwrap();
        })
        .await;
    let answer = world.ask("ann", encrypt("key")).await;
    assert_eq!(answer.err(), Some(ResultReason::WrongKeyLifecycleState));
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_that_were_made_up_moved_or_written_back_are_ignored() {
    let world = World::new().await;
    let ann = Principal::new("ann");
    world.aes("ann", "key", true).await;
    world.aes("ann", "other", true).await;
    let all = [Permission::Encrypt];
    world.service.grant(&ann, Some("key"), "bob", &all).await.unwrap();
    world.service.grant(&ann, Some("other"), "eve", &all).await.unwrap();
    assert!(world.ask("bob", encrypt("key")).await.is_ok());
    let path = world.directory.path().join("kms.db");
    let database = rusqlite::Connection::open(path).unwrap();
    let withdrawn: (String, Vec<u8>) = database
        .query_row("SELECT permissions, mac FROM read_access WHERE id = 'key'", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    drop(database);
    world.service.withdraw(&ann, Some("key"), "bob", &all).await.unwrap();
    assert!(world.ask("bob", encrypt("key")).await.is_err());

    let world = world
        .reopen(|database| {
            let insert =
                "INSERT INTO read_access (id, userid, permissions, mac) VALUES (?, ?, ?, ?)";
            // Written back.
            database
                .execute(insert, rusqlite::params!["key", "bob", withdrawn.0, withdrawn.1])
                .unwrap();
            // Made up.
            database
                .execute(
                    insert,
                    rusqlite::params!["key", "mallory", "[\"Encrypt\"]", vec![0_u8; 32]],
                )
                .unwrap();
            // Moved to another object, and given to another user.
            database.execute("UPDATE read_access SET id = 'key' WHERE userid = 'eve'", []).unwrap();
        })
        .await;
    for user in ["bob", "mallory", "eve"] {
        let answer = world.ask(user, encrypt("key")).await;
        assert_eq!(answer.err(), Some(ResultReason::ObjectNotFound), "{user}");
    }
    assert_eq!(world.service.accesses(&ann, "key").await.unwrap(), Vec::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyring_of_another_kind_or_database_is_refused() {
    let world = World::new().await;
    world.aes("ann", "key", true).await;
    let directory = world.directory;
    drop(world.service);
    for sql in ["UPDATE keyring SET kind = 'enclave'", "UPDATE keyring SET slot = zeroblob(72)"] {
        let path = directory.path().join("kms.db");
        rusqlite::Connection::open(path).unwrap().execute(sql, []).unwrap();
        let store =
            kms_store::Store::open(kms_store::Config::directory(directory.path())).await.unwrap();
        let clock = std::sync::Arc::new(kms_core::SystemClock);
        let policy = kms_core::Policy::default();
        let opened = kms_core::Service::open(store, &kms_seal::Clear, policy, clock).await;
        assert!(opened.is_err(), "{sql}");
    }
}
