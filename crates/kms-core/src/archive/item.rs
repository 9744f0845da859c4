//! The items of an archive, and their spelling: a kind, then fields, each text and each string of bytes
//! behind its length. Must never know how an item is sealed, nor where it comes from.

use kms_crypto::secret;

use crate::usage::Counters;

/// The most of what is listed in one item.
pub(super) const LISTED_MAX: usize = 256;
/// The room that is kept for the next item, in bytes.
const ROOM: usize = 1 << 20;

/// An item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    /// Where the archive comes from: the first item.
    Source(Source<'a>),
    /// An object.
    Object(Object<'a>),
    /// What is granted on the object before it.
    Grants(Vec<Grant<'a>>),
    /// Identifiers of objects that were removed.
    Removed(Vec<&'a str>),
    /// API tokens of machines.
    Tokens(Vec<Token<'a>>),
    /// How many there are of each: the last item.
    End(Counts),
}

/// Where an archive comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source<'a> {
    /// The database's own name.
    pub(super) database: &'a str,
    /// What kind of database it is.
    pub(super) product: &'a str,
    /// When the archive was begun, in seconds since 1970.
    pub(super) made: i64,
}

/// An object in the clear.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Object<'a> {
    pub(super) id: &'a str,
    pub(super) version: u64,
    /// Which material it is.
    pub(super) generation: u32,
    /// The record as it is stored.
    pub(super) record: &'a [u8],
    /// The material as it is stored; none once it is destroyed.
    pub(super) material: Option<&'a [u8]>,
    pub(super) counters: Option<Counters>,
    /// How many grants follow.
    pub(super) grants: u32,
}

impl std::fmt::Debug for Object<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Object")
            .field("id", &self.id)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// A grant without its proof, which is made by whoever stores it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant<'a> {
    pub(super) user: &'a str,
    pub(super) permissions: &'a str,
    pub(super) expires: Option<i64>,
    pub(super) note: Option<&'a str>,
}

/// An API token without its proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) user: &'a str,
    pub(super) hash: &'a [u8],
    pub(super) created: i64,
    pub(super) expires: Option<i64>,
    pub(super) revoked: Option<i64>,
}

/// How many there are of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) objects: u64,
    pub(super) grants: u64,
    pub(super) counters: u64,
    pub(super) removed: u64,
    pub(super) tokens: u64,
}

mod kind {
    pub(super) const SOURCE: u8 = 1;
    pub(super) const OBJECT: u8 = 2;
    pub(super) const GRANTS: u8 = 3;
    pub(super) const REMOVED: u8 = 4;
    pub(super) const TOKENS: u8 = 5;
    pub(super) const END: u8 = 6;
}

impl Item<'_> {
    /// Writes the item into `out`, which is wiped first. Growing would leave copies of a key behind,
    /// so that there is room for all of it before anything is written.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        secret::wipe(out);
        if out.capacity() > ROOM {
            *out = Vec::new();
        }
        if let Self::Object(object) = self {
            out.reserve(
                128 + object.id.len()
                    + object.record.len()
                    + object.material.map_or(0, <[u8]>::len),
            );
        }
        let mut to = To(out);
        match self {
            Self::Source(Source { database, product, made }) => {
                to.byte(kind::SOURCE).text(database).text(product).number(made.cast_unsigned());
            }
            Self::Object(object) => to.object(object),
            Self::Grants(grants) => {
                to.byte(kind::GRANTS).count(grants.len());
                for Grant { user, permissions, expires, note } in grants {
                    to.text(user).text(permissions).time(*expires);
                    to.maybe(note.map(str::as_bytes));
                }
            }
            Self::Removed(ids) => {
                to.byte(kind::REMOVED).count(ids.len());
                for id in ids {
                    to.text(id);
                }
            }
            Self::Tokens(tokens) => {
                to.byte(kind::TOKENS).count(tokens.len());
                for Token { id, name, user, hash, created, expires, revoked } in tokens {
                    to.text(id).text(name).text(user).bytes(hash);
                    to.number(created.cast_unsigned()).time(*expires).time(*revoked);
                }
            }
            Self::End(Counts { objects, grants, counters, removed, tokens }) => {
                to.byte(kind::END);
                for number in [objects, grants, counters, removed, tokens] {
                    to.number(*number);
                }
            }
        }
    }
}

struct To<'a>(&'a mut Vec<u8>);

impl To<'_> {
    fn byte(&mut self, byte: u8) -> &mut Self {
        self.0.push(byte);
        self
    }

    fn count(&mut self, count: usize) -> &mut Self {
        self.0.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
        self
    }

    fn number(&mut self, number: u64) -> &mut Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.count(bytes.len());
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    fn maybe(&mut self, bytes: Option<&[u8]>) -> &mut Self {
        self.byte(bytes.is_some().into());
        match bytes {
            Some(bytes) => self.bytes(bytes),
            None => self,
        }
    }

    fn time(&mut self, time: Option<i64>) -> &mut Self {
        self.byte(time.is_some().into());
        match time {
            Some(time) => self.number(time.cast_unsigned()),
            None => self,
        }
    }

    fn object(&mut self, object: &Object<'_>) {
        let Object { id, version, generation, record, material, counters, grants } = object;
        self.byte(kind::OBJECT).text(id).number(*version).number((*generation).into());
        self.bytes(record).maybe(*material);
        self.byte(counters.is_some().into());
        if let Some(Counters { generation, nonces, used }) = counters {
            self.number((*generation).into()).number(*nonces).number(*used);
        }
        self.number((*grants).into());
    }
}

/// Bytes that are no item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoItem;

