//! What a server says of objects that were made elsewhere, and whether they were given out yet.

use kmip::attribute::{Attribute, Attributes};
use kmip::enumerations::{
    CertificateType, CryptographicAlgorithm, CryptographicUsageMask, DigitalSignatureAlgorithm,
    KeyFormatType, ObjectGroupMember, ObjectType, ProtectionStorageMask, ResultReason,
};
use kmip::object::{Certificate, KeyBlock, KeyMaterial, KeyValue, Object};
use kmip::operation::{
    AddAttributeRequest, GetAttributesRequest, GetRequest, LocateRequest, RegisterRequest, Request,
    Response,
};
use kmip::wire::{Bytes, DateTime, SecretBytes};
use kms_core::{Permission, Principal};
use kms_crypto::format::pem;

use super::{START, World, create};

async fn attributes(world: &World, id: &str) -> Attributes {
    let request = GetAttributesRequest { unique_identifier: Some(id.into()), names: Vec::new() };
    match world.ask("ann", Request::GetAttributes(request)).await.unwrap() {
        Response::GetAttributes(it) => it.attributes,
        other => panic!("{other:?}"),
    }
}

fn get(id: &str, format: Option<KeyFormatType>) -> Request {
    let unique_identifier = Some(id.into());
    let request =
        GetRequest { unique_identifier, key_format_type: format, ..GetRequest::default() };
    Request::Get(request)
}

async fn got(world: &World, id: &str) -> Object {
    match world.ask("ann", get(id, None)).await.unwrap() {
        Response::Get(it) => it.object,
        other => panic!("{other:?}"),
    }
}

async fn locate(world: &World, attributes: Vec<Attribute>, fresh: bool) -> Vec<String> {
    let request = LocateRequest {
        object_group_member: fresh.then_some(ObjectGroupMember::GroupMemberFresh),
        attributes: Attributes(attributes),
        ..LocateRequest::default()
    };
    match world.ask("ann", Request::Locate(request)).await.unwrap() {
        Response::Locate(it) => it.unique_identifiers,
        other => panic!("{other:?}"),
    }
}

async fn register(
    world: &World,
    object: Object,
    attributes: Vec<Attribute>,
) -> Result<String, ResultReason> {
    let request = RegisterRequest {
        object_type: object.object_type(),
        attributes: Attributes(attributes),
        object,
        protection_storage_masks: None,
    };
    match world.ask("ann", Request::Register(request)).await? {
        Response::Register(it) => Ok(it.unique_identifier),
        other => panic!("{other:?}"),
    }
}

fn key(object_type: ObjectType, format: KeyFormatType, bytes: Option<&[u8]>) -> Object {
    let value =
        |bytes: &[u8]| KeyValue::plain(KeyMaterial::Bytes(SecretBytes::from(bytes.to_vec())));
    let algorithm = match object_type {
        ObjectType::SymmetricKey => CryptographicAlgorithm::AES,
        _ => CryptographicAlgorithm::ECDSA,
    };
    let block = KeyBlock {
        key_format_type: format,
        key_compression_type: None,
        key_value: bytes.map(value),
        cryptographic_algorithm: Some(algorithm),
        cryptographic_length: Some(256),
        key_wrapping_data: None,
    };
    Object::from_key_block(object_type, None, block).unwrap()
}

fn signs() -> Attribute {
    Attribute::CryptographicUsageMask(CryptographicUsageMask::Sign)
}

