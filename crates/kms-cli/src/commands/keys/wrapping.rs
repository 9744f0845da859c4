//! Keys that travel encrypted under another key: `--wrap-key`.

use clap::{Args, ValueEnum};
use kmip::attribute::CryptographicParameters;
use kmip::enumerations::{BlockCipherMode, EncodingOption, WrappingMethod};
use kmip::identifier::UniqueIdentifier;
use kmip::object::{EncryptionKeyInformation, KeyWrappingData, KeyWrappingSpecification};

use super::export::Format;
use crate::commands::data_key::oaep;
use crate::error::Error;

/// The options.
#[derive(Args, Debug)]
pub(super) struct Wrapping {
    /// The server's key under which the key travels, by identifier
    #[arg(long, value_name = "ID")]
    pub(super) wrap_key: Option<String>,
    /// How it is wrapped
    #[arg(long, value_enum, value_name = "METHOD", default_value_t = Method::KeyWrapPadded, requires = "wrap_key")]
    wrap_method: Method,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Method {
    /// AES key wrap with padding, RFC 5649
    KeyWrapPadded,
    /// AES key wrap, RFC 3394
    KeyWrap,
    /// AES-GCM
    AesGcm,
    /// RSA-OAEP with SHA-256
    RsaOaep,
}

impl Method {
    fn parameters(self) -> CryptographicParameters {
        let parameters = CryptographicParameters::default();
        match self {
            Self::KeyWrapPadded => CryptographicParameters {
                block_cipher_mode: Some(BlockCipherMode::AESKeyWrapPadding),
                ..parameters
            },
            Self::KeyWrap => CryptographicParameters {
                block_cipher_mode: Some(BlockCipherMode::NISTKeyWrap),
                ..parameters
            },
            Self::AesGcm => CryptographicParameters {
                block_cipher_mode: Some(BlockCipherMode::GCM),
                tag_length: Some(16),
                ..parameters
            },
            Self::RsaOaep => oaep(),
        }
    }
}

impl Wrapping {
    /// Refuses a form in which the wrapped key could not be unwrapped again.
    pub(super) fn fits(&self, format: Format) -> Result<(), Error> {
        let lost = self.wrap_method == Method::AesGcm && format != Format::JsonTtlv;
        if self.wrap_key.is_some() && lost {
            return Err(Error::usage("this form has no place for the nonce of AES-GCM")
                .hint("use --format json-ttlv, or another --wrap-method"));
        }
        Ok(())
    }

    fn key(&self) -> Option<EncryptionKeyInformation> {
        let id = self.wrap_key.clone()?;
        Some(EncryptionKeyInformation {
            unique_identifier: UniqueIdentifier::Id(id),
            cryptographic_parameters: Some(self.wrap_method.parameters()),
        })
    }

    /// What an export asks for.
    pub(super) fn specification(&self) -> Option<KeyWrappingSpecification> {
        Some(KeyWrappingSpecification {
            wrapping_method: WrappingMethod::Encrypt,
            encryption_key_information: Some(self.key()?),
            mac_signature_key_information: None,
            attribute_names: Vec::new(),
            encoding_option: Some(EncodingOption::NoEncoding),
        })
    }

    /// Names the key that unwraps what a file says is wrapped. Where a public key wrapped it, only
    /// the caller knows the private one.
    pub(super) fn unwrap_by(&self, data: &mut KeyWrappingData) {
        let information = data.encryption_key_information.as_mut();
        if let (Some(id), Some(information)) = (&self.wrap_key, information) {
            information.unique_identifier = UniqueIdentifier::Id(id.clone());
        }
    }

    /// What an import says about the bytes it brings.
    pub(super) fn data(&self) -> Option<KeyWrappingData> {
        Some(KeyWrappingData {
            wrapping_method: WrappingMethod::Encrypt,
            encryption_key_information: Some(self.key()?),
            mac_signature_key_information: None,
            mac_signature: None,
            iv_counter_nonce: None,
            encoding_option: Some(EncodingOption::NoEncoding),
        })
    }
}
