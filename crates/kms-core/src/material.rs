//! New objects: what comes in becomes a record and material that can be stored.
//! It must never decide who may bring it.

use kmip::attribute::{Attribute, AttributeKind, Attributes};
use kmip::enumerations::{
    CryptographicAlgorithm, KeyFormatType, ObjectType, OpaqueDataType, ResultReason, State,
};
use kmip::object::{KeyBlock, KeyMaterial, KeyValue, Object as ManagedObject};
use kmip::stored::{self, StoredMaterial, StoredRecord};
use kms_crypto::secret::Secret;

use crate::attribute_rules;
use crate::certificate;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::key_form::{Facts, Key, is_encrypted};
use crate::mechanism;

/// An object that is not stored yet.
pub(crate) struct NewObject {
    /// What is said about it.
    pub(crate) record: StoredRecord,
    /// Its material, encoded as it rests (and sealed before it does).
    pub(crate) material: Secret,
}

/// Makes an object of the caller's from what came in. `attributes` have been admitted.
/// `known` is what a key that was just made says of itself; others are looked into.
pub(crate) fn new_object(
    context: &Context<'_>,
    object: ManagedObject,
    attributes: Attributes,
    known: Option<Facts>,
) -> Result<NewObject> {
    let object_type = object.object_type();
    let mut attributes = attributes;
    let format = describe(&object, &mut attributes, known)?;
    if object.key_block().is_some_and(|block| block.key_value.is_none()) {
        attributes.set(Attribute::KeyValuePresent(false));
    }
    // A certificate may name itself by more than can be kept.
    attribute_rules::check_count(&attributes)?;
    let digested = digested(&object);
    let (key_block, material) = stored::split(object);
    let mut record = StoredRecord {
        format: stored::FORMAT,
        object_type,
        state: State::PreActive,
        owner: context.principal.user().to_owned(),
        attributes,
        key_block,
        material_tag: None,
        material_generation: 0,
        grant_epochs: Vec::new(),
    };
    attribute_rules::complete(
        &mut record,
        digested.as_ref().map(Secret::expose),
        format,
        context.now,
    );
    Ok(NewObject { record, material: encode(&material)? })
}

/// The material as it rests.
pub(crate) fn encode(material: &StoredMaterial) -> Result<Secret> {
    let mut bytes = material.to_bytes().map_err(Error::internal)?;
    Ok(Secret::new(std::mem::take(&mut *bytes)))
}

/// Writes what the object says of itself into its attributes, and refuses contradictions.
fn describe(
    object: &ManagedObject,
    attributes: &mut Attributes,
    known: Option<Facts>,
) -> Result<KeyFormatType> {
    if let ManagedObject::Certificate(it) = object {
        certificate::describe(&it.certificate_value, attributes);
        attributes.set(Attribute::CertificateType(it.certificate_type));
        return Ok(KeyFormatType::X_509);
    }
    if let ManagedObject::OpaqueObject(it) = object {
        describe_opaque(it.opaque_data_type, attributes);
        return Ok(KeyFormatType::Opaque);
    }
    let Some(block) = object.key_block() else { return Ok(KeyFormatType::Opaque) };
    let facts = match known {
        Some(known) => Some(known),
        None => facts(object.object_type(), block)?,
    };
    describe_key(block, facts, attributes)?;
    let is_key = object.object_type() != ObjectType::SecretData;
    if is_key && !attributes.has(AttributeKind::CryptographicUsageMask) {
        return Err(Error::new(
            ResultReason::InvalidMessage,
            "a key needs the attribute Cryptographic Usage Mask",
        ));
    }
    attributes.set(Attribute::KeyFormatType(block.key_format_type));
    Ok(block.key_format_type)
}

fn describe_opaque(kind: OpaqueDataType, attributes: &mut Attributes) {
    attributes.set(Attribute::OpaqueDataType(kind));
}

/// Algorithm, length and curve: those of the key block, of the key itself and of the attributes
/// must agree, and the attributes get what they lack.
fn describe_key(block: &KeyBlock, facts: Option<Facts>, attributes: &mut Attributes) -> Result<()> {
    let algorithm = block.cryptographic_algorithm.or(facts.and_then(|facts| facts.algorithm));
    let length = block.cryptographic_length.or(facts.map(|facts| facts.length));
    if let Some(algorithm) = algorithm {
        match attributes.cryptographic_algorithm() {
            Some(said) if !same_family(said, algorithm) => {
                return Err(contradiction("Cryptographic Algorithm", said, algorithm));
            }
            Some(_) => {}
            None => attributes.set(Attribute::CryptographicAlgorithm(algorithm)),
        }
    }
    if let Some(length) = length {
        match attributes.cryptographic_length() {
            Some(said) if said != length => {
                return Err(contradiction("Cryptographic Length", said, length));
            }
            Some(_) => {}
            None => attributes.set(Attribute::CryptographicLength(length)),
        }
    }
    if let Some(curve) = facts.and_then(|facts| facts.curve)
        && !attributes.has(AttributeKind::CryptographicDomainParameters)
    {
        let parameters = kmip::attribute::CryptographicDomainParameters {
            qlength: None,
            recommended_curve: Some(curve),
        };
        attributes.set(Attribute::CryptographicDomainParameters(parameters));
    }
    Ok(())
}

