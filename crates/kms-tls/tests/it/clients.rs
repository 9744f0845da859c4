//! How TLS is spoken: versions, key exchange, protocols, resumption, and which clients are let in.

use std::path::PathBuf;
use std::sync::Arc;

use kms_testkit::certificates;
use kms_testkit::tls::{Authority, Names};
use kms_tls::{Absence, Authorities, Clients, Files, MinVersion, Server, Source, Started, World};
use rustls::{HandshakeKind, NamedGroup, ProtocolVersion, version};
use tempfile::TempDir;

use crate::setup::{Pair, client, client_as};

/// A server with files; its root in PEM.
async fn started(directory: &TempDir) -> (Started, String) {
    let authority = certificates::Authority::new("servers");
    let server = authority.server();
    let write = |name: &str, text: &str| -> PathBuf {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let certificate = write("server.pem", &server.certificate);
    let key = Some(write("server.key", &server.key));
    let source = Source::Files(Files { certificate, key, password: None });
    (source.start(world()).await.unwrap(), authority.pem())
}

fn world() -> World {
    use kms_outbound::{Caller, Trust};
    World::system(Arc::new(kms_tls::Outbound(Caller::new(Trust::system(), false))))
}

#[tokio::test]
async fn versions_groups_and_protocols_are_as_promised() {
    let directory = TempDir::new().unwrap();
    let (started, root) = started(&directory).await;
    let any = Server::new(Arc::clone(&started.resolver), MinVersion::Tls12, &Clients::Anybody);
    let newest = Server::new(Arc::clone(&started.resolver), MinVersion::Tls13, &Clients::Anybody);
    let (any, newest) = (any.unwrap(), newest.unwrap());

    let mut modern = client(&[&root]);
    modern.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
    let pair = Pair::open(any.config(), &Arc::new(modern), "localhost").unwrap();
    assert_eq!(pair.client.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(pair.client.alpn_protocol(), Some(&b"h2"[..]));
    let group = pair.server.negotiated_key_exchange_group().unwrap();
    assert_eq!(group.name(), NamedGroup::X25519MLKEM768);

    let mut old = client(&[&root]);
    old.alpn_protocols = vec![b"http/1.1".to_vec()];
    let old = Arc::new(only_tls12(&root, old.alpn_protocols));
    let pair = Pair::open(any.config(), &old, "localhost").unwrap();
    assert_eq!(pair.client.protocol_version(), Some(ProtocolVersion::TLSv1_2));
    assert_eq!(pair.client.alpn_protocol(), Some(&b"http/1.1"[..]));
    let refused = Pair::open(newest.config(), &old, "localhost").err().unwrap();
    assert!(refused.starts_with("server:"), "{refused}");
}

fn only_tls12(root: &str, protocols: Vec<Vec<u8>>) -> rustls::ClientConfig {
    use rustls::pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    let root = rustls::pki_types::CertificateDer::from_pem_slice(root.as_bytes()).unwrap();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols;
    config
}

#[tokio::test]
async fn sessions_are_resumed_unless_clients_have_certificates() {
    let directory = TempDir::new().unwrap();
    let (started, root) = started(&directory).await;
    let people = Authority::new("people");
    let alice = people.client(Names { common: &["alice"], ..Names::default() });
    let path = directory.path().join("clients.pem");
    people.write(&path);
    let known = Clients::Of(Authorities::read(&path).unwrap(), Absence::Allowed);
    for (clients, own, resumed) in
        [(Clients::Anybody, None, true), (known.clone(), Some(&alice), false), (known, None, false)]
    {
        let server = Server::new(Arc::clone(&started.resolver), MinVersion::Tls12, &clients);
        let server = server.unwrap();
        for client in [client_as(&[&root], own), only_tls12(&root, Vec::new())] {
            let client = Arc::new(client);
            Pair::open(server.config(), &client, "localhost").unwrap().say("first");
            let second = Pair::open(server.config(), &client, "localhost").unwrap();
            let kind = second.server.handshake_kind();
            assert_eq!(kind == Some(HandshakeKind::Resumed), resumed, "{clients:?}: {kind:?}");
        }
    }
}

#[tokio::test]
async fn other_authorities_are_taken_up_and_connections_stay() {
    let directory = TempDir::new().unwrap();
    let (started, root) = started(&directory).await;
    let (old, new) = (Authority::new("people"), Authority::new("other people"));
    let path = directory.path().join("clients.pem");
    let names = Names { common: &["alice"], ..Names::default() };
    let (alice, bob) = (old.client(names), new.client(names));
    let of = |authority: &Authority| {
        authority.write(&path);
        Clients::Of(Authorities::read(&path).unwrap(), Absence::Refused)
    };
    let server = Server::new(Arc::clone(&started.resolver), MinVersion::Tls13, &of(&old)).unwrap();
    let alice = Arc::new(client_as(&[&root], Some(&alice)));
    let bob = Arc::new(client_as(&[&root], Some(&bob)));
    let open = |client: &_| Pair::open(server.config(), client, "localhost");

    let mut before = open(&alice).unwrap();
    assert!(open(&bob).is_err());
    assert!(open(&Arc::new(client(&[&root]))).is_err());
    server.accept(&of(&new)).unwrap();
    before.say("still here");
    assert!(open(&alice).is_err());
    open(&bob).unwrap().say("new here");
    // What is no authority changes nothing.
    std::fs::write(&path, "nothing").unwrap();
    assert!(Authorities::read(&path).is_err());
    open(&bob).unwrap();
}
