//! `kms attributes list`.

use clap::Args;
use kmip::operation::GetAttributeListRequest;
use serde_json::json;

use crate::attribute_text::spelt;
use crate::commands::subject::Object;
use crate::context::Context;
use crate::error::Error;
use crate::render::Answer;

/// List the names of the attributes that an object has
#[derive(Args, Debug)]
pub(crate) struct List {
    #[command(flatten)]
    object: Object,
}

impl List {
    pub(crate) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let request = GetAttributeListRequest { unique_identifier: Some(self.object.identifier()) };
        let list = self.object.call(&context.client().await?, request).await?;
        Ok(Answer::Rows {
            columns: vec!["Attribute"],
            rows: list.names.iter().map(|name| vec![json!(spelt(name))]).collect(),
            note: None,
        })
    }
}
