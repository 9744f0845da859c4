//! The one writer: a thread that takes all commits that wait, makes them in one transaction, and
//! answers them when it is durable.
//!
//! It must not know what a commit changes; see [`super::apply`].

use std::ops::Range;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::apply::{self, Stop};
use super::convert::{self, error};
use super::import::{Import, Step};
use super::queue::Queue;
use crate::Error;
use crate::commit::Commit;
use crate::record::Write;

/// The most commits in one transaction.
const GROUP: usize = 512;
/// When a group weighs more than this, in bytes, it takes no further commit.
const GROUP_BYTES: usize = 8 << 20;
/// The room for commits that wait, in KiB; each takes at least [`COMMIT_KIB`].
const QUEUE_KIB: usize = 128 << 10;
const COMMIT_KIB: usize = 16;
/// From so many pages on, the log is copied into the database between two groups.
const CHECKPOINT_PAGES: i64 = 4096;
/// From so many pages on, the writer waits for readers to leave the log, so that it starts anew.
const RESTART_PAGES: i64 = 32 * 1024;
/// After so long without a commit, what is left of the log is copied.
const IDLE: Duration = Duration::from_millis(500);
/// The longest wait for those who were just answered to come back with their next commit.
const LONGEST_WAIT: Duration = Duration::from_millis(2);
/// How long one of them may take on its way.
const WAIT_EACH: Duration = Duration::from_micros(20);

struct Job {
    commit: Commit,
    answer: oneshot::Sender<Result<(), Error>>,
    _room: OwnedSemaphorePermit,
}

enum Message {
    Commit(Job),
    /// Copies the whole log into the database and empties it; false if readers are in the way.
    Scrub(oneshot::Sender<Result<bool, Error>>),
    /// Makes changes that come one after the other in one transaction.
    Import(mpsc::Receiver<Step>),
    /// Ends what came before, closes the connection and answers.
    Close(oneshot::Sender<Result<(), Error>>),
    #[cfg(test)]
    Run(Box<dyn FnOnce(&Connection) + Send>),
}

/// The writer as its callers see it.
pub(super) struct Writer {
    queue: Arc<Queue<Message>>,
    room: Arc<Semaphore>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread on a connection that is set up for writing; new objects take the places
    /// from `next` on. Where it is not `alone`, others write too, and the log is left to them.
    pub(super) fn start(connection: Connection, next: i64, alone: bool) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::new());
        let log = Arc::new(AtomicI64::new(0));
        let mut thread = Thread {
            connection,
            alone,
            queue: Arc::clone(&queue),
            next,
            log,
            copied: 0,
            seqs: Vec::new(),
            expected: 1,
            pace: Duration::ZERO,
        };
        let handle = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || thread.run())?;
        Ok(Self {
            queue,
            room: Arc::new(Semaphore::new(QUEUE_KIB)),
            thread: Mutex::new(Some(handle)),
        })
    }

    pub(super) async fn commit(&self, commit: Commit) -> Result<(), Error> {
        if let Err(refusal) = admit(&commit) {
            commit.refused();
            return Err(refusal);
        }
        let weight = (COMMIT_KIB + commit.weight() / 1024).min(QUEUE_KIB);
        let weight = u32::try_from(weight).unwrap_or(u32::MAX);
        let Ok(room) = Arc::clone(&self.room).acquire_many_owned(weight).await else {
            return Err(stopped());
        };
        let (answer, outcome) = oneshot::channel();
        if !self.queue.push(Message::Commit(Job { commit, answer, _room: room })) {
            return Err(stopped());
        }
        outcome.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Leaves nothing of what was removed in the files: pages that are free are empty, and so is the
    /// log.
    pub(super) async fn scrub(&self) -> Result<bool, Error> {
        let (answer, outcome) = oneshot::channel();
        if !self.queue.push(Message::Scrub(answer)) {
            return Err(stopped());
        }
        outcome.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Begins changes that are made together, when those that wait are made.
    pub(super) fn import(&self) -> Result<Import, Error> {
        let (import, steps) = Import::new();
        if self.queue.push(Message::Import(steps)) { Ok(import) } else { Err(stopped()) }
    }

    /// Ends what was begun; later commits are unavailable.
    pub(super) async fn close(&self) -> Result<(), Error> {
        let (answer, outcome) = oneshot::channel();
        if !self.queue.push(Message::Close(answer)) {
            return Ok(());
        }
        outcome.await.unwrap_or(Ok(()))
    }

    #[cfg(test)]
    pub(super) fn run(&self, work: impl FnOnce(&Connection) + Send + 'static) {
        assert!(self.queue.push(Message::Run(Box::new(work))));
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let (answer, _outcome) = oneshot::channel();
        let sent = self.queue.push(Message::Close(answer));
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!(sent, "the store's writer had stopped");
        }
    }
}

pub(super) fn stopped() -> Error {
    Error::Unavailable("the server is stopping".to_owned())
}

