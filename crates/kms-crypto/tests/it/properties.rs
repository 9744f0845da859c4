//! What holds for every cipher: decryption undoes encryption at every length and in every cut, a
//! change is noticed, and what is not allowed is refused.

use kms_crypto::symmetric::{
    AES_CBC, AES_CBC_PKCS5, AES_CTR, AES_ECB, AES_ECB_PKCS5, AES_GCM, AES_GCM_SIV, AES_XTS,
    CHACHA20, CHACHA20_POLY1305, Cipher, IvRule, Params,
};
use kms_crypto::{Error, Secret, random, seal::SealKey, wrap};
use proptest::prelude::*;

const ALL: [&dyn Cipher; 10] = [
    AES_GCM,
    AES_GCM_SIV,
    AES_CBC,
    AES_CBC_PKCS5,
    AES_CTR,
    AES_ECB,
    AES_ECB_PKCS5,
    AES_XTS,
    CHACHA20,
    CHACHA20_POLY1305,
];

fn fits(cipher: &dyn Cipher, length: usize) -> bool {
    length.is_multiple_of(cipher.block()) && (cipher.name() != "AES-XTS" || length >= 16)
}

fn lengths(rule: IvRule) -> Vec<usize> {
    match rule {
        IvRule::None => vec![0],
        IvRule::Exact(exact) => vec![exact],
        IvRule::Range { .. } => vec![1, 8, 12, 13, 16, 60, 128],
        IvRule::OneOf(lengths) => lengths.to_vec(),
    }
}

#[test]
fn decryption_undoes_encryption() {
    for cipher in ALL {
        for key_length in cipher.key_lengths() {
            for iv_length in lengths(cipher.iv()) {
                let key = random::secret(*key_length).unwrap();
                let iv = random::secret(iv_length).unwrap();
                let params = Params::with_iv(iv.expose());
                for length in (0..=64).filter(|length| fits(cipher, *length)) {
                    let data = random::secret(length).unwrap();
                    let sealed =
                        cipher.encrypt(key.expose(), &params, data.expose().to_vec()).unwrap();
                    assert_eq!(sealed.tag.len(), cipher.tag().map_or(0, |rule| rule.default));
                    let opened =
                        cipher.decrypt(key.expose(), &params, sealed.data, &sealed.tag).unwrap();
                    assert!(data.matches(&opened), "{} of {length} bytes", cipher.name());
                }
            }
        }
    }
}

/// Cuts a text into parts at the places given.
fn cut<'a>(text: &'a [u8], places: &[usize]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place % (text.len() + 1)).collect();
    places.sort_unstable();
    places.push(text.len());
    let mut start = 0;
    let mut parts = Vec::new();
    for place in places {
        parts.push(&text[start..place]);
        start = place;
    }
    parts
}

