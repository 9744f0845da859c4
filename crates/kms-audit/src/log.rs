//! A log that is being written: lines enter the chain at once, go to the operating system together,
//! and are made durable by a thread of their own.
//!
//! Whoever needs to know that a record was handed over asks for it ([`Log::hand_over`]) and, if
//! nobody was faster, writes all that waits with one call. When that fails nothing is lost: what
//! waits stays in memory, the log says why it is closed for new decisions ([`Log::ready`]), and the
//! thread tries until it can be written again. Must never know what a record says.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::chain::{Chain, LENGTH, Position};
use crate::line::{self, Body, OWN};
use crate::sink::Sink;

/// How long lines are gathered before they are made durable: half of what is promised, so that
/// the other half is left for the disk.
const GATHER: Duration = Duration::from_millis(50);
/// How long after a failure the next try is made.
const RETRY: Duration = Duration::from_millis(200);

/// The number of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

impl Ticket {
    /// The record's number.
    pub fn seq(self) -> u64 {
        self.0
    }
}

/// Why the log cannot be written; for operators.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit log cannot be written: {0}")]
pub struct Failure(Arc<str>);

/// When what waits is written and made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// Handed over when somebody asks, durable within 100 ms.
    Group,
    /// Handed over and durable when somebody asks.
    Each,
}

/// How a log is begun.
pub struct Setup {
    /// The first key of the epoch.
    pub key: [u8; LENGTH],
    /// The epoch.
    pub epoch: u64,
    /// The record before the first.
    pub previous: Position,
    /// When lines are made durable.
    pub sync: Sync,
    /// From so many bytes on, a part of the log is ended.
    pub part_size: usize,
    /// The time in milliseconds since 1970.
    pub clock: Arc<dyn Fn() -> i64 + Send + std::marker::Sync>,
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

/// A log that is being written. Ends, with all that was appended, when it is dropped.
pub struct Log {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("epoch", &self.shared.epoch).finish_non_exhaustive()
    }
}

struct Shared {
    epoch: u64,
    sync: Sync,
    part_size: usize,
    clock: Arc<dyn Fn() -> i64 + Send + std::marker::Sync>,
    state: Mutex<State>,
    /// Wakes the thread.
    work: Condvar,
    out: Mutex<Out>,
    written: AtomicU64,
    flushed: AtomicU64,
    durable: Mutex<Position>,
    is_broken: AtomicBool,
    failure: Mutex<Option<Failure>>,
}

/// What is appended to.
struct State {
    chain: Chain,
    batch: Batch,
    part_bytes: usize,
    waiting: Vec<(u64, Waker)>,
    /// The thread waits for something to do.
    idle: bool,
    /// Somebody waits for the disk.
    urgent: bool,
    closing: bool,
}

/// Lines on their way to the sink.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    /// Where new parts begin, by offset, with their first records.
    cuts: VecDeque<(usize, u64)>,
    /// The last record.
    last: Option<Position>,
}

/// The sink, and what it has not taken yet.
struct Out {
    sink: Box<dyn Sink>,
    batch: Batch,
    done: usize,
    last: Position,
}

