//! Usage Limits: each use is counted, what exceeds them is refused, and what is left is told.

use kmip::attribute::{Attribute, Attributes, CryptographicParameters, Indexed, UsageLimits};
use kmip::enumerations::{
    BlockCipherMode, CryptographicAlgorithm, CryptographicUsageMask, KeyFormatType, ObjectType,
    ResultReason, UsageLimitsUnit, WrappingMethod,
};
use kmip::object::{EncryptionKeyInformation, KeyWrappingSpecification};
use kmip::operation::{
    CreateRequest, EncryptRequest, GetAttributesRequest, GetRequest, RekeyRequest, Request,
    Response, SetAttributeRequest,
};
use kmip::wire::{Bytes, DateTime};

use super::{START, World};

fn limits(total: i64, unit: UsageLimitsUnit) -> UsageLimits {
    // What a client says of the Count is ignored.
    UsageLimits { usage_limits_total: total, usage_limits_count: Some(9), usage_limits_unit: unit }
}

async fn limited(world: &World, id: &str, total: i64, unit: UsageLimitsUnit) {
    let request = CreateRequest {
        object_type: ObjectType::SymmetricKey,
        attributes: Attributes(vec![
            Attribute::CryptographicAlgorithm(CryptographicAlgorithm::AES),
            Attribute::CryptographicLength(256),
            Attribute::CryptographicUsageMask(CryptographicUsageMask(0x3C)),
            Attribute::UniqueIdentifier(id.to_owned()),
            Attribute::ActivationDate(DateTime(START)),
            Attribute::UsageLimits(limits(total, unit)),
        ]),
        protection_storage_masks: None,
    };
    world.ask("ann", Request::Create(request)).await.unwrap();
}

async fn encrypt(
    world: &World,
    id: &str,
    length: usize,
    part: (Option<bool>, Option<Bytes>, Option<bool>),
) -> Result<Option<Bytes>, ResultReason> {
    let request = EncryptRequest {
        unique_identifier: Some(id.into()),
        data: Some(Bytes(vec![7; length])),
        init_indicator: part.0,
        correlation_value: part.1,
        final_indicator: part.2,
        ..EncryptRequest::default()
    };
    match world.ask("ann", Request::Encrypt(request)).await? {
        Response::Encrypt(it) => Ok(it.correlation_value),
        other => panic!("{other:?}"),
    }
}

async fn whole(world: &World, id: &str, length: usize) -> Result<(), ResultReason> {
    encrypt(world, id, length, (None, None, None)).await.map(|_| ())
}

