//! Encodings of keys and certificates, against files made by OpenSSL (`tests/data`).

use kms_crypto::asymmetric::ec::{self, Curve};
use kms_crypto::asymmetric::rsa;
use kms_crypto::format::certificate::{AlternativeName, Certificate, Name, NamePart};
use kms_crypto::format::pem::{self, Kind};
use kms_crypto::format::{
    KeyAlgorithm, PrivateFormat, PrivateKey, PublicFormat, PublicKey, RsaComponents,
};
use kms_crypto::{Error, Secret};
use proptest::prelude::*;
use std::path::Path;

fn file(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)).unwrap()
}

fn der(name: &str) -> Vec<u8> {
    pem::decode(&file(name)).unwrap_or_else(|error| panic!("{name}: {error}")).1.into_bytes()
}

const CURVES: [(&str, Curve); 4] = [
    ("p256", Curve::P256),
    ("p384", Curve::P384),
    ("p521", Curve::P521),
    ("secp256k1", Curve::Secp256k1),
];

#[test]
fn rsa_in_every_form_as_openssl_writes_it() {
    let (pkcs1, pkcs8) = (der("rsa-pkcs1.pem"), der("rsa-pkcs8.pem"));
    let (spki, public) = (der("rsa-spki.pem"), der("rsa-public-pkcs1.pem"));
    for (format, bytes) in [(PrivateFormat::Pkcs1, &pkcs1), (PrivateFormat::Pkcs8, &pkcs8)] {
        let key = PrivateKey::parse(format, bytes).unwrap();
        assert_eq!((key.facts().algorithm, key.facts().bits), (KeyAlgorithm::Rsa, 2048));
        assert!(key.encode(PrivateFormat::Pkcs1).unwrap().matches(&pkcs1));
        assert!(key.encode(PrivateFormat::Pkcs8).unwrap().matches(&pkcs8));
        assert!(matches!(key.encode(PrivateFormat::Sec1).err(), Some(Error::Unsupported(_))));
        assert_eq!(key.public().encode(PublicFormat::Spki).unwrap(), spki);
        assert_eq!(key.public().encode(PublicFormat::Pkcs1).unwrap(), public);
        let again = PrivateKey::from_rsa(key.rsa().unwrap().clone()).unwrap();
        assert!(again.encode(PrivateFormat::Pkcs8).unwrap().matches(&pkcs8));
    }
    let key = PublicKey::parse(PublicFormat::Spki, &spki).unwrap();
    assert_eq!(key.encode(PublicFormat::Pkcs1).unwrap(), public);
    let numbers = key.rsa().unwrap();
    let wide = [&[0, 0], numbers.modulus].concat();
    let again = PublicKey::from_rsa(&wide, numbers.exponent).unwrap();
    assert_eq!(again.encode(PublicFormat::Spki).unwrap(), spki);
    assert!(again == PublicKey::parse(PublicFormat::Pkcs1, &public).unwrap());
}

#[test]
fn missing_rsa_numbers_are_computed() {
    let pkcs1 = der("rsa-pkcs1.pem");
    let whole = PrivateKey::parse(PrivateFormat::Pkcs1, &pkcs1).unwrap();
    let whole = whole.rsa().unwrap();
    let n = || whole.modulus.clone();
    let e = || whole.public_exponent.clone();
    let cases = [
        RsaComponents {
            modulus: n(),
            public_exponent: e(),
            private_exponent: whole.private_exponent.clone(),
            ..RsaComponents::default()
        },
        RsaComponents {
            public_exponent: e(),
            prime_p: whole.prime_p.clone(),
            prime_q: whole.prime_q.clone(),
            ..RsaComponents::default()
        },
        RsaComponents {
            modulus: n(),
            private_exponent: whole.private_exponent.clone(),
            prime_q: whole.prime_q.clone(),
            ..RsaComponents::default()
        },
        RsaComponents {
            modulus: n(),
            public_exponent: e(),
            prime_p: whole.prime_p.clone(),
            ..RsaComponents::default()
        },
        RsaComponents { coefficient: Secret::default(), ..whole.clone() },
    ];
    for (number, case) in cases.into_iter().enumerate() {
        let key = PrivateKey::from_rsa(case).unwrap_or_else(|error| panic!("{number}: {error}"));
        let numbers = key.rsa().unwrap();
        assert_eq!((&numbers.modulus, &numbers.public_exponent), (&n(), &e()), "{number}");
        let primes = [numbers.prime_p.expose(), numbers.prime_q.expose()];
        assert!(primes.contains(&whole.prime_p.expose()), "{number}");
        assert!(primes.contains(&whole.prime_q.expose()), "{number}");
        // It decrypts what the whole key's public half encrypted.
        let public = key.public().encode(PublicFormat::Spki).unwrap();
        let public = rsa::EncryptionKey::parse(rsa::PublicEncoding::Spki, &public).unwrap();
        let private = key.encode(PrivateFormat::Pkcs1).unwrap();
        let private =
            rsa::DecryptionKey::parse(rsa::PrivateEncoding::Pkcs1, private.expose()).unwrap();
        let sealed = public.pkcs1v15_encrypt(b"text").unwrap();
        assert!(private.pkcs1v15_decrypt(&sealed).unwrap().matches(b"text"), "{number}");
    }
}

