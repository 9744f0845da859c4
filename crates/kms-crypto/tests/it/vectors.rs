//! Known answers from public sources: every mechanism, one file each, one way to run them.

use kms_crypto::asymmetric::ec::{self, Curve};
use kms_crypto::asymmetric::rsa::{
    DecryptionKey, EncryptionKey, Oaep, PrivateEncoding, PublicEncoding,
};
use kms_crypto::format::{PrivateFormat, PrivateKey, PublicFormat};
use kms_crypto::hash::{self, Hash, Hasher};
use kms_crypto::symmetric::{
    AES_CBC, AES_CBC_PKCS5, AES_CTR, AES_ECB, AES_ECB_PKCS5, AES_GCM, AES_GCM_SIV, AES_XTS,
    CHACHA20, CHACHA20_POLY1305, Cipher, Params,
};
use kms_crypto::{Error, kdf, mac, wrap};
use std::collections::BTreeMap;
use std::path::Path;

/// One block of a file.
pub(crate) struct Vector {
    fields: BTreeMap<String, String>,
    place: String,
}

impl Vector {
    fn text(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        hex::decode(self.text(name))
            .unwrap_or_else(|error| panic!("{}: {name}: {error}", self.place))
    }

    fn hash(&self, name: &str) -> Hash {
        let text = self.text(name);
        Hash::ALL.iter().copied().find(|hash| hash.name() == text).unwrap()
    }

    /// What the file says, or `None` where both answers are right.
    fn valid(&self) -> Option<bool> {
        match self.text("valid") {
            "yes" => Some(true),
            "no" => Some(false),
            "acceptable" => None,
            other => panic!("{}: valid = {other}", self.place),
        }
    }
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

/// Reads a file; a block without a key takes that of the block before.
pub(crate) fn read(file: &str) -> Vec<Vector> {
    let text = std::fs::read_to_string(folder().join(file)).unwrap();
    assert!(text.starts_with("# Source: "), "{file} does not name its source");
    let mut key = None;
    let mut vectors = Vec::new();
    let lines = text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
    for (number, block) in lines.split("\n\n").filter(|block| !block.trim().is_empty()).enumerate()
    {
        let mut fields: BTreeMap<String, String> = block
            .lines()
            .filter(|line| !line.is_empty())
            .map(|line| line.split_once('=').unwrap())
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect();
        match fields.get("key") {
            Some(own) => key = Some(own.clone()),
            None => fields.extend(key.clone().map(|key| ("key".to_owned(), key))),
        }
        vectors.push(Vector { fields, place: format!("{file}, block {}", number + 1) });
    }
    assert!(!vectors.is_empty(), "{file} is empty");
    vectors
}

/// Holds an answer against the file: right, and refused exactly where it must be.
fn check(vector: &Vector, answer: Result<Vec<u8>, Error>, expected: &[u8]) {
    match (vector.valid(), answer) {
        (Some(true) | None, Ok(answer)) => {
            assert!(answer == expected, "{}: another answer", vector.place);
        }
        (Some(false) | None, Err(_)) => {}
        (Some(true), Err(error)) => panic!("{}: {error}", vector.place),
        (Some(false), Ok(_)) => panic!("{}: not refused", vector.place),
    }
}

/// Runs a file through a cipher: encrypting, decrypting, at once and in parts.
fn cipher(cipher: &dyn Cipher, file: &str) {
    for vector in read(file) {
        let [key, iv, aad, msg, ct, tag] =
            ["key", "iv", "aad", "msg", "ct", "tag"].map(|name| vector.bytes(name));
        let counter = vector.text("counter").parse().unwrap_or(0);
        let params = Params { iv: &iv, aad: &aad, counter, ..Params::default() };
        check(&vector, cipher.decrypt(&key, &params, ct.clone(), &tag), &msg);
        // What must not be decrypted may well be what an encryption gives, but for the tag.
        if vector.valid() == Some(true) {
            let sealed = cipher.encrypt(&key, &params, msg.clone());
            let sealed = sealed.map(|sealed| [&sealed.data[..], &sealed.tag[..]].concat());
            check(&vector, sealed, &[&ct[..], &tag[..]].concat());
        }
        in_parts(cipher, &key, &params, &vector, (&msg, &ct, &tag));
    }
}

type Texts<'a> = (&'a [u8], &'a [u8], &'a [u8]);

