//! Lanes: one thread for each core, each with a runtime of its own.
//!
//! A connection stays on the lane it was given to, so that a request wakes no other core, steals
//! no work and shares no queue. What takes long is not done here: the core and the store have
//! threads for it. Knows nothing of HTTP.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The lanes of one server.
#[derive(Debug)]
pub(crate) struct Lanes {
    lanes: Vec<Lane>,
}

#[derive(Debug)]
struct Lane {
    handle: Handle,
    load: Arc<AtomicUsize>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// A place on a lane, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    load: Arc<AtomicUsize>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.load.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lanes {
    /// Starts `count` lanes, and at least one.
    pub(crate) fn start(count: usize) -> io::Result<Self> {
        let lanes = (0..count.max(1)).map(Lane::start).collect::<io::Result<_>>()?;
        Ok(Self { lanes })
    }

    /// The lane with the fewest connections, with one more.
    pub(crate) fn take(&self) -> Option<(&Handle, Place)> {
        let lane = self.lanes.iter().min_by_key(|lane| lane.load.load(Ordering::Relaxed))?;
        lane.load.fetch_add(1, Ordering::Relaxed);
        Some((&lane.handle, Place { load: Arc::clone(&lane.load) }))
    }

    /// Ends the lanes, with what still runs on them, and waits for their threads.
    pub(crate) fn end(self) {
        let threads: Vec<_> = self
            .lanes
            .into_iter()
            .map(|lane| {
                drop(lane.stop);
                lane.thread
            })
            .collect();
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a lane ended by a panic");
            }
        }
    }
}

impl Lane {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(4).build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread =
            std::thread::Builder::new().name(format!("lane-{number}")).spawn(move || {
                // The sender is dropped, never used: either way the lane ends.
                drop(runtime.block_on(stopped));
            })?;
        Ok(Self { handle, load: Arc::default(), stop, thread })
    }
}