#[test]
fn too_few_or_wrong_rsa_numbers_are_refused() {
    let whole = PrivateKey::parse(PrivateFormat::Pkcs1, &der("rsa-pkcs1.pem")).unwrap();
    let whole = whole.rsa().unwrap();
    let n = || whole.modulus.clone();
    let e = || whole.public_exponent.clone();
    let too_few = [
        RsaComponents { modulus: n(), public_exponent: e(), ..RsaComponents::default() },
        RsaComponents {
            modulus: n(),
            private_exponent: whole.private_exponent.clone(),
            ..RsaComponents::default()
        },
        RsaComponents {
            prime_p: whole.prime_p.clone(),
            prime_q: whole.prime_q.clone(),
            ..RsaComponents::default()
        },
        RsaComponents::default(),
    ];
    for case in too_few {
        assert!(matches!(PrivateKey::from_rsa(case).err(), Some(Error::Unsupported(_))));
    }
    let mut wrong = whole.clone();
    wrong.private_exponent.expose_mut()[100] ^= 4;
    assert!(PrivateKey::from_rsa(wrong.clone()).is_err());
    let wrong = RsaComponents {
        modulus: n(),
        public_exponent: e(),
        private_exponent: wrong.private_exponent,
        ..RsaComponents::default()
    };
    assert!(PrivateKey::from_rsa(wrong).is_err());
}

#[test]
fn curves_in_every_form_as_openssl_writes_it() {
    for (name, curve) in CURVES {
        let sec1 = der(&format!("{name}-sec1.pem"));
        let pkcs8 = der(&format!("{name}-pkcs8.pem"));
        let spki = der(&format!("{name}-spki.pem"));
        let compressed = der(&format!("{name}-spki-compressed.pem"));
        for (format, bytes) in [(PrivateFormat::Sec1, &sec1), (PrivateFormat::Pkcs8, &pkcs8)] {
            let key = PrivateKey::parse(format, bytes).unwrap();
            assert_eq!(key.facts().curve(), Some(curve));
            assert_eq!(key.facts().bits, curve.bits());
            assert!(key.encode(PrivateFormat::Sec1).unwrap().matches(&sec1), "{name}");
            assert!(key.encode(PrivateFormat::Pkcs8).unwrap().matches(&pkcs8), "{name}");
            assert!(matches!(key.encode(PrivateFormat::Pkcs1).err(), Some(Error::Unsupported(_))));
            assert_eq!(key.public().encode(PublicFormat::Spki).unwrap(), spki, "{name}");
            let wide = [&[0, 0, 0], key.ec().unwrap().scalar].concat();
            let again = PrivateKey::from_ec(curve, &wide).unwrap();
            assert!(again.encode(PrivateFormat::Sec1).unwrap().matches(&sec1), "{name}");
            for other in CURVES.iter().map(|row| row.1).filter(|other| *other != curve) {
                assert!(PrivateKey::parse_sec1(&sec1, Some(other)).is_err());
            }
        }
        let key = PublicKey::parse(PublicFormat::Spki, &compressed).unwrap();
        assert_eq!(key.encode(PublicFormat::Spki).unwrap(), compressed, "{name}: not as it came");
        assert!(key == PublicKey::parse(PublicFormat::Spki, &spki).unwrap());
        let mut point = key.ec().unwrap().point.to_vec();
        let again = PublicKey::from_ec(curve, &point).unwrap();
        assert_eq!(again.encode(PublicFormat::Spki).unwrap(), spki);
        *point.last_mut().unwrap() ^= 1;
        assert!(PublicKey::from_ec(curve, &point).is_err(), "{name}: not on the curve");
    }
}

