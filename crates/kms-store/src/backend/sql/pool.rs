//! Connections that wait to be used, and a watch that knows whether the database answers.
//!
//! A connection is used by the thread that opened it as long as there is one for each, since a
//! socket wakes the thread on which it was opened. Nobody asks whether a connection is alive before
//! it is used, but where it waited so long that it may not be. It must not know a statement.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit, watch};

use super::connect::{self, Connector, Refusal};
use super::driver::Connection;
use super::failure::Failure;

/// Places where connections wait, by thread.
const SHARDS: usize = 16;
/// How long a caller waits for a connection, or for the database to come back.
const WAIT: Duration = Duration::from_secs(5);
/// A connection that waited longer is asked for a sign of life before a change is sent on it.
const DOUBT: Duration = Duration::from_secs(1);
/// A connection that waited longer is closed.
const IDLE: Duration = Duration::from_mins(5);
/// How often the watch asks, how long it waits for the answer, and how often it tries to connect.
const WATCH: Duration = Duration::from_millis(500);
const ANSWER: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_millis(200);

struct Idle {
    connection: Connection,
    since: Instant,
    epoch: u64,
}

/// The pool.
pub(super) struct Pool {
    connector: Connector,
    shards: [Mutex<Vec<Idle>>; SHARDS],
    room: Semaphore,
    most: usize,
    /// How many connections there are, in use or not.
    total: AtomicUsize,
    /// Raised when what waits is not to be used any more.
    epoch: AtomicU64,
    down: watch::Sender<Option<Arc<str>>>,
    closed: AtomicBool,
}

/// A connection in use. It goes back by [`Lent::back`]; one that is dropped is closed, since nobody
/// knows what it was about to answer.
pub(super) struct Lent<'a> {
    pool: &'a Pool,
    connection: Option<Connection>,
    epoch: u64,
    _permit: SemaphorePermit<'a>,
}

impl Pool {
    /// A pool of at most so many connections, with one that is open already.
    pub(super) fn new(connector: Connector, most: usize, first: Connection) -> Self {
        let pool = Self {
            connector,
            shards: std::array::from_fn(|_| Mutex::default()),
            room: Semaphore::new(most),
            most,
            total: AtomicUsize::new(1),
            epoch: AtomicU64::new(0),
            down: watch::Sender::new(None),
            closed: AtomicBool::new(false),
        };
        pool.keep(Idle { connection: first, since: Instant::now(), epoch: 0 });
        pool
    }

    pub(super) fn connector(&self) -> &Connector {
        &self.connector
    }

    /// What keeps the database from answering, as far as it is known.
    pub(super) fn trouble(&self) -> Option<Arc<str>> {
        self.down.borrow().clone()
    }

    fn shard(&self, number: usize) -> &Mutex<Vec<Idle>> {
        #[expect(clippy::indexing_slicing, reason = "the remainder is below SHARDS")]
        &self.shards[number % SHARDS]
    }

    fn keep(&self, idle: Idle) {
        let mut waiting =
            self.shard(own_shard()).lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push(idle);
    }

    fn pop(&self, number: usize) -> Option<Idle> {
        let epoch = self.epoch.load(Ordering::Acquire);
        let mut waiting = self.shard(number).lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let idle = waiting.pop()?;
            if idle.epoch == epoch {
                return Some(idle);
            }
            self.total.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// A connection to read with.
    pub(super) async fn reader(&self) -> Result<Lent<'_>, Failure> {
        self.take(None).await
    }

