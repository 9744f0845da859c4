//! What can be granted, and how an owner names it.

use clap::{Args, ValueEnum};
use kms_client::Change;
use serde_json::json;

use crate::error::Error;
use crate::render::Answer;

/// What one user may be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Permission {
    /// Make new objects (a right about no object in particular)
    Create,
    /// Read the key itself
    Get,
    /// Encrypt, and wrap keys
    Encrypt,
    /// Decrypt, and unwrap keys
    Decrypt,
    /// Replace it by import
    Import,
    /// Revoke it
    Revoke,
    /// Find it
    Locate,
    /// Replace it by a new key
    Rekey,
    /// Destroy it
    Destroy,
}

/// Whose right to what.
#[derive(Args, Debug)]
pub(super) struct Right {
    /// The object's identifier; left out for the right to create: `kms access grant USER create`
    #[arg(value_name = "ID")]
    id: String,
    /// The user
    #[arg(value_name = "USER")]
    user: String,
    /// What the user may do
    #[arg(value_name = "OPERATION", value_enum, ignore_case = true)]
    operations: Vec<Permission>,
}

/// The parts of a right, as the server takes them.
pub(super) struct Parts {
    pub(super) id: Option<String>,
    pub(super) user: String,
    pub(super) operations: Vec<String>,
}

impl Right {
    /// Tells `ID USER OPERATION…` from `USER create`.
    pub(super) fn parts(self) -> Result<Parts, Error> {
        let create = [Permission::Create];
        if self.operations.is_empty() && self.user.eq_ignore_ascii_case("create") {
            return Ok(Parts { id: None, user: self.id, operations: names(&create) });
        }
        if self.operations.is_empty() {
            return Err(Error::usage("which operations?")
                .hint("name them: `kms access grant ID USER get encrypt decrypt`"));
        }
        if self.operations.contains(&Permission::Create) {
            return Err(Error::usage("the right to create is about no object in particular")
                .hint(format!("grant it alone: `kms access grant {} create`", self.user)));
        }
        Ok(Parts { id: Some(self.id), user: self.user, operations: names(&self.operations) })
    }
}

impl Parts {
    /// As the client library takes it.
    pub(super) fn change(&self) -> Change<'_> {
        Change::new(self.id.as_deref(), &self.user, &self.operations)
    }

    /// What was done, told.
    pub(super) fn answer(&self, verb: &str) -> Answer {
        let about = self.id.as_deref().map(|id| format!(" with {id}")).unwrap_or_default();
        let operations = self.operations.join(", ");
        Answer::done(
            format!("{} {verb} {operations}{about}", self.user),
            [
                ("unique_identifier", json!(self.id)),
                ("user_id", json!(self.user)),
                ("operations", json!(self.operations)),
            ],
        )
    }
}

fn names(permissions: &[Permission]) -> Vec<String> {
    let values = permissions.iter().filter_map(ValueEnum::to_possible_value);
    values.map(|value| value.get_name().to_owned()).collect()
}
