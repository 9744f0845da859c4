//! Archives as they are written and read, and every way to break one.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop")]

use kms_archive::{Error, HEADER_LENGTH, Key, Reader, Writer};
use kms_crypto::Secret;

const ITEMS: [&[u8]; 5] = [b"", b"one", &[7; 300], b"one", b"the last"];

fn key(byte: u8) -> Key {
    Key::file(Secret::new(vec![byte; 32])).unwrap()
}

fn passphrase(text: &str) -> Key {
    Key::Passphrase(Secret::new(text.as_bytes().to_vec()))
}

fn written(key: &Key, items: &[&[u8]]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), key).unwrap();
    let (last, items) = items.split_last().unwrap();
    for item in items {
        writer.add(item).unwrap();
    }
    writer.finish(last).unwrap()
}

fn read(bytes: &[u8], key: &Key) -> Result<Vec<Vec<u8>>, Error> {
    let mut reader = Reader::new(bytes, key)?;
    let mut items = Vec::new();
    let mut ended = false;
    while let Some(frame) = reader.next_frame()? {
        assert!(!ended);
        ended = frame.last;
        items.push(frame.item.expose().to_vec());
    }
    assert!(ended && reader.bytes() == bytes.len() as u64);
    Ok(items)
}

/// Where each frame begins, and where the last one ends.
fn frames(bytes: &[u8]) -> Vec<usize> {
    let mut places = vec![HEADER_LENGTH];
    while let Some(length) = bytes[places[places.len() - 1]..].first_chunk() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap();
        places.push(places[places.len() - 1] + 4 + length);
    }
    places
}

#[test]
fn what_was_written_is_read() {
    for key in [key(1), passphrase("correct horse battery")] {
        let bytes = written(&key, &ITEMS);
        assert_eq!(read(&bytes, &key).unwrap(), ITEMS);
        assert!(!bytes.windows(5).any(|part| part == [7; 5]));
    }
    let one = written(&key(1), &[b""]);
    assert_eq!(read(&one, &key(1)).unwrap(), [b""]);
    // Nothing is the same twice.
    assert_ne!(one, written(&key(1), &[b""]));
}

#[test]
fn another_key_does_not_open_it() {
    let bytes = written(&key(1), &ITEMS);
    assert!(matches!(read(&bytes, &key(2)), Err(Error::WrongKey)));
    assert!(matches!(read(&bytes, &passphrase("a")), Err(Error::OtherKey("key"))));
    let bytes = written(&passphrase("a"), &ITEMS);
    assert!(matches!(read(&bytes, &passphrase("b")), Err(Error::WrongKey)));
    assert!(matches!(read(&bytes, &key(1)), Err(Error::OtherKey("passphrase"))));
    assert!(Key::file(Secret::new(vec![1; 31])).is_none());
}

#[test]
fn no_bit_can_be_changed() {
    let bytes = written(&key(1), &ITEMS);
    for at in 0..bytes.len() {
        for bit in [0, 7] {
            let mut altered = bytes.clone();
            altered[at] ^= 1 << bit;
            let error = read(&altered, &key(1)).unwrap_err();
            let expected = if at < HEADER_LENGTH {
                matches!(
                    error,
                    Error::Foreign | Error::Newer(_) | Error::OtherKey(_) | Error::WrongKey
                )
            } else {
                matches!(error, Error::Altered(_) | Error::Cut(_))
            };
            assert!(expected, "byte {at}: {error}");
        }
    }
}

#[test]
fn it_cannot_be_cut_or_lengthened() {
    let bytes = written(&key(1), &ITEMS);
    for length in 0..bytes.len() {
        let error = read(&bytes[..length], &key(1)).unwrap_err();
        let cut = matches!(error, Error::Cut(_));
        assert!(cut || length < HEADER_LENGTH && matches!(error, Error::Foreign), "{length}");
    }
    let longer = [bytes.as_slice(), b"x"].concat();
    assert!(matches!(read(&longer, &key(1)), Err(Error::Appended(4))));
}

