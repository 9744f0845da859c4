//! The objects that the matrix is asked about.

use kmip::attribute::{
    Attribute, Attributes, CryptographicParameters, Link, Name, RevocationReason,
};
use kmip::enumerations::{
    BlockCipherMode, CertificateType, CryptographicAlgorithm, CryptographicUsageMask,
    EncodingOption, KeyFormatType, LinkType, ObjectType, OpaqueDataType, RevocationReasonCode,
    SecretDataType, State, WrappingMethod,
};
use kmip::object::{
    Certificate, EncryptionKeyInformation, KeyBlock, KeyMaterial, KeyValue, KeyWrappingData,
    Object, OpaqueObject,
};
use kmip::operation::{DestroyRequest, RegisterRequest, Request, RevokeRequest};
use kmip::wire::{Bytes, DateTime, SecretBytes};
use kms_core::{ACCESS, AccessRow, Cell, Permission, Role, Who, cell};
use kms_testkit::issuer;

use super::{EXPIRE_S, OWNER, World, all, kinds, user};

pub(super) fn id(set: &str, kind: ObjectType, state: State) -> String {
    format!("{set}.{kind:?}.{}", kms_core::state_name(state)).to_lowercase()
}

fn pem(text: &[u8]) -> Vec<u8> {
    kms_crypto::format::pem::decode(text).unwrap().1.expose().to_vec()
}

fn block(format: KeyFormatType, algorithm: Option<CryptographicAlgorithm>, key: &[u8]) -> KeyBlock {
    KeyBlock {
        key_format_type: format,
        key_compression_type: None,
        key_value: Some(KeyValue::plain(KeyMaterial::Bytes(SecretBytes::from(key.to_vec())))),
        cryptographic_algorithm: algorithm,
        cryptographic_length: None,
        key_wrapping_data: None,
    }
}

pub(super) fn object(kind: ObjectType) -> Object {
    const PRIVATE: &[u8] = include_bytes!("../../../../kms-crypto/tests/data/rsa-pkcs8.pem");
    const PUBLIC: &[u8] = include_bytes!("../../../../kms-crypto/tests/data/rsa-spki.pem");
    const CERTIFICATE: &[u8] =
        include_bytes!("../../../../kms-crypto/tests/data/certificate-p256.pem");
    let rsa = Some(CryptographicAlgorithm::RSA);
    let (kind_of_secret, block) = match kind {
        ObjectType::Certificate => {
            return Object::Certificate(Certificate {
                certificate_type: CertificateType::X_509,
                certificate_value: Bytes(pem(CERTIFICATE)),
            });
        }
        ObjectType::OpaqueObject => {
            return Object::OpaqueObject(OpaqueObject {
                opaque_data_type: OpaqueDataType(0x8000_0001),
                opaque_data_value: vec![7; 16].into(),
            });
        }
        ObjectType::SecretData => {
            (Some(SecretDataType::Password), block(KeyFormatType::Raw, None, b"correct horse"))
        }
        ObjectType::PrivateKey => (None, block(KeyFormatType::PKCS_8, rsa, &pem(PRIVATE))),
        ObjectType::PublicKey => (None, block(KeyFormatType::X_509, rsa, &pem(PUBLIC))),
        _ => (None, block(KeyFormatType::Raw, Some(CryptographicAlgorithm::AES), &[7; 32])),
    };
    Object::from_key_block(kind, kind_of_secret, block).unwrap()
}

/// A request to register `object` as `id`, active or not.
pub(super) fn register(id: &str, object: Object, active: bool, more: Vec<Attribute>) -> Request {
    let mut attributes = Attributes(more);
    attributes.add(Attribute::UniqueIdentifier(id.to_owned()));
    attributes.add(Attribute::Name(Name::from(id)));
    if active {
        attributes.add(Attribute::ActivationDate(DateTime(1_600_000_000)));
    }
    Request::Register(RegisterRequest {
        object_type: object.object_type(),
        attributes,
        object,
        protection_storage_masks: None,
    })
}

