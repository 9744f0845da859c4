//! A data key sealed with a root key that stands in a file outside the database.
//!
//! A slot is `KMSSLOT2 ‖ form ‖ memory ‖ passes ‖ lanes ‖ salt (16) ‖ check (16) ‖ made (8) ‖
//! count ‖ count × (generation ‖ commitment (32)) ‖ sealed data key (60)`, other numbers in four bytes,
//! form and count in one. The data key is sealed by AES-256-GCM-SIV under a key derived from the root key and the salt,
//! and bound to all that stands before it and to kind, generation and database. The check tells a
//! wrong root key from an altered slot; it makes guessing a passphrase no easier than the slot does.

use kms_crypto::passphrase::{self, COST, Cost, SALT_LENGTH};
use kms_crypto::secret::{Secret, equal};
use kms_crypto::{kdf, random, seal};

use crate::Voucher;
use crate::root::{Form, RootKey};
use crate::{COMMITMENT_LENGTH, DATA_KEY_LENGTH, Error, GENERATIONS_MAX, Opened, Place, Sealer};

/// Protection by a root key in a file.
pub struct File {
    root: RootKey,
}

const MAGIC: &[u8; 8] = b"KMSSLOT2";
const CHECK_LENGTH: usize = 16;
const SEALED_LENGTH: usize = DATA_KEY_LENGTH + seal::OVERHEAD;
/// What stands for the cost where there is none.
const NO_COST: Cost = Cost { memory_kib: 0, passes: 0, lanes: 0 };

impl File {
    /// The kind of its slots.
    pub const KIND: &'static str = "file";

    /// Protection by this root key.
    pub fn new(root: RootKey) -> Self {
        Self { root }
    }

    /// When the data key in a slot was made.
    pub(crate) fn made(slot: &[u8]) -> Option<i64> {
        Head::split(slot).map(|(head, ..)| head.made)
    }

    /// The key that seals data keys, and what stands in the slot to recognise it by.
    fn keys(
        &self,
        cost: Cost,
        salt: &[u8; SALT_LENGTH],
    ) -> Result<(seal::SealKey, [u8; CHECK_LENGTH]), Error> {
        let stretched;
        let root = match self.root.form {
            Form::Raw => &self.root.bytes,
            Form::Passphrase => {
                stretched = passphrase::derive(self.root.bytes.expose(), salt, cost)
                    .map_err(|_bounds| Error::Malformed)?;
                &stretched
            }
        };
        let derive = |label: &[u8], length| {
            kdf::hkdf_sha256(root.expose(), salt, &[b"kms slot v2 ", label], length)
                .map_err(Error::Failed)
        };
        let key = derive(b"seal", 32)?;
        let key = key.expose().try_into().map_err(|_length| Error::BadLength)?;
        let check = derive(b"check", CHECK_LENGTH)?;
        let check = check.expose().try_into().map_err(|_length| Error::BadLength)?;
        Ok((seal::SealKey::new(key).map_err(Error::Failed)?, check))
    }
}

/// All of a slot before the sealed data key.
struct Head {
    form: Form,
    cost: Cost,
    salt: [u8; SALT_LENGTH],
    check: [u8; CHECK_LENGTH],
    made: i64,
    older: Vec<Voucher>,
}

impl Head {
    fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let count = u8::try_from(self.older.len()).map_err(|_many| Error::TooMany)?;
        let mut bytes = MAGIC.to_vec();
        bytes.push(self.form as u8);
        for number in [self.cost.memory_kib, self.cost.passes, self.cost.lanes] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(&self.salt);
        bytes.extend_from_slice(&self.check);
        bytes.extend_from_slice(&self.made.to_be_bytes());
        bytes.push(count);
        for Voucher { generation, commitment } in &self.older {
            bytes.extend_from_slice(&generation.to_be_bytes());
            bytes.extend_from_slice(commitment);
        }
        Ok(bytes)
    }

    /// The head of a slot, as values and as bytes, and the sealed key behind it.
    fn split(slot: &[u8]) -> Option<(Self, &[u8], &[u8])> {
        let (head, sealed) = slot.split_at_checked(slot.len().checked_sub(SEALED_LENGTH)?)?;
        let rest = head.strip_prefix(MAGIC)?;
        let (form, rest) = rest.split_first()?;
        let form = Form::of(*form)?;
        let (memory_kib, rest) = number(rest)?;
        let (passes, rest) = number(rest)?;
        let (lanes, rest) = number(rest)?;
        let cost = Cost { memory_kib, passes, lanes };
        let (salt, rest) = rest.split_first_chunk::<SALT_LENGTH>()?;
        let (check, rest) = rest.split_first_chunk::<CHECK_LENGTH>()?;
        let (made, rest) = rest.split_first_chunk()?;
        let made = i64::from_be_bytes(*made);
        let (count, mut rest) = rest.split_first()?;
        if usize::from(*count) >= GENERATIONS_MAX || (form == Form::Raw) != (cost == NO_COST) {
            return None;
        }
        let mut older = Vec::with_capacity((*count).into());
        for _ in 0..*count {
            let (generation, after) = number(rest)?;
            let (commitment, after) = after.split_first_chunk::<COMMITMENT_LENGTH>()?;
            older.push(Voucher { generation, commitment: *commitment });
            rest = after;
        }
        let read = Self { form, cost, salt: *salt, check: *check, made, older };
        rest.is_empty().then_some((read, head, sealed))
    }
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_be_bytes(*number), rest))
}

fn bound(head: &[u8], place: Place<'_>) -> Vec<u8> {
    let Place { database_id, generation } = place;
    let length = (head.len() as u64).to_be_bytes();
    let kind = File::KIND.as_bytes();
    let generation = generation.to_be_bytes();
    [&length, head, kind, &[0], &generation, database_id.as_bytes()].concat()
}

