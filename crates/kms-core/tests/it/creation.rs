//! Create, Create Key Pair, Re-key and Re-key Key Pair.

use kmip::attribute::{
    Attribute, Attributes, CryptographicDomainParameters, RevocationReason, VendorAttribute,
};
use kmip::enumerations::{
    CryptographicAlgorithm as Algorithm, CryptographicUsageMask, KeyFormatType, LinkType,
    ObjectType, ProtectionStorageMask, RecommendedCurve, ResultReason, RevocationReasonCode, State,
};
use kmip::object::{KeyValue, Object};
use kmip::operation::{
    CreateKeyPairRequest, CreateKeyPairResponse, CreateRequest, DestroyRequest, EncryptRequest,
    GetAttributesRequest, GetRequest, ProtectionStorageMasks, RekeyKeyPairRequest, RekeyRequest,
    Request, Response, RevokeRequest,
};
use kmip::wire::{Bytes, DateTime, Interval};

use super::{START, World, create};

async fn attributes(world: &World, id: &str) -> Attributes {
    let request = GetAttributesRequest { unique_identifier: Some(id.into()), names: Vec::new() };
    match world.ask("ann", Request::GetAttributes(request)).await.unwrap() {
        Response::GetAttributes(it) => it.attributes,
        other => panic!("{other:?}"),
    }
}

async fn get(world: &World, id: &str) -> Object {
    let request = GetRequest { unique_identifier: Some(id.into()), ..GetRequest::default() };
    match world.ask("ann", Request::Get(request)).await.unwrap() {
        Response::Get(it) => it.object,
        other => panic!("{other:?}"),
    }
}

async fn rekey(world: &World, id: &str, request: RekeyRequest) -> Result<String, ResultReason> {
    let request = RekeyRequest { unique_identifier: Some(id.into()), ..request };
    match world.ask("ann", Request::Rekey(request)).await? {
        Response::Rekey(it) => Ok(it.unique_identifier),
        other => panic!("{other:?}"),
    }
}

async fn pair(
    world: &World,
    request: CreateKeyPairRequest,
) -> Result<CreateKeyPairResponse, ResultReason> {
    match world.ask("ann", Request::CreateKeyPair(request)).await? {
        Response::CreateKeyPair(it) => Ok(it),
        other => panic!("{other:?}"),
    }
}

