//! A server, from the first byte it can take to the last it gives back.
//!
//! Accepts connections, hands each to a lane, keeps time, and ends in order. Knows no option and
//! no route.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::service::service_fn;
use kms_config::Config;
use kms_config::exit::Exit;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::{AbortHandle, JoinHandle};

use crate::app::App;
use crate::compose::{self, StartError};
use crate::connection::Connection;
use crate::http::{self, Link};
use crate::lanes::Lanes;
use crate::report::Report;
use crate::resealing::Resealing;

/// How long accepting waits when the system has no room for another connection.
const BREATH: Duration = Duration::from_millis(100);
/// How often the states that the clock has changed are caught up in the database.
const CATCH_UP: Duration = Duration::from_mins(1);
/// How often the database learns how far the audit log is.
const KEEP_AUDIT: Duration = Duration::from_secs(1);
/// How often the database is asked which data keys are in use.
const KEEP_KEYRING: Duration = Duration::from_secs(1);

/// A server that is running. Tests hold one; so does the program.
pub struct Server {
    app: Arc<App>,
    address: SocketAddr,
    report: Report,
    accepting: JoinHandle<Lanes>,
    stop: oneshot::Sender<()>,
    keeping: Vec<AbortHandle>,
    resealing: Resealing,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    /// Opens the database, takes the address and begins to answer. What accepts connections runs
    /// on the caller's runtime, and what answers them on threads of the server's own.
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        let lanes = std::thread::available_parallelism().map_or(1, usize::from);
        let lanes = Lanes::start(lanes)
            .map_err(|error| StartError::new(Exit::Failure, format!("no thread: {error}")))?;
        // The database first: a second server on it should hear of that, not of the port.
        let app = Arc::new(compose::app(config).await?);
        let listener = bind(config.hostname.as_str(), *config.port).await?;
        let address = listener
            .local_addr()
            .map_err(|error| StartError::new(Exit::Configuration, error.to_string()))?;
        let report = compose::report(config, &app, address);
        let (stop, stopped) = oneshot::channel();
        let mut keeping = vec![
            tokio::spawn(keep_time(Arc::clone(&app))).abort_handle(),
            tokio::spawn(catch_up(Arc::clone(&app))).abort_handle(),
            tokio::spawn(keep_audit(Arc::clone(&app))).abort_handle(),
            tokio::spawn(keep_keyring(Arc::clone(&app))).abort_handle(),
        ];
        for provider in &app.authorities.providers {
            keeping.push(tokio::spawn(Arc::clone(provider).keep()).abort_handle());
        }
        let accepting = tokio::spawn(accept(listener, Arc::clone(&app), lanes, stopped));
        let resealing = Resealing::start(Arc::clone(&app))
            .map_err(|error| StartError::new(Exit::Failure, format!("no thread: {error}")))?;
        Ok(Self { app, address, report, accepting, stop, keeping, resealing })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it says of itself at the start.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Ends it: nothing new is accepted, running requests end, the database is let go. Returns
    /// whether everything ended by itself within its time.
    pub async fn stop(self) -> bool {
        let Self { app, accepting, stop, keeping, resealing, .. } = self;
        drop(stop);
        let lanes = accepting.await;
        let emptied = app.registry.drain().await;
        for task in keeping {
            task.abort();
        }
        if let Ok(lanes) = lanes {
            // Waiting for threads would hold up the caller's runtime.
            drop(tokio::task::spawn_blocking(move || lanes.end()).await);
        }
        drop(tokio::task::spawn_blocking(move || resealing.end()).await);
        let recorded = app.service.close_audit().await;
        if let Err(error) = &recorded {
            tracing::error!(%error, "the audit log was not ended in order");
        }
        if let Err(error) = app.store.close().await {
            tracing::error!(%error, "the database was not closed in order");
            return false;
        }
        emptied && recorded.is_ok()
    }
}

async fn bind(host: &str, port: u16) -> Result<TcpListener, StartError> {
    let error = |error: io::Error| {
        let next = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "another program listens there; stop it, or choose another port with --port"
            }
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 need privileges; choose another with --port"
            }
            io::ErrorKind::AddrNotAvailable => {
                "this machine has no such address; choose another with --hostname"
            }
            _ => "check --hostname and --port",
        };
        let text = format!("cannot listen on {host} port {port}: {error}; {next}");
        StartError::new(Exit::Configuration, text)
    };
    TcpListener::bind((host, port)).await.map_err(error)
}

/// Accepts until it is told to stop, and gives the lanes back.
async fn accept(
    listener: TcpListener,
    app: Arc<App>,
    lanes: Lanes,
    mut stopped: oneshot::Receiver<()>,
) -> Lanes {
    let places = Arc::new(Semaphore::new(app.limits.connections));
    let router = http::router();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = &mut stopped => return lanes,
            accepted = async {
                let place = Arc::clone(&places).acquire_owned().await;
                (place, listener.accept().await)
            } => accepted,
        };
        match accepted {
            (Ok(place), Ok(accepted)) => {
                if let Err(error) = hand_over(&app, &lanes, &router, accepted, place) {
                    tracing::debug!(%error, "a connection was lost before its first request");
                }
            }
            (_, Err(error)) => {
                // Too many open files, or no memory: what is open goes on, and will make room.
                tracing::warn!(%error, "no connection can be accepted now");
                tokio::time::sleep(BREATH).await;
            }
            // The semaphore is never closed.
            (Err(_), _) => return lanes,
        }
    }
}

/// Moves a connection to the lane with the fewest, which answers it from then on.
fn hand_over(
    app: &Arc<App>,
    lanes: &Lanes,
    router: &Router,
    (stream, peer): (TcpStream, SocketAddr),
    place: OwnedSemaphorePermit,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let stream = stream.into_std()?;
    let admitted = app.registry.admit();
    let watch = Arc::clone(&admitted.watch);
    let link = Link::new(Arc::clone(app), router.clone(), peer, watch);
    let service = service_fn(move |request| {
        let link = link.clone();
        async move { Ok::<_, Infallible>(link.respond(request).await) }
    });
    let Some((lane, lane_place)) = lanes.take() else { return Ok(()) };
    drop(lane.spawn(async move {
        // The lane's own runtime watches the socket.
        match TcpStream::from_std(stream) {
            Ok(stream) => Connection::new(stream, admitted, service).await,
            Err(error) => tracing::debug!(%error, "a connection was lost"),
        }
        drop((place, lane_place));
    }));
    Ok(())
}

/// The clock of the connections.
async fn keep_time(app: Arc<App>) -> ! {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        second.tick().await;
        app.registry.tick();
    }
}

async fn keep_audit(app: Arc<App>) -> ! {
    let mut second = tokio::time::interval(KEEP_AUDIT);
    second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        second.tick().await;
        if let Err(error) = app.service.keep_audit().await {
            tracing::warn!(%error, "the database does not know how far the audit log is");
        }
    }
}

async fn keep_keyring(app: Arc<App>) -> ! {
    let mut second = tokio::time::interval(KEEP_KEYRING);
    second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        second.tick().await;
        if let Err(error) = app.service.keep_keyring().await {
            tracing::debug!(%error, "the keyring could not be read");
        }
    }
}

async fn catch_up(app: Arc<App>) -> ! {
    let mut minute = tokio::time::interval(CATCH_UP);
    loop {
        minute.tick().await;
        loop {
            match app.service.catch_up().await {
                Ok(true) => tokio::task::yield_now().await,
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(%error, "states were not caught up; the next try is in a minute");
                    break;
                }
            }
        }
    }
}
