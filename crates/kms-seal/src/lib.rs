//! The root of trust: who may open the key that everything in the database rests under.
//!
//! A data key seals the rows; this crate keeps the data key itself in a *slot*. A slot is bound to
//! its kind and to the database it was made for, so that a slot cannot be carried to another
//! database or passed off as one of another kind. It must never know objects, requests or SQL.

use kms_crypto::mac;
use kms_crypto::secret::Secret;

/// The size of a data key, in bytes.
pub const DATA_KEY_LENGTH: usize = 32;

/// Why a slot was refused. None of these says anything about the key inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not a slot, or one of a later format.
    #[error("the slot of the data key is not in a form this version reads")]
    Malformed,
    /// A slot of one kind was given to a sealer of another.
    #[error("the data key rests in a slot of another kind than this server is set up for")]
    WrongKind,
    /// The slot was made for another database, or was altered.
    #[error("the slot of the data key was altered, or was made for another database")]
    NotOurs,
    /// The data key is not [`DATA_KEY_LENGTH`] bytes long.
    #[error("a data key has 32 bytes")]
    BadLength,
}

/// Keeps a data key in a form that may rest in the database.
pub trait Sealer: Send + Sync {
    /// The kind of slot this makes: a short word, stored beside the slot.
    fn kind(&self) -> &'static str;
    /// How the start-up report says what protects the keys at rest.
    fn describe(&self) -> &'static str;
    /// Whether somebody who has only the database can open the slot.
    fn is_clear(&self) -> bool;
    /// Puts `data_key` into a slot for the database `database_id`.
    fn wrap(&self, database_id: &str, data_key: &Secret) -> Result<Vec<u8>, Error>;
    /// Takes the data key out of a slot made for `database_id`.
    fn unwrap(&self, database_id: &str, slot: &[u8]) -> Result<Secret, Error>;
}

/// No protection: the data key rests in the clear. Only development builds use it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clear;

const MAGIC: &[u8] = b"KMSSLOT1";
const TAG_LENGTH: usize = 32;

impl Clear {
    const KIND: &'static str = "clear";

    fn binding(database_id: &str, key: &[u8]) -> [u8; TAG_LENGTH] {
        let parts = [MAGIC, Self::KIND.as_bytes(), &[0], database_id.as_bytes()];
        mac::hmac_sha256(key, &parts)
    }
}

impl Sealer for Clear {
    fn kind(&self) -> &'static str {
        Self::KIND
    }

    fn describe(&self) -> &'static str {
        "sealed under a data key that rests in the clear in the database (development only)"
    }

    fn is_clear(&self) -> bool {
        true
    }

    fn wrap(&self, database_id: &str, data_key: &Secret) -> Result<Vec<u8>, Error> {
        let key = data_key.expose();
        if key.len() != DATA_KEY_LENGTH {
            return Err(Error::BadLength);
        }
        Ok([MAGIC, key, &Self::binding(database_id, key)].concat())
    }

    fn unwrap(&self, database_id: &str, slot: &[u8]) -> Result<Secret, Error> {
        let body = slot.strip_prefix(MAGIC).ok_or(Error::Malformed)?;
        let (key, tag) = body.split_at_checked(DATA_KEY_LENGTH).ok_or(Error::Malformed)?;
        if kms_crypto::secret::equal(tag, &Self::binding(database_id, key)) {
            Ok(Secret::new(key.to_vec()))
        } else {
            Err(Error::NotOurs)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_opens_for_its_own_database_only() {
        let key = Secret::new(vec![7; DATA_KEY_LENGTH]);
        let slot = Clear.wrap("db-1", &key).unwrap();
        assert_eq!(Clear.unwrap("db-1", &slot).unwrap().expose(), key.expose());
        assert_eq!(Clear.unwrap("db-2", &slot).err(), Some(Error::NotOurs));
    }

    #[test]
    fn altered_and_foreign_slots_are_refused() {
        let key = Secret::new(vec![7; DATA_KEY_LENGTH]);
        let slot = Clear.wrap("db", &key).unwrap();
        for at in 0..slot.len() {
            let mut altered = slot.clone();
            altered[at] ^= 1;
            assert!(Clear.unwrap("db", &altered).is_err(), "byte {at}");
        }
        assert!(Clear.unwrap("db", &slot[..20]).is_err());
        assert!(Clear.wrap("db", &Secret::new(vec![1])).is_err());
    }
}
