//! `kms access grant`.

use clap::Args;
use jiff::Timestamp;

use super::permission::Right;
use crate::context::Context;
use crate::error::Error;
use crate::render::Answer;
use crate::time_text;

/// Allow a user to do something with an object of yours
///
/// Reading the key (get) implies nothing else, and nothing implies it. All that a user may do
/// with an object ends at one time: to change it, name all of it again.
#[derive(Args, Debug)]
pub(crate) struct Grant {
    #[command(flatten)]
    right: Right,
    /// Until when: a date, a time (2030-01-31T12:00:00Z), or how long from now (12h, 90d) [default:
    /// until it is taken back]
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// What for, in your words
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

impl Grant {
    pub(crate) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let mut right = self.right.parts()?;
        let end = self.expires.map(|text| time_text::later(&text, Timestamp::now())).transpose()?;
        right.expires = end.map(time_text::shown);
        right.note = self.note;
        let client = context.client().await?;
        let told = client.grant(&right.change()).await;
        told.map_err(|error| super::not_yours(error, right.id.as_deref()))?;
        Ok(right.answer("may now"))
    }
}