fn every_usage() -> Vec<Attribute> {
    vec![Attribute::CryptographicUsageMask(CryptographicUsageMask(0xF_FFFF))]
}

/// A usage that nothing here asks for.
pub(super) fn other_usage() -> Vec<Attribute> {
    vec![Attribute::CryptographicUsageMask(CryptographicUsageMask::KeyAgreement)]
}

pub(super) fn revoke(id: &str, code: RevocationReasonCode, cascade: bool) -> Request {
    let reason = RevocationReason { revocation_reason_code: code, revocation_message: None };
    Request::Revoke(RevokeRequest {
        unique_identifier: Some(id.into()),
        revocation_reason: reason,
        compromise_occurrence_date: None,
        cascade: Some(cascade),
    })
}

pub(super) fn destroy(id: &str, cascade: bool) -> Request {
    Request::Destroy(DestroyRequest {
        unique_identifier: Some(id.into()),
        cascade: Some(cascade),
        ..DestroyRequest::default()
    })
}

/// What makes an object of this type and brings it into this state.
fn bring_up(id: &str, kind: ObjectType, state: State, usage: Vec<Attribute>) -> Vec<Request> {
    let compromise = || revoke(id, RevocationReasonCode::KeyCompromise, false);
    let active = matches!(state, State::Active | State::Deactivated);
    let mut requests = vec![register(id, object(kind), active, usage)];
    match state {
        State::Deactivated => {
            requests.push(revoke(id, RevocationReasonCode::Unspecified, false));
        }
        State::Compromised => requests.push(compromise()),
        State::Destroyed => requests.push(destroy(id, false)),
        State::DestroyedCompromised => requests.extend([compromise(), destroy(id, false)]),
        _ => {}
    }
    requests
}

/// A set of objects, one of each type in each state, and who has what on all of them.
struct Set {
    name: String,
    grants: Vec<(String, Vec<Permission>)>,
    usage: bool,
}

impl Set {
    fn new(name: &str, grants: Vec<(String, Vec<Permission>)>) -> Self {
        Self { name: name.to_owned(), grants, usage: true }
    }
}

/// The set that `who` meets in `row`: its own, where it may change what it meets.
pub(super) fn set_of(operation: &str, row: &AccessRow, who: Who) -> String {
    let is_changed = matches!(row.role, Role::Subject | Role::PairHalf)
        && !matches!(
            operation,
            "Get" | "Export" | "GetAttributes" | "GetAttributeList" | "Encrypt"
        )
        && !matches!(operation, "Decrypt" | "Locate");
    let may = kinds().any(|(kind, state)| cell(row, who, kind, state) == Cell::Allowed);
    match who {
        _ if is_changed && may => {
            format!("{operation}-{:?}-{who:?}", row.role).replace(['(', ')'], "-").to_lowercase()
        }
        Who::Everybody => "everybody".to_owned(),
        _ => "shared".to_owned(),
    }
}

/// All sets that are asked about.
fn sets() -> Vec<Set> {
    let of = |user: String, permission| (user, vec![permission]);
    let holders = Permission::ALL.map(|it| of(user(Who::Holder(it)).unwrap(), it)).to_vec();
    let everything = vec![("*".to_owned(), Permission::ALL.to_vec())];
    let mut sets = vec![
        Set::new("shared", holders),
        Set::new("everybody", everything.clone()),
        Set { usage: false, ..Set::new("maskless", Vec::new()) },
    ];
    for operation in ACCESS {
        for row in operation.roles {
            for who in Who::all() {
                let name = set_of(operation.name, row, who);
                if sets.iter().any(|it| it.name == name) {
                    continue;
                }
                let grants = match who {
                    Who::Holder(permission) => vec![of(user(who).unwrap(), permission)],
                    Who::Everybody => everything.clone(),
                    _ => Vec::new(),
                };
                sets.push(Set::new(&name, grants));
            }
        }
    }
    sets
}

