//! Between rows of the database and values, and what the driver says in our words.
//!
//! It must not know any statement but the list of an object's columns.

use kmip::enumerations::ObjectType;
use rusqlite::types::FromSql;
use rusqlite::{ErrorCode, Params, Statement};

use crate::Error;
use crate::backend::convert::state;
pub(super) use crate::backend::convert::{state_name, unpack};
use crate::record::{ApiToken, Grant, Row};

/// The columns of `objects` under the name `o`, in the order that [`row`] reads.
macro_rules! columns {
    () => {
        "o.seq, o.id, o.version, o.owner, o.object_type, o.state, o.due, o.material_generation, \
         o.shard, o.sealed_by, o.indexed, o.object, o.material"
    };
}
pub(super) use columns;

/// The same for pages, whose readers look at records: sealed material of more than 64 KiB is left
/// out, and a last column says so.
macro_rules! page_columns {
    () => {
        "o.seq, o.id, o.version, o.owner, o.object_type, o.state, o.due, o.material_generation, \
         o.shard, o.sealed_by, o.indexed, o.object, \
         CASE WHEN length(o.material) > 65536 THEN NULL ELSE o.material END, \
         ifnull(length(o.material) > 65536, 0)"
    };
}
pub(super) use page_columns;

/// Places in [`columns`].
pub(super) mod column {
    pub(crate) const SEQ: usize = 0;
    pub(crate) const ID: usize = 1;
    pub(crate) const VERSION: usize = 2;
    pub(crate) const OWNER: usize = 3;
    pub(crate) const OBJECT_TYPE: usize = 4;
    pub(crate) const STATE: usize = 5;
    pub(crate) const DUE: usize = 6;
    pub(crate) const MATERIAL_GENERATION: usize = 7;
    pub(crate) const SHARD: usize = 8;
    pub(crate) const SEALED_BY: usize = 9;
    pub(crate) const INDEXED: usize = 10;
    pub(crate) const OBJECT: usize = 11;
    pub(crate) const MATERIAL: usize = 12;
    /// Of a page alone.
    pub(crate) const LEFT_OUT: usize = 13;
}

/// Whether there was no room: in the database, or for the shared index of its log.
pub(super) fn is_full(code: rusqlite::ffi::Error) -> bool {
    code.code == ErrorCode::DiskFull || code.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE
}

/// What the driver says, in our words; never a value of a row.
pub(super) fn error(error: rusqlite::Error) -> Error {
    let rusqlite::Error::SqliteFailure(code, message) = error else {
        return Error::Corrupt(error.to_string());
    };
    let message = message.unwrap_or_else(|| code.to_string());
    match code.code {
        _ if is_full(code) => Error::Full,
        ErrorCode::ReadOnly => Error::ReadOnly,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Error::Corrupt(message),
        _ => Error::Unavailable(message),
    }
}

/// All rows of a statement, each read by a function.
pub(super) fn collect<T>(
    statement: &mut Statement<'_>,
    params: impl Params,
    read: impl Fn(&rusqlite::Row<'_>) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let mut rows = statement.query(params).map_err(error)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next().map_err(error)? {
        all.push(read(row)?);
    }
    Ok(all)
}

/// A column's value.
pub(super) fn get<T: FromSql>(row: &rusqlite::Row<'_>, column: usize) -> Result<T, Error> {
    row.get(column).map_err(error)
}

/// A text without a copy.
pub(super) fn text<'row>(row: &'row rusqlite::Row<'_>, column: usize) -> Result<&'row str, Error> {
    row.get_ref(column)
        .map_err(error)?
        .as_str()
        .map_err(|wrong| Error::Corrupt(format!("column {column}: {wrong}")))
}

/// Bytes without a copy.
pub(super) fn blob<'row>(row: &'row rusqlite::Row<'_>, column: usize) -> Result<&'row [u8], Error> {
    row.get_ref(column)
        .map_err(error)?
        .as_blob()
        .map_err(|wrong| Error::Corrupt(format!("column {column}: {wrong}")))
}

/// The object in a row of [`columns`].
pub(super) fn row(from: &rusqlite::Row<'_>) -> Result<Row, Error> {
    Ok(Row {
        id: get(from, column::ID)?,
        owner: get(from, column::OWNER)?,
        object_type: ObjectType(get(from, column::OBJECT_TYPE)?),
        state: state(text(from, column::STATE)?)?,
        version: get::<i64>(from, column::VERSION)?.cast_unsigned(),
        due: get(from, column::DUE)?,
        record: get(from, column::OBJECT)?,
        material_generation: get(from, column::MATERIAL_GENERATION)?,
        material: get(from, column::MATERIAL)?,
        shard: get(from, column::SHARD)?,
        sealed_by: get(from, column::SEALED_BY)?,
    })
}

/// The columns of `read_access`, in the order that [`grant`] reads.
macro_rules! grant_columns {
    () => {
        "id, userid, permissions, expires, note, mac, sealed_by"
    };
}
pub(super) use grant_columns;

pub(super) fn grant(from: &rusqlite::Row<'_>) -> Result<Grant, Error> {
    Ok(Grant {
        id: get(from, 0)?,
        user: get(from, 1)?,
        permissions: get(from, 2)?,
        expires: get(from, 3)?,
        note: get(from, 4)?,
        mac: get(from, 5)?,
        sealed_by: get(from, 6)?,
    })
}

/// The columns of `api_tokens`, in the order that [`api_token`] reads.
macro_rules! api_token_columns {
    () => {
        "id, name, userid, hash, created, expires, revoked, mac, sealed_by"
    };
}
pub(super) use api_token_columns;

pub(super) fn api_token(from: &rusqlite::Row<'_>) -> Result<ApiToken, Error> {
    Ok(ApiToken {
        id: get(from, 0)?,
        name: get(from, 1)?,
        user: get(from, 2)?,
        hash: get(from, 3)?,
        created: get(from, 4)?,
        expires: get(from, 5)?,
        revoked: get(from, 6)?,
        mac: get(from, 7)?,
        sealed_by: get(from, 8)?,
    })
}
