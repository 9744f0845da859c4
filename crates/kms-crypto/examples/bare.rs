//! What the cryptographic library alone needs for the operations that the benchmark compares the
//! server with: prints `name microseconds`, the median of several runs on one thread.
#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use std::time::Instant;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
    PrivateDecryptingKey,
};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("aes-gcm-1-mib {:.2}", aes_gcm()?);
    println!("rsa-2048-oaep-decrypt {:.2}", rsa_oaep()?);
    println!("p256-generate {:.2}", p256()?);
    Ok(())
}

/// Encrypts 1 MiB in place, the key's set-up included.
fn aes_gcm() -> Result<f64, Unspecified> {
    let mut data = vec![0x5A_u8; 1 << 20];
    median(200, || {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32])?);
        let nonce = Nonce::assume_unique_for_key([9; 12]);
        key.seal_in_place_separate_tag(nonce, Aad::empty(), &mut data).map(drop)
    })
}

/// Decrypts 32 bytes with a key that is parsed from PKCS#8 each time.
fn rsa_oaep() -> Result<f64, Box<dyn std::error::Error>> {
    let private = PrivateDecryptingKey::generate(KeySize::Rsa2048)?;
    let der = private.as_der()?;
    let public = OaepPublicEncryptingKey::new(private.public_key())?;
    let mut encrypted = vec![0; public.ciphertext_size()];
    public.encrypt(&OAEP_SHA256_MGF1SHA256, &[0x5A; 32], &mut encrypted, None)?;
    let time = median(300, || {
        let key =
            PrivateDecryptingKey::from_pkcs8(der.as_ref()).map_err(|_rejected| Unspecified)?;
        let key = OaepPrivateDecryptingKey::new(key)?;
        let mut plaintext = vec![0; key.min_output_size()];
        key.decrypt(&OAEP_SHA256_MGF1SHA256, &encrypted, &mut plaintext, None).map(drop)
    })?;
    Ok(time)
}

fn p256() -> Result<f64, Unspecified> {
    median(500, || EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map(drop))
}

/// The median microseconds of `times` calls.
fn median(
    times: usize,
    mut call: impl FnMut() -> Result<(), Unspecified>,
) -> Result<f64, Unspecified> {
    let mut taken = Vec::with_capacity(times);
    for _ in 0..times {
        let begun = Instant::now();
        call()?;
        taken.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    taken.sort_unstable_by(f64::total_cmp);
    taken.get(times / 2).copied().ok_or(Unspecified)
}
