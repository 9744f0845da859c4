//! What is kept over restarts: the account, the order in progress, and what has failed. It holds no
//! secret; keys are in files of their own.

use kms_crypto::Secret;
use serde::{Deserialize, Serialize};

use super::schedule::History;
use super::{ACCOUNT_KEY, ORDER_KEY, Settings};
use crate::place::{Place, PlaceError};
use crate::status::Failure;

/// The file.
const NAME: &str = "acme.json";
/// What it is written as.
const VERSION: u32 = 1;

/// What is kept.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    version: u32,
    /// Whose account and limits these are.
    directory: String,
    /// For whom the order and the failures are.
    domain: String,
    /// The account's address at the authority.
    pub(crate) account: Option<String>,
    /// The address of the order in progress. There is one at a time.
    pub(crate) order: Option<String>,
    /// When the last certificate was obtained, in seconds since 1970.
    pub(crate) issued: i64,
    /// What has failed.
    pub(crate) history: History,
}

/// The state, and where it is kept.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(crate) state: State,
    place: Place,
}

impl Keeper {
    /// Reads what is kept, as far as it is for this authority and domain.
    pub(crate) async fn load(
        place: Place,
        settings: &Settings,
        now: i64,
    ) -> Result<Self, PlaceError> {
        let mut state = match place.read(NAME).await? {
            None => State::default(),
            Some(text) => parse(text.expose(), settings, now),
        };
        state.version = VERSION;
        let mut keeper = Self { state, place };
        keeper.fit(settings).await?;
        Ok(keeper)
    }

    /// Forgets what is not for this authority and domain.
    pub(crate) async fn fit(&mut self, settings: &Settings) -> Result<(), PlaceError> {
        let state = &mut self.state;
        let moved = state.directory != settings.directory;
        if moved {
            if !state.directory.is_empty() {
                // An account's key is for one authority; another one must not recognise us by it.
                self.place.remove(ACCOUNT_KEY).await?;
            }
            state.account = None;
            state.history = History { last: state.history.last.take(), ..History::default() };
            state.directory.clone_from(&settings.directory);
        }
        if moved || state.domain != settings.domain {
            state.order = None;
            state.issued = 0;
            state.history = History { wait: state.history.wait, ..History::default() };
            state.domain.clone_from(&settings.domain);
        }
        Ok(())
    }

    /// Writes it down.
    pub(crate) async fn save(&self) -> Result<(), PlaceError> {
        let text = serde_json::to_vec_pretty(&self.state)
            .map_err(|error| PlaceError::new(self.place.path(NAME), error))?;
        self.place.write(NAME, Secret::new(text)).await
    }

    /// Forgets the order in progress, and its key.
    pub(crate) async fn forget_order(&mut self) -> Result<(), PlaceError> {
        self.state.order = None;
        self.save().await?;
        self.place.remove(ORDER_KEY).await
    }
}

/// What was kept; where that cannot be read, the most careful of all: as if the authority's limits
/// were just reached.
fn parse(text: &[u8], settings: &Settings, now: i64) -> State {
    match serde_json::from_slice::<State>(text) {
        Ok(state) if state.version == VERSION => state,
        unread => {
            let why =
                unread.err().map_or_else(|| "another version".to_owned(), |it| it.to_string());
            tracing::warn!("what is kept of the authority in {NAME} cannot be read: {why}");
            let mut history = History::default();
            for _ in 0..super::schedule::VALIDATIONS_MAX {
                history.fail_validation(now);
            }
            let what = format!("{NAME} could not be read: {why}");
            history.last = Some(Failure { at: now, what });
            State {
                directory: settings.directory.clone(),
                domain: settings.domain.clone(),
                history,
                ..State::default()
            }
        }
    }
}
