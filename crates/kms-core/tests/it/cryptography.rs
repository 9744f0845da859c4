//! Encrypt and Decrypt, whole and in parts, in every mechanism.

use kmip::Version;
use kmip::attribute::{Attribute, Attributes, CryptographicParameters as Parameters};
use kmip::enumerations::{
    BlockCipherMode as Mode, CryptographicAlgorithm as Algorithm, CryptographicUsageMask,
    HashingAlgorithm, ObjectType, PaddingMethod as Padding, ResultReason,
};
use kmip::message::{RequestHeader, RequestItem, RequestMessage};
use kmip::operation::{
    CreateKeyPairRequest, CreateRequest, DecryptRequest, DecryptResponse, EncryptRequest,
    EncryptResponse, Request, Response, RevokeRequest,
};
use kmip::wire::{Bytes, DateTime};
use kms_core::Principal;

use super::{START, World, create};

const TEXT: &[u8] = b"The quick brown fox jumps over the lazy dog";

async fn encrypt(world: &World, request: EncryptRequest) -> Result<EncryptResponse, ResultReason> {
    match world.ask("ann", Request::Encrypt(request)).await? {
        Response::Encrypt(it) => Ok(it),
        other => panic!("{other:?}"),
    }
}

async fn decrypt(world: &World, request: DecryptRequest) -> Result<DecryptResponse, ResultReason> {
    match world.ask("ann", Request::Decrypt(request)).await? {
        Response::Decrypt(it) => Ok(it),
        other => panic!("{other:?}"),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the fields that it fills are optional")]
fn bytes(data: &[u8]) -> Option<Bytes> {
    Some(Bytes(data.to_vec()))
}

#[expect(clippy::unnecessary_wraps, reason = "the fields that it fills are optional")]
fn parameters(mode: Option<Mode>, padding: Option<Padding>) -> Option<Parameters> {
    let empty = Parameters::default();
    Some(Parameters { block_cipher_mode: mode, padding_method: padding, ..empty })
}

/// A key of any algorithm.
async fn key(world: &World, id: &str, algorithm: Algorithm, bits: i32) {
    let request = CreateRequest {
        object_type: ObjectType::SymmetricKey,
        attributes: Attributes(vec![
            Attribute::CryptographicAlgorithm(algorithm),
            Attribute::CryptographicLength(bits),
            Attribute::CryptographicUsageMask(CryptographicUsageMask(0x0C)),
            Attribute::UniqueIdentifier(id.to_owned()),
            Attribute::ActivationDate(DateTime(START)),
        ]),
        protection_storage_masks: None,
    };
    world.ask("ann", Request::Create(request)).await.unwrap();
}

/// Encrypts and decrypts, finds a changed byte where there is a tag, and a missing IV.
async fn check(world: &World, id: &str, how: Option<Parameters>, (iv, tag): (usize, usize)) {
    let plain = if tag == 0 { &[7; 64] } else { TEXT };
    let request = EncryptRequest {
        unique_identifier: Some(id.into()),
        cryptographic_parameters: how.clone().map(Box::new),
        data: bytes(plain),
        ..EncryptRequest::default()
    };
    let sealed = encrypt(world, request).await.unwrap();
    assert_eq!(sealed.iv_counter_nonce.as_ref().map_or(0, |iv| iv.len()), iv, "{how:?}");
    let made = sealed.authenticated_encryption_tag.as_ref().map_or(0, |tag| tag.len());
    assert_eq!(made, tag, "{how:?}");
    assert_ne!(sealed.data.as_deref(), Some(plain), "{how:?}");
    let request = DecryptRequest {
        unique_identifier: Some(id.into()),
        cryptographic_parameters: how.clone().map(Box::new),
        data: sealed.data,
        // The field's clients send what they have not got as an empty byte string.
        iv_counter_nonce: sealed.iv_counter_nonce.or(bytes(&[])),
        authenticated_encryption_tag: sealed.authenticated_encryption_tag.or(bytes(&[])),
        ..DecryptRequest::default()
    };
    let opened = decrypt(world, request.clone()).await.unwrap();
    assert_eq!(opened.data.as_deref(), Some(plain), "{how:?}");
    if iv > 0 {
        let request = DecryptRequest { iv_counter_nonce: None, ..request.clone() };
        let refused = decrypt(world, request).await.unwrap_err();
        assert_eq!(refused, ResultReason::InvalidMessage, "{how:?}");
    }
    if tag > 0 {
        let mut request = request;
        let missing = DecryptRequest { authenticated_encryption_tag: None, ..request.clone() };
        let refused = decrypt(world, missing).await.unwrap_err();
        assert_eq!(refused, ResultReason::InvalidMessage, "{how:?}");
        request.data.as_mut().unwrap().0[0] ^= 1;
        let refused = decrypt(world, request).await.unwrap_err();
        assert_eq!(refused, ResultReason::CryptographicFailure, "{how:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_symmetric_mechanism_goes_there_and_back() {
    let world = World::new().await;
    for bits in [128, 192, 256] {
        let id = format!("aes-{bits}");
        key(&world, &id, Algorithm::AES, bits).await;
        check(&world, &id, None, (12, 16)).await;
        for (mode, padding, sizes) in [
            (Mode::GCM, None, (12, 16)),
            (Mode::CBC, None, (16, 0)),
            (Mode::CBC, Some(Padding::None), (16, 0)),
            (Mode::CTR, None, (16, 0)),
            (Mode::ECB, None, (0, 0)),
            (Mode::ECB, Some(Padding::PKCS5), (0, 0)),
            (Mode::NISTKeyWrap, None, (0, 0)),
            (Mode::AESKeyWrapPadding, None, (0, 0)),
        ] {
            check(&world, &id, parameters(Some(mode), padding), sizes).await;
        }
        if bits != 192 {
            check(&world, &id, parameters(Some(Mode::GCMSIV), None), (12, 16)).await;
        }
    }
    key(&world, "xts", Algorithm::AES, 512).await;
    check(&world, "xts", parameters(Some(Mode::XTS), None), (16, 0)).await;
    key(&world, "chacha", Algorithm::ChaCha20, 256).await;
    check(&world, "chacha", None, (12, 16)).await;
    key(&world, "poly", Algorithm::ChaCha20Poly1305, 256).await;
    check(&world, "poly", parameters(Some(Mode::AEAD), None), (12, 16)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rsa_goes_there_and_back() {
    let world = World::new().await;
    let request = CreateKeyPairRequest {
        common_attributes: Some(Attributes(vec![
            Attribute::CryptographicAlgorithm(Algorithm::RSA),
            Attribute::CryptographicLength(2048),
            // Unrestricted, and the private key's type for both halves: so do the field's clients.
            Attribute::CryptographicUsageMask(CryptographicUsageMask::Unrestricted),
            Attribute::ObjectType(ObjectType::PrivateKey),
            Attribute::ActivationDate(DateTime(START)),
        ])),
        private_key_attributes: Some(Attributes(vec![Attribute::UniqueIdentifier("rsa".into())])),
        ..CreateKeyPairRequest::default()
    };
    let Response::CreateKeyPair(made) =
        world.ask("ann", Request::CreateKeyPair(request)).await.unwrap()
    else {
        panic!("another response");
    };
    assert_eq!(made.private_key_unique_identifier, "rsa");
    assert_eq!(made.public_key_unique_identifier, "rsa_pk");
    let hash = |hash: HashingAlgorithm, mgf, padding| {
        Some(Parameters {
            hashing_algorithm: Some(hash),
            mask_generator_hashing_algorithm: mgf,
            p_source: bytes(b"label"),
            ..parameters(None, Some(padding)).unwrap()
        })
    };
    for how in [
        None,
        hash(HashingAlgorithm::SHA_1, None, Padding::OAEP),
        hash(HashingAlgorithm::SHA_384, Some(HashingAlgorithm::SHA_256), Padding::OAEP),
        hash(HashingAlgorithm::SHA_512, None, Padding::OAEP),
        hash(HashingAlgorithm::SHA_256, None, Padding::None),
        parameters(None, Some(Padding::PKCS1V1_5)),
    ] {
        let request = EncryptRequest {
            unique_identifier: Some("rsa_pk".into()),
            cryptographic_parameters: how.clone().map(Box::new),
            data: bytes(TEXT),
            ..EncryptRequest::default()
        };
        let sealed = encrypt(&world, request).await.unwrap();
        let mut request = DecryptRequest {
            unique_identifier: Some("rsa".into()),
            cryptographic_parameters: how.clone().map(Box::new),
            data: sealed.data,
            ..DecryptRequest::default()
        };
        let opened = decrypt(&world, request.clone()).await.unwrap();
        assert_eq!(opened.data.as_deref(), Some(TEXT), "{how:?}");
        request.data.as_mut().unwrap().0[9] ^= 1;
        let refused = decrypt(&world, request).await.unwrap_err();
        assert_eq!(refused, ResultReason::CryptographicFailure, "{how:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_or_unfit_is_refused() {
    type R = ResultReason;
    let world = World::new().await;
    key(&world, "aes", Algorithm::AES, 256).await;
    let id = Some("aes".into());
    let no_data = EncryptRequest { unique_identifier: id.clone(), ..EncryptRequest::default() };
    assert_eq!(encrypt(&world, no_data).await.unwrap_err(), R::InvalidMessage);
    let no_data = DecryptRequest {
        unique_identifier: id.clone(),
        iv_counter_nonce: bytes(&[1; 12]),
        authenticated_encryption_tag: bytes(&[1; 16]),
        ..DecryptRequest::default()
    };
    assert_eq!(decrypt(&world, no_data).await.unwrap_err(), R::InvalidMessage);
    let with = |how: Parameters, iv: &[u8], aad: &[u8]| EncryptRequest {
        unique_identifier: id.clone(),
        cryptographic_parameters: Some(Box::new(how)),
        data: bytes(TEXT),
        iv_counter_nonce: bytes(iv),
        authenticated_encryption_additional_data: bytes(aad),
        ..EncryptRequest::default()
    };
    let mode = |mode| parameters(Some(mode), None).unwrap();
    let tag = |length| Parameters { tag_length: Some(length), ..mode(Mode::GCM) };
    for (how, iv, aad, reason) in [
        (tag(1), &[1_u8; 12] as &[u8], &[] as &[u8], R::GeneralFailure),
        (tag(32), &[1; 12], &[], R::GeneralFailure),
        (mode(Mode::CBC), &[1; 12], &[], R::BadCryptographicParameters),
        (mode(Mode::CBC), &[1; 16], &[1], R::BadCryptographicParameters),
        (mode(Mode::ECB), &[], &[], R::InvalidField),
        (mode(Mode::ECB), &[1; 16], &[], R::BadCryptographicParameters),
        (mode(Mode::XTS), &[1; 16], &[], R::UnsupportedCryptographicParameters),
        (mode(Mode::NISTKeyWrap), &[1; 8], &[], R::BadCryptographicParameters),
        (mode(Mode::CCM), &[1; 12], &[], R::UnsupportedCryptographicParameters),
    ] {
        let refused = encrypt(&world, with(how.clone(), iv, aad)).await.unwrap_err();
        assert_eq!(refused, reason, "{how:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_given_iv_is_not_sent_back_and_a_short_tag_must_be_asked_for() {
    let world = World::new().await;
    key(&world, "aes", Algorithm::AES, 128).await;
    let request = EncryptRequest {
        unique_identifier: Some("aes".into()),
        data: bytes(TEXT),
        iv_counter_nonce: bytes(&[3; 8]),
        ..EncryptRequest::default()
    };
    let sealed = encrypt(&world, request).await.unwrap();
    assert_eq!(sealed.iv_counter_nonce, None);
    let tag = sealed.authenticated_encryption_tag.unwrap();
    let mut request = DecryptRequest {
        unique_identifier: Some("aes".into()),
        data: sealed.data,
        iv_counter_nonce: bytes(&[3; 8]),
        authenticated_encryption_tag: bytes(&tag[..12]),
        ..DecryptRequest::default()
    };
    let refused = decrypt(&world, request.clone()).await.unwrap_err();
    assert_eq!(refused, ResultReason::BadCryptographicParameters);
    request.cryptographic_parameters =
        Some(Box::new(Parameters { tag_length: Some(12), ..Parameters::default() }));
    assert_eq!(decrypt(&world, request).await.unwrap().data.as_deref(), Some(TEXT));
}

/// Before 1.4 no field holds the tag: it ends the data.
#[tokio::test(flavor = "multi_thread")]
async fn in_old_versions_the_tag_ends_the_data() {
    let world = World::new().await;
    key(&world, "aes", Algorithm::AES, 256).await;
    let run = |request: Request| {
        let header = RequestHeader::new(Version::V1_2, 1);
        let request = RequestMessage { header, items: vec![RequestItem::new(request)] };
        let world = &world;
        async move {
            let principal = Principal::new("ann");
            let mut response = world.service.execute(&principal, request).await;
            response.items.remove(0).response
        }
    };
    let sealed = run(Request::Encrypt(EncryptRequest {
        unique_identifier: Some("aes".into()),
        data: bytes(TEXT),
        ..EncryptRequest::default()
    }));
    let Some(Response::Encrypt(sealed)) = sealed.await else { panic!("another response") };
    assert_eq!(sealed.authenticated_encryption_tag, None);
    assert_eq!(sealed.data.as_ref().unwrap().len(), TEXT.len() + 16);
    let opened = run(Request::Decrypt(DecryptRequest {
        unique_identifier: Some("aes".into()),
        data: sealed.data,
        iv_counter_nonce: sealed.iv_counter_nonce,
        ..DecryptRequest::default()
    }));
    let Some(Response::Decrypt(opened)) = opened.await else { panic!("another response") };
    assert_eq!(opened.data.as_deref(), Some(TEXT));
}

/// Encrypts in parts; the IV, what came out, and the tag.
async fn encrypt_in_parts(world: &World, how: Option<Parameters>, parts: &[&[u8]]) -> Sealed {
    let mut sealed = Sealed::default();
    let last = parts.len() - 1;
    let mut correlation = None;
    for (place, part) in parts.iter().enumerate() {
        let request = EncryptRequest {
            unique_identifier: Some("aes".into()),
            cryptographic_parameters: how.clone().map(Box::new),
            data: bytes(part),
            correlation_value: correlation.take(),
            init_indicator: Some(place == 0),
            final_indicator: Some(place == last),
            ..EncryptRequest::default()
        };
        let response = encrypt(world, request).await.unwrap();
        assert_eq!(response.correlation_value.is_some(), place != last);
        correlation = response.correlation_value;
        sealed.data.extend(response.data.map(|it| it.0).unwrap_or_default());
        sealed.iv = sealed.iv.or(response.iv_counter_nonce);
        sealed.tag = response.authenticated_encryption_tag;
    }
    sealed
}

#[derive(Default)]
struct Sealed {
    iv: Option<Bytes>,
    data: Vec<u8>,
    tag: Option<Bytes>,
}

fn part(place: usize, data: &[u8], correlation: Option<Bytes>, last: bool) -> DecryptRequest {
    DecryptRequest {
        unique_identifier: Some("aes".into()),
        data: bytes(data),
        correlation_value: correlation,
        init_indicator: Some(place == 0),
        final_indicator: Some(last),
        ..DecryptRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_are_the_whole() {
    let world = World::new().await;
    key(&world, "aes", Algorithm::AES, 256).await;
    for mode in [Mode::GCM, Mode::GCMSIV, Mode::CBC, Mode::CTR] {
        let how = parameters(Some(mode), None);
        let (head, tail) = TEXT.split_at(17);
        let sealed = encrypt_in_parts(&world, how.clone(), &[head, b"", tail]).await;
        let whole = DecryptRequest {
            cryptographic_parameters: how.clone().map(Box::new),
            iv_counter_nonce: sealed.iv.clone(),
            authenticated_encryption_tag: sealed.tag.clone(),
            ..part(1, &sealed.data, None, false)
        };
        assert_eq!(decrypt(&world, whole).await.unwrap().data.as_deref(), Some(TEXT), "{mode:?}");
        let (head, tail) = sealed.data.split_at(16);
        let first = DecryptRequest {
            cryptographic_parameters: how.map(Box::new),
            iv_counter_nonce: sealed.iv,
            ..part(0, head, None, false)
        };
        let first = decrypt(&world, first).await.unwrap();
        let mut text = first.data.map(|it| it.0).unwrap_or_default();
        if sealed.tag.is_some() {
            assert!(text.is_empty(), "{mode:?} gave out what was not verified");
        }
        let last = DecryptRequest {
            authenticated_encryption_tag: sealed.tag,
            ..part(1, tail, first.correlation_value, true)
        };
        text.extend(decrypt(&world, last).await.unwrap().data.unwrap().0);
        assert_eq!(text, TEXT, "{mode:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_its_users_its_keys_and_ends() {
    type R = ResultReason;
    let world = World::new().await;
    key(&world, "aes", Algorithm::AES, 256).await;
    key(&world, "other", Algorithm::AES, 256).await;
    let begin = || EncryptRequest {
        unique_identifier: Some("aes".into()),
        data: bytes(TEXT),
        init_indicator: Some(true),
        ..EncryptRequest::default()
    };
    let next = |correlation: &Option<Bytes>, id: &str| EncryptRequest {
        unique_identifier: Some(id.into()),
        data: bytes(TEXT),
        correlation_value: correlation.clone(),
        final_indicator: Some(true),
        ..EncryptRequest::default()
    };
    let value = encrypt(&world, begin()).await.unwrap().correlation_value;
    let refused = |reason| assert_eq!(reason, R::InvalidCorrelationValue);
    refused(encrypt(&world, next(&value, "other")).await.unwrap_err());
    refused(encrypt(&world, next(&bytes(&[1; 16]), "aes")).await.unwrap_err());
    let decrypts = part(1, TEXT, value.clone(), true);
    refused(decrypt(&world, decrypts).await.unwrap_err());
    encrypt(&world, next(&value, "aes")).await.unwrap();
    refused(encrypt(&world, next(&value, "aes")).await.unwrap_err());

    let value = encrypt(&world, begin()).await.unwrap().correlation_value;
    world.clock.set(START + 3_600);
    refused(encrypt(&world, next(&value, "aes")).await.unwrap_err());

    let value = encrypt(&world, begin()).await.unwrap().correlation_value;
    let revoke = Request::Revoke(RevokeRequest {
        unique_identifier: Some("aes".into()),
        revocation_reason: kmip::attribute::RevocationReason {
            revocation_reason_code: kmip::enumerations::RevocationReasonCode::Superseded,
            revocation_message: None,
        },
        compromise_occurrence_date: None,
        cascade: None,
    });
    world.ask("ann", revoke).await.unwrap();
    let reason = encrypt(&world, next(&value, "aes")).await.unwrap_err();
    assert_eq!(reason, R::WrongKeyLifecycleState, "revoked in the middle");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_verified_is_held_back_within_bounds() {
    let world = World::new().await;
    key(&world, "aes", Algorithm::AES, 256).await;
    let mib = vec![1; 1 << 20];
    let first = DecryptRequest {
        iv_counter_nonce: bytes(&[1; 12]),
        authenticated_encryption_tag: bytes(&[1; 16]),
        ..part(0, &mib, None, false)
    };
    let mut correlation = decrypt(&world, first).await.unwrap().correlation_value;
    let mut parts = 1;
    let reason = loop {
        match decrypt(&world, part(1, &mib, correlation.clone(), false)).await {
            Ok(response) => correlation = response.correlation_value,
            Err(reason) => break reason,
        }
        parts += 1;
        assert!(parts <= 16, "held back {parts} MiB");
    };
    assert_eq!(reason, ResultReason::ServerLimitExceeded);
    assert_eq!(parts, 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn stranger_keys_do_not_exist() {
    let world = World::new().await;
    world.ask("bob", create("bobs", true)).await.unwrap();
    let request = EncryptRequest {
        unique_identifier: Some("bobs".into()),
        data: bytes(TEXT),
        ..EncryptRequest::default()
    };
    assert_eq!(encrypt(&world, request).await.unwrap_err(), ResultReason::ObjectNotFound);
}
