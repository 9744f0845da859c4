//! `kms keys show`.

use clap::Args;

use crate::attribute_text::shown;
use crate::commands::subject::Subject;
use crate::context::Context;
use crate::error::Error;
use crate::render::Answer;

/// Show everything about an object but the key itself
#[derive(Args, Debug)]
pub(crate) struct Show {
    #[command(flatten)]
    subject: Subject,
}

impl Show {
    pub(crate) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let subject = self.subject.object();
        let attributes = subject.attributes(&context.client().await?, &[]).await?;
        Ok(Answer::Fields(shown(&attributes)?))
    }
}
