//! Who may set which attribute when, carried out over the attribute table of `kmip`
//! (KMIP 2.1 section 4). It must never decide who may touch the object; `access` has by then.

use std::borrow::Cow;

use kmip::attribute::{
    Attribute, AttributeKind, AttributeName, Attributes, Digest, Rule, ShortUniqueIdentifier,
    VendorAttribute, Who,
};
use kmip::enumerations::{
    HashingAlgorithm, KeyFormatType, ObjectType, ProtectionStorageMask, ResultReason, State,
};
use kmip::stored::StoredRecord;
use kmip::wire::{Bytes, DateTime, Interval};
use kms_crypto::hash;

use crate::certificate;
use crate::error::{Error, Result};
use crate::index::{TAG_ATTRIBUTE, TAG_VENDOR, tags};
use crate::lifecycle;
use crate::usage;

/// The most attributes of one object.
pub(crate) const ATTRIBUTES_MAX: usize = 512;
/// The longest name of an object, in bytes: what an index entry holds.
pub(crate) const NAME_LENGTH_MAX: usize = 255;
/// The longest text of any other attribute, in bytes.
const TEXT_LENGTH_MAX: usize = 65_536;
/// How long a client may keep an object before it asks again, in seconds.
const LEASE_TIME: u32 = 3_600;
/// How objects are stored here.
pub(crate) const STORED_IN: ProtectionStorageMask = ProtectionStorageMask::Software;
/// The vendor of the attributes that this server computes.
pub(crate) const OWN_VENDOR: &str = "kms";
/// The computed vendor attribute that tells who owns an object.
pub(crate) const OWNER_ATTRIBUTE: &str = "owner";

/// Whether what a client sends may hold attributes that the server sets: an import brings an
/// object with its history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Made here, or registered.
    New,
    /// Brought from another server.
    Imported,
}

/// The attributes that a client may give a new object; refuses what it may not.
pub(crate) fn admit(
    object_type: ObjectType,
    attributes: Attributes,
    origin: Origin,
) -> Result<Attributes> {
    let mut admitted = Attributes::new();
    for attribute in attributes {
        check_size(&attribute)?;
        if let Attribute::Vendor(vendor) = &attribute {
            check_vendor(vendor)?;
            admitted.add(attribute);
            continue;
        }
        let rule = rule_of(&attribute)?;
        if rule.creation == Who::Server {
            if origin == Origin::Imported {
                keep_history(&mut admitted, attribute);
                continue;
            }
            return Err(read_only(rule));
        }
        if !rule.objects.contains(object_type) {
            return Err(Error::new(
                ResultReason::InvalidAttribute,
                format!("{} is not an attribute of a {object_type:?}", rule.name),
            ));
        }
        if !rule.multiple && admitted.has(rule.kind) {
            return Err(single(rule));
        }
        admitted.add(usage::as_stored(attribute, origin == Origin::Imported)?);
    }
    check_count(&admitted)?;
    if let Some(given) = admitted.object_type().filter(|given| *given != object_type) {
        return Err(Error::new(
            ResultReason::InvalidAttributeValue,
            format!("the attribute Object Type says {given:?}; the object is a {object_type:?}"),
        ));
    }
    Ok(admitted)
}

/// Of the attributes that servers set, those that stay true when an object moves here.
fn keep_history(admitted: &mut Attributes, attribute: Attribute) {
    if matches!(attribute, Attribute::AlwaysSensitive(_) | Attribute::NeverExtractable(_)) {
        admitted.set(attribute);
    }
}

/// Takes what only the request needs out of a new object's attributes: the identifier the caller
/// chose comes back, the rest is told by the object itself.
pub(crate) fn take_chosen_id(attributes: &mut Attributes) -> Option<String> {
    let chosen = attributes.unique_identifier().cloned();
    attributes.remove_kind(AttributeKind::UniqueIdentifier);
    attributes.remove_kind(AttributeKind::ObjectType);
    chosen
}

