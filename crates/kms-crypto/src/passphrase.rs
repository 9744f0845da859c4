//! A key from a passphrase, by Argon2id (RFC 9106): slow and hungry on purpose, so that guessing is.
//!
//! What it costs stands beside the salt, and comes back from where somebody may have changed it: a
//! cost out of [`COST_MIN`] to [`COST_MAX`] is refused before anything is computed.

use crate::{Error, Secret};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroize as _;

/// The length of a salt, in bytes.
pub const SALT_LENGTH: usize = 16;

/// What a derivation costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// How often the memory is gone through.
    pub passes: u32,
    /// How many lanes there are. They are gone through one after the other.
    pub lanes: u32,
}

/// The second recommendation of RFC 9106 (section 4), whose memory every server has.
pub const COST: Cost = Cost { memory_kib: 64 << 10, passes: 3, lanes: 4 };
/// The least cost that is accepted.
pub const COST_MIN: Cost = Cost { memory_kib: 19 << 10, passes: 1, lanes: 1 };
/// The highest cost that is accepted: memory of 1 GiB.
pub const COST_MAX: Cost = Cost { memory_kib: 1 << 20, passes: 16, lanes: 16 };

impl Cost {
    fn is_admitted(self) -> bool {
        let Self { memory_kib, passes, lanes } = self;
        (COST_MIN.memory_kib..=COST_MAX.memory_kib).contains(&memory_kib)
            && (COST_MIN.passes..=COST_MAX.passes).contains(&passes)
            && (COST_MIN.lanes..=COST_MAX.lanes).contains(&lanes)
    }
}

/// Derives a key of 32 bytes. Takes a good part of a second and the memory of `cost`.
///
/// [`Error::BadParameter`] for a cost that is not accepted.
pub fn derive(passphrase: &[u8], salt: &[u8; SALT_LENGTH], cost: Cost) -> Result<Secret, Error> {
    let bad = Error::BadParameter("the cost of a key from a passphrase is out of bounds");
    if !cost.is_admitted() {
        return Err(bad);
    }
    let mut derived = Secret::zeroed(32);
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(derived.len()));
    let Ok(params) = params else { return Err(bad) };
    let mut memory = vec![Block::new(); params.block_count()];
    let outcome = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(passphrase, salt, derived.expose_mut(), &mut memory);
    memory.zeroize();
    match outcome {
        Ok(()) => Ok(derived),
        Err(_) => Err(Error::Failed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_out_of_bounds_is_refused_before_it_is_paid() {
        for cost in [
            Cost { memory_kib: 8, ..COST },
            Cost { memory_kib: u32::MAX, ..COST },
            Cost { passes: 0, ..COST },
            Cost { passes: u32::MAX, ..COST },
            Cost { lanes: 0, ..COST },
            Cost { lanes: 17, ..COST },
        ] {
            assert!(matches!(derive(b"a", &[0; 16], cost), Err(Error::BadParameter(_))));
        }
    }

    /// The expected keys were computed by OpenSSL.
    #[test]
    fn it_is_argon2id() {
        for (cost, expected) in [
            (COST_MIN, "307797b3fe3ae8e9a8cd6fe3bc7446002601491c57d7b6cd836a314fccac5ceb"),
            (COST, "2de65b0f75002af51c002c7d8a5e173ed5ed1620d7dff49c444e1e4233983723"),
        ] {
            let derived = derive(b"correct horse", b"saltsaltsaltsalt", cost).unwrap();
            assert_eq!(hex::encode(derived.expose()), expected);
        }
    }
}