#[test]
fn curve25519_as_openssl_writes_it() {
    for (name, curve) in [("ed25519", Curve::Ed25519), ("x25519", Curve::X25519)] {
        let pkcs8 = der(&format!("{name}-pkcs8.pem"));
        let key = PrivateKey::parse(PrivateFormat::Pkcs8, &pkcs8).unwrap();
        assert_eq!(key.facts().curve(), Some(curve));
        let spki = der(&format!("{name}-spki.pem"));
        assert_eq!(key.public().encode(PublicFormat::Spki).unwrap(), spki);
        let again = PrivateKey::from_ec(curve, key.ec().unwrap().scalar).unwrap();
        assert!(again.encode(PrivateFormat::Pkcs8).unwrap().matches(&pkcs8));
        assert!(matches!(again.encode(PrivateFormat::Sec1).err(), Some(Error::Unsupported(_))));
        let public = PublicKey::parse(PublicFormat::Spki, &spki).unwrap();
        assert_eq!(public.ec().unwrap().point.len(), 32);
    }
}

#[test]
fn made_pairs_go_through_every_form() {
    for curve in Curve::ALL {
        let pair = ec::generate(*curve).unwrap();
        assert_eq!(pair.private.len(), curve.private_length());
        let public = pair.public.clone();
        assert_eq!(ec::public_from_private(*curve, pair.private.expose()).unwrap(), public);
        let key = PrivateKey::from_pair(pair);
        for format in [PrivateFormat::Pkcs8, PrivateFormat::Sec1] {
            let Ok(bytes) = key.encode(format) else { continue };
            let again = PrivateKey::parse(format, bytes.expose()).unwrap();
            assert_eq!(again.ec().unwrap().point, public);
            assert_eq!(again.ec().unwrap().scalar, key.ec().unwrap().scalar);
        }
        let spki = key.public().encode(PublicFormat::Spki).unwrap();
        assert_eq!(PublicKey::parse(PublicFormat::Spki, &spki).unwrap().facts(), key.facts());
    }
}

#[test]
fn bad_private_numbers_are_refused() {
    for curve in Curve::ALL.iter().filter(|curve| curve.private_length() != 66) {
        let length = curve.private_length();
        assert!(PrivateKey::from_ec(*curve, &vec![1; length + 1]).is_err());
        if !matches!(curve, Curve::Ed25519 | Curve::X25519) {
            assert!(PrivateKey::from_ec(*curve, &[]).is_err());
            assert!(PrivateKey::from_ec(*curve, &vec![0; length]).is_err());
            assert!(PrivateKey::from_ec(*curve, &vec![0xFF; length]).is_err());
        }
    }
    // A public point that is another key's.
    let one = der("p256-sec1.pem");
    let other = PrivateKey::from_pair(ec::generate(Curve::P256).unwrap());
    let point = other.ec().unwrap().point.to_vec();
    let mixed = [&one[..one.len() - point.len()], &point].concat();
    assert!(PrivateKey::parse(PrivateFormat::Sec1, &mixed).is_err());
}

#[test]
fn pem_both_ways() {
    for entry in
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")).unwrap()
    {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let text = file(&name);
        let decoded = pem::decode(&text);
        if name == "rsa-encrypted.pem" {
            assert!(matches!(decoded.err(), Some(Error::Unsupported(_))));
            continue;
        }
        let (kind, der) = decoded.unwrap();
        let written = pem::encode(kind, der.expose());
        assert!(text.ends_with(written.expose()), "{name}");
        let windows = String::from_utf8(text).unwrap().replace('\n', "\r\n");
        assert!(pem::decode(windows.as_bytes()).unwrap().1.matches(der.expose()), "{name}");
    }
    let text = pem::encode(Kind::Private(PrivateFormat::Pkcs8), &der("rsa-pkcs1.pem"));
    assert!(pem::decode(text.expose()).is_err(), "the label says one thing, the key another");
    assert_eq!(pem::decode(b"").err(), Some(Error::Malformed("PEM")));
    let cut = file("rsa-spki.pem");
    assert!(pem::decode(&cut[..cut.len() - 10]).is_err());
}

