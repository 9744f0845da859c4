//! What the driver and the databases say, sorted by what can be done about it.
//!
//! The only place that knows their codes. Messages of the database go to the log; they hold names,
//! never sealed bytes, because values are sent apart from the statements.

use sqlx::Error as Cause;
use sqlx::mysql::MySqlDatabaseError;
use sqlx::postgres::PgDatabaseError;

use crate::Error;

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// The connection is gone, and with it what became of the statement.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// The server ends the session, and has not done what it was told.
    #[error("the server ended the session: {0}")]
    Ended(String),
    /// There is no connection to be had, and nothing was sent.
    #[error("the database cannot be reached: {0}")]
    Down(String),
    /// It met others' work. Nothing of the transaction was kept, and the same may succeed at once.
    #[error("the work of others came between: {0}")]
    Again(String),
    /// A unique key has the value already.
    #[error("a key is there already: {0}")]
    Duplicate(String),
    /// What the statement itself demands is not so.
    #[error("what the change rests on is no longer so")]
    Unmet,
    /// The server does not write, for now or at all.
    #[error("the server does not write: {0}")]
    ReadOnly(String),
    /// There is no room.
    #[error("no room: {0}")]
    Full(String),
    /// More than the server or the protocol takes.
    #[error("too large for the database")]
    TooLarge,
    /// The account may not.
    #[error("no right: {0}")]
    Denied(String),
    /// Something is not there that a schema has.
    #[error("not there: {0}")]
    Absent(String),
    /// Something is there that was to be made.
    #[error("already there: {0}")]
    Present(String),
    /// What was read cannot have been written by us.
    #[error("damaged: {0}")]
    Corrupt(String),
    /// The pool or the server has no time.
    #[error("{0}")]
    Busy(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl Failure {
    /// Whether the connection can be used further: the server said no, in order.
    pub(super) fn leaves_connection(&self) -> bool {
        matches!(self, Self::Again(_) | Self::Duplicate(_) | Self::Unmet)
    }
}

/// Sorts an error of the driver.
pub(super) fn of(error: Cause) -> Failure {
    match error {
        Cause::Database(error) => {
            if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
                postgres(error)
            } else if let Some(error) = error.try_downcast_ref::<MySqlDatabaseError>() {
                mysql(error)
            } else {
                Failure::Other(error.message().to_owned())
            }
        }
        Cause::Io(error) => Failure::Lost(error.to_string()),
        Cause::Tls(error) => Failure::Lost(error.to_string()),
        Cause::Protocol(error) => Failure::Lost(error),
        Cause::Encode(_) => Failure::TooLarge,
        error => Failure::Other(error.to_string()),
    }
}

fn postgres(error: &PgDatabaseError) -> Failure {
    let text = || format!("{} ({})", error.message(), error.code());
    let Some((class, _)) = error.code().split_at_checked(2) else { return Failure::Other(text()) };
    match (class, error.code()) {
        (_, "40001" | "40P01" | "55P03") => Failure::Again(text()),
        (_, "23505") => Failure::Duplicate(error.constraint().unwrap_or_default().to_owned()),
        (_, "22012") => Failure::Unmet,
        (_, "25006") => Failure::ReadOnly(text()),
        (_, "53100") => Failure::Full(text()),
        // No schema is there for an account that may use none.
        (_, "42501" | "28000" | "28P01" | "3F000") => Failure::Denied(text()),
        (_, "42P01" | "3D000") => Failure::Absent(text()),
        (_, "42P07" | "42710" | "42701" | "42P06") => Failure::Present(text()),
        (_, "57014") | ("53", _) => Failure::Busy(text()),
        ("54", _) => Failure::TooLarge,
        // An answer: had it been done, the answer would be another.
        ("08" | "57", _) => Failure::Ended(text()),
        ("XX", _) => Failure::Corrupt(text()),
        _ => Failure::Other(text()),
    }
}

fn mysql(error: &MySqlDatabaseError) -> Failure {
    let text = || format!("{} ({})", error.message(), error.number());
    match error.number() {
        // Lock wait timeout, deadlock (Galera: refused by another node), record changed since.
        // 3101: a group of MySQL's own did not agree to the commit.
        1205 | 1213 | 1020 | 3101 => Failure::Again(text()),
        // The key's name is all that is wanted; the message also has its value.
        1062 => Failure::Duplicate(duplicate_key(error.message()).to_owned()),
        1290 | 1792 | 1836 | 1223 => Failure::ReadOnly(text()),
        1021 | 1114 | 1026 | 3 => Failure::Full(text()),
        1153 | 1301 | 1118 | 1406 => Failure::TooLarge,
        1044 | 1045 | 1142 | 1143 | 1227 | 1370 => Failure::Denied(text()),
        1049 | 1146 => Failure::Absent(text()),
        1050 | 1060 | 1061 | 1007 => Failure::Present(text()),
        1040 | 1203 | 1226 => Failure::Busy(text()),
        // A node of a cluster that is not part of it now; a session that was idle for too long.
        1047 | 4031 => Failure::Ended(text()),
        // Shutdown, killed: perhaps in the middle of a commit.
        1053 | 1077 | 1079 | 1317 | 1927 | 2006 | 2013 | 3169 => Failure::Lost(text()),
        1194 | 1195 | 1712 => Failure::Corrupt(text()),
        _ => Failure::Other(text()),
    }
}

/// The key in `Duplicate entry '…' for key 'KEY'`.
fn duplicate_key(message: &str) -> &str {
    let key = message.trim_end_matches('\'').rsplit('\'').next().unwrap_or_default();
    key.rsplit('.').next().unwrap_or(key)
}

/// A failed read, or a change that was certainly not made.
impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Full(_) => Self::Full,
            Failure::ReadOnly(_) => Self::ReadOnly,
            Failure::TooLarge => {
                Self::TooLong { what: "an object", limit: crate::record::MAX_SEALED }
            }
            Failure::Corrupt(text) => Self::Corrupt(text),
            failure => Self::Unavailable(failure.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duplicate_names_its_key_alone() {
        for message in [
            "Duplicate entry 'it''s' for key 'objects_id'",
            "Duplicate entry 'x' for key 'objects.objects_id'",
        ] {
            assert_eq!(duplicate_key(message), "objects_id");
        }
    }
}
