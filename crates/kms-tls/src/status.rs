//! How it stands with the certificate: for health, metrics and people. Holds no secret.

use serde::{Deserialize, Serialize};

use crate::identity::Facts;

const DAY_S: i64 = 86_400;

/// Where a certificate comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Files of the operator's.
    Files,
    /// An authority.
    Acme,
}

/// What is being done about the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing: it is good for a while.
    Idle,
    /// A new one is being obtained.
    Renewing,
    /// The last attempt has failed; the next one is at this time, in seconds since 1970.
    Waiting {
        /// When.
        until: i64,
    },
    /// It has failed for good, and the task has ended.
    Ended,
}

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When, in seconds since 1970.
    pub at: i64,
    /// What, and what to do about it.
    pub what: String,
}

/// How it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Where the certificate comes from.
    pub origin: Origin,
    /// What it says, if one is served.
    pub certificate: Option<Facts>,
    /// When the next one is due, in seconds since 1970; unknown for files.
    pub renew_at: Option<i64>,
    /// What is being done.
    pub phase: Phase,
    /// How many attempts have failed since the last one that did not.
    pub failures: u32,
    /// The last of these.
    pub last_failure: Option<Failure>,
}

impl Status {
    pub(crate) fn new(origin: Origin) -> Self {
        Self {
            origin,
            certificate: None,
            renew_at: None,
            phase: Phase::Idle,
            failures: 0,
            last_failure: None,
        }
    }

    /// The whole days for which the certificate is still good at `now`, in seconds since 1970; below
    /// zero if it is over. None if there is none.
    pub fn days_left(&self, now: i64) -> Option<i64> {
        self.certificate.as_ref().map(|facts| (facts.not_after - now).div_euclid(DAY_S))
    }

    /// Whether there is a certificate that is good at `now`.
    pub fn is_good(&self, now: i64) -> bool {
        self.certificate.as_ref().is_some_and(|facts| facts.is_valid(now))
    }
}
