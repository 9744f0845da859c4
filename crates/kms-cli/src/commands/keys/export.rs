//! `kms keys export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use kmip::enumerations::{KeyFormatType, ObjectType};
use kmip::object::Object;
use kmip::operation::{ExportRequest, GetRequest};
use kms_client::Client;
use serde_json::json;

use super::material::written;
use super::wrapping::Wrapping;
use crate::commands::subject::{self, Facts, Subject};
use crate::context::Context;
use crate::error::Error;
use crate::files::{self, Existing};
use crate::render::Answer;

/// Read a key from the server into a file
///
/// The file can be read by you alone. Who has it can use the key without the server: prefer
/// --wrap-key.
#[derive(Args, Debug)]
pub(crate) struct Export {
    #[command(flatten)]
    subject: Subject,
    /// The file; - for standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    out: PathBuf,
    /// The form [default: pem for public and private keys and certificates, raw for others,
    /// json-ttlv with --wrap-key]
    #[arg(long, value_enum)]
    format: Option<Format>,
    #[command(flatten)]
    wrapping: Wrapping,
    /// Export it in any state it is in, even revoked
    #[arg(long)]
    allow_revoked: bool,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
}

/// The forms of a key in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// The bytes themselves
    Raw,
    /// The bytes in base64
    Base64,
    /// The bytes in hexadecimal
    Hex,
    /// Text: PKCS#8, SPKI or a certificate
    Pem,
    /// PKCS#1 in DER (RSA)
    Pkcs1,
    /// PKCS#8 in DER (private keys)
    Pkcs8,
    /// SEC1 in DER (private keys on elliptic curves)
    Sec1,
    /// SubjectPublicKeyInfo in DER (public keys)
    Spki,
    /// A certificate in DER
    X509,
    /// The whole object, as KMIP's JSON
    JsonTtlv,
}

impl Format {
    /// The form in which the server is asked for it; `None` for the one it has.
    fn kmip(self, object_type: Option<ObjectType>) -> Option<KeyFormatType> {
        match (self, object_type) {
            (Self::Pem, Some(ObjectType::PrivateKey)) | (Self::Pkcs8, _) => {
                Some(KeyFormatType::PKCS_8)
            }
            (Self::Pem | Self::X509, Some(ObjectType::PublicKey)) | (Self::Spki, _) => {
                Some(KeyFormatType::X_509)
            }
            (Self::Raw | Self::Base64 | Self::Hex, Some(ObjectType::SymmetricKey)) => {
                Some(KeyFormatType::Raw)
            }
            (Self::Pkcs1, _) => Some(KeyFormatType::PKCS_1),
            (Self::Sec1, _) => Some(KeyFormatType::ECPrivateKey),
            _ => None,
        }
    }
}

impl Export {
    pub(crate) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let subject = self.subject.object();
        let client = context.client().await?;
        let facts = subject.facts(&client).await?;
        let format = self.format.unwrap_or(match facts.object_type {
            Some(ObjectType::Certificate) => Format::Pem,
            // Whoever unwraps has to know how it was wrapped, and that is in there.
            _ if self.wrapping.wrap_key.is_some() => Format::JsonTtlv,
            Some(ObjectType::PrivateKey | ObjectType::PublicKey) => Format::Pem,
            _ => Format::Raw,
        });
        self.wrapping.fits(format)?;
        let object = self.object(&client, &subject, &facts, format).await?;
        let bytes = written(&object, format)?;
        files::write_key(&self.out, bytes.expose(), Existing::forced(self.force))?;
        if files::is_standard(&self.out) {
            return Ok(Answer::Silent);
        }
        let path = self.out.display().to_string();
        Ok(Answer::done(
            format!("{} is in {path}", facts.id),
            [("unique_identifier", json!(facts.id)), ("file", json!(path))],
        ))
    }

    async fn object(
        &self,
        client: &Client,
        subject: &subject::Object,
        facts: &Facts,
        format: Format,
    ) -> Result<Object, Error> {
        // What is encrypted has the form it was encrypted in.
        let key_format_type = format.kmip(facts.object_type);
        let specification = self.wrapping.specification();
        if self.allow_revoked {
            let request = ExportRequest {
                unique_identifier: Some(subject.identifier()),
                key_format_type,
                key_wrapping_specification: specification.map(Box::new),
                ..ExportRequest::default()
            };
            return Ok(subject.call(client, request).await?.object);
        }
        let request = GetRequest {
            unique_identifier: Some(subject.identifier()),
            key_format_type,
            key_wrapping_specification: specification.map(Box::new),
            ..GetRequest::default()
        };
        Ok(subject.call(client, request).await?.object)
    }
}
