//! `kms whoami`.

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::Error;
use crate::oidc::answer;
use crate::render::Answer;
use crate::session;
use crate::time_text;
use crate::tokens::Tokens;

/// Show for whom the server takes you, and when your token runs out
#[derive(Args, Debug)]
pub(crate) struct Whoami {}

impl Whoami {
    pub(crate) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let client = context.client().await?;
        let me = client.me().await?;
        let mut fields: Vec<(String, Value)> = me.more.into_iter().collect();
        fields.push(("server".to_owned(), json!(client.origin())));
        let place = context.server()?.place(&client);
        // As it is now: it may have been renewed just before.
        let (source, expires) = if let Some(token) = session::of_the_environment()? {
            (session::VARIABLE.to_owned(), answer::expiry(token.expose().trim()))
        } else {
            let path = Tokens::path();
            let tokens =
                path.map_or_else(|_no_home| Ok(Tokens::default()), |it| Tokens::read(&it))?;
            match tokens.at(&place) {
                None => return Ok(Answer::Fields(fields)),
                Some(login) => {
                    let issuer = login.source.as_ref().map(|it| it.issuer.clone());
                    (issuer.unwrap_or_else(|| "kms login --token".to_owned()), login.expires)
                }
            }
        };
        fields.push(("token_from".to_owned(), json!(source)));
        fields.push(("token_expires".to_owned(), end(expires)));
        Ok(Answer::Fields(fields))
    }
}

/// The end of a token, as it is shown.
pub(crate) fn end(seconds: Option<i64>) -> Value {
    let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or(Value::Null, |time| json!(time_text::shown(time)))
}