    /// A connection for a change: one that is known to have lived a moment ago.
    pub(super) async fn writer(&self) -> Result<Lent<'_>, Failure> {
        self.take(Some(DOUBT)).await
    }

    async fn take(&self, doubt: Option<Duration>) -> Result<Lent<'_>, Failure> {
        let stopped = || Failure::Busy("the server is stopping".to_owned());
        let permit = match self.room.try_acquire() {
            Ok(permit) => permit,
            Err(_none_free) => {
                let busy = || Failure::Busy("all connections to the database are in use".to_owned());
                let waited = tokio::time::timeout(WAIT, self.room.acquire()).await;
                waited.map_err(|_late| busy())?.map_err(|_closed| stopped())?
            }
        };
        if self.closed.load(Ordering::Acquire) {
            return Err(stopped());
        }
        let mut lent = Lent { pool: self, connection: None, epoch: 0, _permit: permit };
        while let Some(idle) = self.waiting() {
            lent.epoch = idle.epoch;
            lent.connection = Some(idle.connection);
            if doubt.is_none_or(|doubt| idle.since.elapsed() < doubt) || lent.lives().await {
                return Ok(lent);
            }
            lent.discard();
        }
        self.open(lent).await
    }

    /// One that waits here; one that waits elsewhere only where no more may be opened.
    fn waiting(&self) -> Option<Idle> {
        let own = own_shard();
        self.pop(own).or_else(|| {
            let full = self.total.load(Ordering::Acquire) >= self.most;
            full.then(|| (1..SHARDS).find_map(|other| self.pop(own + other))).flatten()
        })
    }

    async fn open<'a>(&'a self, mut lent: Lent<'a>) -> Result<Lent<'a>, Failure> {
        let mut down = self.down.subscribe();
        let up = tokio::time::timeout(WAIT, down.wait_for(Option::is_none)).await.is_ok();
        if !up {
            let why = self.trouble().unwrap_or_default();
            return Err(Failure::Lost(format!("the database does not answer: {why}")));
        }
        lent.epoch = self.epoch.load(Ordering::Acquire);
        match self.connector.connect().await {
            Ok(connection) => {
                self.total.fetch_add(1, Ordering::AcqRel);
                lent.connection = Some(connection);
                Ok(lent)
            }
            Err(refusal) => {
                // Where the database has none left for us, one of ours will do.
                match (0..SHARDS).find_map(|shard| self.pop(shard)) {
                    Some(idle) => {
                        lent.epoch = idle.epoch;
                        lent.connection = Some(idle.connection);
                        Ok(lent)
                    }
                    None => Err(Failure::Lost(refusal.to_string())),
                }
            }
        }
    }

    /// Forgets all connections that wait, and those in use when they come back.
    pub(super) fn renew(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        for shard in 0..SHARDS {
            while self.pop(shard).is_some() {}
        }
    }

    fn note(&self, trouble: Option<Arc<str>>) {
        self.down.send_if_modified(|now| {
            let changed = now.is_some() != trouble.is_some();
            if changed {
                match &trouble {
                    Some(why) => tracing::warn!(%why, "the database does not answer"),
                    None => tracing::info!("the database answers again"),
                }
            }
            *now = trouble;
            changed
        });
    }

    /// Watches the database until the pool is closed.
    pub(super) async fn watch(self: Arc<Self>) {
        let mut own = None;
        loop {
            if self.closed.load(Ordering::Acquire) {
                return;
            }
            let pause = match self.look(&mut own).await {
                Ok(()) => {
                    self.note(None);
                    self.trim();
                    WATCH
                }
                Err(why) => {
                    own = None;
                    self.note(Some(why.into()));
                    self.renew();
                    AGAIN
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Asks once, on a connection of the watch's own.
    async fn look(&self, own: &mut Option<Connection>) -> Result<(), String> {
        let connection = match own {
            Some(connection) => connection,
            None => match self.connector.connect().await {
                Ok(connection) => own.insert(connection),
                // Somebody answered, and the pool has its own.
                Err(Refusal { passes: true, why, .. }) if why.contains("no connection left") => {
                    return Ok(());
                }
                Err(refusal) => return Err(refusal.to_string()),
            },
        };
        let asked = connect::still_writes(connection, self.connector.dialect());
        match tokio::time::timeout(ANSWER, asked).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err("it does not write any more".to_owned()),
            Ok(Err(failure)) => Err(failure.to_string()),
            Err(_late) => Err("it does not answer".to_owned()),
        }
    }

    /// Closes what waited long.
    fn trim(&self) {
        for shard in &self.shards {
            let mut waiting = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let before = waiting.len();
            waiting.retain(|idle| idle.since.elapsed() < IDLE);
            self.total.fetch_sub(before - waiting.len(), Ordering::AcqRel);
        }
    }

    /// Ends what was begun and closes all connections.
    pub(super) async fn close(&self) {
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        // Whoever has a connection is given the time to bring it back.
        let all = u32::try_from(self.most).unwrap_or(u32::MAX);
        let ended = tokio::time::timeout(WAIT, self.room.acquire_many(all)).await;
        if ended.is_err() {
            tracing::warn!("statements were cut off at the end");
        }
        self.room.close();
        for shard in 0..SHARDS {
            while let Some(idle) = self.pop(shard) {
                drop(tokio::time::timeout(AGAIN, idle.connection.close()).await);
            }
        }
    }
}

/// The place of this thread.
fn own_shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
    }
    OWN.with(|own| *own)
}

impl Lent<'_> {
    /// The connection.
    pub(super) fn get(&mut self) -> Result<&mut Connection, Failure> {
        self.connection.as_mut().ok_or_else(|| Failure::Lost("there is none".to_owned()))
    }

    async fn lives(&mut self) -> bool {
        let Some(connection) = &mut self.connection else { return false };
        matches!(tokio::time::timeout(ANSWER, connection.ping()).await, Ok(Ok(())))
    }

    fn discard(&mut self) {
        if self.connection.take().is_some() {
            self.pool.total.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Gives the connection back: nothing is under way on it.
    pub(super) fn back(mut self) {
        let current = self.epoch == self.pool.epoch.load(Ordering::Acquire);
        if current
            && !self.pool.closed.load(Ordering::Acquire)
            && let Some(connection) = self.connection.take()
        {
            self.pool.keep(Idle { connection, since: Instant::now(), epoch: self.epoch });
        }
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.discard();
    }
}
