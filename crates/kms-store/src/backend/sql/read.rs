//! Reading: one statement, one round trip.
//!
//! A row in memory is used only with the database's word that it still has it, in the same breath.
//! It must not write.

use std::sync::Arc;
use std::time::Duration;

use super::Server;
use super::driver::{Row, Value};
use super::failure::Failure;
use super::query::Query;
use crate::Error;
use crate::backend::Used;
use crate::backend::convert;
use crate::backend::dialect::{Dialect, Sql};
use crate::backend::statement::Statement;
use crate::record::{self, ApiToken, Cached, EVERYONE, Grant, KeptAnswer, KeyringRow, Usage};
use crate::transfer::Known;

/// How long a read of some rows may take.
pub(super) const READ: Duration = Duration::from_secs(8);
/// How often a read is begun that lost its connection.
const TRIES: usize = 3;
/// The most objects whose grants are asked for at once.
const AMONG: usize = 100;
/// The place of the tokens' epoch among the single values.
pub(super) const API_TOKEN_EPOCH: &str = "api_token_epoch";
/// What a conflict of answers names.
pub(super) const ANSWERS: &str = "answers";
/// The version of an object that was removed.
pub(super) const REMOVED: i64 = -1;
/// The generation of the place of an object that was removed: above all there can be.
pub(super) const BY_NOTHING: i64 = 1 << 32;
/// A version that no object has.
pub(super) const NONE: i64 = -2;

/// Places in a row of an object.
pub(super) mod column {
    pub(crate) const SEQ: usize = 0;
    pub(crate) const VERSION: usize = 1;
    pub(crate) const OWNER: usize = 2;
    pub(crate) const OBJECT_TYPE: usize = 3;
    pub(crate) const STATE: usize = 4;
    pub(crate) const DUE: usize = 5;
    pub(crate) const MATERIAL_GENERATION: usize = 6;
    pub(crate) const SHARD: usize = 7;
    pub(crate) const SEALED_BY: usize = 8;
    pub(crate) const INDEXED: usize = 9;
    pub(crate) const OBJECT: usize = 10;
    pub(crate) const MATERIAL: usize = 11;
    /// What follows: of a grant, or of a page.
    pub(crate) const MORE: usize = 12;
}

