//! What all databases keep in the same form: names of states, index entries in one blob.
//!
//! It must not know a database.

use kmip::enumerations::State;

use crate::Error;
use crate::record::IndexEntry;

/// The name of a state in the database.
pub(crate) fn state_name(state: State) -> Result<&'static str, Error> {
    Ok(match state {
        State::PreActive => "PreActive",
        State::Active => "Active",
        State::Deactivated => "Deactivated",
        State::Compromised => "Compromised",
        State::Destroyed => "Destroyed",
        State::DestroyedCompromised => "Destroyed_Compromised",
        _ => return Err(Error::Corrupt("a state that the standard does not have".to_owned())),
    })
}

pub(crate) fn state(name: &str) -> Result<State, Error> {
    Ok(match name {
        "PreActive" => State::PreActive,
        "Active" => State::Active,
        "Deactivated" => State::Deactivated,
        "Compromised" => State::Compromised,
        "Destroyed" => State::Destroyed,
        "Destroyed_Compromised" => State::DestroyedCompromised,
        _ => return Err(Error::Corrupt("an object has an unknown state".to_owned())),
    })
}

/// The entries in their stored form, sorted, each once.
pub(crate) fn packed(index: &[IndexEntry]) -> Vec<u8> {
    if index.windows(2).all(|pair| matches!(pair, [a, b] if a < b)) {
        return pack(index);
    }
    let mut sorted = index.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    pack(&sorted)
}

/// Sorted index entries as one blob: kind, length, value of each.
fn pack(index: &[IndexEntry]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(index.iter().map(|entry| 5 + entry.value.len()).sum());
    for entry in index {
        // The commit was checked: a value has at most 255 bytes.
        let length = u8::try_from(entry.value.len()).unwrap_or(u8::MAX);
        packed.extend_from_slice(&entry.kind.to_be_bytes());
        packed.push(length);
        packed.extend(entry.value.iter().take(usize::from(length)));
    }
    packed
}

/// The entries of a blob, as far as it can be read.
pub(crate) fn unpack(mut packed: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    std::iter::from_fn(move || {
        let (kind, rest) = packed.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first()?;
        let (value, rest) = rest.split_at_checked(usize::from(*length))?;
        packed = rest;
        Some((u32::from_be_bytes(*kind), value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_the_documented_names() {
        let names: Vec<_> = (1..=6).map(|code| state_name(State(code)).unwrap()).collect();
        assert_eq!(
            names,
            [
                "PreActive",
                "Active",
                "Deactivated",
                "Compromised",
                "Destroyed",
                "Destroyed_Compromised"
            ]
        );
        for (name, code) in names.iter().zip(1..) {
            assert_eq!(state(name).unwrap(), State(code));
        }
        assert!(state_name(State(7)).is_err());
        assert!(state("active").is_err());
    }

    #[test]
    fn entries_come_back_from_their_blob() {
        let index = vec![
            IndexEntry { kind: 0x42_0053, value: b"name".to_vec() },
            IndexEntry { kind: 0x42_0054, value: Vec::new() },
            IndexEntry { kind: u32::MAX, value: vec![7; 255] },
        ];
        let packed = pack(&index);
        let back: Vec<_> = unpack(&packed)
            .map(|(kind, value)| IndexEntry { kind, value: value.to_vec() })
            .collect();
        assert_eq!(back, index);
        assert_eq!(unpack(&packed[..packed.len() - 1]).count(), 2);
    }
}
