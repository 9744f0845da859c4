//! `kms attributes modify`.

use clap::Args;
use kmip::operation::{ModifyAttributeRequest, Request};
use serde_json::json;

use crate::attribute_text::parse;
use crate::commands::subject::Object;
use crate::context::Context;
use crate::error::Error;
use crate::render::Answer;

/// Change attributes that are there
#[derive(Args, Debug)]
pub(crate) struct Modify {
    #[command(flatten)]
    object: Object,
    /// What: Name=backup, ActivationDate=now, acme:cost=7, Tags='["a","b"]', …
    #[arg(value_name = "NAME=VALUE", required = true)]
    attributes: Vec<String>,
}

impl Modify {
    pub(crate) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let mut requests = Vec::with_capacity(self.attributes.len());
        for text in &self.attributes {
            requests.push(Request::ModifyAttribute(ModifyAttributeRequest {
                unique_identifier: Some(self.object.identifier()),
                current_attribute: None,
                new_attribute: parse(text)?.into(),
            }));
        }
        self.object.all_or_nothing(&context.client().await?, requests).await?;
        let id = self.object.text();
        Ok(Answer::done(
            format!("{id}: {} changed", self.attributes.join(", ")),
            [("unique_identifier", json!(id))],
        ))
    }
}
