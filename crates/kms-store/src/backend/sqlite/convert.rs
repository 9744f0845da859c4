//! Between rows of the database and values: names of states, index entries in one blob, errors.
//!
//! It must not know any statement but the list of an object's columns.

use kmip::enumerations::{ObjectType, State};
use rusqlite::types::FromSql;
use rusqlite::{ErrorCode, Params, Statement};

use crate::Error;
use crate::record::{ApiToken, Grant, IndexEntry, Row};

/// The columns of `objects` under the name `o`, in the order that [`row`] reads.
macro_rules! columns {
    () => {
        "o.seq, o.id, o.version, o.owner, o.object_type, o.state, o.due, o.material_generation, \
         o.indexed, o.object, o.material"
    };
}
pub(super) use columns;

/// The same for pages, whose readers look at records: sealed material of more than 64 KiB is left
/// out, and a last column says so.
macro_rules! page_columns {
    () => {
        "o.seq, o.id, o.version, o.owner, o.object_type, o.state, o.due, o.material_generation, \
         o.indexed, o.object, \
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
    pub(crate) const INDEXED: usize = 8;
    pub(crate) const OBJECT: usize = 9;
    pub(crate) const MATERIAL: usize = 10;
    /// Of a page alone.
    pub(crate) const LEFT_OUT: usize = 11;
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

/// The name of a state in the database.
pub(super) fn state_name(state: State) -> Result<&'static str, Error> {
    Ok(match state {
        State::PreActive => "PreActive",
        State::Active => "Active",
        State::Deactivated => "Deactivated",
        State::Compromised => "Compromised",
        State::Destroyed => "Destroyed",
        State::DestroyedCompromised => "Destroyed_Compromised",
        _ => return Err(Error::Corrupt("a state that the standard does not have".to_owned())),
    })
}

fn state(name: &str) -> Result<State, Error> {
    Ok(match name {
        "PreActive" => State::PreActive,
        "Active" => State::Active,
        "Deactivated" => State::Deactivated,
        "Compromised" => State::Compromised,
        "Destroyed" => State::Destroyed,
        "Destroyed_Compromised" => State::DestroyedCompromised,
        _ => return Err(Error::Corrupt("an object has an unknown state".to_owned())),
    })
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
    })
}

/// The columns of `read_access`, in the order that [`grant`] reads.
macro_rules! grant_columns {
    () => {
        "id, userid, permissions, expires, note, mac"
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
    })
}

/// The columns of `api_tokens`, in the order that [`api_token`] reads.
macro_rules! api_token_columns {
    () => {
        "id, name, userid, hash, created, expires, revoked, mac"
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
    })
}

/// Sorted index entries as one blob: kind, length, value of each.
pub(super) fn pack(index: &[IndexEntry]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(index.iter().map(|entry| 5 + entry.value.len()).sum());
    for entry in index {
        // The commit was checked: a value has at most 255 bytes.
        let length = u8::try_from(entry.value.len()).unwrap_or(u8::MAX);
        packed.extend_from_slice(&entry.kind.to_be_bytes());
        packed.push(length);
        packed.extend(entry.value.iter().take(usize::from(length)));
    }
    packed
}

/// The entries of a blob, as far as it can be read.
pub(super) fn unpack(mut packed: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    std::iter::from_fn(move || {
        let (kind, rest) = packed.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first()?;
        let (value, rest) = rest.split_at_checked(usize::from(*length))?;
        packed = rest;
        Some((u32::from_be_bytes(*kind), value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_the_documented_names() {
        let names: Vec<_> = (1..=6).map(|code| state_name(State(code)).unwrap()).collect();
        assert_eq!(
            names,
            [
                "PreActive",
                "Active",
                "Deactivated",
                "Compromised",
                "Destroyed",
                "Destroyed_Compromised"
            ]
        );
        for (name, code) in names.iter().zip(1..) {
            assert_eq!(state(name).unwrap(), State(code));
        }
        assert!(state_name(State(7)).is_err());
        assert!(state("active").is_err());
    }

    #[test]
    fn entries_come_back_from_their_blob() {
        let index = vec![
            IndexEntry { kind: 0x42_0053, value: b"name".to_vec() },
            IndexEntry { kind: 0x42_0054, value: Vec::new() },
            IndexEntry { kind: u32::MAX, value: vec![7; 255] },
        ];
        let packed = pack(&index);
        let back: Vec<_> = unpack(&packed)
            .map(|(kind, value)| IndexEntry { kind, value: value.to_vec() })
            .collect();
        assert_eq!(back, index);
        assert_eq!(unpack(&packed[..packed.len() - 1]).count(), 2);
    }
}
