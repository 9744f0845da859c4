//! A TLS of the tests' own: authorities, certificates of all kinds, and handshakes over real sockets.
//!
//! Knows no server of ours; who judges the client's certificate is the test's to say.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::danger::ClientCertVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

/// How long one end waits for the other.
const PATIENCE: Duration = Duration::from_secs(30);
/// The object identifiers of two parts of a name, for a part that is there more than once.
const COMMON_NAME: &[u64] = &[2, 5, 4, 3];
const EMAIL: &[u64] = &[1, 2, 840, 113_549, 1, 9, 1];

/// What stands in a client's certificate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Names<'a> {
    /// The common names of the subject, at most two.
    pub common: &'a [&'a str],
    /// The e-mail address of the subject.
    pub subject_email: Option<&'a str>,
    /// The e-mail addresses of the subject alternative name.
    pub emails: &'a [&'a str],
    /// The DNS names of the subject alternative name.
    pub hosts: &'a [&'a str],
    /// The URIs of the subject alternative name.
    pub uris: &'a [&'a str],
}

/// When a certificate is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Now.
    Now,
    /// In a year that is over.
    Over,
    /// In a year to come.
    ToCome,
}

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Clients.
    Client,
    /// Servers.
    Server,
}

/// A certificate and its key.
#[derive(Debug)]
pub struct Identity {
    /// The certificate, in DER.
    pub certificate: CertificateDer<'static>,
    /// Its key.
    pub key: PrivateKeyDer<'static>,
}

/// Somebody who issues certificates.
pub struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

fn some<T, E: std::fmt::Display>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

impl Authority {
    /// An authority of this name.
    pub fn new(name: &str) -> Self {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = DistinguishedName::new();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = some(KeyPair::generate());
        let certificate = some(parameters.self_signed(&key));
        Self { certificate, issuer: Issuer::new(parameters, key) }
    }

    /// Its certificate, as files have it.
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// Writes its certificate into a file.
    pub fn write(&self, path: &Path) {
        some(std::fs::write(path, self.pem()));
    }

    /// A client's certificate that is good now.
    pub fn client(&self, names: Names<'_>) -> Identity {
        self.issue(names, Validity::Now, Purpose::Client)
    }

    /// A certificate.
    pub fn issue(&self, names: Names<'_>, validity: Validity, purpose: Purpose) -> Identity {
        let mut parameters = CertificateParams::default();
        let (from, to) = match validity {
            Validity::Now => (1975, 4096),
            Validity::Over => (1999, 2000),
            Validity::ToCome => (4000, 4001),
        };
        parameters.not_before = date_time_ymd(from, 1, 1);
        parameters.not_after = date_time_ymd(to, 1, 1);
        let mut subject = DistinguishedName::new();
        // One kind can be pushed once; by number it is another kind to rcgen.
        let kinds = [DnType::CommonName, DnType::CustomDnType(COMMON_NAME.to_vec())];
        assert!(names.common.len() <= kinds.len(), "so many common names cannot be written");
        for (kind, name) in kinds.into_iter().zip(names.common) {
            subject.push(kind, *name);
        }
        if let Some(address) = names.subject_email {
            subject.push(DnType::CustomDnType(EMAIL.to_vec()), address);
        }
        parameters.distinguished_name = subject;
        let text = |text: &&str| some(Ia5String::try_from(*text));
        let emails = names.emails.iter().map(text).map(SanType::Rfc822Name);
        let hosts = names.hosts.iter().map(text).map(SanType::DnsName);
        let uris = names.uris.iter().map(text).map(SanType::URI);
        parameters.subject_alt_names = emails.chain(hosts).chain(uris).collect();
        parameters.extended_key_usages = vec![match purpose {
            Purpose::Client => ExtendedKeyUsagePurpose::ClientAuth,
            Purpose::Server => ExtendedKeyUsagePurpose::ServerAuth,
        }];
        let key = some(KeyPair::generate());
        let certificate = some(parameters.signed_by(&key, &self.issuer));
        let key =
            PrivateKeyDer::try_from(key.serialize_der()).unwrap_or_else(|why| panic!("{why}"));
        Identity { certificate: certificate.der().clone(), key }
    }
}

/// Lets a client call a server that judges clients by `judge`, over a socket of this machine. Returns
/// the client's certificate as the server has verified it (none if none was sent), or why the server
/// has refused.
pub fn handshake(
    judge: Arc<dyn ClientCertVerifier>,
    client: Option<&Identity>,
) -> Result<Option<Vec<u8>>, String> {
    let authority = Authority::new("servers");
    let listener = some(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    let address = some(listener.local_addr());
    let server = server(&authority, judge);
    let called = std::thread::spawn(move || {
        let (stream, _) = some(listener.accept());
        some(stream.set_read_timeout(Some(PATIENCE)));
        receive(server, stream)
    });
    let config = self::client(&authority, client);
    let name = some(ServerName::try_from("localhost"));
    let mut connection = some(ClientConnection::new(Arc::new(config), name));
    let mut stream = some(TcpStream::connect(address));
    some(stream.set_read_timeout(Some(PATIENCE)));
    let mut tls = rustls::Stream::new(&mut connection, &mut stream);
    // Where the server refuses, this end learns of it or not; what counts is what the server says.
    drop(tls.write_all(b"?").and_then(|()| tls.read_exact(&mut [0])));
    called.join().unwrap_or_else(|_| panic!("the server's end panicked"))
}

fn receive(config: ServerConfig, mut stream: TcpStream) -> Result<Option<Vec<u8>>, String> {
    let mut connection = some(ServerConnection::new(Arc::new(config)));
    let mut tls = rustls::Stream::new(&mut connection, &mut stream);
    tls.read_exact(&mut [0]).map_err(|error| error.to_string())?;
    tls.write_all(b"!").map_err(|error| error.to_string())?;
    let sent = connection.peer_certificates().and_then(<[_]>::first);
    Ok(sent.map(|certificate| certificate.to_vec()))
}

fn server(authority: &Authority, judge: Arc<dyn ClientCertVerifier>) -> ServerConfig {
    let names = Names { hosts: &["localhost"], ..Names::default() };
    let identity = authority.issue(names, Validity::Now, Purpose::Server);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config =
        some(ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions())
            .with_client_cert_verifier(judge)
            .with_single_cert(vec![identity.certificate], identity.key);
    some(config)
}

fn client(authority: &Authority, identity: Option<&Identity>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    some(roots.add(authority.certificate.der().clone()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider);
    let config = some(config.with_safe_default_protocol_versions()).with_root_certificates(roots);
    match identity {
        None => config.with_no_client_auth(),
        Some(Identity { certificate, key }) => {
            some(config.with_client_auth_cert(vec![certificate.clone()], key.clone_key()))
        }
    }
}
