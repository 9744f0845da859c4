//! A request for every operation, about any object in any role.

use std::sync::OnceLock;

use kmip::attribute::{Attribute, AttributeKind, AttributeName, Attributes, Name, VendorAttribute};
use kmip::enumerations::{
    BatchErrorContinuationOption, CryptographicAlgorithm, CryptographicUsageMask, KeyWrapType,
    ObjectType, RevocationReasonCode, WrappingMethod,
};
use kmip::object::{EncryptionKeyInformation, KeyWrappingSpecification, Object};
use kmip::operation::{
    ActivateRequest, AddAttributeRequest, CreateRequest, DecryptRequest, DeleteAttributeRequest,
    EncryptRequest, ExportRequest, GetAttributeListRequest, GetAttributesRequest, GetRequest,
    ImportRequest, ModifyAttributeRequest, RekeyKeyPairRequest, RekeyRequest, Request, Response,
    SetAttributeRequest,
};
use kmip::wire::Bytes;
use kms_core::{Role, Who};

use super::objects::{destroy, object, revoke, whole, wrapped_by};
use super::{OWNER, World, user};

const NONCE: &[u8] = &[7; 12];
/// What every symmetric key here decrypts: they are all the same.
static SEALED: OnceLock<DecryptRequest> = OnceLock::new();

pub(super) fn seal(world: &World) {
    let encrypt = about("Encrypt", &format!("own-{OWNER}"), ObjectType::SymmetricKey);
    let option = BatchErrorContinuationOption::Continue;
    let answers = world.ask(Some(OWNER), option, vec![encrypt]).unwrap();
    let Ok(Response::Encrypt(sealed)) = &answers[0] else { panic!("{answers:?}") };
    let sealed = DecryptRequest {
        data: sealed.data.clone(),
        iv_counter_nonce: Some(Bytes(NONCE.to_vec())),
        authenticated_encryption_tag: sealed.authenticated_encryption_tag.clone(),
        ..DecryptRequest::default()
    };
    SEALED.set(sealed).unwrap();
}

/// A request for `operation` in which the object `id` plays `role`, by `who`.
pub(super) fn request(
    operation: &str,
    role: Role,
    who: Who,
    id: &str,
    kind: ObjectType,
) -> Request {
    let own = format!("own-{}", user(who).unwrap_or_default());
    match role {
        Role::Subject => about(operation, id, kind),
        Role::WrappingKey => under(operation, id, &own),
        Role::UnwrappingKey => {
            let wrapped = format!("wrapped-{}-{id}", user(who).unwrap_or_default());
            out_of(operation, id, &wrapped)
        }
        Role::PairHalf if who == Who::Nobody => about(operation, id, kind),
        Role::PairHalf => match operation {
            "Revoke" => {
                revoke(&whole(operation, who, id), RevocationReasonCode::KeyCompromise, true)
            }
            "Destroy" => destroy(&whole(operation, who, id), true),
            _ => about(operation, &whole(operation, who, id), kind),
        },
        other => panic!("no request for {operation}, {other:?}"),
    }
}

