//! Who may make objects: everybody, or those who are listed and those whom they let.

use kmip::attribute::{Attribute, Attributes};
use kmip::enumerations::{
    CryptographicAlgorithm, CryptographicUsageMask, ObjectType, OpaqueDataType, ResultReason,
    StorageStatusMask,
};
use kmip::object::{Object, OpaqueObject};
use kmip::operation::{
    CreateKeyPairRequest, DestroyRequest, GetAttributesRequest, GetRequest, ImportRequest,
    LocateRequest, RegisterRequest, RekeyKeyPairRequest, RekeyRequest, Request, Response,
};
use kms_core::{Access, Permission, Policy, Principal, Terms};
use tempfile::TempDir;

use super::{START, World, create};

const CREATE: &[Permission] = &[Permission::Create];

/// A server on which Root and Ann may create.
async fn listed() -> World {
    over(TempDir::new().unwrap()).await
}

async fn over(directory: TempDir) -> World {
    let creators = Some(vec!["root".to_owned(), "ann".to_owned()]);
    World::under(directory, Policy { creators, ..Policy::default() }).await
}

fn opaque() -> Object {
    Object::OpaqueObject(OpaqueObject {
        opaque_data_type: OpaqueDataType(0x8000_0001),
        opaque_data_value: vec![7; 9].into(),
    })
}

fn import(id: &str, replace: bool) -> Request {
    Request::Import(ImportRequest {
        unique_identifier: id.to_owned(),
        object_type: None,
        replace_existing: Some(replace),
        key_wrap_type: None,
        attributes: Attributes::new(),
        object: opaque(),
    })
}

fn create_pair(id: &str) -> Request {
    Request::CreateKeyPair(CreateKeyPairRequest {
        common_attributes: Some(Attributes(vec![
            Attribute::CryptographicAlgorithm(CryptographicAlgorithm::Ed25519),
            Attribute::CryptographicUsageMask(CryptographicUsageMask::Sign),
        ])),
        private_key_attributes: Some(Attributes(vec![Attribute::UniqueIdentifier(id.to_owned())])),
        ..CreateKeyPairRequest::default()
    })
}

/// Every way to make an object.
fn makers() -> Vec<(&'static str, Request)> {
    vec![
        ("Create", create("new-1", true)),
        ("Create Key Pair", create_pair("new-2")),
        (
            "Register",
            Request::Register(RegisterRequest {
                object_type: ObjectType::OpaqueObject,
                attributes: Attributes::new(),
                object: opaque(),
                protection_storage_masks: None,
            }),
        ),
        ("Import", import("new-3", false)),
        ("Import that would replace", import("new-4", true)),
        (
            "Re-key",
            Request::Rekey(RekeyRequest {
                unique_identifier: Some("key".into()),
                ..RekeyRequest::default()
            }),
        ),
        (
            "Re-key Key Pair",
            Request::RekeyKeyPair(RekeyKeyPairRequest {
                private_key_unique_identifier: Some("pair".into()),
                ..RekeyKeyPairRequest::default()
            }),
        ),
    ]
}

/// Which of the ways are refused to Bob, who owns what is replaced; all, or none.
async fn is_refused(world: &World) -> bool {
    let mut refused = Vec::new();
    for (name, request) in makers() {
        match world.ask("bob", request).await {
            Ok(_) => {}
            Err(ResultReason::PermissionDenied) => refused.push(name),
            Err(other) => panic!("{name}: {other:?}"),
        }
    }
    assert!(refused.is_empty() || refused.len() == makers().len(), "only {refused:?}");
    !refused.is_empty()
}

