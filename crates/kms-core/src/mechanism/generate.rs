//! Making keys: which algorithms, in which lengths.

use kmip::enumerations::{
    CryptographicAlgorithm as Algorithm, KeyFormatType as Format, RecommendedCurve, ResultReason,
};
use kmip::object::KeyMaterial;
use kms_crypto::asymmetric::ec::{self, Curve};
use kms_crypto::asymmetric::rsa;
use kms_crypto::format::{PrivateFormat, PrivateKey};
use kms_crypto::random;
use kms_crypto::secret::Secret;

use super::failure;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::key_form::{self, Facts, Key};

/// Which lengths a symmetric algorithm has, in bits.
enum Lengths {
    OneOf(&'static [usize]),
    /// Whole bytes, from the first to the last.
    Between(usize, usize),
}

/// A symmetric algorithm that keys are made for. Some are only kept for their owners, and not
/// computed with.
const SYMMETRIC: &[(Algorithm, Lengths)] = &[
    // 512 bits are two keys of 256: for XTS.
    (Algorithm::AES, Lengths::OneOf(&[128, 192, 256, 512])),
    (Algorithm::ChaCha20, Lengths::OneOf(&[256])),
    (Algorithm::ChaCha20Poly1305, Lengths::OneOf(&[256])),
    (Algorithm::HMAC_SHA1, HMAC),
    (Algorithm::HMAC_SHA224, HMAC),
    (Algorithm::HMAC_SHA256, HMAC),
    (Algorithm::HMAC_SHA384, HMAC),
    (Algorithm::HMAC_SHA512, HMAC),
    (Algorithm::DES3, Lengths::OneOf(&[112, 128, 168, 192])),
    (Algorithm::SKIPJACK, Lengths::OneOf(&[80])),
];
const HMAC: Lengths = Lengths::Between(80, 4096);

/// Makes a symmetric key. Without a length it is the only one, or 256 bits.
pub(crate) fn generate_symmetric(algorithm: Algorithm, bits: Option<i32>) -> Result<Secret> {
    let row = SYMMETRIC.iter().find(|row| row.0 == algorithm);
    let (_, lengths) = row.ok_or_else(|| not_made(algorithm))?;
    let bits = match (bits, lengths) {
        (Some(bits), _) => bits,
        (None, Lengths::OneOf([only])) => i32::try_from(*only).unwrap_or(i32::MAX),
        (None, _) => return Err(missing("Cryptographic Length")),
    };
    let bits = match (algorithm, fitting(algorithm, lengths, bits)?) {
        // The parity bits belong to the key: 8 to each 56.
        (Algorithm::DES3, 112) => 128,
        (Algorithm::DES3, 168) => 192,
        (_, bits) => bits,
    };
    let mut key = random::secret(bits / 8).map_err(failure)?;
    if algorithm == Algorithm::DES3 {
        set_odd_parity(key.expose_mut());
    }
    Ok(key)
}

/// Refuses a length that a symmetric algorithm does not have; one that is not known here may have
/// any.
pub(crate) fn check_length(algorithm: Algorithm, bits: i32) -> Result<()> {
    match SYMMETRIC.iter().find(|row| row.0 == algorithm) {
        Some((_, lengths)) => fitting(algorithm, lengths, bits).map(|_| ()),
        None => Ok(()),
    }
}

/// The length, where it is one of those.
fn fitting(algorithm: Algorithm, lengths: &Lengths, bits: i32) -> Result<usize> {
    let fits = usize::try_from(bits).ok().filter(|bits| match lengths {
        Lengths::OneOf(lengths) => lengths.contains(bits),
        Lengths::Between(least, most) => (*least..=*most).contains(bits) && bits.is_multiple_of(8),
    });
    fits.ok_or_else(|| {
        let allowed = match lengths {
            Lengths::OneOf(lengths) => format!("one of {lengths:?}"),
            Lengths::Between(least, most) => {
                format!("a multiple of 8 from {least} to {most}")
            }
        };
        bad_length(algorithm, bits, &allowed)
    })
}

/// The lowest bit of each byte of a DES key makes the number of its ones odd.
fn set_odd_parity(key: &mut [u8]) {
    for byte in key {
        let even = (*byte & 0xFE).count_ones().is_multiple_of(2);
        *byte = (*byte & 0xFE) | u8::from(even);
    }
}

/// What a key pair is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PairKind {
    /// RSA, with a modulus of so many bits.
    Rsa(usize),
    /// A curve.
    Ec(Curve),
}

/// A key pair that was just made, each half in its default form.
pub(crate) struct Pair {
    pub(crate) private: (Format, KeyMaterial),
    pub(crate) public: (Format, KeyMaterial),
    /// What the key says of itself.
    pub(crate) facts: Facts,
}

