//! Finding objects by their attributes: candidates by the index, matches by the record.
//! It must never answer with an object that the caller may not find.

use std::sync::Arc;

use kmip::attribute::{Attribute, Attributes};
use kmip::enumerations::{LinkType, ResultReason, State, StorageStatusMask};
use kmip::stored::StoredRecord;
use kms_store::{Cached, Condition, Search};

use crate::access::{self, Row};
use crate::attribute_rules::{OWN_VENDOR, OWNER_ATTRIBUTE, STORED_IN};
use crate::certificate;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::grant::REGISTER;
use crate::index::{self, TAG_ATTRIBUTE, TAG_VENDOR, tags};
use crate::lifecycle;
use crate::object::Object;
use crate::unit::from_store;

/// Rows that are looked at in the first step: what one name finds is read at once.
const FIRST_PAGE: usize = 64;
/// Rows that are looked at in each further step.
const PAGE: usize = 500;
/// The most tags that one identifier may be made of.
const TAGS_MAX: usize = 64;
/// The longest list of tags that is read, in bytes.
const TAGS_LENGTH_MAX: usize = TAGS_MAX * 256;

/// What is looked for.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    /// All of them must match; two dates of one kind are a range.
    pub(crate) attributes: Attributes,
    /// Whether destroyed objects are looked at though nobody asked for their state.
    pub(crate) destroyed: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Identifiers, oldest first.
    pub(crate) ids: Vec<String>,
    /// How many there are in all; `None` where they were too many to count.
    pub(crate) count: Option<usize>,
}

impl Filter {
    /// The filter of a request.
    pub(crate) fn new(attributes: Attributes, mask: Option<StorageStatusMask>) -> Self {
        let destroyed = mask.is_some_and(|mask| mask.contains(StorageStatusMask::DestroyedStorage));
        Self { attributes, destroyed }
    }

    fn search(&self, user: &str, now: i64) -> Search {
        let mut entries = Vec::new();
        for attribute in &self.attributes {
            index::of(attribute, &mut entries);
        }
        let index = entries.into_iter().map(|it| Condition::equal(it.kind, it.value)).collect();
        Search {
            visible_to: Some(user.to_owned()),
            index,
            states: self.attributes.state().map(|state| (vec![state], now)),
            object_type: self.attributes.object_type(),
            limit: FIRST_PAGE,
            ..Search::default()
        }
    }

    /// Whether the object matches.
    fn matches(&self, object: &Object, now: i64) -> bool {
        if object.id() == REGISTER {
            return false; // It is for nobody to find.
        }
        let record = object.record();
        let state = lifecycle::effective(record, now);
        if !self.destroyed && self.attributes.state().is_none() && lifecycle::is_destroyed(state) {
            return false;
        }
        self.attributes.iter().all(|wanted| self.has(object.id(), record, state, wanted))
    }

    fn has(&self, id: &str, record: &StoredRecord, state: State, wanted: &Attribute) -> bool {
        let attributes = &record.attributes;
        match wanted {
            Attribute::State(wanted) => state == *wanted,
            Attribute::ObjectType(wanted) => record.object_type == *wanted,
            Attribute::UniqueIdentifier(wanted) => id == wanted,
            Attribute::CryptographicUsageMask(wanted) => {
                attributes.cryptographic_usage_mask().is_some_and(|mask| mask.contains(*wanted))
            }
            Attribute::Vendor(wanted)
                if wanted.vendor == OWN_VENDOR && wanted.name == OWNER_ATTRIBUTE =>
            {
                wanted.as_text() == Some(record.owner.as_str())
            }
            Attribute::Vendor(wanted) => match tags(wanted) {
                Some(wanted) => {
                    let found = attributes.vendor(TAG_VENDOR, TAG_ATTRIBUTE).and_then(tags);
                    let found = found.unwrap_or_default();
                    wanted.iter().all(|tag| found.contains(tag))
                }
                None => attributes.vendor(&wanted.vendor, &wanted.name) == Some(wanted),
            },
            Attribute::ApplicationSpecificInformation(wanted) => {
                attributes.iter().any(|it| match it {
                    Attribute::ApplicationSpecificInformation(it) => {
                        it.application_namespace == wanted.application_namespace
                            && (wanted.application_data.is_none()
                                || it.application_data == wanted.application_data)
                    }
                    _ => false,
                })
            }
            Attribute::CertificateIdentifier(_)
            | Attribute::CertificateIssuer(_)
            | Attribute::CertificateSubject(_) => {
                certificate::deprecated(attributes).contains(wanted)
            }
            wanted => self.has_plain(attributes, wanted),
        }
    }

    fn has_plain(&self, attributes: &Attributes, wanted: &Attribute) -> bool {
        let Some(kind) = wanted.kind() else { return false };
        let Some(date) = date_of(wanted) else {
            return attributes.all(kind).any(|it| it == wanted) || is_default(attributes, wanted);
        };
        let bounds: Vec<i64> = self.attributes.all(kind).filter_map(date_of).collect();
        let found = attributes.get(kind).and_then(date_of);
        match (bounds.iter().min(), bounds.iter().max()) {
            (Some(low), Some(high)) if bounds.len() > 1 => {
                found.is_some_and(|found| (*low..=*high).contains(&found))
            }
            _ => found == Some(date),
        }
    }
}

/// Flags that are not stored have their usual value.
fn is_default(attributes: &Attributes, wanted: &Attribute) -> bool {
    let missing = wanted.kind().is_some_and(|kind| !attributes.has(kind));
    missing
        && matches!(
            wanted,
            Attribute::AlwaysSensitive(false)
                | Attribute::Extractable(true)
                | Attribute::Fresh(true)
                | Attribute::NeverExtractable(false)
                | Attribute::ProtectionStorageMask(STORED_IN)
                | Attribute::Sensitive(false)
        )
}

