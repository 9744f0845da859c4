//! What goes wrong with an authority, with the network and with the disk, at the first start.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use kms_crypto::Secret;
use kms_outbound::Request;
use kms_testkit::pebble::{Options, Pebble};
use kms_tls::{Clock as _, KeySealer, Reply, Responder, SealError, StartError};

use crate::setup::{Setup, problem};

/// Why the start has failed, for now.
async fn failed(setup: &Setup) -> String {
    match setup.start().await {
        Err(StartError::Failed(what)) => what,
        other => panic!("{other:?}"),
    }
}

/// It is refused to try again at once, and nobody is asked.
async fn too_soon(setup: &Setup) -> i64 {
    let before = setup.between.asked("");
    let StartError::TooSoon { until, last } = setup.start().await.unwrap_err() else {
        panic!("it was tried again at once");
    };
    assert!(!last.is_empty());
    assert_eq!(setup.between.asked(""), before);
    until - setup.clock.now()
}

#[tokio::test]
async fn an_authority_that_is_down_is_asked_again_after_a_minute() {
    let mut setup = Setup::new(Options::default());
    setup.pebble.stop();
    let what = failed(&setup).await;
    assert!(what.contains("cannot be asked"), "{what}");
    assert_eq!(too_soon(&setup).await, 60);
    setup.pebble.start_again();
    setup.clock.advance(60);
    setup.start().await.unwrap();
}

#[tokio::test]
async fn an_authority_that_is_silent_is_not_waited_for() {
    let setup = Setup::new(Options::default());
    setup.pebble.proxy().hold(true);
    let what = failed(&setup).await;
    assert!(what.contains("no answer within 5 s"), "{what}");
    setup.pebble.proxy().mend();
    setup.clock.advance(60);
    setup.start().await.unwrap();
}

#[tokio::test]
async fn a_slow_authority_is_waited_for() {
    let setup = Setup::new(Options::default());
    setup.pebble.proxy().delay(std::time::Duration::from_millis(100));
    setup.start().await.unwrap();
}

#[tokio::test]
async fn failed_validations_are_counted_and_limited() {
    // Every request is made once, so that they can be counted.
    let setup = Setup::new(Options { nonces_refused: 0, ..Options::default() });
    setup.pebble.lose_name(setup.domain);
    let first = setup.clock.now();
    for round in 1..=5 {
        let what = failed(&setup).await;
        assert!(what.contains("resolve") || what.contains("servfail"), "{what}");
        assert_eq!(setup.kept()["history"]["validations"].as_array().unwrap().len(), round);
        assert!(setup.kept()["order"].is_null());
        if round < 5 {
            assert_eq!(too_soon(&setup).await, 60);
            setup.clock.advance(60);
        }
    }
    // A sixth within the hour is not made, whatever happened meanwhile.
    setup.pebble.find_name(setup.domain);
    setup.clock.advance(600);
    let left = too_soon(&setup).await;
    assert_eq!(setup.clock.now() + left, first + 3_601);
    assert_eq!(setup.between.asked("/order-plz"), 5);
    setup.clock.advance(left);
    setup.start().await.unwrap();
}

#[tokio::test]
async fn somebody_else_on_port_80_is_named() {
    let setup = Setup::new(Options::default());
    let other = TcpListener::bind(setup.challenges()).unwrap();
    let taken = Responder::bind(setup.challenges(), setup.directory.path()).unwrap_err();
    let taken = taken.to_string();
    assert!(taken.contains("another program has it") && taken.contains("port 80"), "{taken}");
    // What the authority sees is not ours.
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = other.accept() {
            drop(stream.read(&mut [0; 2048]));
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother"));
        }
    });
    let Err(StartError::Failed(what)) = setup.start_with(setup.deaf(), setup.world()).await else {
        panic!("a certificate for somebody else's answer");
    };
    assert!(what.contains("somebody else") || what.contains("another answer"), "{what}");
}

#[tokio::test]
async fn nobody_on_port_80_is_named() {
    let setup = Setup::new(Options::default());
    let refused = setup.start_with(setup.deaf(), setup.world()).await;
    let Err(StartError::Failed(what)) = refused else { panic!("{refused:?}") };
    assert!(what.contains("connection") && what.contains("firewall"), "{what}");
}

