//! Who may do what: the golden matrix, grants, and what a stranger learns.

use kmip::enumerations::{ResultReason, RevocationReasonCode};
use kmip::operation::{
    DecryptRequest, DestroyRequest, EncryptRequest, GetAttributesRequest, GetRequest,
    LocateRequest, Request, Response, RevokeRequest,
};
use kmip::wire::Bytes;
use kms_core::{Permission, Principal};

use super::World;

#[test]
fn the_matrix_is_the_golden_one() {
    let golden = include_str!("../../../../docs/reference/access-matrix.md");
    let made = kms_core::access_matrix();
    assert!(golden == made, "docs/reference/access-matrix.md differs: run cargo xtask codegen");
}

fn requests(id: &str) -> Vec<(Permission, Request)> {
    let unique_identifier = Some(id.into());
    vec![
        (
            Permission::Get,
            Request::Get(GetRequest {
                unique_identifier: unique_identifier.clone(),
                ..GetRequest::default()
            }),
        ),
        (
            Permission::Locate,
            Request::GetAttributes(GetAttributesRequest {
                unique_identifier: unique_identifier.clone(),
                names: Vec::new(),
            }),
        ),
        (
            Permission::Encrypt,
            Request::Encrypt(EncryptRequest {
                unique_identifier: unique_identifier.clone(),
                data: Some(Bytes(b"text".to_vec())),
                ..EncryptRequest::default()
            }),
        ),
        (Permission::Revoke, revoke(id)),
        (
            Permission::Destroy,
            Request::Destroy(DestroyRequest { unique_identifier, ..DestroyRequest::default() }),
        ),
    ]
}