impl Log {
    /// Begins a log in a new part of `sink`.
    pub fn start(sink: Box<dyn Sink>, setup: Setup) -> io::Result<Self> {
        let first = setup.previous.seq.saturating_add(1);
        let chain = Chain::new(&setup.key, first, setup.previous.mac);
        let mut sink = sink;
        sink.begin(first)?;
        let shared = Arc::new(Shared {
            epoch: setup.epoch,
            sync: setup.sync,
            part_size: setup.part_size,
            clock: setup.clock,
            state: Mutex::new(State {
                chain,
                batch: Batch::default(),
                part_bytes: 0,
                waiting: Vec::new(),
                idle: false,
                urgent: false,
                closing: false,
            }),
            work: Condvar::new(),
            out: Mutex::new(Out { sink, batch: Batch::default(), done: 0, last: setup.previous }),
            written: AtomicU64::new(setup.previous.seq),
            flushed: AtomicU64::new(setup.previous.seq),
            durable: Mutex::new(setup.previous),
            is_broken: AtomicBool::new(false),
            failure: Mutex::new(None),
        });
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("audit-log".to_owned())
            .spawn(move || theirs.keep_flushed())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The epoch.
    pub fn epoch(&self) -> u64 {
        self.shared.epoch
    }

    /// Whether decisions may be made: what was decided can be recorded.
    pub fn ready(&self) -> Result<(), Failure> {
        if !self.shared.is_broken.load(Ordering::Acquire) {
            return Ok(());
        }
        lock(&self.shared.failure).clone().map_or(Ok(()), Err)
    }

    /// Appends a record. It is in the log's order from now on.
    pub fn append(&self, body: &[u8]) -> Ticket {
        let mut state = lock(&self.shared.state);
        if state.part_bytes >= self.shared.part_size {
            self.shared.cut(&mut state);
        }
        let ticket = state.push(body);
        if std::mem::take(&mut state.idle) {
            drop(state);
            self.shared.work.notify_one();
        }
        ticket
    }

    /// The last record that was appended.
    pub fn last(&self) -> Ticket {
        Ticket(self.next().saturating_sub(1))
    }

    /// The number that the next record has.
    pub fn next(&self) -> u64 {
        lock(&self.shared.state).chain.next()
    }

    /// Whether the record was handed to the operating system, or as far as [`Log::hand_over`]
    /// takes it.
    pub fn is_handed_over(&self, ticket: Ticket) -> bool {
        let stage = match self.shared.sync {
            Sync::Group => &self.shared.written,
            Sync::Each => &self.shared.flushed,
        };
        stage.load(Ordering::Acquire) >= ticket.0
    }

    /// Sees to it that the record, and all before it, is handed to the operating system; with
    /// [`Sync::Each`], that it is on the disk.
    pub async fn hand_over(&self, ticket: Ticket) -> Result<(), Failure> {
        match self.shared.sync {
            Sync::Group => self.shared.write_until(ticket.0),
            Sync::Each => self.flush(ticket).await,
        }
    }

    /// Waits until the record is on the disk.
    pub async fn flush(&self, ticket: Ticket) -> Result<(), Failure> {
        Flushed { log: self, seq: ticket.0, asked: false }.await
    }

    /// Where the log stands on the disk.
    pub fn durable(&self) -> Position {
        *lock(&self.shared.durable)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        lock(&self.shared.state).closing = true;
        self.shared.work.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the audit log's thread had stopped");
        }
    }
}

/// Waits for the disk.
struct Flushed<'a> {
    log: &'a Log,
    seq: u64,
    asked: bool,
}

impl Future for Flushed<'_> {
    type Output = Result<(), Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let shared = &self.log.shared;
        let mut state = lock(&shared.state);
        if shared.flushed.load(Ordering::Acquire) >= self.seq {
            return Poll::Ready(Ok(()));
        }
        // A failure before the first look is one that the thread is mending.
        if self.asked
            && let Err(failure) = self.log.ready()
        {
            return Poll::Ready(Err(failure));
        }
        state.waiting.push((self.seq, cx.waker().clone()));
        state.urgent = true;
        drop(state);
        shared.work.notify_one();
        self.asked = true;
        Poll::Pending
    }
}

impl State {
    fn push(&mut self, body: &[u8]) -> Ticket {
        let seq = self.chain.next();
        let begin = self.batch.bytes.len();
        line::push_covered(&mut self.batch.bytes, seq, body);
        let covered = self.batch.bytes.get(begin..).unwrap_or_default();
        let mac = self.chain.take(covered);
        line::push_mac(&mut self.batch.bytes, &mac);
        self.part_bytes += self.batch.bytes.len() - begin;
        self.batch.last = Some(Position { seq, mac });
        Ticket(seq)
    }
}

impl Shared {
    /// Ends a part: the next begins with a record that says where it belongs.
    fn cut(&self, state: &mut State) {
        let at = state.batch.bytes.len();
        state.batch.cuts.push_back((at, state.chain.next()));
        state.part_bytes = 0;
        let previous = state.chain.mac();
        let mut body = Vec::with_capacity(256);
        Body::begin(&mut body, (self.clock)())
            .text(OWN, "Continue")
            .number("epoch", self.epoch)
            .hex("previous", &previous);
        state.push(&body);
    }

    fn write_until(&self, seq: u64) -> Result<(), Failure> {
        let is_written = || self.written.load(Ordering::Acquire) >= seq;
        if is_written() {
            return Ok(());
        }
        let mut out = lock(&self.out);
        if is_written() {
            return Ok(());
        }
        self.write_out(&mut out).map_err(|error| self.broken(&error))
    }

