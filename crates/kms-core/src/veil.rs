//! When an answer leaves that must not tell whether an object exists.
//!
//! To find nothing and to find what is another's are different work, and the difference can be
//! measured. Such an answer therefore leaves at the end of a slot of time, counted from the start of
//! its operation. The slots end by a thread of their own: a timer of the runtime would fire whole
//! milliseconds after the work was done, and so tell when that was. This module must never know what
//! is hidden.

use std::collections::BinaryHeap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::error::{Error, Result};

/// How long a slot is: longer than the work behind it on a server that is not overloaded.
const SLOT: Duration = Duration::from_millis(2);
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

    /// Waits for the end of the slot, where the veil was drawn.
    pub(crate) async fn lift(&self) {
        if self.drawn {
            self.slots.wait(end(self.begun, Instant::now())).await;
        }
    }
}

/// The end of the slot, among those that began with `begun`, in which `now` is.
fn end(begun: Instant, now: Instant) -> Instant {
    let whole = now.saturating_duration_since(begun).as_nanos() / SLOT.as_nanos();
    let slots = u32::try_from(whole).unwrap_or(u32::MAX).saturating_add(1);
    begun.checked_add(SLOT.saturating_mul(slots)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_ends_at_a_multiple_of_its_length() {
        let begun = Instant::now();
        for (micros, ends) in [(0, 2), (1, 2), (1_999, 2), (2_000, 4), (3_500, 4), (250_001, 252)] {
            let end = end(begun, begun + Duration::from_micros(micros));
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