/// Which pair is meant.
pub(crate) fn pair_kind(
    algorithm: Algorithm,
    bits: Option<i32>,
    curve: Option<RecommendedCurve>,
) -> Result<PairKind> {
    match algorithm {
        Algorithm::RSA => {
            let bits = bits.ok_or_else(|| missing("Cryptographic Length"))?;
            let made = usize::try_from(bits).ok().filter(|it| rsa::GENERATED_BITS.contains(it));
            let allowed = || format!("one of {:?}", rsa::GENERATED_BITS);
            made.map(PairKind::Rsa).ok_or_else(|| bad_length(algorithm, bits, &allowed()))
        }
        Algorithm::EC | Algorithm::ECDSA | Algorithm::ECDH | Algorithm::Ed25519 => {
            let curve = match (curve, bits) {
                (Some(named), _) => key_form::curve_of(named).ok_or_else(|| {
                    let text = format!("key pairs on the curve {named} are not made here");
                    Error::new(ResultReason::UnsupportedCryptographicParameters, text)
                })?,
                (None, _) if algorithm == Algorithm::Ed25519 => Curve::Ed25519,
                (None, Some(256)) => Curve::P256,
                (None, Some(384)) => Curve::P384,
                (None, Some(521)) => Curve::P521,
                (None, Some(bits)) => {
                    return Err(bad_length(algorithm, bits, "256, 384 or 521, or name a curve"));
                }
                (None, None) => return Err(missing("Cryptographic Domain Parameters")),
            };
            check_curve(algorithm, curve, bits)?;
            Ok(PairKind::Ec(curve))
        }
        other => Err(not_made(other)),
    }
}

/// Algorithm, length and curve must not contradict each other.
fn check_curve(algorithm: Algorithm, curve: Curve, bits: Option<i32>) -> Result<()> {
    let signs_only = curve == Curve::Ed25519;
    let agrees_only = curve == Curve::X25519;
    let fits = match algorithm {
        Algorithm::Ed25519 => signs_only,
        Algorithm::ECDSA => !signs_only && !agrees_only,
        Algorithm::ECDH => !signs_only,
        _ => true,
    };
    if !fits {
        return Err(Error::new(
            ResultReason::InvalidAttributeValue,
            format!("there are no {algorithm} keys on the curve {}", curve.name()),
        ));
    }
    match bits {
        Some(bits) if usize::try_from(bits) != Ok(curve.bits()) => {
            Err(bad_length(algorithm, bits, &format!("{} on this curve", curve.bits())))
        }
        _ => Ok(()),
    }
}

/// Makes a key pair: RSA's on the queue of slow work, a curve's at once.
pub(crate) async fn generate_pair(context: &Context<'_>, kind: PairKind) -> Result<Pair> {
    match kind {
        PairKind::Rsa(bits) => context.service.slow.run(move || rsa_pair(bits)).await?,
        PairKind::Ec(curve) => ec_pair(curve),
    }
}

fn rsa_pair(bits: usize) -> Result<Pair> {
    let der = rsa::generate(bits).map_err(failure)?;
    // Reading it checks it, which takes milliseconds.
    let private = PrivateKey::parse(PrivateFormat::Pkcs8, der.expose()).map_err(failure)?;
    pair(private, Format::PKCS_1, Format::PKCS_1)
}

fn ec_pair(curve: Curve) -> Result<Pair> {
    let made = ec::generate(curve).map_err(failure)?;
    let private = PrivateKey::from_pair(made);
    match curve {
        // Their private keys are bytes, not numbers.
        Curve::Ed25519 | Curve::X25519 => pair(private, Format::PKCS_8, Format::X_509),
        _ => pair(private, Format::TransparentECPrivateKey, Format::TransparentECPublicKey),
    }
}

fn pair(private: PrivateKey, private_form: Format, public_form: Format) -> Result<Pair> {
    let public = Key::Public(private.public()).write(public_form)?;
    let private = Key::Private(private);
    let facts = private.facts();
    let private = private.write(private_form)?;
    Ok(Pair { private: (private_form, private), public: (public_form, public), facts })
}

fn missing(attribute: &str) -> Error {
    Error::new(ResultReason::InvalidMessage, format!("the attribute {attribute} is missing"))
}

fn not_made(algorithm: Algorithm) -> Error {
    Error::new(
        ResultReason::OperationNotSupported,
        format!("keys for {algorithm} are not made by this operation"),
    )
}

fn bad_length(algorithm: Algorithm, bits: i32, allowed: &str) -> Error {
    Error::new(
        ResultReason::InvalidAttributeValue,
        format!("{algorithm} has no keys of {bits} bits; allowed: {allowed}"),
    )
}
