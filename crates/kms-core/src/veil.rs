//! When an answer leaves that must not tell whether an object exists.
//!
//! To find nothing and to find what is another's are different work, and the difference can be
//! measured. Such an answer therefore leaves after a slot of time, counted from the start of its
//! operation, and a random while after that. The slots end by a thread of their own: a timer of the
//! runtime would fire whole milliseconds after the work was done, and so tell when that was. This
//! module must never know what is hidden. Why and what remains: `docs/decisions/0016-time.md`.

use std::collections::BinaryHeap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kms_crypto::random;
use tokio::sync::oneshot;

use crate::error::{Error, Result};

/// How long a slot is: longer than the work behind it on a server that is not overloaded.
const SLOT: Duration = Duration::from_millis(2);
/// How long nothing is done at its end. A processor wakes the later the longer it slept, so that
/// the last sleep must be the same however long the work was.
const QUIET: Duration = Duration::from_millis(1);
/// The longest random while. The work leaves other things in the processor's caches, which is worth
/// a few microseconds afterwards: they are lost in this.
const BLUR: Duration = Duration::from_millis(1);
/// The thread only wakes others.
const STACK_BYTES: usize = 64 << 10;

/// The ends of slots that somebody waits for.
pub(crate) struct Slots {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: BinaryHeap<Waiter>,
    closed: bool,
}

/// One who waits. The greatest is the one whose slot ends first.
struct Waiter {
    until: Instant,
    _wake: oneshot::Sender<()>,
}

impl Ord for Waiter {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.until.cmp(&self.until)
    }
}

impl PartialOrd for Waiter {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiter {
    fn eq(&self, other: &Self) -> bool {
        self.until == other.until
    }
}

impl Eq for Waiter {}

impl Slots {
    /// Starts the thread; it ends with this.
    pub(crate) fn start() -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let thread = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("slots".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || thread.run())
            .map_err(Error::internal)?;
        Ok(Self { shared })
    }

    /// A veil over an operation that begins now.
    pub(crate) fn veil(&self) -> Veil<'_> {
        Veil { slots: self, begun: Instant::now(), drawn: false }
    }

    async fn wait(&self, until: Instant) {
        let (wake, woken) = oneshot::channel();
        if self.shared.enqueue(Waiter { until, _wake: wake }) {
            self.shared.changed.notify_one();
        }
        // Woken is whose sender is gone; where the thread has ended, so has the server.
        drop(woken.await);
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock leaves the list half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the thread has to sleep less than it does.
    fn enqueue(&self, waiter: Waiter) -> bool {
        let mut state = self.lock();
        let is_first = state.waiting.peek().is_none_or(|first| waiter.until < first.until);
        state.waiting.push(waiter);
        is_first
    }

    fn run(&self) {
        let mut state = self.lock();
        while !state.closed {
            let now = Instant::now();
            while state.waiting.peek().is_some_and(|first| first.until <= now) {
                // Without its sender, a receiver is woken.
                drop(state.waiting.pop());
            }
            let next = state.waiting.peek().map(|first| first.until.saturating_duration_since(now));
            state = match next {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(time) => {
                    let waited = self.changed.wait_timeout(state, time);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

/// What is between an operation and whoever waits for its answer.
pub(crate) struct Veil<'a> {
    slots: &'a Slots,
    begun: Instant,
    drawn: bool,
}

impl Veil<'_> {
    /// From here on the answer depends on something that the caller may not see.
    pub(crate) fn draw(&mut self) {
        self.drawn = true;
    }

    /// Waits for the end of the slot and a while, where the veil was drawn.
    pub(crate) async fn lift(&self) {
        if self.drawn {
            let quiet = quiet(self.begun, Instant::now());
            self.slots.wait(quiet).await;
            let rest = QUIET.saturating_add(blur());
            self.slots.wait(quiet.checked_add(rest).unwrap_or(quiet)).await;
        }
    }
}

/// Up to [`BLUR`], in steps of some nanoseconds.
fn blur() -> Duration {
    // Without randomness, there are the slots still.
    let step = random::bytes::<2>().map_or(0, u16::from_be_bytes);
    BLUR.checked_div(u32::from(u16::MAX)).unwrap_or_default().saturating_mul(u32::from(step))
}

/// When it becomes quiet in the slot, among those that began with `begun`, in which the work that is
/// done at `now` ends.
fn quiet(begun: Instant, now: Instant) -> Instant {
    let done = now.saturating_duration_since(begun).saturating_add(QUIET);
    let slots = u32::try_from(done.as_nanos().div_ceil(SLOT.as_nanos())).unwrap_or(u32::MAX);
    let end = begun.checked_add(SLOT.saturating_mul(slots));
    end.and_then(|end| end.checked_sub(QUIET)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_ends_at_a_multiple_of_its_length() {
        let begun = Instant::now();
        for (micros, ends) in [(0, 2), (1, 2), (1_000, 2), (1_001, 4), (3_000, 4), (249_001, 252)] {
            let end = quiet(begun, begun + Duration::from_micros(micros)) + QUIET;
            assert_eq!(end - begun, Duration::from_millis(ends), "{micros}");
        }
    }

    #[tokio::test]
    async fn a_veil_that_is_drawn_lasts_to_the_end_of_its_slot() {
        let slots = Slots::start().unwrap();
        let mut veil = slots.veil();
        veil.lift().await;
        assert!(veil.begun.elapsed() < SLOT, "nothing was hidden");
        veil.draw();
        veil.lift().await;
        assert!(veil.begun.elapsed() >= SLOT);
    }

    #[tokio::test]
    async fn whoever_waits_is_woken_in_the_order_of_the_slots() {
        let slots = Slots::start().unwrap();
        let begun = Instant::now();
        let order = Mutex::new(Vec::new());
        let wait = async |millis| {
            slots.wait(begun + Duration::from_millis(millis)).await;
            order.lock().unwrap().push(millis);
        };
        tokio::join!(wait(30), wait(10), wait(20), wait(0));
        assert_eq!(order.into_inner().unwrap(), [0, 10, 20, 30]);
    }
}
