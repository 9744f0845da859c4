//! `kms attributes delete`.

use clap::Args;
use kmip::operation::{DeleteAttributeRequest, Request};
use serde_json::json;

use crate::attribute_text::{named, parse};
use crate::commands::subject::Object;
use crate::context::Context;
use crate::error::Error;
use crate::render::Answer;

/// Delete attributes: by NAME all of that name, by NAME=VALUE the one
#[derive(Args, Debug)]
pub(crate) struct Delete {
    #[command(flatten)]
    object: Object,
    /// Which: Name=backup, ObjectGroup, acme:cost, …
    #[arg(value_name = "NAME[=VALUE]", required = true)]
    attributes: Vec<String>,
}

impl Delete {
    pub(crate) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let mut requests = Vec::with_capacity(self.attributes.len());
        for text in &self.attributes {
            let (current, by_name) = if text.contains('=') {
                (Some(parse(text)?.into()), None)
            } else {
                (None, Some(named(text)?))
            };
            requests.push(Request::DeleteAttribute(DeleteAttributeRequest {
                unique_identifier: Some(self.object.identifier()),
                current_attribute: current,
                name: by_name,
                attribute_index: None,
            }));
        }
        self.object.all_or_nothing(&context.client().await?, requests).await?;
        let id = self.object.text();
        Ok(Answer::done(
            format!("{id}: {} deleted", self.attributes.join(", ")),
            [("unique_identifier", json!(id))],
        ))
    }
}
