//! Commits: tried until the work of others leaves room, and honest about what became of them.
//!
//! A change that is one statement is made by it; others are made in a transaction, which ends with
//! the connection. Only where the connection was lost with the last statement under way does nobody
//! know what became of it. It must not know what the statements are.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

use super::Server;
use super::doubt::Fate;
use super::driver::{Connection, SessionId, Value};
use super::effect::{Effect, Old};
use super::failure::Failure;
use super::read::{READ, number};
use crate::Error;
use crate::backend::dialect::{Dialect, Sql};
use crate::backend::statement::Statement;
use crate::commit::Commit;
use crate::record::Write;

/// How long one statement of a change may take; it may have to wait for others' transactions. What is
/// large has a second more for so many bytes.
pub(super) const WRITE: Duration = Duration::from_secs(10);
pub(super) const BYTES_A_SECOND: usize = 2 << 20;
/// How often, and for how long, a change is tried that meets the work of others, and the longest
/// pause between.
const TRIES: u32 = 12;
const TRYING: Duration = Duration::from_secs(10);
const PAUSE_US: u64 = 4_000;
/// How often a change is tried whose connection was lost before anything could be made.
const LOST: u32 = 3;

/// Why an attempt came to nothing, or may have.
#[derive(Debug)]
pub(super) enum Stop {
    /// It rests on what is no longer so.
    Refused(Error),
    /// What it rests on is no longer so, and the database did not say which part.
    Unmet,
    /// It failed, and nothing of it was kept.
    Failed(Failure),
    /// Nobody knows what the session has made of it.
    Doubt(Failure, SessionId),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unmet => Self::Unmet,
            failure => Self::Failed(failure),
        }
    }
}

pub(super) fn conflict(id: &str) -> Stop {
    Stop::Refused(Error::Conflict { id: id.to_owned() })
}

pub(super) fn exists(id: &str) -> Stop {
    Stop::Refused(Error::Exists { id: id.to_owned() })
}

