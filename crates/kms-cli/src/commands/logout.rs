//! `kms logout`.

use clap::Args;
use serde_json::json;

use super::login::tell;
use crate::context::Context;
use crate::error::Error;
use crate::oidc::Provider;
use crate::render::Answer;
use crate::session;
use crate::tokens::{Locked, Source, Tokens};

/// Forget the login at a server, and give its token back where the provider takes it
#[derive(Args, Debug)]
pub(crate) struct Logout {}

impl Logout {
    pub(crate) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let server = context.server()?;
        let client = server.anonymous()?;
        let path = Tokens::path()?;
        let locked = Locked::wait(&path).await?;
        let mut tokens = locked.read()?;
        let login = tokens.remove(&server.place(&client));
        if login.is_some() {
            locked.write(&tokens)?;
        }
        drop(locked);
        if session::of_the_environment()?.is_some() {
            tell(&format!("note: {} is set, and still counts\n", session::VARIABLE))?;
        }
        let Some(login) = login else {
            let sentence = format!("there was no login at {}", client.origin());
            return Ok(Answer::done(sentence, [("server", json!(client.origin()))]));
        };
        let revoked = match &login.source {
            Some(source) => revoke(source, &server.profile).await,
            None => Ok(false),
        };
        // Here it is forgotten all the same.
        let revoked = match revoked {
            Ok(revoked) => revoked,
            Err(error) => {
                tell(&format!("the provider could not take the login back: {error}\n"))?;
                false
            }
        };
        Ok(Answer::done(
            format!("logged out at {}", client.origin()),
            [("server", json!(client.origin())), ("revoked", json!(revoked))],
        ))
    }
}

/// Whether the provider has taken it back; some do not offer that.
async fn revoke(source: &Source, profile: &crate::profiles::Profile) -> Result<bool, Error> {
    let Some(refresh_token) = &source.refresh_token else { return Ok(false) };
    let provider = Provider::discover(&source.issuer, profile.trusted_ca().as_deref()).await?;
    if !provider.revokes() {
        return Ok(false);
    }
    provider.revoke(&source.client_id, refresh_token).await?;
    Ok(true)
}
