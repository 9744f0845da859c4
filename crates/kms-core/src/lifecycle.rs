//! The life of an object: its states, and how time and requests move it between them
//! (KMIP 2.1 section 4.57, State). It must never know who asks.
//!
//! The state that counts is a function of the record and of now; the column in the database is a
//! copy to search by, which catches up later.

use kmip::attribute::Attribute;
use kmip::enumerations::{ResultReason, RevocationReasonCode, State};
use kmip::stored::StoredRecord;
use kmip::wire::DateTime;

use crate::error::{Error, Result};

/// The state of `record` at `now`, dates that have passed taken into account.
pub fn effective(record: &StoredRecord, now: i64) -> State {
    let mut state = record.state;
    if state == State::PreActive && passed(record.attributes.activation_date(), now) {
        state = State::Active;
    }
    if state == State::Active && passed(record.attributes.deactivation_date(), now) {
        state = State::Deactivated;
    }
    state
}

/// When the clock next moves `record` to another state, if it ever does.
pub(crate) fn due(record: &StoredRecord) -> Option<i64> {
    let date = match record.state {
        State::PreActive => record.attributes.activation_date(),
        State::Active => record.attributes.deactivation_date(),
        _ => None,
    };
    date.map(|date| date.0)
}

/// Writes the state that the clock has brought about into the record itself. Before any date of it
/// is changed: a state that was reached is not left because its date goes away.
pub(crate) fn settle(record: &mut StoredRecord, now: i64) {
    record.state = effective(record, now);
}

fn passed(date: Option<DateTime>, now: i64) -> bool {
    date.is_some_and(|date| date.0 <= now)
}

/// The state an object is born in: Active where its activation date has come.
pub(crate) fn born(record: &mut StoredRecord, now: i64) {
    record.state = State::PreActive;
    record.attributes.set(Attribute::InitialDate(DateTime(now)));
    settle(record, now);
}

/// Pre-Active to Active (transition 4).
pub(crate) fn activate(record: &mut StoredRecord, now: i64) -> Result<()> {
    settle(record, now);
    if record.state != State::PreActive {
        return Err(wrong_state("Activate", record.state, "Pre-Active"));
    }
    record.attributes.set(Attribute::ActivationDate(DateTime(now)));
    record.state = State::Active;
    Ok(())
}

/// Whether a revocation for this reason says that the key is in others' hands.
pub(crate) fn is_compromise(reason: RevocationReasonCode) -> bool {
    matches!(reason, RevocationReasonCode::KeyCompromise | RevocationReasonCode::CACompromise)
}

/// Revoke: to Compromised (transitions 3, 5, 8, 10) or from Active to Deactivated (transition 6).
pub(crate) fn revoke(
    record: &mut StoredRecord,
    reason: RevocationReasonCode,
    occurred: Option<DateTime>,
    now: i64,
) -> Result<()> {
    settle(record, now);
    if is_compromise(reason) {
        record.state = match record.state {
            State::PreActive | State::Active | State::Deactivated => State::Compromised,
            State::Destroyed => State::DestroyedCompromised,
            already => return Err(wrong_state("Revoke", already, "one that is not compromised")),
        };
        record.attributes.set(Attribute::CompromiseDate(DateTime(now)));
        let occurred = occurred.unwrap_or(DateTime(now));
        record.attributes.set(Attribute::CompromiseOccurrenceDate(occurred));
        return Ok(());
    }
    match record.state {
        State::Active => {
            record.state = State::Deactivated;
            record.attributes.set(Attribute::DeactivationDate(DateTime(now)));
            Ok(())
        }
        other => Err(wrong_state("Revoke", other, "Active")),
    }
}

/// Destroy: transitions 2, 7 and 9. An active object must be revoked first.
pub(crate) fn destroy(record: &mut StoredRecord, now: i64) -> Result<()> {
    settle(record, now);
    record.state = match record.state {
        State::PreActive | State::Deactivated => State::Destroyed,
        State::Compromised => State::DestroyedCompromised,
        other => {
            return Err(wrong_state("Destroy", other, "Pre-Active, Deactivated or Compromised"));
        }
    };
    record.attributes.set(Attribute::DestroyDate(DateTime(now)));
    Ok(())
}

/// Whether the key material of an object in this state is gone.
pub fn is_destroyed(state: State) -> bool {
    matches!(state, State::Destroyed | State::DestroyedCompromised)
}

pub(crate) fn wrong_state(operation: &str, state: State, needed: &str) -> Error {
    let state = name(state);
    Error::new(
        ResultReason::WrongKeyLifecycleState,
        format!("{operation}: the object is {state}; it must be {needed}"),
    )
}

/// The state's name as lists and the database spell it.
pub fn name(state: State) -> &'static str {
    match state {
        State::PreActive => "PreActive",
        State::Active => "Active",
        State::Deactivated => "Deactivated",
        State::Compromised => "Compromised",
        State::Destroyed => "Destroyed",
        State::DestroyedCompromised => "Destroyed_Compromised",
        _ => "unknown",
    }
}
