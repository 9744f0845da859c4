//! `kms attributes add`.

use clap::Args;
use kmip::operation::{AddAttributeRequest, Request};
use serde_json::json;

use crate::attribute_text::parse;
use crate::commands::subject::Object;
use crate::context::Context;
use crate::error::Error;
use crate::render::Answer;

/// Add attributes: further names, links, groups, or ones that are not there yet
#[derive(Args, Debug)]
pub(crate) struct Add {
    #[command(flatten)]
    object: Object,
    /// What: Name=backup, ActivationDate=now, acme:cost=7, Tags='["a","b"]', …
    #[arg(value_name = "NAME=VALUE", required = true)]
    attributes: Vec<String>,
}

impl Add {
    pub(crate) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let mut requests = Vec::with_capacity(self.attributes.len());
        for text in &self.attributes {
            requests.push(Request::AddAttribute(AddAttributeRequest {
                unique_identifier: Some(self.object.identifier()),
                attribute: parse(text)?.into(),
            }));
        }
        self.object.all_or_nothing(&context.client().await?, requests).await?;
        let id = self.object.text();
        Ok(Answer::done(
            format!("{id}: {} added", self.attributes.join(", ")),
            [("unique_identifier", json!(id))],
        ))
    }
}