fn in_parts(
    cipher: &dyn Cipher,
    key: &[u8],
    params: &Params<'_>,
    vector: &Vector,
    texts: Texts<'_>,
) {
    let (msg, ct, tag) = texts;
    if cipher.name() == "AES-XTS" {
        assert!(cipher.encryptor(key, params, 1 << 20).is_err());
        return;
    }
    let run = |encrypt: bool, input: &[u8], tag: &[u8]| {
        let mut stream = if encrypt {
            cipher.encryptor(key, params, 1 << 20)?
        } else {
            cipher.decryptor(key, params, 1 << 20)?
        };
        let mut output = Vec::new();
        for part in input.chunks(7) {
            stream.update(part, &mut output)?;
            assert!(encrypt || tag.is_empty() || output.is_empty(), "given out too early");
        }
        let tag = stream.finish(tag, &mut output)?;
        output.extend_from_slice(&tag);
        Ok(output)
    };
    check(vector, run(false, ct, tag), msg);
    if vector.valid() == Some(true) {
        check(vector, run(true, msg, &[]), &[ct, tag].concat());
    }
}

#[test]
fn aes_gcm() {
    cipher(AES_GCM, "aes-gcm.txt");
}

#[test]
fn aes_gcm_siv() {
    cipher(AES_GCM_SIV, "aes-gcm-siv.txt");
}

#[test]
fn aes_cbc() {
    cipher(AES_CBC, "aes-cbc.txt");
}

#[test]
fn aes_cbc_pkcs5() {
    cipher(AES_CBC_PKCS5, "aes-cbc-pkcs5.txt");
}

#[test]
fn aes_ctr() {
    cipher(AES_CTR, "aes-ctr.txt");
}

#[test]
fn aes_ecb() {
    cipher(AES_ECB, "aes-ecb.txt");
}

#[test]
fn aes_ecb_pkcs5() {
    cipher(AES_ECB_PKCS5, "aes-ecb-pkcs5.txt");
}

#[test]
fn aes_xts() {
    cipher(AES_XTS, "aes-xts.txt");
}

#[test]
fn chacha20() {
    cipher(CHACHA20, "chacha20.txt");
}

#[test]
fn chacha20_poly1305() {
    cipher(CHACHA20_POLY1305, "chacha20-poly1305.txt");
}

#[test]
fn short_tags_are_the_beginning_of_the_long_one() {
    for (cipher, file) in [(AES_GCM, "aes-gcm.txt"), (CHACHA20_POLY1305, "chacha20-poly1305.txt")] {
        for vector in read(file).iter().filter(|vector| vector.valid() == Some(true)) {
            let [key, iv, aad, msg, ct, tag] =
                ["key", "iv", "aad", "msg", "ct", "tag"].map(|name| vector.bytes(name));
            for length in 12..16 {
                let params =
                    Params { iv: &iv, aad: &aad, tag_length: Some(length), ..Params::default() };
                let sealed = cipher.encrypt(&key, &params, msg.clone()).unwrap();
                assert_eq!(&*sealed.tag, &tag[..length], "{}", vector.place);
                let opened = cipher.decrypt(&key, &params, ct.clone(), &tag[..length]);
                assert_eq!(opened.unwrap(), msg, "{}", vector.place);
                let mut stream = cipher.encryptor(&key, &params, 0).unwrap();
                let mut output = Vec::new();
                stream.update(&msg, &mut output).unwrap();
                assert_eq!(&*stream.finish(&[], &mut output).unwrap(), &tag[..length]);
            }
        }
    }
}

#[test]
fn aes_gcm_wrapping() {
    for vector in read("aes-gcm.txt").iter().filter(|vector| vector.valid() == Some(true)) {
        let [key, iv, aad, msg, ct, tag] =
            ["key", "iv", "aad", "msg", "ct", "tag"].map(|name| vector.bytes(name));
        let params = Params { iv: &iv, aad: &aad, ..Params::default() };
        let wrapped = wrap::aes_gcm_wrap(&key, &params, &msg).unwrap();
        assert_eq!(wrapped, [ct, tag].concat(), "{}", vector.place);
        assert!(wrap::aes_gcm_unwrap(&key, &params, &wrapped).unwrap().matches(&msg));
    }
}

#[test]
fn aes_key_wrap() {
    for vector in read("aes-kw.txt") {
        let [key, msg, ct] = ["key", "msg", "ct"].map(|name| vector.bytes(name));
        let unwrapped = wrap::aes_kw_unwrap(&key, &ct).map(kms_crypto::Secret::into_bytes);
        check(&vector, unwrapped, &msg);
        if vector.valid() == Some(true) {
            check(&vector, wrap::aes_kw_wrap(&key, &msg), &ct);
        }
    }
}

#[test]
fn aes_key_wrap_with_padding() {
    for vector in read("aes-kwp.txt") {
        let [key, msg, ct] = ["key", "msg", "ct"].map(|name| vector.bytes(name));
        let unwrapped = wrap::aes_kwp_unwrap(&key, &ct).map(kms_crypto::Secret::into_bytes);
        check(&vector, unwrapped, &msg);
        if vector.valid() == Some(true) {
            check(&vector, wrap::aes_kwp_wrap(&key, &msg), &ct);
        }
    }
}

