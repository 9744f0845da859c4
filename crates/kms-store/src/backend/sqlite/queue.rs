//! A queue from many to one, whose reader is woken only when enough has come.
//!
//! It must not know what is queued. Its length is bounded by those who push.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The queue.
pub(super) struct Queue<T> {
    inner: Mutex<Inner<T>>,
    enough: Condvar,
}

struct Inner<T> {
    items: VecDeque<T>,
    /// How many items the reader waits for; none if it does not wait.
    wanted: Option<usize>,
    closed: bool,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        let inner = Inner { items: VecDeque::new(), wanted: None, closed: false };
        Self { inner: Mutex::new(inner), enough: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an item; false if the queue is closed, and the item is dropped.
    pub(super) fn push(&self, item: T) -> bool {
        let mut inner = self.lock();
        if inner.closed {
            return false;
        }
        inner.items.push_back(item);
        if inner.wanted.is_some_and(|wanted| inner.items.len() >= wanted) {
            inner.wanted = None;
            drop(inner);
            self.enough.notify_one();
        }
        true
    }

    /// Takes the oldest item.
    pub(super) fn pop(&self) -> Option<T> {
        self.lock().items.pop_front()
    }

    pub(super) fn len(&self) -> usize {
        self.lock().items.len()
    }

    /// Waits until so many items are there or the time is over; tells whether they are there.
    pub(super) fn wait(&self, wanted: usize, time: Option<Duration>) -> bool {
        let mut inner = self.lock();
        if inner.items.len() >= wanted {
            return true;
        }
        inner.wanted = Some(wanted);
        let short = |inner: &mut Inner<T>| inner.items.len() < wanted;
        let mut inner = match time {
            None => self.enough.wait_while(inner, short).unwrap_or_else(PoisonError::into_inner),
            Some(time) => {
                self.enough
                    .wait_timeout_while(inner, time, short)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        };
        inner.wanted = None;
        inner.items.len() >= wanted
    }

    /// Takes no further items, and gives back those that are left.
    pub(super) fn close(&self) -> VecDeque<T> {
        let mut inner = self.lock();
        inner.closed = true;
        std::mem::take(&mut inner.items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn the_reader_gets_what_it_waits_for() {
        let queue = Arc::new(Queue::new());
        assert!(!queue.wait(1, Some(Duration::from_millis(1))));
        let pusher = Arc::clone(&queue);
        let thread = std::thread::spawn(move || (0..3).all(|number| pusher.push(number)));
        assert!(queue.wait(3, None));
        assert_eq!((queue.pop(), queue.len()), (Some(0), 2));
        assert!(thread.join().unwrap());
        assert_eq!(queue.close(), [1, 2]);
        assert!(!queue.push(4));
        assert_eq!(queue.pop(), None);
    }
}
