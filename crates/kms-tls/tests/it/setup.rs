//! What the tests share: a clock that is set, an authority that is asked through something that sees
//! and can answer itself, and handshakes without a network.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kms_outbound::{Caller, Request, Trust};
use kms_testkit::pebble::{Options, Pebble};
use kms_tls::{
    Clients, Clock, End, MinVersion, Outbound, Reply, Resolver, Responder, Sending, Server,
    Settings, Source, StartError, Started, Status, Transport, Waiting, World,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use tempfile::TempDir;
use tokio::sync::watch;

pub(crate) const DOMAIN: &str = "kms.example.org";
pub(crate) const DAY_S: i64 = 86_400;
/// Longer than anything that is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// A clock that stands until it is set.
pub(crate) struct StandingClock(watch::Sender<i64>);

impl StandingClock {
    pub(crate) fn new() -> Arc<Self> {
        #[expect(clippy::disallowed_methods, reason = "certificates are made by the real time")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        Arc::new(Self(watch::Sender::new(i64::try_from(now).unwrap())))
    }

    pub(crate) fn set(&self, now: i64) {
        self.0.send_replace(now);
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.0.send_modify(|now| *now += seconds);
    }
}

impl Clock for StandingClock {
    fn now(&self) -> i64 {
        *self.0.borrow()
    }

    fn until(&self, at: i64) -> Waiting<'_> {
        let mut seen = self.0.subscribe();
        Box::pin(async move {
            seen.wait_for(|now| *now >= at).await.unwrap();
        })
    }
}

type Answering = Box<dyn Fn(&str, &Request) -> Option<Reply> + Send + Sync>;

/// What stands between us and the authority.
pub(crate) struct Between {
    outbound: Outbound,
    asked: Mutex<Vec<String>>,
    answering: Mutex<Option<Answering>>,
}

impl Between {
    /// How many requests had this in their URL.
    pub(crate) fn asked(&self, part: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|url| url.contains(part)).count()
    }

    /// Answers in the authority's place from now on, where this does.
    pub(crate) fn answer(
        &self,
        answering: impl Fn(&str, &Request) -> Option<Reply> + Send + Sync + 'static,
    ) {
        *self.answering.lock().unwrap() = Some(Box::new(answering));
    }
}

impl Transport for Between {
    fn send<'a>(&'a self, url: &'a str, what: Request) -> Sending<'a> {
        self.asked.lock().unwrap().push(url.to_owned());
        let answering = self.answering.lock().unwrap();
        match answering.as_ref().and_then(|answering| answering(url, &what)) {
            Some(reply) => Box::pin(async move { Ok(reply) }),
            None => self.outbound.send(url, what),
        }
    }
}

/// A problem of an authority.
pub(crate) fn problem(status: u16, name: &str, headers: &[(&str, &str)]) -> Reply {
    let body = format!(r#"{{"type":"urn:ietf:params:acme:error:{name}","detail":"so it is"}}"#);
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Reply { status, headers: headers.iter().map(own).collect(), body: body.into_bytes() }
}

/// A server to be, with an authority.
pub(crate) struct Setup {
    pub(crate) pebble: Pebble,
    pub(crate) directory: TempDir,
    pub(crate) clock: Arc<StandingClock>,
    pub(crate) between: Arc<Between>,
    pub(crate) domain: &'static str,
    pub(crate) stop_on_renewal_error: bool,
    pub(crate) external: Option<(&'static str, &'static [u8])>,
}

impl Setup {
    pub(crate) fn new(options: Options) -> Self {
        let pebble = Pebble::start_with(options);
        let directory = TempDir::new().unwrap();
        std::fs::create_dir(directory.path().join("keys")).unwrap();
        let trust = Trust::with_file(&pebble.trusted()).unwrap();
        let caller = Caller::new(trust, false).within(Duration::from_secs(5));
        let between = Arc::new(Between {
            outbound: Outbound(caller),
            asked: Mutex::default(),
            answering: Mutex::default(),
        });
        Self {
            pebble,
            directory,
            clock: StandingClock::new(),
            between,
            domain: DOMAIN,
            stop_on_renewal_error: false,
            external: None,
        }
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.directory.path().join("keys")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.keys().join(name)
    }

    /// The state that is kept.
    pub(crate) fn kept(&self) -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(self.file("acme.json")).unwrap()).unwrap()
    }

    pub(crate) fn challenges(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.pebble.http_port()))
    }

    pub(crate) async fn responder(&self) -> Responder {
        let root = self.directory.path().join("http");
        let bind = async {
            loop {
                match Responder::bind(self.challenges(), &root) {
                    Ok(responder) => return responder,
                    // That of the start before is about to go.
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        tokio::time::timeout(PATIENCE, bind).await.unwrap()
    }

    pub(crate) fn world(&self) -> World {
        let transport = Arc::<Between>::clone(&self.between);
        World {
            clock: Arc::<StandingClock>::clone(&self.clock),
            // The middle: pauses are exact.
            chance: Arc::new(|| 500_000),
            ..World::system(transport)
        }
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            directory: self.pebble.url(),
            domain: self.domain.to_owned(),
            email: Some("operator@example.org".to_owned()),
            external: self.external.map(|(id, key)| kms_tls::ExternalAccount {
                id: id.to_owned(),
                key: kms_crypto::Secret::from(key),
            }),
            keys: self.keys(),
            threshold_days: 15,
            stop_on_renewal_error: self.stop_on_renewal_error,
        }
    }

    /// Starts, on the socket of the authority's choice.
    pub(crate) async fn start(&self) -> Result<Started, StartError> {
        self.start_with(self.responder().await, self.world()).await
    }

    pub(crate) async fn start_with(
        &self,
        responder: Responder,
        world: World,
    ) -> Result<Started, StartError> {
        let source = Source::Acme(Box::new(self.settings()), responder);
        tokio::time::timeout(PATIENCE, source.start(world)).await.unwrap()
    }

    /// Where nobody answers challenges: a socket that the authority does not look at.
    pub(crate) fn deaf(&self) -> Responder {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        Responder::on(listener, &self.directory.path().join("http")).unwrap()
    }
}

/// The first certificate that is served.
pub(crate) fn leaf(resolver: &Resolver) -> CertificateDer<'static> {
    resolver.current().unwrap().cert[0].clone()
}

