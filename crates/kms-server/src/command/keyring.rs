//! `keyring show`, `keyring protect` and `keyring rotate`: the data keys of a database, beside servers
//! that may be running on it. What a data key is, and how rows are sealed anew, is the core's.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use indicatif::ProgressBar;
use jiff::Timestamp;
use kms_config::commands::Given;
use kms_config::exit::Exit;
use kms_config::{Build, Config};
use kms_core::{OpenError, Policy, RotationProgress, Service, SystemClock, Turn, Vault};
use kms_seal::{Clear, File, Protection, RootKey};
use kms_store::{SealedTable, Store};

use super::progress;
use crate::compose::{self, StartError};
use crate::facts::FACTS;
use crate::{complain, database, print, protection};

/// How often progress is shown, and a server that does the work is looked after.
const LOOK: Duration = Duration::from_millis(200);
const WATCH: Duration = Duration::from_millis(500);

pub(super) async fn show(config: &Config) -> Result<Exit, StartError> {
    let store = compose::beside(config).await?;
    let rows = store.keyring().await.map_err(|error| failed(&error))?;
    let counts = store.sealed_counts().await.map_err(|error| failed(&error))?;
    let mut text = String::from("GENERATION  SLOT   MADE                  ROWS\n");
    let mut exposed = 0;
    for row in &rows {
        let mut tables = BTreeMap::new();
        for count in counts.iter().filter(|count| count.generation == row.generation) {
            tables.insert(count.table, count.rows);
        }
        let all: u64 = tables.values().sum();
        if row.kind == Clear::KIND {
            exposed += all;
        }
        let made = kms_seal::made(&row.kind, &row.slot)
            .and_then(|made| Timestamp::from_second(made).ok())
            .map_or_else(|| "-".to_owned(), |made| made.to_string());
        let parts: Vec<_> =
            tables.iter().map(|(it, rows)| format!("{} {rows}", it.name())).collect();
        // Who can write the database can write anything here.
        let kind = row.kind.escape_debug().to_string();
        let line =
            format!("{:<10}  {kind:<5}  {made:<20}  {all} ({})", row.generation, parts.join(", "));
        text.extend([line.trim_end_matches(" ()"), "\n"]);
    }
    let exposed = exposed.to_string();
    let words = "\nExposed rows, whose data key rests or rested in the clear: ";
    text.extend([words, exposed.as_str(), "\n"]);
    if rows.len() > 1 {
        text.push_str("Older data keys are in use: rows are being sealed anew, or wait for a server or `keyring rotate`.\n");
    }
    let opens = match protection::of_command(config, FACTS.build) {
        Ok(protection) => {
            Vault::open(&store, protection).await.map(drop).map_err(|it| it.to_string())
        }
        Err(error) => Err(error.message),
    };
    match opens {
        Ok(()) => text.push_str("A server with these options opens them.\n"),
        Err(why) => {
            text.extend(["A server with these options does not open them: ", &why, "\n"]);
        }
    }
    Ok(print(text.as_bytes()))
}

pub(super) async fn rotate(config: &Config) -> Result<Exit, StartError> {
    let protection = protection::of_command(config, FACTS.build)?;
    let store = compose::beside(config).await?;
    if store.keyring().await.map_err(|error| failed(&error))?.len() > 1 {
        complain("A rotation is under way; this goes on with it.");
    } else {
        let generation = kms_core::mint(&store, &protection, &protection, &SystemClock).await;
        let generation = generation.map_err(|error| refused(&error))?;
        complain(&format!(
            "Made the data key of generation {generation}; what is new is sealed by it."
        ));
    }
    finish(config, store, protection).await
}

pub(super) async fn protect(config: &Config, given: &Given) -> Result<Exit, StartError> {
    let store = compose::beside(config).await?;
    let rows = store.keyring().await.map_err(|error| failed(&error))?;
    let Some(current) = rows.last() else { return Err(refused(&OpenError::Empty)) };
    let is_clear = current.kind == Clear::KIND;
    let new = given.operand("FILE").map(Path::new);
    match (given.operand("KIND").unwrap_or_default(), is_clear, new) {
        ("clear", true, _) => {
            complain("The data keys rest in the clear already; nothing is changed.");
        }
        ("clear", false, _) => {
            if FACTS.build != Build::Dev && !*config.allow_clear_keyring {
                let text = "whoever reads the database would have all keys; --allow-clear-keyring \
                     says that this is wanted";
                return Err(StartError::new(Exit::Configuration, text));
            }
            rewrap(config, &store, &Protection::new(Clear)).await?;
            complain(
                "The data keys rest in the clear now. Start servers without KMS_ROOT_KEY_PATH from \
                 now on.",
            );
        }
        ("file", true, new) => return leave_clear(config, store, new).await,
        ("file", false, None) => {
            complain("A root key protects the data keys already; --new-root-key names another.");
        }
        ("file", false, Some(path)) => {
            let to = RootKey::read(path).map_err(|error| protection::wrong(&error))?;
            rewrap(config, &store, &Protection::new(File::new(to))).await?;
            complain(
                "Another root key protects the data keys now. Back it up, and give it to each server \
                 (KMS_ROOT_KEY_PATH) before that is started again; copies of the database from before \
                 open with the one before.",
            );
        }
        _ => {
            let text = "--with takes `file` (a root key) or `clear` (nothing)";
            return Err(StartError::new(Exit::Configuration, text));
        }
    }
    Ok(Exit::Success)
}