impl Sealer for File {
    fn kind(&self) -> &'static str {
        Self::KIND
    }

    fn describe(&self) -> String {
        format!("sealed under a data key that the root key protects: {}", self.root.describe())
    }

    fn is_clear(&self) -> bool {
        false
    }

    fn wrap(
        &self,
        place: Place<'_>,
        data_key: &Secret,
        made: i64,
        older: &[Voucher],
    ) -> Result<Vec<u8>, Error> {
        if data_key.len() != DATA_KEY_LENGTH {
            return Err(Error::BadLength);
        }
        if older.len() >= GENERATIONS_MAX {
            return Err(Error::TooMany);
        }
        let cost = match self.root.form {
            Form::Raw => NO_COST,
            Form::Passphrase => COST,
        };
        let salt = random::bytes().map_err(Error::Failed)?;
        let (key, check) = self.keys(cost, &salt)?;
        let head = Head { form: self.root.form, cost, salt, check, made, older: older.to_vec() };
        let mut slot = head.to_bytes()?;
        let sealed = key.seal(&bound(&slot, place), data_key.expose()).map_err(Error::Failed)?;
        slot.extend_from_slice(&sealed);
        Ok(slot)
    }

    fn unwrap(&self, place: Place<'_>, slot: &[u8]) -> Result<Opened, Error> {
        if slot.starts_with(MAGIC) {
            let (head, bytes, sealed) = Head::split(slot).ok_or(Error::Malformed)?;
            if head.form != self.root.form {
                return Err(Error::WrongRoot);
            }
            let (key, check) = self.keys(head.cost, &head.salt)?;
            if !equal(&check, &head.check) {
                return Err(Error::WrongRoot);
            }
            let data_key = key.open(&bound(bytes, place), sealed);
            let data_key = data_key.map_err(|_cause| Error::NotOurs)?;
            return Ok(Opened { data_key, made: Some(head.made), older: Some(head.older) });
        }
        Err(Error::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'_> = Place { database_id: "db", generation: 2 };

    fn raw(byte: u8) -> File {
        let mut bytes = vec![byte; 32];
        bytes[0] = 0xFF;
        File::new(RootKey::read_bytes(&bytes).unwrap())
    }

    fn passphrase(text: &str) -> File {
        File::new(RootKey::read_bytes(text.as_bytes()).unwrap())
    }

    fn data_key() -> Secret {
        Secret::new((0..32).collect())
    }

    #[test]
    fn a_slot_opens_with_its_root_key_and_says_what_it_vouches_for() {
        let older = [Voucher::of(Place { generation: 1, ..PLACE }, &Secret::new(vec![9; 32]))];
        let long = "correct horse battery staple";
        for (file, other) in [(raw(1), raw(2)), (passphrase(long), passphrase(&long.repeat(2)))] {
            let slot = file.wrap(PLACE, &data_key(), 77, &older).unwrap();
            let opened = file.unwrap(PLACE, &slot).unwrap();
            assert_eq!(opened.data_key.expose(), data_key().expose());
            assert_eq!((opened.made, opened.older.unwrap()), (Some(77), older.to_vec()));
            assert_eq!(other.unwrap(PLACE, &slot).err(), Some(Error::WrongRoot));
            assert!(!slot.windows(32).any(|it| it == data_key().expose()));
            // Each wrapping has a salt of its own.
            assert_ne!(file.wrap(PLACE, &data_key(), 77, &older).unwrap()[21..37], slot[21..37]);
            for place in [Place { database_id: "db-2", ..PLACE }, Place { generation: 1, ..PLACE }]
            {
                assert_eq!(file.unwrap(place, &slot).err(), Some(Error::NotOurs));
            }
        }
        let slot = raw(1).wrap(PLACE, &data_key(), 77, &[]).unwrap();
        assert_eq!(passphrase(long).unwrap(PLACE, &slot).err(), Some(Error::WrongRoot));
    }

    #[test]
    fn no_byte_of_a_slot_can_be_changed_and_none_can_be_left_out() {
        let older = [Voucher::of(Place { generation: 1, ..PLACE }, &Secret::new(vec![9; 32]))];
        let file = raw(1);
        let slot = file.wrap(PLACE, &data_key(), 77, &older).unwrap();
        for at in 0..slot.len() {
            let mut altered = slot.clone();
            altered[at] ^= 1;
            assert!(file.unwrap(PLACE, &altered).is_err(), "byte {at}");
            assert!(file.unwrap(PLACE, &slot[..at]).is_err(), "{at} bytes");
        }
        let longer = [slot.as_slice(), &[0]].concat();
        assert!(file.unwrap(PLACE, &longer).is_err());
    }

    #[test]
    fn a_ruinous_cost_in_a_slot_is_refused_unpaid() {
        let file = passphrase("correct horse battery staple");
        let mut slot = file.wrap(PLACE, &data_key(), 77, &[]).unwrap();
        slot[9..13].copy_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(file.unwrap(PLACE, &slot).err(), Some(Error::Malformed));
        slot[9..13].copy_from_slice(&8_u32.to_be_bytes());
        assert_eq!(file.unwrap(PLACE, &slot).err(), Some(Error::Malformed));
    }

    #[test]
    fn what_is_no_data_key_is_not_wrapped() {
        let short = Secret::new(vec![1; 31]);
        assert_eq!(raw(1).wrap(PLACE, &short, 77, &[]).err(), Some(Error::BadLength));
        let many = vec![Voucher { generation: 1, commitment: [0; 32] }; GENERATIONS_MAX];
        assert_eq!(raw(1).wrap(PLACE, &data_key(), 77, &many).err(), Some(Error::TooMany));
    }
}
