//! Changes that are made together: one transaction, on a connection of its own, in which each part is
//! told like a commit.
//!
//! It is not tried again where it meets the work of others, since only the caller has all of it. It
//! must not know what the statements are.

use std::collections::HashMap;
use std::time::Duration;

use super::Server;
use super::effect::Effect;
use super::failure::Failure;
use super::pool::Lent;
use super::write::{BYTES_A_SECOND, Session, Stop, WRITE};
use crate::Error;
use crate::backend::dialect::Dialect;
use crate::backend::{self, Answer};
use crate::commit::Commit;

/// How long the end of it may take: all of it is made durable, and on a cluster told to all nodes.
const FINISH: Duration = Duration::from_mins(10);
/// The session waits for slow files.
const POSTGRES: &str = "START TRANSACTION; SET LOCAL idle_in_transaction_session_timeout = '10min'";
const MYSQL: &str = "START TRANSACTION";
/// What `MyRocks` allows a transaction to change is a million rows, unless one asks for more.
const ROW_LOCKS: &str = "SHOW SESSION VARIABLES LIKE 'rocksdb_max_row_locks'";
const MORE_ROW_LOCKS: &str = "SET SESSION rocksdb_max_row_locks = 1073741824";

/// The transaction. The connection ends with it, and where it was not finished, all of it.
pub(super) struct Import<'a> {
    server: &'a Server,
    lent: Lent<'a>,
    /// One of the new objects, and so all of it.
    witness: Option<String>,
}

impl<'a> Import<'a> {
    pub(super) async fn begin(server: &'a Server) -> Result<Self, Error> {
        let mut lent = server.pool.writer().await?;
        let connection = lent.get()?;
        if server.dialect == Dialect::MySql {
            let asked = server.dialect.spell(ROW_LOCKS);
            if connection.row(&asked, &[]).await?.is_some() {
                connection.script(MORE_ROW_LOCKS).await?;
            }
        }
        connection
            .script(match server.dialect {
                Dialect::Postgres => POSTGRES,
                Dialect::MySql => MYSQL,
            })
            .await?;
        Ok(Self { server, lent, witness: None })
    }

    async fn make(&mut self, effect: &Effect<'_>) -> Result<(), Stop> {
        let (none, dialect) = (HashMap::new(), self.server.dialect);
        let time = WRITE + Duration::from_secs((effect.weight() / BYTES_A_SECOND) as u64);
        let connection = self.lent.get()?;
        let mut session = Session { connection, dialect, alone: false, time };
        match dialect {
            Dialect::Postgres => self.server.by_lists(&mut session, effect, &none).await?,
            Dialect::MySql => self.server.by_rows(&mut session, effect, &none).await?,
        };
        super::rows::more(&mut session, effect).await
    }

    async fn put(&mut self, commit: &Commit) -> Result<(), Error> {
        let effect = Effect::of(commit)?;
        let made = self.make(&effect).await;
        if self.witness.is_none() {
            self.witness = effect.put_ids().next().map(str::to_owned);
        }
        match made {
            Ok(()) => Ok(()),
            Err(Stop::Refused(refusal)) => Err(refusal),
            Err(Stop::Unmet) => Err(self.server.what_is_unmet(&effect).await?),
            Err(Stop::Failed(failure) | Stop::Doubt(failure, _)) => Err(failure.into()),
        }
    }

    async fn finish(mut self) -> Result<(), Error> {
        let (dialect, time) = (self.server.dialect, FINISH);
        let connection = self.lent.get()?;
        // From here on it is one statement that decides.
        let mut session = Session { connection, dialect, alone: true, time };
        match session.script("COMMIT").await {
            Ok(()) => Ok(()),
            Err(Stop::Refused(refusal)) => Err(refusal),
            Err(Stop::Unmet) => Err(Failure::Unmet.into()),
            Err(Stop::Failed(failure)) => Err(failure.into()),
            Err(Stop::Doubt(failure, session)) => {
                let fate = match &self.witness {
                    Some(id) => self.server.is_made(id, session).await,
                    None => None,
                };
                match fate {
                    Some(true) => Ok(()),
                    Some(false) => Err(failure.into()),
                    None => Err(Error::Unknown(failure.to_string())),
                }
            }
        }
    }
}

impl backend::Import for Import<'_> {
    fn put(&mut self, commit: Commit) -> Answer<'_, ()> {
        Box::pin(async move { Self::put(self, &commit).await })
    }

    fn finish<'b>(self: Box<Self>) -> Answer<'b, ()>
    where
        Self: 'b,
    {
        Box::pin(Self::finish(*self))
    }
}