/// What the server adds to a new object: dates, digest, tags. `digested` are the bytes of the
/// material in the form `format`, if the object has any.
pub(crate) fn complete(
    record: &mut StoredRecord,
    digested: Option<&[u8]>,
    format: KeyFormatType,
    now: i64,
) {
    let attributes = &mut record.attributes;
    add_tag(attributes, record.object_type);
    if let Some(digested) = digested {
        let digest = hash::digest(hash::Hash::Sha256, digested).as_ref().to_vec();
        attributes.set(Attribute::Digest(Digest {
            hashing_algorithm: HashingAlgorithm::SHA_256,
            digest_value: Some(Bytes(digest)),
            key_format_type: Some(format),
        }));
    }
    attributes.set(Attribute::LastChangeDate(DateTime(now)));
    let sensitive = attributes.sensitive() == Some(true);
    let hidden = attributes.extractable() == Some(false);
    let always = attributes.always_sensitive().unwrap_or(sensitive);
    let never = attributes.never_extractable().unwrap_or(hidden);
    attributes.remove_kind(AttributeKind::AlwaysSensitive);
    attributes.remove_kind(AttributeKind::NeverExtractable);
    if sensitive && always {
        attributes.set(Attribute::AlwaysSensitive(true));
    }
    if hidden && never {
        attributes.set(Attribute::NeverExtractable(true));
    }
    lifecycle::born(record, now);
}

/// The tags by which the field's clients find an object of a type.
fn add_tag(attributes: &mut Attributes, object_type: ObjectType) {
    let own = match object_type {
        ObjectType::SymmetricKey => "_kk",
        ObjectType::PrivateKey => "_sk",
        ObjectType::PublicKey => "_pk",
        ObjectType::Certificate => "_cert",
        ObjectType::SecretData => "_sd",
        ObjectType::OpaqueObject => "_oo",
        _ => return,
    };
    let given = attributes.vendor(TAG_VENDOR, TAG_ATTRIBUTE).and_then(tags);
    let mut all: Vec<String> = given.unwrap_or_default();
    all.retain(|tag| !tag.starts_with('_'));
    all.push(own.to_owned());
    attributes.set(Attribute::Vendor(tag_attribute(&all)));
}

fn tag_attribute(all: &[String]) -> VendorAttribute {
    let text = serde_json::to_string(all).unwrap_or_else(|_| "[]".to_owned());
    VendorAttribute::text(TAG_VENDOR, TAG_ATTRIBUTE, text)
}

/// Notes that an object was changed now.
pub(crate) fn changed(record: &mut StoredRecord, now: i64) {
    record.attributes.set(Attribute::LastChangeDate(DateTime(now)));
}

/// The record of an object that is being given out by Get: no longer fresh (KMIP 2.1 section
/// 4.24). Nothing where it was given out before, so that Get writes once in an object's life.
pub(crate) fn served(record: &StoredRecord) -> Option<StoredRecord> {
    if record.attributes.fresh() == Some(false) {
        return None;
    }
    let mut record = record.clone();
    record.attributes.set(Attribute::Fresh(false));
    Some(record)
}

/// All attributes of an object as it answers now: those that are stored, and those that follow
/// from the rest. Sorted as the table is, vendors' own last.
pub(crate) fn view(id: &str, record: &StoredRecord, now: i64) -> Attributes {
    // None of these is ever stored, so that they are added and not looked for.
    let mut all =
        Attributes(Vec::with_capacity(record.attributes.0.len().saturating_add(COMPUTED)));
    all.0.extend(record.attributes.iter().cloned());
    all.add(Attribute::UniqueIdentifier(id.to_owned()));
    all.add(Attribute::ShortUniqueIdentifier(short_identifier(id)));
    all.add(Attribute::ObjectType(record.object_type));
    all.add(Attribute::State(lifecycle::effective(record, now)));
    for default in [
        Attribute::AlwaysSensitive(false),
        Attribute::Extractable(true),
        Attribute::Fresh(true),
        Attribute::LeaseTime(Interval(LEASE_TIME)),
        Attribute::NeverExtractable(false),
        Attribute::ProtectionStorageMask(STORED_IN),
        Attribute::Sensitive(false),
    ] {
        if default.kind().is_some_and(|kind| !all.has(kind)) {
            all.add(default);
        }
    }
    all.0.extend(certificate::deprecated(&record.attributes));
    all.0.sort_by_key(|it| it.kind().map_or((1, None), |kind| (0, Some(kind))));
    all
}

/// Room for what [`view`] adds.
const COMPUTED: usize = 16;

/// As the specification would have it made (2.1 section 4.56).
fn short_identifier(id: &str) -> ShortUniqueIdentifier {
    let digest = hash::digest(hash::Hash::Sha256, id.as_bytes());
    ShortUniqueIdentifier(Bytes(digest.as_ref().to_vec()))
}

/// The computed vendor attribute: who owns the object.
pub(crate) fn owner_attribute(record: &StoredRecord) -> Attribute {
    Attribute::Vendor(VendorAttribute::text(OWN_VENDOR, OWNER_ATTRIBUTE, record.owner.clone()))
}

