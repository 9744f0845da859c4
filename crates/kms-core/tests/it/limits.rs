//! What one caller can cost or spoil for others: sizes, counts, races, links and tags.

use kmip::Version;
use kmip::attribute::{
    Attribute, AttributeName, Attributes, CryptographicParameters, Link, VendorAttribute,
};
use kmip::enumerations::{
    BatchErrorContinuationOption as On, BlockCipherMode, LinkType, ObjectType, OpaqueDataType,
    ResultReason, ResultStatus, RevocationReasonCode, State,
};
use kmip::message::{RequestHeader, RequestItem, RequestMessage, ResponseItem};
use kmip::object::{Object, OpaqueObject};
use kmip::operation::{
    AddAttributeRequest, DecryptRequest, DeleteAttributeRequest, EncryptRequest,
    GetAttributesRequest, GetRequest, LocateRequest, RegisterRequest, Request, Response,
    RevokeRequest, SetAttributeRequest,
};
use kmip::wire::{Bytes, DateTime};
use kms_core::{Permission, Principal};

use super::{START, World, create};

async fn batch(world: &World, on: On, requests: Vec<Request>) -> Vec<ResponseItem> {
    let count = i32::try_from(requests.len()).unwrap();
    let mut header = RequestHeader::new(Version::V2_1, count);
    header.batch_error_continuation_option = Some(on);
    let items = requests.into_iter().map(RequestItem::new).collect();
    world.service.execute(&Principal::new("ann"), RequestMessage { header, items }).await.items
}

fn get(id: Option<&str>) -> Request {
    Request::Get(GetRequest { unique_identifier: id.map(Into::into), ..GetRequest::default() })
}

fn encrypt(id: &str) -> Request {
    Request::Encrypt(EncryptRequest {
        unique_identifier: Some(id.into()),
        data: Some(Bytes(b"text".to_vec())),
        ..EncryptRequest::default()
    })
}

fn set(id: &str, attribute: Attribute) -> Request {
    Request::SetAttribute(SetAttributeRequest {
        unique_identifier: Some(id.into()),
        new_attribute: attribute.into(),
    })
}

