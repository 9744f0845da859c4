//! How a key leaves: in the form that was asked for, wrapped where it must be, or not at all
//! (KMIP 2.1 sections 6.1.20, Get, and 6.1.19, Export). It must never decide who may have it.

use kmip::Version;
use kmip::attribute::{AttributeName, Attributes};
use kmip::enumerations::{
    CryptographicAlgorithm, EncodingOption, KeyCompressionType, KeyFormatType, KeyWrapType,
    ObjectType, ResultReason, WrappingMethod,
};
use kmip::object::{
    EncryptionKeyInformation, KeyBlock, KeyMaterial, KeyValue, KeyWrappingData,
    KeyWrappingSpecification, Object as ManagedObject,
};
use kmip::stored::{self, StoredMaterial, StoredRecord};
use kmip::wire::Bytes;
use kms_crypto::secret::Secret;

use crate::attribute_rules;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::key_form::Key;
use crate::mechanism;
use crate::object::Object;

/// What a request asks of the form.
pub(crate) struct Wanted<'a> {
    pub(crate) format: Option<KeyFormatType>,
    pub(crate) wrap_type: Option<KeyWrapType>,
    pub(crate) compression: Option<KeyCompressionType>,
    pub(crate) wrapping: Option<&'a KeyWrappingSpecification>,
    /// The key that is to wrap it.
    pub(crate) wrapping_key: Option<WrappingKey>,
    /// The key that unwraps what is kept wrapped.
    pub(crate) unwrapping_key: Option<WrappingKey>,
}

/// A key that wraps, opened.
pub(crate) struct WrappingKey {
    pub(crate) id: String,
    pub(crate) algorithm: Option<CryptographicAlgorithm>,
    pub(crate) material: StoredMaterial,
    /// What its uses are counted by.
    pub(crate) object: Object,
}

/// The object as it leaves.
pub(crate) fn deliver(
    context: &Context<'_>,
    id: &str,
    record: &StoredRecord,
    material: StoredMaterial,
    wanted: &Wanted<'_>,
) -> Result<ManagedObject> {
    may_leave(record, wanted.wrapping.is_some())?;
    let object = stored::join(record.object_type, &record.key_block, material);
    let mut object = object.map_err(Error::internal)?;
    let object_type = object.object_type();
    let Some(block) = object.key_block_mut() else {
        if wanted.wrapping.is_some() {
            return Err(not_wrappable(object_type));
        }
        return Ok(object);
    };
    fill(block, record);
    if let Some(key) = &wanted.unwrapping_key {
        unwrap(context.version, block, key)?;
    }
    reform(object_type, block, wanted)?;
    if let Some(specification) = wanted.wrapping {
        let key = wanted.wrapping_key.as_ref().ok_or_else(|| missing_key(specification))?;
        let attributes = wrapped_attributes(context, id, record, specification)?;
        wrap(context, block, specification, key, attributes)?;
    }
    Ok(object)
}

/// Sensitive keys leave wrapped, and keys that are not extractable do not leave.
fn may_leave(record: &StoredRecord, wrapped: bool) -> Result<()> {
    if record.attributes.extractable() == Some(false) {
        return Err(Error::new(
            ResultReason::NotExtractable,
            "the object is not extractable: it never leaves the server",
        ));
    }
    if record.attributes.sensitive() == Some(true) && !wrapped {
        return Err(Error::new(
            ResultReason::Sensitive,
            "the object is sensitive: it leaves the server only wrapped by another key",
        ));
    }
    Ok(())
}

/// What the key block does not say of its key, the attributes do.
fn fill(block: &mut KeyBlock, record: &StoredRecord) {
    if record.object_type != ObjectType::SecretData {
        block.cryptographic_algorithm =
            block.cryptographic_algorithm.or(record.attributes.cryptographic_algorithm());
        block.cryptographic_length =
            block.cryptographic_length.or(record.attributes.cryptographic_length());
    }
}

/// Into the form that was asked for.
fn reform(object_type: ObjectType, block: &mut KeyBlock, wanted: &Wanted<'_>) -> Result<()> {
    let uncompressed = KeyCompressionType::ECPublicKeyTypeUncompressed;
    if wanted.compression.is_some_and(|compression| compression != uncompressed) {
        return Err(Error::new(
            ResultReason::KeyCompressionTypeNotSupported,
            "only uncompressed points are given out",
        ));
    }
    if block.key_wrapping_data.is_some() {
        if wanted.wrap_type == Some(KeyWrapType::NotWrapped) {
            return Err(Error::new(
                ResultReason::KeyWrapTypeNotSupported,
                "the key was registered wrapped, and its wrapping data names no key to unwrap it with",
            ));
        }
        if wanted.wrapping.is_some() {
            return Err(Error::new(ResultReason::IllegalOperation, "the key is wrapped already"));
        }
    }
    let Some(format) = wanted.format.filter(|format| *format != block.key_format_type) else {
        return Ok(());
    };
    let unreadable = || {
        Error::new(
            ResultReason::KeyFormatTypeNotSupported,
            "the key is wrapped or kept elsewhere, so that its form cannot be changed",
        )
    };
    if block.key_wrapping_data.is_some() {
        return Err(unreadable());
    }
    let Some(KeyValue::Structure { material, .. }) = &mut block.key_value else {
        return Err(unreadable());
    };
    *material = Key::read(object_type, block.key_format_type, material)?.write(format)?;
    block.key_format_type = format;
    Ok(())
}