impl Server {
    /// The rows of a read; begun again on another connection where the first was lost.
    pub(super) async fn rows(
        &self,
        sql: &Sql,
        values: &[Value<'_>],
        time: Duration,
    ) -> Result<Vec<Row>, Failure> {
        let mut tries = TRIES;
        loop {
            tries -= 1;
            let mut lent = self.pool.reader().await?;
            let answer = tokio::time::timeout(time, lent.get()?.rows(sql, values)).await;
            let failure = match answer {
                Ok(Ok(rows)) => {
                    lent.back();
                    return Ok(rows);
                }
                Ok(Err(failure)) => failure,
                Err(_late) => Failure::Busy("the database does not answer".to_owned()),
            };
            if failure.leaves_connection() {
                lent.back();
            }
            match failure {
                // Others that waited may be gone too.
                Failure::Lost(_) | Failure::Ended(_) | Failure::ReadOnly(_) => self.pool.renew(),
                Failure::Again(_) => {}
                failure => return Err(failure),
            }
            if tries == 0 {
                return Err(failure);
            }
        }
    }

    pub(super) async fn all<T>(
        &self,
        statement: Statement,
        values: &[Value<'_>],
        read: impl Fn(&Row) -> Result<T, Failure>,
    ) -> Result<Vec<T>, Error> {
        let rows = self.rows(statement.of(self.dialect), values, READ).await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    pub(super) async fn object(&self, id: &str) -> Result<Option<Arc<Cached>>, Error> {
        Ok(self.ask(id, None).await?.map(|(row, _)| row))
    }

    pub(super) async fn used(&self, id: &str, user: &str) -> Result<Option<Used>, Error> {
        self.ask(id, Some(user)).await
    }

    async fn ask(&self, id: &str, user: Option<&str>) -> Result<Option<Used>, Error> {
        let known = self.cache.get(id);
        // What is owned by its user needs no grants, unless it is given away in this moment.
        let user = user.filter(|user| known.as_ref().is_none_or(|known| known.row.owner != *user));
        if let (Dialect::MySql, Some(known)) = (self.dialect, &known)
            && let Some(used) = self.ask_same(known, user).await?
        {
            return Ok(Some(used));
        }
        self.ask_whole(id, user, known).await
    }

    /// The object, if the database has it as it is in memory.
    async fn ask_same(
        &self,
        known: &Arc<Cached>,
        user: Option<&str>,
    ) -> Result<Option<Used>, Error> {
        let began = self.cache.now();
        let (version, tail) = known.stamp();
        let mut values =
            vec![Value::Text(&known.row.id), Value::Int(version.cast_signed()), Value::Bytes(tail)];
        let mut statement = Statement::Same;
        if let Some(user) = user {
            values.extend([Value::Text(user), Value::Text(EVERYONE)]);
            statement = Statement::SameFor;
        }
        let rows = self.rows(statement.of(self.dialect), &values, READ).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        known.see(began);
        let grants = user.map(|_| grants_beside(&rows, 0)).transpose()?;
        Ok(Some((Arc::clone(known), grants)))
    }

    /// The object, or the word that it is as it is in memory.
    async fn ask_whole(
        &self,
        id: &str,
        user: Option<&str>,
        known: Option<Arc<Cached>>,
    ) -> Result<Option<Used>, Error> {
        let (ticket, began) = (self.cache.ticket(), self.cache.now());
        let (version, tail) = known.as_ref().map_or((NONE, &[][..]), |known| {
            let (version, tail) = known.stamp();
            (version.cast_signed(), tail)
        });
        let mut values = vec![Value::Text(id), Value::Int(version), Value::Bytes(tail)];
        let mut statement = Statement::Object;
        if let Some(user) = user {
            values.extend([Value::Text(user), Value::Text(EVERYONE)]);
            statement = Statement::ObjectFor;
        }
        let rows = self.rows(statement.of(self.dialect), &values, READ).await?;
        let first = rows.first().map(|row| row.int(column::VERSION)).transpose()?;
        let Some(row) = rows.first().filter(|_| first != Some(REMOVED)) else {
            return self.absent(id, known.as_deref(), first);
        };
        let row = if row.is_null(column::OWNER)? {
            known.ok_or_else(|| Error::Corrupt("a row has no owner".to_owned()))?
        } else {
            check_order(id, known.as_deref(), first)?;
            let row = Arc::new(object(row, id)?);
            if known.is_some_and(|known| known.row.version == row.row.version) {
                tracing::warn!(object = id, "the database has forgotten a change and made another");
                self.cache.forget(id);
            }
            self.cache.loaded(&ticket, row)
        };
        row.see(began);
        let grants = user.map(|_| grants_beside(&rows, column::MORE)).transpose()?;
        Ok(Some((row, grants)))
    }

    /// No row: the object is not there, or was removed. It cannot have vanished.
    fn absent(
        &self,
        id: &str,
        known: Option<&Cached>,
        version: Option<i64>,
    ) -> Result<Option<Used>, Error> {
        if version.is_none() {
            check_order(id, known, Some(NONE))?;
        }
        self.cache.forget(id);
        Ok(None)
    }

    pub(super) async fn grant(&self, id: &str, user: &str) -> Result<Option<Grant>, Error> {
        let values = [Value::Text(id), Value::Text(user)];
        Ok(self.all(Statement::Grant, &values, |row| grant(row, 0)).await?.pop())
    }

    pub(super) async fn grants(&self, id: &str) -> Result<Vec<Grant>, Error> {
        self.all(Statement::Grants, &[Value::Text(id)], |row| grant(row, 0)).await
    }

    pub(super) async fn grants_among(&self, ids: &[&str], user: &str) -> Result<Vec<Grant>, Error> {
        let mut grants = Vec::new();
        for ids in ids.chunks(AMONG) {
            let mut query = Query::default();
            let values = [Value::Text(user), Value::Text(EVERYONE)];
            query.add(Statement::GrantsAmong.template(), &values).list("", ids).add(")", &[]);
            let rows = self.rows(&query.spell(self.dialect), &query.values, READ).await?;
            for row in &rows {
                grants.push(grant(row, 0)?);
            }
        }
        Ok(grants)
    }

    pub(super) async fn grant_count(&self, id: &str, limit: usize) -> Result<usize, Error> {
        let values = [Value::Text(id), Value::Int(whole(limit))];
        let count = self.all(Statement::GrantCount, &values, |row| row.int(0)).await?.pop();
        Ok(count.map_or(0, |count| usize::try_from(count).unwrap_or(usize::MAX)))
    }

    pub(super) async fn granted_to(
        &self,
        user: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Grant>, Error> {
        // No identifier is empty, so that the empty one comes before all.
        let after = Value::Text(after.unwrap_or_default());
        let values = [Value::Text(user), after, Value::Int(whole(limit))];
        self.all(Statement::GrantedTo, &values, |row| grant(row, 0)).await
    }

    pub(super) async fn usage(&self, id: &str) -> Result<Option<Usage>, Error> {
        let read =
            |row: &Row| Ok(Usage { sealed: row.bytes(0)?.to_vec(), sealed_by: number(row, 1)? });
        Ok(self.all(Statement::Usage, &[Value::Text(id)], read).await?.pop())
    }

    pub(super) async fn api_token(&self, id: &str) -> Result<Option<(ApiToken, u64)>, Error> {
        let values = [Value::Text(id), Value::Text(API_TOKEN_EPOCH)];
        let read = |row: &Row| Ok((api_token(row)?, api_token_epoch(row)?));
        Ok(self.all(Statement::ApiToken, &values, read).await?.pop())
    }

    pub(super) async fn api_tokens(&self) -> Result<(Vec<ApiToken>, u64), Error> {
        let statement = Statement::ApiTokens.of(self.dialect);
        let rows = self.rows(statement, &[Value::Text(API_TOKEN_EPOCH)], READ).await?;
        Ok(tokens(&rows)?)
    }

    /// Which of the identifiers are or were used.
    pub(super) async fn known(&self, ids: &[&str]) -> Result<Vec<(String, Known)>, Error> {
        let mut known = Vec::new();
        for ids in ids.chunks(AMONG) {
            let mut query = Query::default();
            query.list(Statement::Versions.template(), ids).add(")", &[]);
            for row in &self.rows(&query.spell(self.dialect), &query.values, READ).await? {
                let is_removed = row.int(1)? == REMOVED;
                let what = if is_removed { Known::Removed } else { Known::There };
                known.push((row.text(0)?.to_owned(), what));
            }
        }
        Ok(known)
    }

    pub(super) async fn answers(&self, id: &[u8; 32]) -> Result<Vec<KeptAnswer>, Error> {
        self.all(Statement::Answers, &[Value::Bytes(id)], answer).await
    }

    pub(super) async fn oldest_answers(&self, until: i64, limit: usize) -> Result<Vec<i64>, Error> {
        let values = [Value::Int(until), Value::Int(whole(limit))];
        self.all(Statement::OldestAnswers, &values, |row| row.int(0)).await
    }

    pub(super) async fn removed(&self, id: &str) -> Result<bool, Error> {
        let versions = self.all(Statement::Version, &[Value::Text(id)], |row| row.int(0)).await?;
        Ok(versions.first() == Some(&REMOVED))
    }

    pub(super) async fn keyring(&self) -> Result<Vec<KeyringRow>, Error> {
        let read = |row: &Row| {
            Ok(KeyringRow {
                generation: number(row, 0)?,
                kind: row.text(1)?.to_owned(),
                slot: row.bytes(2)?.to_vec(),
            })
        };
        self.all(Statement::Keyring, &[], read).await
    }
}

pub(super) fn answer(row: &Row) -> Result<KeptAnswer, Failure> {
    let id = row.bytes(0)?.try_into();
    Ok(KeptAnswer {
        id: id.map_err(|_length| Failure::Other("an answer has a strange name".to_owned()))?,
        place: number(row, 1)?,
        at: row.int(2)?,
        sealed_by: number(row, 3)?,
        sealed: row.bytes(4)?.to_vec(),
    })
}

/// Refuses a row that is older than one that this server has seen: a change was taken back behind
/// its back.
fn check_order(id: &str, known: Option<&Cached>, version: Option<i64>) -> Result<(), Error> {
    let seen = known.map_or(NONE, |known| known.row.version.cast_signed());
    if version.is_some_and(|version| version < seen) {
        tracing::error!(object = id, "the database has an older row than the server has seen");
        return Err(Error::Corrupt(format!("object {id} is older than it was")));
    }
    Ok(())
}

/// A length as the database takes it.
pub(super) fn whole(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// A number that fits a smaller type.
pub(super) fn number<T: TryFrom<i64>>(row: &Row, column: usize) -> Result<T, Failure> {
    T::try_from(row.int(column)?)
        .map_err(|_too_large| Failure::Corrupt("a number is out of its range".to_owned()))
}

/// The object in a row, with its material.
pub(super) fn object(row: &Row, id: &str) -> Result<Cached, Failure> {
    let material = row.maybe_bytes(column::MATERIAL)?.map(<[u8]>::to_vec);
    let indexed = row.bytes(column::INDEXED)?.into();
    let object = record::Row {
        id: id.to_owned(),
        owner: row.text(column::OWNER)?.to_owned(),
        object_type: kmip::enumerations::ObjectType(number(row, column::OBJECT_TYPE)?),
        state: convert::state(row.text(column::STATE)?)
            .map_err(|_unknown| Failure::Corrupt("an object has an unknown state".to_owned()))?,
        version: row.int(column::VERSION)?.cast_unsigned(),
        due: row.maybe_int(column::DUE)?,
        record: row.bytes(column::OBJECT)?.to_vec(),
        material_generation: number(row, column::MATERIAL_GENERATION)?,
        material,
        shard: number(row, column::SHARD)?,
        sealed_by: number(row, column::SEALED_BY)?,
    };
    Ok(Cached::new(row.int(column::SEQ)?, object).with_index(indexed))
}

/// The grants that stand beside an object, one in each row, in the columns from one on.
fn grants_beside(rows: &[Row], first: usize) -> Result<Vec<Grant>, Failure> {
    let mut grants = Vec::new();
    for row in rows {
        if !row.is_null(first)? {
            grants.push(grant(row, first)?);
        }
    }
    Ok(grants)
}

/// All API tokens in the rows of an answer, and their epoch.
pub(super) fn tokens(rows: &[Row]) -> Result<(Vec<ApiToken>, u64), Failure> {
    let epoch = rows.first().map_or(Ok(0), api_token_epoch)?;
    let mut tokens = Vec::with_capacity(rows.len());
    for row in rows {
        if !row.is_null(1)? {
            tokens.push(api_token(row)?);
        }
    }
    Ok((tokens, epoch))
}

/// The grant in the columns of a row from one on.
pub(super) fn grant(row: &Row, first: usize) -> Result<Grant, Failure> {
    Ok(Grant {
        id: row.text(first)?.to_owned(),
        user: row.text(first + 1)?.to_owned(),
        permissions: row.text(first + 2)?.to_owned(),
        expires: row.maybe_int(first + 3)?,
        note: row.maybe_text(first + 4)?.map(str::to_owned),
        mac: row.bytes(first + 5)?.to_vec(),
        sealed_by: number(row, first + 6)?,
    })
}

/// The API token in a row, behind the epoch.
fn api_token(row: &Row) -> Result<ApiToken, Failure> {
    Ok(ApiToken {
        id: row.text(1)?.to_owned(),
        name: row.text(2)?.to_owned(),
        user: row.text(3)?.to_owned(),
        hash: row.bytes(4)?.to_vec(),
        created: row.int(5)?,
        expires: row.maybe_int(6)?,
        revoked: row.maybe_int(7)?,
        mac: row.bytes(8)?.to_vec(),
        sealed_by: number(row, 9)?,
    })
}

/// How often tokens were changed, in a row's first column; 0 where there never was one.
fn api_token_epoch(row: &Row) -> Result<u64, Failure> {
    let wrong = |_| Failure::Corrupt("the epoch of the API tokens is no number".to_owned());
    row.maybe_text(0)?.map_or(Ok(0), |text| text.parse().map_err(wrong))
}
