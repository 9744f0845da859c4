//! Which parameters mean which mechanism, and what keys under keys look like.

use std::path::Path;

use kmip::attribute::{Attribute, Attributes, CryptographicParameters};
use kmip::wire::SecretBytes;

use super::*;

type Parameters = CryptographicParameters;

fn material(bytes: Vec<u8>) -> StoredMaterial {
    StoredMaterial::Key(KeyValue::plain(KeyMaterial::Bytes(SecretBytes::from(bytes))))
}

fn parameters(mode: Option<Mode>, padding: Option<Padding>) -> Parameters {
    Parameters { block_cipher_mode: mode, padding_method: padding, ..Parameters::default() }
}

/// What a key for `algorithm` and a request with `parameters` choose: a mechanism's name or a
/// reason.
fn check(
    algorithm: Algorithm,
    parameters: Option<&Parameters>,
    expected: std::result::Result<&str, ResultReason>,
) {
    let attributes = Attributes(vec![Attribute::CryptographicAlgorithm(algorithm)]);
    let found = choose(&attributes, parameters, None);
    let found = found.map(|it| it.mechanism.name).map_err(|error| error.reason);
    assert_eq!(found, expected, "{algorithm:?} with {parameters:?}");
}

#[test]
fn parameters_mean_one_mechanism_or_none() {
    const UNSUPPORTED: ResultReason = ResultReason::UnsupportedCryptographicParameters;
    const NO_OPERATION: ResultReason = ResultReason::OperationNotSupported;
    const NONE: Option<Padding> = Some(Padding::None);
    check(Algorithm::AES, None, Ok("AES-GCM"));
    for (mode, padding, expected) in [
        (None, None, Ok("AES-GCM")),
        (Some(Mode::GCM), None, Ok("AES-GCM")),
        (Some(Mode::GCM), NONE, Ok("AES-GCM")),
        (Some(Mode::GCM), PKCS5, Err(UNSUPPORTED)),
        (Some(Mode::GCMSIV), None, Ok("AES-GCM-SIV")),
        (Some(Mode::CBC), None, Ok("AES-CBC-PKCS5")),
        (Some(Mode::CBC), PKCS5, Ok("AES-CBC-PKCS5")),
        (Some(Mode::CBC), NONE, Ok("AES-CBC")),
        (Some(Mode::CBC), Some(Padding::ANSIX9_23), Err(UNSUPPORTED)),
        (Some(Mode::CTR), None, Ok("AES-CTR")),
        (Some(Mode::ECB), None, Ok("AES-ECB")),
        (Some(Mode::ECB), PKCS5, Ok("AES-ECB-PKCS5")),
        (Some(Mode::XTS), None, Ok("AES-XTS")),
        (Some(Mode::NISTKeyWrap), None, Ok("AES-KW")),
        (Some(Mode::AESKeyWrapPadding), None, Ok("AES-KWP")),
        (Some(Mode::CCM), None, Err(UNSUPPORTED)),
        (Some(Mode::AEAD), None, Err(UNSUPPORTED)),
        (Some(Mode::OFB), None, Err(UNSUPPORTED)),
    ] {
        check(Algorithm::AES, Some(&parameters(mode, padding)), expected);
    }
    for (mode, padding, expected) in [
        (None, None, Ok("RSA-OAEP")),
        (None, Some(Padding::OAEP), Ok("RSA-OAEP")),
        (None, Some(Padding::PKCS1V1_5), Ok("RSA-PKCS1-v1.5")),
        (None, NONE, Err(UNSUPPORTED)),
        (None, Some(Padding::PSS), Err(UNSUPPORTED)),
        (Some(Mode::CBC), None, Err(UNSUPPORTED)),
    ] {
        check(Algorithm::RSA, Some(&parameters(mode, padding)), expected);
    }
    let hybrid =
        Parameters { hashing_algorithm: Some(HashingAlgorithm::SHA_256), ..parameters(None, NONE) };
    check(Algorithm::RSA, Some(&hybrid), Ok("RSA-OAEP-AES-KWP"));
    let named = |algorithm| Parameters {
        cryptographic_algorithm: Some(algorithm),
        ..Parameters::default()
    };
    check(Algorithm::AES, Some(&named(Algorithm::ChaCha20Poly1305)), Err(UNSUPPORTED));
    check(Algorithm::ChaCha20, None, Ok("ChaCha20-Poly1305"));
    check(Algorithm::ChaCha20, Some(&named(Algorithm::ChaCha20)), Ok("ChaCha20"));
    let poly = named(Algorithm::ChaCha20Poly1305);
    check(Algorithm::ChaCha20, Some(&poly), Ok("ChaCha20-Poly1305"));
    let aead = parameters(Some(Mode::AEAD), None);
    check(Algorithm::ChaCha20Poly1305, Some(&aead), Ok("ChaCha20-Poly1305"));
    check(Algorithm::EC, None, Err(NO_OPERATION));
    check(Algorithm::DES3, None, Err(NO_OPERATION));
    check(Algorithm::HMAC_SHA256, None, Err(NO_OPERATION));
}