type Read<T> = Result<T, NoItem>;

impl<'a> Item<'a> {
    /// The item that is written in `bytes`, all of them.
    pub(super) fn decode(bytes: &'a [u8]) -> Read<Self> {
        let mut from = From(bytes);
        let item = match from.byte()? {
            kind::SOURCE => Self::Source(Source {
                database: from.text()?,
                product: from.text()?,
                made: from.number()?.cast_signed(),
            }),
            kind::OBJECT => Self::Object(from.object()?),
            kind::GRANTS => Self::Grants(from.list(|from| {
                let (user, permissions) = (from.text()?, from.text()?);
                let expires = from.time()?;
                let note = if from.flag()? { Some(from.text()?) } else { None };
                Ok(Grant { user, permissions, expires, note })
            })?),
            kind::REMOVED => Self::Removed(from.list(From::text)?),
            kind::TOKENS => Self::Tokens(from.list(|from| {
                Ok(Token {
                    id: from.text()?,
                    name: from.text()?,
                    user: from.text()?,
                    hash: from.bytes()?,
                    created: from.number()?.cast_signed(),
                    expires: from.time()?,
                    revoked: from.time()?,
                })
            })?),
            kind::END => Self::End(Counts {
                objects: from.number()?,
                grants: from.number()?,
                counters: from.number()?,
                removed: from.number()?,
                tokens: from.number()?,
            }),
            _ => return Err(NoItem),
        };
        if from.0.is_empty() { Ok(item) } else { Err(NoItem) }
    }
}

struct From<'a>(&'a [u8]);

impl<'a> From<'a> {
    fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(NoItem)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Read<u8> {
        self.take(1)?.first().copied().ok_or(NoItem)
    }

    fn flag(&mut self) -> Read<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(NoItem),
        }
    }

    fn count(&mut self) -> Read<usize> {
        let number = self.take(4)?.try_into().map_err(|_length| NoItem)?;
        usize::try_from(u32::from_be_bytes(number)).map_err(|_large| NoItem)
    }

    fn number(&mut self) -> Read<u64> {
        self.take(8)?.try_into().map(u64::from_be_bytes).map_err(|_length| NoItem)
    }

    fn small(&mut self) -> Read<u32> {
        u32::try_from(self.number()?).map_err(|_large| NoItem)
    }

    fn bytes(&mut self) -> Read<&'a [u8]> {
        let count = self.count()?;
        self.take(count)
    }

    fn text(&mut self) -> Read<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_not_text| NoItem)
    }

    fn time(&mut self) -> Read<Option<i64>> {
        Ok(if self.flag()? { Some(self.number()?.cast_signed()) } else { None })
    }

    fn list<T>(&mut self, read: impl Fn(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let count = self.count()?;
        if count > LISTED_MAX {
            return Err(NoItem);
        }
        (0..count).map(|_| read(self)).collect()
    }

    fn object(&mut self) -> Read<Object<'a>> {
        let (id, version, generation) = (self.text()?, self.number()?, self.small()?);
        let record = self.bytes()?;
        let material = if self.flag()? { Some(self.bytes()?) } else { None };
        let counters = if self.flag()? {
            let generation = self.small()?;
            Some(Counters { generation, nonces: self.number()?, used: self.number()? })
        } else {
            None
        };
        let grants = self.small()?;
        Ok(Object { id, version, generation, record, material, counters, grants })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items() -> Vec<Item<'static>> {
        let counters = Counters { generation: 3, nonces: 1 << 33, used: u64::MAX };
        let object = Object {
            id: "key",
            version: u64::MAX,
            generation: u32::MAX,
            record: &[1; 700],
            material: Some(&[2; 48]),
            counters: Some(counters),
            grants: 2,
        };
        let grant = Grant { user: "*", permissions: "[]", expires: Some(-1), note: Some("") };
        let token = Token {
            id: "0",
            name: "n",
            user: "token:n",
            hash: &[9; 32],
            created: 1,
            expires: None,
            revoked: Some(2),
        };
        vec![
            Item::Source(Source { database: "d", product: "sqlite", made: -5 }),
            Item::Object(object.clone()),
            Item::Object(Object { material: None, counters: None, ..object }),
            Item::Grants(vec![grant.clone(), Grant { expires: None, note: None, ..grant }]),
            Item::Removed(vec!["a", "", "\u{e9}"]),
            Item::Tokens(vec![token]),
            Item::End(Counts { objects: 1, grants: 2, counters: 3, removed: 4, tokens: 5 }),
        ]
    }

    #[test]
    fn items_come_back_from_their_spelling_and_from_no_other() {
        let mut out = Vec::new();
        for item in items() {
            item.encode(&mut out);
            assert_eq!(Item::decode(&out), Ok(item.clone()));
            for length in 0..out.len() {
                assert_eq!(Item::decode(&out[..length]), Err(NoItem), "{item:?} {length}");
            }
            out.push(0);
            assert_eq!(Item::decode(&out), Err(NoItem), "{item:?}");
        }
        let long = Item::Removed(vec![""; LISTED_MAX + 1]);
        long.encode(&mut out);
        assert_eq!(Item::decode(&out), Err(NoItem));
    }

    #[test]
    fn an_object_is_written_without_growing() {
        for item in items().iter().filter(|item| matches!(item, Item::Object(_))) {
            let mut out = Vec::new();
            item.encode(&mut out);
            let place = out.as_ptr();
            item.encode(&mut out);
            assert_eq!(place, out.as_ptr());
            let Item::Object(object) = item else { continue };
            assert!(out.len() < 128 + object.id.len() + 748);
        }
    }
}