#[tokio::test]
async fn an_authority_that_says_when_is_left_alone_until_then() {
    for (reply, seconds) in [
        (problem(429, "rateLimited", &[("retry-after", "7200")]), 7_200),
        (problem(429, "rateLimited", &[]), 3_600),
        (problem(503, "serverInternal", &[("retry-after", "900")]), 900),
        (problem(500, "serverInternal", &[]), 60),
        (Reply { status: 502, body: b"<html>".to_vec(), ..Reply::default() }, 60),
    ] {
        let setup = Setup::new(Options::default());
        setup.between.answer(move |url, what| {
            let wanted = url.ends_with("/order-plz") && matches!(what, Request::Post { .. });
            wanted.then(|| reply.clone())
        });
        failed(&setup).await;
        assert_eq!(too_soon(&setup).await, seconds);
        setup.clock.advance(seconds);
        setup.between.answer(|_, _| None);
        setup.start().await.unwrap();
    }
}

#[tokio::test]
async fn an_authority_that_has_lost_the_account_gets_it_again() {
    let mut setup = Setup::new(Options::default());
    setup.start().await.unwrap();
    let account = std::fs::read(setup.file("account.key")).unwrap();
    std::fs::remove_file(setup.file("tls.key")).unwrap();
    setup.pebble.start_again();
    setup.start().await.unwrap();
    assert_eq!(std::fs::read(setup.file("account.key")).unwrap(), account);
}

/// Opens nothing.
struct Closed;

impl KeySealer for Closed {
    fn seal(&self, _name: &str, key: &[u8]) -> Result<Vec<u8>, SealError> {
        Ok(key.to_vec())
    }

    fn open(&self, _name: &str, _sealed: &[u8]) -> Result<Secret, SealError> {
        Err(SealError("it was sealed elsewhere".to_owned()))
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_read_is_never_replaced() {
    let setup = Setup::new(Options::default());
    setup.start().await.unwrap();
    let key = std::fs::read(setup.file("tls.key")).unwrap();
    let chain = std::fs::read(setup.file("tls.crt")).unwrap();
    let foreign = Setup::new(Options::default());
    foreign.start().await.unwrap();
    let other = std::fs::read(foreign.file("tls.key")).unwrap();
    let before = setup.between.asked("");
    for (name, bytes) in [
        ("tls.key", &b""[..]),
        ("tls.key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
        ("tls.key", &key[..key.len() / 2]),
        ("tls.key", &other),
        ("tls.crt", b""),
        ("tls.crt", &chain[..chain.len() / 4]),
    ] {
        std::fs::write(setup.file("tls.key"), &key).unwrap();
        std::fs::write(setup.file("tls.crt"), &chain).unwrap();
        std::fs::write(setup.file(name), bytes).unwrap();
        let error = setup.start().await.unwrap_err();
        assert!(matches!(error, StartError::Key { .. }), "{error}");
        assert!(error.to_string().contains("tls.key") && !error.is_passing(), "{error}");
        assert_eq!(std::fs::read(setup.file(name)).unwrap(), bytes);
    }
    std::fs::write(setup.file("tls.key"), &key).unwrap();
    std::fs::write(setup.file("tls.crt"), &chain).unwrap();
    let mut world = setup.world();
    world.sealer = Arc::new(Closed);
    let error = setup.start_with(setup.responder().await, world).await.unwrap_err().to_string();
    assert!(error.contains("sealed elsewhere"), "{error}");
    assert_eq!(setup.between.asked(""), before);
    setup.start().await.unwrap();
}

#[tokio::test]
async fn a_state_that_cannot_be_read_is_the_most_careful_one() {
    let setup = Setup::new(Options::default());
    std::fs::write(setup.file("acme.json"), "{").unwrap();
    assert_eq!(too_soon(&setup).await, 3_601);
    assert_eq!(setup.between.asked(""), 0);
}

#[test]
fn the_kit_s_authority_ends_when_it_is_dropped() {
    let pebble = Pebble::start();
    let address = pebble.proxy().address();
    drop(pebble);
    assert!(std::net::TcpStream::connect(address).is_err());
}
