//! Slow work, such as making RSA keys: a bounded queue and threads of the lowest priority, so that
//! it never stands in the way of requests that are quick; and work of some milliseconds, beside the
//! threads that answer. It must never know what the work is.

use std::sync::{Arc, Mutex, mpsc};

use kmip::enumerations::ResultReason;
use tokio::sync::{Semaphore, oneshot};

use crate::error::{Again, Error, Result};

type Job = Box<dyn FnOnce() + Send>;

/// How many jobs may wait.
const QUEUE_LENGTH: usize = 256;
/// The lowest priority there is.
const NICE: i32 = 19;

/// The queue.
pub(crate) struct Slow {
    jobs: mpsc::SyncSender<Job>,
}

impl Slow {
    /// Starts `threads` threads; they end with the queue.
    pub(crate) fn start(threads: usize) -> Result<Self> {
        let (jobs, queue) = mpsc::sync_channel::<Job>(QUEUE_LENGTH);
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..threads.max(1) {
            let queue = Arc::clone(&queue);
            let name = format!("slow-{number}");
            let thread = std::thread::Builder::new().name(name).spawn(move || work(&queue));
            thread.map_err(Error::internal)?;
        }
        Ok(Self { jobs })
    }

    /// Does `work` there, and waits for it without holding a thread.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let (answer, result) = oneshot::channel();
        let job: Job = Box::new(move || {
            // A caller that has gone away needs no answer.
            drop(answer.send(work()));
        });
        self.jobs.try_send(job).map_err(|_full| {
            Error::passing(
                Again::Yes,
                ResultReason::ServerLimitExceeded,
                "too many keys are being made at once",
            )
        })?;
        result.await.map_err(Error::internal)
    }
}

/// Work of some milliseconds, such as RSA with long keys or large data: each thread that answers has
/// many connections, and none of them should wait for that.
pub(crate) struct Aside {
    places: Arc<Semaphore>,
}

impl Aside {
    /// As much work at once as there are processors; what is more waits its turn.
    pub(crate) fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self { places: Arc::new(Semaphore::new(processors)) }
    }

    /// Does `work` beside the thread that waits for it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(Error::internal)?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(place);
            done
        });
        done.await.map_err(Error::internal)
    }
}

/// The calling thread runs only where nothing else wants to. A system that refuses only makes slow
/// work less polite.
fn step_back() {
    // On Linux the niceness is the thread's own.
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::debug!(%error, "slow work keeps the normal niceness");
    }
    // A nice thread still finishes its slice, some milliseconds, before it makes way; an idle one
    // makes way at once.
    #[cfg(target_os = "linux")]
    {
        use thread_priority::unix::{
            NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy,
            thread_native_id,
        };
        let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        let lowest = thread_priority::ThreadPriority::Min;
        if let Err(error) = set_thread_priority_and_policy(thread_native_id(), lowest, idle) {
            tracing::debug!(?error, "slow work keeps the normal scheduling");
        }
    }
}

fn work(queue: &Mutex<mpsc::Receiver<Job>>) {
    step_back();
    loop {
        let job = match queue.lock() {
            Ok(queue) => queue.recv(),
            Err(_poisoned) => return,
        };
        match job {
            Ok(job) => job(),
            Err(mpsc::RecvError) => return,
        }
    }
}
