//! Input made to hurt: bombs of each kind, and a fuzzer's work on stable Rust.
//!
//! The same mutations come in every run, so a failure can be repeated.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use ttlv::{Encoding, Error, Item, Limits, Number, Spelling, Unknown, Value};

use crate::{BATCH_ITEM, DATE, IDENTIFIER, MASK, MESSAGE, Names, OPERATION, text, unhex};

/// A machine under load is slow; exponential and quadratic work is slower.
const PATIENCE: Duration = Duration::from_secs(20);

fn refused(encoding: Encoding, bytes: &[u8]) -> Error {
    let start = Instant::now();
    let answer = encoding.decode(bytes, &Names, &Limits::DEFAULT, Unknown::Skip);
    assert!(start.elapsed() < PATIENCE, "{encoding:?} took {:?}", start.elapsed());
    match answer {
        Err(error) => error,
        Ok(_) => panic!("{encoding:?} accepted a bomb"),
    }
}

#[test]
fn bombs() {
    const MANY: usize = 1 << 20;
    let length = |length: usize| u32::try_from(length).unwrap().to_be_bytes();
    let deep = Error::TooDeep { limit: 32 };
    let full = Error::TooManyItems { limit: Limits::DEFAULT.items };
    // A length that nobody has.
    let header = unhex("42 00 78 01 FF FF FF F8 42 00 94 08 FF FF FF F0");
    assert_eq!(refused(Encoding::Binary, &header), Error::Truncated);
    // Depth.
    let levels: Vec<u8> = (0..MANY / 8)
        .flat_map(|level| {
            let rest = length(MANY - 8 * (level + 1));
            [&unhex("42 00 0F 01")[..], &rest[..]].concat()
        })
        .collect();
    assert_eq!(refused(Encoding::Binary, &levels), deep);
    let levels = r#"{"tag":"BatchItem","value":["#.repeat(MANY);
    assert_eq!(refused(Encoding::Json, levels.as_bytes()), deep);
    let levels = r#"{"value":["#.repeat(MANY);
    assert_eq!(refused(Encoding::Json, levels.as_bytes()), deep);
    assert!(matches!(refused(Encoding::Json, "[".repeat(MANY).as_bytes()), Error::Syntax { .. }));
    assert_eq!(refused(Encoding::Xml, "<BatchItem>".repeat(MANY).as_bytes()), deep);
    assert_eq!(
        refused(Encoding::Xml, "<Nobody>".repeat(MANY).as_bytes()),
        Error::UnknownTag("Nobody".into())
    );
    // Width.
    let mut empty = unhex("42 00 0F 01");
    empty.extend_from_slice(&length(8 * MANY));
    empty.extend(unhex("42 00 0F 01 00 00 00 00").repeat(MANY));
    assert_eq!(refused(Encoding::Binary, &empty), full);
    let empty =
        format!(r#"{{"tag":"BatchItem","value":[{}"#, r#"{"tag":"x","value":[]},"#.repeat(MANY));
    assert_eq!(refused(Encoding::Json, empty.as_bytes()), full);
    let empty = format!("<BatchItem>{}", "<x/>".repeat(MANY));
    assert_eq!(refused(Encoding::Xml, empty.as_bytes()), full);
    // Members, attributes, entities, comments.
    let members = format!("{{{}", r#""name":"x","#.repeat(MANY));
    assert!(matches!(refused(Encoding::Json, members.as_bytes()), Error::Syntax { .. }));
    let mut attributes = String::from("<BatchItem");
    for number in 0..MANY / 8 {
        attributes.extend([" a", &number.to_string(), "=\"\""]);
    }
    attributes += "/>";
    assert!(matches!(refused(Encoding::Xml, attributes.as_bytes()), Error::Syntax { .. }));
    let comments = "<!-- -->".repeat(MANY);
    assert_eq!(refused(Encoding::Xml, comments.as_bytes()), Error::Truncated);
    let escapes = format!(r#"{{"tag":"{}"#, "\\u0041".repeat(MANY));
    assert_eq!(refused(Encoding::Json, escapes.as_bytes()), Error::Truncated);
}

fn message() -> Item<'static> {
    Item::structure(
        MESSAGE,
        vec![
            Item::structure(
                BATCH_ITEM,
                vec![
                    Item::new(
                        OPERATION,
                        Value::Enumeration(Number::Both(1, Cow::Borrowed("Create"))),
                    ),
                    text(IDENTIFIER, "an \"identifier\" <&> \n"),
                    Item::new(
                        MASK,
                        Value::Integer(Number::Both(12, Cow::Borrowed("Encrypt Decrypt"))),
                    ),
                    Item::new(DATE, Value::DateTime(1_700_000_000)),
                ],
            ),
            Item::new(ttlv::Tag(0x54_0001), Value::ByteString(Cow::Borrowed(&[7; 40]))),
            Item::new(DATE, Value::DateTimeExtended(1_700_000_000_000_001)),
            Item::new(DATE, Value::BigInteger(Cow::Borrowed(&[0xFE; 16]))),
            Item::new(DATE, Value::LongInteger(-5)),
            Item::new(DATE, Value::Interval(5)),
            Item::new(DATE, Value::Boolean(true)),
        ],
    )
}

/// Xorshift: the same numbers in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides.max(1) as u64).unwrap()
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        const MARKS: &[u8] = b"{}[]<>\"'&;,:/\\0x9-|\x00\x01\x07\x08\xFF\x80 ";
        for _ in 0..=self.roll(3) {
            let at = self.roll(bytes.len());
            match self.roll(6) {
                0 if !bytes.is_empty() => bytes[at] ^= 1 << self.roll(8),
                1 if !bytes.is_empty() => bytes[at] = MARKS[self.roll(MARKS.len())],
                2 => bytes.insert(at, MARKS[self.roll(MARKS.len())]),
                3 if !bytes.is_empty() => drop(bytes.remove(at)),
                4 => bytes.truncate(at),
                _ => {
                    let part = bytes[at..].iter().take(self.roll(64)).copied().collect::<Vec<_>>();
                    let to = self.roll(bytes.len());
                    bytes.splice(to..to, part);
                }
            }
        }
    }
}

#[test]
fn mutations_of_a_message_are_answered() {
    let limits = Limits { bytes: 4096, depth: 8, items: 64 };
    for encoding in Encoding::ALL {
        let mut original = Vec::new();
        encoding.encode(&message(), &Names, Spelling::Profile, &mut original).unwrap();
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
        let (mut accepted, mut refused) = (0, 0);
        for _ in 0..20_000 {
            let mut bytes = original.clone();
            dice.mutate(&mut bytes);
            let Ok(item) = encoding.decode(&bytes, &Names, &limits, Unknown::Skip) else {
                refused += 1;
                continue;
            };
            accepted += 1;
            let mut once = Vec::new();
            encoding.encode(&item, &Names, Spelling::Profile, &mut once).unwrap();
            let again = encoding.decode(&once, &Names, &Limits::DEFAULT, Unknown::Skip).unwrap();
            let mut twice = Vec::new();
            encoding.encode(&again, &Names, Spelling::Profile, &mut twice).unwrap();
            assert_eq!(once, twice, "{encoding:?}");
        }
        // A mutator that only ever hits one side tests nothing.
        assert!(accepted > 100 && refused > 1000, "{encoding:?}: {accepted} {refused}");
    }
}
