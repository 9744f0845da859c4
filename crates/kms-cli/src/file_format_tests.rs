//! Tests of the file format: what was written comes back, and nothing else does.

use super::*;

const SIZES: [usize; 7] = [0, 1, 100, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK];

fn header() -> Header {
    Header {
        wrapping: Wrapping::AesGcm,
        key_id: "b3c7".to_owned(),
        nonce: vec![1; 12],
        tag: vec![2; 16],
        wrapped: vec![3; KEY],
    }
}

fn key() -> Secret {
    Secret::new(vec![7; KEY])
}

fn text(size: usize) -> Vec<u8> {
    (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

fn encrypted(plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encrypt(&header(), &key(), &mut &*plain, &mut out, &mut |_| {}).unwrap();
    out
}

fn decrypted(mut file: &[u8]) -> Result<Vec<u8>, Error> {
    let unverified = Unverified::read(&mut file)?;
    let mut out = Vec::new();
    decrypt(&unverified, &key(), &mut file, &mut out, &mut |_| {})?;
    Ok(out)
}

fn header_length() -> usize {
    header().bytes().unwrap().len() + MAC
}

/// The chunks of a file, with their tags.
fn chunks(file: &[u8]) -> Vec<Vec<u8>> {
    file[header_length()..].chunks(CHUNK + TAG).map(<[u8]>::to_vec).collect()
}

fn joined(file: &[u8], chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut out = file[..header_length()].to_vec();
    out.extend(chunks.concat());
    out
}

#[test]
fn what_was_written_comes_back() {
    for size in SIZES {
        let plain = text(size);
        let file = encrypted(&plain);
        let expected = header_length() + size + TAG * size.div_ceil(CHUNK).max(1);
        assert_eq!(file.len(), expected, "{size}");
        assert!(decrypted(&file).unwrap() == plain, "{size}");
    }
}

#[test]
fn small_reads_and_writes_change_nothing() {
    struct Trickle<'a>(&'a [u8]);
    impl Read for Trickle<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let length = buf.len().min(4_099);
            self.0.read(&mut buf[..length])
        }
    }
    let plain = text(CHUNK + 17);
    let mut file = Vec::new();
    encrypt(&header(), &key(), &mut Trickle(&plain), &mut file, &mut |_| {}).unwrap();
    assert!(file == encrypted(&plain));
    let mut from = Trickle(&file);
    let unverified = Unverified::read(&mut from).unwrap();
    let mut out = Vec::new();
    decrypt(&unverified, &key(), &mut from, &mut out, &mut |_| {}).unwrap();
    assert!(out == plain);
}

#[test]
fn every_cut_is_found() {
    for size in [0, 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
        let file = encrypted(&text(size));
        let edges = (0..=file.len() / (CHUNK + TAG) + 1).flat_map(|chunk| {
            let edge = header_length() + chunk * (CHUNK + TAG);
            [
                edge.saturating_sub(TAG),
                edge.saturating_sub(1),
                edge,
                edge + 1,
                edge + TAG,
                edge + TAG + 1,
            ]
        });
        let cuts = (0..header_length() + TAG + 2).chain(edges).filter(|cut| *cut < file.len());
        for cut in cuts {
            assert!(decrypted(&file[..cut]).is_err(), "{size} bytes, cut to {cut}");
        }
    }
}

#[test]
fn a_cut_between_chunks_is_called_one() {
    let file = encrypted(&text(3 * CHUNK));
    let two = joined(&file, &chunks(&file)[..2]);
    assert!(matches!(decrypted(&two), Err(Error::Cut(2))));
}

#[test]
fn chunks_have_their_place() {
    let file = encrypted(&text(3 * CHUNK + 5));
    let parts = chunks(&file);
    for (a, b) in [(0, 1), (1, 2), (0, 3), (2, 3)] {
        let mut swapped = parts.clone();
        swapped.swap(a, b);
        assert!(decrypted(&joined(&file, &swapped)).is_err(), "{a} and {b}");
    }
    let mut without = parts.clone();
    without.remove(1);
    assert!(decrypted(&joined(&file, &without)).is_err());
    let mut twice = parts.clone();
    twice.insert(1, parts[0].clone());
    assert!(decrypted(&joined(&file, &twice)).is_err());
    let mut again = parts.clone();
    again.push(parts[3].clone());
    assert!(decrypted(&joined(&file, &again)).is_err());
}

#[test]
fn what_is_appended_is_found() {
    for size in [0, 1, CHUNK, CHUNK + 1] {
        let file = encrypted(&text(size));
        for more in [vec![0], vec![0; TAG], vec![0; CHUNK + TAG], file.clone()] {
            let long = [file.clone(), more].concat();
            assert!(decrypted(&long).is_err(), "{size}");
        }
    }
}

