//! What a new object is to be like: the options that making and importing share.

use clap::{Args, ValueEnum};
use kmip::attribute::{Attribute, Attributes, Name};
use kmip::enumerations::CryptographicUsageMask;
use kmip::wire::DateTime;

use crate::attribute_text::{now, parse, tags};
use crate::error::Error;

/// The options.
#[derive(Args, Debug)]
pub(super) struct Wanted {
    /// A name for people
    #[arg(long)]
    name: Option<String>,
    /// A tag to find it by; may be given several times
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// The identifier it is to have [default: the server makes one]
    #[arg(long, value_name = "ID")]
    pub(super) id: Option<String>,
    /// Leave it Pre-Active: it works only after `kms keys activate`
    #[arg(long)]
    pre_active: bool,
    /// Another attribute; may be given several times
    #[arg(long = "attribute", value_name = "NAME=VALUE")]
    attributes: Vec<String>,
}

impl Wanted {
    /// All but the identifier, as attributes.
    pub(super) fn attributes(&self) -> Result<Attributes, Error> {
        let mut all = Vec::new();
        if let Some(name) = &self.name {
            all.push(Attribute::Name(Name::from(name.as_str())));
        }
        if !self.tags.is_empty() {
            all.push(tags(&self.tags));
        }
        if !self.pre_active {
            all.push(Attribute::ActivationDate(DateTime(now())));
        }
        for text in &self.attributes {
            all.push(parse(text)?);
        }
        Ok(Attributes(all))
    }

    /// The identifier, as an attribute.
    pub(super) fn identifier(&self) -> Option<Attribute> {
        let id = self.id.clone()?;
        Some(Attribute::UniqueIdentifier(id))
    }
}

/// What a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Usage {
    /// Sign
    Sign,
    /// Verify signatures
    Verify,
    /// Encrypt data
    Encrypt,
    /// Decrypt data
    Decrypt,
    /// Wrap other keys
    Wrap,
    /// Unwrap other keys
    Unwrap,
    /// Make MACs
    Mac,
    /// Verify MACs
    MacVerify,
    /// Derive other keys
    Derive,
    /// Agree on keys
    Agree,
}

impl Usage {
    fn bit(self) -> CryptographicUsageMask {
        match self {
            Self::Sign => CryptographicUsageMask::Sign,
            Self::Verify => CryptographicUsageMask::Verify,
            Self::Encrypt => CryptographicUsageMask::Encrypt,
            Self::Decrypt => CryptographicUsageMask::Decrypt,
            Self::Wrap => CryptographicUsageMask::WrapKey,
            Self::Unwrap => CryptographicUsageMask::UnwrapKey,
            Self::Mac => CryptographicUsageMask::MACGenerate,
            Self::MacVerify => CryptographicUsageMask::MACVerify,
            Self::Derive => CryptographicUsageMask::DeriveKey,
            Self::Agree => CryptographicUsageMask::KeyAgreement,
        }
    }

    /// The mask of several; of `default` where none is named.
    pub(super) fn mask(named: &[Self], default: &[Self]) -> Attribute {
        let all = if named.is_empty() { default } else { named };
        let bits = all.iter().fold(0, |bits, usage| bits | usage.bit().0);
        Attribute::CryptographicUsageMask(CryptographicUsageMask(bits))
    }
}
