//! What can be granted, and how an owner names it.

use clap::{Args, ValueEnum};
use kms_client::Change;
use serde_json::{Map, json};

use crate::error::{Error, quoted};
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
    /// The object's identifier; for the right to create, there is none: `USER create`
    #[arg(value_name = "ID")]
    id: String,
    /// The user; `*` is everyone that the server knows
    #[arg(value_name = "USER", required_unless_present = "create")]
    user: Option<String>,
    /// What the user may do
    #[arg(value_name = "OPERATION", value_enum, ignore_case = true)]
    operations: Vec<Permission>,
    /// The right to create, about no object in particular: `--create USER`
    #[arg(long, conflicts_with_all = ["user", "operations"])]
    create: bool,
}

/// The parts of a right, as the server takes them.
pub(super) struct Parts {
    pub(super) id: Option<String>,
    pub(super) user: String,
    pub(super) operations: Vec<String>,
    /// When it ends.
    pub(super) expires: Option<String>,
    /// What it is for.
    pub(super) note: Option<String>,
}

impl Right {
    /// Tells `ID USER OPERATION…` from `USER create`.
    pub(super) fn parts(self) -> Result<Parts, Error> {
        let Self { id, user, operations, create } = self;
        let parts = |id, user, operations: &[Permission]| {
            let operations = names(operations);
            Parts { id, user, operations, expires: None, note: None }
        };
        let right = [Permission::Create];
        let Some(user) = user.filter(|_| !create) else {
            return Ok(parts(None, id, &right));
        };
        if operations.is_empty() && user.eq_ignore_ascii_case("create") {
            return Ok(parts(None, id, &right));
        }
        if operations.is_empty() {
            return Err(Error::usage("which operations?")
                .hint("name them: `kms access grant ID USER get encrypt decrypt`"));
        }
        if operations.contains(&Permission::Create) {
            return Err(Error::usage("the right to create is about no object in particular")
                .hint(format!("grant it alone: `kms access grant {} create`", quoted(&user))));
        }
        Ok(parts(Some(id), user, &operations))
    }
}

impl Parts {
    /// As the client library takes it.
    pub(super) fn change(&self) -> Change<'_> {
        let mut change = Change::new(self.id.as_deref(), &self.user, &self.operations);
        change.expires = self.expires.as_deref();
        change.note = self.note.as_deref();
        change
    }

    /// What was done, told.
    pub(super) fn answer(&self, verb: &str) -> Answer {
        let about = self.id.as_deref().map(|id| format!(" with {id}")).unwrap_or_default();
        let operations = self.operations.join(", ");
        let until = self.expires.as_deref().map(|end| format!(" until {end}")).unwrap_or_default();
        let who = if self.user == "*" { "everyone" } else { &self.user };
        let sentence = format!("{who} {verb} {operations}{about}{until}");
        let mut facts = Map::new();
        facts.insert("unique_identifier".to_owned(), json!(self.id));
        facts.insert("user_id".to_owned(), json!(self.user));
        facts.insert("operations".to_owned(), json!(self.operations));
        for (name, value) in [("expires", &self.expires), ("note", &self.note)] {
            if let Some(value) = value {
                facts.insert(name.to_owned(), json!(value));
            }
        }
        Answer::Done(sentence, facts)
    }
}

fn names(permissions: &[Permission]) -> Vec<String> {
    let values = permissions.iter().filter_map(ValueEnum::to_possible_value);
    values.map(|value| value.get_name().to_owned()).collect()
}
