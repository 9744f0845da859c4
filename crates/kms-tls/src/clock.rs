//! The time of day, and waiting for it: an input, so that a renewal is tested without waiting.

use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long the clock is trusted not to have been set, in seconds.
const GLANCE_S: u64 = 60;

/// What ends when it is time.
pub type Waiting<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// The time of day.
pub trait Clock: Send + Sync {
    /// Seconds since 1970.
    fn now(&self) -> i64;
    /// Waits until the clock shows `at`, in seconds since 1970, or later.
    fn until(&self, at: i64) -> Waiting<'_>;
}

/// The system's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> i64 {
        #[expect(clippy::disallowed_methods, reason = "this is the clock")]
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    }

    fn until(&self, at: i64) -> Waiting<'_> {
        Box::pin(async move {
            // The clock may be set, and a machine may sleep: it is looked at again and again.
            while let Some(left) =
                u64::try_from(at.saturating_sub(self.now())).ok().filter(|left| *left > 0)
            {
                tokio::time::sleep(Duration::from_secs(left.min(GLANCE_S))).await;
            }
        })
    }
}