proptest! {
    #[test]
    fn parts_give_what_the_whole_gives(
        text in proptest::collection::vec(any::<u8>(), 0..400),
        places in proptest::collection::vec(any::<usize>(), 0..6),
        aad in proptest::collection::vec(any::<u8>(), 0..40),
        chosen in 0..ALL.len(),
    ) {
        let cipher = ALL[chosen];
        let mut text = text;
        text.truncate(text.len() - text.len() % cipher.block());
        prop_assume!(cipher.name() != "AES-XTS");
        let key = random::secret(*cipher.key_lengths().last().unwrap()).unwrap();
        let iv = random::secret(cipher.iv().default_length()).unwrap();
        let aad = if cipher.tag().is_some() { &aad[..] } else { &[] };
        let params = Params { iv: iv.expose(), aad, ..Params::default() };
        let sealed = cipher.encrypt(key.expose(), &params, text.clone()).unwrap();

        let mut stream = cipher.encryptor(key.expose(), &params, 400).unwrap();
        let mut output = b"before".to_vec();
        for part in cut(&text, &places) {
            stream.update(part, &mut output).unwrap();
        }
        let tag = stream.finish(&[], &mut output).unwrap();
        prop_assert_eq!(&output[6..], &sealed.data);
        prop_assert_eq!(&*tag, &*sealed.tag);

        let mut stream = cipher.decryptor(key.expose(), &params, 400).unwrap();
        let mut output = b"before".to_vec();
        for part in cut(&sealed.data, &places) {
            stream.update(part, &mut output).unwrap();
        }
        stream.finish(&tag, &mut output).unwrap();
        prop_assert_eq!(&output[6..], text);
    }

    #[test]
    fn a_changed_bit_is_noticed(
        text in proptest::collection::vec(any::<u8>(), 0..100),
        place in any::<usize>(),
        bit in 0..8,
    ) {
        for cipher in ALL.into_iter().filter(|cipher| cipher.tag().is_some()) {
            let key = random::secret(32).unwrap();
            let iv = random::secret(12).unwrap();
            let params = Params { iv: iv.expose(), aad: b"bound", ..Params::default() };
            let sealed = cipher.encrypt(key.expose(), &params, text.clone()).unwrap();
            let mut all = [&sealed.data[..], &sealed.tag[..]].concat();
            let place = place % all.len();
            all[place] ^= 1_u8 << bit;
            let (data, tag) = all.split_at(text.len());
            let opened = cipher.decrypt(key.expose(), &params, data.to_vec(), tag);
            prop_assert_eq!(opened, Err(Error::Authentication));
            let other = Params { aad: b"other", ..params };
            let opened = cipher.decrypt(key.expose(), &other, sealed.data, &sealed.tag);
            prop_assert_eq!(opened, Err(Error::Authentication));
        }
    }

    #[test]
    fn sealing(text in proptest::collection::vec(any::<u8>(), 0..300), place in any::<usize>()) {
        let key = SealKey::new(&random::bytes().unwrap()).unwrap();
        let sealed = key.seal(b"row", &text).unwrap();
        prop_assert_eq!(sealed.len(), text.len() + kms_crypto::seal::OVERHEAD);
        prop_assert!(key.open(b"row", &sealed).unwrap().matches(&text));
        prop_assert!(key.open(b"other", &sealed).is_err());
        prop_assert_ne!(&sealed, &key.seal(b"row", &text).unwrap());
        let mut changed = sealed.clone();
        changed[place % sealed.len()] ^= 1;
        prop_assert!(key.open(b"row", &changed).is_err());
        prop_assert!(key.open(b"row", &sealed[..place % sealed.len()]).is_err());
    }

    #[test]
    fn key_wrapping(
        key in proptest::collection::vec(any::<u8>(), 1..200),
        place in any::<usize>(),
        size in prop::sample::select(vec![16_usize, 24, 32]),
    ) {
        let kek = random::secret(size).unwrap();
        let wrapped = wrap::aes_kwp_wrap(kek.expose(), &key).unwrap();
        prop_assert!(wrap::aes_kwp_unwrap(kek.expose(), &wrapped).unwrap().matches(&key));
        let mut changed = wrapped.clone();
        changed[place % wrapped.len()] ^= 1;
        prop_assert_eq!(
            wrap::aes_kwp_unwrap(kek.expose(), &changed).err(),
            Some(Error::Decryption)
        );
        let plain = wrap::aes_kw_wrap(kek.expose(), &key);
        if key.len() >= 16 && key.len() % 8 == 0 {
            prop_assert!(wrap::aes_kw_unwrap(kek.expose(), &plain.unwrap()).unwrap().matches(&key));
        } else {
            prop_assert!(plain.is_err());
        }
    }
}

