//! What is asked of the server about a file's own key: the same both ways.

use kmip::attribute::CryptographicParameters;
use kmip::enumerations::{
    BlockCipherMode, CryptographicAlgorithm, HashingAlgorithm, MaskGenerator, PaddingMethod,
};
use kmip::wire::Bytes;
use kms_crypto::Secret;

use crate::file_format::Wrapping;

/// How the server encrypts it.
pub(crate) fn parameters(wrapping: Wrapping) -> CryptographicParameters {
    match wrapping {
        Wrapping::AesGcm => CryptographicParameters {
            block_cipher_mode: Some(BlockCipherMode::GCM),
            cryptographic_algorithm: Some(CryptographicAlgorithm::AES),
            random_iv: Some(true),
            tag_length: Some(16),
            ..CryptographicParameters::default()
        },
        Wrapping::ChaCha20Poly1305 => CryptographicParameters {
            cryptographic_algorithm: Some(CryptographicAlgorithm::ChaCha20Poly1305),
            random_iv: Some(true),
            tag_length: Some(16),
            ..CryptographicParameters::default()
        },
        Wrapping::RsaOaepSha256 => oaep(),
    }
}

/// RSA-OAEP with SHA-256 and MGF1 over SHA-256.
pub(crate) fn oaep() -> CryptographicParameters {
    CryptographicParameters {
        padding_method: Some(PaddingMethod::OAEP),
        hashing_algorithm: Some(HashingAlgorithm::SHA_256),
        cryptographic_algorithm: Some(CryptographicAlgorithm::RSA),
        mask_generator: Some(MaskGenerator::MGF1),
        mask_generator_hashing_algorithm: Some(HashingAlgorithm::SHA_256),
        ..CryptographicParameters::default()
    }
}

/// The beginning of the header, where the algorithm can authenticate it.
pub(crate) fn bound(wrapping: Wrapping, binding: Vec<u8>) -> Option<Bytes> {
    (wrapping != Wrapping::RsaOaepSha256).then_some(Bytes(binding))
}

/// The file's own key, as a request takes it. The copy lives until the request is sent.
pub(crate) fn secret(file_key: &Secret) -> Bytes {
    Bytes(file_key.expose().to_vec())
}

/// The file's own key, out of a response; its bytes are wiped from here on.
pub(crate) fn taken(data: Bytes) -> Secret {
    Secret::new(data.0)
}
