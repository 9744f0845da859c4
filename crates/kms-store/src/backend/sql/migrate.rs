//! The schema: made and brought up to date by one of many servers that start.
//!
//! `PostgreSQL` takes all missing steps in one transaction, under a lock that ends with it. The
//! others make each statement durable by itself: a row notes how many of a step's are done, and one
//! that may have been done before is begun again. Their lock is a row too, since their named locks
//! do not reach the other nodes of a cluster.

use std::time::{Duration, Instant};

use super::driver::{Connection, Value};
use super::failure::Failure;
use crate::backend::dialect::Dialect;
use crate::migrate::{self, Migration, Mismatch};

/// The number of our lock among those of the database: `KMS`.
const LOCK: &str = "SELECT pg_advisory_xact_lock(x'4B4D53'::bigint)";
/// How long others may take with the schema, and when one that has the lock is taken for dead.
const WAIT: Duration = Duration::from_mins(2);
const DEAD_SECONDS: i64 = 60;
const AGAIN: Duration = Duration::from_millis(200);

/// Why the schema cannot be used.
#[derive(Debug)]
pub(super) enum Stop {
    Mismatch(Mismatch),
    Failed(Failure),
    /// Another server does not come to an end with it.
    Held,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Mismatch> for Stop {
    fn from(mismatch: Mismatch) -> Self {
        Self::Mismatch(mismatch)
    }
}

/// The steps that a database still needs; it is not changed.
pub(super) async fn missing(
    connection: &mut Connection,
    dialect: Dialect,
) -> Result<&'static [Migration], Stop> {
    let made = made(connection, dialect).await?;
    Ok(migrate::pending(dialect.into(), &made)?)
}

/// Makes the steps that are missing, and the database's name; tells whether there were any.
pub(super) async fn run(connection: &mut Connection, dialect: Dialect) -> Result<bool, Stop> {
    if missing(connection, dialect).await?.is_empty() {
        return Ok(false);
    }
    match dialect {
        Dialect::Postgres => postgres(connection).await?,
        Dialect::MySql => mysql(connection).await?,
    }
    Ok(true)
}

/// The numbers and texts of the steps that were made to their end.
async fn made(
    connection: &mut Connection,
    dialect: Dialect,
) -> Result<Vec<(u32, String)>, Failure> {
    const SQL: &str =
        "SELECT number, up FROM migration WHERE applied_at IS NOT NULL ORDER BY number";
    let rows = match connection.rows(&dialect.spell(SQL), &[]).await {
        Ok(rows) => rows,
        Err(Failure::Absent(_)) => return Ok(Vec::new()),
        Err(failure) => return Err(failure),
    };
    rows.iter().map(|row| Ok((super::read::number(row, 0)?, row.text(1)?.to_owned()))).collect()
}

async fn postgres(connection: &mut Connection) -> Result<(), Stop> {
    const TABLE: &str = "CREATE TABLE IF NOT EXISTS migration (number BIGINT PRIMARY KEY, \
         name TEXT NOT NULL, up TEXT NOT NULL, applied_at BIGINT)";
    const NOTE: &str = "INSERT INTO migration (number, name, up, applied_at) \
         VALUES (?1, ?2, ?3, extract(epoch FROM now())::bigint)";
    let dialect = Dialect::Postgres;
    connection
        .script("BEGIN; SET LOCAL statement_timeout = '10min'; SET LOCAL lock_timeout = 0")
        .await?;
    connection.script(LOCK).await?;
    connection.script(TABLE).await?;
    // Another server may have been faster.
    for step in missing(connection, dialect).await? {
        let text = step.text(dialect.into());
        connection.script(text).await?;
        let values = [Value::Int(step.number.into()), Value::Text(step.name), Value::Text(text)];
        connection.change(&dialect.spell(NOTE), &values).await?;
    }
    name(connection, dialect).await?;
    connection.script("COMMIT").await?;
    Ok(())
}

/// Gives the database its name, unless it has one.
async fn name(connection: &mut Connection, dialect: Dialect) -> Result<(), Failure> {
    use crate::backend::statement::Statement;
    let key = Value::Text(DATABASE_ID);
    if connection.row(Statement::Meta.of(dialect), &[key]).await?.is_none() {
        let name = random_name();
        let values = [key, Value::Text(&name)];
        connection.change(Statement::AddMeta.of(dialect), &values).await?;
    }
    Ok(())
}