#[test]
fn every_byte_of_the_header_counts() {
    let file = encrypted(&text(10));
    for at in 0..header_length() {
        for bit in [1, 0x80] {
            let mut altered = file.clone();
            altered[at] ^= bit;
            assert!(decrypted(&altered).is_err(), "byte {at}");
        }
    }
}

#[test]
fn every_byte_of_a_chunk_counts() {
    let file = encrypted(&text(40));
    for at in header_length()..file.len() {
        let mut altered = file.clone();
        altered[at] ^= 0x10;
        assert!(matches!(decrypted(&altered), Err(Error::Altered(0))), "byte {at}");
    }
}

#[test]
fn chunks_of_another_file_do_not_fit() {
    let plain = text(CHUNK + 1);
    let file = encrypted(&plain);
    let mut other = Vec::new();
    let header = Header { key_id: "b3c8".to_owned(), ..header() };
    encrypt(&header, &key(), &mut &*plain, &mut other, &mut |_| {}).unwrap();
    assert!(decrypted(&joined(&file, &chunks(&other))).is_err());
}

#[test]
fn a_marked_last_chunk_cannot_be_a_middle_one() {
    let one = encrypted(&text(CHUNK));
    let two = encrypted(&text(2 * CHUNK));
    let mixed = [chunks(&one)[0].clone(), chunks(&two)[1].clone()];
    assert!(decrypted(&joined(&one, &mixed)).is_err());
}

#[test]
fn an_empty_last_chunk_belongs_to_an_empty_file_only() {
    let file = encrypted(&text(CHUNK));
    let keys = Keys::derive(&key(), &header().bytes().unwrap()).unwrap();
    let mut first = text(CHUNK);
    keys.payload.seal(0, false, &mut first).unwrap();
    let mut last = Vec::new();
    keys.payload.seal(1, true, &mut last).unwrap();
    assert!(matches!(decrypted(&joined(&file, &[first, last])), Err(Error::Altered(1))));
}

#[test]
fn another_key_opens_nothing() {
    let file = encrypted(b"text");
    let mut from = &*file;
    let unverified = Unverified::read(&mut from).unwrap();
    let other = Secret::new(vec![8; KEY]);
    let mut out = Vec::new();
    let result = decrypt(&unverified, &other, &mut from, &mut out, &mut |_| {});
    assert!(matches!(result, Err(Error::HeaderAltered)));
    assert!(out.is_empty());
}

#[test]
fn other_files_are_told_apart() {
    assert!(matches!(decrypted(b""), Err(Error::NotOurs)));
    assert!(matches!(decrypted(b"hello, this is a text"), Err(Error::NotOurs)));
    let mut later = encrypted(b"");
    later[4] = 2;
    assert!(matches!(decrypted(&later), Err(Error::Version(2))));
}

#[test]
fn nothing_is_given_out_of_a_chunk_that_is_wrong() {
    let mut file = encrypted(&text(2 * CHUNK));
    let at = header_length() + CHUNK + TAG + 9;
    file[at] ^= 1;
    let mut from = &*file;
    let unverified = Unverified::read(&mut from).unwrap();
    let mut out = Vec::new();
    let result = decrypt(&unverified, &key(), &mut from, &mut out, &mut |_| {});
    assert!(matches!(result, Err(Error::Altered(1))));
    assert!(out == text(CHUNK), "exactly the chunk that was right");
}

#[test]
fn memory_is_two_chunks_whatever_the_size() {
    /// Endless zeros, and a sink that keeps nothing: only buffers inside can grow.
    struct Widest(usize);
    impl Write for Widest {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.0 = self.0.max(buf.len());
            Ok(buf.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut widest = Widest(0);
    let mut seen = 0;
    let mut from = io::repeat(0).take(24 << 20);
    encrypt(&header(), &key(), &mut from, &mut widest, &mut |bytes| seen += bytes).unwrap();
    assert_eq!(widest.0, CHUNK + TAG);
    assert_eq!(seen, 24 << 20);
}

#[test]
fn a_file_of_version_1_stays_readable() {
    // Written once by this code; it must be read by every later version of it.
    let file = encrypted(b"abc");
    assert_eq!(hex::encode(file), include_str!("../tests/golden/version-1.kms.hex").trim());
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]

    #[test]
    fn any_text_comes_back(plain in proptest::collection::vec(proptest::num::u8::ANY, 0..5_000)) {
        proptest::prop_assert_eq!(decrypted(&encrypted(&plain)).unwrap(), plain);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        proptest::prop_assert!(decrypted(&bytes).is_err());
        let ours = [&MAGIC[..], &[VERSION, 1, CHUNK_LOG2, 0], &bytes].concat();
        proptest::prop_assert!(decrypted(&ours).is_err());
    }

    #[test]
    fn any_altered_bit_is_found(at in 0_usize..400, bit in 0_u8..8) {
        let mut file = encrypted(&text(300));
        let at = at % file.len();
        file[at] ^= 1 << bit;
        proptest::prop_assert!(decrypted(&file).is_err());
    }
}
