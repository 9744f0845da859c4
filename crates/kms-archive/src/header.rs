//! The beginning of an archive: what it is, how its key is found, and a MAC that tells a wrong key
//! from a frame that was altered.
//!
//! `magic (10) ‖ version (2) ‖ kind of key (1) ‖ salt (16) ‖ memory, passes, lanes (4 each) ‖ MAC (32)`

use std::io::{Read, Write};

use kms_crypto::passphrase::{COST, Cost, SALT_LENGTH};
use kms_crypto::random;

use crate::Error;
use crate::key::{Key, Keys};

const MAGIC: &[u8; 10] = b"KMSARCHIVE";
const VERSION: u16 = 1;
const FACTS_LENGTH: usize = 10 + 2 + 1 + SALT_LENGTH + 3 * 4;
const MAC_LENGTH: usize = 32;
/// The length of the header, in bytes.
pub const HEADER_LENGTH: usize = FACTS_LENGTH + MAC_LENGTH;

const KEY_FILE: u8 = 1;
const PASSPHRASE: u8 = 2;
/// Where no cost is paid.
const FREE: Cost = Cost { memory_kib: 0, passes: 0, lanes: 0 };

/// Writes a header for `key` and gives the keys of what follows.
pub(crate) fn write(out: &mut impl Write, key: &Key) -> Result<Keys, Error> {
    let salt = random::bytes::<SALT_LENGTH>()?;
    let (kind, cost) = match key {
        Key::File(_) => (KEY_FILE, FREE),
        Key::Passphrase(_) => (PASSPHRASE, COST),
    };
    let mut facts = Vec::with_capacity(HEADER_LENGTH);
    facts.extend_from_slice(MAGIC);
    facts.extend_from_slice(&VERSION.to_be_bytes());
    facts.push(kind);
    facts.extend_from_slice(&salt);
    for number in [cost.memory_kib, cost.passes, cost.lanes] {
        facts.extend_from_slice(&number.to_be_bytes());
    }
    let keys = Keys::derive(&key.root(&salt, cost)?, &facts)?;
    let mac = keys.header.sign(&[&facts]);
    facts.extend_from_slice(&mac);
    out.write_all(&facts)?;
    Ok(keys)
}

/// Reads a header, and gives it with the keys of what follows.
pub(crate) fn read(input: &mut impl Read, key: &Key) -> Result<([u8; HEADER_LENGTH], Keys), Error> {
    let mut header = [0; HEADER_LENGTH];
    input.read_exact(&mut header).map_err(|failure| match failure.kind() {
        std::io::ErrorKind::UnexpectedEof => Error::Foreign,
        _ => failure.into(),
    })?;
    let (facts, mac) = header.split_last_chunk::<MAC_LENGTH>().ok_or(Error::Foreign)?;
    let rest = facts.strip_prefix(MAGIC).ok_or(Error::Foreign)?;
    let (version, rest) = rest.split_first_chunk().ok_or(Error::Foreign)?;
    match u16::from_be_bytes(*version) {
        VERSION => {}
        0 => return Err(Error::Foreign),
        newer => return Err(Error::Newer(newer)),
    }
    let (kind, rest) = rest.split_first().ok_or(Error::Foreign)?;
    match (*kind, key) {
        (KEY_FILE, Key::File(_)) | (PASSPHRASE, Key::Passphrase(_)) => {}
        (KEY_FILE, _) => return Err(Error::OtherKey("key")),
        (PASSPHRASE, _) => return Err(Error::OtherKey("passphrase")),
        _ => return Err(Error::Foreign),
    }
    let (salt, mut rest) = rest.split_first_chunk().ok_or(Error::Foreign)?;
    let mut number = || {
        let (number, after) = rest.split_first_chunk().ok_or(Error::Foreign)?;
        rest = after;
        Ok::<_, Error>(u32::from_be_bytes(*number))
    };
    let cost = Cost { memory_kib: number()?, passes: number()?, lanes: number()? };
    // What a derivation may cost is bounded where it is made.
    let keys = Keys::derive(&key.root(salt, cost)?, facts)?;
    keys.header.verify(&[facts], mac).map_err(|_unequal| Error::WrongKey)?;
    Ok((header, keys))
}