/// What the database cannot express is refused before it is queued.
fn admit(commit: &Commit) -> Result<(), Error> {
    commit.writes.iter().try_for_each(|write| match write {
        Write::Put { row, .. } => convert::state_name(row.state).map(drop),
        _ => Ok(()),
    })
}

/// The thread's own.
struct Thread {
    connection: Connection,
    alone: bool,
    queue: Arc<Queue<Message>>,
    next: i64,
    /// The pages in the log after the last commit, as `SQLite` tells.
    log: Arc<AtomicI64>,
    /// How many of them are known to be in the database as well.
    copied: i64,
    /// The places of the puts of the group at work.
    seqs: Vec<i64>,
    /// How many commits may come soon: those that were answered last and those that wait.
    expected: usize,
    /// How long the last transaction took.
    pace: Duration,
}

/// What comes after some commits.
enum Next {
    Import(mpsc::Receiver<Step>),
    Close(oneshot::Sender<Result<(), Error>>),
}

/// What became of a commit in a transaction: its part of `seqs`, or why it was refused.
type Outcome = Result<Range<usize>, Error>;

impl Thread {
    fn run(&mut self) {
        let log = Arc::clone(&self.log);
        let hook = move |_: &mut rusqlite::hooks::Wal, pages| {
            log.store(i64::from(pages), Ordering::Relaxed);
            Ok(())
        };
        if let Err(failure) = self.connection.wal_hook(Some(hook)) {
            tracing::error!(%failure, "the size of the database's log is not known");
        }
        let mut jobs = Vec::new();
        let ending = loop {
            let next = self.gather(&mut jobs);
            if !jobs.is_empty() {
                let (began, count) = (Instant::now(), jobs.len());
                self.group(&mut jobs);
                self.pace = began.elapsed();
                self.bound_log();
                self.expected = count + self.queue.len();
            }
            match next {
                None => {}
                Some(Next::Import(steps)) => {
                    self.import(steps);
                    self.bound_log();
                }
                Some(Next::Close(answer)) => break answer,
            }
        };
        self.close(ending);
    }

    /// Makes changes that come one after the other, and keeps them when all have come. The first one
    /// that cannot be made ends it; so does a caller who goes away.
    fn import(&mut self, mut steps: mpsc::Receiver<Step>) {
        let first = self.next;
        let begun = self.connection.execute_batch("BEGIN IMMEDIATE").map_err(error);
        let mut outcome = begun;
        while let Some(step) = steps.blocking_recv() {
            let (answer, last) = match step {
                Step::Put(commit, answer) => {
                    outcome = outcome.and_then(|()| self.import_part(&commit));
                    (answer, outcome.is_err())
                }
                Step::Finish(answer) => {
                    outcome = outcome
                        .and_then(|()| self.connection.execute_batch("COMMIT").map_err(error));
                    (answer, true)
                }
            };
            if last {
                self.take_back(first);
                drop(answer.send(outcome));
                return;
            }
            // One who no longer waits ends it by going away.
            drop(answer.send(Ok(())));
        }
        self.take_back(first);
    }

    fn import_part(&mut self, commit: &Commit) -> Result<(), Error> {
        admit(commit)?;
        match apply::check(&self.connection, commit) {
            Ok(()) => {
                // The places are asked for by nobody.
                apply::apply(&self.connection, commit, &mut self.next, &mut Vec::new())
            }
            Err(Stop::Refused(failure) | Stop::Failed(failure)) => Err(failure),
        }
    }

    /// Ends a transaction that is still under way; its objects took the places from `first` on.
    fn take_back(&mut self, first: i64) {
        self.copied = 0;
        if self.connection.is_autocommit() {
            return;
        }
        self.next = first;
        if let Err(failure) = self.connection.execute_batch("ROLLBACK") {
            tracing::error!(%failure, "a transaction could not be rolled back");
        }
    }

    /// Waits for commits and takes those that are there. Returns what comes after them, if it is no
    /// commit.
    fn gather(&mut self, jobs: &mut Vec<Job>) -> Option<Next> {
        self.wait();
        let mut bytes = 0;
        while jobs.len() < GROUP && bytes < GROUP_BYTES {
            match self.queue.pop()? {
                Message::Commit(job) => {
                    bytes += job.commit.weight();
                    jobs.push(job);
                }
                Message::Scrub(answer) => drop(answer.send(self.scrub())),
                Message::Import(steps) => return Some(Next::Import(steps)),
                Message::Close(answer) => return Some(Next::Close(answer)),
                #[cfg(test)]
                Message::Run(work) => work(&self.connection),
            }
        }
        None
    }

