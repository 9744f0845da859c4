//! What became of a change whose answer was lost.
//!
//! The database is asked, once the session that was to make the change has certainly ended: until
//! then it may still be at it. What was sealed for the change nobody else can have written. It must
//! not change anything.

use std::time::Duration;

use tokio::time::Instant;

use super::Server;
use super::connect;
use super::driver::{SessionId, Value};
use super::effect::{After, Before, Effect};
use super::failure::Failure;
use super::read::{NONE, READ, REMOVED, column};
use super::write::Places;
use crate::backend::statement::Statement;

/// How long a session is waited for that may still be at work, and how often it is looked for.
const ENDING: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(50);

/// What became of it.
#[derive(Debug)]
pub(super) enum Fate {
    Made(Places),
    /// It was not made, and will not be.
    NotMade,
    Unknown,
}

/// What one row of a change says of all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Witness {
    After,
    Before,
    /// Somebody has changed it since, or it says nothing.
    Silent,
}

impl Server {
    /// What became of a change that a session was told to make.
    pub(super) async fn fate(&self, effect: &Effect<'_>, session: SessionId) -> Fate {
        let ended = self.has_ended(session).await;
        let fate = match (self.witness(effect).await, ended) {
            (Ok(Witness::After), _) => match self.places_of(effect).await {
                Ok(places) => Fate::Made(places),
                Err(_) => Fate::Unknown,
            },
            (Ok(Witness::Before), true) => Fate::NotMade,
            _ => Fate::Unknown,
        };
        match &fate {
            Fate::Made(_) => tracing::info!("a change whose answer was lost had been made"),
            Fate::NotMade => tracing::info!("a change whose answer was lost is made again"),
            Fate::Unknown => tracing::warn!("the answer to a change was lost for good"),
        }
        fate
    }

    /// What became of changes that were made together, of which this object was one.
    pub(super) async fn is_made(&self, id: &str, session: SessionId) -> Option<bool> {
        let ended = self.has_ended(session).await;
        let sql = Statement::Version.of(self.dialect);
        match self.rows(sql, &[Value::Text(id)], READ).await {
            Ok(rows) if !rows.is_empty() => Some(true),
            Ok(_) if ended => Some(false),
            _ => None,
        }
    }

    async fn has_ended(&self, session: SessionId) -> bool {
        let until = Instant::now() + ENDING;
        while Instant::now() < until {
            let Ok(mut lent) = self.pool.reader().await else { return false };
            let asked = async { connect::has_ended(lent.get()?, self.dialect, session).await };
            match tokio::time::timeout_at(until, asked).await {
                Ok(Ok(true)) => {
                    lent.back();
                    return true;
                }
                Ok(Ok(false)) => lent.back(),
                // This one is gone, too.
                _ => self.pool.renew(),
            }
            tokio::time::sleep(LOOK).await;
        }
        false
    }

    /// Asks the row that says most.
    async fn witness(&self, effect: &Effect<'_>) -> Result<Witness, Failure> {
        if let Some(kept) = effect.answers.first() {
            let found = self.answers(&kept.id).await;
            let found = found.map_err(|error| Failure::Other(error.to_string()))?;
            let is_there =
                found.iter().any(|it| it.place == kept.place && it.sealed == kept.sealed);
            return Ok(if is_there { Witness::After } else { Witness::Before });
        }
        if let Some((id, row)) = effect.one_put() {
            let before = effect.objects.get(id).map(|part| part.before);
            let values = [Value::Text(id), Value::Int(NONE), Value::Bytes(&[])];
            let rows = self.rows(Statement::Object.of(self.dialect), &values, READ).await?;
            let Some(found) = rows.first() else {
                let is_new = before == Some(Before::Never);
                return Ok(if is_new { Witness::Before } else { Witness::Silent });
            };
            let version = found.int(column::VERSION)?;
            return Ok(if found.maybe_bytes(column::OBJECT)? == Some(&row.record) {
                Witness::After
            } else if before == version.try_into().ok().map(Before::Version) {
                Witness::Before
            } else {
                Witness::Silent
            });
        }
        for (id, version, after) in effect.replaced() {
            if matches!(after, After::Removed) {
                let sql = Statement::Version.of(self.dialect);
                let rows = self.rows(sql, &[Value::Text(id)], READ).await?;
                let now = rows.first().map(|row| row.int(0)).transpose()?;
                return Ok(match now {
                    // Whoever removed it, it is as it should be.
                    Some(REMOVED) => Witness::After,
                    Some(now) if now == version.cast_signed() => Witness::Before,
                    _ => Witness::Silent,
                });
            }
        }
        if let Some((id, usage)) = effect.usage.first_key_value() {
            let rows =
                self.rows(Statement::Usage.of(self.dialect), &[Value::Text(id)], READ).await?;
            let now = rows.first().map(|row| row.bytes(0)).transpose()?;
            return Ok(match now {
                now if now == Some(usage.sealed) => Witness::After,
                now if now == usage.expected => Witness::Before,
                _ => Witness::Silent,
            });
        }
        Ok(Witness::Silent)
    }

    async fn places_of(&self, effect: &Effect<'_>) -> Result<Places, Failure> {
        let mut places = Places::new();
        for id in effect.put_ids() {
            let rows = self.rows(Statement::Old.of(self.dialect), &[Value::Text(id)], READ).await?;
            let seq = rows.first().map(|row| row.int(0)).transpose()?;
            places.insert(id.to_owned(), seq.unwrap_or_default());
        }
        Ok(places)
    }
}
