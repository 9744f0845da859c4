//! `kms access shared`.

use clap::Args;
use serde_json::json;

use crate::context::Context;
use crate::error::Error;
use crate::render::Answer;

/// List the objects that others share with you
#[derive(Args, Debug)]
pub(crate) struct Shared {}

impl Shared {
    pub(crate) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let shared = context.client().await?.shared().await?;
        let rows = shared.into_iter().map(|it| {
            vec![json!(it.object_id), json!(it.owner_id), json!(it.state), json!(it.operations)]
        });
        Ok(Answer::Rows {
            columns: vec!["Identifier", "Owner", "State", "Operations"],
            rows: rows.collect(),
            note: None,
        })
    }
}
