//! `kms profiles list`.

use clap::Args;
use serde_json::json;

use crate::error::Error;
use crate::profiles::Config;
use crate::render::Answer;

/// List the profiles
#[derive(Args, Debug)]
pub(crate) struct List {}

pub(crate) fn run() -> Result<Answer, Error> {
    let path = Config::path()?;
    let config = Config::read(&path)?;
    let default = config.default.as_deref();
    let rows = config.profiles.iter().map(|(name, profile)| {
        let mark = if default == Some(name) { json!("yes") } else { json!("") };
        vec![json!(name), json!(profile.url), mark]
    });
    Ok(Answer::Rows {
        columns: vec!["Name", "URL", "Default"],
        rows: rows.collect(),
        note: config
            .profiles
            .is_empty()
            .then(|| format!("no profiles; {} is where they are kept", path.display())),
    })
}