/// Bob's objects, from before there was a list.
async fn with_bobs_objects() -> TempDir {
    let world = World::new().await;
    world.aes("bob", "key", true).await;
    world.ask("bob", create_pair("pair")).await.unwrap();
    world.aes("eve", "eves", true).await;
    let World { service, directory, .. } = world;
    drop(service);
    directory
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_is_listed_makes_objects() {
    let world = over(with_bobs_objects().await).await;
    assert!(is_refused(&world).await);
    // What is replaced was there already.
    world.ask("bob", import("key", true)).await.unwrap();
    for user in ["root", "ann"] {
        world.ask(user, create(&format!("{user}s"), true)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_make_objects_learns_of_none() {
    let world = over(with_bobs_objects().await).await;
    world.aes("ann", "removed", false).await;
    let remove = DestroyRequest {
        unique_identifier: Some("removed".into()),
        remove: Some(true),
        ..DestroyRequest::default()
    };
    world.ask("ann", Request::Destroy(remove)).await.unwrap();
    let bob = Principal::new("bob");
    let mut answers = Vec::new();
    for id in ["eves", "none", "removed", "[x]", "*"] {
        let refused = world.service.perform(&bob, import(id, true)).await.unwrap_err();
        answers.push((refused.reason, refused.message));
    }
    let refused = world.service.perform(&bob, create("eves", true)).await.unwrap_err();
    answers.push((refused.reason, refused.message));
    assert_eq!(answers[0].0, ResultReason::PermissionDenied);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_listed_lets_others_create() {
    let ann = Principal::new("ann");
    for (user, id) in [("bob", None), ("Bob", Some("*")), ("*", None)] {
        let world = over(with_bobs_objects().await).await;
        world.service.grant(&ann, id, user, CREATE).await.unwrap();
        assert!(!is_refused(&world).await, "{user}");
    }
    let world = over(with_bobs_objects().await).await;
    let terms = Terms { permissions: CREATE, expires: Some(START + 10), note: Some("a trial") };
    world.service.grant_on(&ann, None, "bob", terms).await.unwrap();
    let root = Principal::new("root");
    let listed = Access {
        user: "bob".to_owned(),
        permissions: CREATE.to_vec(),
        expires: Some(START + 10),
        note: Some("a trial".to_owned()),
    };
    assert_eq!(world.service.accesses(&root, "*").await.unwrap(), [listed]);
    world.clock.set(START + 9);
    world.ask("bob", create("before", true)).await.unwrap();
    world.clock.set(START + 10);
    assert!(is_refused(&world).await);
    assert_eq!(world.service.accesses(&root, "*").await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_is_listed_lets_others_create() {
    let world = listed().await;
    let ann = Principal::new("ann");
    world.service.grant(&ann, None, "bob", CREATE).await.unwrap();
    let bob = Principal::new("bob");
    // Bob may create, and hand nothing on.
    for result in [
        world.service.grant(&bob, None, "eve", CREATE).await,
        world.service.grant(&bob, Some("*"), "eve", CREATE).await,
        world.service.withdraw(&bob, None, "eve", CREATE).await,
        world.service.accesses(&bob, "*").await.map(drop),
    ] {
        assert_eq!(result.unwrap_err().reason, ResultReason::PermissionDenied);
    }
    assert_eq!(
        world.ask("eve", create("eves", true)).await.err(),
        Some(ResultReason::PermissionDenied)
    );
    // Twice is once; withdrawing what is not there is no error.
    world.service.grant(&ann, None, "bob", CREATE).await.unwrap();
    world.service.withdraw(&ann, None, "eve", CREATE).await.unwrap();
    let root = Principal::new("root");
    world.service.withdraw(&root, None, "bob", CREATE).await.unwrap();
    assert_eq!(
        world.ask("bob", create("bobs", true)).await.err(),
        Some(ResultReason::PermissionDenied)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_right_to_create_is_refused_when_it_is_written_back() {
    let world = listed().await;
    let ann = Principal::new("ann");
    world.service.grant(&ann, None, "bob", CREATE).await.unwrap();
    let path = world.directory.path().join("kms.db");
    let before: (String, Vec<u8>) = rusqlite::Connection::open(path)
        .unwrap()
        .query_row("SELECT permissions, mac FROM read_access", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    world.service.withdraw(&ann, None, "bob", CREATE).await.unwrap();
    let world = world
        .reopen(|database| {
            let sql =
                "INSERT INTO read_access (id, userid, permissions, mac) VALUES ('*', ?, ?, ?)";
            database.execute(sql, rusqlite::params!["bob", before.0, before.1]).unwrap();
            database.execute(sql, rusqlite::params!["eve", before.0, vec![0_u8; 32]]).unwrap();
        })
        .await;
    for user in ["bob", "eve"] {
        let answer = world.ask(user, create("new", true)).await;
        assert_eq!(answer.err(), Some(ResultReason::PermissionDenied), "{user}");
    }
    // Nor is there a register that somebody wrote.
    let world = world
        .reopen(|database| {
            let sql = "UPDATE objects SET version = version - 1 WHERE id = '*'";
            assert_eq!(database.execute(sql, []).unwrap(), 1);
        })
        .await;
    let answer = world.ask("bob", create("new", true)).await;
    assert_eq!(answer.err(), Some(ResultReason::GeneralFailure));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_list_everybody_creates_and_nothing_is_stored() {
    let world = World::new().await;
    let bob = Principal::new("bob");
    for id in [None, Some("*")] {
        world.service.grant(&bob, id, "eve", CREATE).await.unwrap();
        world.service.withdraw(&bob, id, "eve", CREATE).await.unwrap();
        world.service.grant(&bob, id, "eve", CREATE).await.unwrap();
    }
    world.ask("eve", create("eves", true)).await.unwrap();
    let path = world.directory.path().join("kms.db");
    let database = rusqlite::Connection::open(path).unwrap();
    for table in ["read_access", "objects WHERE id = '*'"] {
        let count = format!("SELECT count(*) FROM {table}");
        let count: i64 = database.query_row(&count, [], |row| row.get(0)).unwrap();
        assert_eq!(count, 0, "{table}");
    }
    drop(database);
    // When there is a list, Eve is not on it.
    let World { service, directory, .. } = world;
    drop(service);
    let world = over(directory).await;
    assert_eq!(
        world.ask("eve", create("more", true)).await.err(),
        Some(ResultReason::PermissionDenied)
    );
}

/// Who was let create is told to those who are listed, and to nobody when nobody is.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_list_nobody_sees_who_was_let_create() {
    let world = listed().await;
    let ann = Principal::new("ann");
    world.service.grant(&ann, None, "bob", CREATE).await.unwrap();
    let World { service, directory, .. } = world;
    drop(service);
    let world = World::under(directory, Policy::default()).await;
    for user in ["eve", "bob", "ann"] {
        let seen = world.service.accesses(&Principal::new(user), "*").await.unwrap();
        assert_eq!(seen, [], "{user}");
    }
    // It counts again when there is a list again.
    let World { service, directory, .. } = world;
    drop(service);
    let world = over(directory).await;
    world.ask("bob", create("bobs", true)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_knows_of_the_rights_to_create_is_seen_by_nobody() {
    let world = listed().await;
    let ann = Principal::new("ann");
    for user in ["bob", "*"] {
        world.service.grant(&ann, None, user, CREATE).await.unwrap();
    }
    world.ask("bob", create("bobs", true)).await.unwrap();
    for user in ["bob", "ann", "", "*"] {
        let all = Request::Locate(LocateRequest {
            storage_status_mask: Some(StorageStatusMask(0xFF)),
            ..LocateRequest::default()
        });
        let Response::Locate(found) = world.ask(user, all).await.unwrap() else { panic!() };
        assert!(!found.unique_identifiers.iter().any(|id| id == "*"), "{user:?}");
        let id = || Some("*".into());
        for request in [
            Request::Get(GetRequest { unique_identifier: id(), ..GetRequest::default() }),
            Request::GetAttributes(GetAttributesRequest {
                unique_identifier: id(),
                names: Vec::new(),
            }),
            Request::Destroy(DestroyRequest { unique_identifier: id(), ..Default::default() }),
        ] {
            let answer = world.ask(user, request).await;
            assert_eq!(answer.err(), Some(ResultReason::ObjectNotFound), "{user:?}");
        }
        let who = Principal::new(user);
        assert_eq!(world.service.obtained(&who, None, 9).await.unwrap().items, [], "{user:?}");
        let owned = world.service.owned(&who, None, 9).await.unwrap().items;
        assert!(!owned.iter().any(|it| it.id == "*"), "{user:?}");
    }
    // Nor can one be made, nor written over.
    for request in [create("*", true), import("*", false), import("*", true)] {
        let answer = world.ask("ann", request).await;
        assert_eq!(answer.err(), Some(ResultReason::ObjectAlreadyExists));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_first_grants_at_one_time_are_both_made() {
    let world = listed().await;
    let ann = Principal::new("ann");
    let users: Vec<String> = (0..16).map(|number| format!("user-{number}")).collect();
    let grant = async |user: &str| world.service.grant(&ann, None, user, CREATE).await.unwrap();
    let mut rest = users.iter().map(String::as_str);
    let mut next = || rest.next().unwrap();
    for _ in 0..4 {
        tokio::join!(grant(next()), grant(next()), grant(next()), grant(next()));
    }
    let list = world.service.accesses(&ann, "*").await.unwrap();
    assert_eq!(list.len(), users.len());
    for user in &users {
        world.ask(user, create(&format!("of-{user}"), true)).await.unwrap();
    }
}
