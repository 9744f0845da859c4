//! Re-key Key Pair: a new pair takes the place of another (KMIP 2.1 section 6.1.47).

use kmip::attribute::Attributes;
use kmip::enumerations::{LinkType, ObjectType, ResultReason};
use kmip::operation::{ProtectionStorageMasks, RekeyKeyPairRequest, RekeyKeyPairResponse};

use super::create::{forget_form, link, store_in};
use super::create_key_pair::{Half, insert_pair, kind_of, merged, name_halves};
use super::rekey::{check_replaceable, retire, successor};
use super::{Operation, Target};
use crate::access::{Authorized, Grants, Makes, Needs, Permission, Role, Row, role};
use crate::attribute_rules::{Origin, admit, take_chosen_id};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::mechanism;
use crate::object::Object;

pub(super) struct RekeyKeyPair;


impl Operation for RekeyKeyPair {
    type Request = RekeyKeyPairRequest;
    type Response = RekeyKeyPairResponse;
    const NEEDS: Needs = Needs::Grant(Permission::Rekey);
    const ROLES: &'static [Row] = &[
        Row::new(Role::Subject, Self::NEEDS).types(&[ObjectType::PrivateKey]),
        Row::new(Role::PairHalf, Self::NEEDS).types(&[ObjectType::PublicKey]),
    ];
    const MAKES: Makes = Makes::Objects;

    async fn targets(
        context: &mut Context<'_>,
        request: &RekeyKeyPairRequest,
    ) -> Result<Vec<Target>> {
        let id = context.resolve(request.private_key_unique_identifier.as_ref()).await?;
        // The public half is found by the private one's link.
        Ok(vec![Target { cascade: true, ..Target::new(Role::Subject, id) }])
    }

    async fn run(
        context: &mut Context<'_>,
        mut objects: Grants<Self>,
        request: RekeyKeyPairRequest,
    ) -> Result<RekeyKeyPairResponse> {
        let old_private = objects.take::<role::Subject>()?;
        let old_public: Authorized<Self, role::PairHalf> =
            objects.maybe::<role::PairHalf>().ok_or_else(|| {
                Error::new(
                    ResultReason::IllegalOperation,
                    "the private key has no Public Key Link: only a whole pair can be replaced",
                )
            })?;
        let common = request.common_attributes.as_ref();
        let everywhere = request.common_protection_storage_masks.as_ref();
        let wanted = Wanted { common, now: context.now, offset: request.offset };
        let mut private = wanted.half(
            old_private.object(),
            request.private_key_attributes,
            [everywhere, request.private_protection_storage_masks.as_ref()],
        )?;
        let mut public = wanted.half(
            old_public.object(),
            request.public_key_attributes,
            [everywhere, request.public_protection_storage_masks.as_ref()],
        )?;
        name_halves(&mut private, &mut public)?;
        let kind = kind_of(&private.attributes, &public.attributes)?;
        let pair = mechanism::generate_pair(context, kind).await?;
        let owner = old_private.record().owner.clone();
        let made = insert_pair(context, (private, public), pair, Some(&owner))?;
        retire(context, old_private.object(), &made.private_key_unique_identifier);
        retire(context, old_public.object(), &made.public_key_unique_identifier);
        Ok(RekeyKeyPairResponse {
            private_key_unique_identifier: made.private_key_unique_identifier,
            public_key_unique_identifier: made.public_key_unique_identifier,
            private_key_attributes: None,
            public_key_attributes: None,
        })
    }
}

/// What the request wants of both halves.
struct Wanted<'a> {
    common: Option<&'a Attributes>,
    now: i64,
    offset: Option<kmip::wire::Interval>,
}

impl Wanted<'_> {
    /// The half that takes the place of `old`.
    fn half(
        &self,
        old: &Object,
        own: Option<Attributes>,
        stored: [Option<&ProtectionStorageMasks>; 2],
    ) -> Result<Half> {
        let record = old.record();
        check_replaceable(record)?;
        let mut wanted = merged(self.common, own.unwrap_or_default())?;
        forget_form(&mut wanted);
        let mut wanted = admit(record.object_type, wanted, Origin::New)?;
        for masks in stored {
            store_in(&mut wanted, masks)?;
        }
        let id = take_chosen_id(&mut wanted).unwrap_or_default();
        let mut attributes = successor(record, wanted, self.offset, self.now)?;
        attributes.add(link(LinkType::ReplacedObjectLink, old.id()));
        Ok(Half { object_type: record.object_type, id, attributes })
    }
}