#[test]
fn the_keys_parameters_count_only_where_the_request_has_none() {
    let attributes = Attributes(vec![
        Attribute::CryptographicAlgorithm(Algorithm::AES),
        Attribute::CryptographicParameters(parameters(Some(Mode::CBC), PKCS5)),
    ]);
    let name = |requested: Option<&Parameters>| {
        choose(&attributes, requested, None).unwrap().mechanism.name
    };
    assert_eq!(name(None), "AES-CBC-PKCS5");
    assert_eq!(name(Some(&Parameters::default())), "AES-GCM");
    assert_eq!(name(Some(&parameters(Some(Mode::CTR), None))), "AES-CTR");
}

#[test]
fn the_originals_short_nonce_means_the_original() {
    let attributes = Attributes(vec![Attribute::CryptographicAlgorithm(Algorithm::ChaCha20)]);
    let choice = choose(&attributes, None, Some(&[0; 8])).unwrap();
    assert_eq!(choice.mechanism.name, "ChaCha20");
}

#[test]
fn every_mechanism_has_known_answers() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kms-crypto/vectors");
    for mechanism in MECHANISMS {
        assert!(!mechanism.vectors.is_empty(), "{}", mechanism.name);
        for file in mechanism.vectors {
            let text = std::fs::read_to_string(vectors.join(file)).unwrap();
            assert!(text.lines().count() > 10, "{}: {file}", mechanism.name);
        }
    }
}

#[test]
fn tag_lengths_are_those_of_the_mechanism() {
    let check = |mode, asked: Option<i32>, expected: std::result::Result<usize, ResultReason>| {
        let parameters = Parameters { tag_length: asked, ..parameters(Some(mode), None) };
        let attributes = Attributes(vec![Attribute::CryptographicAlgorithm(Algorithm::AES)]);
        let choice = choose(&attributes, Some(&parameters), None).unwrap();
        assert_eq!(choice.tag_length().map_err(|error| error.reason), expected, "{asked:?}");
    };
    check(Mode::GCM, None, Ok(16));
    check(Mode::GCM, Some(12), Ok(12));
    for bad in [-1, 0, 1, 17, 32] {
        check(Mode::GCM, Some(bad), Err(ResultReason::GeneralFailure));
    }
    check(Mode::CBC, None, Ok(0));
    check(Mode::CBC, Some(16), Err(ResultReason::UnsupportedCryptographicParameters));
}

#[test]
fn ivs_are_made_in_the_length_asked_for() {
    let check = |mode, bits, random, expected: std::result::Result<Option<usize>, ResultReason>| {
        let parameters =
            Parameters { iv_length: bits, random_iv: random, ..parameters(Some(mode), None) };
        let attributes = Attributes(vec![Attribute::CryptographicAlgorithm(Algorithm::AES)]);
        let choice = choose(&attributes, Some(&parameters), None).unwrap();
        let made = choice.make_iv(None).map(|iv| iv.map(|iv| iv.len()));
        assert_eq!(made.map_err(|error| error.reason), expected, "{mode:?} {bits:?} {random:?}");
        assert_eq!(choice.make_iv(Some(&[1])).unwrap(), None, "a given IV is not replaced");
    };
    let unsupported = ResultReason::UnsupportedCryptographicParameters;
    check(Mode::GCM, None, None, Ok(Some(12)));
    check(Mode::GCM, Some(128), Some(true), Ok(Some(16)));
    check(Mode::GCM, Some(100), None, Err(unsupported));
    check(Mode::GCM, Some(1 << 20), None, Err(unsupported));
    check(Mode::CBC, None, None, Ok(Some(16)));
    check(Mode::CBC, Some(64), None, Err(unsupported));
    check(Mode::CTR, None, Some(false), Err(ResultReason::InvalidMessage));
    check(Mode::ECB, None, None, Ok(None));
    check(Mode::NISTKeyWrap, None, None, Ok(None));
}

