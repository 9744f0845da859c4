//! The promises that are fuzzed, each a function of any bytes that panics where it is broken.
//!
//! The fuzzer's targets call them with what it finds out; the smoke run in the tests calls them
//! with mutations of valid input, on stable Rust and without a fuzzer.

use kms_crypto::format::{PrivateFormat, PrivateKey, PublicFormat, PublicKey};
use kms_crypto::format::{certificate::Certificate, pem};
use ttlv::{Encoding, Item, Limits, Number, Spelling, Unknown, Value};

/// A promise: it panics where it is broken.
pub type Promise = fn(&[u8]);

/// Every promise by the name of its target.
pub const PROMISES: &[(&str, Promise)] = &[
    ("ttlv_binary", ttlv_binary),
    ("ttlv_json", ttlv_json),
    ("ttlv_xml", ttlv_xml),
    ("encodings_agree", encodings_agree),
    ("message_read", message_read),
    ("key_formats", key_formats),
];

/// Small, so that the fuzzer meets the limits.
const LIMITS: Limits = Limits { bytes: 1 << 16, depth: 32, items: 1 << 10 };

/// Any bytes through the binary codec.
pub fn ttlv_binary(bytes: &[u8]) {
    codec_is_stable(Encoding::Binary, bytes);
}

/// Any bytes through the JSON codec.
pub fn ttlv_json(bytes: &[u8]) {
    codec_is_stable(Encoding::Json, bytes);
}

/// Any bytes through the XML codec.
pub fn ttlv_xml(bytes: &[u8]) {
    codec_is_stable(Encoding::Xml, bytes);
}

/// Whatever is read keeps the limits, can be written, and is then read and written unchanged.
fn codec_is_stable(encoding: Encoding, bytes: &[u8]) {
    let Some(item) = read(encoding, bytes, &LIMITS) else { return };
    let (items, depth) = measure(&item);
    assert!(items <= LIMITS.items && depth <= LIMITS.depth, "beyond the limits");
    let once = write(encoding, &item).expect("what was read can be written");
    let again = read(encoding, &once, &Limits::DEFAULT).expect("what was written can be read");
    let twice = write(encoding, &again).expect("and written again");
    assert!(once == twice, "the second writing differs from the first");
}

/// A tree that came in binary is the same tree after JSON and after XML.
pub fn encodings_agree(bytes: &[u8]) {
    let Some(item) = read(Encoding::Binary, bytes, &LIMITS) else { return };
    let binary = write(Encoding::Binary, &item).expect("codes can be written");
    assert!(binary == bytes, "an item has one spelling in binary");
    let json = write(Encoding::Json, &item).expect("JSON holds every text");
    assert_eq!(read(Encoding::Json, &json, &Limits::DEFAULT).as_ref(), Some(&item));
    // XML cannot hold control characters.
    if let Some(xml) = write(Encoding::Xml, &item) {
        assert_eq!(read(Encoding::Xml, &xml, &Limits::DEFAULT).as_ref(), Some(&item));
    }
}

/// Any bytes as a message of any version: the first byte chooses encoding and version.
pub fn message_read(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let choice = usize::from(*choice);
    let encoding = Encoding::ALL[choice % Encoding::ALL.len()];
    let Some(mut item) = read(encoding, bytes, &LIMITS) else { return };
    if let Some(version) = kmip::Version::ALL.get(choice / Encoding::ALL.len()) {
        speak(&mut item, *version);
    }
    drop(kmip::message::read_bare(item.clone()));
    drop(kmip::message::read(item.clone()));
    drop(kmip::message::read_response(item));
}

/// Puts `version` in place of the header's, so that every version meets every message.
fn speak(message: &mut Item<'_>, version: kmip::Version) {
    let Value::Structure(parts) = &mut message.value else { return };
    let Some(Item { value: Value::Structure(header), .. }) = parts.first_mut() else { return };
    let Some(Item { value: Value::Structure(numbers), .. }) = header.first_mut() else { return };
    for (item, number) in numbers.iter_mut().zip([version.major, version.minor]) {
        item.value = Value::Integer(Number::Code(u32::from(number)));
    }
}

const PRIVATE: [PrivateFormat; 3] =
    [PrivateFormat::Pkcs1, PrivateFormat::Pkcs8, PrivateFormat::Sec1];
const PUBLIC: [PublicFormat; 2] = [PublicFormat::Pkcs1, PublicFormat::Spki];

/// Any bytes as a key or a certificate; what was read as a key is written in every form it has.
pub fn key_formats(bytes: &[u8]) {
    for format in PRIVATE {
        if let Ok(key) = PrivateKey::parse(format, bytes) {
            public(&key.public());
            for other in PRIVATE {
                let Ok(written) = key.encode(other) else { continue };
                assert!(PrivateKey::parse(other, written.expose()).is_ok(), "{other:?}");
            }
        }
    }
    for format in PUBLIC {
        if let Ok(key) = PublicKey::parse(format, bytes) {
            public(&key);
        }
    }
    drop(Certificate::parse(bytes));
    if let Ok((kind, der)) = pem::decode(bytes) {
        assert!(pem::decode(pem::encode(kind, der.expose()).expose()).is_ok());
    }
}

fn public(key: &PublicKey) {
    for format in PUBLIC {
        let Ok(written) = key.encode(format) else { continue };
        assert!(PublicKey::parse(format, &written).ok().as_ref() == Some(key), "{format:?}");
    }
}

/// `item` in `encoding`, or nothing where the encoding cannot hold it.
pub fn write(encoding: Encoding, item: &Item<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    encoding.encode(item, &kmip::tag::Names, Spelling::Profile, &mut out).ok()?;
    Some(out)
}

/// The tree in `bytes`, whatever its tags are.
fn read<'a>(encoding: Encoding, bytes: &'a [u8], limits: &Limits) -> Option<Item<'a>> {
    encoding.decode(bytes, &kmip::tag::Names, limits, Unknown::Skip).ok()
}

fn measure(item: &Item<'_>) -> (usize, usize) {
    item.children()
        .iter()
        .map(measure)
        .fold((1, 1), |(items, depth), (more, deeper)| (items + more, depth.max(deeper + 1)))
}
