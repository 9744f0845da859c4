//! What the bare operations cost, in nanoseconds: the floor under every request of a server.
//! `cargo bench -p kms-crypto`; an argument picks the lines that contain it.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program for people at a desk")]

use kms_crypto::asymmetric::ec::{self, Curve};
use kms_crypto::asymmetric::rsa::{
    self, DecryptionKey, EncryptionKey, Oaep, PrivateEncoding, PublicEncoding,
};
use kms_crypto::format::{PrivateFormat, PrivateKey, PublicFormat};
use kms_crypto::hash::Hash;
use kms_crypto::mac::MacKey;
use kms_crypto::seal::SealKey;
use kms_crypto::symmetric::{AES_GCM, Params};
use kms_crypto::{Secret, random};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Prints the median of several rounds, each long enough for the clock.
fn measure(name: &str, mut work: impl FnMut()) {
    let wanted = std::env::args().nth(1).filter(|argument| !argument.starts_with('-'));
    if wanted.is_some_and(|wanted| !name.contains(&wanted)) {
        return;
    }
    let once = Instant::now();
    work();
    let once = once.elapsed().max(Duration::from_nanos(50));
    let count = (Duration::from_millis(60).as_nanos() / once.as_nanos()).clamp(1, 200_000);
    let mut rounds: Vec<u128> = (0..7)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..count {
                work();
            }
            start.elapsed().as_nanos() / count
        })
        .collect();
    rounds.sort_unstable();
    println!("{name:<44} {:>12} ns", rounds.get(3).copied().unwrap_or(0));
}

fn ciphers() {
    let key = random::bytes::<32>().unwrap();
    measure("12 random bytes", || {
        black_box(random::bytes::<12>().unwrap());
    });
    measure("nonce of 12 bytes", || {
        black_box(random::nonce::<12>().unwrap());
    });
    for (name, length) in [("64 B", 64), ("1 MiB", 1 << 20)] {
        let iv = random::bytes::<12>().unwrap();
        let params = Params::with_iv(&iv);
        let mut data = Some(vec![0_u8; length]);
        measure(&format!("AES-256-GCM encrypt {name}, key included"), || {
            let sealed = AES_GCM.encrypt(&key, &params, data.take().unwrap()).unwrap();
            black_box(&sealed.tag);
            data = Some(sealed.data);
        });
        let sealed = AES_GCM.encrypt(&key, &params, vec![0; length]).unwrap();
        measure(&format!("AES-256-GCM decrypt {name} and copy"), || {
            black_box(AES_GCM.decrypt(&key, &params, sealed.data.clone(), &sealed.tag).unwrap());
        });
    }
}

fn sealing() {
    let key = SealKey::new(&random::bytes().unwrap()).unwrap();
    let text = [7; 200];
    measure("SealKey seal 200 B", || {
        black_box(key.seal(b"kms:object:0123456789", &text).unwrap());
    });
    let sealed = key.seal(b"kms:object:0123456789", &text).unwrap();
    measure("SealKey open 200 B", || {
        black_box(key.open(b"kms:object:0123456789", &sealed).unwrap());
    });
    let mac = MacKey::new(&[1; 32]);
    measure("HMAC-SHA-256 100 B, prepared key", || {
        black_box(mac.sign(&[text.get(..100).unwrap()]));
    });
}

fn asymmetric() {
    let der = rsa::generate(2048).unwrap();
    let key = PrivateKey::parse(PrivateFormat::Pkcs8, der.expose()).unwrap();
    let pkcs1: Secret = key.encode(PrivateFormat::Pkcs1).unwrap();
    let spki = key.public().encode(PublicFormat::Spki).unwrap();
    let public = EncryptionKey::parse(PublicEncoding::Spki, &spki).unwrap();
    let oaep = Oaep::with(Hash::Sha256);
    let sealed = public.oaep_encrypt(&oaep, &[7; 32]).unwrap();
    measure("RSA-2048 OAEP encrypt, parse included", || {
        let key = EncryptionKey::parse(PublicEncoding::Spki, &spki).unwrap();
        black_box(key.oaep_encrypt(&oaep, &[7; 32]).unwrap());
    });
    let forms =
        [("PKCS#8", PrivateEncoding::Pkcs8, &der), ("PKCS#1", PrivateEncoding::Pkcs1, &pkcs1)];
    for (name, encoding, bytes) in forms {
        measure(&format!("RSA-2048 parse {name}"), || {
            black_box(DecryptionKey::parse(encoding, bytes.expose()).unwrap());
        });
        measure(&format!("RSA-2048 OAEP decrypt, parse {name} included"), || {
            let key = DecryptionKey::parse(encoding, bytes.expose()).unwrap();
            black_box(key.oaep_decrypt(&oaep, &sealed).unwrap());
        });
    }
    let bare = aws_lc_rs_decrypt(der.expose().to_vec(), sealed.clone());
    measure("RSA-2048 OAEP decrypt, aws-lc-rs itself", bare);
    let ready = DecryptionKey::parse(PrivateEncoding::Pkcs8, der.expose()).unwrap();
    measure("RSA-2048 OAEP decrypt, key ready", || {
        black_box(ready.oaep_decrypt(&oaep, &sealed).unwrap());
    });
    measure("EC P-256 generate", || {
        black_box(ec::generate(Curve::P256).unwrap());
    });
    measure("EC P-256 generate, PKCS#8 and SPKI", || {
        let key = PrivateKey::from_pair(ec::generate(Curve::P256).unwrap());
        black_box(key.public().encode(PublicFormat::Spki).unwrap());
        black_box(key.encode(PrivateFormat::Pkcs8).unwrap());
    });
    measure("RSA-2048 generate", || {
        black_box(rsa::generate(2048).unwrap());
    });
}

/// The yardstick: the safe interface of the library, key parsing included.
fn aws_lc_rs_decrypt(der: Vec<u8>, sealed: Vec<u8>) -> impl FnMut() {
    use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey};
    move || {
        let key = PrivateDecryptingKey::from_pkcs8(&der).unwrap();
        let key = OaepPrivateDecryptingKey::new(key).unwrap();
        let mut output = vec![0; key.min_output_size()];
        black_box(key.decrypt(&OAEP_SHA256_MGF1SHA256, &sealed, &mut output, None).unwrap());
    }
}

fn main() {
    ciphers();
    sealing();
    asymmetric();
}
