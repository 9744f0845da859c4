//! Re-key: a new symmetric key takes the place, the names and the life cycle of another
//! (KMIP 2.1 section 6.1.46).

use kmip::attribute::{Attribute, AttributeKind as Kind, Attributes};
use kmip::enumerations::{LinkType, ObjectType, ResultReason};
use kmip::operation::{RekeyRequest, RekeyResponse};
use kmip::stored::StoredRecord;
use kmip::wire::{DateTime, Interval};

use super::create::{forget_form, link, note_generated, store_in, symmetric_key};
use super::{Operation, Target, subject};
use crate::access::{Grants, Makes, Needs, Permission, Role, Row, role};
use crate::attribute_rules::{self, Origin, admit, take_chosen_id};
use crate::context::{Context, new_id};
use crate::error::{Error, Result};
use crate::material::new_object;
use crate::object::Object;

pub(super) struct Rekey;

/// What a replacement does not take over (table 304): what is told of the key itself, of its past,
/// and what leads to other objects.
const NOT_COPIED: &[Kind] = &[
    Kind::AlwaysSensitive,
    Kind::ArchiveDate,
    Kind::CompromiseDate,
    Kind::CompromiseOccurrenceDate,
    Kind::DestroyDate,
    Kind::Digest,
    Kind::Fresh,
    Kind::InitialDate,
    Kind::KeyFormatType,
    Kind::LastChangeDate,
    Kind::Link,
    Kind::NeverExtractable,
    Kind::OriginalCreationDate,
    Kind::RandomNumberGenerator,
    Kind::RevocationReason,
    Kind::RotateDate,
    Kind::RotateGeneration,
    Kind::RotateLatest,
    Kind::ShortUniqueIdentifier,
    Kind::State,
    Kind::UniqueIdentifier,
];

impl Operation for Rekey {
    type Request = RekeyRequest;
    type Response = RekeyResponse;
    const NEEDS: Needs = Needs::Grant(Permission::Rekey);
    const ROLES: &'static [Row] =
        &[Row::new(Role::Subject, Self::NEEDS)
            .types(&[ObjectType::SymmetricKey])];
    const MAKES: Makes = Makes::Objects;

    async fn targets(context: &mut Context<'_>, request: &RekeyRequest) -> Result<Vec<Target>> {
        subject(context, request.unique_identifier.as_ref()).await
    }

    async fn run(
        context: &mut Context<'_>,
        mut objects: Grants<Self>,
        request: RekeyRequest,
    ) -> Result<RekeyResponse> {
        let old = objects.take::<role::Subject>()?;
        check_replaceable(old.record())?;
        let wanted = request.attributes.unwrap_or_default();
        let mut wanted = admit(ObjectType::SymmetricKey, wanted, Origin::New)?;
        store_in(&mut wanted, request.protection_storage_masks.as_ref())?;
        let id = new_id(take_chosen_id(&mut wanted))?;
        let mut attributes = successor(old.record(), wanted, request.offset, context.now)?;
        attributes.add(link(LinkType::ReplacedObjectLink, old.id()));
        let object = symmetric_key(&attributes)?;
        note_generated(&mut attributes, context.now);
        let mut new = new_object(context, object, attributes, None)?;
        // Whoever may replace a key does not become the owner of what takes its place.
        new.record.owner.clone_from(&old.record().owner);
        context.unit.insert(&id, new.record, new.material)?;
        retire(context, old.object(), &id);
        Ok(RekeyResponse { unique_identifier: id, attributes: None })
    }
}

/// A key is replaced once: its replacement has its names, and is the one to replace next.
pub(super) fn check_replaceable(record: &StoredRecord) -> Result<()> {
    if record.attributes.linked(LinkType::ReplacementObjectLink).is_some() {
        return Err(Error::new(
            ResultReason::IllegalOperation,
            "the key was replaced already: re-key the one that its Replacement Object Link names",
        ));
    }
    if record.key_block.key_wrapping_data.is_some() {
        return Err(Error::new(
            ResultReason::FeatureNotSupported,
            "the key is kept wrapped: create a new one and have that wrapped",
        ));
    }
    Ok(())
}

/// The attributes of the key that takes the place of `record`'s: those of the old one, its dates
/// moved by `offset`, and those that are `wanted` beside or instead.
pub(super) fn successor(
    record: &StoredRecord,
    wanted: Attributes,
    offset: Option<Interval>,
    now: i64,
) -> Result<Attributes> {
    let old = &record.attributes;
    let copied = old.iter().filter(|it| it.kind().is_none_or(|kind| !NOT_COPIED.contains(&kind)));
    let mut new: Attributes = copied.cloned().collect();
    if let Some(offset) = offset {
        shift_dates(&mut new, old, i64::from(offset.0), now)?;
    }
    if let Some(mut limits) = new.usage_limits() {
        limits.usage_limits_count = Some(limits.usage_limits_total);
        new.set(Attribute::UsageLimits(limits));
    }
    let mut wanted = wanted;
    forget_form(&mut wanted);
    if wanted.cryptographic_algorithm().is_some_and(|it| Some(it) != old.cryptographic_algorithm())
    {
        return Err(Error::new(
            ResultReason::InvalidAttributeValue,
            "a replacement has the Cryptographic Algorithm of the key that it replaces",
        ));
    }
    for attribute in wanted {
        match attribute.kind() {
            Some(kind) if kind.rule().multiple => {
                if !new.iter().any(|it| *it == attribute) {
                    new.add(attribute);
                }
            }
            _ => new.set(attribute),
        }
    }
    Ok(new)
}

/// The attribute that a moved date goes into.
type Moved = fn(DateTime) -> Attribute;

/// Table 303: the new key is activated `offset` seconds from now, and its other dates keep their
/// distance from that.
fn shift_dates(new: &mut Attributes, old: &Attributes, offset: i64, now: i64) -> Result<()> {
    let too_far = || Error::invalid("the Offset leads beyond the end of time");
    let activation = now.checked_add(offset).ok_or_else(too_far)?;
    new.set(Attribute::ActivationDate(DateTime(activation)));
    let Some(before) = old.activation_date() else { return Ok(()) };
    let by = activation.checked_sub(before.0).ok_or_else(too_far)?;
    let dates: [(Option<DateTime>, Moved); 3] = [
        (old.process_start_date(), Attribute::ProcessStartDate),
        (old.protect_stop_date(), Attribute::ProtectStopDate),
        (old.deactivation_date(), Attribute::DeactivationDate),
    ];
    for (date, attribute) in dates {
        if let Some(date) = date {
            let moved = date.0.checked_add(by).ok_or_else(too_far)?;
            new.set(attribute(DateTime(moved)));
        }
    }
    Ok(())
}

/// The old key loses its names and leads to the new one. Its life goes on.
pub(super) fn retire(context: &mut Context<'_>, old: &Object, new_id: &str) {
    let mut record = old.record().clone();
    record.attributes.remove_kind(Kind::Name);
    record.attributes.add(link(LinkType::ReplacementObjectLink, new_id));
    attribute_rules::changed(&mut record, context.now);
    context.unit.update(old, record);
}
