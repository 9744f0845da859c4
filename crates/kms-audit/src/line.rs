//! One record as a line of JSON, written and taken apart by hand: it is made for every request.
//!
//! A line is `{"seq":N,BODY,"mac":"HEX"}`; the MAC covers all before `,"mac"`. What comes from
//! outside is cut to a length and escaped, everything but printable ASCII by its number, so that no
//! name can look like another line or turn a terminal around.

use std::net::{IpAddr, SocketAddr};

use crate::chain::LENGTH;

/// The longest text of a member, in bytes; more is cut off.
pub const TEXT_MAX: usize = 255;
/// The member that the log's own records have first: what they are, such as [`crate::STOP`].
pub const OWN: &str = "log";
/// The longest line that is read, in bytes.
pub(crate) const LINE_MAX: usize = 64 << 10;

const HEAD: &[u8] = b"{\"seq\":";
const MAC: &[u8] = b",\"mac\":\"";
const END: &[u8] = b"\"}\n";
const HEX: &[u8; 16] = b"0123456789abcdef";

/// The members of a record between its number and its MAC.
#[derive(Debug)]
pub struct Body<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Body<'a> {
    /// Begins a body in `out`, whose contents go, with the time (in milliseconds since 1970).
    pub fn begin(out: &'a mut Vec<u8>, time_ms: i64) -> Self {
        out.clear();
        out.extend_from_slice(b"\"time\":\"");
        push_time(out, time_ms);
        out.push(b'"');
        Self { out }
    }

    fn name(&mut self, name: &'static str) {
        self.out.extend_from_slice(b",\"");
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// A text, which may come from outside.
    pub fn text(&mut self, name: &'static str, text: &str) -> &mut Self {
        self.name(name);
        push_text(self.out, text);
        self
    }

    /// Several texts.
    pub fn texts<'t>(
        &mut self,
        name: &'static str,
        texts: impl IntoIterator<Item = &'t str>,
    ) -> &mut Self {
        self.name(name);
        self.out.push(b'[');
        for (at, text) in texts.into_iter().enumerate() {
            if at > 0 {
                self.out.push(b',');
            }
            push_text(self.out, text);
        }
        self.out.push(b']');
        self
    }

    /// A number.
    pub fn number(&mut self, name: &'static str, number: u64) -> &mut Self {
        self.name(name);
        push_number(self.out, number);
        self
    }

    /// The identifier of a request that the server made: two numbers.
    pub fn pair(&mut self, name: &'static str, high: u64, low: u64) -> &mut Self {
        self.name(name);
        self.out.push(b'"');
        push_hex(self.out, &high.to_be_bytes());
        self.out.push(b'-');
        push_number(self.out, low);
        self.out.push(b'"');
        self
    }

    /// Bytes in hexadecimal.
    pub fn hex(&mut self, name: &'static str, bytes: &[u8]) -> &mut Self {
        self.name(name);
        self.out.push(b'"');
        push_hex(self.out, bytes);
        self.out.push(b'"');
        self
    }

    /// The address of a caller.
    pub fn address(&mut self, name: &'static str, address: SocketAddr) -> &mut Self {
        self.name(name);
        self.out.push(b'"');
        match address.ip().to_canonical() {
            IpAddr::V4(ip) => {
                for (at, part) in ip.octets().into_iter().enumerate() {
                    if at > 0 {
                        self.out.push(b'.');
                    }
                    push_number(self.out, part.into());
                }
            }
            IpAddr::V6(ip) => {
                self.out.extend_from_slice(format!("[{ip}]").as_bytes());
            }
        }
        self.out.push(b':');
        push_number(self.out, address.port().into());
        self.out.push(b'"');
        self
    }
}

/// Appends all of a line that its MAC covers.
pub(crate) fn push_covered(out: &mut Vec<u8>, seq: u64, body: &[u8]) {
    out.extend_from_slice(HEAD);
    push_number(out, seq);
    out.push(b',');
    out.extend_from_slice(body);
}

/// Appends the end of a line.
pub(crate) fn push_mac(out: &mut Vec<u8>, mac: &[u8; LENGTH]) {
    out.extend_from_slice(MAC);
    push_hex(out, mac);
    out.extend_from_slice(END);
}

/// A line taken apart.
pub(crate) struct Parts<'a> {
    pub(crate) seq: u64,
    /// What the MAC covers.
    pub(crate) covered: &'a [u8],
    pub(crate) mac: [u8; LENGTH],
}

/// Takes a line apart; none if it is not one that this crate wrote whole.
pub(crate) fn parts(line: &[u8]) -> Option<Parts<'_>> {
    let (covered, end) =
        line.split_at_checked(line.len().checked_sub(MAC.len() + 2 * LENGTH + END.len())?)?;
    let hex = end.strip_prefix(MAC)?.strip_suffix(END)?;
    let mac = parse_hex(hex)?;
    Some(Parts { seq: seq(covered)?, covered, mac })
}