#[test]
fn rsa_oaep() {
    for vector in read("rsa-oaep.txt") {
        let [key, label, msg, ct] = ["key", "label", "msg", "ct"].map(|name| vector.bytes(name));
        let oaep = Oaep { hash: vector.hash("hash"), mgf_hash: vector.hash("mgf"), label: &label };
        let key = PrivateKey::parse(PrivateFormat::Pkcs8, &key).unwrap();
        let inner = key.encode(PrivateFormat::Pkcs1).unwrap();
        let private = DecryptionKey::parse(PrivateEncoding::Pkcs1, inner.expose()).unwrap();
        let opened = private.oaep_decrypt(&oaep, &ct).map(kms_crypto::Secret::into_bytes);
        check(&vector, opened, &msg);
        if vector.valid() == Some(true) {
            let spki = key.public().encode(PublicFormat::Spki).unwrap();
            let public = EncryptionKey::parse(PublicEncoding::Spki, &spki).unwrap();
            let wrapped = wrap::rsa_oaep_wrap(&public, &oaep, &msg).unwrap();
            assert!(wrap::rsa_oaep_unwrap(&private, &oaep, &wrapped).unwrap().matches(&msg));
        }
    }
}

#[test]
fn rsa_pkcs1v15() {
    for vector in read("rsa-pkcs1v15.txt") {
        let [key, msg, ct] = ["key", "msg", "ct"].map(|name| vector.bytes(name));
        let private = DecryptionKey::parse(PrivateEncoding::Pkcs8, &key).unwrap();
        let opened = private.pkcs1v15_decrypt(&ct);
        if vector.valid() == Some(false) {
            assert_eq!(opened.as_ref().err(), Some(&Error::Decryption), "{}", vector.place);
        }
        check(&vector, opened.map(kms_crypto::Secret::into_bytes), &msg);
    }
}

#[test]
fn elliptic_curves() {
    for vector in read("ec.txt") {
        let curve = Curve::ALL.iter().copied().find(|curve| curve.name() == vector.text("curve"));
        let curve = curve.unwrap();
        let public = ec::public_from_private(curve, &vector.bytes("private")).unwrap();
        assert_eq!(public, vector.bytes("public"), "{}", vector.place);
        let key = PrivateKey::from_ec(curve, &vector.bytes("private")).unwrap();
        assert_eq!(key.ec().unwrap().point, vector.bytes("public"), "{}", vector.place);
    }
}

#[test]
fn hashes() {
    for vector in read("hash.txt") {
        let (hash, msg) = (vector.hash("hash"), vector.bytes("msg"));
        let digest = vector.bytes("digest");
        assert_eq!(hash::digest(hash, &msg).as_ref(), digest, "{}", vector.place);
        assert_eq!(hash.length(), digest.len());
        let mut hasher = Hasher::new(hash);
        msg.chunks(5).for_each(|part| hasher.update(part));
        assert_eq!(hasher.finish().as_ref(), digest, "{}", vector.place);
    }
}

#[test]
fn hmac_sha256() {
    for vector in read("hmac-sha256.txt") {
        let [key, msg, tag] = ["key", "msg", "tag"].map(|name| vector.bytes(name));
        let (first, second) = msg.split_at(msg.len() / 3);
        let verified = mac::MacKey::new(&key).verify(&[first, second], &tag);
        check(&vector, verified.map(|()| Vec::new()), &[]);
        if vector.valid() == Some(true) {
            assert_eq!(mac::hmac_sha256(&key, &[&msg]).as_slice(), tag, "{}", vector.place);
        }
    }
}

#[test]
fn hkdf_sha256() {
    for vector in read("hkdf-sha256.txt") {
        let [ikm, salt, info, okm] = ["ikm", "salt", "info", "okm"].map(|name| vector.bytes(name));
        let size = vector.text("size").parse().unwrap();
        let derived = kdf::hkdf_sha256(&ikm, &salt, &[&info], size);
        check(&vector, derived.map(kms_crypto::Secret::into_bytes), &okm);
    }
}

#[test]
fn every_file_is_run_and_documented() {
    let tests = include_str!("vectors.rs");
    let readme = std::fs::read_to_string(folder().join("README.md")).unwrap();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if Path::new(&name).extension().is_some_and(|extension| extension == "txt") {
            assert!(tests.contains(&format!("\"{name}\"")), "{name} is run by no test");
            assert!(readme.contains(&format!("`{name}`")), "{name} is not in the README");
        }
    }
}
