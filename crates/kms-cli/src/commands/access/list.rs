//! `kms access list`.

use clap::Args;
use serde_json::json;

use crate::context::Context;
use crate::error::Error;
use crate::render::Answer;

/// List who may do what with an object of yours
#[derive(Args, Debug)]
pub(crate) struct List {
    /// The object's identifier
    #[arg(value_name = "ID")]
    id: String,
}

impl List {
    pub(crate) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let accesses = context.client().await?.accesses(&self.id).await;
        let accesses = accesses.map_err(|error| super::not_yours(error, Some(&self.id)))?;
        let columns = vec!["User", "Operations"];
        let rows = accesses
            .into_iter()
            .map(|it| (vec![json!(it.user_id), json!(it.operations)], [it.expires, it.note]));
        Ok(super::with_terms(columns, rows.collect()))
    }
}