fn revoke(id: &str) -> Request {
    Request::Revoke(RevokeRequest {
        unique_identifier: Some(id.into()),
        revocation_reason: kmip::attribute::RevocationReason {
            revocation_reason_code: RevocationReasonCode::Unspecified,
            revocation_message: None,
        },
        compromise_occurrence_date: None,
        cascade: None,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_gets_the_answer_for_what_does_not_exist() {
    let world = World::new().await;
    world.aes("ann", "key", true).await;
    let bob = Principal::new("bob");
    for (_, request) in requests("key") {
        let real = world.service.perform(&bob, request).await.unwrap_err();
        assert_eq!(real.reason, ResultReason::ObjectNotFound);
        assert_eq!(real.message, "no object \"key\" that you may use");
    }
    for (_, request) in requests("none") {
        let missing = world.service.perform(&bob, request).await.unwrap_err();
        assert_eq!(missing.reason, ResultReason::ObjectNotFound);
        assert_eq!(missing.message, "no object \"none\" that you may use");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_permission_lets_in_its_own_operations_only() {
    let attributes = requests("key").remove(1).1;
    for (granted, _) in requests("key") {
        let world = World::new().await;
        world.aes("ann", "key", true).await;
        let ann = Principal::new("ann");
        world.service.grant(&ann, Some("key"), "bob", &[granted]).await.unwrap();
        assert!(world.ask("bob", attributes.clone()).await.is_ok(), "{granted:?}");
        for (needed, request) in requests("key") {
            if needed == Permission::Locate {
                continue;
            }
            let answer = world.ask("bob", request).await;
            if needed == granted {
                // An active key cannot be destroyed; that it says so shows that bob was let in.
                let allowed = answer.is_ok()
                    || (needed == Permission::Destroy
                        && answer == Err(ResultReason::WrongKeyLifecycleState));
                assert!(allowed, "{granted:?} {needed:?} {answer:?}");
            } else {
                assert_eq!(
                    answer.err(),
                    Some(ResultReason::ObjectNotFound),
                    "{granted:?} {needed:?}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_grant_is_refused_from_the_next_request_on() {
    let world = World::new().await;
    world.aes("ann", "key", true).await;
    let ann = Principal::new("ann");
    let encrypt = || requests("key").remove(2).1;
    let all = [Permission::Encrypt, Permission::Get];
    world.service.grant(&ann, Some("key"), "bob", &all).await.unwrap();
    world.service.grant(&ann, Some("key"), "*", &[Permission::Locate]).await.unwrap();
    assert!(world.ask("bob", encrypt()).await.is_ok());
    world.service.withdraw(&ann, Some("key"), "bob", &[Permission::Encrypt]).await.unwrap();
    assert_eq!(world.ask("bob", encrypt()).await.err(), Some(ResultReason::ObjectNotFound));
    // What else was granted, to him and to everybody, still holds.
    for (permission, request) in requests("key") {
        if matches!(permission, Permission::Get | Permission::Locate) {
            assert!(world.ask("bob", request).await.is_ok(), "{permission:?}");
        }
    }
    let list = world.service.accesses(&ann, "key").await.unwrap();
    let of = |user: &str| list.iter().find(|it| it.user == user).map(|it| it.permissions.clone());
    assert_eq!(of("bob"), Some(vec![Permission::Get]));
    assert_eq!(of("*"), Some(vec![Permission::Locate]));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_owner_grants_and_looks() {
    let world = World::new().await;
    world.aes("ann", "key", true).await;
    let bob = Principal::new("bob");
    let grant = world.service.grant(&bob, Some("key"), "eve", &[Permission::Get]).await;
    assert_eq!(grant.unwrap_err().reason, ResultReason::ObjectNotFound);
    assert!(world.service.accesses(&bob, "key").await.is_err());
    let ann = Principal::new("ann");
    assert!(world.service.grant(&ann, Some("key"), "ann", &[Permission::Get]).await.is_err());
    assert!(world.service.grant(&ann, Some("key"), "", &[Permission::Get]).await.is_err());
    // Twice is once, and taking back what is not there is no error.
    for _ in 0..2 {
        world.service.grant(&ann, Some("key"), "bob", &[Permission::Get]).await.unwrap();
    }
    for _ in 0..2 {
        world.service.withdraw(&ann, Some("key"), "bob", &[Permission::Get]).await.unwrap();
    }
    assert_eq!(world.service.accesses(&ann, "key").await.unwrap(), Vec::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn locate_finds_what_is_ones_own_or_granted() {
    let world = World::new().await;
    world.aes("ann", "a1", true).await;
    world.aes("ann", "a2", true).await;
    world.aes("bob", "b1", true).await;
    let ann = Principal::new("ann");
    world.service.grant(&ann, Some("a2"), "bob", &[Permission::Locate]).await.unwrap();
    world.service.grant(&ann, Some("a1"), "bob", &[Permission::Encrypt]).await.unwrap();
    let found = match world.ask("bob", Request::Locate(LocateRequest::default())).await.unwrap() {
        Response::Locate(it) => it,
        other => panic!("{other:?}"),
    };
    assert_eq!(found.unique_identifiers, ["a2", "b1"]);
    assert_eq!(found.located_items, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_key_is_no_oracle_for_wrapping() {
    let world = World::new().await;
    world.aes("ann", "kek", true).await;
    world.aes("bob", "key", true).await;
    let get = Request::Get(GetRequest {
        unique_identifier: Some("key".into()),
        key_wrapping_specification: Some(Box::new(kmip::object::KeyWrappingSpecification {
            wrapping_method: kmip::enumerations::WrappingMethod::Encrypt,
            encryption_key_information: Some(kmip::object::EncryptionKeyInformation {
                unique_identifier: "kek".into(),
                cryptographic_parameters: None,
            }),
            mac_signature_key_information: None,
            attribute_names: Vec::new(),
            encoding_option: None,
        })),
        ..GetRequest::default()
    });
    assert_eq!(world.ask("bob", get.clone()).await.err(), Some(ResultReason::ObjectNotFound));
    let ann = Principal::new("ann");
    world.service.grant(&ann, Some("kek"), "bob", &[Permission::Encrypt]).await.unwrap();
    let wrapped = world.ask("bob", get).await;
    assert!(matches!(wrapped, Ok(Response::Get(_))), "{wrapped:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identifier_of_another_is_refused_like_a_reserved_one() {
    let world = World::new().await;
    world.aes("ann", "taken", true).await;
    let bob = Principal::new("bob");
    let taken = world.service.perform(&bob, super::create("taken", true)).await.unwrap_err();
    let reserved = world.service.perform(&bob, super::create("[x]", true)).await.unwrap_err();
    assert_eq!(taken.reason, reserved.reason);
    assert_eq!(
        taken.message.replace("taken", "…"),
        reserved.message.replace("[x]", "…"),
        "the two must not be told apart"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn decrypt_is_not_encrypt() {
    let world = World::new().await;
    world.aes("ann", "key", true).await;
    let ann = Principal::new("ann");
    world.service.grant(&ann, Some("key"), "bob", &[Permission::Encrypt]).await.unwrap();
    let Response::Encrypt(sealed) = world.ask("bob", requests("key").remove(2).1).await.unwrap()
    else {
        panic!("not an answer to Encrypt")
    };
    let decrypt = Request::Decrypt(DecryptRequest {
        unique_identifier: Some("key".into()),
        data: sealed.data,
        iv_counter_nonce: sealed.iv_counter_nonce,
        authenticated_encryption_tag: sealed.authenticated_encryption_tag,
        ..DecryptRequest::default()
    });
    assert_eq!(world.ask("bob", decrypt.clone()).await.err(), Some(ResultReason::ObjectNotFound));
    let Response::Decrypt(open) = world.ask("ann", decrypt).await.unwrap() else {
        panic!("not an answer to Decrypt")
    };
    assert_eq!(open.data, Some(Bytes(b"text".to_vec())));
}
