//! `kms access`.

mod grant;
mod list;
mod owned;
mod permission;
mod revoke;
mod shared;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::{Error, Kind};
use crate::render::Answer;

/// A command about who may do what.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Grant(grant::Grant),
    Revoke(revoke::Revoke),
    List(list::List),
    Owned(owned::Owned),
    Shared(shared::Shared),
}

impl Command {
    pub(crate) async fn run(self, context: &Context) -> Result<Answer, Error> {
        match self {
            Self::Grant(command) => command.run(context).await,
            Self::Revoke(command) => command.run(context).await,
            Self::List(command) => command.run(context).await,
            Self::Owned(command) => command.run(context).await,
            Self::Shared(command) => command.run(context).await,
        }
    }
}

/// To the owner alone it is told who may do what; to all others there is no such object.
fn not_yours(error: kms_client::Error, id: Option<&str>) -> Error {
    let missing = matches!(error, kms_client::Error::Http { status: 404, .. });
    match id {
        Some(id) if missing => Error::new(Kind::NotFound, format!("{id} is no object of yours"))
            .hint("`kms access owned` lists your objects"),
        _ => error.into(),
    }
}

/// A row, with until when and what for.
type Row = (Vec<Value>, [Option<String>; 2]);

/// A table of grants; until when and what for have columns where any grant has them.
fn with_terms(mut columns: Vec<&'static str>, all: Vec<Row>) -> Answer {
    let (mut rows, terms): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    for (at, column) in ["Expires", "Note"].into_iter().enumerate() {
        let values: Vec<Option<&String>> =
            terms.iter().map(|terms| terms.get(at).and_then(Option::as_ref)).collect();
        if values.iter().all(Option::is_none) {
            continue;
        }
        columns.push(column);
        for (row, value) in rows.iter_mut().zip(values) {
            row.push(json!(value));
        }
    }
    Answer::Rows { columns, rows, note: None }
}