/// Add Attribute (KMIP 2.1 section 6.1.2).
pub(crate) fn add(record: &mut StoredRecord, attribute: Attribute, now: i64) -> Result<()> {
    lifecycle::settle(record, now);
    check_size(&attribute)?;
    if let Attribute::Vendor(vendor) = &attribute {
        check_vendor(vendor)?;
    } else {
        let rule = rule_for(record, &attribute)?;
        let present = record.attributes.has(rule.kind) || is_computed(rule.kind);
        if present && !rule.multiple {
            return Err(if rule.add == Who::Server { read_only(rule) } else { single(rule) });
        }
        if rule.add == Who::Server {
            return Err(read_only(rule));
        }
        check_meaning(record, &attribute, now)?;
    }
    record.attributes.add(usage::as_stored(attribute, false)?);
    check_count(&record.attributes)?;
    settle_derived(record);
    changed(record, now);
    Ok(())
}

/// Set Attribute (KMIP 2.1 section 6.1.51): adds or replaces an attribute that has one value.
pub(crate) fn set(record: &mut StoredRecord, attribute: Attribute, now: i64) -> Result<()> {
    lifecycle::settle(record, now);
    check_size(&attribute)?;
    let attribute = if let Attribute::Vendor(vendor) = attribute {
        check_vendor(&vendor)?;
        Attribute::Vendor(keep_own_tags(record, vendor))
    } else {
        let rule = rule_for(record, &attribute)?;
        let present = record.attributes.has(rule.kind);
        if is_computed(rule.kind) || (if present { rule.modify } else { rule.add }) == Who::Server {
            return Err(read_only(rule));
        }
        check_meaning(record, &attribute, now)?;
        attribute
    };
    record.attributes.set(usage::as_stored(attribute, false)?);
    check_count(&record.attributes)?;
    settle_derived(record);
    changed(record, now);
    Ok(())
}

/// Modify Attribute (KMIP 2.1 section 6.1.34): replaces one value. `which` is 1.x's index or 2.x's
/// Current Attribute.
pub(crate) fn modify(
    record: &mut StoredRecord,
    which: &Which<'_>,
    attribute: Attribute,
    now: i64,
) -> Result<()> {
    lifecycle::settle(record, now);
    check_size(&attribute)?;
    let attribute = if let Attribute::Vendor(vendor) = attribute {
        check_vendor(&vendor)?;
        Attribute::Vendor(keep_own_tags(record, vendor))
    } else {
        let rule = rule_for(record, &attribute)?;
        if rule.modify == Who::Server || is_computed(rule.kind) {
            return Err(read_only(rule));
        }
        check_meaning(record, &attribute, now)?;
        let state = lifecycle::effective(record, now);
        if rule.kind == AttributeKind::ActivationDate && state != State::PreActive {
            let text = "an Activation Date that has come is not modified; the object is";
            let text = format!("{text} {}", lifecycle::name(state));
            return Err(Error::new(ResultReason::WrongKeyLifecycleState, text));
        }
        attribute
    };
    let attribute = usage::as_stored(attribute, false)?;
    let place = find(&record.attributes, &attribute.name(), which)?;
    if let Some(old) = record.attributes.0.get_mut(place) {
        *old = attribute;
    }
    settle_derived(record);
    changed(record, now);
    Ok(())
}

/// Delete Attribute (KMIP 2.1 section 6.1.15).
pub(crate) fn delete(
    record: &mut StoredRecord,
    name: &AttributeName,
    which: &Which<'_>,
    now: i64,
) -> Result<()> {
    lifecycle::settle(record, now);
    match name {
        AttributeName::Kind(kind) if kind.rule().delete == Who::Server => {
            return Err(read_only(kind.rule()));
        }
        AttributeName::Vendor { vendor, .. } if vendor == OWN_VENDOR => return Err(own_vendor()),
        AttributeName::Unknown(_) => return Err(not_found(name)),
        AttributeName::Kind(_) | AttributeName::Vendor { .. } => {}
    }
    if matches!(which, Which::All) {
        if record.attributes.remove(name) == 0 {
            return Err(not_found(name));
        }
    } else {
        let place = find(&record.attributes, name, which)?;
        record.attributes.0.remove(place);
    }
    if *name == tag_name() {
        add_tag(&mut record.attributes, record.object_type);
    }
    settle_derived(record);
    changed(record, now);
    Ok(())
}