/// The place of the database's name among the single values.
pub(super) const DATABASE_ID: &str = "database_id";

/// A name that nothing else has.
fn random_name() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// What is not there after it was begun is not begun, and what is there was: a statement that says
/// so is done.
fn unless_done(done: Result<(), Failure>) -> Result<(), Failure> {
    match done {
        Err(Failure::Present(_)) => Ok(()),
        other => other,
    }
}

async fn mysql(connection: &mut Connection) -> Result<(), Stop> {
    const TABLES: &[&str] = &[
        "CREATE TABLE IF NOT EXISTS migration (number BIGINT NOT NULL PRIMARY KEY, \
         name VARBINARY(255) NOT NULL, up MEDIUMBLOB NOT NULL, steps BIGINT NOT NULL, \
         applied_at BIGINT)",
        "CREATE TABLE IF NOT EXISTS migration_lock (number BIGINT NOT NULL PRIMARY KEY, \
         holder VARBINARY(64) NOT NULL, taken_at BIGINT NOT NULL)",
        "INSERT IGNORE INTO migration_lock (number, holder, taken_at) VALUES (1, '', 0)",
    ];
    for text in TABLES {
        unless_done(connection.script(text).await)?;
    }
    let holder = random_name();
    lock(connection, &holder).await?;
    let outcome = mysql_steps(connection, &holder).await;
    let free = Dialect::MySql.spell(
        "UPDATE migration_lock SET holder = '', taken_at = 0 WHERE number = 1 AND holder = ?1",
    );
    let freed = connection.change(&free, &[Value::Text(&holder)]).await;
    outcome?;
    freed?;
    Ok(())
}

/// Takes the lock, from one that has not been heard of for long if need be.
async fn lock(connection: &mut Connection, holder: &str) -> Result<(), Stop> {
    const TAKE: &str = "UPDATE migration_lock SET holder = ?1, taken_at = unix_timestamp() \
         WHERE number = 1 AND (holder = '' OR holder = ?1 OR taken_at < unix_timestamp() - ?2)";
    let take = Dialect::MySql.spell(TAKE);
    let began = Instant::now();
    while began.elapsed() < WAIT {
        let values = [Value::Text(holder), Value::Int(DEAD_SECONDS)];
        match connection.change(&take, &values).await {
            Ok((1, _)) => return Ok(()),
            Ok(_) | Err(Failure::Again(_)) => tokio::time::sleep(AGAIN).await,
            Err(failure) => return Err(failure.into()),
        }
    }
    Err(Stop::Held)
}

async fn mysql_steps(connection: &mut Connection, holder: &str) -> Result<(), Stop> {
    const BEGUN: &str = "INSERT IGNORE INTO migration (number, name, up, steps) \
         VALUES (?1, ?2, ?3, 0)";
    const STEPS: &str = "SELECT steps FROM migration WHERE number = ?1";
    const NOTE: &str = "UPDATE migration SET steps = ?2 WHERE number = ?1";
    const DONE: &str = "UPDATE migration SET up = ?2, applied_at = unix_timestamp() \
         WHERE number = ?1";
    let dialect = Dialect::MySql;
    let [begun, steps, note, done] = [BEGUN, STEPS, NOTE, DONE].map(|text| dialect.spell(text));
    for step in missing(connection, dialect).await? {
        let text = step.text(dialect.into());
        let number = Value::Int(step.number.into());
        connection.change(&begun, &[number, Value::Text(step.name), Value::Text(text)]).await?;
        let row = connection.row(&steps, &[number]).await?;
        let before = row.map_or(Ok(0), |row| super::read::number::<usize>(&row, 0))?;
        for (place, statement) in statements(text).enumerate().skip(before) {
            unless_done(connection.script(statement).await)?;
            let now = Value::Int(i64::try_from(place + 1).unwrap_or(i64::MAX));
            connection.change(&note, &[number, now]).await?;
            // Whoever waits sees that somebody is at work.
            lock(connection, holder).await?;
        }
        // Before it is the last: one that finds all steps made looks no further.
        name(connection, dialect).await?;
        connection.change(&done, &[number, Value::Text(text)]).await?;
    }
    Ok(())
}

/// The statements of a step: each ends with a semicolon and a new line.
pub(super) fn statements(text: &str) -> impl Iterator<Item = &str> {
    text.split(";\n").map(str::trim).filter(|statement| !statement.is_empty())
}
