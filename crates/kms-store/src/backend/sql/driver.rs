//! The driver behind one small face: values go in, rows come out, whichever database it is.
//!
//! The only place that names the driver's types for values and rows. It must not know a statement.
//! The driver's connect options show passwords when they are printed: nothing here is printed.

use sqlx::mysql::{MySqlArguments, MySqlConnection, MySqlRow};
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::{Arguments as _, AssertSqlSafe, Connection as _, Row as _, ValueRef as _};

use super::failure::{self, Failure};
use crate::backend::dialect::Sql;

/// A value for a placeholder.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Int(i64),
    MaybeInt(Option<i64>),
    Text(&'a str),
    MaybeText(Option<&'a str>),
    Bytes(&'a [u8]),
    MaybeBytes(Option<&'a [u8]>),
    // Lists, which PostgreSQL alone takes.
    Ints(&'a [i64]),
    MaybeInts(&'a [Option<i64>]),
    Texts(&'a [&'a str]),
    MaybeTexts(&'a [Option<&'a str>]),
    Blobs(&'a [&'a [u8]]),
    MaybeBlobs(&'a [Option<&'a [u8]>]),
    Flags(&'a [bool]),
}

/// A row of an answer.
pub(super) enum Row {
    Postgres(PgRow),
    MySql(MySqlRow),
}

/// One connection.
pub(super) enum Connection {
    Postgres(PgConnection),
    MySql(MySqlConnection),
}

impl Connection {
    /// The rows that a statement answers.
    pub(super) async fn rows(
        &mut self,
        sql: &Sql,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, Failure> {
        let text = AssertSqlSafe(std::sync::Arc::clone(&sql.text));
        match self {
            Self::Postgres(connection) => {
                let rows = sqlx::query_with(text, postgres(values)?).fetch_all(connection).await;
                Ok(rows.map_err(failure::of)?.into_iter().map(Row::Postgres).collect())
            }
            Self::MySql(connection) => {
                let rows = sqlx::query_with(text, mysql(sql, values)?).fetch_all(connection).await;
                Ok(rows.map_err(failure::of)?.into_iter().map(Row::MySql).collect())
            }
        }
    }

    /// The first row, where there is one.
    pub(super) async fn row(
        &mut self,
        sql: &Sql,
        values: &[Value<'_>],
    ) -> Result<Option<Row>, Failure> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// How many rows a statement changed, or met where it would have changed nothing; and the
    /// number that the database gave to a new row, where it tells.
    pub(super) async fn change(
        &mut self,
        sql: &Sql,
        values: &[Value<'_>],
    ) -> Result<(u64, i64), Failure> {
        let text = AssertSqlSafe(std::sync::Arc::clone(&sql.text));
        match self {
            Self::Postgres(connection) => {
                let done = sqlx::query_with(text, postgres(values)?).execute(connection).await;
                Ok((done.map_err(failure::of)?.rows_affected(), 0))
            }
            Self::MySql(connection) => {
                let done = sqlx::query_with(text, mysql(sql, values)?).execute(connection).await;
                let done = done.map_err(failure::of)?;
                Ok((done.rows_affected(), done.last_insert_id().cast_signed()))
            }
        }
    }

    /// Statements without values, separated by semicolons.
    pub(super) async fn script(&mut self, text: &str) -> Result<(), Failure> {
        let text = AssertSqlSafe(text);
        match self {
            Self::Postgres(connection) => {
                sqlx::raw_sql(text).execute(connection).await.map(drop).map_err(failure::of)
            }
            Self::MySql(connection) => {
                sqlx::raw_sql(text).execute(connection).await.map(drop).map_err(failure::of)
            }
        }
    }

    /// Asks for a sign of life.
    pub(super) async fn ping(&mut self) -> Result<(), Failure> {
        match self {
            Self::Postgres(connection) => connection.ping().await,
            Self::MySql(connection) => connection.ping().await,
        }
        .map_err(failure::of)
    }

    /// Ends the connection in order.
    pub(super) async fn close(self) {
        let closed = match self {
            Self::Postgres(connection) => connection.close().await,
            Self::MySql(connection) => connection.close().await,
        };
        if let Err(error) = closed {
            tracing::debug!(error = %failure::of(error), "a connection was not closed in order");
        }
    }
}

fn postgres(values: &[Value<'_>]) -> Result<PgArguments, Failure> {
    let mut arguments = PgArguments::default();
    for value in values {
        match *value {
            Value::Int(value) => arguments.add(value),
            Value::MaybeInt(value) => arguments.add(value),
            Value::Text(value) => arguments.add(value),
            Value::Bytes(value) => arguments.add(value),
            Value::MaybeBytes(value) => arguments.add(value),
            Value::Ints(values) => arguments.add(values),
            Value::MaybeInts(values) => arguments.add(values),
            Value::Texts(values) => arguments.add(values),
            Value::MaybeText(value) => arguments.add(value),
            Value::MaybeTexts(values) => arguments.add(values),
            Value::Blobs(values) => arguments.add(values),
            Value::MaybeBlobs(values) => arguments.add(values),
            Value::Flags(values) => arguments.add(values),
        }
        .map_err(|_too_large| Failure::TooLarge)?;
    }
    Ok(arguments)
}

fn mysql(sql: &Sql, values: &[Value<'_>]) -> Result<MySqlArguments, Failure> {
    let mut arguments = MySqlArguments::default();
    for place in sql.order.iter().flat_map(|order| order.iter()) {
        let added = match values.get(*place) {
            Some(Value::Int(value)) => arguments.add(value),
            Some(Value::MaybeInt(value)) => arguments.add(value),
            // Names are bytes in these databases.
            Some(Value::Text(value)) => arguments.add(value.as_bytes()),
            Some(Value::MaybeText(value)) => arguments.add(value.map(str::as_bytes)),
            Some(Value::Bytes(value)) => arguments.add(value),
            Some(Value::MaybeBytes(value)) => arguments.add(value),
            _ => return Err(Failure::Other("a value does not fit its statement".to_owned())),
        };
        added.map_err(|_too_large| Failure::TooLarge)?;
    }
    Ok(arguments)
}

impl Row {
    /// A number that may be absent.
    pub(super) fn maybe_int(&self, column: usize) -> Result<Option<i64>, Failure> {
        match self {
            Self::Postgres(row) => row.try_get_unchecked(column),
            Self::MySql(row) => row.try_get_unchecked(column),
        }
        .map_err(unfit)
    }

    /// A number.
    pub(super) fn int(&self, column: usize) -> Result<i64, Failure> {
        self.maybe_int(column)?.ok_or_else(missing)
    }

    /// Bytes, or the bytes of a text, that may be absent.
    pub(super) fn maybe_bytes(&self, column: usize) -> Result<Option<&[u8]>, Failure> {
        match self {
            Self::Postgres(row) => row.try_get_unchecked(column),
            Self::MySql(row) => row.try_get_unchecked(column),
        }
        .map_err(unfit)
    }

    /// Bytes.
    pub(super) fn bytes(&self, column: usize) -> Result<&[u8], Failure> {
        self.maybe_bytes(column)?.ok_or_else(missing)
    }

    /// A text.
    pub(super) fn text(&self, column: usize) -> Result<&str, Failure> {
        std::str::from_utf8(self.bytes(column)?)
            .map_err(|_not_text| Failure::Corrupt("a name is not UTF-8".to_owned()))
    }

    /// A text that may be absent.
    pub(super) fn maybe_text(&self, column: usize) -> Result<Option<&str>, Failure> {
        if self.is_null(column)? { Ok(None) } else { self.text(column).map(Some) }
    }

    /// Whether there is nothing in a column.
    pub(super) fn is_null(&self, column: usize) -> Result<bool, Failure> {
        match self {
            Self::Postgres(row) => row.try_get_raw(column).map(|value| value.is_null()),
            Self::MySql(row) => row.try_get_raw(column).map(|value| value.is_null()),
        }
        .map_err(unfit)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "a mapping function")]
fn unfit(error: sqlx::Error) -> Failure {
    Failure::Corrupt(format!("a column cannot be read: {error}"))
}

fn missing() -> Failure {
    Failure::Corrupt("a column that always has a value has none".to_owned())
}
