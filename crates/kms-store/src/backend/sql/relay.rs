//! TLS to a database by a verifier of our own, which the driver does not let in: the driver talks to
//! a socket of this process, and this module to the database.
//!
//! It knows as much of each protocol as it takes to begin TLS in it, and of `MySQL`'s what changes
//! once there is TLS. Everything after that it passes on unread. Without TLS there is a relay only to
//! show a password to `MySQL` where the driver would not.

use std::io;
use std::net::SocketAddr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as LocalAddr, UnixListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::connect::{Place, Refusal, unreachable};
use super::handshake::{self, CLIENT_SSL, Channel, Packet};
use super::tls::{self, Trust};
use crate::location::{Address, Password, Product};

/// How long the driver may take to come, and a failed relay to say why.
const MEET: Duration = Duration::from_secs(2);

/// A relay that waits for the driver.
pub(super) struct Relay {
    path: String,
    outcome: oneshot::Receiver<Refusal>,
}

impl Relay {
    /// Where the driver finds it: a name outside the file system.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Why it came to nothing, where the relay knows.
    pub(super) async fn why(self) -> Option<Refusal> {
        tokio::time::timeout(MEET, self.outcome).await.ok()?.ok()
    }
}

/// What the relay is to reach.
struct Target {
    product: Product,
    addresses: Vec<SocketAddr>,
    name: String,
    trust: Trust,
    password: Option<Password>,
}

/// Starts a relay for one connection of the driver.
pub(super) fn start(
    address: &Address,
    trust: &Trust,
    name: &str,
    addresses: &[SocketAddr],
) -> Result<Relay, Refusal> {
    let target = Target {
        product: address.product,
        addresses: addresses.to_vec(),
        name: name.to_owned(),
        trust: trust.clone(),
        password: address.password.clone(),
    };
    wait(move |driver| async move { run(driver, &target).await })
}

/// Starts a relay without TLS, for one connection of the driver to a `MySQL` that wants to see a
/// password.
pub(super) fn introduce(address: &Address, place: &Place) -> Result<Relay, Refusal> {
    let (place, password) = (place.clone(), address.password.clone());
    wait(move |driver| async move {
        let password = password.as_ref().map_or("", Password::expose);
        let lost = |error: io::Error| unreachable(&error);
        match place {
            Place::Tcp(address) => {
                let database = TcpStream::connect(address).await.map_err(lost)?;
                speak(driver, database, Channel::Open, password).await.map_err(lost)
            }
            Place::Socket(path) => {
                let database = UnixStream::connect(path).await.map_err(lost)?;
                speak(driver, database, Channel::Private, password).await.map_err(lost)
            }
        }
    })
}

/// Waits for the driver, in a task of its own, and does `then` with it.
fn wait<F: Future<Output = Result<(), Refusal>> + Send + 'static>(
    then: impl FnOnce(UnixStream) -> F + Send + 'static,
) -> Result<Relay, Refusal> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = format!("kms-{}-{number}/.s.PGSQL.1", std::process::id());
    let listener = listen(&path).map_err(|error| {
        Refusal::new(false, format!("the way to it cannot be made: {error}"), "try again")
    })?;
    let (tell, outcome) = oneshot::channel();
    drop(tokio::spawn(async move {
        let done = match meet(listener).await {
            Ok(driver) => then(driver).await,
            Err(error) => Err(unreachable(&error)),
        };
        if let Err(refusal) = done {
            drop(tell.send(refusal));
        }
    }));
    Ok(Relay { path: format!("\0{path}"), outcome })
}

fn listen(path: &str) -> io::Result<UnixListener> {
    let listener = StdListener::bind_addr(&LocalAddr::from_abstract_name(path)?)?;
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

async fn run(driver: UnixStream, target: &Target) -> Result<(), Refusal> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in &target.addresses {
        match TcpStream::connect(address).await {
            Ok(database) => {
                database.set_nodelay(true).map_err(|error| unreachable(&error))?;
                return match target.product {
                    Product::Postgres => postgres(driver, database, target).await,
                    Product::MySql => mysql(driver, database, target).await,
                };
            }
            Err(error) => last = error,
        }
    }
    Err(unreachable(&last))
}

