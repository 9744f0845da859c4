//! No protection: the data key rests in the clear.

use kms_crypto::mac;
use kms_crypto::secret::Secret;

use crate::{DATA_KEY_LENGTH, Error, Opened, Place, Sealer, Voucher};

/// No protection. What development builds use, and those who insist.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clear;

const MAGIC: &[u8] = b"KMSSLOT1";
const TAG_LENGTH: usize = 32;

impl Clear {
    /// The kind of its slots.
    pub const KIND: &'static str = "clear";

    /// When the data key in a slot was made.
    pub(crate) fn made(slot: &[u8]) -> Option<i64> {
        let made = slot.get(MAGIC.len() + DATA_KEY_LENGTH + TAG_LENGTH..)?;
        made.try_into().ok().map(i64::from_be_bytes)
    }

    /// Against mistakes, not against attackers, who have the key.
    fn binding(place: Place<'_>, made: &[u8], key: &[u8]) -> [u8; TAG_LENGTH] {
        let Place { database_id, generation } = place;
        let generation = generation.to_be_bytes();
        // Slots of the first generation are as they were before there were others.
        let generation: &[u8] = if place.generation == 1 { &[] } else { &generation };
        let kind = Self::KIND.as_bytes();
        mac::hmac_sha256(key, &[MAGIC, kind, &[0], generation, made, database_id.as_bytes()])
    }
}

impl Sealer for Clear {
    fn kind(&self) -> &'static str {
        Self::KIND
    }

    fn describe(&self) -> String {
        "sealed under a data key that rests in the clear in the database".to_owned()
    }

    fn is_clear(&self) -> bool {
        true
    }

    fn wrap(
        &self,
        place: Place<'_>,
        data_key: &Secret,
        made: i64,
        _older: &[Voucher],
    ) -> Result<Vec<u8>, Error> {
        let key = data_key.expose();
        if key.len() != DATA_KEY_LENGTH {
            return Err(Error::BadLength);
        }
        let made = made.to_be_bytes();
        Ok([MAGIC, key, &Self::binding(place, &made, key), &made].concat())
    }

    fn unwrap(&self, place: Place<'_>, slot: &[u8]) -> Result<Opened, Error> {
        let body = slot.strip_prefix(MAGIC).ok_or(Error::Malformed)?;
        let (key, rest) = body.split_at_checked(DATA_KEY_LENGTH).ok_or(Error::Malformed)?;
        let (tag, bytes) = rest.split_at_checked(TAG_LENGTH).ok_or(Error::Malformed)?;
        let made = match bytes {
            // The first slots did not say.
            [] => None,
            _ => Some(i64::from_be_bytes(bytes.try_into().map_err(|_length| Error::Malformed)?)),
        };
        if kms_crypto::secret::equal(tag, &Self::binding(place, bytes, key)) {
            Ok(Opened { data_key: Secret::new(key.to_vec()), made, older: None })
        } else {
            Err(Error::NotOurs)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'_> = Place { database_id: "db", generation: 1 };

    #[test]
    fn a_slot_opens_for_its_own_database_and_generation_only() {
        let key = Secret::new(vec![7; DATA_KEY_LENGTH]);
        let slot = Clear.wrap(PLACE, &key, 77, &[]).unwrap();
        let opened = Clear.unwrap(PLACE, &slot).unwrap();
        assert_eq!((opened.data_key.expose(), opened.made), (key.expose(), Some(77)));
        for place in [Place { database_id: "db-2", ..PLACE }, Place { generation: 2, ..PLACE }] {
            assert_eq!(Clear.unwrap(place, &slot).err(), Some(Error::NotOurs));
        }
    }

    #[test]
    fn a_slot_as_the_first_were_is_opened() {
        let key = Secret::new(vec![7; DATA_KEY_LENGTH]);
        let tag = mac::hmac_sha256(key.expose(), &[b"KMSSLOT1clear\0db"]);
        let slot = [b"KMSSLOT1", key.expose(), &tag].concat();
        let opened = Clear.unwrap(PLACE, &slot).unwrap();
        assert_eq!((opened.data_key.expose(), opened.made), (key.expose(), None));
    }

    #[test]
    fn altered_and_foreign_slots_are_refused() {
        let key = Secret::new(vec![7; DATA_KEY_LENGTH]);
        let slot = Clear.wrap(PLACE, &key, 77, &[]).unwrap();
        for at in 0..slot.len() {
            let mut altered = slot.clone();
            altered[at] ^= 1;
            assert!(Clear.unwrap(PLACE, &altered).is_err(), "byte {at}");
        }
        assert!(Clear.unwrap(PLACE, &slot[..20]).is_err());
        assert!(Clear.wrap(PLACE, &Secret::new(vec![1]), 77, &[]).is_err());
    }
}