/// Waits until the status is as wanted.
pub(crate) async fn until(
    status: &mut watch::Receiver<Status>,
    wanted: impl Fn(&Status) -> bool,
) -> Status {
    let seen = tokio::time::timeout(PATIENCE, status.wait_for(|status| wanted(status))).await;
    seen.expect("in time").unwrap().clone()
}

pub(crate) async fn ended(task: tokio::task::JoinHandle<End>) -> End {
    tokio::time::timeout(PATIENCE, task).await.expect("in time").unwrap()
}

pub(crate) fn server(started: &Started) -> Server {
    Server::new(Arc::clone(&started.resolver), MinVersion::Tls12, &Clients::Anybody).unwrap()
}

/// A client that believes these roots, in PEM.
pub(crate) fn client(roots: &[&str]) -> ClientConfig {
    client_as(roots, None)
}

pub(crate) fn client_as(roots: &[&str], own: Option<&kms_testkit::tls::Identity>) -> ClientConfig {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(CertificateDer::from_pem_slice(root.as_bytes()).unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::CryptoProvider {
        // As browsers do: the first one is what they send a share for.
        kx_groups: vec![
            rustls::crypto::aws_lc_rs::kx_group::X25519MLKEM768,
            rustls::crypto::aws_lc_rs::kx_group::X25519,
        ],
        ..rustls::crypto::aws_lc_rs::default_provider()
    });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(store);
    match own {
        None => config.with_no_client_auth(),
        Some(own) => config
            .with_client_auth_cert(vec![own.certificate.clone()], own.key.clone_key())
            .unwrap(),
    }
}

/// A connection between two ends in one process.
pub(crate) struct Pair {
    pub(crate) client: ClientConnection,
    pub(crate) server: ServerConnection,
}

impl Pair {
    /// Shakes hands; why not, if not.
    pub(crate) fn open(
        server: Arc<ServerConfig>,
        client: &Arc<ClientConfig>,
        name: &'static str,
    ) -> Result<Self, String> {
        let name = ServerName::try_from(name).unwrap();
        let client = ClientConnection::new(Arc::clone(client), name).unwrap();
        let mut pair = Self { client, server: ServerConnection::new(server).unwrap() };
        pair.carry()?;
        assert!(!pair.client.is_handshaking() && !pair.server.is_handshaking());
        Ok(pair)
    }

    /// Carries everything that one end has for the other.
    fn carry(&mut self) -> Result<(), String> {
        loop {
            let mut there = Vec::new();
            while self.client.wants_write() {
                self.client.write_tls(&mut there).unwrap();
            }
            let mut left = &there[..];
            while !left.is_empty() {
                self.server.read_tls(&mut left).unwrap();
                self.server.process_new_packets().map_err(|error| format!("server: {error}"))?;
            }
            let mut back = Vec::new();
            while self.server.wants_write() {
                self.server.write_tls(&mut back).unwrap();
            }
            if there.is_empty() && back.is_empty() {
                return Ok(());
            }
            let mut left = &back[..];
            while !left.is_empty() {
                self.client.read_tls(&mut left).unwrap();
                self.client.process_new_packets().map_err(|error| format!("client: {error}"))?;
            }
        }
    }

    /// Says something over the connection as it is.
    pub(crate) fn say(&mut self, text: &str) {
        use std::io::{Read, Write};
        self.client.writer().write_all(text.as_bytes()).unwrap();
        self.carry().unwrap();
        let mut heard = vec![0; text.len()];
        self.server.reader().read_exact(&mut heard).unwrap();
        assert_eq!(heard, text.as_bytes());
    }
}
