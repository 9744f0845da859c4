//! `PostgreSQL` and `MySQL`, which other servers use beside this one.
//!
//! One code for both: the statements stand once ([`super::statement`]), what is spelt differently is
//! in [`super::dialect`], and the driver has one small face ([`driver`]). Only how a commit is told
//! differs, since one of them takes lists. It must not know what sealed bytes hold.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::task::AbortHandle;

use super::dialect::{Dialect, Sql};
use super::statement::Statement;
use super::{Answer, Backend, Opening, Used};
use crate::audit::{AuditChange, AuditEpoch, AuditHead};
use crate::backend;
use crate::cache::Cache;
use crate::commit::Commit;
use crate::keyring::{SealedCount, SealedRows, SealedTable};
use crate::location::{Host, Tls};
use crate::migrate::Mismatch;
use crate::record::{ApiToken, Cached, Grant, KeyringRow, Search, Usage};
use crate::transfer::Known;
use crate::{Address, Config, Location, OpenError, Remote};

mod audit;
mod connect;
mod doubt;
mod driver;
mod effect;
mod failure;
mod handshake;
mod import;
mod keyring;
mod lists;
mod migrate;
mod pool;
mod query;
mod read;
mod relay;
mod rows;
mod search;
mod snapshot;
#[cfg(test)]
mod tests;
mod tls;
mod write;

use connect::{Connector, Refusal};
use driver::{Connection, Value};
use failure::Failure;
use pool::Pool;
use tls::Trust;

/// The first pause between two tries at the start, and the longest.
const FIRST_PAUSE: std::time::Duration = std::time::Duration::from_millis(200);
const LONGEST_PAUSE: std::time::Duration = std::time::Duration::from_secs(5);

/// Opens the database, if the configuration means one on a server.
pub(crate) fn open(config: &Config, cache: Arc<Cache>) -> Option<Opening<'_>> {
    let Location::Server(address) = &config.location else { return None };
    Some(Box::pin(async move {
        let server = Server::open(address, &config.remote, config.beside, cache).await?;
        Ok(Arc::new(server) as Arc<dyn Backend>)
    }))
}

/// The steps that the schema still lacks.
pub(crate) async fn missing_steps(
    address: &Address,
    remote: &Remote,
) -> Result<Vec<String>, OpenError> {
    let connector = Connector::new(address.clone(), trust(address, remote)?);
    let mut connection = wait_for(&connector, remote).await?;
    let missing = migrate::missing(&mut connection, connector.dialect()).await;
    let missing = missing.map_err(|stop| refused(address, stop))?;
    connection.close().await;
    Ok(missing.iter().map(ToString::to_string).collect())
}