/// Which of the values of an attribute is meant.
#[derive(Debug)]
pub(crate) enum Which<'a> {
    /// All of them.
    All,
    /// The one at this place among its name: KMIP 1.x.
    Index(usize),
    /// The one with this value: KMIP 2.x.
    Value(&'a Attribute),
}

fn find(attributes: &Attributes, name: &AttributeName, which: &Which<'_>) -> Result<usize> {
    let mut places = attributes.iter().enumerate().filter(|(_, it)| it.is(name));
    let mut present = false;
    let place = match which {
        Which::All => {
            let first = places.next();
            if places.next().is_some() {
                return Err(Error::new(
                    ResultReason::MultiValuedAttribute,
                    format!("{name} has several values; say which one"),
                ));
            }
            first
        }
        Which::Index(index) => {
            present = attributes.named(name).next().is_some();
            places.nth(*index)
        }
        Which::Value(value) => {
            present = attributes.named(name).next().is_some();
            places.find(|(_, it)| *it == *value)
        }
    };
    place.map(|(place, _)| place).ok_or_else(|| {
        if present {
            let text = format!("{name} has no such value");
            Error::new(ResultReason::AttributeInstanceNotFound, text)
        } else {
            not_found(name)
        }
    })
}

/// The attribute's rule, if it is one of this object's type.
fn rule_for(record: &StoredRecord, attribute: &Attribute) -> Result<&'static Rule> {
    let rule = rule_of(attribute)?;
    if rule.objects.contains(record.object_type) {
        return Ok(rule);
    }
    Err(Error::new(
        ResultReason::InvalidAttribute,
        format!("{} is not an attribute of a {:?}", rule.name, record.object_type),
    ))
}

fn rule_of(attribute: &Attribute) -> Result<&'static Rule> {
    let kind = attribute.kind().ok_or_else(|| Error::internal("an attribute without a rule"))?;
    Ok(kind.rule())
}

/// The attributes that follow from the object itself and are never stored.
fn is_computed(kind: AttributeKind) -> bool {
    use AttributeKind as Kind;
    matches!(
        kind,
        Kind::UniqueIdentifier
            | Kind::ShortUniqueIdentifier
            | Kind::ObjectType
            | Kind::State
            | Kind::LeaseTime
    )
}

/// What a date or flag means for the object's life must fit its state.
fn check_meaning(record: &StoredRecord, attribute: &Attribute, now: i64) -> Result<()> {
    let state = lifecycle::effective(record, now);
    let refuse = |text: &str| {
        let text = format!("{text}; the object is {}", lifecycle::name(state));
        Err(Error::new(ResultReason::WrongKeyLifecycleState, text))
    };
    match attribute {
        Attribute::ActivationDate(date) if state != State::PreActive && date.0 > now => {
            refuse("an Activation Date to come can only be set while Pre-Active")
        }
        Attribute::DeactivationDate(_) if !matches!(state, State::PreActive | State::Active) => {
            refuse("a Deactivation Date can only be set while Pre-Active or Active")
        }
        Attribute::ProcessStartDate(_) | Attribute::ProtectStopDate(_)
            if !matches!(state, State::PreActive | State::Active) =>
        {
            refuse("this date can only be set while Pre-Active or Active")
        }
        _ => Ok(()),
    }
}

/// Flags that tell about the past follow the flags of the present.
fn settle_derived(record: &mut StoredRecord) {
    let attributes = &mut record.attributes;
    if attributes.sensitive() != Some(true) {
        attributes.remove_kind(AttributeKind::AlwaysSensitive);
    }
    if attributes.extractable() != Some(false) {
        attributes.remove_kind(AttributeKind::NeverExtractable);
    }
}

/// The attribute that a name means: the field's clients refer to the tags as `Tag`.
pub(crate) fn meant(name: AttributeName) -> AttributeName {
    match name {
        AttributeName::Unknown(text) if text == "Tag" => tag_name(),
        name => name,
    }
}

fn tag_name() -> AttributeName {
    AttributeName::Vendor { vendor: TAG_VENDOR.to_owned(), name: TAG_ATTRIBUTE.to_owned() }
}

/// A client's tags replace a client's tags; those of the server stay.
fn keep_own_tags(record: &StoredRecord, vendor: VendorAttribute) -> VendorAttribute {
    let Some(mut new) = tags(&vendor) else { return vendor };
    let old = record.attributes.vendor(TAG_VENDOR, TAG_ATTRIBUTE).and_then(tags);
    new.retain(|tag| !tag.starts_with('_'));
    new.extend(old.unwrap_or_default().into_iter().filter(|tag| tag.starts_with('_')));
    tag_attribute(&new)
}

