//! Create: a symmetric key, or random secret data (KMIP 2.1 section 6.1.8).

use kmip::attribute::{
    Attribute, AttributeKind, AttributeName, Attributes, CryptographicParameters, Link,
};
use kmip::enumerations::{
    BlockCipherMode, CryptographicUsageMask, EncodingOption, KeyFormatType, LinkType, ObjectType,
    ResultReason, SecretDataType, WrappingMethod,
};
use kmip::object::{
    EncryptionKeyInformation, KeyBlock, KeyMaterial, KeyValue, KeyWrappingData,
    Object as ManagedObject,
};
use kmip::operation::{CreateRequest, CreateResponse, ProtectionStorageMasks};
use kmip::wire::{Bytes, DateTime, SecretBytes};
use kms_crypto::secret::Secret;

use super::get::opened;
use super::{Operation, Target};
use crate::access::{ACTIVE, Grants, KEYS, Makes, Needs, Permission, Role, Row, Window, role};
use crate::attribute_rules::{Origin, STORED_IN, admit, take_chosen_id};
use crate::context::{Context, new_id};
use crate::deliver::WrappingKey;
use crate::error::{Error, Result};
use crate::index::TAG_VENDOR;
use crate::material::new_object;
use crate::mechanism;

pub(super) struct Create;

/// The vendor attribute by which the field's clients have a new key kept wrapped.
const WRAPPING_KEY_ATTRIBUTE: &str = "wrapping_key_id";
/// The length of secret data where none is asked for, in bits.
const SECRET_BITS: i32 = 256;
/// The longest secret data that is made, in bits.
const SECRET_BITS_MAX: i32 = 65_536;
/// The shortest symmetric key that is called safe from quantum computers, in bits.
const QUANTUM_SAFE_BITS: i32 = 256;

impl Operation for Create {
    type Request = CreateRequest;
    type Response = CreateResponse;
    const NEEDS: Needs = Needs::Grant(Permission::Create);
    const ROLES: &'static [Row] = &[Row::new(Role::WrappingKey, Needs::Grant(Permission::Encrypt))
        .states(ACTIVE)
        .usage(CryptographicUsageMask::WrapKey, Window::Protect)
        .types(KEYS)];
    const MAKES: Makes = Makes::Objects;

    async fn targets(context: &mut Context<'_>, request: &CreateRequest) -> Result<Vec<Target>> {
        let wrapping = request.attributes.vendor(TAG_VENDOR, WRAPPING_KEY_ATTRIBUTE);
        let Some(wrapping) = wrapping else { return Ok(Vec::new()) };
        let id = wrapping.as_text().filter(|id| !id.is_empty()).ok_or_else(|| {
            Error::new(
                ResultReason::InvalidAttributeValue,
                format!("the attribute {WRAPPING_KEY_ATTRIBUTE} is the identifier of a key"),
            )
        })?;
        let id = context.resolve(Some(&id.into())).await?;
        Ok(vec![Target::new(Role::WrappingKey, id)])
    }

    async fn run(
        context: &mut Context<'_>,
        mut objects: Grants<Self>,
        request: CreateRequest,
    ) -> Result<CreateResponse> {
        let object_type = request.object_type;
        let mut attributes = admit(object_type, request.attributes, Origin::New)?;
        attributes.remove(&AttributeName::Vendor {
            vendor: TAG_VENDOR.to_owned(),
            name: WRAPPING_KEY_ATTRIBUTE.to_owned(),
        });
        store_in(&mut attributes, request.protection_storage_masks.as_ref())?;
        let id = new_id(take_chosen_id(&mut attributes))?;
        let mut object = made(object_type, &attributes)?;
        if let Some(key) = opened(context, objects.maybe::<role::WrappingKey>())? {
            wrap_at_rest(&mut object, &key)?;
            context.service.count_wrapping(Some(&key), &object).await?;
            attributes.add(link(LinkType::WrappingKeyLink, &key.id));
        }
        note_generated(&mut attributes, context.now);
        let new = new_object(context, object, attributes, None)?;
        context.unit.insert(&id, new.record, new.material)?;
        Ok(CreateResponse { object_type, unique_identifier: id, attributes: None })
    }
}

fn made(object_type: ObjectType, attributes: &Attributes) -> Result<ManagedObject> {
    match object_type {
        ObjectType::SymmetricKey => symmetric_key(attributes),
        ObjectType::SecretData => secret_data(attributes),
        other => Err(Error::new(
            ResultReason::InvalidObjectType,
            format!(
                "Create makes symmetric keys and secret data; for a {other:?} there are Create Key \
                 Pair and Register"
            ),
        )),
    }
}

