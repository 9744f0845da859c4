//! The few fields of X.509 and PKCS#12 that tell in time what would be refused later.
//!
//! It verifies nothing.

/// What is read of a certificate; times are seconds since 1970.
pub(super) struct Certificate {
    pub(super) version: u8,
    pub(super) not_before: u64,
    pub(super) not_after: u64,
}

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const CONTEXT_0: u8 = 0xA0;

/// Reads a certificate in DER.
pub(super) fn read(der: &[u8]) -> Option<Certificate> {
    let (certificate, _) = expect(der, SEQUENCE)?;
    let (mut fields, _) = expect(certificate, SEQUENCE)?;
    let mut version = 1;
    if let Some((explicit, rest)) = expect(fields, CONTEXT_0) {
        version = expect(explicit, INTEGER)?.0.first()?.checked_add(1)?;
        fields = rest;
    }
    let (_serial, fields) = expect(fields, INTEGER)?;
    let (_algorithm, fields) = expect(fields, SEQUENCE)?;
    let (_issuer, fields) = expect(fields, SEQUENCE)?;
    let (validity, _) = expect(fields, SEQUENCE)?;
    let (not_before, rest) = time(validity)?;
    let (not_after, _) = time(rest)?;
    Some(Certificate { version, not_before, not_after })
}

/// Whether a PKCS#12 file in DER has the part that shows whether it was changed.
pub(super) fn has_mac(der: &[u8]) -> bool {
    let third = || {
        let (file, _) = element(der)?.1;
        let (_version, rest) = expect(file, INTEGER)?;
        let (_content, rest) = expect(rest, SEQUENCE)?;
        expect(rest, SEQUENCE)
    };
    third().is_some()
}

/// A tag, the bytes under it, and what follows.
fn element(bytes: &[u8]) -> Option<(u8, (&[u8], &[u8]))> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7F => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x0F))?;
            (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    Some((*tag, rest.split_at_checked(length)?))
}

fn expect(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    element(bytes).filter(|(found, _)| *found == tag).map(|(_, parts)| parts)
}

fn time(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (tag, (digits, rest)) = element(bytes)?;
    let text = std::str::from_utf8(digits).ok()?.strip_suffix('Z')?;
    let text = match tag {
        // Two digits mean 1950 to 2049.
        UTC_TIME if text.get(..2)? < "50" => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    if text.len() != 14 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u64>().ok();
    let days = days_since_1970(number(0..4)?, number(4..6)?, number(6..8)?)?;
    let hours = days * 24 + number(8..10)?;
    Some(((hours * 60 + number(10..12)?) * 60 + number(12..14)?, rest))
}

/// The days of the Gregorian calendar; a date before 1970 counts as its first day.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years that begin in March have their leap day at the end.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    Some(days.saturating_sub(719_468))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (date, days) in
            [((1970, 1, 1), 0), ((1970, 3, 1), 59), ((2000, 2, 29), 11_016), ((2026, 11, 24), 20_781)]
        {
            assert_eq!(days_since_1970(date.0, date.1, date.2), Some(days), "{date:?}");
        }
        assert_eq!(days_since_1970(2000, 13, 1), None);
    }

    #[test]
    fn cut_off_certificates_are_not_read() {
        assert!(read(&[]).is_none());
        assert!(read(&[0x30, 0x82, 0xFF, 0xFF, 0x30]).is_none());
        assert!(!has_mac(&[0x30, 0x03, 0x02, 0x01, 0x03]));
    }
}