pub(super) fn about(operation: &str, id: &str, kind: ObjectType) -> Request {
    let unique_identifier = Some(id.into());
    let mark = VendorAttribute::text("matrix", "mark", "set");
    let name = || AttributeName::Kind(AttributeKind::Name);
    match operation {
        "Activate" => Request::Activate(ActivateRequest { unique_identifier }),
        "AddAttribute" => Request::AddAttribute(AddAttributeRequest {
            unique_identifier,
            attribute: Attribute::ObjectGroup("matrix".to_owned()).into(),
        }),
        "SetAttribute" => Request::SetAttribute(SetAttributeRequest {
            unique_identifier,
            new_attribute: Attribute::Vendor(mark).into(),
        }),
        "ModifyAttribute" => Request::ModifyAttribute(ModifyAttributeRequest {
            unique_identifier,
            current_attribute: None,
            new_attribute: Attribute::Name(Name::from("modified")).into(),
        }),
        "DeleteAttribute" => Request::DeleteAttribute(DeleteAttributeRequest {
            unique_identifier,
            name: Some(name()),
            ..DeleteAttributeRequest::default()
        }),
        "Get" => Request::Get(GetRequest { unique_identifier, ..GetRequest::default() }),
        "Export" => {
            Request::Export(ExportRequest { unique_identifier, ..ExportRequest::default() })
        }
        "GetAttributes" => {
            Request::GetAttributes(GetAttributesRequest { unique_identifier, names: Vec::new() })
        }
        "GetAttributeList" => {
            Request::GetAttributeList(GetAttributeListRequest { unique_identifier })
        }
        "Encrypt" => Request::Encrypt(EncryptRequest {
            unique_identifier,
            data: Some(Bytes(b"text".to_vec())),
            iv_counter_nonce: Some(Bytes(NONCE.to_vec())),
            ..EncryptRequest::default()
        }),
        "Decrypt" => {
            let sealed = SEALED.get().unwrap().clone();
            Request::Decrypt(DecryptRequest { unique_identifier, ..sealed })
        }
        "Revoke" => revoke(id, RevocationReasonCode::KeyCompromise, false),
        "Destroy" => destroy(id, false),
        "Rekey" => Request::Rekey(RekeyRequest { unique_identifier, ..RekeyRequest::default() }),
        "RekeyKeyPair" => Request::RekeyKeyPair(RekeyKeyPairRequest {
            private_key_unique_identifier: unique_identifier,
            ..RekeyKeyPairRequest::default()
        }),
        "Import" => Request::Import(ImportRequest {
            unique_identifier: id.to_owned(),
            object_type: None,
            replace_existing: Some(true),
            key_wrap_type: None,
            attributes: Attributes::new(),
            object: object(kind),
        }),
        other => panic!("no request for {other}"),
    }
}

/// A request that has something wrapped under the key `id`.
fn under(operation: &str, id: &str, own: &str) -> Request {
    let specification = Some(Box::new(KeyWrappingSpecification {
        wrapping_method: WrappingMethod::Encrypt,
        encryption_key_information: Some(EncryptionKeyInformation {
            unique_identifier: id.into(),
            cryptographic_parameters: None,
        }),
        mac_signature_key_information: None,
        attribute_names: Vec::new(),
        encoding_option: None,
    }));
    match operation {
        "Get" => Request::Get(GetRequest {
            unique_identifier: Some(own.into()),
            key_wrapping_specification: specification,
            ..GetRequest::default()
        }),
        "Export" => Request::Export(ExportRequest {
            unique_identifier: Some(own.into()),
            key_wrapping_specification: specification,
            ..ExportRequest::default()
        }),
        "Create" => Request::Create(CreateRequest {
            object_type: ObjectType::SymmetricKey,
            attributes: Attributes(vec![
                Attribute::CryptographicAlgorithm(CryptographicAlgorithm::AES),
                Attribute::CryptographicLength(256),
                Attribute::CryptographicUsageMask(CryptographicUsageMask::Encrypt),
                Attribute::Vendor(VendorAttribute::text("cosmian", "wrapping_key_id", id)),
            ]),
            protection_storage_masks: None,
        }),
        other => panic!("nothing is wrapped by {other}"),
    }
}

/// A request that needs the key `id` to unwrap something: `wrapped`, or what it brings.
fn out_of(operation: &str, id: &str, wrapped: &str) -> Request {
    match operation {
        "Get" => Request::Get(GetRequest {
            unique_identifier: Some(wrapped.into()),
            key_wrap_type: Some(KeyWrapType::NotWrapped),
            ..GetRequest::default()
        }),
        "Export" => Request::Export(ExportRequest {
            unique_identifier: Some(wrapped.into()),
            key_wrap_type: Some(KeyWrapType::NotWrapped),
            ..ExportRequest::default()
        }),
        "Encrypt" | "Decrypt" => about(operation, wrapped, ObjectType::SymmetricKey),
        "Import" => {
            let Object::SymmetricKey(mut key) = object(ObjectType::SymmetricKey) else {
                panic!("no symmetric key")
            };
            wrapped_by(&mut key.key_block, id);
            Request::Import(ImportRequest {
                unique_identifier: String::new(),
                object_type: None,
                replace_existing: None,
                key_wrap_type: Some(KeyWrapType::NotWrapped),
                attributes: Attributes::new(),
                object: Object::SymmetricKey(key),
            })
        }
        other => panic!("nothing is unwrapped by {other}"),
    }
}