    /// Gives the sink all that there is.
    fn write_out(&self, out: &mut Out) -> io::Result<()> {
        loop {
            out.write()?;
            self.written.store(out.last.seq, Ordering::Release);
            // What was written makes room for what comes: the two buffers change places.
            out.batch.bytes.clear();
            out.done = 0;
            let mut state = lock(&self.state);
            if state.batch.bytes.is_empty() {
                break;
            }
            std::mem::swap(&mut state.batch, &mut out.batch);
        }
        // A log that was given up is mended only when it could take a line.
        if out.sink.is_begun() { Ok(()) } else { out.sink.begin(out.last.seq.saturating_add(1)) }
    }

    /// From now on nothing is decided, until the thread has written what waits.
    fn broken(&self, error: &io::Error) -> Failure {
        let failure = Failure(error.to_string().into());
        let before = lock(&self.failure).replace(failure.clone());
        if !self.is_broken.swap(true, Ordering::AcqRel) {
            tracing::error!(%error, "the audit log cannot be written; requests are refused");
        } else if before.as_ref() != Some(&failure) {
            tracing::error!(%error, "the audit log still cannot be written");
        }
        let mut state = lock(&self.state);
        state.urgent = true;
        for (_, waker) in state.waiting.drain(..) {
            waker.wake();
        }
        drop(state);
        self.work.notify_one();
        failure
    }

    fn mended(&self) {
        *lock(&self.failure) = None;
        if self.is_broken.swap(false, Ordering::AcqRel) {
            tracing::warn!("the audit log can be written again; requests are answered");
        }
    }

    /// The thread.
    fn keep_flushed(&self) {
        loop {
            let closing = self.wait();
            match self.round() {
                Ok(()) => self.mended(),
                Err(error) => {
                    drop(self.broken(&error));
                    if closing {
                        return;
                    }
                    drop(self.pause(RETRY, |state| state.closing));
                }
            }
            if closing {
                return;
            }
        }
    }

    /// Waits until there is something to make durable; whether the log ends.
    fn wait(&self) -> bool {
        let mut state = lock(&self.state);
        let flushed = self.flushed.load(Ordering::Acquire);
        while state.chain.next() <= flushed.saturating_add(1)
            && !state.closing
            && !self.is_broken.load(Ordering::Acquire)
        {
            state.idle = true;
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.idle = false;
        if !state.urgent && !state.closing {
            drop(state);
            state = self.pause(GATHER, |state| state.urgent || state.closing);
        }
        state.urgent = false;
        state.closing
    }

    /// Waits for a while, or until `enough`.
    fn pause(&self, time: Duration, enough: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let state = lock(&self.state);
        let pausing = self.work.wait_timeout_while(state, time, |state| !enough(state));
        pausing.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Writes all that waits and makes it durable.
    fn round(&self) -> io::Result<()> {
        let mut out = lock(&self.out);
        self.write_out(&mut out)?;
        let last = out.last;
        let flushed = out.sink.flush();
        drop(out);
        // Meanwhile others may write on.
        if let Err(error) = flushed.and_then(|flush| flush()) {
            lock(&self.out).sink.abandon();
            return Err(error);
        }
        *lock(&self.durable) = last;
        let mut state = lock(&self.state);
        self.flushed.store(last.seq, Ordering::Release);
        state.waiting.retain(|(seq, waker)| {
            let waits = *seq > last.seq;
            if !waits {
                waker.wake_by_ref();
            }
            waits
        });
        Ok(())
    }
}

impl Out {
    /// Gives the sink what is left of the batch.
    fn write(&mut self) -> io::Result<()> {
        while self.done < self.batch.bytes.len() {
            if !self.sink.is_begun() {
                self.begin_anew()?;
            }
            if let Some((at, first)) = self.batch.cuts.front().copied()
                && at == self.done
            {
                self.sink.begin(first)?;
                self.batch.cuts.pop_front();
            }
            let end = self.batch.cuts.front().map_or(self.batch.bytes.len(), |(at, _)| *at);
            let rest = self.batch.bytes.get(self.done..end).unwrap_or_default();
            match self.sink.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if let Some(last) = self.batch.last.take() {
            self.last = last;
        }
        Ok(())
    }

    /// Begins a part where none is: with the line that was to be written, from its beginning.
    fn begin_anew(&mut self) -> io::Result<()> {
        let before = self.batch.bytes.get(..self.done).unwrap_or_default();
        self.done = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let rest = self.batch.bytes.get(self.done..).unwrap_or_default();
        let first = line::seq(rest).unwrap_or_else(|| self.last.seq.saturating_add(1));
        self.sink.begin(first)?;
        if self.batch.cuts.front().is_some_and(|(at, _)| *at == self.done) {
            self.batch.cuts.pop_front();
        }
        Ok(())
    }
}

/// No lock here is held where something can stop halfway.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
