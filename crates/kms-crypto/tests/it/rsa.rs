//! RSA keys that are made here, and what they encrypt.

use kms_crypto::Error;
use kms_crypto::asymmetric::rsa::{
    self, DecryptionKey, EncryptionKey, GENERATED_BITS, Oaep, PrivateEncoding, PublicEncoding,
};
use kms_crypto::format::{KeyAlgorithm, PrivateFormat, PrivateKey, PublicFormat, PublicKey};
use kms_crypto::hash::Hash;

#[test]
fn keys_of_every_length_work() {
    for bits in GENERATED_BITS {
        let der = rsa::generate(*bits).unwrap();
        let key = PrivateKey::parse(PrivateFormat::Pkcs8, der.expose()).unwrap();
        assert_eq!((key.facts().algorithm, key.facts().bits), (KeyAlgorithm::Rsa, *bits));
        assert_eq!(key.rsa().unwrap().public_exponent, [1, 0, 1]);

        let public = key.public().encode(PublicFormat::Pkcs1).unwrap();
        let public = EncryptionKey::parse(PublicEncoding::Pkcs1, &public).unwrap();
        let private = DecryptionKey::parse(PrivateEncoding::Pkcs8, der.expose()).unwrap();
        assert_eq!((public.bits(), private.bits()), (*bits, *bits));
        let message = [0x5A; 32];
        for hash in [Hash::Sha1, Hash::Sha256, Hash::Sha384, Hash::Sha512] {
            for mgf_hash in [Hash::Sha1, Hash::Sha256, Hash::Sha384, Hash::Sha512] {
                let oaep = Oaep { hash, mgf_hash, label: b"label" };
                let sealed = public.oaep_encrypt(&oaep, &message).unwrap();
                assert!(private.oaep_decrypt(&oaep, &sealed).unwrap().matches(&message));
                let other = Oaep { label: b"other", ..oaep };
                let opened = private.oaep_decrypt(&other, &sealed);
                assert_eq!(opened.err(), Some(Error::Decryption));
            }
        }
        let sealed = public.pkcs1v15_encrypt(&message).unwrap();
        assert!(private.pkcs1v15_decrypt(&sealed).unwrap().matches(&message));
    }
    assert!(matches!(rsa::generate(1024).err(), Some(Error::Unsupported(_))));
}

#[test]
fn failures_look_alike_and_long_messages_are_refused() {
    let der = rsa::generate(2048).unwrap();
    let key = PrivateKey::parse(PrivateFormat::Pkcs8, der.expose()).unwrap();
    let spki = key.public().encode(PublicFormat::Spki).unwrap();
    let public = EncryptionKey::parse(PublicEncoding::Spki, &spki).unwrap();
    let private = DecryptionKey::parse(PrivateEncoding::Pkcs8, der.expose()).unwrap();
    let oaep = Oaep::with(Hash::Sha256);
    let most = 256 - 2 * 32 - 2;
    assert!(public.oaep_encrypt(&oaep, &vec![1; most]).is_ok());
    let refused = public.oaep_encrypt(&oaep, &vec![1; most + 1]).err();
    assert!(matches!(refused, Some(Error::BadLength { .. })));
    assert!(public.pkcs1v15_encrypt(&[1; 245]).is_ok());
    assert!(public.pkcs1v15_encrypt(&[1; 246]).is_err());
    for garbage in [vec![], vec![0; 255], vec![0; 256], vec![1; 256], vec![0xFF; 256], vec![1; 257]]
    {
        assert_eq!(private.oaep_decrypt(&oaep, &garbage).err(), Some(Error::Decryption));
        assert_eq!(private.pkcs1v15_decrypt(&garbage).err(), Some(Error::Decryption));
    }
}

#[test]
fn broken_keys_are_refused() {
    let der = rsa::generate(2048).unwrap();
    let whole = der.expose();
    for end in [0, 1, 20, 600, whole.len() - 1] {
        assert!(DecryptionKey::parse(PrivateEncoding::Pkcs8, &whole[..end]).is_err());
    }
    assert!(DecryptionKey::parse(PrivateEncoding::Pkcs8, &[whole, b"x"].concat()).is_err());
    assert!(DecryptionKey::parse(PrivateEncoding::Pkcs1, whole).is_err());
    let mut changed = whole.to_vec();
    changed[100] ^= 1;
    assert!(DecryptionKey::parse(PrivateEncoding::Pkcs8, &changed).is_err());
}

#[test]
fn a_key_that_would_take_long_is_not_worked_with() {
    for (bytes, good) in [(255, false), (256, true), (512, true), (513, false), (1024, false)] {
        let key = PublicKey::from_rsa(&vec![0xC5; bytes], &[1, 0, 1]).unwrap();
        let spki = key.encode(PublicFormat::Spki).unwrap();
        let parsed = EncryptionKey::parse(PublicEncoding::Spki, &spki).map(|key| key.bits());
        match parsed {
            Ok(bits) => assert!(good && bits == bytes * 8, "{bytes}"),
            Err(error) => {
                assert!(!good && matches!(error, Error::Unsupported(_)), "{bytes} {error}");
            }
        }
    }
}
