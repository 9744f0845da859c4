//! `kms keys revoke`.

use clap::{Args, ValueEnum};
use kmip::attribute::RevocationReason;
use kmip::enumerations::RevocationReasonCode;
use kmip::operation::RevokeRequest;
use kmip::wire::DateTime;
use serde_json::json;

use crate::attribute_text::now;
use crate::commands::subject::Subject;
use crate::context::Context;
use crate::error::Error;
use crate::render::Answer;

/// Revoke an object: nothing new is encrypted with it
///
/// For the reasons key-compromise and ca-compromise it becomes Compromised, for others Deactivated.
/// Decrypting stays possible. The other half of a pair is revoked too.
#[derive(Args, Debug)]
pub(crate) struct Revoke {
    #[command(flatten)]
    subject: Subject,
    /// Why
    #[arg(long, value_enum, default_value_t = Reason::Unspecified)]
    reason: Reason,
    /// Why, in words that are kept with it
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,
    /// Leave the other half of a pair alone
    #[arg(long)]
    only_this: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Reason {
    Unspecified,
    KeyCompromise,
    CaCompromise,
    AffiliationChanged,
    Superseded,
    CessationOfOperation,
    PrivilegeWithdrawn,
}

impl Reason {
    fn code(self) -> RevocationReasonCode {
        match self {
            Self::Unspecified => RevocationReasonCode::Unspecified,
            Self::KeyCompromise => RevocationReasonCode::KeyCompromise,
            Self::CaCompromise => RevocationReasonCode::CACompromise,
            Self::AffiliationChanged => RevocationReasonCode::AffiliationChanged,
            Self::Superseded => RevocationReasonCode::Superseded,
            Self::CessationOfOperation => RevocationReasonCode::CessationOfOperation,
            Self::PrivilegeWithdrawn => RevocationReasonCode::PrivilegeWithdrawn,
        }
    }

    fn compromised(self) -> bool {
        matches!(self, Self::KeyCompromise | Self::CaCompromise)
    }
}

impl Revoke {
    pub(crate) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let subject = self.subject.object();
        let request = RevokeRequest {
            unique_identifier: Some(subject.identifier()),
            revocation_reason: RevocationReason {
                revocation_reason_code: self.reason.code(),
                revocation_message: self.message.clone(),
            },
            // The protocol wants to know since when, where a key is compromised.
            compromise_occurrence_date: self.reason.compromised().then(|| DateTime(now())),
            cascade: Some(!self.only_this),
        };
        let done = subject.call(&context.client().await?, request).await?;
        let id = done.unique_identifier;
        let state = if self.reason.compromised() { "compromised" } else { "deactivated" };
        Ok(Answer::done(format!("{id} is {state}"), [("unique_identifier", json!(id))]))
    }
}