fn version(connection: &rusqlite::Connection) -> i64 {
    connection
        .query_row("SELECT version FROM objects WHERE id = 'key'", [], |row| row.get(0))
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_fresh_until_it_is_given_out() {
    let world = World::new().await;
    let Request::Create(mut request) = create("key", true) else { panic!("no Create") };
    request.attributes.add(Attribute::ObjectGroup("group".into()));
    world.ask("ann", Request::Create(request)).await.unwrap();
    let group = || vec![Attribute::ObjectGroup("group".into())];
    assert_eq!(attributes(&world, "key").await.fresh(), Some(true));
    assert_eq!(locate(&world, group(), true).await, ["key"]);

    // A stranger's Get changes nothing; that of somebody who may does.
    assert!(world.ask("bob", get("key", None)).await.is_err());
    assert_eq!(attributes(&world, "key").await.fresh(), Some(true));
    world
        .service
        .grant(&Principal::new("ann"), Some("key"), "bob", &[Permission::Get])
        .await
        .unwrap();
    world.clock.set(START + 10);
    world.ask("bob", get("key", None)).await.unwrap();
    let told = attributes(&world, "key").await;
    assert_eq!(told.fresh(), Some(false));
    assert_eq!(told.last_change_date(), Some(DateTime(START)));
    assert!(locate(&world, group(), true).await.is_empty());
    assert_eq!(locate(&world, group(), false).await, ["key"]);

    // It is written once.
    let (mut before, mut after) = (0, 0);
    let world = world.reopen(|connection| before = version(connection)).await;
    got(&world, "key").await;
    world.reopen(|connection| after = version(connection)).await;
    assert_eq!(before, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_may_get_a_fresh_object_at_once() {
    let world = World::new().await;
    world.aes("ann", "key", true).await;
    let ann = Principal::new("ann");
    let one = || world.service.perform(&ann, get("key", None));
    let (a, b, c, d) = tokio::join!(one(), one(), one(), one());
    assert!([a, b, c, d].iter().all(Result::is_ok));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_kept_elsewhere_says_so() {
    let world = World::new().await;
    let object = key(ObjectType::SymmetricKey, KeyFormatType::Raw, None);
    let id = register(&world, object.clone(), vec![signs()]).await.unwrap();
    let told = attributes(&world, &id).await;
    assert_eq!(told.key_value_present(), Some(false));
    assert_eq!(told.cryptographic_length(), Some(256));
    assert!(told.digest().is_none());
    assert_eq!(got(&world, &id).await, object);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_registered_object_was_made_its_client_says() {
    let world = World::new().await;
    world.aes("ann", "key", true).await;
    assert_eq!(attributes(&world, "key").await.original_creation_date(), Some(DateTime(START)));
    let object = key(ObjectType::SymmetricKey, KeyFormatType::Raw, Some(&[7; 32]));
    let id = register(&world, object, vec![signs()]).await.unwrap();
    let told = attributes(&world, &id).await;
    assert_eq!(told.original_creation_date(), None);
    assert_eq!(told.protection_storage_mask(), Some(ProtectionStorageMask::Software));
    let add = |date| {
        Request::AddAttribute(AddAttributeRequest {
            unique_identifier: Some(id.as_str().into()),
            attribute: Attribute::OriginalCreationDate(DateTime(date)).into(),
        })
    };
    world.ask("ann", add(5)).await.unwrap();
    let again = world.ask("ann", add(6)).await.unwrap_err();
    assert_eq!(again, ResultReason::AttributeSingleValued);
    assert_eq!(attributes(&world, &id).await.original_creation_date(), Some(DateTime(5)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_private_key_is_kept_as_it_is() {
    let world = World::new().await;
    // The outside of an EncryptedPrivateKeyInfo; what is inside only its client can tell.
    let der = [0x30, 0x0C, 0x30, 0x06, 0x06, 0x04, 0x2A, 0x86, 0x48, 0x86, 0x04, 0x02, 1, 2];
    let object = key(ObjectType::PrivateKey, KeyFormatType::PKCS_8, Some(&der));
    let id = register(&world, object.clone(), vec![signs()]).await.unwrap();
    assert_eq!(got(&world, &id).await, object);
    let other = world.ask("ann", get(&id, Some(KeyFormatType::ECPrivateKey))).await.unwrap_err();
    assert_eq!(other, ResultReason::KeyFormatTypeNotSupported);
    let broken = key(ObjectType::PrivateKey, KeyFormatType::PKCS_8, Some(&der[..13]));
    assert_eq!(register(&world, broken, vec![signs()]).await, Err(ResultReason::InvalidField));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_tells_what_is_in_it() {
    let world = World::new().await;
    let text = include_bytes!("../../../kms-crypto/tests/data/certificate-p256.pem");
    let (_, der) = pem::decode(text).unwrap();
    let object = Object::Certificate(Certificate {
        certificate_type: CertificateType::X_509,
        certificate_value: Bytes(der.expose().to_vec()),
    });
    let id = register(&world, object.clone(), Vec::new()).await.unwrap();
    assert_eq!(got(&world, &id).await, object);
    let told = attributes(&world, &id).await;
    assert_eq!(told.cryptographic_algorithm(), Some(CryptographicAlgorithm::EC));
    assert_eq!(told.cryptographic_length(), Some(256));
    assert_eq!(
        told.digital_signature_algorithm(),
        Some(DigitalSignatureAlgorithm::ECDSAWithSHA256)
    );
    assert_eq!(told.certificate_subject_uid().map(String::as_str), Some("u1"));
    let x509 = told.x509_certificate_identifier().unwrap();
    assert_eq!(x509.certificate_serial_number.0, [0, 0xF1, 0xE2, 0xD3, 0xC4, 0xB5, 0xA6, 0x97]);
    let subject = told.x509_certificate_subject().unwrap();
    assert_eq!(subject.subject_distinguished_name, x509.issuer_distinguished_name);
    let identifier = told.certificate_identifier().unwrap().clone();
    assert_eq!(identifier.serial_number.as_deref(), Some("F1E2D3C4B5A697"));
    assert!(
        identifier.issuer.contains(",CN=kms.example,OU=Tests,OU=Keys,"),
        "{}",
        identifier.issuer
    );
    let issuer = told.certificate_issuer().unwrap();
    assert_eq!(issuer.certificate_issuer_distinguished_name, identifier.issuer);
    assert_eq!(
        locate(&world, vec![Attribute::CertificateIdentifier(identifier)], false).await,
        [id]
    );
}

#[tokio::test]
async fn a_key_has_a_length_that_is_its_own() {
    let world = World::new().await;
    let mask = || vec![Attribute::CryptographicUsageMask(CryptographicUsageMask(0x0C))];
    for bytes in [&[][..], &[1; 2], &[1; 17], &[1; 33]] {
        let mut object = key(ObjectType::SymmetricKey, KeyFormatType::Raw, Some(bytes));
        object.key_block_mut().unwrap().cryptographic_length = None;
        let refused = register(&world, object, mask()).await;
        assert_eq!(refused, Err(ResultReason::InvalidAttributeValue), "{}", bytes.len());
    }
    for (said, answer) in [(128, true), (256, false)] {
        let mut object = key(ObjectType::SymmetricKey, KeyFormatType::Raw, Some(&[1; 16]));
        object.key_block_mut().unwrap().cryptographic_length = Some(said);
        assert_eq!(register(&world, object, mask()).await.is_ok(), answer, "{said}");
    }
}