#[test]
fn certificates() {
    let bytes = der("certificate-p256.pem");
    let certificate = Certificate::parse(&bytes).unwrap();
    assert_eq!(certificate.version, 3);
    assert_eq!(hex::encode(&certificate.serial), "00f1e2d3c4b5a697");
    assert_eq!((certificate.not_before, certificate.not_after), (NOT_BEFORE_P256, NOT_AFTER_P256));
    assert_eq!(certificate.signature_name(), Some("ecdsa-with-SHA256"));
    assert_eq!(certificate.key.unwrap().curve(), Some(Curve::P256));
    assert_eq!(certificate.public_key, der("p256-spki.pem"));
    assert_eq!(certificate.subject, certificate.issuer);
    let all = |part| certificate.subject.all(part).collect::<Vec<_>>();
    assert_eq!(all(NamePart::CommonName), ["kms.example"]);
    assert_eq!(all(NamePart::OrganizationalUnit), ["Keys", "Tests"]);
    assert_eq!(all(NamePart::State), ["Île-de-France"]);
    assert_eq!(all(NamePart::Email), ["kms@example.org"]);
    assert_eq!(all(NamePart::UserId), ["u1"]);
    assert_eq!(all(NamePart::DomainComponent), ["org"]);
    assert_eq!(all(NamePart::SerialNumber), ["42"]);
    assert_eq!(all(NamePart::DnQualifier), ["q"]);
    assert_eq!(
        certificate.subject.text(),
        "dnQualifier=q,serialNumber=42,title=Server,DC=org,UID=u1,\
         emailAddress=kms@example.org,CN=kms.example,OU=Tests,OU=Keys,O=Example\\, Inc.,\
         L=Paris,ST=Île-de-France,C=FR"
    );
    assert_eq!(Name::parse(&certificate.subject.der).unwrap(), certificate.subject);

    let old = Certificate::parse(&der("certificate-v1-rsa.pem")).unwrap();
    assert_eq!((old.version, &old.serial[..]), (1, &[5][..]));
    assert_eq!((old.not_before, old.not_after), (NOT_BEFORE_RSA, NOT_AFTER_RSA));
    assert_eq!(old.key.unwrap().bits, 2048);
    assert_eq!(old.signature_name(), Some("sha384WithRSAEncryption"));
    let ed = Certificate::parse(&der("certificate-ed25519.pem")).unwrap();
    assert_eq!(ed.key.unwrap().curve(), Some(Curve::Ed25519));
    for end in 0..bytes.len() {
        assert!(Certificate::parse(&bytes[..end]).is_err());
    }
    assert!(Certificate::parse(&[&bytes[..], b"x"].concat()).is_err());
}

#[test]
fn alternative_names() {
    let names = |der: &[u8]| Certificate::parse(der).and_then(|it| it.alternative_names());
    let bytes = der("certificate-names.pem");
    assert_eq!(
        names(&bytes).unwrap(),
        [
            AlternativeName::Email("Bob@example.com".to_owned()),
            AlternativeName::Dns("host.example.com".to_owned()),
            AlternativeName::Uri("spiffe://example.com/backup".to_owned()),
            AlternativeName::Other(0x87),
            AlternativeName::Email("second@example.com".to_owned()),
        ]
    );
    let host = AlternativeName::Dns("kms.example".to_owned());
    assert_eq!(names(&der("certificate-p256.pem")).unwrap(), [host]);
    assert_eq!(names(&der("certificate-v1-rsa.pem")).unwrap(), []);

    let place = |what: &[u8]| bytes.windows(what.len()).position(|it| it == what).unwrap();
    let changed = |at: usize, byte: u8| {
        let mut changed = bytes.clone();
        changed[at] = byte;
        names(&changed)
    };
    // A letter that is not of ASCII, and a length that does not fit.
    assert!(changed(place(b"Bob@"), 0xFF).is_err());
    assert!(changed(place(b"Bob@") - 1, 0x7F).is_err());
    // The same extension twice: another one (2.5.29.14 or .35) becomes 2.5.29.17.
    assert!(changed(place(&[0x55, 0x1D, 0x0E]) + 2, 0x11).is_err());
    for at in 0..bytes.len() {
        // Whatever comes of it: nothing ends the program.
        drop(changed(at, 0xFF));
    }
}

