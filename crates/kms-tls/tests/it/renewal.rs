//! Renewal, by a clock that is set.

use std::sync::{Arc, Mutex};

use base64ct::{Base64UrlUnpadded, Encoding};

use kms_outbound::Request;
use kms_testkit::pebble::Options;
use kms_tls::{Clock as _, End, Phase, Reply, Settings};

use crate::setup::{DAY_S, DOMAIN, Pair, Setup, client, ended, leaf, problem, server, until};

const LONG: u64 = 200 * 86_400;

#[tokio::test]
async fn a_certificate_is_renewed_in_time_and_no_connection_notices() {
    // Every request is made once, so that they can be counted.
    let options = Options { nonces_refused: 0, validity_s: LONG, ..Options::default() };
    let mut setup = Setup::new(Options { nonces_refused: 0, ..Options::default() });
    let mut started = setup.start().await.unwrap();
    let first = leaf(&started.resolver);
    let serving = server(&started);
    let believing = Arc::new(client(&[&setup.pebble.root()]));
    let mut before = Pair::open(serving.config(), &believing, DOMAIN).unwrap();
    // It is another authority by then: with another root, and without the account.
    setup.pebble.start_again_with(options);
    let task = tokio::spawn(started.task.run());

    let due = started.status.borrow().renew_at.unwrap();
    setup.clock.set(due - 1);
    tokio::task::yield_now().await;
    assert_eq!(leaf(&started.resolver), first);
    setup.clock.set(due);
    let end = setup.clock.now() + 100 * DAY_S;
    until(&mut started.status, |it| it.certificate.as_ref().is_some_and(|it| it.not_after > end))
        .await;
    assert_ne!(leaf(&started.resolver), first);
    before.say("still there");
    let believing = Arc::new(client(&[&setup.pebble.root()]));
    Pair::open(serving.config(), &believing, DOMAIN).unwrap().say("a new one");
    assert_eq!(setup.between.asked("/order-plz"), 2 + 1, "one was refused: no such account");
    task.abort();
    // What is served is what is kept.
    let again = setup.start().await.unwrap();
    assert_eq!(leaf(&again.resolver), leaf(&started.resolver));
}

#[tokio::test]
async fn a_certificate_that_is_due_again_at_once_is_not_ordered_in_a_circle() {
    let setup = Setup::new(Options { nonces_refused: 0, reuses: true, ..Options::default() });
    let mut started = setup.start().await.unwrap();
    let first = leaf(&started.resolver);
    let task = tokio::spawn(started.task.run());
    // By this clock the authority's next one, too, is due when it comes.
    setup.clock.advance(80 * DAY_S);
    until(&mut started.status, |it| it.phase == Phase::Idle && leaf(&started.resolver) != first)
        .await;
    let second = leaf(&started.resolver);
    setup.clock.advance(DAY_S - 1);
    tokio::task::yield_now().await;
    assert_eq!(setup.between.asked("/order-plz"), 2);
    setup.clock.advance(1);
    until(&mut started.status, |it| it.phase == Phase::Idle && leaf(&started.resolver) != second)
        .await;
    assert_eq!(setup.between.asked("/order-plz"), 3);
    task.abort();
}

#[tokio::test]
async fn failures_are_retried_with_growing_pauses_until_the_certificate_is_over() {
    let mut setup = Setup::new(Options::default());
    let mut started = setup.start().await.unwrap();
    let over = started.status.borrow().certificate.as_ref().unwrap().not_after;
    let task = tokio::spawn(started.task.run());
    setup.pebble.stop();
    setup.clock.set(started.status.borrow().renew_at.unwrap());
    for (failures, pause) in [(1, 60), (2, 600), (3, 6_000), (4, DAY_S), (5, DAY_S)] {
        let status = until(&mut started.status, |it| it.failures == failures).await;
        let next = setup.clock.now() + pause;
        assert_eq!(status.phase, Phase::Waiting { until: next });
        assert!(status.last_failure.unwrap().what.contains("cannot be asked"));
        assert_eq!(setup.kept()["history"]["failures"], failures);
        assert!(started.resolver.current().is_some());
        setup.clock.set(next);
    }
    until(&mut started.status, |it| it.failures == 6).await;
    setup.clock.set(over + 1);
    let End::Expired { last: Some(last) } = ended(task).await else { panic!("not over") };
    assert!(last.contains("cannot be asked"), "{last}");
    assert!(started.resolver.current().is_none());
    assert_eq!(started.status.borrow().phase, Phase::Ended);
}

