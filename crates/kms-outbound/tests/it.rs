//! What is called and what is not, how much is read, and what is said when it goes wrong: against
//! real servers on loopback.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kms_outbound::{Caller, Cause, Reach, Trust};
use kms_testkit::issuer::{Document, Issuer, Key, Reply};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

fn plain() -> Caller {
    Caller::new(Trust::system(), true)
}

fn issuer() -> (Issuer, String) {
    let issuer = Issuer::with_keys(Vec::<Key>::new());
    let url = format!("{}jwks", issuer.url());
    (issuer, url)
}

/// What a request for the key set of an issuer that answers like this comes to.
async fn asked(reply: Reply) -> Result<(u16, usize), Cause> {
    let (issuer, url) = issuer();
    issuer.answer(Document::Keys, reply);
    let caller = plain().within(Duration::from_millis(500));
    let answer = caller.get(&url, Reach::Anywhere).await.map_err(|error| error.cause);
    answer.map(|answer| (answer.status, answer.body.len()))
}

#[tokio::test]
async fn what_is_too_long_too_slow_or_elsewhere_is_refused() {
    assert_eq!(asked(Reply::Well).await, Ok((200, r#"{"keys":[]}"#.len())));
    assert_eq!(asked(Reply::Status(429)).await, Ok((429, 2)));
    assert_eq!(asked(Reply::Huge).await, Err(Cause::Size(1 << 20)));
    assert_eq!(asked(Reply::Text("x".repeat(1 << 20))).await, Ok((200, 1 << 20)));
    assert_eq!(asked(Reply::Text("x".repeat((1 << 20) + 1))).await, Err(Cause::Size(1 << 20)));
    assert_eq!(asked(Reply::HangUp).await, Err(Cause::Broken));
    assert_eq!(asked(Reply::Held).await, Err(Cause::Time(Duration::from_millis(500))));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (elsewhere, there) = issuer();
    assert_eq!(asked(Reply::Redirect(there)).await, Err(Cause::Redirect(302)));
    assert_eq!(elsewhere.asked(Document::Keys), 0);
}

#[tokio::test]
async fn only_a_good_status_is_good() {
    let (issuer, url) = issuer();
    issuer.answer(Document::Keys, Reply::Status(500));
    let answer = plain().get(&url, Reach::Anywhere).await.unwrap();
    assert_eq!(answer.good().unwrap_err().cause, Cause::Status(500));
    issuer.answer(Document::Keys, Reply::Status(204));
    let answer = plain().get(&url, Reach::Anywhere).await.unwrap();
    assert!(answer.good().is_err());
}

#[tokio::test]
async fn nobody_there_is_said() {
    let (issuer, url) = issuer();
    drop(issuer);
    let error = plain().get(&url, Reach::Anywhere).await.unwrap_err();
    assert_eq!(error.host, "127.0.0.1");
    let text = error.to_string();
    assert!(text.starts_with("127.0.0.1: no connection: ") && text.contains("refused"), "{text}");
    let caller = Caller::new(Trust::system(), false);
    let error = caller.get("https://name.invalid/", Reach::Anywhere).await.unwrap_err();
    assert_eq!(error.cause, Cause::Name);
}

#[test]
fn urls_are_judged_before_anything_is_sent() {
    let judge = |plain_loopback, url: &str, reach| {
        let caller = Caller::new(Trust::system(), plain_loopback);
        caller.check(url, reach).map_err(|error| error.cause)
    };
    let out = |address: &str| Err(Cause::OutOfReach(address.parse().unwrap()));
    let (anywhere, public) = (Reach::Anywhere, Reach::Public);
    assert_eq!(judge(false, "https://id.example/keys", public), Ok(()));
    assert_eq!(judge(false, "https://10.0.0.1/keys", anywhere), Ok(()));
    assert_eq!(judge(false, "https://10.0.0.1/keys", public), out("10.0.0.1"));
    // However it is spelt.
    assert_eq!(judge(false, "https://2130706433/", public), out("127.0.0.1"));
    assert_eq!(judge(false, "https://0x7f.1/", public), out("127.0.0.1"));
    assert_eq!(judge(false, "https://[::ffff:10.0.0.1]/", public), out("::ffff:10.0.0.1"));
    assert_eq!(judge(false, "https://[fe80::1]/", public), out("fe80::1"));
    // Plain HTTP: never, or on this machine.
    let says = |text| Err(Cause::Url(text));
    let (never, not_here) =
        ("plain HTTP; it has to be https", "plain HTTP, and not to this machine");
    assert_eq!(judge(false, "http://127.0.0.1/", anywhere), says(never));
    assert_eq!(judge(true, "http://127.0.0.1/", anywhere), Ok(()));
    assert_eq!(judge(true, "http://localhost/", anywhere), Ok(()));
    assert_eq!(judge(true, "http://id.example/", anywhere), says(not_here));
    assert_eq!(judge(true, "http://10.0.0.1/", anywhere), out("10.0.0.1"));
    assert_eq!(judge(true, "http://127.0.0.1/", public), says(not_here));
    let (other, named) = ("it has to be an https URL", "a URL with a user name or password");
    for (url, text) in [
        ("", "it is not a URL"),
        ("id.example", "it is not a URL"),
        ("ftp://id.example/", other),
        ("file:///etc/passwd", other),
        ("https://u:p@a.example/", named),
        ("https://u@a.example/", named),
        ("https://:p@a.example/", named),
    ] {
        assert_eq!(judge(true, url, anywhere), says(text), "{url}");
    }
}

#[tokio::test]
async fn a_name_is_judged_by_the_addresses_it_stands_for() {
    let (issuer, _) = issuer();
    let port = issuer.address().port();
    // This machine's own name for itself.
    let url = format!("http://localhost:{port}/jwks");
    assert_eq!(plain().get(&url, Reach::Anywhere).await.unwrap().status, 200);
    let url = format!("https://localhost:{port}/jwks");
    let error = plain().get(&url, Reach::Public).await.unwrap_err();
    assert!(matches!(error.cause, Cause::OutOfReach(address) if address.is_loopback()), "{error}");
    assert_eq!(issuer.asked(Document::Keys), 1);
}

/// An https server for `localhost` that answers one request, and the PEM of who vouches for it.
async fn tls_server() -> (SocketAddr, String) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // Those who do not trust it hang up.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 1024];
            let read = stream.read(&mut request).await.unwrap();
            assert!(read > 0);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi";
            stream.write_all(answer).await.unwrap();
            drop(stream.shutdown().await);
        }
    });
    (address, authority.pem())
}