/// The database.
pub(super) struct Server {
    pool: Arc<Pool>,
    dialect: Dialect,
    cache: Arc<Cache>,
    database_id: String,
    /// The statements of commits, by their shape.
    shapes: Mutex<HashMap<u16, Sql>>,
    watch: AbortHandle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

impl Server {
    async fn open(
        address: &Address,
        remote: &Remote,
        beside: bool,
        cache: Arc<Cache>,
    ) -> Result<Self, OpenError> {
        let trust = trust(address, remote)?;
        let connector = Connector::new(address.clone(), trust);
        let dialect = connector.dialect();
        let mut connection = wait_for(&connector, remote).await?;
        let refused = |stop| refused(address, stop);
        if beside {
            let missing = migrate::missing(&mut connection, dialect).await.map_err(refused)?;
            if !missing.is_empty() {
                return Err(unfinished(address));
            }
        } else if migrate::run(&mut connection, dialect).await.map_err(refused)? {
            tracing::info!(database = %address, "brought the database's schema up to date");
        }
        let key = [Value::Text(migrate::DATABASE_ID)];
        let row = connection.row(Statement::Meta.of(dialect), &key).await;
        let row = row.map_err(|failure| refused(failure.into()))?;
        let Some(database_id) = row.and_then(|row| row.text(0).ok().map(str::to_owned)) else {
            return Err(unfinished(address));
        };
        if !beside {
            connect::warn_of_weakness(&mut connection, address).await;
        }
        let pool = Arc::new(Pool::new(connector, remote.connections.max(2), connection));
        let watch = tokio::spawn(Arc::clone(&pool).watch()).abort_handle();
        let shapes = Mutex::default();
        Ok(Self { pool, dialect, cache, database_id, shapes, watch })
    }
}

/// How the database is to be spoken to; none in plain text.
fn trust(address: &Address, remote: &Remote) -> Result<Option<Trust>, OpenError> {
    let wrong = |why: String, mend: &str| OpenError::Server {
        host: address.to_string(),
        why,
        mend: mend.to_owned(),
    };
    let demanded = remote.demands_tls || remote.identity.is_some();
    let local = address.hosts.iter().all(Host::is_local);
    match address.tls {
        Tls::Never if demanded => {
            return Err(wrong(
                "the URL asks for plain text, and certificates are named".to_owned(),
                "take one of them back",
            ));
        }
        Tls::Never => {
            if !local {
                tracing::warn!(database = %address, "the database is spoken to in plain text");
            }
            return Ok(None);
        }
        Tls::Usual if local && !demanded => return Ok(None),
        Tls::Usual | Tls::Always => {}
    }
    Trust::new(&remote.roots, remote.identity.as_ref())
        .map(Some)
        .map_err(|why| wrong(why, "check KMS_DATABASE_CA_PATH and KMS_USER_CERT_PATH"))
}

/// A first connection: tried again and again while the reason may pass, for as long as was allowed.
async fn wait_for(connector: &Connector, remote: &Remote) -> Result<Connection, OpenError> {
    let began = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        let refusal = match connector.connect().await {
            Ok(connection) => return Ok(connection),
            Err(refusal) => refusal,
        };
        let left = remote.wait.saturating_sub(began.elapsed());
        if !refusal.passes || left.is_zero() {
            let Refusal { host, why, mend, .. } = refusal;
            return Err(OpenError::Server { host, why, mend });
        }
        tracing::warn!(
            host = refusal.host,
            why = refusal.why,
            seconds_left = left.as_secs(),
            "the database cannot be used yet; trying again"
        );
        tokio::time::sleep(pause.min(left)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Why the schema cannot be used.
fn refused(address: &Address, stop: migrate::Stop) -> OpenError {
    let host = address.to_string();
    let (why, mend) = match stop {
        migrate::Stop::Mismatch(Mismatch::Future { found, known }) => {
            return OpenError::Future { path: host.into(), found, known };
        }
        migrate::Stop::Mismatch(Mismatch::Different { number }) => (
            format!("step {number} of its schema is not the one that was released"),
            "restore a backup, or start the version that wrote it",
        ),
        migrate::Stop::Held => (
            "another server does not come to an end with its schema".to_owned(),
            "look at that server's log; if there is none, empty the table migration_lock",
        ),
        migrate::Stop::Failed(Failure::Denied(text)) => (
            format!("the user {} may not make or use its tables: {text}", address.user),
            "let the user own the schema (PostgreSQL), or GRANT ALL ON the database (MySQL)",
        ),
        migrate::Stop::Failed(failure) => {
            (format!("its schema cannot be made: {failure}"), "look at the database's log")
        }
    };
    OpenError::Server { host, why, mend: mend.to_owned() }
}

fn unfinished(address: &Address) -> OpenError {
    OpenError::Server {
        host: address.to_string(),
        why: "its schema is not there, or not up to date".to_owned(),
        mend: "start the server, or run kms-server migrate".to_owned(),
    }
}

impl Backend for Server {
    fn product(&self) -> &'static str {
        self.pool.connector().address().product.word()
    }

    fn database_id(&self) -> &str {
        &self.database_id
    }

    fn object<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Arc<Cached>>> {
        Box::pin(self.object(id))
    }

    fn used<'a>(&'a self, id: &'a str, user: &'a str) -> Answer<'a, Option<Used>> {
        Box::pin(self.used(id, user))
    }