/// What the key says of itself; nothing where it is wrapped, elsewhere, or of an algorithm that is
/// only kept here.
fn facts(object_type: ObjectType, block: &KeyBlock) -> Result<Option<Facts>> {
    let Some(material) = block.material().filter(|_| block.key_wrapping_data.is_none()) else {
        return Ok(None);
    };
    if block.key_format_type == KeyFormatType::Opaque
        || is_encrypted(block.key_format_type, material)
    {
        return Ok(None);
    }
    match Key::read(object_type, block.key_format_type, material) {
        Ok(key) => {
            let facts = key.facts();
            check_length(object_type, block, facts)?;
            Ok(Some(facts))
        }
        Err(_) if is_only_kept(block.cryptographic_algorithm) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A key has the length that its key block says, and one that its algorithm has.
fn check_length(object_type: ObjectType, block: &KeyBlock, facts: Facts) -> Result<()> {
    let Some(algorithm) = block.cryptographic_algorithm.filter(|it| !is_only_kept(Some(*it)))
    else {
        return Ok(());
    };
    if let Some(said) = block.cryptographic_length
        && said != facts.length
    {
        return Err(Error::new(
            ResultReason::InvalidField,
            format!(
                "the key block says a Cryptographic Length of {said} bits; the key has {}",
                facts.length
            ),
        ));
    }
    if object_type == ObjectType::SymmetricKey {
        mechanism::check_length(algorithm, facts.length)?;
    }
    Ok(())
}

/// Algorithms whose keys are kept and given back, and not looked into.
fn is_only_kept(algorithm: Option<CryptographicAlgorithm>) -> bool {
    use CryptographicAlgorithm as Algorithm;
    algorithm.is_some_and(|algorithm| {
        !matches!(
            algorithm,
            Algorithm::RSA
                | Algorithm::EC
                | Algorithm::ECDSA
                | Algorithm::ECDH
                | Algorithm::Ed25519
                | Algorithm::AES
                | Algorithm::ChaCha20
                | Algorithm::ChaCha20Poly1305
        )
    })
}

/// Whether two algorithms name the same kind of key: curves have several names.
fn same_family(one: CryptographicAlgorithm, other: CryptographicAlgorithm) -> bool {
    use CryptographicAlgorithm as Algorithm;
    let curve = |algorithm| {
        matches!(
            algorithm,
            Algorithm::EC
                | Algorithm::ECDSA
                | Algorithm::ECDH
                | Algorithm::ECMQV
                | Algorithm::Ed25519
        )
    };
    one == other || (curve(one) && curve(other))
}

fn contradiction(what: &str, said: impl std::fmt::Debug, is: impl std::fmt::Debug) -> Error {
    Error::new(
        ResultReason::InvalidAttributeValue,
        format!("the attribute {what} says {said:?}; the key says {is:?}"),
    )
}

/// The bytes whose digest is told; none where the key is kept elsewhere.
fn digested(object: &ManagedObject) -> Option<Secret> {
    let bytes = match object {
        ManagedObject::Certificate(it) => it.certificate_value.to_vec(),
        ManagedObject::OpaqueObject(it) => it.opaque_data_value.to_vec(),
        other => match other.key_block().and_then(|block| block.key_value.as_ref()) {
            Some(KeyValue::Structure { material: KeyMaterial::Bytes(bytes), .. }) => bytes.to_vec(),
            Some(KeyValue::Structure {
                material: KeyMaterial::TransparentSymmetricKey(it),
                ..
            }) => it.key.to_vec(),
            Some(KeyValue::Wrapped(bytes)) => bytes.to_vec(),
            Some(value @ KeyValue::Structure { .. }) => {
                let encoded = value.to_ttlv(kmip::Version::V2_1);
                encoded.map(|bytes| bytes.to_vec()).unwrap_or_default()
            }
            None => return None,
        },
    };
    Some(Secret::new(bytes))
}