fn date_of(attribute: &Attribute) -> Option<i64> {
    use Attribute as A;
    match attribute {
        A::ActivationDate(date)
        | A::ArchiveDate(date)
        | A::CompromiseDate(date)
        | A::CompromiseOccurrenceDate(date)
        | A::DeactivationDate(date)
        | A::DestroyDate(date)
        | A::InitialDate(date)
        | A::LastChangeDate(date)
        | A::OriginalCreationDate(date)
        | A::ProcessStartDate(date)
        | A::ProtectStopDate(date)
        | A::RotateDate(date) => Some(date.0),
        _ => None,
    }
}

/// A page of candidates, and what was granted to the caller on those of others.
async fn next_page(context: &mut Context<'_>, search: &Search) -> Result<Vec<Arc<Cached>>> {
    let user = context.principal.user();
    let page = context.service.store.search(search.clone()).await.map_err(from_store)?;
    let others = page.iter().filter(|cached| cached.row.owner != user);
    let others: Vec<_> = others.map(|cached| cached.row.id.as_str()).collect();
    if !others.is_empty() {
        context.unit.ask_grants(&others, user).await?;
    }
    Ok(page)
}

/// Looks for what matches, passes `offset` over and takes at most `limit`; counts all up to
/// `count_max`.
pub(crate) async fn find(
    context: &mut Context<'_>,
    row: &Row,
    filter: &Filter,
    (offset, limit, count_max): (usize, usize, usize),
) -> Result<Found> {
    let mut found = Found::default();
    let mut count = 0_usize;
    let mut search = filter.search(context.principal.user(), context.now);
    loop {
        let page = next_page(context, &search).await?;
        let last = page.last().map(|row| row.seq);
        let full = page.len() >= search.limit;
        for cached in page {
            let id = cached.row.id.clone();
            context.vault().meet(cached.row.sealed_by).await?;
            // A row that was altered is reported by the vault and is never found.
            let Ok(object) = Object::open_row(context.vault(), &cached) else { continue };
            if !filter.matches(&object, context.now)
                || !access::finds(context, row, &object).await?
            {
                continue;
            }
            count = count.saturating_add(1);
            if count > offset && found.ids.len() < limit {
                found.ids.push(id);
            }
            if count > count_max {
                return Ok(found);
            }
        }
        if !full {
            // Nothing there, and nothing that may be seen, are one answer.
            if count == 0 {
                context.veil.draw();
            }
            found.count = Some(count);
            return Ok(found);
        }
        search.after = last;
        search.limit = PAGE;
    }
}

/// What has the tags: at most two of each, which is one too many.
#[derive(Default)]
struct Candidates {
    current: Vec<String>,
    /// What has a replacement: it stands back behind what has none, or tags would mean nothing any
    /// more after a Re-key, which hands them on.
    replaced: Vec<String>,
}

impl Candidates {
    fn add(&mut self, object: &Object) {
        let is_replaced = object.record().attributes.linked(LinkType::ReplacementObjectLink);
        let list = if is_replaced.is_some() { &mut self.replaced } else { &mut self.current };
        if list.len() < 2 {
            list.push(object.id().to_owned());
        }
    }

    /// Whether nothing more that is found changes the answer.
    fn decided(&self) -> bool {
        self.current.len() > 1
    }

    fn best(self) -> Vec<String> {
        if self.current.is_empty() { self.replaced } else { self.current }
    }
}

/// The one object that has all the tags of the JSON list `text`, among those the caller owns; where
/// none is, among those the caller was granted something on. What others share never stands in the
/// way of one's own, nor what was replaced in the way of its replacement.
pub(crate) async fn by_tags(context: &mut Context<'_>, text: &str) -> Result<String> {
    if text.len() > TAGS_LENGTH_MAX {
        return Err(Error::not_found(text));
    }
    let tags: Vec<String> =
        serde_json::from_str(text).map_err(|cause| Error::not_found(text).because(cause))?;
    if tags.is_empty() || tags.len() > TAGS_MAX {
        return Err(Error::not_found(text));
    }
    let vendor = kmip::attribute::VendorAttribute::text(TAG_VENDOR, TAG_ATTRIBUTE, text);
    let attributes = Attributes(vec![Attribute::Vendor(vendor)]);
    let filter = Filter { attributes, destroyed: false };
    // Of each kind those in use, and those that Re-key replaced.
    let (mut own, mut shared) = (Candidates::default(), Candidates::default());
    let mut search = filter.search(context.principal.user(), context.now);
    loop {
        let page = next_page(context, &search).await?;
        let last = page.last().map(|row| row.seq);
        let full = page.len() >= search.limit;
        for cached in page {
            context.vault().meet(cached.row.sealed_by).await?;
            let Ok(object) = Object::open_row(context.vault(), &cached) else { continue };
            if !filter.matches(&object, context.now) {
                continue;
            }
            if object.record().owner == context.principal.user() {
                own.add(&object);
            } else if !shared.decided() && access::sees(context, &object).await? {
                shared.add(&object);
            }
        }
        if full && !own.decided() {
            search.after = last;
            search.limit = PAGE;
            continue;
        }
        let own = own.best();
        let found = if own.is_empty() { shared.best() } else { own };
        return match found.as_slice() {
            [] => {
                context.veil.draw();
                Err(Error::not_found(text))
            }
            [one] => Ok(one.clone()),
            [..] => Err(Error::new(
                ResultReason::InvalidField,
                "several objects have these tags; add a tag that only one has (_sk and _pk tell \
                 private from public keys), or use the Unique Identifier",
            )),
        };
    }
}