/// A connection while it makes one change.
pub(super) struct Session<'a> {
    pub(super) connection: &'a mut Connection,
    pub(super) dialect: Dialect,
    /// Whether a statement is a transaction of its own.
    pub(super) alone: bool,
    pub(super) time: Duration,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        connection: &'a mut Connection,
        dialect: Dialect,
        alone: bool,
        time: Duration,
    ) -> Self {
        Self { connection, dialect, alone, time }
    }
    async fn timed<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Connection) -> Result<T, Failure>,
    ) -> Result<T, Stop> {
        let late = || Failure::Lost("the database does not answer".to_owned());
        let done = tokio::time::timeout(self.time, work(self.connection)).await;
        done.unwrap_or_else(|_| Err(late())).map_err(|failure| match failure {
            Failure::Lost(_) if self.alone => Stop::Doubt(failure, self.connection.id),
            failure => failure.into(),
        })
    }

    /// Runs a statement; see [`Connection::change`].
    pub(super) async fn change(
        &mut self,
        sql: &Sql,
        values: &[Value<'_>],
    ) -> Result<(u64, i64), Stop> {
        self.timed(async |connection| connection.change(sql, values).await).await
    }

    /// Runs a statement of the table.
    pub(super) async fn run(
        &mut self,
        statement: Statement,
        values: &[Value<'_>],
    ) -> Result<u64, Stop> {
        Ok(self.change(statement.of(self.dialect), values).await?.0)
    }

    /// Runs a statement whose rows are wanted; the first column of each.
    pub(super) async fn numbers(
        &mut self,
        sql: &Sql,
        values: &[Value<'_>],
        column: usize,
    ) -> Result<Vec<i64>, Stop> {
        let rows = self.timed(async |connection| connection.rows(sql, values).await).await?;
        let numbers = rows.iter().filter_map(|row| row.maybe_int(column).transpose());
        numbers.collect::<Result<_, _>>().map_err(Stop::Failed)
    }

    pub(super) async fn script(&mut self, text: &'static str) -> Result<(), Stop> {
        self.timed(async |connection| connection.script(text).await).await
    }
}

impl Server {
    /// Makes all changes, durably, or none.
    pub(super) async fn commit(&self, commit: Commit) -> Result<(), Error> {
        let outcome = if commit.keyring.is_empty() {
            self.make(&commit).await
        } else {
            let changes: Vec<_> = commit.changes().collect();
            self.change_keyring(&commit.keyring, &changes).await.map(|()| Vec::new())
        };
        match outcome {
            Ok(seqs) => {
                commit.done(&seqs);
                Ok(())
            }
            Err(refusal @ (Error::Conflict { .. } | Error::Exists { .. })) => {
                commit.refused();
                Err(refusal)
            }
            // The commit is dropped: what the database holds is read again.
            Err(failure) => Err(failure),
        }
    }

    async fn make(&self, commit: &Commit) -> Result<Vec<i64>, Error> {
        let effect = Effect::of(commit)?;
        let (mut met, mut lost, began) = (0, 0, Instant::now());
        loop {
            let stop = match self.attempt(&effect).await {
                Ok(made) => return Ok(places(commit, &made)),
                Err(stop) => stop,
            };
            match stop {
                Stop::Refused(refusal) => return Err(refusal),
                Stop::Unmet => return Err(self.what_is_unmet(&effect).await?),
                Stop::Failed(Failure::Again(_)) if met < TRIES && began.elapsed() < TRYING => {
                    met += 1;
                    pause(met).await;
                }
                // It will be as it is, and the caller may decide anew.
                Stop::Failed(Failure::Again(why)) => {
                    tracing::debug!(why, "a change met others' until it was given up");
                    return Err(Error::Conflict { id: effect.first_id().to_owned() });
                }
                Stop::Failed(Failure::Lost(_) | Failure::Ended(_) | Failure::ReadOnly(_))
                    if lost < LOST =>
                {
                    lost += 1;
                    self.pool.renew();
                }
                Stop::Failed(failure) => return Err(failure.into()),
                Stop::Doubt(failure, session) => {
                    self.pool.renew();
                    match self.fate(&effect, session).await {
                        Fate::Made(made) => return Ok(places(commit, &made)),
                        Fate::NotMade if lost < LOST => lost += 1,
                        Fate::NotMade => return Err(failure.into()),
                        Fate::Unknown => return Err(Error::Unknown(failure.to_string())),
                    }
                }
            }
        }
    }

    /// One attempt; the places of objects that were put, by identifier.
    async fn attempt(&self, effect: &Effect<'_>) -> Result<Places, Stop> {
        let old = self.old_rows(effect).await?;
        let mut lent = self.pool.writer().await?;
        let alone = self.is_one_statement(effect, &old);
        let time = WRITE + Duration::from_secs((effect.weight() / BYTES_A_SECOND) as u64);
        let mut session = Session::new(lent.get()?, self.dialect, alone, time);
        let outcome = self.transact(&mut session, effect, &old).await;
        let clean = match &outcome {
            Ok(_) | Err(Stop::Refused(_) | Stop::Unmet) => true,
            Err(Stop::Failed(failure)) => failure.leaves_connection(),
            Err(Stop::Doubt(..)) => false,
        };
        // A connection that is not given back ends, and its transaction with it.
        let ended = alone || outcome.is_ok();
        if clean && (ended || session.script("ROLLBACK").await.is_ok()) {
            lent.back();
        }
        outcome
    }

    async fn transact(
        &self,
        session: &mut Session<'_>,
        effect: &Effect<'_>,
        old: &HashMap<&str, Old>,
    ) -> Result<Places, Stop> {
        if !session.alone {
            session.script("START TRANSACTION").await?;
        }
        let mut made = match self.dialect {
            Dialect::Postgres => self.by_lists(session, effect, old).await?,
            Dialect::MySql => self.by_rows(session, effect, old).await?,
        };
        for (id, old) in old {
            made.insert((*id).to_owned(), old.seq);
        }
        super::rows::more(session, effect).await?;
        if !session.alone {
            // From here on it is one statement that decides.
            session.alone = true;
            session.script("COMMIT").await?;
        }
        Ok(made)
    }

    /// What is known of the rows that are replaced: from memory, where they are in the version that
    /// the commit expects, else from the database.
    async fn old_rows<'a>(&self, effect: &Effect<'a>) -> Result<HashMap<&'a str, Old>, Stop> {
        let mut all = HashMap::new();
        for (id, version, _) in effect.replaced() {
            let known = self.cache.known(id, version).and_then(|known| Old::of(&known));
            let old =
                if let Some(known) = known { known } else { self.old_row(id, version).await? };
            all.insert(id, old);
        }
        Ok(all)
    }

    async fn old_row(&self, id: &str, version: u64) -> Result<Old, Stop> {
        let sql = Statement::Old.of(self.dialect);
        let rows = self.rows(sql, &[Value::Text(id)], READ).await?;
        let row = rows.first().ok_or_else(|| conflict(id))?;
        if row.int(1)?.cast_unsigned() != version {
            return Err(conflict(id));
        }
        Ok(Old {
            seq: row.int(0)?,
            generation: number(row, 2)?,
            indexed: row.bytes(3)?.to_vec(),
            sealed_by: row.int(4)?,
        })
    }

    /// Which of the things that a change rests on is not so. If all are again, it is a conflict.
    pub(super) async fn what_is_unmet(&self, effect: &Effect<'_>) -> Result<Error, Error> {
        for (id, _) in effect.created() {
            let sql = Statement::Version.of(self.dialect);
            if !self.rows(sql, &[Value::Text(id)], READ).await?.is_empty() {
                return Ok(Error::Exists { id: id.to_owned() });
            }
        }
        let expected = effect.replaced().map(|(id, version, _)| (id, Some(version)));
        for (id, version) in expected.chain(effect.checked()) {
            let sql = Statement::Version.of(self.dialect);
            let rows = self.rows(sql, &[Value::Text(id)], READ).await?;
            let now = rows.first().map(|row| row.int(0)).transpose()?;
            let right = now.is_some_and(|now| {
                now >= 0 && version.is_none_or(|version| now.cast_unsigned() == version)
            });
            if !right {
                return Ok(Error::Conflict { id: id.to_owned() });
            }
        }
        let usage = effect.usage.keys().next().copied();
        let id = usage.or_else(|| effect.absent().next()).unwrap_or_else(|| effect.first_id());
        Ok(Error::Conflict { id: id.to_owned() })
    }
}

/// Places of objects by identifier.
pub(super) type Places = HashMap<String, i64>;

/// The place of each put, in the order of the writes.
fn places(commit: &Commit, made: &Places) -> Vec<i64> {
    let places = commit.writes.iter().filter_map(|write| match write {
        Write::Put { row, .. } => Some(made.get(&row.id).copied().unwrap_or_default()),
        _ => None,
    });
    places.collect()
}

/// Waits for a moment that is not the one for which the others wait.
async fn pause(turn: u32) {
    let random = RandomState::new().hash_one(turn);
    let most = PAUSE_US.min(250 << turn.min(8));
    tokio::time::sleep(Duration::from_micros(random % most)).await;
}
