//! A fuzzer's work on stable Rust: mutations of valid messages and keys through every promise of
//! `fuzz/`, for a given time. The same mutations come in every run.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use kms_crypto::asymmetric::ec::{self, Curve};
use kms_crypto::asymmetric::rsa;
use kms_crypto::format::{PrivateFormat, PrivateKey, PublicFormat};
use ttlv::{Encoding, Limits, Unknown};

use crate::{Result, promises};

/// Valid messages of several versions, in XML, from which all inputs descend.
const MESSAGES: &[&str] = &[
    r#"<RequestMessage><RequestHeader><ProtocolVersion><ProtocolVersionMajor type="Integer" value="1"/><ProtocolVersionMinor type="Integer" value="2"/></ProtocolVersion><MaximumResponseSize type="Integer" value="4096"/><BatchErrorContinuationOption type="Enumeration" value="Undo"/><BatchCount type="Integer" value="2"/></RequestHeader><BatchItem><Operation type="Enumeration" value="Create"/><UniqueBatchItemID type="ByteString" value="01"/><RequestPayload><ObjectType type="Enumeration" value="SymmetricKey"/><TemplateAttribute><Attribute><AttributeName type="TextString" value="Cryptographic Algorithm"/><AttributeValue type="Enumeration" value="AES"/></Attribute><Attribute><AttributeName type="TextString" value="Cryptographic Usage Mask"/><AttributeValue type="Integer" value="Encrypt Decrypt"/></Attribute><Attribute><AttributeName type="TextString" value="Activation Date"/><AttributeValue type="DateTime" value="2024-01-01T00:00:00+00:00"/></Attribute></TemplateAttribute></RequestPayload></BatchItem><BatchItem><Operation type="Enumeration" value="GetAttributes"/><UniqueBatchItemID type="ByteString" value="02"/><RequestPayload><AttributeName type="TextString" value="State"/></RequestPayload></BatchItem></RequestMessage>"#,
    r#"<RequestMessage><RequestHeader><ProtocolVersion><ProtocolVersionMajor type="Integer" value="2"/><ProtocolVersionMinor type="Integer" value="1"/></ProtocolVersion><ClientCorrelationValue type="TextString" value="c-1"/><BatchCount type="Integer" value="1"/></RequestHeader><BatchItem><Operation type="Enumeration" value="Register"/><RequestPayload><ObjectType type="Enumeration" value="SymmetricKey"/><Attributes><Name><NameValue type="TextString" value="é"/><NameType type="Enumeration" value="UninterpretedTextString"/></Name><CryptographicUsageMask type="Integer" value="Encrypt"/><Attribute><VendorIdentification type="TextString" value="x"/><AttributeName type="TextString" value="y"/><AttributeValue type="LongInteger" value="-7"/></Attribute></Attributes><SymmetricKey><KeyBlock><KeyFormatType type="Enumeration" value="Raw"/><KeyValue><KeyMaterial type="ByteString" value="0123456789abcdef0123456789abcdef"/></KeyValue><CryptographicAlgorithm type="Enumeration" value="AES"/><CryptographicLength type="Integer" value="128"/></KeyBlock></SymmetricKey></RequestPayload></BatchItem></RequestMessage>"#,
    r#"<ResponseMessage><ResponseHeader><ProtocolVersion><ProtocolVersionMajor type="Integer" value="2"/><ProtocolVersionMinor type="Integer" value="0"/></ProtocolVersion><TimeStamp type="DateTime" value="2024-01-01T00:00:00+00:00"/><BatchCount type="Integer" value="1"/></ResponseHeader><BatchItem><Operation type="Enumeration" value="Encrypt"/><ResultStatus type="Enumeration" value="Success"/><ResponsePayload><UniqueIdentifier type="TextString" value="a"/><Data type="ByteString" value="00ff"/><IVCounterNonce type="ByteString" value="000102030405060708090a0b"/></ResponsePayload></BatchItem></ResponseMessage>"#,
    r#"<Locate><MaximumItems type="Integer" value="3"/><Attributes><State type="Enumeration" value="Active"/><LeaseTime type="Interval" value="60"/><Sensitive type="Boolean" value="true"/><InitialDate type="DateTime" value="2024-01-01T00:00:00+00:00"/></Attributes></Locate>"#,
];

/// What is put in, here and there.
const WORDS: &[&[u8]] = &[
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x00",
    b"\x7f\xff\xff\xff",
    b"\x80\x00\x00\x00",
    b"\x42\x00\x0f\x01\x00\x00\x00\x08",
    b"\"tag\":\"",
    b"\"value\":[",
    b"\\u0000",
    b"\\ud800",
    b"]}",
    b"0x",
    b"1e999",
    b"&#x0;",
    b"<!--",
    b"</",
    b"\" type=\"BigInteger\"",
    b"\x30\x80",
    b"\x02\x01\x00",
    b"\x04\x82\xff\xff",
];