#[test]
fn what_is_not_allowed_is_refused() {
    let key = [7; 32];
    let iv = [9; 12];
    let with_tag =
        |tag_length| Params { iv: &iv, tag_length: Some(tag_length), ..Params::default() };
    for length in [0, 1, 4, 8, 11, 17, 32] {
        let sealed = AES_GCM.encrypt(&key, &with_tag(length), vec![1]);
        assert_eq!(sealed.err(), Some(Error::BadParameter("the length of the authentication tag")));
        let opened = AES_GCM.decrypt(&key, &Params::with_iv(&iv), vec![1], &vec![0; length]);
        assert_eq!(opened.err(), Some(Error::BadParameter("the length of the authentication tag")));
    }
    for length in [0, 129] {
        assert!(AES_GCM.encrypt(&key, &Params::with_iv(&vec![0; length]), vec![]).is_err());
    }
    for cipher in ALL {
        for length in [0, 1, 15, 17, 33, 63, 65] {
            let sealed = cipher.encrypt(&vec![1; length], &Params::default(), vec![0; 32]);
            assert!(matches!(sealed.err(), Some(Error::BadKey(_))), "{}", cipher.name());
        }
        if cipher.tag().is_none() {
            let key = random::secret(cipher.key_lengths()[0]).unwrap();
            let iv = vec![0; cipher.iv().default_length()];
            let params = Params { iv: &iv, aad: b"no", ..Params::default() };
            assert!(cipher.encrypt(key.expose(), &params, vec![0; 32]).is_err());
        }
    }
    let short_xts = AES_XTS.encrypt(&key, &Params::with_iv(&[0; 16]), vec![0; 32]);
    assert!(matches!(short_xts.err(), Some(Error::Unsupported(_))));
    let equal_halves = AES_XTS.encrypt(&[3; 64], &Params::with_iv(&[0; 16]), vec![0; 32]);
    assert!(equal_halves.is_err());
    for length in [1, 15, 17] {
        assert!(AES_ECB.encrypt(&key, &Params::default(), vec![0; length]).is_err());
        assert!(AES_CBC.decrypt(&key, &Params::with_iv(&[0; 16]), vec![0; length], &[]).is_err());
    }
    let last = Params { iv: &iv, counter: u32::MAX, ..Params::default() };
    assert!(CHACHA20.encrypt(&key, &last, vec![0; 64]).is_ok());
    assert!(CHACHA20.encrypt(&key, &last, vec![0; 65]).is_err());
}

#[test]
fn a_stream_that_must_hold_is_bounded() {
    let params = Params::with_iv(&[1; 12]);
    for cipher in [AES_GCM, AES_GCM_SIV, CHACHA20_POLY1305] {
        let mut stream = cipher.decryptor(&[2; 32], &params, 100).unwrap();
        let mut output = Vec::new();
        stream.update(&[0; 60], &mut output).unwrap();
        assert_eq!(stream.update(&[0; 41], &mut output), Err(Error::TooLarge { limit: 100 }));
        assert!(output.is_empty());
    }
}

#[test]
fn a_part_of_a_block_at_the_end_is_refused() {
    let mut output = Vec::new();
    let mut stream = AES_ECB.encryptor(&[2; 32], &Params::default(), 0).unwrap();
    stream.update(&[0; 17], &mut output).unwrap();
    assert!(stream.finish(&[], &mut output).is_err());
    for cipher in [AES_ECB, AES_ECB_PKCS5] {
        let mut stream = cipher.decryptor(&[2; 32], &Params::default(), 0).unwrap();
        stream.update(&[0; 17], &mut output).unwrap();
        assert_eq!(stream.finish(&[], &mut output).err(), Some(Error::Decryption));
    }
    let stream = AES_ECB_PKCS5.decryptor(&[2; 32], &Params::default(), 0).unwrap();
    assert_eq!(stream.finish(&[], &mut output).err(), Some(Error::Decryption));
}

#[test]
fn secrets_compare_by_their_bytes() {
    let secret = Secret::new(vec![1, 2, 3]);
    assert!(secret.matches(&[1, 2, 3]));
    assert!(!secret.matches(&[1, 2]) && !secret.matches(&[1, 2, 4]));
    assert_eq!(secret.clone().into_bytes(), [1, 2, 3]);
}

#[test]
fn nonces_do_not_repeat() {
    let mut seen = std::collections::HashSet::new();
    for _ in 0..2_000 {
        assert!(seen.insert(random::nonce::<12>().unwrap().to_vec()));
        assert!(seen.insert(random::nonce::<16>().unwrap().to_vec()));
    }
    let draw = || (0..200).map(|_| random::nonce::<12>().unwrap().to_vec()).collect::<Vec<_>>();
    for thread in [std::thread::spawn(draw), std::thread::spawn(draw)] {
        for nonce in thread.join().unwrap() {
            assert!(seen.insert(nonce));
        }
    }
    assert!(!seen.contains(&vec![0; 12]) && !seen.contains(&vec![0; 16]));
    assert_ne!(random::nonce::<300>().unwrap(), [0; 300]);
}