async fn state(world: &World, id: &str) -> State {
    let request = Request::GetAttributes(GetAttributesRequest {
        unique_identifier: Some(id.into()),
        names: Vec::new(),
    });
    match world.ask("ann", request).await.unwrap() {
        Response::GetAttributes(it) => it.attributes.state().unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_does_not_tell_whether_a_foreign_object_exists() {
    let world = World::new().await;
    world.aes("ann", "foreign", true).await;
    for (id, linked) in [("one", "foreign"), ("two", "nowhere")] {
        world.aes("bob", id, true).await;
        let link = Attribute::Link(Link {
            link_type: LinkType::PublicKeyLink,
            linked_object_identifier: linked.into(),
        });
        let add = Request::AddAttribute(AddAttributeRequest {
            unique_identifier: Some(id.into()),
            attribute: link.into(),
        });
        world.ask("bob", add).await.unwrap();
        let revoke = Request::Revoke(RevokeRequest {
            unique_identifier: Some(id.into()),
            revocation_reason: kmip::attribute::RevocationReason {
                revocation_reason_code: RevocationReasonCode::KeyCompromise,
                revocation_message: None,
            },
            compromise_occurrence_date: None,
            cascade: Some(true),
        });
        assert!(world.ask("bob", revoke).await.is_ok(), "{linked}");
    }
    assert_eq!(state(&world, "foreign").await, State::Active);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_was_reached_is_not_left_by_changing_its_date() {
    let world = World::new().await;
    world.aes("ann", "key", true).await;
    let end = Attribute::DeactivationDate(DateTime(START + 10));
    world.ask("ann", set("key", end)).await.unwrap();
    world.aes("ann", "later", false).await;
    let begin = Attribute::ActivationDate(DateTime(START + 10));
    world.ask("ann", set("later", begin)).await.unwrap();
    world.clock.set(START + 20);
    let comment = Attribute::Comment("seen".to_owned());
    world.ask("ann", set("key", comment.clone())).await.unwrap();
    world.ask("ann", set("later", comment)).await.unwrap();
    // The clock is set back: what was reached stays reached.
    world.clock.set(START + 5);
    assert_eq!(state(&world, "key").await, State::Deactivated);
    assert_eq!(state(&world, "later").await, State::Active);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_refused_before_they_are_too_long_for_the_database() {
    let world = World::new().await;
    let ann = Principal::new("ann");
    register(&world, &"k".repeat(255), 1).await.unwrap();
    let long = register(&world, &"k".repeat(256), 1).await;
    assert_eq!(long.err(), Some(ResultReason::ObjectAlreadyExists));
    world.aes("ann", "key", true).await;
    let grant = |user: String| {
        let service = &world.service;
        let ann = &ann;
        async move { service.grant(ann, Some("key"), &user, &[Permission::Get]).await }
    };
    grant("u".repeat(255)).await.unwrap();
    let refused = grant("u".repeat(256)).await.unwrap_err();
    assert_eq!(refused.reason, ResultReason::InvalidField);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locate_without_one_result_leaves_no_object_to_go_on_with() {
    let world = World::new().await;
    let none = Request::Locate(LocateRequest {
        attributes: Attributes(vec![Attribute::Name("no such name".into())]),
        ..LocateRequest::default()
    });
    let items = batch(&world, On::Continue, vec![create("key", true), none, get(None)]).await;
    assert_eq!(items[1].status, ResultStatus::Success);
    assert_eq!(items[2].reason, Some(ResultReason::InvalidMessage), "not the key made before");
}

async fn register(world: &World, id: &str, length: usize) -> Result<Response, ResultReason> {
    let object = Object::OpaqueObject(OpaqueObject {
        opaque_data_type: OpaqueDataType(0x8000_0001),
        opaque_data_value: vec![7; length].into(),
    });
    let register = Request::Register(RegisterRequest {
        object_type: ObjectType::OpaqueObject,
        attributes: Attributes(vec![Attribute::UniqueIdentifier(id.to_owned())]),
        object,
        protection_storage_masks: None,
    });
    world.ask("ann", register).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_does_not_multiply_a_large_object() {
    let world = World::new().await;
    register(&world, "large", 16 << 20).await.unwrap();
    let requests = || (0..8).map(|_| get(Some("large"))).collect::<Vec<_>>();
    let items = batch(&world, On::Continue, requests()).await;
    let good = items.iter().filter(|it| it.status == ResultStatus::Success).count();
    assert_eq!(good, 4, "64 MiB and no more");
    assert_eq!(items[7].reason, Some(ResultReason::ResponseTooLarge));
    let mut undo = requests();
    undo.insert(0, create("new", true));
    let items = batch(&world, On::Undo, undo).await;
    assert_eq!(items[0].status, ResultStatus::OperationUndone);
    assert_eq!(world.ask("ann", get(Some("new"))).await.err(), Some(ResultReason::ObjectNotFound));
}

fn tag(text: &str) -> Attribute {
    Attribute::Vendor(VendorAttribute::text("cosmian", "tag", text))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_share_does_not_stand_in_the_way_of_ones_own_tags() {
    let world = World::new().await;
    for (user, id) in [("ann", "hers"), ("eve", "trap")] {
        world.aes(user, id, true).await;
        world.ask(user, set(id, tag("[\"payroll\"]"))).await.unwrap();
    }
    let eve = Principal::new("eve");
    world.service.grant(&eve, Some("trap"), "ann", &[Permission::Encrypt]).await.unwrap();
    match world.ask("ann", encrypt("[\"payroll\"]")).await {
        Ok(Response::Encrypt(it)) => assert_eq!(it.unique_identifier, "hers"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_names_and_attributes_are_bounded() {
    let world = World::new().await;
    world.aes("ann", "key", true).await;
    let name =
        |number: usize| AttributeName::Vendor { vendor: "x".to_owned(), name: number.to_string() };
    let names = Request::GetAttributes(GetAttributesRequest {
        unique_identifier: Some("key".into()),
        names: (0..100_000).map(name).collect(),
    });
    assert_eq!(world.ask("ann", names).await.err(), Some(ResultReason::ServerLimitExceeded));
    let wanted = (0..1_000).map(|at| Attribute::Name(at.to_string().as_str().into())).collect();
    let locate = Request::Locate(LocateRequest { attributes: wanted, ..LocateRequest::default() });
    assert_eq!(world.ask("ann", locate).await.err(), Some(ResultReason::ServerLimitExceeded));
    // Each alone is short enough; all together are not.
    let mut last = Ok(());
    for number in 0..60 {
        let name = format!("note-{number}");
        let note = VendorAttribute::text("acme", name.as_str(), "n".repeat(60_000));
        last = world.ask("ann", set("key", Attribute::Vendor(note))).await.map(|_| ());
    }
    assert_eq!(last.err(), Some(ResultReason::ServerLimitExceeded));
    assert!(world.ask("ann", encrypt("key")).await.is_ok());
    let many: Vec<String> = (0..5_000).map(|at| format!("\"{at}\"")).collect();
    world.aes("ann", "tagged", true).await;
    let tags = set("tagged", tag(&format!("[{}]", many.join(","))));
    assert_eq!(world.ask("ann", tags).await.err(), Some(ResultReason::ServerLimitExceeded));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_short_nonce_is_drawn_where_two_that_are_equal_do_harm() {
    let world = World::new().await;
    world.aes("ann", "key", true).await;
    for (bits, good) in [(8, false), (64, false), (96, true), (128, true)] {
        let request = Request::Encrypt(EncryptRequest {
            unique_identifier: Some("key".into()),
            data: Some(Bytes(b"text".to_vec())),
            cryptographic_parameters: Some(CryptographicParameters {
                block_cipher_mode: Some(BlockCipherMode::GCM),
                iv_length: Some(bits),
                random_iv: Some(true),
                ..CryptographicParameters::default()
            }),
            ..EncryptRequest::default()
        });
        assert_eq!(world.ask("ann", request).await.is_ok(), good, "{bits}");
    }
}

async fn use_it(world: std::sync::Arc<World>) {
    for _ in 0..200 {
        assert!(world.ask("bob", encrypt("key")).await.is_ok(), "still granted");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn withdrawals_and_uses_that_cross_are_each_right() {
    let world = std::sync::Arc::new(World::new().await);
    world.aes("ann", "key", true).await;
    let ann = Principal::new("ann");
    for round in 0..30 {
        let all = [Permission::Encrypt, Permission::Get, Permission::Locate];
        world.service.grant(&ann, Some("key"), "bob", &all).await.unwrap();
        let using = tokio::spawn(use_it(std::sync::Arc::clone(&world)));
        // Two withdrawals of one user's grant at once, and neither is lost.
        let withdraw = |permission| {
            let world = std::sync::Arc::clone(&world);
            tokio::spawn(async move {
                let ann = Principal::new("ann");
                world.service.withdraw(&ann, Some("key"), "bob", &[permission]).await.unwrap();
            })
        };
        let (one, two) = (withdraw(Permission::Get), withdraw(Permission::Locate));
        one.await.unwrap();
        two.await.unwrap();
        using.await.unwrap();
        let left = world.service.accesses(&ann, "key").await.unwrap();
        assert_eq!(left[0].permissions, [Permission::Encrypt], "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_date_that_has_come_is_not_deleted_back_into_the_past() {
    let world = World::new().await;
    world.aes("ann", "key", true).await;
    let end = Attribute::DeactivationDate(DateTime(START + 10));
    world.ask("ann", set("key", end)).await.unwrap();
    world.clock.set(START + 20);
    let delete = Request::DeleteAttribute(DeleteAttributeRequest {
        unique_identifier: Some("key".into()),
        name: Some(AttributeName::Kind(kmip::attribute::AttributeKind::DeactivationDate)),
        ..DeleteAttributeRequest::default()
    });
    assert!(world.ask("ann", delete).await.is_err());
    assert_eq!(state(&world, "key").await, State::Deactivated);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_together_hold_back_no_more_than_is_allowed() {
    let world = World::new().await;
    world.aes("ann", "key", true).await;
    let begin = || {
        Request::Decrypt(DecryptRequest {
            unique_identifier: Some("key".into()),
            data: Some(Bytes(vec![7; 15 << 20])),
            iv_counter_nonce: Some(Bytes(vec![0; 12])),
            init_indicator: Some(true),
            ..DecryptRequest::default()
        })
    };
    for _ in 0..8 {
        world.ask("ann", begin()).await.unwrap();
    }
    assert_eq!(world.ask("ann", begin()).await.err(), Some(ResultReason::ServerLimitExceeded));
    // Nobody goes on with them, and the clock being set back makes none of them live longer.
    world.clock.set(START - 1_000);
    assert!(world.ask("ann", begin()).await.is_ok());
}
