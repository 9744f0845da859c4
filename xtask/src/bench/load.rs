//! The load: keep-alive connections, one thread each, that send prepared bytes and wait.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::http::Connection;
use crate::server::{Server, Usage};

/// The most latencies that one connection keeps.
const LATENCIES_MAX: usize = 4_000_000;

/// What a measurement gave.
#[derive(Clone, Default)]
pub(crate) struct Measured {
    pub(crate) requests: u64,
    pub(crate) seconds: f64,
    pub(crate) usage: Usage,
    /// Sorted, in microseconds.
    latencies: Vec<f32>,
}

impl Measured {
    /// Requests a second.
    pub(crate) fn rate(&self) -> f64 {
        count(self.requests) / self.seconds
    }

    /// Microseconds of the server's processor a request.
    pub(crate) fn cpu(&self) -> f64 {
        (self.usage.user + self.usage.system) * 1e6 / count(self.requests).max(1.0)
    }

    /// Of which in the kernel.
    pub(crate) fn system(&self) -> f64 {
        self.usage.system * 1e6 / count(self.requests).max(1.0)
    }

    /// The latency below which this share of the requests stayed, in microseconds.
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of a length that fits"
        )]
        let at = (share * self.latencies.len() as f64) as usize;
        f64::from(self.latencies.get(at).or(self.latencies.last()).copied().unwrap_or_default())
    }

    /// Adds another measurement of the same work.
    pub(crate) fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.seconds += other.seconds;
        self.usage.user += other.usage.user;
        self.usage.system += other.usage.system;
        self.latencies.extend(other.latencies);
        self.latencies.sort_unstable_by(f32::total_cmp);
    }
}

/// How the load is shaped.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) connections: usize,
    pub(crate) slice: Duration,
    /// Requests a second over all connections; `None`: as fast as answers come.
    pub(crate) rate: Option<f64>,
}

/// Sends `requests` in turn, each connection from its own place in the list, and measures.
pub(crate) fn run(server: &Server, requests: &[Vec<u8>], shape: Shape) -> Result<Measured> {
    warm(server.address, requests)?;
    measure(server, shape, 200, |number| {
        requests.iter().cycle().skip(number * 7 % requests.len().max(1))
    })
}

/// Sends each of `requests` once at most, over all connections together, and measures; each must be
/// answered with `status`.
pub(crate) fn once(
    server: &Server,
    requests: &[Vec<u8>],
    shape: Shape,
    status: u16,
) -> Result<Measured> {
    measure(server, shape, status, |number| requests.iter().skip(number).step_by(shape.connections))
}

/// What each connection sends is `list` of its number.
fn measure<'a, L: Iterator<Item = &'a Vec<u8>> + Send>(
    server: &Server,
    shape: Shape,
    status: u16,
    list: impl Fn(usize) -> L,
) -> Result<Measured> {
    let stop = AtomicBool::new(false);
    let mut measured = Measured::default();
    std::thread::scope(|scope| -> Result<()> {
        let mut threads = Vec::new();
        for number in 0..shape.connections {
            let mut connection = Connection::open(server.address)?;
            let (stop, list) = (&stop, list(number));
            threads.push(scope.spawn(move || drive(&mut connection, list, &shape, status, stop)));
        }
        let before = server.usage()?;
        let begun = Instant::now();
        std::thread::sleep(shape.slice);
        let after = server.usage()?;
        measured.seconds = begun.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        measured.usage =
            Usage { user: after.user - before.user, system: after.system - before.system };
        for thread in threads {
            let latencies = match thread.join() {
                Ok(latencies) => latencies?,
                Err(_) => bail!("a connection's thread panicked"),
            };
            measured.latencies.extend(latencies);
        }
        Ok(())
    })?;
    measured.requests = u64::try_from(measured.latencies.len())?;
    measured.latencies.sort_unstable_by(f32::total_cmp);
    Ok(measured)
}

/// One exchange of each request before the clock starts: a wrong request is found at once.
fn warm(address: SocketAddr, requests: &[Vec<u8>]) -> Result<()> {
    let mut connection = Connection::open(address)?;
    for request in requests.iter().take(64) {
        let answer = connection.exchange(request)?;
        if answer.status != 200 {
            bail!("answered {}: {}", answer.status, String::from_utf8_lossy(answer.body));
        }
    }
    Ok(())
}

fn drive<'a>(
    connection: &mut Connection,
    requests: impl Iterator<Item = &'a Vec<u8>>,
    shape: &Shape,
    status: u16,
    stop: &AtomicBool,
) -> Result<Vec<f32>> {
    let mut latencies = Vec::with_capacity(1 << 16);
    let connections = u32::try_from(shape.connections)?;
    let pace = shape.rate.map(|rate| Duration::from_secs_f64(f64::from(connections) / rate));
    let mut due = Instant::now();
    for request in requests {
        if stop.load(Ordering::Relaxed) || latencies.len() >= LATENCIES_MAX {
            break;
        }
        if let Some(pace) = pace {
            due += pace;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        // Under a given rate a late request counts from when it was due, not from when it left.
        let begun = if pace.is_some() { due } else { Instant::now() };
        let answer = connection.exchange(request).context("under load")?;
        if answer.status != status {
            bail!("answered {} under load", answer.status);
        }
        #[expect(clippy::cast_possible_truncation, reason = "a latency needs no more digits")]
        latencies.push((begun.elapsed().as_secs_f64() * 1e6) as f32);
    }
    Ok(latencies)
}

/// A count as a number to calculate with.
pub(crate) fn count(number: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    {
        number as f64
    }
}
