//! `kms keys import`.

use std::path::PathBuf;

use clap::Args;
use kmip::attribute::{Attribute, Attributes};
use kmip::enumerations::{KeyWrapType, ObjectType, ResultReason};
use kmip::object::Object;
use kmip::operation::{ImportRequest, RegisterRequest};
use serde_json::json;
use uuid::Uuid;

use super::create::Algorithm;
use super::export::Format;
use super::material::{Content, Kind};
use super::wanted::{Usage, Wanted};
use super::wrapping::Wrapping;
use crate::context::Context;
use crate::error::Error;
use crate::files;
use crate::render::Answer;

/// Give the server a key, a secret or a certificate that is in a file
///
/// Text is recognised (PEM, KMIP's JSON); a file of other bytes is a symmetric key, unless --type
/// and --format say otherwise.
#[derive(Args, Debug)]
pub(crate) struct Import {
    /// The file; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The form it is in [default: what it looks like]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// What it is [default: what the form says, else a symmetric key]
    #[arg(long = "type", value_enum, value_name = "TYPE")]
    kind: Option<Kind>,
    /// What a symmetric key is for
    #[arg(long, value_enum, default_value_t = Algorithm::Aes)]
    algorithm: Algorithm,
    /// What it may be used for [default: as the algorithm allows]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "USAGE")]
    usage: Vec<Usage>,
    #[command(flatten)]
    wanted: Wanted,
    #[command(flatten)]
    wrapping: Wrapping,
    /// Keep a wrapped key as it is, instead of unwrapping it at the server
    #[arg(long)]
    keep_wrapped: bool,
    /// Replace the object of this --id if it is there
    #[arg(long, requires = "id")]
    replace: bool,
}

impl Import {
    pub(crate) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let bytes = files::read_key(&self.file)?;
        let held = Content::read(&bytes, self.format, self.kind)?;
        let (mut object, usage) = held.object(self.algorithm, self.wrapping.data())?;
        let data = object.key_block_mut().and_then(|key| key.key_wrapping_data.as_mut());
        let wrapped = data.is_some();
        if let Some(data) = data {
            self.wrapping.unwrap_by(data);
        }
        let object_type = object.object_type();
        let mut attributes = self.wanted.attributes()?;
        if !matches!(object_type, ObjectType::OpaqueObject) {
            attributes.0.push(Usage::mask(&self.usage, usage));
        }
        let client = context.client().await?;
        // Only Import chooses an identifier, replaces and unwraps; Register is for all the rest.
        let id = if self.wanted.id.is_some() || wrapped {
            let request = self.import(object, attributes, wrapped);
            let done = client.call(request).await.map_err(|error| self.told(error, wrapped))?;
            done.unique_identifier
        } else {
            key_attributes(&object, &mut attributes);
            let request =
                RegisterRequest { object_type, attributes, object, protection_storage_masks: None };
            client.call(request).await?.unique_identifier
        };
        Ok(Answer::done(id.clone(), [("unique_identifier", json!(id))]))
    }

    /// What the server said, and what to do where it could not unwrap with the key that the file
    /// names.
    fn told(&self, error: kms_client::Error, wrapped: bool) -> Error {
        let unfit = matches!(
            error.reason(),
            Some(
                ResultReason::IncompatibleCryptographicUsageMask
                    | ResultReason::ItemNotFound
                    | ResultReason::ObjectNotFound
                    | ResultReason::WrappingObjectNotFound
            )
        );
        let error = Error::from(error);
        if unfit && wrapped && !self.keep_wrapped {
            return error.hint(
                "name the key that unwraps it with --wrap-key (of a pair, the private key), or \
                 keep it as it is with --keep-wrapped",
            );
        }
        error
    }

    fn import(&self, object: Object, attributes: Attributes, wrapped: bool) -> ImportRequest {
        let kept =
            if self.keep_wrapped { KeyWrapType::AsRegistered } else { KeyWrapType::NotWrapped };
        ImportRequest {
            unique_identifier: self.wanted.id.clone().unwrap_or_else(|| Uuid::new_v4().to_string()),
            object_type: Some(object.object_type()),
            replace_existing: Some(self.replace),
            key_wrap_type: wrapped.then_some(kept),
            attributes,
            object,
        }
    }
}

/// Register wants the algorithm and the length as attributes, too.
fn key_attributes(object: &Object, attributes: &mut Attributes) {
    let Some(key) = object.key_block() else { return };
    if let Some(algorithm) = key.cryptographic_algorithm {
        attributes.0.push(Attribute::CryptographicAlgorithm(algorithm));
    }
    if let Some(length) = key.cryptographic_length {
        attributes.0.push(Attribute::CryptographicLength(length));
    }
}