/// Wraps and unwraps, and finds a changed byte.
fn check_wrap(
    keys: (&StoredMaterial, &StoredMaterial),
    algorithm: Algorithm,
    parameters: Option<&Parameters>,
    (plain, length): (&[u8], usize),
) {
    let algorithm = Some(algorithm);
    let mut wrapped = wrap(keys.0, algorithm, parameters, plain).unwrap();
    assert_eq!(wrapped.len(), length, "{parameters:?}");
    let back = unwrap(keys.1, algorithm, parameters, &wrapped).unwrap();
    assert!(back.matches(plain), "{parameters:?}");
    for at in [0, length / 2, length - 1] {
        wrapped[at] ^= 1;
        let error = unwrap(keys.1, algorithm, parameters, &wrapped).err().unwrap();
        assert_eq!(error.reason, ResultReason::CryptographicFailure, "{parameters:?} at {at}");
        wrapped[at] ^= 1;
    }
    for cut in [0, 1, 12, length - 1] {
        let error = unwrap(keys.1, algorithm, parameters, &wrapped[..cut]).err().unwrap();
        assert_eq!(error.reason, ResultReason::CryptographicFailure, "{parameters:?} cut {cut}");
    }
}

#[test]
fn keys_wrap_and_unwrap() {
    let aes = material(vec![7; 32]);
    let kek = (&aes, &aes);
    let mode = |mode| parameters(Some(mode), None);
    check_wrap(kek, Algorithm::AES, None, (&[1; 32], 40));
    check_wrap(kek, Algorithm::AES, None, (&[1; 33], 48));
    check_wrap(kek, Algorithm::AES, Some(&mode(Mode::NISTKeyWrap)), (&[1; 32], 40));
    check_wrap(kek, Algorithm::AES, Some(&mode(Mode::AESKeyWrapPadding)), (&[1; 32], 40));
    check_wrap(kek, Algorithm::AES, Some(&mode(Mode::AESKeyWrapPadding)), (&[1; 5], 16));
    check_wrap(kek, Algorithm::AES, Some(&mode(Mode::GCM)), (&[1; 33], 12 + 33 + 16));
    for refused in [Mode::CBC, Mode::GCMSIV, Mode::CTR, Mode::ECB] {
        let error = wrap(&aes, Some(Algorithm::AES), Some(&mode(refused)), &[1; 32]).unwrap_err();
        assert_eq!(error.reason, ResultReason::UnsupportedCryptographicParameters, "{refused:?}");
    }
    let odd = wrap(&aes, Some(Algorithm::AES), Some(&mode(Mode::NISTKeyWrap)), &[1; 33]);
    assert_eq!(odd.unwrap_err().reason, ResultReason::InvalidField);
}

#[test]
fn keys_wrap_under_rsa() {
    use kms_crypto::format::{PrivateFormat, PrivateKey, PublicFormat};
    let der = kms_crypto::asymmetric::rsa::generate(2048).unwrap();
    let private = PrivateKey::parse(PrivateFormat::Pkcs8, der.expose()).unwrap();
    let public = material(private.public().encode(PublicFormat::Spki).unwrap());
    let private = material(der.into_bytes());
    let keys = (&public, &private);
    let sha256 = Some(HashingAlgorithm::SHA_256);
    let oaep = Parameters { hashing_algorithm: sha256, ..parameters(None, Some(Padding::OAEP)) };
    check_wrap(keys, Algorithm::RSA, None, (&[1; 32], 256));
    check_wrap(keys, Algorithm::RSA, Some(&oaep), (&[1; 32], 256));
    let hybrid = Parameters { hashing_algorithm: sha256, ..parameters(None, Some(Padding::None)) };
    check_wrap(keys, Algorithm::RSA, Some(&hybrid), (&[1; 400], 256 + 408));
    let pkcs1 = parameters(None, Some(Padding::PKCS1V1_5));
    let refused = wrap(&public, Some(Algorithm::RSA), Some(&pkcs1), &[1; 32]).unwrap_err();
    assert_eq!(refused.reason, ResultReason::UnsupportedCryptographicParameters);
    let wrong_half = wrap(&private, Some(Algorithm::RSA), None, &[1; 32]).unwrap_err();
    assert_eq!(wrong_half.reason, ResultReason::BadCryptographicParameters);
}