    /// Waits until there is something to do.
    ///
    /// Those who were answered together tend to come back together. A group of one would cost as
    /// much as a group of all, so all are given the time that the last transaction took, or a
    /// little more if they are many.
    fn wait(&mut self) {
        while !self.queue.wait(1, (self.copied < self.log.load(Ordering::Relaxed)).then_some(IDLE))
        {
            self.checkpoint("PASSIVE");
            // Once is enough: readers may hold a part back until the next commit.
            self.copied = i64::MAX;
        }
        if self.expected > 1 {
            let expected = self.expected.min(GROUP);
            let each = WAIT_EACH * u32::try_from(expected).unwrap_or(u32::MAX);
            self.queue.wait(expected, Some((self.pace + each).min(LONGEST_WAIT)));
        }
    }

    /// Makes all commits in one transaction and answers them. If the database fails in the middle,
    /// each is tried alone, so that only the guilty one fails.
    fn group(&mut self, jobs: &mut Vec<Job>) {
        match self.attempt(jobs) {
            Ok(outcomes) => {
                for (job, outcome) in jobs.drain(..).zip(outcomes) {
                    self.answer(job, outcome);
                }
            }
            Err(failure) if jobs.len() == 1 => {
                if let Some(job) = jobs.pop() {
                    self.answer(job, Err(failure));
                }
            }
            Err(_) => {
                for job in jobs.drain(..) {
                    let alone = self.attempt(std::slice::from_ref(&job));
                    let outcome =
                        alone.and_then(|mut all| all.pop().unwrap_or_else(|| Err(stopped())));
                    self.answer(job, outcome);
                }
            }
        }
    }

    fn answer(&self, job: Job, outcome: Outcome) {
        let answer = match outcome {
            Ok(range) => {
                job.commit.done(self.seqs.get(range).unwrap_or_default());
                Ok(())
            }
            Err(refusal @ (Error::Conflict { .. } | Error::Exists { .. })) => {
                job.commit.refused();
                Err(refusal)
            }
            // What the database holds is read again.
            Err(failure) => {
                drop(job.commit);
                Err(failure)
            }
        };
        // One who no longer waits does not need the answer.
        drop(job.answer.send(answer));
    }

    fn attempt(&mut self, jobs: &[Job]) -> Result<Vec<Outcome>, Error> {
        self.seqs.clear();
        let first = self.next;
        let outcome = self.transact(jobs);
        if outcome.is_err() {
            self.next = first;
            // SQLite may have rolled back by itself.
            if !self.connection.is_autocommit()
                && let Err(failure) = self.connection.execute_batch("ROLLBACK")
            {
                tracing::error!(%failure, "a transaction could not be rolled back");
            }
        }
        outcome
    }

    fn transact(&mut self, jobs: &[Job]) -> Result<Vec<Outcome>, Error> {
        let run = |connection: &Connection, sql| {
            connection.prepare_cached(sql).and_then(|mut it| it.execute([])).map_err(error)
        };
        run(&self.connection, "BEGIN IMMEDIATE")?;
        let mut outcomes = Vec::with_capacity(jobs.len());
        for job in jobs {
            match apply::check(&self.connection, &job.commit) {
                Ok(()) => {
                    let start = self.seqs.len();
                    apply::apply(&self.connection, &job.commit, &mut self.next, &mut self.seqs)?;
                    outcomes.push(Ok(start..self.seqs.len()));
                }
                Err(Stop::Refused(refusal)) => outcomes.push(Err(refusal)),
                Err(Stop::Failed(failure)) => return Err(failure),
            }
        }
        run(&self.connection, "COMMIT")?;
        self.copied = 0;
        Ok(outcomes)
    }

    fn bound_log(&mut self) {
        let pages = self.log.load(Ordering::Relaxed);
        if pages >= RESTART_PAGES {
            self.checkpoint("RESTART");
        } else if pages >= CHECKPOINT_PAGES {
            self.checkpoint("PASSIVE");
        }
    }

    fn checkpoint(&mut self, mode: &str) {
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        let copied = self.connection.query_row(&sql, [], |row| row.get::<_, i64>(2));
        match copied {
            Ok(pages) => self.copied = pages,
            // Nothing is lost: the log has it all, and the next checkpoint tries again.
            Err(failure) => tracing::warn!(%failure, "the database's log could not be copied"),
        }
    }

    fn scrub(&mut self) -> Result<bool, Error> {
        // Commits shall not wait for readers.
        self.connection.busy_timeout(Duration::ZERO).map_err(error)?;
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        let busy = self.connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        self.connection.busy_timeout(super::BUSY).map_err(error)?;
        Ok(busy.map_err(error)? == 0)
    }

    fn close(&mut self, answer: oneshot::Sender<Result<(), Error>>) {
        drop(self.queue.close());
        // It would hold up the other writers while it waits for readers.
        if self.alone {
            self.checkpoint("TRUNCATE");
        }
        let closed = Connection::open_in_memory()
            .map(|other| std::mem::replace(&mut self.connection, other))
            .and_then(|connection| connection.close().map_err(|(_, failure)| failure))
            .map_err(error);
        drop(answer.send(closed));
    }
}