/// Out of the clear by a new data key.
async fn leave_clear(
    config: &Config,
    store: Store,
    new: Option<&Path>,
) -> Result<Exit, StartError> {
    let to = Protection::new(File::new(protection::target(config, new)?));
    let open = Protection::new(Clear);
    let generation = kms_core::mint(&store, &open, &to, &SystemClock).await;
    let generation = generation.map_err(|error| refused(&error))?;
    complain(&format!(
        "Made the data key of generation {generation}: what is new is {}. Back the root key up, apart \
         from the database, and copy it to each further server: without it nothing in the database \
         can be opened. What was sealed before is exposed until it is sealed anew.",
        to.sealer().describe()
    ));
    finish(config, store, to).await
}

async fn rewrap(config: &Config, store: &Store, to: &Protection) -> Result<(), StartError> {
    let open = protection::of_command(config, FACTS.build)?;
    let wrapped = kms_core::rewrap(store, &open, to, &SystemClock).await;
    wrapped.map_err(|error| refused(&error))?;
    while !store.scrub().await.map_err(|error| failed(&error))? {
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// Seals everything anew, or watches a server that does.
async fn finish(
    config: &Config,
    beside: Store,
    protection: Protection,
) -> Result<Exit, StartError> {
    // A database in a directory is its server's alone, which keeps rows in memory.
    beside.close().await.map_err(|error| failed(&error))?;
    drop(beside);
    let (store, watches) = match Store::open(database::of(config)?).await {
        Ok(store) => (store, false),
        Err(kms_store::OpenError::Locked { .. }) => (compose::beside(config).await?, true),
        Err(error) => return Err(compose::store_error(&error)),
    };
    let clock = Arc::new(SystemClock);
    let service = Service::open(store.clone(), protection, Policy::default(), clock).await;
    let service = service.map_err(|error| refused(&error))?;
    let bar = progress::rows();
    let outcome = if watches { watch(&service, &bar).await } else { work(&service, &bar).await };
    bar.finish_and_clear();
    let turn = outcome?;
    let counts = store.sealed_counts().await.map_err(|error| failed(&error))?;
    let closed = store.close().await;
    closed.map_err(|error| failed(&error))?;
    if let Turn::Altered(rows, name) = turn {
        return Err(StartError::new(
            Exit::Altered,
            format!(
                "{rows} rows in the database were altered and cannot be sealed anew, {name} among \
                 them; the data key that sealed them stays until they are gone"
            ),
        ));
    }
    let of = |table: SealedTable| {
        let rows = counts.iter().filter(|count| count.table == table).map(|count| count.rows);
        format!("{} {}", table.name(), rows.sum::<u64>())
    };
    let generations: std::collections::BTreeSet<_> =
        counts.iter().map(|count| count.generation).collect();
    let rows = SealedTable::ALL.map(of).join(", ");
    complain(&format!(
        "Done: every row is sealed by generation {} ({rows}); the older data keys are removed.",
        generations.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
    ));
    Ok(Exit::Success)
}

async fn work(service: &Service, bar: &ProgressBar) -> Result<Turn, StartError> {
    let wrong = |error: kms_core::Error| {
        let why = error.source.as_ref().map_or_else(String::new, |it| format!(": {it}"));
        StartError::new(Exit::Failure, format!("{}{why}", error.message))
    };
    loop {
        let turn = {
            let work = service.reseal();
            tokio::pin!(work);
            loop {
                tokio::select! {
                    turn = &mut work => break turn.map_err(wrong)?,
                    () = tokio::time::sleep(LOOK) => draw(bar, service.rotation()),
                }
            }
        };
        if !matches!(turn, Turn::Elsewhere(_)) {
            return Ok(turn);
        }
        draw(bar, service.rotation());
        tokio::time::sleep(WATCH).await;
        service.keep_keyring().await.map_err(|error| failed(&error))?;
    }
}

async fn watch(service: &Service, bar: &ProgressBar) -> Result<Turn, StartError> {
    complain("A server runs on this database and does the work; this only watches.");
    while service.is_rotating() {
        draw(bar, service.rotation());
        tokio::time::sleep(WATCH).await;
        service.keep_keyring().await.map_err(|error| failed(&error))?;
    }
    Ok(Turn::Done(service.rotation().unwrap_or_default()))
}

fn draw(bar: &ProgressBar, progress: Option<RotationProgress>) {
    let Some(progress) = progress else { return };
    let all = bar.length().unwrap_or_default().max(progress.left + progress.done);
    bar.set_length(all);
    bar.set_position(all.saturating_sub(progress.left));
}

fn failed(error: &kms_store::Error) -> StartError {
    StartError::new(Exit::Database, error.to_string())
}

fn refused(error: &OpenError) -> StartError {
    compose::core_error(error)
}