pub(crate) fn task(arguments: &[String]) -> Result<bool> {
    let seconds: u64 = crate::option(arguments, "--seconds").unwrap_or("60").parse()?;
    let promises = promises::PROMISES;
    let slice = Duration::from_secs(seconds) / u32::try_from(promises.len())?;
    let messages = messages()?;
    let keys = keys()?;
    let mut kept = true;
    for (name, promise) in promises {
        let seeds = if *name == "key_formats" { &keys } else { &messages };
        kept &= hold(name, *promise, seeds, slice);
    }
    Ok(kept)
}

/// Calls `promise` with mutations for as long as `slice`; whether it was kept.
fn hold(name: &str, promise: promises::Promise, seeds: &[Vec<u8>], slice: Duration) -> bool {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let begun = Instant::now();
    let mut inputs = 0_u64;
    while begun.elapsed() < slice {
        let mut input = random.pick(seeds).cloned().unwrap_or_default();
        for _ in 0..random.below(6) {
            mutate(&mut input, seeds, &mut random);
        }
        let called = Instant::now();
        let kept = catch_unwind(AssertUnwindSafe(|| promise(&input))).is_ok();
        if !kept || called.elapsed() > Duration::from_secs(5) {
            println!("{name}: broken after {inputs} inputs, in {:?}, by:", called.elapsed());
            println!("{}", String::from_utf8_lossy(&input).escape_debug());
            println!("which in bytes is {input:02x?}");
            return false;
        }
        inputs += 1;
    }
    println!("{name}: {inputs} inputs in {:.0} s", begun.elapsed().as_secs_f64());
    true
}

fn mutate(input: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) {
    let at = random.below(input.len() + 1);
    let end = (at + random.below(32)).min(input.len());
    match random.below(7) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = random.byte();
            }
        }
        2 => drop(input.drain(at..end)),
        3 => input.truncate(at),
        4 => {
            let copy = input.get(at..end).unwrap_or_default().to_vec();
            input.splice(at..at, copy);
        }
        5 => {
            let word = random.pick(WORDS).copied().unwrap_or_default();
            // Over what is there, or between.
            let until = if random.below(2) == 0 { at } else { (at + word.len()).min(input.len()) };
            input.splice(at..until, word.iter().copied());
        }
        _ => {
            // The rest of another.
            let other = random.pick(seeds).cloned().unwrap_or_default();
            let from = random.below(other.len() + 1);
            input.truncate(at);
            input.extend_from_slice(other.get(from..).unwrap_or_default());
        }
    }
    input.truncate(1 << 16);
}

/// Every message in every encoding, as it is and after a byte that chooses encoding and version.
fn messages() -> Result<Vec<Vec<u8>>> {
    let mut seeds = Vec::new();
    for text in MESSAGES {
        let names = kmip::tag::Names;
        let limits = Limits::DEFAULT;
        let item = Encoding::Xml.decode(text.as_bytes(), &names, &limits, Unknown::Refuse)?;
        seeds.push(text.as_bytes().to_vec());
        // Binary holds no names: the types know the codes.
        let Ok(message) = kmip::message::read(item) else { continue };
        let item = kmip::message::write_request(&message, message.header.version())?;
        for encoding in Encoding::ALL {
            seeds.extend(promises::write(encoding, &item));
        }
    }
    let chosen: Vec<Vec<u8>> = seeds
        .iter()
        .zip((0..24).cycle())
        .map(|(seed, number)| {
            let mut chosen = vec![number];
            chosen.extend_from_slice(seed);
            chosen
        })
        .collect();
    seeds.extend(chosen);
    Ok(seeds)
}

/// A key of every kind in every form it has.
fn keys() -> Result<Vec<Vec<u8>>> {
    let rsa = rsa::generate(2048)?;
    let mut keys = vec![
        PrivateKey::parse(PrivateFormat::Pkcs8, rsa.expose())
            .or_else(|_not_pkcs8| PrivateKey::parse(PrivateFormat::Pkcs1, rsa.expose()))?,
    ];
    for curve in Curve::ALL {
        keys.push(PrivateKey::from_pair(ec::generate(*curve)?));
    }
    let mut seeds = Vec::new();
    for key in keys {
        for format in [PrivateFormat::Pkcs1, PrivateFormat::Pkcs8, PrivateFormat::Sec1] {
            seeds.extend(key.encode(format).map(|secret| secret.expose().to_vec()));
        }
        for format in [PublicFormat::Pkcs1, PublicFormat::Spki] {
            seeds.extend(key.public().encode(format));
        }
    }
    Ok(seeds)
}

/// Numbers that look random and are the same in every run (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn byte(&mut self) -> u8 {
        let [byte, ..] = self.next().to_be_bytes();
        byte
    }

    fn below(&mut self, limit: usize) -> usize {
        let [.., c, b, a] = self.next().to_be_bytes();
        let number = (usize::from(c) << 16) | (usize::from(b) << 8) | usize::from(a);
        number.checked_rem(limit).unwrap_or_default()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }
}
