//! A proxy between a program and what it talks to, which can be told to misbehave: refuse, cut, wait,
//! and stop after so many bytes. It carries bytes and knows no protocol.
//!
//! It is told from the test's thread and obeys at once, also for connections that are open.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long an end may be silent before the proxy looks whether it is to go on.
const BEAT: Duration = Duration::from_millis(20);

/// How much is carried at once.
const CHUNK: usize = 16 * 1024;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// From who connected to who is behind the proxy.
    There,
    /// And back.
    Back,
}

/// What it is told.
#[derive(Clone, Copy, Debug)]
struct Orders {
    refuse: bool,
    hold: bool,
    delay: Duration,
    /// Ends a connection after so many bytes more in that direction.
    drop_after: Option<(Way, u64)>,
    /// Grows with each cut: connections older than it end.
    cuts: u64,
    over: bool,
}

#[derive(Debug)]
struct Shared {
    target: Mutex<SocketAddr>,
    orders: Mutex<Orders>,
    changed: Condvar,
    connections: AtomicU64,
    open: AtomicU64,
    there: AtomicU64,
    back: AtomicU64,
    turns: AtomicU64,
}

/// A proxy. It ends, with what it carries, when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl Proxy {
    /// Listens on a free port and carries to `target`.
    pub fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = listener.unwrap_or_else(|error| panic!("{error}"));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("{error}"));
        let orders = Orders {
            refuse: false,
            hold: false,
            delay: Duration::ZERO,
            drop_after: None,
            cuts: 0,
            over: false,
        };
        let shared = Arc::new(Shared {
            target: Mutex::new(target),
            orders: Mutex::new(orders),
            changed: Condvar::new(),
            connections: AtomicU64::new(0),
            open: AtomicU64::new(0),
            there: AtomicU64::new(0),
            back: AtomicU64::new(0),
            turns: AtomicU64::new(0),
        });
        let ours = Arc::clone(&shared);
        thread::spawn(move || listen(&listener, &ours));
        Self { shared, address }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `url`, which names the target on this machine, with the proxy's port in its place.
    pub fn in_url(&self, url: &str) -> String {
        let target = *lock(&self.shared.target);
        assert!(target.ip().is_loopback(), "{target} is elsewhere");
        let through =
            url.replace(&format!(":{}", target.port()), &format!(":{}", self.address.port()));
        assert_ne!(through, url, "{target} is not in the URL");
        through
    }

    /// Carries new connections to another address from now on.
    pub fn retarget(&self, target: SocketAddr) {
        *lock(&self.shared.target) = target;
    }

    /// Ends every open connection; new ones are carried.
    pub fn cut(&self) {
        self.order(|orders| orders.cuts += 1);
    }

    /// Ends every connection that comes, until told otherwise; open ones go on.
    pub fn refuse(&self, refuse: bool) {
        self.order(|orders| orders.refuse = refuse);
    }

    /// Ends every open connection and every new one, until [`Self::mend`]: the cable is out.
    pub fn unplug(&self) {
        self.order(|orders| {
            orders.cuts += 1;
            orders.refuse = true;
        });
    }

    /// Carries nothing and closes nothing, until told otherwise: a network that swallows.
    pub fn hold(&self, hold: bool) {
        self.order(|orders| orders.hold = hold);
    }

    /// Lets each piece wait so long before it is handed on.
    pub fn delay(&self, delay: Duration) {
        self.order(|orders| orders.delay = delay);
    }

    /// Ends the connection that carries the byte after `bytes` more in this direction, counted from
    /// now over all connections, and only that one.
    pub fn drop_after(&self, way: Way, bytes: u64) {
        self.order(|orders| orders.drop_after = Some((way, bytes)));
    }

    /// Forgets everything that it was told.
    pub fn mend(&self) {
        self.order(|orders| {
            orders.refuse = false;
            orders.hold = false;
            orders.delay = Duration::ZERO;
            orders.drop_after = None;
        });
    }

    /// How many connections came, the refused ones too.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many are open.
    pub fn open(&self) -> u64 {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// How many bytes were carried this way.
    pub fn bytes(&self, way: Way) -> u64 {
        self.shared.counter(way).load(Ordering::SeqCst)
    }

    /// How many round trips were made: how often something was sent on a connection whose last word had
    /// come from the other end.
    pub fn turns(&self) -> u64 {
        self.shared.turns.load(Ordering::SeqCst)
    }

    fn order(&self, change: impl FnOnce(&mut Orders)) {
        change(&mut lock(&self.shared.orders));
        self.shared.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.order(|orders| orders.over = true);
        // Wakes the one that listens. Where that fails it has ended already.
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    fn counter(&self, way: Way) -> &AtomicU64 {
        match way {
            Way::There => &self.there,
            Way::Back => &self.back,
        }
    }

    /// How much of `bytes` may be carried now, after all waiting; none where the connection is to
    /// end.
    fn admit(&self, way: Way, born: u64, bytes: u64) -> Option<u64> {
        let came = Instant::now();
        let mut orders = lock(&self.orders);
        loop {
            if orders.over || orders.cuts > born {
                return None;
            }
            let waited = came.elapsed();
            if !orders.hold && waited >= orders.delay {
                break;
            }
            let rest = if orders.hold { BEAT } else { orders.delay.saturating_sub(waited) };
            let woken = self.changed.wait_timeout(orders, rest);
            orders = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        match &mut orders.drop_after {
            Some((counted, left)) if *counted == way => {
                let admitted = bytes.min(*left);
                *left -= admitted;
                if admitted < bytes {
                    orders.drop_after = None;
                }
                Some(admitted)
            }
            _ => Some(bytes),
        }
    }

    fn ends(&self, born: u64) -> bool {
        let orders = lock(&self.orders);
        orders.over || orders.cuts > born
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn listen(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        let orders = *lock(&shared.orders);
        if orders.over {
            return;
        }
        let Ok(near) = stream else { continue };
        shared.connections.fetch_add(1, Ordering::SeqCst);
        if orders.refuse {
            drop(near.shutdown(Shutdown::Both));
            continue;
        }
        let target = *lock(&shared.target);
        // Who connected sees the end of it, as with a target that refuses.
        let Ok(far) = TcpStream::connect(target) else { continue };
        shared.open.fetch_add(1, Ordering::SeqCst);
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            both_ways(&near, &far, &shared, orders.cuts);
            shared.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

/// One connection that is carried.
struct Link<'a> {
    shared: &'a Shared,
    born: u64,
    over: AtomicBool,
    /// Whether the last word came from the near end.
    asked: AtomicBool,
}

fn both_ways(near: &TcpStream, far: &TcpStream, shared: &Shared, born: u64) {
    let link = Link { shared, born, over: AtomicBool::new(false), asked: AtomicBool::new(false) };
    thread::scope(|scope| {
        scope.spawn(|| link.carry(near, far, Way::There));
        link.carry(far, near, Way::Back);
    });
}

impl Link<'_> {
    /// Carries one direction to its end. That is the end of the other, too, where it was not an
    /// orderly one.
    fn carry(&self, mut from: &TcpStream, mut to: &TcpStream, way: Way) {
        drop((from.set_read_timeout(Some(BEAT)), to.set_nodelay(true)));
        let mut buffer = vec![0; CHUNK];
        let orderly = loop {
            if self.over.load(Ordering::SeqCst) || self.shared.ends(self.born) {
                break false;
            }
            let read = match from.read(&mut buffer) {
                Ok(0) => break true,
                Ok(read) => read,
                Err(error) if silent(error.kind()) => continue,
                Err(_) => break false,
            };
            let Some(admitted) = self.shared.admit(way, self.born, read as u64) else {
                break false;
            };
            let piece = usize::try_from(admitted).ok().and_then(|length| buffer.get(..length));
            let piece = piece.unwrap_or_default();
            // Counted first: who has read a byte finds it counted.
            self.shared.counter(way).fetch_add(admitted, Ordering::SeqCst);
            if !self.asked.swap(way == Way::There, Ordering::SeqCst) && way == Way::There {
                self.shared.turns.fetch_add(1, Ordering::SeqCst);
            }
            if to.write_all(piece).is_err() || piece.len() < read {
                break false;
            }
        };
        if orderly {
            drop(to.shutdown(Shutdown::Write));
        } else {
            self.over.store(true, Ordering::SeqCst);
            drop((from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)));
        }
    }
}

fn silent(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