/// The number at the beginning of a line, spelt in the one way there is.
pub(crate) fn seq(line: &[u8]) -> Option<u64> {
    let rest = line.strip_prefix(HEAD)?;
    let digits = rest.split(|byte| *byte == b',').next()?;
    number(digits)
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 1 && digits.first() == Some(&b'0') {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

pub(crate) fn parse_hex(hex: &[u8]) -> Option<[u8; LENGTH]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; LENGTH];
    if hex.len() != 2 * LENGTH {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

pub(crate) fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    let digit = |four: u8| HEX.get(usize::from(four)).copied().unwrap_or(b'?');
    out.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
}

pub(crate) fn push_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [b'0'; 20];
    let mut length = 0;
    for digit in digits.iter_mut().rev() {
        // A digit is below ten.
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        length += 1;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - length..).unwrap_or_default());
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let cut = text.len() > TEXT_MAX;
    let end = (0..=TEXT_MAX.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    let text = text.get(..end.unwrap_or(0)).unwrap_or_default();
    let plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    if text.as_bytes().iter().all(plain) {
        out.extend_from_slice(text.as_bytes());
    } else {
        let mut units = [0; 2];
        for letter in text.chars() {
            match u8::try_from(letter) {
                Ok(byte) if plain(&byte) => out.push(byte),
                _ => letter.encode_utf16(&mut units).iter().for_each(|unit| push_unit(out, *unit)),
            }
        }
    }
    if cut {
        push_unit(out, 0x2026);
    }
    out.push(b'"');
}

fn push_unit(out: &mut Vec<u8>, unit: u16) {
    out.extend_from_slice(b"\\u");
    push_hex(out, &unit.to_be_bytes());
}

/// `2027-01-31T12:00:00.123Z`.
fn push_time(out: &mut Vec<u8>, time_ms: i64) {
    let (days, rest) = (time_ms.div_euclid(86_400_000), time_ms.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    push_padded(out, year, 1000);
    for (mark, number) in [(b'-', month), (b'-', day)] {
        out.push(mark);
        push_padded(out, number, 10);
    }
    let clock = [(b'T', rest / 3_600_000), (b':', rest / 60_000 % 60), (b':', rest / 1000 % 60)];
    for (mark, number) in clock {
        out.push(mark);
        push_padded(out, number, 10);
    }
    out.push(b'.');
    push_padded(out, rest % 1000, 100);
    out.push(b'Z');
}

/// Year, month and day of a day since 1970, after Howard Hinnant's `civil_from_days`.
fn civil(days: i64) -> (i64, i64, i64) {
    // Years begin in March, so that the leap day is the last.
    let shifted = days.saturating_add(719_468);
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// A number with leading zeros; `unit` is the value of its first digit.
fn push_padded(out: &mut Vec<u8>, number: i64, mut unit: i64) {
    while unit > 0 {
        out.push(b'0' + u8::try_from(number / unit % 10).unwrap_or_default());
        unit /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(body: &[u8]) -> serde_json::Value {
        let text = format!("{{{}}}", std::str::from_utf8(body).unwrap());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        for (time, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (1_735_689_599_001, "2024-12-31T23:59:59.001Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            let mut out = Vec::new();
            Body::begin(&mut out, time);
            assert_eq!(json(&out)["time"], text);
        }
    }

    #[test]
    fn what_comes_from_outside_is_one_json_text() {
        let long = "\u{e9}".repeat(200);
        for (given, read) in [
            ("plain", "plain"),
            ("", ""),
            (
                "a\"b\\c\n{\"seq\":9}\u{202e}\u{1f511}\0\u{7f}",
                "a\"b\\c\n{\"seq\":9}\u{202e}\u{1f511}\0\u{7f}",
            ),
            (&"x".repeat(255), &"x".repeat(255)),
            (&"x".repeat(256), &("x".repeat(255) + "\u{2026}")),
            // 255 bytes end within a letter.
            (&long, &("\u{e9}".repeat(127) + "\u{2026}")),
        ] {
            let mut out = Vec::new();
            Body::begin(&mut out, 0).text("user", given).texts("more", [given, "b"]);
            assert!(out.iter().all(|byte| (b' '..=b'~').contains(byte)));
            assert_eq!(json(&out)["user"], read);
            assert_eq!(json(&out)["more"], serde_json::json!([read, "b"]));
        }
    }

    #[test]
    fn numbers_and_addresses_are_spelt_as_usual() {
        let mut out = Vec::new();
        Body::begin(&mut out, 0)
            .number("zero", 0)
            .number("most", u64::MAX)
            .pair("request", 0xab, 10)
            .hex("hex", &[0, 0x9f])
            .address("four", "127.0.0.1:80".parse().unwrap())
            .address("mapped", "[::ffff:10.0.0.1]:65535".parse().unwrap())
            .address("six", "[2001:db8::1]:443".parse().unwrap());
        let read = json(&out);
        assert_eq!(read["zero"], 0);
        assert_eq!(read["most"], u64::MAX);
        assert_eq!(read["request"], "00000000000000ab-10");
        assert_eq!(read["hex"], "009f");
        assert_eq!(read["four"], "127.0.0.1:80");
        assert_eq!(read["mapped"], "10.0.0.1:65535");
        assert_eq!(read["six"], "[2001:db8::1]:443");
    }

    #[test]
    fn a_line_is_taken_apart_as_it_was_written_and_no_other() {
        let mut line = Vec::new();
        push_covered(&mut line, 42, b"\"time\":\"x\"");
        let covered = line.clone();
        push_mac(&mut line, &[0xa5; LENGTH]);
        let parts = parts(&line).unwrap();
        assert_eq!((parts.seq, parts.covered, parts.mac), (42, &covered[..], [0xa5; LENGTH]));
        for wrong in [
            &line[..line.len() - 1],
            &line[1..],
            b"",
            b"{}\n",
            line.to_ascii_uppercase().as_slice(),
        ] {
            assert!(super::parts(wrong).is_none());
        }
        for (text, number) in
            [("{\"seq\":7,", Some(7)), ("{\"seq\":07,", None), ("{\"seq\":,", None)]
        {
            assert_eq!(seq(text.as_bytes()), number);
        }
    }
}
