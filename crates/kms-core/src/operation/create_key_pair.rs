//! Create Key Pair (KMIP 2.1 section 6.1.9).

use kmip::attribute::{AttributeKind, Attributes};
use kmip::enumerations::{KeyFormatType, LinkType, ObjectType, ResultReason};
use kmip::object::{KeyBlock, KeyMaterial, KeyValue, Object as ManagedObject};
use kmip::operation::{CreateKeyPairRequest, CreateKeyPairResponse, ProtectionStorageMasks};

use super::create::{forget_form, link, note_generated, store_in};
use super::{Operation, Target};
use crate::access::{Grants, Makes, Needs, Permission, Row};
use crate::attribute_rules::{Origin, admit, check_count, take_chosen_id};
use crate::context::{Context, new_id};
use crate::error::{Error, Result};
use crate::material::{NewObject, new_object};
use crate::mechanism::{self, Pair, PairKind};

pub(super) struct CreateKeyPair;

/// What follows a chosen private key's identifier in its public key's, as the field's clients
/// expect.
const PUBLIC_SUFFIX: &str = "_pk";

impl Operation for CreateKeyPair {
    type Request = CreateKeyPairRequest;
    type Response = CreateKeyPairResponse;
    const NEEDS: Needs = Needs::Grant(Permission::Create);
    const ROLES: &'static [Row] = &[];
    const MAKES: Makes = Makes::Objects;

    async fn targets(_: &mut Context<'_>, _: &CreateKeyPairRequest) -> Result<Vec<Target>> {
        Ok(Vec::new())
    }

    async fn run(
        context: &mut Context<'_>,
        _: Grants<Self>,
        request: CreateKeyPairRequest,
    ) -> Result<CreateKeyPairResponse> {
        let common = request.common_attributes.as_ref();
        let everywhere = request.common_protection_storage_masks.as_ref();
        let mut private = Half::new(
            ObjectType::PrivateKey,
            common,
            request.private_key_attributes,
            [everywhere, request.private_protection_storage_masks.as_ref()],
        )?;
        let mut public = Half::new(
            ObjectType::PublicKey,
            common,
            request.public_key_attributes,
            [everywhere, request.public_protection_storage_masks.as_ref()],
        )?;
        name_halves(&mut private, &mut public)?;
        let kind = kind_of(&private.attributes, &public.attributes)?;
        let pair = mechanism::generate_pair(context, kind).await?;
        insert_pair(context, (private, public), pair, None)
    }
}

/// One half of a pair that is to be made.
pub(super) struct Half {
    pub(super) object_type: ObjectType,
    pub(super) id: String,
    pub(super) attributes: Attributes,
}

impl Half {
    /// The half with the attributes of both and its own; its own count where the two differ.
    fn new(
        object_type: ObjectType,
        common: Option<&Attributes>,
        own: Option<Attributes>,
        stored: [Option<&ProtectionStorageMasks>; 2],
    ) -> Result<Self> {
        let own = own.unwrap_or_default();
        let mut all = merged(common, own)?;
        // Clients name the private key's type and form for both halves.
        forget_form(&mut all);
        let mut attributes = admit(object_type, all, Origin::New)?;
        for masks in stored {
            store_in(&mut attributes, masks)?;
        }
        let id = take_chosen_id(&mut attributes).unwrap_or_default();
        Ok(Self { object_type, id, attributes })
    }
}

/// The attributes of both halves and one half's own. An identifier is never for both.
pub(super) fn merged(common: Option<&Attributes>, own: Attributes) -> Result<Attributes> {
    common.map_or(Ok(()), check_count)?;
    check_count(&own)?;
    let inherited = common.into_iter().flatten().filter(|attribute| {
        let repeated = || own.iter().any(|it| it.name() == attribute.name());
        match attribute.kind() {
            Some(AttributeKind::UniqueIdentifier) => false,
            Some(kind) => kind.rule().multiple || !repeated(),
            None => !repeated(),
        }
    });
    let mut all: Attributes = inherited.cloned().collect();
    for attribute in own {
        all.add(attribute);
    }
    Ok(all)
}

/// Gives both halves their identifiers: the chosen ones; else a random one to the private key, and
/// the private key's with a suffix to the public key, as the recorded clients know it. The two stand
/// side by side in the database.
pub(super) fn name_halves(private: &mut Half, public: &mut Half) -> Result<()> {
    let chosen = |half: &mut Half| Some(std::mem::take(&mut half.id)).filter(|id| !id.is_empty());
    private.id = new_id(chosen(private))?;
    let beside = format!("{}{PUBLIC_SUFFIX}", private.id);
    public.id = new_id(chosen(public).or(Some(beside)))?;
    Ok(())
}

/// Which pair the attributes of its halves mean.
pub(super) fn kind_of(private: &Attributes, public: &Attributes) -> Result<PairKind> {
    let algorithm = private.cryptographic_algorithm().or(public.cryptographic_algorithm());
    let algorithm = algorithm.ok_or_else(|| {
        Error::new(ResultReason::InvalidMessage, "the attribute Cryptographic Algorithm is missing")
    })?;
    let domain = private
        .cryptographic_domain_parameters()
        .or_else(|| public.cryptographic_domain_parameters());
    let length = private.cryptographic_length().or(public.cryptographic_length());
    if private.quantum_safe() == Some(true) || public.quantum_safe() == Some(true) {
        return Err(Error::new(
            ResultReason::GeneralFailure,
            format!("{algorithm} key pairs are not Quantum Safe"),
        ));
    }
    mechanism::pair_kind(algorithm, length, domain.and_then(|it| it.recommended_curve))
}

/// Writes both halves, linked to each other. The owner is the caller, unless `owner` is another.
pub(super) fn insert_pair(
    context: &mut Context<'_>,
    (mut private, mut public): (Half, Half),
    pair: Pair,
    owner: Option<&str>,
) -> Result<CreateKeyPairResponse> {
    private.attributes.add(link(LinkType::PublicKeyLink, &public.id));
    public.attributes.add(link(LinkType::PrivateKeyLink, &private.id));
    let response = CreateKeyPairResponse {
        private_key_unique_identifier: private.id.clone(),
        public_key_unique_identifier: public.id.clone(),
        private_key_attributes: None,
        public_key_attributes: None,
    };
    for (half, (format, material)) in [(private, pair.private), (public, pair.public)] {
        let Half { object_type, id, attributes } = half;
        let object = key(object_type, format, material, (&attributes, pair.facts.length))?;
        let mut attributes = attributes;
        note_generated(&mut attributes, context.now);
        let NewObject { mut record, material } = new_object(context, object, attributes, Some(pair.facts))?;
        if let Some(owner) = owner {
            owner.clone_into(&mut record.owner);
        }
        context.unit.insert(&id, record, material)?;
    }
    Ok(response)
}

fn key(
    object_type: ObjectType,
    key_format_type: KeyFormatType,
    material: KeyMaterial,
    (attributes, bits): (&Attributes, i32),
) -> Result<ManagedObject> {
    let block = KeyBlock {
        key_format_type,
        key_compression_type: None,
        key_value: Some(KeyValue::plain(material)),
        cryptographic_algorithm: attributes.cryptographic_algorithm(),
        cryptographic_length: Some(bits),
        key_wrapping_data: None,
    };
    ManagedObject::from_key_block(object_type, None, block)
        .ok_or_else(|| Error::internal("a key without a key block"))
}
