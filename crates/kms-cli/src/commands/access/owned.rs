//! `kms access owned`.

use clap::Args;
use serde_json::json;

use crate::context::Context;
use crate::error::Error;
use crate::render::Answer;

/// List your own objects
#[derive(Args, Debug)]
pub(crate) struct Owned {}

impl Owned {
    pub(crate) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let owned = context.client().await?.owned().await?;
        let rows = owned.into_iter().map(|it| vec![json!(it.object_id), json!(it.state)]);
        Ok(Answer::Rows { columns: vec!["Identifier", "State"], rows: rows.collect(), note: None })
    }
}