fn check_vendor(vendor: &VendorAttribute) -> Result<()> {
    if vendor.vendor == OWN_VENDOR {
        return Err(own_vendor());
    }
    let is_tag = vendor.vendor == TAG_VENDOR && vendor.name == TAG_ATTRIBUTE;
    if is_tag && tags(vendor).is_none() {
        return Err(Error::new(
            ResultReason::InvalidAttributeValue,
            "the attribute `tag` is a text that holds a JSON list of texts: [\"a\",\"b\"]",
        ));
    }
    Ok(())
}

fn check_size(attribute: &Attribute) -> Result<()> {
    let (text, max): (Cow<'_, str>, usize) = match attribute {
        Attribute::Name(name) => (name.value.as_str().into(), NAME_LENGTH_MAX),
        Attribute::ObjectGroup(text) => (text.as_str().into(), NAME_LENGTH_MAX),
        Attribute::AlternativeName(name) => (name.value.as_str().into(), TEXT_LENGTH_MAX),
        Attribute::Vendor(vendor) => {
            let text = vendor.as_text().unwrap_or_default();
            let name_length = vendor.vendor.len().saturating_add(vendor.name.len());
            let text = if name_length > NAME_LENGTH_MAX { &vendor.name } else { text };
            let max = if name_length > NAME_LENGTH_MAX { 0 } else { TEXT_LENGTH_MAX };
            (text.into(), max)
        }
        Attribute::Comment(text) | Attribute::Description(text) => {
            (text.as_str().into(), TEXT_LENGTH_MAX)
        }
        Attribute::ContactInformation(text) => (text.as_str().into(), TEXT_LENGTH_MAX),
        _ => return Ok(()),
    };
    let named = matches!(attribute, Attribute::Name(_) | Attribute::ObjectGroup(_));
    if text.len() > max || (named && text.is_empty()) {
        let name = attribute.name();
        return Err(Error::new(
            ResultReason::InvalidAttributeValue,
            format!("{name} must have between 1 and {max} bytes"),
        ));
    }
    Ok(())
}

/// What a request looks for is bounded like what an object has.
pub(crate) fn check_wanted(attributes: &Attributes) -> Result<()> {
    let is_long = |it: &Attribute| match it {
        Attribute::Vendor(vendor) => {
            vendor.as_text().is_some_and(|text| text.len() > TEXT_LENGTH_MAX)
        }
        _ => false,
    };
    if attributes.iter().any(is_long) {
        return Err(Error::new(
            ResultReason::InvalidAttributeValue,
            format!("a text has at most {TEXT_LENGTH_MAX} bytes"),
        ));
    }
    check_count(attributes)
}

/// Those of `all` that `names` name, each once, in the order of the names.
pub(crate) fn chosen(all: &Attributes, names: &[AttributeName]) -> Result<Attributes> {
    if names.len() > ATTRIBUTES_MAX {
        return Err(Error::new(
            ResultReason::ServerLimitExceeded,
            format!("at most {ATTRIBUTES_MAX} attributes are named at once"),
        ));
    }
    let mut chosen = Attributes::new();
    for (place, name) in names.iter().enumerate() {
        let repeated = names.iter().take(place).any(|before| before == name);
        if !repeated {
            all.named(name).for_each(|it| chosen.add(it.clone()));
        }
    }
    Ok(chosen)
}

/// How many attributes an object, or a request, may have.
pub(crate) fn check_count(attributes: &Attributes) -> Result<()> {
    if attributes.0.len() <= ATTRIBUTES_MAX {
        return Ok(());
    }
    Err(Error::new(
        ResultReason::ServerLimitExceeded,
        format!("an object has at most {ATTRIBUTES_MAX} attributes"),
    ))
}

fn read_only(rule: &Rule) -> Error {
    Error::new(ResultReason::AttributeReadOnly, format!("{} is set by the server", rule.name))
}

fn single(rule: &Rule) -> Error {
    let text = format!("{} has one value, and it is there already", rule.name);
    Error::new(ResultReason::AttributeSingleValued, text)
}

fn not_found(name: &AttributeName) -> Error {
    Error::new(ResultReason::AttributeNotFound, format!("the object has no {name}"))
}

fn own_vendor() -> Error {
    Error::new(
        ResultReason::AttributeReadOnly,
        format!("attributes of the vendor {OWN_VENDOR:?} are computed by the server"),
    )
}