#[test]
fn names_are_written_as_rfc_4514_has_them() {
    let name = |digits: &str| Name::parse(&hex::decode(digits.replace(' ', "")).unwrap());
    // A part with two values, one of them of a kind without a short name (2.5.4.42).
    let two = name("301b311930080603 55042a0c0178 300d0603550403 0c062361202b2220");
    assert_eq!(two.unwrap().text(), "2.5.4.42=#0C0178+CN=\\#a \\+\\\"\\ ");
    assert_eq!(name("3000").unwrap().text(), "");
    assert!(name("300000").is_err());
}

#[test]
fn encrypted_pkcs8_is_told_apart() {
    // An algorithm without parameters, and two bytes.
    let encrypted = hex::decode("300c 3006 06042a864886 0402 0102".replace(' ', "")).unwrap();
    assert!(PrivateKey::is_encrypted_pkcs8(&encrypted));
    assert!(PrivateKey::parse(PrivateFormat::Pkcs8, &encrypted).is_err());
    assert!(!PrivateKey::is_encrypted_pkcs8(&[&encrypted[..], b"x"].concat()));
    assert!(!PrivateKey::is_encrypted_pkcs8(&der("p384-pkcs8.pem")));
}

const NOT_BEFORE_P256: i64 = 1_795_570_393;
const NOT_AFTER_P256: i64 = 2_110_930_393;
const NOT_BEFORE_RSA: i64 = 1_795_570_286;
/// Past 2050: a `GeneralizedTime`.
const NOT_AFTER_RSA: i64 = 3_523_570_286;

#[test]
fn sizes_are_bounded() {
    let long = vec![0x30; 70_000];
    assert!(matches!(
        PrivateKey::parse(PrivateFormat::Pkcs8, &long).err(),
        Some(Error::TooLarge { .. })
    ));
    let mut modulus = vec![0xFF; 2049];
    assert!(matches!(PublicKey::from_rsa(&modulus, &[3]).err(), Some(Error::BadKey(_))));
    modulus.truncate(256);
    assert!(PublicKey::from_rsa(&modulus, &[3]).is_ok());
    assert!(PublicKey::from_rsa(&modulus, &[2]).is_err());
    assert!(PublicKey::from_rsa(&[], &[3]).is_err());
}

proptest! {
    /// Whatever comes, each reader answers; and no change of a key goes by as another good key of
    /// the same bytes.
    #[test]
    fn changed_keys_do_not_panic(
        chosen in 0_usize..6,
        changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4),
        end in any::<usize>(),
    ) {
        let names = [
            "rsa-pkcs1.pem", "rsa-spki.pem", "p256-sec1.pem",
            "p384-pkcs8.pem", "ed25519-pkcs8.pem", "certificate-p256.pem",
        ];
        let mut bytes = der(names[chosen]);
        for (place, value) in changes {
            let place = place % bytes.len();
            bytes[place] = value;
        }
        if end % 3 == 0 {
            bytes.truncate(end % bytes.len());
        }
        for format in [PrivateFormat::Pkcs1, PrivateFormat::Pkcs8, PrivateFormat::Sec1] {
            if let Ok(key) = PrivateKey::parse(format, &bytes) {
                prop_assert!(key.encode(format).unwrap().matches(&bytes));
            }
        }
        for format in [PublicFormat::Pkcs1, PublicFormat::Spki] {
            if let Ok(key) = PublicKey::parse(format, &bytes) {
                prop_assert_eq!(key.encode(format).unwrap(), &bytes[..]);
            }
        }
        drop(Certificate::parse(&bytes));
        drop(pem::decode(&bytes));
    }
}
