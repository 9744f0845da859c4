//! `kms access revoke`.

use clap::Args;

use super::permission::Right;
use crate::context::Context;
use crate::error::Error;
use crate::render::Answer;

/// Take back what was granted
#[derive(Args, Debug)]
pub(crate) struct Revoke {
    #[command(flatten)]
    right: Right,
}

impl Revoke {
    pub(crate) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let right = self.right.parts()?;
        let client = context.client().await?;
        let told = client.withdraw(&right.change()).await;
        told.map_err(|error| super::not_yours(error, right.id.as_deref()))?;
        Ok(right.answer("may no longer"))
    }
}
