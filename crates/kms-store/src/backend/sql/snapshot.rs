//! All of the database at one moment: a transaction that reads, on a connection of its own.
//!
//! A page is chosen by the sizes of its objects before any of them is read. It must not write.

use std::collections::HashMap;
use std::time::Duration;

use super::Server;
use super::driver::{Row, Value};
use super::failure::Failure;
use super::pool::Lent;
use super::query::Query;
use super::read::{self, API_TOKEN_EPOCH, column, whole};
use crate::Error;
use crate::backend::dialect::{Dialect, Sql};
use crate::backend::statement::Statement;
use crate::backend::{self, Answer};
use crate::record::{ApiToken, Grant, Usage};
use crate::transfer::{PAGE_BYTES, PAGE_GRANTS, PAGE_ROWS, Stored};

/// The most identifiers of a page.
const REMOVED: usize = 1000;
/// How long one statement may take: one of them counts all objects.
const SCAN: Duration = Duration::from_mins(2);
/// What others commit is not seen from here on, and the session waits for slow files.
const POSTGRES: &str = "START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; \
     SET LOCAL idle_in_transaction_session_timeout = '10min'; SET LOCAL statement_timeout = '2min'";
const MYSQL: &str = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; \
     START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";

/// The moment, and how far it was read. The connection ends with it.
pub(super) struct Snapshot<'a> {
    lent: Lent<'a>,
    dialect: Dialect,
    /// The last object, and the last place of a removed one.
    seq: i64,
    removed: i64,
}

impl<'a> Snapshot<'a> {
    pub(super) async fn begin(server: &'a Server) -> Result<Self, Error> {
        let mut lent = server.pool.writer().await?;
        let begin = match server.dialect {
            Dialect::Postgres => POSTGRES,
            Dialect::MySql => MYSQL,
        };
        lent.get()?.script(begin).await?;
        let mut snapshot = Self { lent, dialect: server.dialect, seq: 0, removed: 0 };
        // The moment is the first read's, on one of them.
        let key = [Value::Text(super::migrate::DATABASE_ID)];
        snapshot.run(Statement::Meta, &key).await?;
        Ok(snapshot)
    }

    async fn rows(&mut self, sql: &Sql, values: &[Value<'_>]) -> Result<Vec<Row>, Failure> {
        let answer = tokio::time::timeout(SCAN, self.lent.get()?.rows(sql, values)).await;
        answer.unwrap_or_else(|_| Err(Failure::Busy("the database does not answer".to_owned())))
    }

    async fn run(
        &mut self,
        statement: Statement,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, Failure> {
        self.rows(statement.of(self.dialect), values).await
    }

    /// The last place of the next page, and how many objects it has.
    async fn page_end(&mut self) -> Result<Option<i64>, Error> {
        let values = [Value::Int(self.seq), Value::Int(whole(PAGE_ROWS))];
        let (mut end, mut bytes) = (None, 0_i64);
        for row in self.run(Statement::Sizes, &values).await? {
            bytes = bytes.saturating_add(row.int(1)?);
            if end.is_some() && bytes > whole(PAGE_BYTES) {
                break;
            }
            end = Some(row.int(0)?);
        }
        Ok(end)
    }

    async fn next_objects(&mut self) -> Result<Vec<Stored>, Error> {
        let Some(end) = self.page_end().await? else { return Ok(Vec::new()) };
        let values = [Value::Int(self.seq), Value::Int(end)];
        let rows = self.run(Statement::Page, &values).await?;
        let mut page = Vec::with_capacity(rows.len());
        let mut places = Vec::with_capacity(rows.len());
        for row in &rows {
            let found = read::object(row, row.text(column::MORE)?)?;
            places.push(found.seq);
            let usage = match row.maybe_bytes(column::MORE + 1)? {
                Some(sealed) => Some(Usage {
                    sealed: sealed.to_vec(),
                    sealed_by: read::number(row, column::MORE + 2)?,
                }),
                None => None,
            };
            page.push(Stored { row: found.row, usage, grants: Vec::new() });
        }
        drop(rows);
        self.add_grants(&mut page).await?;
        // Where there were too many grants for all of them, it is a shorter page.
        self.seq = page.len().checked_sub(1).and_then(|at| places.get(at).copied()).unwrap_or(end);
        Ok(page)
    }

    async fn add_grants(&mut self, page: &mut Vec<Stored>) -> Result<(), Error> {
        let all = self.grants_on(page, PAGE_GRANTS + 1).await?;
        let all = if all.len() > PAGE_GRANTS {
            page.truncate(1);
            self.grants_on(page, usize::MAX).await?
        } else {
            all
        };
        let mut by_object: HashMap<String, Vec<Grant>> = HashMap::new();
        for grant in all {
            by_object.entry(grant.id.clone()).or_default().push(grant);
        }
        for stored in page {
            stored.grants = by_object.remove(&stored.row.id).unwrap_or_default();
        }
        Ok(())
    }

    async fn grants_on(&mut self, page: &[Stored], limit: usize) -> Result<Vec<Grant>, Error> {
        let ids: Vec<_> = page.iter().map(|stored| stored.row.id.as_str()).collect();
        let mut query = Query::default();
        query.list(Statement::GrantsOn.template(), &ids);
        query.add(") ORDER BY id, userid LIMIT ?1", &[Value::Int(whole(limit))]);
        let rows = self.rows(&query.spell(self.dialect), &query.values).await?;
        Ok(rows.iter().map(|row| read::grant(row, 0)).collect::<Result<_, _>>()?)
    }
}

impl backend::Snapshot for Snapshot<'_> {
    fn count(&mut self) -> Answer<'_, u64> {
        Box::pin(async {
            let rows = self.run(Statement::Count, &[Value::Int(0)]).await?;
            let count = rows.first().map_or(Ok(0), |row| row.int(0))?;
            Ok(count.cast_unsigned())
        })
    }

    fn objects(&mut self) -> Answer<'_, Vec<Stored>> {
        Box::pin(self.next_objects())
    }

    fn removed(&mut self) -> Answer<'_, Vec<String>> {
        Box::pin(async {
            let values = [Value::Int(self.removed), Value::Int(whole(REMOVED))];
            let rows = self.run(Statement::Removed, &values).await?;
            if let Some(last) = rows.last() {
                self.removed = last.int(0)?;
            }
            let ids = rows.iter().map(|row| row.text(1).map(str::to_owned));
            Ok(ids.collect::<Result<_, _>>()?)
        })
    }

    fn api_tokens(&mut self) -> Answer<'_, (Vec<ApiToken>, u64)> {
        Box::pin(async {
            let key = [Value::Text(API_TOKEN_EPOCH)];
            Ok(read::tokens(&self.run(Statement::ApiTokens, &key).await?)?)
        })
    }
}
