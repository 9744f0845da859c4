//! Connections: each one's phase, how long it has lasted, and the order to end.
//!
//! A request costs no timer. Each connection notes in two numbers what it is doing and since when,
//! by a clock that ticks once a second; one sweep a second ends those that take too long. The
//! future of a connection looks for an order whenever it is polled, and whoever gives one wakes
//! it. Knows nothing of routes or messages.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::HttpService;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::limits::{HEADER_BYTES, Limits};

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Between requests, or writing an answer.
    Idle = 0,
    /// Reading the header of a request.
    Header = 1,
    /// Reading the body of a request.
    Body = 2,
    /// Working on a request; nothing bounds this from outside.
    Work = 3,
}

/// What a connection has been told.
const CARRY_ON: u8 = 0;
/// End after the request that is running, if one is.
const FINISH: u8 = 1;
/// End now.
const CUT: u8 = 2;

/// One connection, as seen from outside its task.
#[derive(Debug)]
pub(crate) struct Watch {
    phase: AtomicU8,
    since: AtomicU32,
    order: AtomicU8,
    waker: OnceLock<Waker>,
    registry: Arc<Registry>,
}

impl Watch {
    /// Notes that `phase` begins.
    pub(crate) fn enter(&self, phase: Phase) {
        self.since.store(self.registry.now(), Ordering::Relaxed);
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    fn is_in(&self, phase: Phase) -> bool {
        self.phase.load(Ordering::Relaxed) == phase as u8
    }

    fn touch(&self) {
        self.since.store(self.registry.now(), Ordering::Relaxed);
    }

    fn tell(&self, order: u8) {
        if self.order.fetch_max(order, Ordering::AcqRel) < order
            && let Some(waker) = self.waker.get()
        {
            waker.wake_by_ref();
        }
    }
}

/// Every open connection.
#[derive(Debug)]
pub(crate) struct Registry {
    seconds: AtomicU32,
    next: AtomicU64,
    open: Mutex<HashMap<u64, Arc<Watch>>>,
    closed: Notify,
    limits: Limits,
}

impl Registry {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            seconds: AtomicU32::new(0),
            next: AtomicU64::new(0),
            open: Mutex::new(HashMap::new()),
            closed: Notify::new(),
            limits,
        })
    }

    /// How many connections are open.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    fn now(&self) -> u32 {
        self.seconds.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Watch>>> {
        // Nothing that holds the lock can leave the map half changed.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a connection; it is counted until the guard goes.
    pub(crate) fn admit(self: &Arc<Self>) -> Admitted {
        let watch = Arc::new(Watch {
            phase: AtomicU8::new(Phase::Idle as u8),
            since: AtomicU32::new(self.now()),
            order: AtomicU8::new(CARRY_ON),
            waker: OnceLock::new(),
            registry: Arc::clone(self),
        });
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(number, Arc::clone(&watch));
        Admitted { watch, number }
    }

    /// Lets a second pass, and ends the connections that take too long.
    pub(crate) fn tick(&self) {
        let now = self.seconds.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        for watch in self.lock().values() {
            let lasted = now.wrapping_sub(watch.since.load(Ordering::Relaxed));
            // Both ends are rounded to a second, in the caller's favour.
            let over = |limit: Duration| u64::from(lasted) > limit.as_secs().saturating_add(1);
            if watch.is_in(Phase::Idle) && over(self.limits.idle) {
                // A request may be arriving at this very moment; it will be answered. An answer
                // that nobody reads has no such claim.
                let patience = self.limits.idle.saturating_mul(2);
                watch.tell(if over(patience) { CUT } else { FINISH });
            } else if watch.is_in(Phase::Header) && over(self.limits.header)
                || watch.is_in(Phase::Body) && over(self.limits.request)
            {
                watch.tell(CUT);
            }
        }
    }

    /// Ends every connection after the request that it is working on. Returns whether all have
    /// ended within the limit; those that have not are cut off.
    pub(crate) async fn drain(&self) -> bool {
        for watch in self.lock().values() {
            watch.tell(FINISH);
        }
        let emptied = tokio::time::timeout(self.limits.stop, self.emptied()).await.is_ok();
        if !emptied {
            self.cut();
        }
        emptied
    }

    /// Ends every connection now.
    pub(crate) fn cut(&self) {
        for watch in self.lock().values() {
            watch.tell(CUT);
        }
    }

    async fn emptied(&self) {
        loop {
            let closed = self.closed.notified();
            if self.lock().is_empty() {
                return;
            }
            closed.await;
        }
    }
}

/// A connection's place in the registry.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) watch: Arc<Watch>,
    number: u64,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let registry = &self.watch.registry;
        registry.lock().remove(&self.number);
        registry.closed.notify_one();
    }
}

/// A socket that notes when bytes pass.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    watch: Arc<Watch>,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, watch: Arc<Watch>) -> Self {
        Self { stream, watch }
    }

    fn wrote(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.watch.touch();
        }
        written
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before && self.watch.is_in(Phase::Idle) {
            self.watch.enter(Phase::Header);
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The task of one connection.
pub(crate) struct Connection<S: HttpService<Incoming>> {
    http: http1::Connection<TokioIo<Socket>, S>,
    admitted: Admitted,
    finishing: bool,
}

impl<S> Connection<S>
where
    S: HttpService<Incoming>,
    S::ResBody: 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    <S::ResBody as Body>::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Serves `stream` by `service`.
    pub(crate) fn new(stream: TcpStream, admitted: Admitted, service: S) -> Self {
        let socket = Socket::new(stream, Arc::clone(&admitted.watch));
        let mut builder = http1::Builder::new();
        // A client may close its half after the last request and still wait for the answer.
        builder.half_close(true).max_header_size(HEADER_BYTES);
        let http = builder.serve_connection(TokioIo::new(socket), service);
        Self { http, admitted, finishing: false }
    }
}

impl<S> Future for Connection<S>
where
    S: HttpService<Incoming>,
    http1::Connection<TokioIo<Socket>, S>: Unpin,
    S::ResBody: 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    <S::ResBody as Body>::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.admitted.watch.waker.get_or_init(|| cx.waker().clone());
        match self.admitted.watch.order.load(Ordering::Acquire) {
            CARRY_ON => {}
            CUT => return Poll::Ready(()),
            _ if self.finishing => {}
            _ => {
                self.finishing = true;
                Pin::new(&mut self.http).graceful_shutdown();
            }
        }
        // What ends a connection is the client's affair: a reset, a timeout, bytes that are no
        // HTTP. Nothing was begun that is not finished.
        Pin::new(&mut self.http).poll(cx).map(|_| ())
    }
}