async fn left(world: &World, id: &str) -> Option<i64> {
    let request = GetAttributesRequest { unique_identifier: Some(id.into()), names: Vec::new() };
    match world.ask("ann", Request::GetAttributes(request)).await.unwrap() {
        Response::GetAttributes(it) => it.attributes.usage_limits().unwrap().usage_limits_count,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn bytes_are_counted_until_they_are_used_up() {
    let world = World::new().await;
    limited(&world, "key", 16, UsageLimitsUnit::Byte).await;
    assert_eq!(left(&world, "key").await, Some(16));
    assert_eq!(whole(&world, "key", 17).await, Err(ResultReason::PermissionDenied));
    assert_eq!(left(&world, "key").await, Some(16), "what was refused used nothing");
    whole(&world, "key", 10).await.unwrap();
    whole(&world, "key", 6).await.unwrap();
    assert_eq!(left(&world, "key").await, Some(0));
    assert_eq!(whole(&world, "key", 1).await, Err(ResultReason::PermissionDenied));
    // It is on disk, and not in memory alone.
    let world = world.reopen(|_| {}).await;
    assert_eq!(whole(&world, "key", 1).await, Err(ResultReason::PermissionDenied));
}

#[tokio::test]
async fn parts_count_their_bytes_and_one_object() {
    let world = World::new().await;
    limited(&world, "bytes", 16, UsageLimitsUnit::Byte).await;
    let stream = encrypt(&world, "bytes", 10, (Some(true), None, None)).await.unwrap();
    let beyond = encrypt(&world, "bytes", 10, (None, stream, Some(true))).await;
    assert_eq!(beyond, Err(ResultReason::PermissionDenied));

    limited(&world, "objects", 2, UsageLimitsUnit::Object).await;
    let stream = encrypt(&world, "objects", 10, (Some(true), None, None)).await.unwrap();
    encrypt(&world, "objects", 10, (None, stream, Some(true))).await.unwrap();
    assert_eq!(left(&world, "objects").await, Some(1));
    whole(&world, "objects", 1000).await.unwrap();
    assert_eq!(whole(&world, "objects", 1).await, Err(ResultReason::PermissionDenied));
}

#[tokio::test]
async fn a_key_that_wraps_is_used_by_it() {
    let world = World::new().await;
    limited(&world, "wrapping", 1, UsageLimitsUnit::Object).await;
    world.aes("ann", "wrapped", true).await;
    let get = || {
        Request::Get(GetRequest {
            unique_identifier: Some("wrapped".into()),
            key_format_type: Some(KeyFormatType::Raw),
            key_wrapping_specification: Some(Box::new(KeyWrappingSpecification {
                wrapping_method: WrappingMethod::Encrypt,
                encryption_key_information: Some(EncryptionKeyInformation {
                    unique_identifier: "wrapping".into(),
                    cryptographic_parameters: None,
                }),
                mac_signature_key_information: None,
                attribute_names: Vec::new(),
                encoding_option: None,
            })),
            ..GetRequest::default()
        })
    };
    world.ask("ann", get()).await.unwrap();
    assert_eq!(world.ask("ann", get()).await.err(), Some(ResultReason::PermissionDenied));
}

#[tokio::test]
async fn nonces_drawn_for_wrapping_are_counted() {
    let world = World::new().await;
    world.aes("ann", "wrapped", true).await;
    for (id, mode) in [("plain", None), ("gcm", Some(BlockCipherMode::GCM))] {
        world.aes("ann", id, true).await;
        let parameters = CryptographicParameters {
            block_cipher_mode: mode,
            ..CryptographicParameters::default()
        };
        let get = GetRequest {
            unique_identifier: Some("wrapped".into()),
            key_wrapping_specification: Some(Box::new(KeyWrappingSpecification {
                wrapping_method: WrappingMethod::Encrypt,
                encryption_key_information: Some(EncryptionKeyInformation {
                    unique_identifier: id.into(),
                    cryptographic_parameters: Some(parameters),
                }),
                mac_signature_key_information: None,
                attribute_names: Vec::new(),
                encoding_option: None,
            })),
            ..GetRequest::default()
        };
        world.ask("ann", Request::Get(get)).await.unwrap();
    }
    let mut counted = Vec::new();
    drop(
        world
            .reopen(|database| {
                let mut rows = database.prepare("SELECT id FROM usage").unwrap();
                let rows = rows.query_map([], |row| row.get::<_, String>(0)).unwrap();
                counted = rows.map(Result::unwrap).collect();
            })
            .await,
    );
    assert_eq!(counted, ["gcm"]);
}

#[tokio::test]
async fn limits_change_only_before_they_are_used_and_a_replacement_has_its_own() {
    let world = World::new().await;
    limited(&world, "key", 16, UsageLimitsUnit::Byte).await;
    let set = |total| {
        let attribute = Attribute::UsageLimits(limits(total, UsageLimitsUnit::Byte));
        Request::SetAttribute(SetAttributeRequest {
            unique_identifier: Some("key".into()),
            new_attribute: Indexed { index: None, attribute },
        })
    };
    world.ask("ann", set(20)).await.unwrap();
    assert_eq!(left(&world, "key").await, Some(20));
    assert_eq!(world.ask("ann", set(-1)).await.err(), Some(ResultReason::InvalidAttributeValue));
    whole(&world, "key", 5).await.unwrap();
    assert_eq!(world.ask("ann", set(1000)).await.err(), Some(ResultReason::AttributeReadOnly));
    assert_eq!(left(&world, "key").await, Some(15));
    let rekey = RekeyRequest { unique_identifier: Some("key".into()), ..RekeyRequest::default() };
    let new = match world.ask("ann", Request::Rekey(rekey)).await.unwrap() {
        Response::Rekey(it) => it.unique_identifier,
        other => panic!("{other:?}"),
    };
    assert_eq!(left(&world, &new).await, Some(20));
}

#[tokio::test]
async fn uses_at_once_are_all_counted() {
    let world = World::new().await;
    limited(&world, "key", 20, UsageLimitsUnit::Object).await;
    let uses = (0..30).map(|_| whole(&world, "key", 8));
    let answers = futures_join(uses).await;
    assert_eq!(answers.iter().filter(|it| it.is_ok()).count(), 20, "{answers:?}");
    assert!(answers.iter().all(|it| matches!(it, Ok(()) | Err(ResultReason::PermissionDenied))));
}

/// All of them at once, on this task.
async fn futures_join<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut pending: Vec<_> = all.map(|it| (Box::pin(it), None)).collect();
    std::future::poll_fn(|cx| {
        for (future, answer) in &mut pending {
            if answer.is_none()
                && let std::task::Poll::Ready(it) = future.as_mut().poll(cx)
            {
                *answer = Some(it);
            }
        }
        let ready = pending.iter().all(|(_, answer)| answer.is_some());
        if ready { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    pending.into_iter().filter_map(|(_, answer)| answer).collect()
}
