//! `migrate`: makes the steps of the schema that are missing, or says which they are.

use kms_config::Config;
use kms_config::commands::{CHECK, Given};
use kms_config::exit::Exit;
use kms_store::Store;

use crate::complain;
use crate::compose::{StartError, store_error};
use crate::database;

pub(super) async fn run(config: &Config, given: &Given) -> Result<Exit, StartError> {
    let place = database::of(config)?;
    let missing = Store::missing_steps(&place).await.map_err(|error| store_error(&error))?;
    if missing.is_empty() {
        complain(&format!("{}: the schema is up to date.", place.location));
        return Ok(Exit::Success);
    }
    for step in &missing {
        complain(&format!("missing: {step}"));
    }
    if given.operand(CHECK).is_some() {
        complain(&format!("{}: {} steps are missing.", place.location, missing.len()));
        return Ok(Exit::Failure);
    }
    let location = place.location.to_string();
    let store = Store::open(place).await.map_err(|error| store_error(&error))?;
    drop(store.close().await);
    complain(&format!("{location}: the schema is up to date now."));
    Ok(Exit::Success)
}