fn ec_pair(algorithm: Algorithm, curve: RecommendedCurve) -> CreateKeyPairRequest {
    let domain =
        CryptographicDomainParameters { qlength: Some(256), recommended_curve: Some(curve) };
    CreateKeyPairRequest {
        common_attributes: Some(Attributes(vec![
            Attribute::CryptographicAlgorithm(algorithm),
            Attribute::CryptographicDomainParameters(domain),
            Attribute::CryptographicUsageMask(CryptographicUsageMask::Unrestricted),
            Attribute::ActivationDate(DateTime(START)),
        ])),
        ..CreateKeyPairRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_created_key_says_what_it_is() {
    let world = World::new().await;
    world.aes("ann", "one", true).await;
    let told = attributes(&world, "one").await;
    assert_eq!(told.state(), Some(State::Active));
    assert_eq!(told.key_format_type(), Some(KeyFormatType::Raw));
    assert_eq!(told.cryptographic_length(), Some(256));
    assert!(told.digest().is_some());
    assert!(told.random_number_generator().is_some());
    let taken = world.ask("ann", create("one", true)).await.unwrap_err();
    assert_eq!(taken, ResultReason::ObjectAlreadyExists);
}

#[tokio::test(flavor = "multi_thread")]
async fn create_refuses_what_it_cannot_make() {
    type R = ResultReason;
    let world = World::new().await;
    let mask = || Attribute::CryptographicUsageMask(CryptographicUsageMask(0x0C));
    let algorithm = Attribute::CryptographicAlgorithm;
    let length = Attribute::CryptographicLength;
    let aes = || vec![algorithm(Algorithm::AES), length(128), mask()];
    let and = |extra: Attribute| {
        let mut all = aes();
        all.push(extra);
        all
    };
    let symmetric = ObjectType::SymmetricKey;
    for (object_type, attributes, reason) in [
        (symmetric, vec![length(128), mask()], R::InvalidMessage),
        (symmetric, vec![algorithm(Algorithm::AES), mask()], R::InvalidMessage),
        (symmetric, vec![algorithm(Algorithm::AES), length(128)], R::InvalidMessage),
        (symmetric, vec![algorithm(Algorithm::AES), length(77), mask()], R::InvalidAttributeValue),
        (symmetric, vec![algorithm(Algorithm::RSA), length(128), mask()], R::OperationNotSupported),
        (symmetric, and(Attribute::State(State::Active)), R::AttributeReadOnly),
        (symmetric, and(Attribute::QuantumSafe(true)), R::GeneralFailure),
        (symmetric, and(Attribute::UniqueIdentifier("_mine".into())), R::ObjectAlreadyExists),
        (ObjectType::PrivateKey, aes(), R::InvalidObjectType),
    ] {
        let shown = format!("{attributes:?}");
        let request = Request::Create(CreateRequest {
            object_type,
            attributes: Attributes(attributes),
            protection_storage_masks: None,
        });
        assert_eq!(world.ask("ann", request).await.unwrap_err(), reason, "{shown}");
    }
    let request = |masks| {
        Request::Create(CreateRequest {
            object_type: symmetric,
            attributes: Attributes(aes()),
            protection_storage_masks: Some(ProtectionStorageMasks { masks }),
        })
    };
    let hardware = vec![ProtectionStorageMask::Hardware];
    let refused = world.ask("ann", request(hardware)).await.unwrap_err();
    assert_eq!(refused, R::ProtectionStorageUnavailable);
    let either = vec![ProtectionStorageMask::Hardware, ProtectionStorageMask::Software];
    world.ask("ann", request(either)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn secret_data_is_random_bytes() {
    let world = World::new().await;
    let request = Request::Create(CreateRequest {
        object_type: ObjectType::SecretData,
        attributes: Attributes(vec![
            Attribute::UniqueIdentifier("seed".into()),
            Attribute::ActivationDate(DateTime(START)),
        ]),
        protection_storage_masks: None,
    });
    world.ask("ann", request).await.unwrap();
    let Object::SecretData(seed) = get(&world, "seed").await else { panic!("no secret data") };
    let Some(kmip::object::KeyMaterial::Bytes(bytes)) = seed.key_block.material() else {
        panic!("no bytes")
    };
    assert_eq!(bytes.len(), 32);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_kept_wrapped_under_a_key_that_the_caller_may_wrap_with() {
    let world = World::new().await;
    world.aes("ann", "kek", true).await;
    world.aes("bob", "bobs", true).await;
    let request = |kek: &str, id: &str| {
        let Request::Create(mut request) = create(id, true) else { panic!("no Create") };
        let wrapping = VendorAttribute::text("cosmian", "wrapping_key_id", kek.to_owned());
        request.attributes.add(Attribute::Vendor(wrapping));
        Request::Create(request)
    };
    world.ask("ann", request("kek", "wrapped")).await.unwrap();
    let Object::SymmetricKey(key) = get(&world, "wrapped").await else { panic!("no key") };
    assert!(key.key_block.key_wrapping_data.is_some());
    let Some(KeyValue::Wrapped(bytes)) = key.key_block.key_value else { panic!("not wrapped") };
    assert_eq!(bytes.len(), 40);
    let told = attributes(&world, "wrapped").await;
    assert_eq!(told.linked(LinkType::WrappingKeyLink), Some("kek"));
    let encrypt = Request::Encrypt(EncryptRequest {
        unique_identifier: Some("wrapped".into()),
        data: Some(Bytes(vec![1; 16])),
        ..EncryptRequest::default()
    });
    world.ask("ann", encrypt.clone()).await.unwrap();
    let revoke = Request::Revoke(RevokeRequest {
        unique_identifier: Some("kek".into()),
        revocation_reason: RevocationReason {
            revocation_reason_code: RevocationReasonCode::Superseded,
            revocation_message: None,
        },
        compromise_occurrence_date: None,
        cascade: None,
    });
    let destroy = Request::Destroy(DestroyRequest {
        unique_identifier: Some("kek".into()),
        ..DestroyRequest::default()
    });
    world.ask("ann", revoke).await.unwrap();
    world.ask("ann", destroy).await.unwrap();
    let refused = world.ask("ann", encrypt).await.unwrap_err();
    assert_eq!(refused, ResultReason::ObjectDestroyed, "without its wrapping key it is of no use");
    let refused = world.ask("ann", request("bobs", "other")).await.unwrap_err();
    assert_eq!(refused, ResultReason::ObjectNotFound, "another's key is no oracle");
}

#[tokio::test(flavor = "multi_thread")]
async fn pairs_on_every_curve() {
    type Form = KeyFormatType;
    let world = World::new().await;
    let transparent = (Form::TransparentECPrivateKey, Form::TransparentECPublicKey);
    let encoded = (Form::PKCS_8, Form::X_509);
    for (algorithm, curve, bits, (private, public)) in [
        (Algorithm::ECDH, RecommendedCurve::P_256, 256, transparent),
        (Algorithm::EC, RecommendedCurve::P_384, 384, transparent),
        (Algorithm::ECDSA, RecommendedCurve::P_521, 521, transparent),
        (Algorithm::ECDH, RecommendedCurve::SECP256K1, 256, transparent),
        (Algorithm::Ed25519, RecommendedCurve::CURVEED25519, 256, encoded),
        (Algorithm::ECDH, RecommendedCurve::CURVE25519, 256, encoded),
    ] {
        let made = pair(&world, ec_pair(algorithm, curve)).await.unwrap();
        let (sk, pk) = (made.private_key_unique_identifier, made.public_key_unique_identifier);
        let told = attributes(&world, &sk).await;
        assert_eq!(told.key_format_type(), Some(private), "{curve:?}");
        assert_eq!(told.cryptographic_algorithm(), Some(algorithm), "{curve:?}");
        assert_eq!(told.cryptographic_length(), Some(bits), "{curve:?}");
        assert_eq!(told.linked(LinkType::PublicKeyLink), Some(pk.as_str()), "{curve:?}");
        let told = attributes(&world, &pk).await;
        assert_eq!(told.key_format_type(), Some(public), "{curve:?}");
        assert_eq!(told.linked(LinkType::PrivateKeyLink), Some(sk.as_str()), "{curve:?}");
        assert_eq!(get(&world, &pk).await.object_type(), ObjectType::PublicKey);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halfs_own_attributes_count_before_the_common_ones() {
    let world = World::new().await;
    let mut request = ec_pair(Algorithm::ECDSA, RecommendedCurve::P_256);
    let sign = CryptographicUsageMask::Sign;
    let own = |id: &str, name: &str, mask| {
        Some(Attributes(vec![
            Attribute::UniqueIdentifier(id.to_owned()),
            Attribute::Name(name.into()),
            Attribute::CryptographicUsageMask(mask),
        ]))
    };
    request.private_key_attributes = own("sk", "private", sign);
    request.public_key_attributes = own("pk", "public", CryptographicUsageMask::Verify);
    let made = pair(&world, request).await.unwrap();
    assert_eq!(made.public_key_unique_identifier, "pk");
    let told = attributes(&world, "sk").await;
    assert_eq!(told.cryptographic_usage_mask(), Some(sign));
    assert_eq!(told.names().map(|it| it.value.as_str()).collect::<Vec<_>>(), ["private"]);
    let told = attributes(&world, "pk").await;
    assert_eq!(told.cryptographic_usage_mask(), Some(CryptographicUsageMask::Verify));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rekeyed_key_hands_over_names_and_dates() {
    let world = World::new().await;
    world.aes("ann", "old", true).await;
    world.clock.set(START + 1_000);
    let wanted = Attributes(vec![Attribute::Name("another".into())]);
    let request = RekeyRequest { attributes: Some(wanted), ..RekeyRequest::default() };
    let new = rekey(&world, "old", request).await.unwrap();
    let (before, after) = (attributes(&world, "old").await, attributes(&world, &new).await);
    assert_eq!(before.names().count(), 0);
    let names: Vec<_> = after.names().map(|it| it.value.as_str()).collect();
    assert_eq!(names, ["name of old", "another"]);
    assert_eq!(before.linked(LinkType::ReplacementObjectLink), Some(new.as_str()));
    assert_eq!(after.linked(LinkType::ReplacedObjectLink), Some("old"));
    assert_eq!(after.activation_date(), Some(DateTime(START)));
    assert_eq!(after.initial_date(), Some(DateTime(START + 1_000)));
    assert_eq!(after.state(), Some(State::Active));
    assert_eq!(after.cryptographic_usage_mask(), before.cryptographic_usage_mask());
    assert_ne!(after.digest(), before.digest());
    let again = rekey(&world, "old", RekeyRequest::default()).await.unwrap_err();
    assert_eq!(again, ResultReason::IllegalOperation);
    rekey(&world, &new, RekeyRequest::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_moves_all_dates() {
    let world = World::new().await;
    let Request::Create(mut request) = create("old", true) else { panic!("no Create") };
    request.attributes.add(Attribute::ProtectStopDate(DateTime(START + 50)));
    request.attributes.add(Attribute::DeactivationDate(DateTime(START + 100)));
    world.ask("ann", Request::Create(request)).await.unwrap();
    world.clock.set(START + 500);
    assert_eq!(attributes(&world, "old").await.state(), Some(State::Deactivated));
    let request = RekeyRequest { offset: Some(Interval(10)), ..RekeyRequest::default() };
    let new = rekey(&world, "old", request).await.unwrap();
    let told = attributes(&world, &new).await;
    assert_eq!(told.state(), Some(State::PreActive));
    assert_eq!(told.activation_date(), Some(DateTime(START + 510)));
    assert_eq!(told.protect_stop_date(), Some(DateTime(START + 560)));
    assert_eq!(told.deactivation_date(), Some(DateTime(START + 610)));
    world.clock.set(START + 510);
    assert_eq!(attributes(&world, &new).await.state(), Some(State::Active));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rekeyed_pair_is_a_pair() {
    let world = World::new().await;
    let mut request = ec_pair(Algorithm::ECDH, RecommendedCurve::P_256);
    request.private_key_attributes = Some(Attributes(vec![
        Attribute::UniqueIdentifier("sk".into()),
        Attribute::Name("the pair".into()),
    ]));
    pair(&world, request).await.unwrap();
    let request = RekeyKeyPairRequest {
        private_key_unique_identifier: Some("sk".into()),
        ..RekeyKeyPairRequest::default()
    };
    let response = world.ask("ann", Request::RekeyKeyPair(request.clone())).await.unwrap();
    let Response::RekeyKeyPair(made) = response else { panic!("another response") };
    let (sk, pk) = (&made.private_key_unique_identifier, &made.public_key_unique_identifier);
    let private = attributes(&world, sk).await;
    assert_eq!(private.linked(LinkType::PublicKeyLink), Some(pk.as_str()));
    assert_eq!(private.linked(LinkType::ReplacedObjectLink), Some("sk"));
    assert_eq!(private.names().count(), 1);
    let public = attributes(&world, pk).await;
    assert_eq!(public.linked(LinkType::PrivateKeyLink), Some(sk.as_str()));
    assert_eq!(public.linked(LinkType::ReplacedObjectLink), Some("sk_pk"));
    let old = attributes(&world, "sk").await;
    assert_eq!(old.linked(LinkType::ReplacementObjectLink), Some(sk.as_str()));
    assert_eq!(old.linked(LinkType::PublicKeyLink), Some("sk_pk"), "the old pair stays a pair");
    assert_eq!(old.names().count(), 0);
    let again = world.ask("ann", Request::RekeyKeyPair(request)).await.unwrap_err();
    assert_eq!(again, ResultReason::IllegalOperation);
}
