//! Hexadecimal digits to bytes and back, fast enough for megabytes.
//!
//! Works in blocks that the compiler turns into vector instructions; no look-up by secret bytes.

/// Writes two upper-case digits for each byte.
pub(crate) fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len().saturating_mul(2));
    let (blocks, rest) = bytes.as_chunks::<16>();
    for block in blocks {
        let mut digits = [[0_u8; 2]; 16];
        for (pair, byte) in digits.iter_mut().zip(block) {
            *pair = spell(*byte);
        }
        out.extend_from_slice(digits.as_flattened());
    }
    for byte in rest {
        out.extend_from_slice(&spell(*byte));
    }
}

/// The bytes that pairs of digits in either case spell.
pub(crate) fn decode(digits: &[u8]) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let mut out = Vec::with_capacity(digits.len() / 2);
    let (blocks, rest) = digits.as_chunks::<32>();
    let mut wrong = 0_u8;
    for block in blocks {
        let mut nibbles = [0_u8; 32];
        for (to, digit) in nibbles.iter_mut().zip(block) {
            let (value, good) = nibble(*digit);
            *to = value;
            wrong |= u8::from(!good);
        }
        let mut bytes = [0_u8; 16];
        for (byte, [high, low]) in bytes.iter_mut().zip(nibbles.as_chunks::<2>().0) {
            *byte = (high << 4) | low;
        }
        out.extend_from_slice(&bytes);
    }
    for [high, low] in rest.as_chunks::<2>().0 {
        let ((high, high_good), (low, low_good)) = (nibble(*high), nibble(*low));
        out.push((high << 4) | low);
        wrong |= u8::from(!high_good) | u8::from(!low_good);
    }
    (wrong == 0).then_some(out)
}

/// The number that at most 16 digits spell.
pub(crate) fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    let mut value = 0_u64;
    for digit in digits.bytes() {
        let (nibble, good) = nibble(digit);
        if !good {
            return None;
        }
        value = (value << 4) | u64::from(nibble);
    }
    Some(value)
}

#[inline]
fn spell(byte: u8) -> [u8; 2] {
    [digit(byte >> 4), digit(byte & 0x0F)]
}

#[inline]
fn digit(nibble: u8) -> u8 {
    let letter = if nibble > 9 { b'A' - b'0' - 10 } else { 0 };
    nibble.wrapping_add(b'0').wrapping_add(letter)
}

/// A nonsense value and `false` for what is no digit.
#[inline]
fn nibble(digit: u8) -> (u8, bool) {
    let decimal = digit.wrapping_sub(b'0');
    let letter = (digit | 0x20).wrapping_sub(b'a');
    let value = if decimal < 10 { decimal } else { letter.wrapping_add(10) };
    (value, decimal < 10 || letter < 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_and_length_survives() {
        let all: Vec<u8> = (0..=255).chain(0..=255).collect();
        for length in 0..all.len() {
            let mut text = Vec::new();
            encode(&all[..length], &mut text);
            assert_eq!(decode(&text).unwrap(), &all[..length]);
            text.make_ascii_lowercase();
            assert_eq!(decode(&text).unwrap(), &all[..length]);
        }
    }

    #[test]
    fn only_digits_are_read() {
        for byte in 0..=255_u8 {
            for place in [0, 1, 30, 33] {
                let mut text = *b"0123456789abcdefABCDEF0123456789abcd";
                text[place] = byte;
                assert_eq!(decode(&text).is_some(), byte.is_ascii_hexdigit(), "{byte} at {place}");
            }
        }
        assert_eq!(decode(b"123"), None);
        assert_eq!(number(""), None);
        assert_eq!(number("+1"), None);
        assert_eq!(number("00000000000000000"), None);
        assert_eq!(number("fFfFfFfFfFfFfFfF"), Some(u64::MAX));
    }
}
