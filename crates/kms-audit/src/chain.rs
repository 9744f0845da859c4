//! The chain: each record's MAC covers the record and the MAC before it, under a key that moves on.
//!
//! `mac(i) = HMAC-SHA-256(key(i), mac(i-1) ‖ line(i))` and `key(i+1) = HMAC-SHA-256(key(i), "next")`:
//! whoever takes the key from a running server cannot make the records before that moment anew.

use kms_crypto::mac::MacKey;
use zeroize::Zeroizing;

/// The length of keys and MACs, in bytes.
pub const LENGTH: usize = 32;
/// The MAC before the first record of all.
pub const BEGINNING: [u8; LENGTH] = [0; LENGTH];

const NEXT: &[u8] = b"kms audit: the next key";

/// Where a chain stands after a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The record's number.
    pub seq: u64,
    /// Its MAC.
    pub mac: [u8; LENGTH],
}

/// A chain at the record that comes next.
pub(crate) struct Chain {
    key: Zeroizing<[u8; LENGTH]>,
    next: u64,
    mac: [u8; LENGTH],
}

impl Chain {
    /// A chain whose first record is `first` under `key`, after a record with the MAC `previous`.
    pub(crate) fn new(key: &[u8; LENGTH], first: u64, previous: [u8; LENGTH]) -> Self {
        Self { key: Zeroizing::new(*key), next: first, mac: previous }
    }

    /// Passes over records that are not at hand: the next is `to`, after one with the MAC `previous`.
    pub(crate) fn skip(&mut self, to: u64, previous: [u8; LENGTH]) {
        while self.next < to {
            *self.key = MacKey::new(&*self.key).sign(&[NEXT]);
            self.next = self.next.saturating_add(1);
        }
        self.mac = previous;
    }

    /// The number of the next record.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// The MAC of the record before.
    pub(crate) fn mac(&self) -> [u8; LENGTH] {
        self.mac
    }

    /// The MAC that the next record has if it is `line` and comes after `previous`.
    pub(crate) fn expected(&self, previous: &[u8; LENGTH], line: &[u8]) -> [u8; LENGTH] {
        MacKey::new(&*self.key).sign(&[previous, line])
    }

    /// Takes `line` in as the next record; its MAC.
    pub(crate) fn take(&mut self, line: &[u8]) -> [u8; LENGTH] {
        let key = MacKey::new(&*self.key);
        self.mac = key.sign(&[&self.mac, line]);
        *self.key = key.sign(&[NEXT]);
        self.next = self.next.saturating_add(1);
        self.mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mac_depends_on_all_before_it_and_on_the_place() {
        let run = |lines: &[&[u8]]| {
            let mut chain = Chain::new(&[7; LENGTH], 1, BEGINNING);
            lines.iter().map(|line| chain.take(line)).collect::<Vec<_>>()
        };
        let macs = run(&[b"a", b"b", b"b"]);
        assert_ne!(macs[1], macs[2]);
        assert_eq!(run(&[b"a", b"b"])[1], macs[1]);
        assert_ne!(run(&[b"x", b"b"])[1], macs[1]);
    }

    #[test]
    fn records_can_be_passed_over() {
        let mut chain = Chain::new(&[7; LENGTH], 5, BEGINNING);
        chain.take(b"a");
        let second = chain.take(b"b");
        let mut skipping = Chain::new(&[7; LENGTH], 5, BEGINNING);
        skipping.skip(7, second);
        assert_eq!(skipping.take(b"c"), chain.take(b"c"));
    }

    #[test]
    fn a_key_makes_no_mac_before_its_own() {
        let mut chain = Chain::new(&[7; LENGTH], 1, BEGINNING);
        let first = chain.take(b"a");
        // The key that is in memory now is another than the one that made the first MAC.
        assert_ne!(chain.expected(&BEGINNING, b"a"), first);
        assert_eq!(Chain::new(&[7; LENGTH], 1, BEGINNING).expected(&BEGINNING, b"a"), first);
    }
}