#[tokio::test]
async fn a_renewal_that_comes_through_at_last_is_a_success() {
    let mut setup = Setup::new(Options::default());
    let mut started = setup.start().await.unwrap();
    let task = tokio::spawn(started.task.run());
    setup.pebble.proxy().refuse(true);
    setup.clock.set(started.status.borrow().renew_at.unwrap());
    until(&mut started.status, |it| it.failures == 1).await;
    setup.pebble.start_again_with(Options { validity_s: LONG, ..Options::default() });
    setup.pebble.proxy().mend();
    setup.clock.advance(60);
    let status = until(&mut started.status, |it| it.failures == 0).await;
    assert_eq!((status.phase, status.last_failure), (Phase::Idle, None));
    task.abort();
}

#[tokio::test]
async fn refused_three_times_is_the_end() {
    let setup = Setup::new(Options::default());
    let mut started = setup.start().await.unwrap();
    let task = tokio::spawn(started.task.run());
    setup.between.answer(|url, what| {
        let order = url.ends_with("/order-plz") && matches!(what, Request::Post { .. });
        order.then(|| problem(403, "userActionRequired", &[]))
    });
    setup.clock.set(started.status.borrow().renew_at.unwrap());
    for (failures, pause) in [(1, 60), (2, 600)] {
        until(&mut started.status, |it| it.failures == failures).await;
        setup.clock.advance(pause);
    }
    let End::Refused { last } = ended(task).await else { panic!("another end") };
    assert!(last.contains("terms have changed"), "{last}");
}

#[tokio::test]
async fn the_first_failure_is_the_end_where_that_is_wanted() {
    let mut setup = Setup::new(Options::default());
    setup.stop_on_renewal_error = true;
    let started = setup.start().await.unwrap();
    let task = tokio::spawn(started.task.run());
    setup.pebble.stop();
    setup.clock.set(started.status.borrow().renew_at.unwrap());
    assert!(matches!(ended(task).await, End::Stopped { .. }));
}

#[tokio::test]
async fn the_authority_may_want_a_renewal_earlier() {
    let setup = Setup::new(Options::default());
    let mut started = setup.start().await.unwrap();
    let first = leaf(&started.resolver);
    let now = setup.clock.now();
    // This authority does not speak of it: it is made to.
    let directory = setup.pebble.url();
    let base = directory.trim_end_matches("/dir").to_owned();
    let orders = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&orders);
    setup.between.answer(move |url, what| {
        if let (true, Request::Post { body, .. }) = (url.ends_with("/order-plz"), what) {
            let signed: serde_json::Value = serde_json::from_slice(body).unwrap();
            let order = Base64UrlUnpadded::decode_vec(signed["payload"].as_str().unwrap());
            seen.lock().unwrap().push(String::from_utf8(order.unwrap()).unwrap());
        }
        let reply = |body: String| Reply {
            status: 200,
            headers: vec![("retry-after".to_owned(), "21600".to_owned())],
            body: body.into_bytes(),
        };
        if url.contains("/ari/") {
            let window = r#"{"start":"2020-01-02T04:00:00Z","end":"2020-01-03T04:00:00Z"}"#;
            return Some(reply(format!(r#"{{"suggestedWindow":{window}}}"#)));
        }
        (url == directory).then(|| {
            let own = |name: &str, path: &str| format!(r#""{name}":"{base}{path}""#);
            let fields = [
                own("newNonce", "/nonce-plz"),
                own("newAccount", "/sign-me-up"),
                own("newOrder", "/order-plz"),
                own("revokeCert", "/revoke-cert"),
                own("keyChange", "/rollover-account-key"),
                own("renewalInfo", "/ari"),
            ];
            reply(format!("{{{}}}", fields.join(",")))
        })
    });
    let task = tokio::spawn(started.task.run());
    // The window is over: it is due at once, but not within a day of the last one.
    until(&mut started.status, |it| it.renew_at.is_some_and(|at| at < now)).await;
    assert_eq!(leaf(&started.resolver), first);
    setup.clock.advance(DAY_S);
    until(&mut started.status, |it| it.phase == Phase::Idle && leaf(&started.resolver) != first)
        .await;
    // It was said what is replaced. This authority does not know of that, so it was ordered again
    // without, and it goes on.
    let orders = orders.lock().unwrap();
    assert!(orders.first().unwrap().contains("replaces"), "{orders:?}");
    assert!(!orders.last().unwrap().contains("replaces"), "{orders:?}");
    task.abort();
}

#[tokio::test]
async fn another_name_is_taken_up_while_it_runs() {
    let setup = Setup::new(Options::default());
    let mut started = setup.start().await.unwrap();
    let task = tokio::spawn(started.task.run());
    let settings = Settings { domain: "new.example.org".to_owned(), ..setup.settings() };
    started.control.change(settings);
    let new = |names: &[String]| names == ["new.example.org"];
    until(&mut started.status, |it| it.certificate.as_ref().is_some_and(|it| new(&it.names))).await;
    task.abort();
}