/// A symmetric key of the algorithm and length that the attributes name.
pub(super) fn symmetric_key(attributes: &Attributes) -> Result<ManagedObject> {
    let algorithm = attributes.cryptographic_algorithm().ok_or_else(|| {
        Error::new(ResultReason::InvalidMessage, "the attribute Cryptographic Algorithm is missing")
    })?;
    let length = attributes.cryptographic_length();
    let key = mechanism::generate_symmetric(algorithm, length)?;
    let bits = i32::try_from(key.len().saturating_mul(8)).unwrap_or(i32::MAX);
    if attributes.quantum_safe() == Some(true) && bits < QUANTUM_SAFE_BITS {
        return Err(Error::new(
            ResultReason::GeneralFailure,
            format!("a {algorithm} key of {bits} bits is not Quantum Safe; take 256 bits"),
        ));
    }
    let block = KeyBlock {
        cryptographic_algorithm: Some(algorithm),
        cryptographic_length: Some(length.unwrap_or(bits)),
        ..raw(key)
    };
    ManagedObject::from_key_block(ObjectType::SymmetricKey, None, block)
        .ok_or_else(|| Error::internal("a symmetric key without a key block"))
}

fn secret_data(attributes: &Attributes) -> Result<ManagedObject> {
    let bits = attributes.cryptographic_length().unwrap_or(SECRET_BITS);
    let length = usize::try_from(bits).ok().filter(|bits| {
        bits.is_multiple_of(8)
            && *bits > 0
            && i32::try_from(*bits).is_ok_and(|it| it <= SECRET_BITS_MAX)
    });
    let length = length.ok_or_else(|| {
        Error::new(
            ResultReason::InvalidAttributeValue,
            format!("secret data has from 8 to {SECRET_BITS_MAX} bits, in whole bytes; not {bits}"),
        )
    })?;
    let secret = kms_crypto::random::secret(length / 8).map_err(Error::internal)?;
    let kind = Some(SecretDataType::Seed);
    ManagedObject::from_key_block(ObjectType::SecretData, kind, raw(secret))
        .ok_or_else(|| Error::internal("secret data without a key block"))
}

fn raw(key: Secret) -> KeyBlock {
    let material = KeyMaterial::Bytes(SecretBytes::from(key.into_bytes()));
    KeyBlock {
        key_format_type: KeyFormatType::Raw,
        key_compression_type: None,
        key_value: Some(KeyValue::plain(material)),
        cryptographic_algorithm: None,
        cryptographic_length: None,
        key_wrapping_data: None,
    }
}

/// The key is kept as its wrapping key wraps it, by RFC 5649, and given out so.
fn wrap_at_rest(object: &mut ManagedObject, key: &WrappingKey) -> Result<()> {
    let Some(block) = object.key_block_mut() else { return Ok(()) };
    let Some(KeyMaterial::Bytes(plain)) = block.material() else {
        return Err(Error::internal("a new key is not raw"));
    };
    let parameters = CryptographicParameters {
        block_cipher_mode: Some(BlockCipherMode::AESKeyWrapPadding),
        ..CryptographicParameters::default()
    };
    let wrapped = mechanism::wrap(&key.material, key.algorithm, Some(&parameters), plain)?;
    block.key_value = Some(KeyValue::Wrapped(Bytes(wrapped)));
    block.key_wrapping_data = Some(Box::new(KeyWrappingData {
        wrapping_method: WrappingMethod::Encrypt,
        encryption_key_information: Some(EncryptionKeyInformation {
            unique_identifier: key.id.as_str().into(),
            cryptographic_parameters: Some(parameters),
        }),
        mac_signature_key_information: None,
        mac_signature: None,
        iv_counter_nonce: None,
        encoding_option: Some(EncodingOption::NoEncoding),
    }));
    Ok(())
}

/// A link to another object.
pub(super) fn link(link_type: LinkType, id: &str) -> Attribute {
    Attribute::Link(Link { link_type, linked_object_identifier: id.into() })
}

/// Notes that the object is made here and now, and by what.
pub(super) fn note_generated(attributes: &mut Attributes, now: i64) {
    attributes.set(Attribute::OriginalCreationDate(DateTime(now)));
    attributes.set(Attribute::RandomNumberGenerator(mechanism::generator()));
}

/// Notes where the object is stored, and refuses it where the request allows no place there is.
pub(super) fn store_in(
    attributes: &mut Attributes,
    allowed: Option<&ProtectionStorageMasks>,
) -> Result<()> {
    let attribute = attributes.protection_storage_mask();
    let mut asked = allowed.into_iter().flat_map(|it| it.masks.iter().copied()).chain(attribute);
    let is_asked = asked.clone().next().is_some();
    if is_asked && !asked.any(|mask| mask == STORED_IN) {
        return Err(Error::new(
            ResultReason::ProtectionStorageUnavailable,
            "objects are stored by software; allow the Protection Storage Mask Software",
        ));
    }
    if is_asked {
        attributes.set(Attribute::ProtectionStorageMask(STORED_IN));
    }
    Ok(())
}

/// What the object's own form decides, whatever a client asked.
pub(super) fn forget_form(attributes: &mut Attributes) {
    attributes.remove_kind(AttributeKind::ObjectType);
    attributes.remove_kind(AttributeKind::KeyFormatType);
}