#[test]
fn symmetric_keys_have_the_lengths_of_their_algorithm() {
    let check = |algorithm, bits, expected: std::result::Result<usize, ResultReason>| {
        let made = generate_symmetric(algorithm, bits).map(|key| key.len());
        assert_eq!(made.map_err(|error| error.reason), expected, "{algorithm:?} {bits:?}");
    };
    let bad = ResultReason::InvalidAttributeValue;
    check(Algorithm::AES, Some(256), Ok(32));
    check(Algorithm::AES, Some(77), Err(bad));
    check(Algorithm::AES, Some(-8), Err(bad));
    check(Algorithm::AES, None, Err(ResultReason::InvalidMessage));
    check(Algorithm::ChaCha20, None, Ok(32));
    check(Algorithm::HMAC_SHA256, Some(128), Ok(16));
    check(Algorithm::HMAC_SHA256, Some(129), Err(bad));
    check(Algorithm::HMAC_SHA256, Some(1 << 30), Err(bad));
    check(Algorithm::DES3, Some(168), Ok(24));
    check(Algorithm::RSA, Some(2048), Err(ResultReason::OperationNotSupported));
    check(Algorithm::RC4, Some(128), Err(ResultReason::OperationNotSupported));
}

#[test]
fn pairs_are_named_by_algorithm_length_and_curve() {
    use kmip::enumerations::RecommendedCurve as Named;
    use kms_crypto::asymmetric::ec::Curve;
    let check = |algorithm, bits, curve, expected: std::result::Result<PairKind, ResultReason>| {
        let kind = pair_kind(algorithm, bits, curve).map_err(|error| error.reason);
        assert_eq!(kind, expected, "{algorithm:?} {bits:?} {curve:?}");
    };
    let bad = ResultReason::InvalidAttributeValue;
    check(Algorithm::RSA, Some(2048), None, Ok(PairKind::Rsa(2048)));
    check(Algorithm::RSA, Some(1024), None, Err(bad));
    check(Algorithm::RSA, None, None, Err(ResultReason::InvalidMessage));
    check(Algorithm::ECDH, None, Some(Named::P_256), Ok(PairKind::Ec(Curve::P256)));
    check(Algorithm::ECDSA, Some(384), None, Ok(PairKind::Ec(Curve::P384)));
    check(Algorithm::EC, Some(256), Some(Named::P_384), Err(bad));
    check(Algorithm::ECDH, None, Some(Named::CURVE25519), Ok(PairKind::Ec(Curve::X25519)));
    check(Algorithm::Ed25519, None, None, Ok(PairKind::Ec(Curve::Ed25519)));
    check(Algorithm::ECDH, None, Some(Named::CURVEED25519), Err(bad));
    check(Algorithm::Ed25519, None, Some(Named::P_256), Err(bad));
    let unsupported = ResultReason::UnsupportedCryptographicParameters;
    check(Algorithm::EC, None, Some(Named::P_192), Err(unsupported));
    check(Algorithm::DSA, Some(2048), None, Err(ResultReason::OperationNotSupported));
}

#[test]
fn what_was_left_open_is_told() {
    let aes = Some(Algorithm::AES);
    let mode = |length| settled(aes, None, length).unwrap().block_cipher_mode;
    assert_eq!(mode(32), Some(Mode::NISTKeyWrap));
    assert_eq!(mode(33), Some(Mode::AESKeyWrapPadding));
    let gcm = parameters(Some(Mode::GCM), None);
    assert_eq!(settled(aes, Some(&gcm), 33), Some(gcm));
    let rsa = settled(Some(Algorithm::RSA), None, 32).unwrap();
    assert_eq!(rsa.padding_method, Some(Padding::OAEP));
    assert_eq!(rsa.hashing_algorithm, Some(HashingAlgorithm::SHA_256));
}
