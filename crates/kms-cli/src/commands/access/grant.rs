//! `kms access grant`.

use clap::Args;

use super::permission::Right;
use crate::context::Context;
use crate::error::Error;
use crate::render::Answer;

/// Allow a user to do something with an object of yours
///
/// Reading the key (get) implies nothing else, and nothing implies it.
#[derive(Args, Debug)]
pub(crate) struct Grant {
    #[command(flatten)]
    right: Right,
}

impl Grant {
    pub(crate) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let right = self.right.parts()?;
        let client = context.client()?;
        let told = client.grant(&right.change()).await;
        told.map_err(|error| super::not_yours(error, right.id.as_deref()))?;
        Ok(right.answer("may now"))
    }
}
