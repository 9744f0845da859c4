//! `kms keys destroy`.

use clap::Args;
use kmip::enumerations::ResultReason;
use kmip::operation::DestroyRequest;
use serde_json::json;

use crate::commands::subject::Subject;
use crate::context::Context;
use crate::error::Error;
use crate::render::Answer;

/// Destroy an object: its key is wiped, and what it encrypted is lost for good
///
/// An active key is refused; revoke it first. The other half of a pair is destroyed too. The
/// attributes stay, unless --remove.
#[derive(Args, Debug)]
pub(crate) struct Destroy {
    #[command(flatten)]
    subject: Subject,
    /// Leave the other half of a pair alone
    #[arg(long)]
    only_this: bool,
    /// Remove the attributes too; the identifier is never used again
    #[arg(long)]
    remove: bool,
}

impl Destroy {
    pub(crate) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let subject = self.subject.object();
        let request = DestroyRequest {
            unique_identifier: Some(subject.identifier()),
            cascade: Some(!self.only_this),
            remove: self.remove.then_some(true),
            expected_object_type: None,
        };
        let client = context.client().await?;
        let done = client.call(request).await.map_err(|error| {
            let active = error.reason() == Some(ResultReason::WrongKeyLifecycleState);
            let told = subject.told(error);
            if active && told.to_string().contains("is Active") {
                return told
                    .hint(format!("revoke it first: `kms keys revoke {}`", subject.quoted()));
            }
            told
        })?;
        let id = done.unique_identifier;
        let how = if self.remove { "destroyed and removed" } else { "destroyed" };
        Ok(Answer::done(format!("{id} is {how}"), [("unique_identifier", json!(id))]))
    }
}
