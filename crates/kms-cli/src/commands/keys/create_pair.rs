//! `kms keys create-pair`.

use clap::{Args, ValueEnum};
use kmip::attribute::{Attribute, Attributes, CryptographicDomainParameters};
use kmip::enumerations::{CryptographicAlgorithm, RecommendedCurve};
use kmip::operation::CreateKeyPairRequest;
use serde_json::json;

use super::wanted::{Usage, Wanted};
use crate::context::Context;
use crate::error::Error;
use crate::render::Answer;

/// Make a key pair at the server; it works at once
///
/// A chosen identifier is the private key's; the public key's is the same with _pk after it.
#[derive(Args, Debug)]
pub(crate) struct CreatePair {
    /// What kind of pair
    #[arg(long, value_enum)]
    algorithm: Algorithm,
    /// Length in bits (RSA) [default: 3072]
    #[arg(long, value_name = "BITS")]
    length: Option<i32>,
    /// The curve (EC) [default: p256]
    #[arg(long, value_enum)]
    curve: Option<Curve>,
    /// What the private key may be used for [default: as the algorithm allows]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "USAGE")]
    private_usage: Vec<Usage>,
    /// What the public key may be used for [default: as the algorithm allows]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "USAGE")]
    public_usage: Vec<Usage>,
    #[command(flatten)]
    wanted: Wanted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Algorithm {
    /// RSA
    Rsa,
    /// Elliptic curves of NIST and secp256k1
    Ec,
    /// Signatures on Curve25519
    Ed25519,
    /// Key agreement on Curve25519
    X25519,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Curve {
    /// NIST P-256
    P256,
    /// NIST P-384
    P384,
    /// NIST P-521
    P521,
    /// secp256k1
    Secp256k1,
}

/// What the protocol needs to be told about a kind of pair.
struct Kind {
    algorithm: CryptographicAlgorithm,
    length: i32,
    curve: Option<RecommendedCurve>,
    private: &'static [Usage],
    public: &'static [Usage],
}

const AGREEMENT: &[Usage] = &[Usage::Agree];

impl CreatePair {
    fn kind(&self) -> Result<Kind, Error> {
        if self.algorithm != Algorithm::Rsa && self.length.is_some() {
            return Err(Error::usage("--length is for RSA; a curve has its own length"));
        }
        if self.algorithm != Algorithm::Ec && self.curve.is_some() {
            return Err(Error::usage("--curve is for --algorithm ec"));
        }
        let signing = |algorithm, length, curve| Kind {
            algorithm,
            length,
            curve: Some(curve),
            private: &[Usage::Sign],
            public: &[Usage::Verify],
        };
        Ok(match self.algorithm {
            Algorithm::Rsa => Kind {
                algorithm: CryptographicAlgorithm::RSA,
                length: self.length.unwrap_or(3072),
                curve: None,
                private: &[Usage::Sign, Usage::Decrypt, Usage::Unwrap],
                public: &[Usage::Verify, Usage::Encrypt, Usage::Wrap],
            },
            Algorithm::Ec => {
                let (length, curve) = match self.curve.unwrap_or(Curve::P256) {
                    Curve::P256 => (256, RecommendedCurve::P_256),
                    Curve::P384 => (384, RecommendedCurve::P_384),
                    Curve::P521 => (521, RecommendedCurve::P_521),
                    Curve::Secp256k1 => (256, RecommendedCurve::SECP256K1),
                };
                signing(CryptographicAlgorithm::EC, length, curve)
            }
            Algorithm::Ed25519 => {
                signing(CryptographicAlgorithm::Ed25519, 256, RecommendedCurve::CURVEED25519)
            }
            Algorithm::X25519 => Kind {
                algorithm: CryptographicAlgorithm::EC,
                length: 256,
                curve: Some(RecommendedCurve::CURVE25519),
                private: AGREEMENT,
                public: AGREEMENT,
            },
        })
    }

    pub(crate) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let kind = self.kind()?;
        let mut common = self.wanted.attributes()?;
        common.0.extend([
            Attribute::CryptographicAlgorithm(kind.algorithm),
            Attribute::CryptographicLength(kind.length),
        ]);
        if let Some(curve) = kind.curve {
            common.0.push(Attribute::CryptographicDomainParameters(
                CryptographicDomainParameters {
                    recommended_curve: Some(curve),
                    ..CryptographicDomainParameters::default()
                },
            ));
        }
        let mut private = vec![Usage::mask(&self.private_usage, kind.private)];
        private.extend(self.wanted.identifier());
        let public = vec![Usage::mask(&self.public_usage, kind.public)];
        let request = CreateKeyPairRequest {
            common_attributes: Some(common),
            private_key_attributes: Some(Attributes(private)),
            public_key_attributes: Some(Attributes(public)),
            ..CreateKeyPairRequest::default()
        };
        let made = context.client().await?.call(request).await?;
        let private = made.private_key_unique_identifier;
        let public = made.public_key_unique_identifier;
        Ok(Answer::Fields(vec![
            ("private_key".to_owned(), json!(private)),
            ("public_key".to_owned(), json!(public)),
        ]))
    }
}
