//! `kms keys activate`.

use clap::Args;
use kmip::operation::ActivateRequest;
use serde_json::json;

use crate::commands::subject::Subject;
use crate::context::Context;
use crate::error::Error;
use crate::render::Answer;

/// Make a Pre-Active object Active, so that it works
#[derive(Args, Debug)]
pub(crate) struct Activate {
    #[command(flatten)]
    subject: Subject,
}

impl Activate {
    pub(crate) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let subject = self.subject.object();
        let request = ActivateRequest { unique_identifier: Some(subject.identifier()) };
        let done = subject.call(&context.client().await?, request).await?;
        let id = done.unique_identifier;
        Ok(Answer::done(format!("{id} is active"), [("unique_identifier", json!(id))]))
    }
}
