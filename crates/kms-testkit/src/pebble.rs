//! A real authority that speaks ACME, as a process: Let's Encrypt's `pebble`, with
//! `pebble-challtestsrv`, to which every name is this machine. `cargo xtask setup` installs them.
//!
//! It looks at challenges on a port of the test's ([`Pebble::http_port`]), and is asked through a
//! proxy that can be down, slow or silent ([`Pebble::proxy`]).

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;
use tempfile::TempDir;

use crate::certificates::Authority;
use crate::http::Connection;
use crate::proxy::Proxy;
use crate::server::{follow, pause};

/// How long it may take to start: it makes RSA keys.
const PATIENCE: Duration = Duration::from_mins(1);

/// How it behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many of a hundred good nonces it refuses.
    pub nonces_refused: u8,
    /// For how long its certificates are good, in seconds.
    pub validity_s: u64,
    /// Whether a name that was validated once is believed.
    pub reuses: bool,
    /// The external account that it wants: the key's name, and the key in base64url.
    pub external: Option<(&'static str, &'static str)>,
    /// A name for which it gives no certificates.
    pub blocked: &'static str,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nonces_refused: 5,
            validity_s: 90 * 86_400,
            reuses: false,
            external: None,
            blocked: "blocked.example",
        }
    }
}

/// An authority that runs. It ends when this is dropped, or when the test does.
#[derive(Debug)]
pub struct Pebble {
    directory: TempDir,
    ports: Ports,
    options: Options,
    proxy: Proxy,
    authority: Option<Guarded>,
    /// Held for what it does when it goes.
    _names: Guarded,
}

/// Where everything listens.
#[derive(Clone, Copy, Debug)]
struct Ports {
    api: u16,
    management: u16,
    http: u16,
    tls: u16,
    dns: u16,
    names: u16,
}

impl Pebble {
    /// Starts one that behaves as authorities do.
    pub fn start() -> Self {
        Self::start_with(Options::default())
    }

    /// Starts one.
    pub fn start_with(options: Options) -> Self {
        let directory = TempDir::new().unwrap_or_else(|error| panic!("no directory: {error}"));
        let [api, management, http, tls, dns, names] = free_ports();
        let ports = Ports { api, management, http, tls, dns, names };
        write_certificates(directory.path());
        let names = start_names(ports);
        let proxy = Proxy::to(address(ports.api));
        let mut pebble = Self { directory, ports, options, proxy, authority: None, _names: names };
        pebble.start_again();
        pebble
    }

    /// Starts it again where it was. It has forgotten everything, and has another root.
    pub fn start_again(&mut self) {
        self.stop();
        let path = self.directory.path().join("pebble.json");
        std::fs::write(&path, self.config()).unwrap_or_else(|error| panic!("{error}"));
        let dns = format!("127.0.0.1:{}", self.ports.dns);
        let mut command = Command::new("pebble");
        command
            .args(["-config", "pebble.json", "-strict", "-dnsserver", &dns])
            .current_dir(self.directory.path())
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_WFE_NONCEREJECT", self.options.nonces_refused.to_string())
            .env("PEBBLE_AUTHZREUSE", if self.options.reuses { "100" } else { "0" });
        let authority = Guarded::start(&command);
        for port in [self.ports.api, self.ports.management] {
            authority.wait_for(address(port));
        }
        self.authority = Some(authority);
    }

    /// The same with other manners.
    pub fn start_again_with(&mut self, options: Options) {
        self.options = options;
        self.start_again();
    }

    /// Ends it: nobody listens there any more.
    pub fn stop(&mut self) {
        self.authority = None;
    }

    /// The URL of its directory.
    pub fn url(&self) -> String {
        format!("https://{}/dir", self.proxy.address())
    }

