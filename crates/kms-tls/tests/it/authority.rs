//! The first certificate, from a real authority.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use base64ct::{Base64UrlUnpadded, Encoding};
use kms_testkit::http::Connection;
use kms_testkit::pebble::Options;
use kms_tls::{Clock as _, Origin, Phase, StartError};

use crate::setup::{DAY_S, DOMAIN, Pair, Setup, client, leaf, server};

/// Everything in the directory of keys.
fn names(setup: &Setup) -> Vec<String> {
    let entries = std::fs::read_dir(setup.keys()).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_obtained_kept_and_served() {
    let setup = Setup::new(Options::default());
    let started = setup.start().await.unwrap();

    let believing = Arc::new(client(&[&setup.pebble.root()]));
    let config = server(&started).config();
    Pair::open(Arc::clone(&config), &believing, DOMAIN).unwrap().say("a secret");
    assert!(Pair::open(config, &believing, "other.example.org").is_err());

    let status = started.status.borrow().clone();
    assert_eq!((status.origin, status.phase, status.failures), (Origin::Acme, Phase::Idle, 0));
    let facts = status.certificate.clone().unwrap();
    assert_eq!(facts.names, [DOMAIN]);
    assert_eq!(status.renew_at.unwrap() / DAY_S, (facts.not_after - 15 * DAY_S) / DAY_S);
    assert!((89..=90).contains(&status.days_left(setup.clock.now()).unwrap()), "{status:?}");

    assert_eq!(names(&setup), ["account.key", "acme.json", "tls.crt", "tls.key"]);
    for name in names(&setup) {
        let mode = std::fs::metadata(setup.file(&name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    // The socket is kept, and nothing is served from the directory any more.
    let folder = setup.directory.path().join("http/.well-known/acme-challenge");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    std::fs::write(folder.join("token"), "left behind").unwrap();
    let answer = Connection::open(setup.challenges()).get("/.well-known/acme-challenge/token");
    assert_eq!((answer.status, answer.body), (404, Vec::new()));
}

#[tokio::test]
async fn a_restart_asks_nobody() {
    let mut setup = Setup::new(Options::default());
    let first = leaf(&setup.start().await.unwrap().resolver);
    setup.pebble.stop();
    let before = setup.between.asked("");
    let started = setup.start().await.unwrap();
    assert_eq!(leaf(&started.resolver), first);
    assert_eq!(setup.between.asked(""), before);
}

#[tokio::test]
async fn an_authority_that_refuses_every_second_nonce_is_asked_again() {
    let asked = async |nonces_refused| {
        let setup = Setup::new(Options { nonces_refused, ..Options::default() });
        let started = setup.start().await.unwrap();
        assert_eq!(started.status.borrow().failures, 0);
        setup.between.asked("")
    };
    let (easily, hardly) = (asked(0).await, asked(50).await);
    assert!(hardly > easily, "{hardly} {easily}");
}

#[tokio::test]
async fn an_authority_may_want_an_external_account() {
    const KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    let mut setup = Setup::new(Options { external: Some(("kid-1", KEY)), ..Options::default() });
    let refused = setup.start().await.unwrap_err();
    assert!(matches!(&refused, StartError::Refused(what) if what.contains("external account")));
    assert!(!refused.is_passing());

    setup.clock.advance(61);
    let key = Base64UrlUnpadded::decode_vec(KEY).unwrap();
    setup.external = Some(("kid-1", key.leak()));
    setup.start().await.unwrap();
    // The account is kept, and known again.
    std::fs::remove_file(setup.file("tls.key")).unwrap();
    setup.start().await.unwrap();
}

#[tokio::test]
async fn a_name_that_the_authority_rejects_needs_the_operator() {
    let mut setup = Setup::new(Options::default());
    setup.domain = "blocked.example";
    let refused = setup.start().await.unwrap_err();
    assert!(matches!(&refused, StartError::Refused(what) if what.contains("rejectedIdentifier")));
    // Mended by the operator, it is tried at once: another name is another matter.
    setup.domain = DOMAIN;
    setup.start().await.unwrap();
}

#[tokio::test]
async fn a_certificate_for_another_name_or_from_the_past_is_obtained_anew() {
    let mut setup = Setup::new(Options { reuses: true, ..Options::default() });
    let first = leaf(&setup.start().await.unwrap().resolver);
    setup.domain = "other.example.org";
    let other = setup.start().await.unwrap();
    assert_ne!(leaf(&other.resolver), first);
    assert_eq!(other.status.borrow().certificate.as_ref().unwrap().names, ["other.example.org"]);
    drop(other);

    // An authority whose certificates are good for longer than this clock is ahead.
    setup.pebble.start_again_with(Options { validity_s: 200 * 86_400, ..Options::default() });
    setup.clock.advance(91 * DAY_S);
    let later = setup.start().await.unwrap();
    assert!(later.status.borrow().days_left(setup.clock.now()).unwrap() > 100);
}
