//! What one caller can cost or spoil for others: sizes, counts, races, links and tags.

use kmip::Version;
use kmip::attribute::{
    Attribute, AttributeName, Attributes, CryptographicParameters, Link, VendorAttribute,
};
use kmip::enumerations::{
    BatchErrorContinuationOption as On, BlockCipherMode, CryptographicAlgorithm,
    CryptographicUsageMask, LinkType, ObjectType, OpaqueDataType, PaddingMethod, ResultReason,
    ResultStatus, RevocationReasonCode, State,
};
use kmip::message::{RequestHeader, RequestItem, RequestMessage, ResponseItem};
use kmip::object::{Object, OpaqueObject};
use kmip::operation::{
    AddAttributeRequest, CreateKeyPairRequest, DecryptRequest, DeleteAttributeRequest,
    DestroyRequest, EncryptRequest, GetAttributesRequest, GetRequest, ImportRequest, LocateRequest,
    ModifyAttributeRequest, RegisterRequest, RekeyRequest, Request, Response, RevokeRequest,
    SetAttributeRequest,
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
            cryptographic_parameters: Some(Box::new(CryptographicParameters {
                block_cipher_mode: Some(BlockCipherMode::GCM),
                iv_length: Some(bits),
                random_iv: Some(true),
                ..CryptographicParameters::default()
            })),
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

#[tokio::test(flavor = "multi_thread")]
async fn one_user_leaves_streams_to_others() {
    let world = World::new().await;
    let begin = || {
        Request::Encrypt(EncryptRequest {
            unique_identifier: Some("key".into()),
            data: Some(Bytes(b"text".to_vec())),
            init_indicator: Some(true),
            ..EncryptRequest::default()
        })
    };
    world.aes("ann", "key", true).await;
    let ann = Principal::new("ann");
    world.service.grant(&ann, Some("key"), "bob", &[Permission::Encrypt]).await.unwrap();
    for _ in 0..64 {
        world.ask("ann", begin()).await.unwrap();
    }
    assert_eq!(world.ask("ann", begin()).await.err(), Some(ResultReason::ServerLimitExceeded));
    assert!(world.ask("bob", begin()).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_an_operation_is_no_part_of_what_can_be_undone() {
    let world = World::new().await;
    world.aes("ann", "key", true).await;
    let begin = Request::Encrypt(EncryptRequest {
        unique_identifier: Some("key".into()),
        data: Some(Bytes(b"text".to_vec())),
        init_indicator: Some(true),
        ..EncryptRequest::default()
    });
    let items = batch(&world, On::Undo, vec![create("new", true), begin.clone()]).await;
    assert_eq!(items[0].status, ResultStatus::OperationUndone);
    assert_eq!(items[1].reason, Some(ResultReason::OperationNotSupported));
    let items = batch(&world, On::Stop, vec![create("new", true), begin]).await;
    assert_eq!(items[1].status, ResultStatus::Success);
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_mean_the_replacement_after_a_rekey() {
    let world = World::new().await;
    world.aes("ann", "old", true).await;
    world.ask("ann", set("old", tag("[\"payroll\"]"))).await.unwrap();
    let rekey = RekeyRequest { unique_identifier: Some("old".into()), ..RekeyRequest::default() };
    let Response::Rekey(new) = world.ask("ann", Request::Rekey(rekey)).await.unwrap() else {
        panic!("not an answer to Re-key")
    };
    for tags in ["[\"payroll\"]", "[\"payroll\",\"_kk\"]"] {
        match world.ask("ann", encrypt(tags)).await {
            Ok(Response::Encrypt(it)) => assert_eq!(it.unique_identifier, new.unique_identifier),
            other => panic!("{other:?}"),
        }
    }
    // Where nothing else has the tags, what was replaced is still found by them.
    world.ask("ann", set(&new.unique_identifier, tag("[\"other\"]"))).await.unwrap();
    match world.ask("ann", encrypt("[\"payroll\"]")).await {
        Ok(Response::Encrypt(it)) => assert_eq!(it.unique_identifier, "old"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_shared_with_so_many_and_no_more() {
    let world = World::new().await;
    world.aes("ann", "key", true).await;
    let ann = Principal::new("ann");
    world.service.grant(&ann, Some("key"), "bob", &[Permission::Get]).await.unwrap();
    let world = world
        .reopen(|database| {
            let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 9999) \
                       INSERT INTO read_access (id, userid, permissions, mac) \
                       SELECT 'key', 'u' || i, '[]', x'00' FROM n";
            assert_eq!(database.execute(sql, []).unwrap(), 9_999);
        })
        .await;
    let grant = |user| world.service.grant(&ann, Some("key"), user, &[Permission::Encrypt]);
    let refused = grant("carol").await.unwrap_err();
    assert_eq!(refused.reason, ResultReason::ServerLimitExceeded);
    grant("bob").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_own_tags_stay_when_a_clients_are_modified() {
    let world = World::new().await;
    world.aes("ann", "key", true).await;
    let modify = Request::ModifyAttribute(ModifyAttributeRequest {
        unique_identifier: Some("key".into()),
        current_attribute: None,
        new_attribute: tag("[\"_sk\",\"mine\"]").into(),
    });
    world.ask("ann", modify).await.unwrap();
    let locate = |text: &str| {
        Request::Locate(LocateRequest {
            attributes: Attributes(vec![tag(text)]),
            ..LocateRequest::default()
        })
    };
    for (text, expected) in [("[\"mine\",\"_kk\"]", 1), ("[\"_sk\"]", 0)] {
        let Response::Locate(it) = world.ask("ann", locate(text)).await.unwrap() else {
            panic!("not an answer to Locate")
        };
        assert_eq!(it.unique_identifiers.len(), expected, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_import_does_not_tell_a_foreign_object_from_none() {
    let world = World::new().await;
    world.aes("bob", "foreign", true).await;
    world.aes("ann", "removed", false).await;
    let destroy = Request::Destroy(DestroyRequest {
        unique_identifier: Some("removed".into()),
        remove: Some(true),
        ..DestroyRequest::default()
    });
    world.ask("ann", destroy).await.unwrap();
    for id in ["foreign", "removed", "_reserved"] {
        let import = Request::Import(ImportRequest {
            unique_identifier: id.to_owned(),
            object_type: Some(ObjectType::SymmetricKey),
            replace_existing: Some(true),
            key_wrap_type: None,
            attributes: Attributes::new(),
            object: Object::OpaqueObject(OpaqueObject {
                opaque_data_type: OpaqueDataType(0x8000_0001),
                opaque_data_value: vec![7].into(),
            }),
        });
        let refused = world.service.perform(&Principal::new("ann"), import).await.unwrap_err();
        assert_eq!(refused.reason, ResultReason::ObjectAlreadyExists, "{id}");
        assert!(refused.message.contains("cannot be used"), "{}", refused.message);
    }
}

/// How often a request is asked that should wait for another thread: on a busy machine the other
/// may be done before this one looks.
const TRIES: usize = 20;

/// Whether the answer is always there without waiting for another thread.
async fn at_once(world: &World, request: Request) -> bool {
    for _ in 0..TRIES {
        if !answered_at_once(world, request.clone()).await {
            return false;
        }
    }
    true
}

async fn answered_at_once(world: &World, request: Request) -> bool {
    let mut answer = std::pin::pin!(world.ask("ann", request));
    let mut polls = 0_usize;
    let answer = std::future::poll_fn(|cx| {
        polls += 1;
        answer.as_mut().poll(cx)
    });
    answer.await.unwrap();
    polls == 1
}

#[tokio::test]
async fn what_takes_long_is_not_computed_by_the_thread_that_answers() {
    let world = World::new().await;
    world.aes("ann", "key", true).await;
    let parameters = || CryptographicParameters {
        block_cipher_mode: Some(BlockCipherMode::ECB),
        padding_method: Some(PaddingMethod::PKCS5),
        ..CryptographicParameters::default()
    };
    for (length, expected) in [(1 << 10, true), (5 << 20, false)] {
        let encrypt = EncryptRequest {
            unique_identifier: Some("key".into()),
            data: Some(Bytes(vec![7; length])),
            cryptographic_parameters: Some(Box::new(parameters())),
            ..EncryptRequest::default()
        };
        assert_eq!(at_once(&world, Request::Encrypt(encrypt.clone())).await, expected, "{length}");
        let Response::Encrypt(sealed) = world.ask("ann", Request::Encrypt(encrypt)).await.unwrap()
        else {
            panic!("not an answer to Encrypt")
        };
        let decrypt = Request::Decrypt(DecryptRequest {
            unique_identifier: Some("key".into()),
            data: sealed.data,
            cryptographic_parameters: Some(Box::new(parameters())),
            ..DecryptRequest::default()
        });
        assert_eq!(at_once(&world, decrypt).await, expected, "{length}");
    }
    for (bits, expected) in [(2048, true), (3072, false)] {
        let pair = CreateKeyPairRequest {
            common_attributes: Some(Attributes(vec![
                Attribute::CryptographicAlgorithm(CryptographicAlgorithm::RSA),
                Attribute::CryptographicLength(bits),
                Attribute::CryptographicUsageMask(CryptographicUsageMask::Unrestricted),
                Attribute::ActivationDate(DateTime(START)),
            ])),
            ..CreateKeyPairRequest::default()
        };
        let Response::CreateKeyPair(made) =
            world.ask("ann", Request::CreateKeyPair(pair)).await.unwrap()
        else {
            panic!("not an answer to Create Key Pair")
        };
        let Response::Encrypt(sealed) =
            world.ask("ann", encrypt(&made.public_key_unique_identifier)).await.unwrap()
        else {
            panic!("not an answer to Encrypt")
        };
        let decrypt = Request::Decrypt(DecryptRequest {
            unique_identifier: Some(made.private_key_unique_identifier.as_str().into()),
            data: sealed.data,
            ..DecryptRequest::default()
        });
        assert_eq!(at_once(&world, decrypt).await, expected, "{bits}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callers_mistake_is_not_the_servers_fault_whatever_the_standard_calls_it() {
    let world = World::new().await;
    world.aes("ann", "key", true).await;
    let encrypt = Request::Encrypt(EncryptRequest {
        unique_identifier: Some("key".into()),
        data: Some(Bytes(b"text".to_vec())),
        cryptographic_parameters: Some(Box::new(CryptographicParameters {
            block_cipher_mode: Some(BlockCipherMode::GCM),
            tag_length: Some(5),
            ..CryptographicParameters::default()
        })),
        ..EncryptRequest::default()
    });
    let altered = "UPDATE objects SET object = x'00' WHERE id = 'key'";
    let ask = async |world: &World, request| {
        let header = RequestHeader::new(Version::V2_1, 1);
        let message = RequestMessage { header, items: vec![RequestItem::new(request)] };
        let answer = world.service.executed(&Principal::new("ann"), message).await;
        (answer.message.items[0].reason, answer.servers_fault)
    };
    let general = Some(ResultReason::GeneralFailure);
    assert_eq!(ask(&world, encrypt.clone()).await, (general, false));
    let world =
        world.reopen(|database| assert_eq!(database.execute(altered, []).unwrap(), 1)).await;
    assert_eq!(ask(&world, encrypt).await, (general, true));
}