pub(super) fn make_sets(world: &World) {
    let sets = sets();
    all(&sets, |set| {
        let usage = || if set.usage { every_usage() } else { other_usage() };
        let requests = kinds()
            .flat_map(|(kind, state)| bring_up(&id(&set.name, kind, state), kind, state, usage()));
        world.make(OWNER, requests.collect());
    });
    let grants: Vec<_> = sets
        .iter()
        .flat_map(|set| kinds().map(move |(kind, state)| (set, id(&set.name, kind, state))))
        .flat_map(|(set, id)| set.grants.iter().map(move |grant| (id.clone(), grant)))
        .collect();
    all(&grants, |(id, (user, permissions))| world.grant(id, user, permissions, None));
    let expired = user(Who::Expired).unwrap();
    let ids: Vec<_> = kinds().map(|(kind, state)| id("shared", kind, state)).collect();
    all(&ids, |id| {
        world.grant(id, &expired, &Permission::ALL, Some(issuer::now_s() + EXPIRE_S));
    });
}

/// What every user has of their own: keys to be wrapped, keys that are kept wrapped under each object
/// that they may meet, and private keys that lead to each.
pub(super) fn make_own_objects(world: &World) {
    let users: Vec<_> = Who::all().filter(|who| *who != Who::Nobody).collect();
    all(&users, |who| {
        let name = user(*who).unwrap();
        let mut requests = vec![register(
            &format!("own-{name}"),
            object(ObjectType::SymmetricKey),
            true,
            every_usage(),
        )];
        for set in ["shared", "everybody"] {
            for (kind, state) in kinds() {
                let other = id(set, kind, state);
                let Object::SymmetricKey(mut key) = object(ObjectType::SymmetricKey) else {
                    panic!("no symmetric key")
                };
                wrapped_by(&mut key.key_block, &other);
                let id = format!("wrapped-{name}-{other}");
                requests.push(register(&id, Object::SymmetricKey(key), true, every_usage()));
            }
        }
        world.make(&name, requests);
    });
    let halves: Vec<_> = ACCESS
        .iter()
        .flat_map(|operation| operation.roles.iter().map(move |row| (operation.name, row)))
        .filter(|(_, row)| row.role == Role::PairHalf)
        .flat_map(|(operation, row)| users.iter().map(move |who| (operation, row, *who)))
        .collect();
    all(&halves, |(operation, row, who)| {
        let set = set_of(operation, row, *who);
        let requests = kinds().map(|(kind, state)| {
            let half = id(&set, kind, state);
            let link = Attribute::Link(Link {
                link_type: LinkType::PublicKeyLink,
                linked_object_identifier: half.as_str().into(),
            });
            let whole = whole(operation, *who, &half);
            let attributes = [other_usage(), vec![link]].concat();
            register(&whole, object(ObjectType::PrivateKey), false, attributes)
        });
        world.make(&user(*who).unwrap(), requests.collect());
    });
}

/// The identifier of a private key of `who` that leads to `half`.
pub(super) fn whole(operation: &str, who: Who, half: &str) -> String {
    format!("whole-{operation}-{}-{half}", user(who).unwrap()).to_lowercase()
}

pub(super) fn wrapped_by(block: &mut KeyBlock, id: &str) {
    block.key_value = Some(KeyValue::Wrapped(Bytes(vec![9; 40])));
    block.key_wrapping_data = Some(Box::new(KeyWrappingData {
        wrapping_method: WrappingMethod::Encrypt,
        encryption_key_information: Some(EncryptionKeyInformation {
            unique_identifier: id.into(),
            cryptographic_parameters: Some(CryptographicParameters {
                block_cipher_mode: Some(BlockCipherMode::NISTKeyWrap),
                ..CryptographicParameters::default()
            }),
        }),
        mac_signature_key_information: None,
        mac_signature: None,
        iv_counter_nonce: None,
        encoding_option: Some(EncodingOption::NoEncoding),
    }));
}