#[tokio::test]
async fn an_own_authority_is_trusted_by_its_file() {
    let (address, pem) = tls_server().await;
    let url = format!("https://localhost:{}/", address.port());
    let stranger = Caller::new(Trust::system(), false);
    let error = stranger.get(&url, Reach::Anywhere).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Tls(_)), "{error}");
    assert!(error.to_string().contains("KMS_TRUSTED_CA_PATH"), "{error}");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    // As much as a file may have, and more.
    let longest = format!("{}{pem}", "\n".repeat((1 << 20) - pem.len()));
    std::fs::write(&file, format!(" {longest}")).unwrap();
    let error = Trust::with_file(&file).unwrap_err().to_string();
    assert!(error.ends_with("the file is longer than 1048576 bytes"), "{error}");
    std::fs::write(&file, longest).unwrap();
    let trust = Trust::with_file(&file).unwrap();
    let caller = Caller::new(trust, false);
    assert_eq!(caller.trust().extra().len(), 1);
    let answer = caller.get(&url, Reach::Anywhere).await.unwrap();
    assert_eq!(answer.good().unwrap(), b"hi");
    // The certificate is for a name, not for the address.
    let url = format!("https://127.0.0.1:{}/", address.port());
    assert!(matches!(caller.get(&url, Reach::Anywhere).await.unwrap_err().cause, Cause::Tls(_)));
}

#[tokio::test]
async fn forms_are_sent_as_forms() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"a=b+%26&c=") {
            stream.read_buf(&mut request).await.unwrap();
        }
        let answer = b"HTTP/1.1 400 Bad\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
        stream.write_all(answer).await.unwrap();
        String::from_utf8(request).unwrap()
    });
    let fields = [("a", "b &"), ("c", "")];
    let answer = plain().post_form(&url, &fields, Reach::Anywhere).await.unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (400, &b"{}"[..]));
    let request = serving.await.unwrap();
    assert!(request.starts_with("POST /token HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("content-type: application/x-www-form-urlencoded\r\n"), "{request}");
}