fn wrap(
    context: &Context<'_>,
    block: &mut KeyBlock,
    specification: &KeyWrappingSpecification,
    key: &WrappingKey,
    attributes: Option<Attributes>,
) -> Result<()> {
    if specification.wrapping_method != WrappingMethod::Encrypt
        || specification.mac_signature_key_information.is_some()
    {
        return Err(Error::new(
            ResultReason::FeatureNotSupported,
            "keys are wrapped by encryption (Wrapping Method Encrypt) only",
        ));
    }
    let Some(KeyValue::Structure { material, .. }) = block.key_value.take() else {
        return Err(Error::new(ResultReason::KeyValueNotPresent, "there is no key to wrap"));
    };
    let plain = if specification.encoding_option == Some(EncodingOption::NoEncoding) {
        match &material {
            KeyMaterial::Bytes(bytes) => Secret::new(bytes.to_vec()),
            KeyMaterial::TransparentSymmetricKey(it) => Secret::new(it.key.to_vec()),
            _ => {
                return Err(Error::new(
                    ResultReason::EncodingOptionError,
                    "a transparent key is wrapped with TTLV encoding only",
                ));
            }
        }
    } else {
        let value = KeyValue::Structure { material, attributes };
        let mut encoded = value.to_ttlv(context.version).map_err(Error::internal)?;
        Secret::new(std::mem::take(&mut *encoded))
    };
    let information = specification.encryption_key_information.as_ref();
    let parameters = information.and_then(|it| it.cryptographic_parameters.as_ref());
    let wrapped = mechanism::wrap(&key.material, key.algorithm, parameters, plain.expose())?;
    block.key_value = Some(KeyValue::Wrapped(Bytes(wrapped)));
    block.key_wrapping_data = Some(Box::new(KeyWrappingData {
        wrapping_method: specification.wrapping_method,
        encryption_key_information: Some(EncryptionKeyInformation {
            unique_identifier: key.id.clone().into(),
            cryptographic_parameters: mechanism::settled(key.algorithm, parameters, plain.len()),
        }),
        mac_signature_key_information: None,
        mac_signature: None,
        iv_counter_nonce: None,
        encoding_option: specification.encoding_option,
    }));
    Ok(())
}

/// The attributes that are to be wrapped with the key.
fn wrapped_attributes(
    context: &Context<'_>,
    id: &str,
    record: &StoredRecord,
    specification: &KeyWrappingSpecification,
) -> Result<Option<Attributes>> {
    if specification.attribute_names.is_empty() {
        return Ok(None);
    }
    let all = attribute_rules::view(id, record, context.now);
    let names = specification.attribute_names.iter().map(|name| AttributeName::from_legacy(name));
    attribute_rules::chosen(&all, &names.collect::<Vec<_>>()).map(Some)
}

/// Takes a wrapped key that comes in out of its wrapping.
pub(crate) fn unwrap(version: Version, block: &mut KeyBlock, key: &WrappingKey) -> Result<()> {
    let Some(data) = block.key_wrapping_data.take() else { return Ok(()) };
    if data.wrapping_method != WrappingMethod::Encrypt {
        return Err(Error::new(
            ResultReason::FeatureNotSupported,
            "keys are unwrapped by decryption (Wrapping Method Encrypt) only",
        ));
    }
    let wrapped = match block.key_value.take() {
        Some(KeyValue::Wrapped(bytes)) => bytes.0,
        Some(KeyValue::Structure { material: KeyMaterial::Bytes(bytes), .. }) => bytes.to_vec(),
        _ => {
            return Err(Error::new(ResultReason::KeyValueNotPresent, "there is no key to unwrap"));
        }
    };
    let information = data.encryption_key_information.as_ref();
    let parameters = information.and_then(|it| it.cryptographic_parameters.as_ref());
    let plain = mechanism::unwrap(&key.material, key.algorithm, parameters, &wrapped)?;
    let value = if data.encoding_option == Some(EncodingOption::NoEncoding) {
        KeyValue::plain(KeyMaterial::Bytes(plain.into_bytes().into()))
    } else {
        KeyValue::from_ttlv(plain.expose(), block.key_format_type, version).map_err(|_error| {
            Error::new(ResultReason::CryptographicFailure, "the key does not unwrap")
        })?
    };
    block.key_value = Some(value);
    Ok(())
}

fn missing_key(specification: &KeyWrappingSpecification) -> Error {
    let text = match specification.encryption_key_information {
        Some(_) => "the wrapping key cannot be had",
        None => "the Key Wrapping Specification names no Encryption Key Information",
    };
    Error::new(ResultReason::InvalidField, text)
}

fn not_wrappable(object_type: ObjectType) -> Error {
    Error::new(ResultReason::IllegalObjectType, format!("a {object_type:?} cannot be wrapped"))
}
