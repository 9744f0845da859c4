//! The data keys of a database, kept in slots: made, opened, and told from those that somebody else
//! put there.
//!
//! The highest generation is current. Where its slot is sealed it vouches for the older ones, so that
//! nobody can add a key of their own to the table. It must never write a key anywhere but into a slot.

use kms_crypto::random;
use kms_crypto::secret::Secret;
use kms_seal::{DATA_KEY_LENGTH, GENERATIONS_MAX, Opened, Place, Protection, Voucher};
use kms_store::{KeyringRow, KeyringWrite, Store};

use crate::audit::{self, Act};
use crate::clock::Clock;
use crate::custody::Vault;
use crate::error::Error;

/// Why the keyring cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The database was set up for another kind of protection.
    #[error(
        "the keys of this database rest in a slot of kind {found:?}, and this server is set up for \
         {expected:?}; start it the way the database was set up"
    )]
    Kind {
        /// What the database has.
        found: String,
        /// What this server opens.
        expected: &'static str,
    },
    /// Nothing was ever kept in the database.
    #[error("the database has no data key yet; start the server on it first")]
    Empty,
    /// The table holds an older data key that the current one does not vouch for.
    #[error(
        "the keyring holds a data key (generation {generation}) that the current one does not vouch \
         for: somebody else put it there, or the table was restored in part"
    )]
    Foreign {
        /// Which.
        generation: u32,
    },
    /// The slot does not open.
    #[error("the data key cannot be opened: {0}")]
    Seal(#[from] kms_seal::Error),
    /// The database failed.
    #[error("the keyring cannot be read: {0}")]
    Store(#[from] kms_store::Error),
    /// Something else failed.
    #[error("the service cannot start: {0}")]
    Start(Error),
}

/// A data key that is in use.
pub(crate) struct Key {
    pub(crate) generation: u32,
    pub(crate) secret: Secret,
    made: Option<i64>,
}

/// The vault of a database, whose data key is made if there is none.
pub(crate) async fn open(
    store: &Store,
    protection: Protection,
    clock: &dyn Clock,
) -> Result<Vault, OpenError> {
    match Vault::open(store, protection.clone()).await {
        Err(OpenError::Empty) => {
            make(store, &protection, clock).await?;
            Vault::open(store, protection).await
        }
        opened => opened,
    }
}

/// Opens all slots, by ascending generation. The last one is the current.
pub(crate) fn unlock(
    database_id: &str,
    rows: &[KeyringRow],
    protection: &Protection,
) -> Result<Vec<Key>, OpenError> {
    let place = |row: &KeyringRow| Place { database_id, generation: row.generation };
    let (current, older) = rows.split_last().ok_or(OpenError::Empty)?;
    if older.len() >= GENERATIONS_MAX {
        return Err(kms_seal::Error::TooMany.into());
    }
    let kind = |row: &KeyringRow| {
        let expected = protection.sealer().kind();
        OpenError::Kind { found: row.kind.clone(), expected }
    };
    let opener = protection.opener(&current.kind).ok_or_else(|| kind(current))?;
    let Opened { data_key, made, older: vouched } = opener.unwrap(place(current), &current.slot)?;
    let mut keys = Vec::with_capacity(rows.len());
    for row in older {
        let sealer = protection.opener_of_older(&row.kind).ok_or_else(|| kind(row))?;
        let found = sealer.unwrap(place(row), &row.slot)?;
        let ours = Voucher::of(place(row), &found.data_key);
        // A slot in the clear vouches for none, and whoever could add one has all keys anyway.
        if vouched.as_ref().is_some_and(|vouched| !vouched.contains(&ours)) {
            return Err(OpenError::Foreign { generation: row.generation });
        }
        let (secret, made) = (found.data_key, found.made);
        keys.push(Key { generation: row.generation, secret, made });
    }
    keys.push(Key { generation: current.generation, secret: data_key, made });
    Ok(keys)
}

async fn make(store: &Store, protection: &Protection, clock: &dyn Clock) -> Result<(), OpenError> {
    let data_key = random::secret(DATA_KEY_LENGTH).map_err(|cause| start(&cause))?;
    let generation = 1;
    let place = Place { database_id: store.database_id(), generation };
    let slot = protection.sealer().wrap(place, &data_key, clock.now(), &[])?;
    let kind = protection.sealer().kind().to_owned();
    match store.put_keyring(KeyringRow { generation, kind, slot }, None).await {
        // Another server was faster, or this one, and its answer was lost.
        Ok(()) | Err(kms_store::Error::Exists { .. } | kms_store::Error::Unknown(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Makes a new data key, which is the current one from now on and vouches for those that there are;
/// its generation. `open` opens those, and `to` protects the new one.
pub async fn mint(
    store: &Store,
    open: &Protection,
    to: &Protection,
    clock: &dyn Clock,
) -> Result<u32, OpenError> {
    let vault = Vault::open(store, open.clone()).await?;
    let rows = store.keyring().await?;
    let keys = unlock(store.database_id(), &rows, open)?;
    let last = rows.last().map_or(0, |row| row.generation);
    let generation = last.checked_add(1).ok_or(kms_seal::Error::TooMany)?;
    let data_key = random::secret(DATA_KEY_LENGTH).map_err(|cause| start(&cause))?;
    let vouchers = vouchers(store.database_id(), &keys);
    let place = Place { database_id: store.database_id(), generation };
    let slot = to.sealer().wrap(place, &data_key, clock.now(), &vouchers)?;
    let row = KeyringRow { generation, kind: to.sealer().kind().to_owned(), slot };
    let write = KeyringWrite::Put { row, expected: None };
    let detail = format!("generation {generation}, {}", to.sealer().kind());
    change(store, &vault, clock, ("keyring rotate", &detail), vec![write]).await?;
    Ok(generation)
}

/// Wraps all data keys anew, so that `to` protects them. Nothing that they seal changes.
pub async fn rewrap(
    store: &Store,
    open: &Protection,
    to: &Protection,
    clock: &dyn Clock,
) -> Result<(), OpenError> {
    let vault = Vault::open(store, open.clone()).await?;
    let rows = store.keyring().await?;
    let keys = unlock(store.database_id(), &rows, open)?;
    let mut writes = Vec::with_capacity(rows.len());
    for (at, (row, key)) in rows.iter().zip(&keys).enumerate() {
        let older = vouchers(store.database_id(), keys.get(..at).unwrap_or_default());
        let place = Place { database_id: store.database_id(), generation: row.generation };
        let made = key.made.unwrap_or_default();
        let slot = to.sealer().wrap(place, &key.secret, made, &older)?;
        let kind = to.sealer().kind().to_owned();
        let expected = Some(row.slot.clone());
        let row = KeyringRow { generation: row.generation, kind, slot };
        writes.push(KeyringWrite::Put { row, expected });
    }
    let detail = to.sealer().kind().to_owned();
    change(store, &vault, clock, ("keyring protect", &detail), writes).await
}

async fn change(
    store: &Store,
    vault: &Vault,
    clock: &dyn Clock,
    (operation, detail): (&'static str, &str),
    writes: Vec<KeyringWrite>,
) -> Result<(), OpenError> {
    let act = Act { operation, detail: Some(detail), ..Act::default() };
    let record = audit::record_beside(store, vault, clock, act).await?;
    Ok(store.change_keyring(writes, Some(record)).await?)
}

fn vouchers(database_id: &str, keys: &[Key]) -> Vec<Voucher> {
    let voucher =
        |key: &Key| Voucher::of(Place { database_id, generation: key.generation }, &key.secret);
    keys.iter().map(voucher).collect()
}

/// What removes the rows of older data keys that are `gone`, for which the current one then does not
/// vouch any more: else a row that was kept aside could be put back.
pub(crate) fn without(
    database_id: &str,
    rows: &[KeyringRow],
    gone: impl Fn(&KeyringRow) -> bool,
    protection: &Protection,
) -> Result<Vec<KeyringWrite>, OpenError> {
    let mut keys = unlock(database_id, rows, protection)?;
    let (Some(current), Some(row)) = (keys.pop(), rows.last()) else {
        return Err(OpenError::Empty);
    };
    let expected = protection.sealer().kind();
    let kind = || OpenError::Kind { found: row.kind.clone(), expected };
    let sealer = protection.opener(&row.kind).ok_or_else(kind)?;
    let is_gone = |key: &Key| rows.iter().any(|row| row.generation == key.generation && gone(row));
    keys.retain(|key| !is_gone(key));
    let place = Place { database_id, generation: row.generation };
    let vouchers = vouchers(database_id, &keys);
    let made = current.made.unwrap_or_default();
    let slot = sealer.wrap(place, &current.secret, made, &vouchers)?;
    let mut writes: Vec<_> = rows
        .iter()
        .filter(|row| row.generation != current.generation && gone(row))
        .map(|row| KeyringWrite::Remove { generation: row.generation, expected: row.slot.clone() })
        .collect();
    let row = KeyringRow { slot, ..row.clone() };
    let expected = rows.last().map(|row| row.slot.clone());
    writes.push(KeyringWrite::Put { row, expected });
    Ok(writes)
}

fn start(cause: &dyn std::error::Error) -> OpenError {
    OpenError::Start(Error::internal(cause.to_string()))
}

#[cfg(test)]
mod tests {
    use kms_seal::{Clear, File, RootKey};

    use super::*;

    fn file(directory: &std::path::Path, name: &str) -> Protection {
        let path = directory.join(name);
        let key = RootKey::read(&path).or_else(|_| RootKey::make(&path)).unwrap();
        Protection::new(File::new(key))
    }

    fn key(byte: u8) -> Secret {
        Secret::new(vec![byte; DATA_KEY_LENGTH])
    }

    fn place(generation: u32) -> Place<'static> {
        Place { database_id: "db", generation }
    }

    fn row(protection: &Protection, generation: u32, byte: u8, older: &[Voucher]) -> KeyringRow {
        let sealer = protection.sealer();
        let slot = sealer.wrap(place(generation), &key(byte), 0, older).unwrap();
        KeyringRow { generation, kind: sealer.kind().to_owned(), slot }
    }

    fn check(rows: &[KeyringRow], protection: &Protection, expected: Result<&[u8], &str>) {
        match (unlock("db", rows, protection), expected) {
            (Ok(keys), Ok(bytes)) => {
                let found: Vec<_> = keys.iter().map(|key| key.secret.expose()[0]).collect();
                assert_eq!(found, bytes);
            }
            (Err(error), Err(says)) => {
                let error = error.to_string();
                assert!(error.contains(says), "{error}");
            }
            (found, expected) => panic!("{:?}, not {expected:?}", found.err()),
        }
    }

    #[test]
    fn keys_are_believed_only_where_the_current_one_vouches_for_them() {
        let directory = tempfile::tempdir().unwrap();
        let [ours, theirs] = ["ours", "theirs"].map(|name| file(directory.path(), name));
        let clear = Protection::from(&Clear);
        let both = ours.clone().allowing_clear();
        let first = row(&clear, 1, 1, &[]);
        let sealed = row(&ours, 1, 1, &[]);
        let voucher = Voucher::of(place(1), &key(1));
        let second = row(&ours, 2, 2, &[voucher]);
        let alone = row(&ours, 2, 2, &[]);

        check(&[], &ours, Err("no data key"));
        check(std::slice::from_ref(&sealed), &ours, Ok(&[1]));
        check(std::slice::from_ref(&sealed), &theirs, Err("another root key"));
        check(std::slice::from_ref(&sealed), &clear, Err("\"file\""));
        // What is in the clear is believed by those who are told to.
        check(std::slice::from_ref(&first), &ours, Err("\"clear\""));
        check(std::slice::from_ref(&first), &both, Ok(&[1]));
        // While a database leaves the clear, and afterwards.
        check(&[first.clone(), second.clone()], &ours, Ok(&[1, 2]));
        check(std::slice::from_ref(&second), &ours, Ok(&[2]));
        // A key that somebody adds: older, newer, or in the place of one.
        check(&[first.clone(), alone.clone()], &ours, Err("vouch"));
        check(&[row(&clear, 1, 9, &[]), second.clone()], &ours, Err("vouch"));
        check(&[sealed.clone(), row(&clear, 2, 9, &[])], &ours, Err("\"clear\""));
        check(&[sealed.clone(), row(&theirs, 2, 9, &[voucher])], &ours, Err("another root key"));
        let moved = KeyringRow { generation: 3, ..second.clone() };
        check(&[first.clone(), moved], &ours, Err("another generation"));
        assert!(unlock("db-2", &[sealed], &ours).is_err());
        // Keys in the clear vouch for nothing.
        check(&[first, row(&clear, 2, 2, &[])], &clear, Ok(&[1, 2]));
    }
}
