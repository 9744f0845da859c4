//! A walk through an archive: each item opened, in the order in which an export writes them, and
//! counted. Must never write anything.

use std::collections::BTreeMap;
use std::io::Read;

use kmip::enumerations::ObjectType;
use kmip::stored::{StoredMaterial, StoredRecord};
use kms_archive::{Frame, Key, Reader};

use super::error::ArchiveError;
use super::item::{Counts, Item, NoItem, Object};

/// What is in an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The name of the database that it comes from.
    pub database: String,
    /// What kind of database that is.
    pub product: String,
    /// When it was begun, in seconds since 1970.
    pub made: i64,
    /// How many objects there are of each type, the register of those who may create aside.
    pub objects: BTreeMap<&'static str, u64>,
    /// Whether it has the register of those who may create.
    pub register: bool,
    /// How many grants there are.
    pub grants: u64,
    /// How many objects have counters of their use.
    pub counters: u64,
    /// How many identifiers of removed objects there are.
    pub removed: u64,
    /// How many API tokens there are, revoked ones too.
    pub api_tokens: u64,
}

impl Contents {
    /// How many objects there are.
    pub fn total(&self) -> u64 {
        self.objects.values().sum()
    }

    fn counts(&self) -> Counts {
        Counts {
            objects: self.total().saturating_add(self.register.into()),
            grants: self.grants,
            counters: self.counters,
            removed: self.removed,
            tokens: self.api_tokens,
        }
    }

    /// Counts an object of which the record is known.
    pub(super) fn count(&mut self, id: &str, record: &StoredRecord) {
        if id == crate::grant::REGISTER {
            self.register = true;
            return;
        }
        let count = self.objects.entry(type_name(record.object_type)).or_default();
        *count = count.saturating_add(1);
    }

    /// The last item of an archive that has all this.
    pub(super) fn end(&self) -> Item<'static> {
        Item::End(self.counts())
    }
}

fn type_name(object_type: ObjectType) -> &'static str {
    object_type.name().unwrap_or("Object")
}

/// How far an archive is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Begin,
    Objects,
    Removed,
    Tokens,
    End,
}

/// A walk.
pub(super) struct Walk<R> {
    reader: Reader<R>,
    stage: Stage,
    frame: u64,
    /// Grants of the last object that are still to come.
    owed: u64,
    contents: Contents,
}

/// An item that fits where it stands. Objects come with their records.
pub(super) enum Met<'a> {
    Object(Object<'a>, Box<StoredRecord>),
    Other(Item<'a>),
}

impl<R: Read> Walk<R> {
    pub(super) fn new(input: R, key: &Key) -> Result<Self, ArchiveError> {
        let reader = Reader::new(input, key)?;
        let contents = Contents::default();
        Ok(Self { reader, stage: Stage::Begin, frame: 0, owed: 0, contents })
    }

    /// The next frame; it is to be given to [`Self::meet`] before the next one is asked for.
    pub(super) fn frame(&mut self) -> Result<Option<Frame>, ArchiveError> {
        Ok(self.reader.next_frame()?)
    }

    /// What a frame holds, if it may stand where it stands.
    pub(super) fn meet<'a>(&mut self, frame: &'a Frame) -> Result<Met<'a>, ArchiveError> {
        let unfit = |what| ArchiveError::Unfit { frame: self.frame, what };
        let item = Item::decode(frame.item.expose());
        let item = item.map_err(|NoItem| unfit("it is none of the items of an archive"))?;
        if frame.last != matches!(item, Item::End(_)) {
            return Err(unfit("the end is not where it has to be"));
        }
        let met =
            self.admit(item).map_err(|what| ArchiveError::Unfit { frame: self.frame, what })?;
        self.frame = self.frame.saturating_add(1);
        Ok(met)
    }

    fn admit<'a>(&mut self, item: Item<'a>) -> Result<Met<'a>, &'static str> {
        let (stage, grants) = match &item {
            Item::Source(_) => (Stage::Begin, 0),
            Item::Object(_) => (Stage::Objects, 0),
            Item::Grants(grants) => (Stage::Objects, grants.len() as u64),
            Item::Removed(_) => (Stage::Removed, 0),
            Item::Tokens(_) => (Stage::Tokens, 0),
            Item::End(_) => (Stage::End, 0),
        };
        let is_first = self.stage == Stage::Begin && self.frame == 0;
        if (stage == Stage::Begin) != is_first || stage < self.stage {
            return Err("the items are not in their order");
        }
        if (grants == 0) != (self.owed == 0) || grants > self.owed {
            return Err("an object has not as many grants as it should");
        }
        self.stage = stage;
        self.owed = self.owed.saturating_sub(grants);
        let contents = &mut self.contents;
        match item {
            Item::Source(source) => {
                source.database.clone_into(&mut contents.database);
                source.product.clone_into(&mut contents.product);
                contents.made = source.made;
                Ok(Met::Other(Item::Source(source)))
            }
            Item::Object(object) => {
                let record = opened(&object)?;
                self.owed = object.grants.into();
                contents.count(object.id, &record);
                let counted = u64::from(object.counters.is_some());
                contents.counters = contents.counters.saturating_add(counted);
                Ok(Met::Object(object, Box::new(record)))
            }
            Item::End(counts) if counts != contents.counts() => {
                Err("there is not as much of everything as there should be")
            }
            other => {
                match &other {
                    Item::Removed(ids) => add(&mut contents.removed, ids.len()),
                    Item::Tokens(tokens) => add(&mut contents.api_tokens, tokens.len()),
                    _ => contents.grants = contents.grants.saturating_add(grants),
                }
                Ok(Met::Other(other))
            }
        }
    }

    /// How many bytes of the archive were read.
    pub(super) fn bytes(&self) -> u64 {
        self.reader.bytes()
    }

    /// What was met, and what the file amounts to. Where the walk has met the last item, the archive
    /// is whole.
    pub(super) fn end(self) -> Result<(Contents, [u8; 32]), ArchiveError> {
        if self.stage != Stage::End {
            return Err(kms_archive::Error::Cut(self.frame).into());
        }
        Ok((self.contents, self.reader.digest()))
    }
}

fn add(sum: &mut u64, count: usize) {
    *sum = sum.saturating_add(count as u64);
}

/// The record of an object whose parts belong together, and whose material can be read.
fn opened(object: &Object<'_>) -> Result<StoredRecord, &'static str> {
    let record = StoredRecord::from_bytes(object.record);
    let record = record.map_err(|_bad| "the record of an object cannot be read")?;
    if let Some(material) = object.material
        && StoredMaterial::from_bytes(material).is_err()
    {
        return Err("the material of an object cannot be read");
    }
    let fits = record.material_tag.is_some() == object.material.is_some()
        && record.material_generation.cast_unsigned() == object.generation;
    let named = (1..=kms_store::MAX_NAME).contains(&object.id.len());
    let counted = (1..=i64::MAX.cast_unsigned()).contains(&object.version);
    if fits && named && counted {
        Ok(record)
    } else {
        Err("the parts of an object do not fit together")
    }
}
