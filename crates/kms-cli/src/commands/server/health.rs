//! `kms server health`.

use clap::Args;
use serde_json::json;

use crate::context::Context;
use crate::error::Error;
use crate::render::Answer;

/// Say whether the server is well; a script looks at the exit code
#[derive(Args, Debug)]
pub(crate) struct Health {}

impl Health {
    pub(crate) async fn run(self, context: &Context) -> Result<Answer, Error> {
        // A login that has run out does not keep anybody from asking.
        let client = match context.client().await {
            Ok(client) => client,
            Err(_) => context.server()?.anonymous()?,
        };
        let health = client.health().await?;
        let mut fields = vec![("status".to_owned(), json!(health.status))];
        fields.extend(health.more);
        Ok(Answer::Fields(fields))
    }
}