#[test]
fn frames_keep_their_places() {
    let one = written(&key(1), &ITEMS);
    let other = written(&key(1), &ITEMS);
    let (places, others) = (frames(&one), frames(&other));
    assert_eq!(places.len(), ITEMS.len() + 1);
    let frame = |bytes: &[u8], places: &[usize], n: usize| bytes[places[n]..places[n + 1]].to_vec();
    let own: Vec<_> = (0..ITEMS.len()).map(|n| frame(&one, &places, n)).collect();
    let foreign: Vec<_> = (0..ITEMS.len()).map(|n| frame(&other, &others, n)).collect();
    let check = |what: &str, frames: Vec<&[u8]>| {
        let bytes = [&one[..HEADER_LENGTH], &frames.concat()].concat();
        let error = read(&bytes, &key(1)).err();
        let error = error.unwrap_or_else(|| unreachable!("{what}"));
        assert!(matches!(error, Error::Altered(_) | Error::Appended(_)), "{what}: {error}");
    };
    let all = || own.iter().map(Vec::as_slice).collect::<Vec<_>>();
    for a in 0..ITEMS.len() {
        let mut without = all();
        without.remove(a);
        if a + 1 < ITEMS.len() {
            check(&format!("without {a}"), without);
        }
        let mut twice = all();
        twice.insert(a, &own[a]);
        check(&format!("{a} twice"), twice);
        let mut spliced = all();
        spliced[a] = &foreign[a];
        check(&format!("{a} of another archive"), spliced);
        for b in 0..a {
            let mut swapped = all();
            swapped.swap(a, b);
            check(&format!("{a} and {b} swapped"), swapped);
        }
    }
    // Another header with these frames.
    let bytes = [&other[..HEADER_LENGTH], &one[HEADER_LENGTH..]].concat();
    assert!(matches!(read(&bytes, &key(1)), Err(Error::Altered(0))));
    // What ends one archive does not end another earlier.
    let mut early = all();
    early[2] = &own[4];
    check("ended early", early[..3].to_vec());
}

#[test]
fn a_promised_length_takes_no_memory() {
    let mut bytes = written(&key(1), &ITEMS);
    bytes.truncate(HEADER_LENGTH);
    for (length, cut) in
        [(0_u32, false), (27, false), (28, true), (100 << 20, true), (u32::MAX, false)]
    {
        let bytes = [bytes.as_slice(), &length.to_be_bytes()].concat();
        let error = read(&bytes, &key(1)).unwrap_err();
        assert_eq!(matches!(error, Error::Cut(0)), cut, "{length}: {error}");
        assert_eq!(matches!(error, Error::Altered(0)), !cut, "{length}: {error}");
    }
}

#[test]
fn a_ruinous_cost_is_refused_before_it_is_paid() {
    let mut bytes = written(&passphrase("a"), &ITEMS);
    // The memory that the passphrase is to be stretched in.
    bytes[29..33].copy_from_slice(&u32::MAX.to_be_bytes());
    assert!(matches!(read(&bytes, &passphrase("a")), Err(Error::Crypto(_))));
}

#[test]
fn two_readings_of_one_file_amount_to_the_same() {
    let bytes = written(&key(1), &ITEMS);
    let digest = |bytes: &[u8]| {
        let mut reader = Reader::new(bytes, &key(1)).unwrap();
        while reader.next_frame().unwrap().is_some() {}
        reader.digest()
    };
    assert_eq!(digest(&bytes), digest(&bytes));
    assert_ne!(digest(&bytes), digest(&written(&key(1), &ITEMS)));
}

proptest::proptest! {
    #[test]
    fn anything_is_read_without_a_panic(bytes: Vec<u8>, header: bool) {
        let mut all = if header { written(&key(1), &[b""]) } else { Vec::new() };
        all.truncate(HEADER_LENGTH);
        all.extend(bytes);
        proptest::prop_assert!(read(&all, &key(1)).is_err());
    }
}
