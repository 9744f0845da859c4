//! What is known of a database that answers and takes no changes: its disk is full, or it only reads.
//!
//! Whether it still does so is known from the next change alone, and nobody may be trying: what is
//! known is forgotten soon.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::Error;

/// How long a refusal counts when nobody tries again.
const COUNTS: Duration = Duration::from_secs(2);

/// The last refusal that no success has followed.
#[derive(Debug, Default)]
pub(crate) struct Refusal {
    last: Mutex<Option<(Instant, Arc<str>)>>,
}

impl Refusal {
    /// Takes in what became of a change.
    pub(crate) fn note(&self, made: &Result<(), Error>) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match made {
            Ok(()) => *last = None,
            Err(why @ (Error::Full | Error::ReadOnly)) => {
                *last = Some((Instant::now(), why.to_string().into()));
            }
            // Says nothing of what the database would do with another.
            Err(_) => {}
        }
    }

    /// What it was refused for, a moment ago.
    pub(crate) fn recent(&self) -> Option<Arc<str>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, why) = last.as_ref()?;
        (at.elapsed() < COUNTS).then(|| Arc::clone(why))
    }
}
