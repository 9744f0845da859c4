//! `kms keys create`.

use clap::{Args, ValueEnum};
use kmip::attribute::Attribute;
use kmip::enumerations::{CryptographicAlgorithm, ObjectType};
use kmip::operation::CreateRequest;
use serde_json::json;

use super::wanted::{Usage, Wanted};
use crate::context::Context;
use crate::error::Error;
use crate::render::Answer;

/// Make a symmetric key at the server; it works at once
#[derive(Args, Debug)]
pub(crate) struct Create {
    /// What it is for
    #[arg(long, value_enum, default_value_t = Algorithm::Aes)]
    algorithm: Algorithm,
    /// Its length in bits
    #[arg(long, value_name = "BITS", default_value_t = 256)]
    length: i32,
    /// What it may be used for [default: encrypt, decrypt, wrap and unwrap]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "USAGE")]
    usage: Vec<Usage>,
    #[command(flatten)]
    wanted: Wanted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Algorithm {
    /// AES
    Aes,
    /// ChaCha20-Poly1305
    Chacha20,
}

impl Algorithm {
    pub(super) fn code(self) -> CryptographicAlgorithm {
        match self {
            Self::Aes => CryptographicAlgorithm::AES,
            Self::Chacha20 => CryptographicAlgorithm::ChaCha20Poly1305,
        }
    }

    pub(super) fn usage(self) -> &'static [Usage] {
        match self {
            Self::Aes => &[Usage::Encrypt, Usage::Decrypt, Usage::Wrap, Usage::Unwrap],
            Self::Chacha20 => &[Usage::Encrypt, Usage::Decrypt],
        }
    }
}

impl Create {
    pub(crate) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let mut attributes = self.wanted.attributes()?;
        attributes.0.extend([
            Attribute::CryptographicAlgorithm(self.algorithm.code()),
            Attribute::CryptographicLength(self.length),
            Usage::mask(&self.usage, self.algorithm.usage()),
        ]);
        attributes.0.extend(self.wanted.identifier());
        let request = CreateRequest {
            object_type: ObjectType::SymmetricKey,
            attributes,
            protection_storage_masks: None,
        };
        let id = context.client().await?.call(request).await?.unique_identifier;
        Ok(Answer::done(id.clone(), [("unique_identifier", json!(id))]))
    }
}
