//! The data keys of a database, kept in slots: made, opened, and told from those that somebody else
//! put there.
//!
//! The highest generation is current. Where its slot is sealed it vouches for the older ones, so that
//! nobody can add a key of their own to the table. It must never write a key anywhere but into a slot.

use kms_crypto::random;
use kms_crypto::secret::Secret;
use kms_seal::{DATA_KEY_LENGTH, GENERATIONS_MAX, Opened, Place, Protection, Voucher};
use kms_store::{KeyringRow, Store};

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
    pub(crate) data_key: Secret,
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
    let Opened { data_key, older: vouched, .. } = opener.unwrap(place(current), &current.slot)?;
    let mut keys = Vec::with_capacity(rows.len());
    for row in older {
        let sealer = protection.opener_of_older(&row.kind).ok_or_else(|| kind(row))?;
        let found = sealer.unwrap(place(row), &row.slot)?;
        let ours = Voucher::of(place(row), &found.data_key);
        // A slot in the clear vouches for none, and whoever could add one has all keys anyway.
        if vouched.as_ref().is_some_and(|vouched| !vouched.contains(&ours)) {
            return Err(OpenError::Foreign { generation: row.generation });
        }
        keys.push(Key { generation: row.generation, data_key: found.data_key });
    }
    keys.push(Key { generation: current.generation, data_key });
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
                let found: Vec<_> = keys.iter().map(|key| key.data_key.expose()[0]).collect();
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