    /// What stands between it and whoever asks it.
    pub fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// The file with the certificate of the authority that vouches for [`Pebble::url`].
    pub fn trusted(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// The port of 127.0.0.1 that it looks at for challenges, whatever the name.
    pub fn http_port(&self) -> u16 {
        self.ports.http
    }

    /// The root of the certificates that it gives, in PEM.
    pub fn root(&self) -> String {
        let trusted = std::fs::read_to_string(self.trusted());
        let trusted = trusted.unwrap_or_else(|error| panic!("{error}"));
        let asked = get_https(address(self.ports.management), "localhost", &trusted, "/roots/0");
        let (_, answer) = asked.unwrap_or_else(|error| panic!("the authority's root: {error}"));
        answer
    }

    /// From now on the authority cannot resolve this name.
    pub fn lose_name(&self, name: &str) {
        let body = json!({ "host": name }).to_string();
        let mut names = Connection::open(address(self.ports.names));
        let answer = names.post("/set-servfail", "application/json", body.as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// From now on it can again.
    pub fn find_name(&self, name: &str) {
        let body = json!({ "host": name }).to_string();
        let mut names = Connection::open(address(self.ports.names));
        let answer = names.post("/clear-servfail", "application/json", body.as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// What it has said since it was started last.
    pub fn log(&self) -> String {
        self.authority.as_ref().map(Guarded::log).unwrap_or_default()
    }

    fn config(&self) -> String {
        let Ports { api, management, http, tls, .. } = self.ports;
        let mut config = json!({
            "listenAddress": format!("127.0.0.1:{api}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": "api.pem",
            "privateKey": "api.key",
            "httpPort": http,
            "tlsPort": tls,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": self.options.external.is_some(),
            "certificateValidityPeriod": self.options.validity_s,
            "domainBlocklist": [self.options.blocked],
        });
        if let (Some((id, key)), Some(config)) = (self.options.external, config.as_object_mut()) {
            config.insert("externalAccountMACKeys".to_owned(), json!({ id: key }));
        }
        json!({ "pebble": config }).to_string()
    }
}

fn start_names(ports: Ports) -> Guarded {
    // The option has had two names.
    let help = Command::new("pebble-challtestsrv").arg("-help").output();
    let help = help.unwrap_or_else(|error| missing(&error));
    let help = String::from_utf8_lossy(&[help.stdout, help.stderr].concat()).into_owned();
    let dns = if help.contains("-dnsserver") { "-dnsserver" } else { "-dns01" };
    let mut command = Command::new("pebble-challtestsrv");
    command
        .args(["-http01", "", "-https01", "", "-tlsalpn01", ""])
        .args([dns, &format!("127.0.0.1:{}", ports.dns)])
        .args(["-management", &format!("127.0.0.1:{}", ports.names)])
        .args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""]);
    if help.contains("-doh ") {
        command.args(["-doh", ""]);
    }
    let names = Guarded::start(&command);
    names.wait_for(address(ports.names));
    names
}

fn write_certificates(directory: &Path) {
    let authority = Authority::new("the API of the tests' authority");
    let server = authority.server();
    for (name, text) in
        [("ca.pem", authority.pem()), ("api.pem", server.certificate), ("api.key", server.key)]
    {
        std::fs::write(directory.join(name), text).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// A process that ends with us, however we end.
#[derive(Debug)]
struct Guarded {
    shell: Child,
    log: Arc<Mutex<String>>,
}

/// What runs a program until its own input ends, which we hold.
const GUARD: &str = r#"
"$@" </dev/null 2>&1 &
process=$!
read -r line
kill -KILL $process
wait $process
"#;

impl Guarded {
    fn start(command: &Command) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", GUARD, "guard"]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            shell.env(name, value.unwrap_or_default());
        }
        if let Some(directory) = command.get_current_dir() {
            shell.current_dir(directory);
        }
        let shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut shell = shell.spawn().unwrap_or_else(|error| panic!("sh: {error}"));
        let log = Arc::new(Mutex::new(String::new()));
        follow(shell.stdout.take(), Arc::clone(&log), |_| {});
        Self { shell, log }
    }

    fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn wait_for(&self, address: SocketAddr) {
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < end, "{address}: {} (cargo xtask setup)", self.log());
            if self.log().contains("not found") {
                missing(&io::Error::other(self.log()));
            }
            pause();
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // Nothing is left to do about one that cannot be waited for.
        drop(self.shell.wait());
    }
}

fn missing(error: &io::Error) -> ! {
    panic!("pebble is not installed: {error}; run: cargo xtask setup")
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Ports that were free a moment ago.
pub fn free_ports<const N: usize>() -> [u16; N] {
    // All are held until the last one is found, so that none is found twice.
    let listeners = [(); N].map(|()| {
        TcpListener::bind(("127.0.0.1", 0)).unwrap_or_else(|error| panic!("no port: {error}"))
    });
    listeners.map(|listener| match listener.local_addr() {
        Ok(address) => address.port(),
        Err(error) => panic!("{error}"),
    })
}

/// `GET path` over TLS from a host of this name that a root, in PEM, vouches for: the certificate that
/// it showed, and the body of the answer.
pub fn get_https(
    address: SocketAddr,
    name: &str,
    root: &str,
    path: &str,
) -> Result<(CertificateDer<'static>, String), String> {
    let mut roots = RootCertStore::empty();
    let root =
        CertificateDer::from_pem_slice(root.as_bytes()).map_err(|error| error.to_string())?;
    roots.add(root).map_err(|error| error.to_string())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let host = ServerName::try_from(name.to_owned()).map_err(|error| error.to_string())?;
    let client =
        ClientConnection::new(Arc::new(config), host).map_err(|error| error.to_string())?;
    let stream = TcpStream::connect(address).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(|error| error.to_string())?;
    let mut stream = StreamOwned::new(client, stream);
    let request = format!("GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|error| error.to_string())?;
    let shown = stream.conn.peer_certificates().and_then(|chain| chain.first()).cloned();
    let shown = shown.ok_or("no certificate")?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    Ok((shown.into_owned(), body.ok_or("no answer")?))
}