/// Waits for the driver. The name is open to every user of the machine: nobody else is let in.
async fn meet(listener: UnixListener) -> io::Result<UnixStream> {
    let ours = async {
        loop {
            let (stream, _) = listener.accept().await?;
            let peer = stream.peer_cred()?;
            if peer.pid().is_some_and(|pid| pid.cast_unsigned() == std::process::id()) {
                return Ok(stream);
            }
            tracing::warn!(user = peer.uid(), "somebody else came to a database's relay");
        }
    };
    tokio::time::timeout(MEET, ours).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// The TLS handshake, in which host and certificate are verified.
async fn secure(database: TcpStream, target: &Target) -> Result<TlsStream<TcpStream>, Refusal> {
    let name = ServerName::try_from(target.name.clone()).map_err(|_not_a_name| {
        Refusal::new(false, "its name cannot be in a certificate", "use another name in the URL")
    })?;
    let connector = TlsConnector::from(Arc::clone(&target.trust.config));
    connector.connect(name, database).await.map_err(|error| broken(&error, target))
}

fn broken(error: &io::Error, target: &Target) -> Refusal {
    tls::refusal(error, &target.name).unwrap_or_else(|| unreachable(error))
}

/// Passes on all that comes, both ways, until one side ends.
async fn pass(
    mut driver: UnixStream,
    mut database: TlsStream<TcpStream>,
    target: &Target,
) -> Result<(), Refusal> {
    match tokio::io::copy_bidirectional(&mut driver, &mut database).await {
        Ok(_) => Ok(()),
        Err(error) => Err(broken(&error, target)),
    }
}

fn no_tls() -> Refusal {
    Refusal::new(
        false,
        "it offers no TLS",
        "set TLS up in the database; plain text must be asked for in the URL (sslmode=disable, or \
         ssl-mode=DISABLED)",
    )
}

async fn postgres(
    driver: UnixStream,
    mut database: TcpStream,
    target: &Target,
) -> Result<(), Refusal> {
    // A length of 8 and the number that asks for TLS.
    const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xD2, 0x16, 0x2F];
    let mut answer = [0];
    let asked = async {
        database.write_all(&SSL_REQUEST).await?;
        database.read_exact(&mut answer).await
    };
    asked.await.map_err(|error| unreachable(&error))?;
    if answer != *b"S" {
        return Err(no_tls());
    }
    let database = secure(database, target).await?;
    pass(driver, database, target).await
}

// MySQL.

/// The bytes of the driver's answer that are also what asks for TLS.
const SSL_REQUEST_LENGTH: usize = 32;

/// Passes the driver on to a database that is spoken to in the clear.
async fn speak(
    mut driver: UnixStream,
    mut database: impl AsyncRead + AsyncWrite + Unpin,
    channel: Channel,
    password: &str,
) -> io::Result<()> {
    let greeting = Packet::read(&mut database).await?;
    greeting.write(&mut driver).await?;
    if greeting.payload.first() == Some(&0xFF) {
        return Ok(());
    }
    Packet::read(&mut driver).await?.write(&mut database).await?;
    let (to_driver, to_database) = (&mut driver, &mut database);
    handshake::authenticate(to_driver, to_database, &greeting.payload, channel, password).await?;
    tokio::io::copy_bidirectional(&mut driver, &mut database).await.map(drop)
}

async fn mysql(
    mut driver: UnixStream,
    mut database: TcpStream,
    target: &Target,
) -> Result<(), Refusal> {
    let lost = |error: io::Error| unreachable(&error);
    let greeting = Packet::read(&mut database).await.map_err(lost)?;
    greeting.write(&mut driver).await.map_err(lost)?;
    // The server may have said no at once; the driver knows how to read that.
    if greeting.payload.first() == Some(&0xFF) {
        return Ok(());
    }
    if !handshake::offers_tls(&greeting.payload) {
        return Err(no_tls());
    }
    let mut answer = Packet::read(&mut driver).await.map_err(lost)?;
    if let Some(flags) = answer.payload.get_mut(1) {
        *flags |= CLIENT_SSL;
    }
    // The database takes the capabilities from what asks for TLS, which is the answer's beginning.
    let request = answer.payload.get(..SSL_REQUEST_LENGTH).unwrap_or_default().to_vec();
    let request = Packet { number: answer.number, payload: request.into() };
    request.write(&mut database).await.map_err(lost)?;
    let mut database = secure(database, target).await?;
    answer.number = answer.number.wrapping_add(1);
    let broken = |error: io::Error| broken(&error, target);
    answer.write(&mut database).await.map_err(broken)?;
    let password = target.password.as_ref().map_or("", Password::expose);
    let (to_driver, to_database) = (&mut driver, &mut database);
    handshake::authenticate(to_driver, to_database, &greeting.payload, Channel::Private, password)
        .await
        .map_err(broken)?;
    pass(driver, database, target).await
}
