//! `kms keys rekey`.

use clap::Args;
use kmip::enumerations::ObjectType;
use kmip::operation::{RekeyKeyPairRequest, RekeyRequest};
use serde_json::json;

use crate::commands::subject::Subject;
use crate::context::Context;
use crate::error::Error;
use crate::render::Answer;

/// Replace a key by a new one, linked to it; the old one still decrypts
///
/// A private key is replaced together with its public key.
#[derive(Args, Debug)]
pub(crate) struct Rekey {
    #[command(flatten)]
    subject: Subject,
}

impl Rekey {
    pub(crate) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let subject = self.subject.object();
        let client = context.client().await?;
        let facts = subject.facts(&client).await?;
        match facts.object_type {
            Some(ObjectType::PrivateKey) => {
                let request = RekeyKeyPairRequest {
                    private_key_unique_identifier: Some(subject.identifier()),
                    ..RekeyKeyPairRequest::default()
                };
                let made = subject.call(&client, request).await?;
                let private = made.private_key_unique_identifier;
                let public = made.public_key_unique_identifier;
                Ok(Answer::Fields(vec![
                    ("private_key".to_owned(), json!(private)),
                    ("public_key".to_owned(), json!(public)),
                ]))
            }
            Some(ObjectType::PublicKey) => Err(Error::usage("this is a public key")
                .hint("name its private key: `kms keys show` has it as PrivateKeyLink")),
            _ => {
                let request = RekeyRequest {
                    unique_identifier: Some(subject.identifier()),
                    ..RekeyRequest::default()
                };
                let made = subject.call(&client, request).await?;
                let id = made.unique_identifier;
                Ok(Answer::done(id.clone(), [("unique_identifier", json!(id))]))
            }
        }
    }
}
