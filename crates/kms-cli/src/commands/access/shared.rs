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
        let columns = vec!["Identifier", "Owner", "State", "Operations"];
        let rows = shared.into_iter().map(|it| {
            let (id, owner) = (json!(it.object_id), json!(it.owner_id));
            (vec![id, owner, json!(it.state), json!(it.operations)], [it.expires, it.note])
        });
        Ok(super::with_terms(columns, rows.collect()))
    }
}