    fn grants_among<'a>(
        &'a self,
        ids: &'a [&'a str],
        user: &'a str,
    ) -> Answer<'a, Option<Vec<Grant>>> {
        Box::pin(async move { self.grants_among(ids, user).await.map(Some) })
    }

    fn trouble(&self) -> Option<Arc<str>> {
        self.pool.trouble()
    }

    fn commit(&self, commit: Commit) -> Answer<'_, ()> {
        Box::pin(self.commit(commit))
    }

    fn search(&self, search: Search) -> Answer<'_, Vec<Arc<Cached>>> {
        Box::pin(async move { self.search(&search).await })
    }

    fn due(&self, now: i64, limit: usize) -> Answer<'_, Vec<Arc<Cached>>> {
        Box::pin(self.due(now, limit))
    }

    fn grant<'a>(&'a self, id: &'a str, user: &'a str) -> Answer<'a, Option<Grant>> {
        Box::pin(self.grant(id, user))
    }

    fn grants<'a>(&'a self, id: &'a str) -> Answer<'a, Vec<Grant>> {
        Box::pin(self.grants(id))
    }

    fn grant_count<'a>(&'a self, id: &'a str, limit: usize) -> Answer<'a, usize> {
        Box::pin(self.grant_count(id, limit))
    }

    fn granted_to(
        &self,
        user: String,
        after: Option<String>,
        limit: usize,
    ) -> Answer<'_, Vec<Grant>> {
        Box::pin(async move { self.granted_to(&user, after.as_deref(), limit).await })
    }

    fn usage<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Usage>> {
        Box::pin(self.usage(id))
    }

    fn api_token<'a>(&'a self, id: &'a str) -> Answer<'a, Option<(ApiToken, u64)>> {
        Box::pin(self.api_token(id))
    }

    fn api_tokens(&self) -> Answer<'_, (Vec<ApiToken>, u64)> {
        Box::pin(self.api_tokens())
    }

    fn audit_changes<'a>(
        &'a self,
        server: &'a str,
        range: ((u64, u64), (u64, u64)),
        limit: usize,
    ) -> Answer<'a, Vec<AuditChange>> {
        Box::pin(self.audit_changes(server, range, limit))
    }

    fn audit_epochs<'a>(&'a self, server: &'a str) -> Answer<'a, Vec<AuditEpoch>> {
        Box::pin(self.audit_epochs(server))
    }

    fn audit_head<'a>(&'a self, server: &'a str) -> Answer<'a, Option<AuditHead>> {
        Box::pin(self.audit_head(server))
    }

    fn audit_lines<'a>(
        &'a self,
        server: &'a str,
        from: u64,
        limit: usize,
    ) -> Answer<'a, Vec<(u64, Vec<u8>)>> {
        Box::pin(self.audit_lines(server, from, limit))
    }

    fn audit_last_line<'a>(&'a self, server: &'a str) -> Answer<'a, Option<Vec<u8>>> {
        Box::pin(self.audit_last_line(server))
    }

    fn removed<'a>(&'a self, id: &'a str) -> Answer<'a, bool> {
        Box::pin(self.removed(id))
    }

    fn snapshot(&self) -> Answer<'_, Box<dyn backend::Snapshot + '_>> {
        Box::pin(async {
            Ok(Box::new(snapshot::Snapshot::begin(self).await?) as Box<dyn backend::Snapshot>)
        })
    }

    fn import(&self) -> Answer<'_, Box<dyn backend::Import + '_>> {
        Box::pin(async {
            Ok(Box::new(import::Import::begin(self).await?) as Box<dyn backend::Import>)
        })
    }

    fn known<'a>(&'a self, ids: &'a [&'a str]) -> Answer<'a, Vec<(String, Known)>> {
        Box::pin(self.known(ids))
    }

    fn keyring(&self) -> Answer<'_, Vec<KeyringRow>> {
        Box::pin(self.keyring())
    }

    fn note<'a>(&'a self, key: &'a str) -> Answer<'a, Option<String>> {
        Box::pin(self.note(key))
    }

    fn sealed_counts(&self) -> Answer<'_, Vec<SealedCount>> {
        Box::pin(self.sealed_counts())
    }

    fn sealed_rows(
        &self,
        table: SealedTable,
        generation: u32,
        after: i64,
        limit: usize,
    ) -> Answer<'_, SealedRows> {
        Box::pin(self.sealed_rows(table, generation, after, limit))
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            self.watch.abort();
            self.pool.close().await;
            Ok(())
        })
    }
}
