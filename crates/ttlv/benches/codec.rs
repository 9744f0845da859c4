//! What the codecs cost: nanoseconds to decode and to encode a typical Encrypt request.
//!
//! `cargo bench -p ttlv`, or `cargo bench -p ttlv -- Json` for one encoding. Machines differ and are busy: compare figures of one run.
#![expect(clippy::print_stdout, reason = "it is what the benchmark is for")]

use std::borrow::Cow;
use std::hint::black_box;
use std::time::{Duration, Instant};

use ttlv::{Encoding, Item, Limits, Number, Spelling, Tag, TagNames, Unknown, Value};

struct Names;

const TAGS: &[(u32, &str)] = &[
    (0x42_0011, "BlockCipherMode"),
    (0x42_0028, "CryptographicAlgorithm"),
    (0x42_002B, "CryptographicParameters"),
    (0x42_0094, "UniqueIdentifier"),
    (0x42_00C2, "Data"),
    (0x42_00CD, "RandomIV"),
    (0x42_00FE, "AuthenticatedEncryptionAdditionalData"),
    (0x42_0005, "Encrypt"),
];

impl TagNames for Names {
    fn name(&self, tag: Tag) -> Option<&'static str> {
        TAGS.iter().find(|(code, _)| *code == tag.0).map(|(_, name)| *name)
    }
    fn tag(&self, name: &str) -> Option<Tag> {
        TAGS.iter().find(|(_, it)| *it == name).map(|(code, _)| Tag(*code))
    }
}

fn request(data: &[u8]) -> Item<'_> {
    let tag = |name| Names.tag(name).unwrap_or(Tag(0x54_0000));
    Item::structure(
        tag("Encrypt"),
        vec![
            Item::new(
                tag("UniqueIdentifier"),
                Value::TextString(Cow::Borrowed("5fd8ee71-7d7a-4f4e-8d4b-6f5dbf3e2a17")),
            ),
            Item::structure(
                tag("CryptographicParameters"),
                vec![
                    Item::new(
                        tag("BlockCipherMode"),
                        Value::Enumeration(Number::Both(9, Cow::Borrowed("GCM"))),
                    ),
                    Item::new(
                        tag("CryptographicAlgorithm"),
                        Value::Enumeration(Number::Both(3, Cow::Borrowed("AES"))),
                    ),
                    Item::new(tag("RandomIV"), Value::Boolean(true)),
                ],
            ),
            Item::new(tag("Data"), Value::ByteString(Cow::Borrowed(data))),
            Item::new(
                tag("AuthenticatedEncryptionAdditionalData"),
                Value::ByteString(Cow::Borrowed(b"0123456789abcdef")),
            ),
        ],
    )
}

/// The best of many rounds: the rest is the machine's noise.
fn best(rounds: u32, per_round: u32, mut work: impl FnMut()) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..rounds {
        let start = Instant::now();
        for _ in 0..per_round {
            work();
        }
        best = best.min(start.elapsed() / per_round);
    }
    best
}

fn measure(what: &str, data: &[u8], per_round: u32) {
    let item = request(data);
    let asked: Vec<String> = std::env::args().skip(1).filter(|it| !it.starts_with("--")).collect();
    for encoding in Encoding::ALL {
        if !asked.is_empty() && !asked.contains(&format!("{encoding:?}")) {
            continue;
        }
        let mut message = Vec::new();
        let encode = |out: &mut Vec<u8>| {
            out.clear();
            encoding.encode(black_box(&item), &Names, Spelling::Recorded, out).is_ok()
        };
        assert!(encode(&mut message), "the request cannot be written");
        let mut out = Vec::with_capacity(message.len());
        let encoding_takes = best(30, per_round, || {
            black_box(encode(&mut out));
        });
        let decode = || {
            let input = black_box(message.as_slice());
            encoding.decode(input, &Names, &Limits::DEFAULT, Unknown::Skip)
        };
        assert!(decode().is_ok(), "the request cannot be read");
        let decoding_takes = best(30, per_round, || {
            black_box(decode().is_ok());
        });
        println!(
            "{what:>6} {:<7} {:>8} bytes   decode {:>8} ns   encode {:>8} ns",
            format!("{encoding:?}"),
            message.len(),
            decoding_takes.as_nanos(),
            encoding_takes.as_nanos(),
        );
    }
}

fn main() {
    measure("64 B", &[0xA5; 64], 10_000);
    measure("4 KiB", &[0xA5; 4 << 10], 1_000);
    measure("1 MiB", &vec![0xA5; 1 << 20], 3);
}
