//! How fresh keys are, who is asked for them and how often, and what becomes of callers meanwhile.

use std::time::Duration;

use kms_auth::Kind;
use kms_testkit::issuer::{Algorithm, Key};
use serde_json::json;
use tokio::time::Instant;

use crate::world::{ISSUER, START, Setting, World, pass};

const DAY: u64 = 24 * 60 * 60;
const DISCOVERY: &str = "https://id.example/.well-known/openid-configuration";
const GUESSED: &str = "https://id.example/.well-known/jwks.json";
const KEYS: &str = "https://id.example/keys";

/// A token that does not end before the test does.
fn lasting(world: &World) -> String {
    world.token(json!({ "exp": START + 3_000_000 }))
}

fn by(key: &Key) -> String {
    let mut claims = World::claims();
    claims["exp"] = json!(START + 3_000_000);
    key.token(&claims)
}

fn is_unavailable(kind: Kind) -> bool {
    matches!(kind, Kind::Unavailable { retry_s: 1..=60 })
}

#[tokio::test(start_paused = true)]
async fn keys_are_fetched_at_the_start_and_every_hour() {
    let world = World::new();
    for _ in 0..10 {
        world.user(&world.token(json!({}))).await;
    }
    assert_eq!((world.web.asked("/keys"), world.web.asked("openid-configuration")), (1, 1));
    pass(3599).await;
    assert_eq!(world.web.asked("/keys"), 1);
    pass(2).await;
    assert_eq!(world.web.asked("/keys"), 2);
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_before_the_first_keys_waits_for_them() {
    let world = World::new();
    world.web.hold("/keys");
    let token = world.token(json!({}));
    let (user, ()) = tokio::join!(world.user(&token), async {
        pass(3).await;
        world.web.release();
    });
    assert_eq!(user, "alice@example.com");
    assert_eq!(world.web.asked("/keys"), 1);
    // Which was not a fetch that a request had caused: a new key is found at once.
    let next = Key::new("next", Algorithm::Es256);
    world.web.publish(ISSUER, &[next.jwk()]);
    assert_eq!(world.user(&by(&next)).await, "alice@example.com");
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_began_too_early_is_followed_by_another() {
    let world = World::new();
    world.user(&lasting(&world)).await;
    // The hourly one is under way, and has its answer already, when the key is new.
    pass(3590).await;
    world.web.hold("/keys");
    pass(20).await;
    let next = Key::new("next", Algorithm::Es256);
    world.web.publish(ISSUER, &[next.jwk()]);
    let token = by(&next);
    let (user, ()) = tokio::join!(world.user(&token), async {
        pass(1).await;
        world.web.release();
    });
    assert_eq!(user, "alice@example.com");
    assert_eq!(world.web.asked("/keys"), 3);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_kid_causes_one_fetch_a_minute() {
    let world = World::new();
    world.user(&lasting(&world)).await;
    let ask = async || {
        let forged =
            (0..50).map(|number| world.with_header(json!({ "kid": format!("unknown-{number}") })));
        for token in forged {
            let refusal = world.refusal(&token).await;
            assert_eq!(refusal.kind, Kind::Invalid, "{}", refusal.reason);
        }
    };
    ask().await;
    assert_eq!(world.web.asked("/keys"), 2);
    pass(59).await;
    ask().await;
    assert_eq!(world.web.asked("/keys"), 2);
    pass(1).await;
    ask().await;
    assert_eq!(world.web.asked("/keys"), 3);
}

#[tokio::test(start_paused = true)]
async fn many_that_want_a_fetch_share_it() {
    let world = World::new();
    world.user(&lasting(&world)).await;
    let next = Key::new("next", Algorithm::Es256);
    world.web.publish(ISSUER, &[world.curve.jwk(), next.jwk()]);
    world.web.hold("/keys");
    let token = by(&next);
    let all = async { tokio::join!(world.user(&token), world.user(&token), world.user(&token)) };
    let (users, ()) = tokio::join!(all, async {
        pass(1).await;
        world.web.release();
    });
    let alice = || "alice@example.com".to_owned();
    assert_eq!(users, (alice(), alice(), alice()));
    assert_eq!(world.web.asked("/keys"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_left_the_set_is_refused_from_that_refresh_on() {
    let world = World::new();
    let token = lasting(&world);
    assert_eq!(world.user(&token).await, "alice@example.com");
    let next = Key::new("next", Algorithm::Es256);
    world.web.publish(ISSUER, &[next.jwk()]);
    // Not seen yet.
    assert_eq!(world.user(&token).await, "alice@example.com");
    assert_eq!(world.user(&by(&next)).await, "alice@example.com");
    let refusal = world.refusal(&token).await;
    assert!(refusal.reason.contains("is not known"), "{}", refusal.reason);
    // It comes back, and so does the other's token.
    world.web.publish(ISSUER, &[world.curve.jwk()]);
    pass(3700).await;
    assert_eq!(world.user(&token).await, "alice@example.com");
    assert!(world.refusal(&by(&next)).await.reason.contains("is not known"));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_replaced_under_its_name_is_refused() {
    let world = World::new();
    let token = lasting(&world);
    assert_eq!(world.user(&token).await, "alice@example.com");
    let same = Key::new("curve", Algorithm::Es256);
    world.web.publish(ISSUER, &[same.jwk()]);
    pass(3700).await;
    assert!(world.refusal(&token).await.reason.contains("signature"));
    assert_eq!(world.user(&by(&same)).await, "alice@example.com");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_gone_stops_nobody_for_a_day() {
    let world = World::with(Setting::default());
    let (known, fresh) = (lasting(&world), by(&world.curve));
    assert_eq!(world.user(&known).await, "alice@example.com");
    world.web.cut();
    pass(DAY).await;
    // From the cache, and by the key.
    assert_eq!(world.user(&known).await, "alice@example.com");
    assert_eq!(world.user(&fresh).await, "alice@example.com");
    pass(2).await;
    for token in [&known, &fresh] {
        let refusal = world.refusal(token).await;
        assert!(is_unavailable(refusal.kind), "{refusal:?}");
    }
    // And when it is back, so are they.
    world.web.publish(ISSUER, &[world.curve.jwk()]);
    pass(61).await;
    assert_eq!(world.user(&known).await, "alice@example.com");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_was_never_there_opens_no_door() {
    let world = World::new();
    world.web.cut();
    for _ in 0..20 {
        let refusal = world.refusal(&world.token(json!({}))).await;
        assert!(is_unavailable(refusal.kind), "{refusal:?}");
    }
    assert!(world.web.asked("openid-configuration") <= 2);
    // It is tried again every minute, whoever comes.
    pass(60 * 10).await;
    assert!((10..=13).contains(&world.web.asked("openid-configuration")));
    world.web.publish(ISSUER, &[world.curve.jwk()]);
    pass(60).await;
    assert_eq!(world.user(&world.token(json!({}))).await, "alice@example.com");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_kid_is_undecided_while_the_provider_is_gone() {
    let world = World::new();
    world.user(&world.token(json!({}))).await;
    world.web.cut();
    let forged = world.with_header(json!({ "kid": "unknown" }));
    for _ in 0..3 {
        let refusal = world.refusal(&forged).await;
        assert!(is_unavailable(refusal.kind), "{refusal:?}");
    }
    assert_eq!(world.user(&world.token(json!({}))).await, "alice@example.com");
}

#[tokio::test(start_paused = true)]
async fn whoever_is_to_come_again_is_told_when() {
    let world = World::new();
    world.web.cut();
    let token = world.token(json!({}));
    for (passed, retry_s) in [(0, 60), (0, 60), (20, 40), (39, 1)] {
        pass(passed).await;
        let refusal = world.refusal(&token).await;
        assert_eq!(refusal.kind, Kind::Unavailable { retry_s });
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_provider_holds_up_nobody_whose_key_is_known() {
    let world = World::new();
    world.user(&lasting(&world)).await;
    world.web.hold("/keys");
    let forged = world.with_header(json!({ "kid": "unknown" }));
    let started = Instant::now();
    let (refusal, ()) = tokio::join!(world.refusal(&forged), async {
        pass(1).await;
        let asked = Instant::now();
        assert_eq!(world.user(&world.token(json!({ "sub": "x" }))).await, "alice@example.com");
        assert_eq!(asked.elapsed(), Duration::ZERO);
    });
    // Those whose key is not known wait, but not for ever.
    assert!(is_unavailable(refusal.kind), "{refusal:?}");
    assert_eq!(started.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn nonsense_changes_nothing() {
    let answers = [
        Err("no connection".to_owned()),
        Ok((500, Vec::new())),
        Ok((429, Vec::new())),
        Ok((302, Vec::new())),
        Ok((204, Vec::new())),
        Ok((200, b"<html>".to_vec())),
        Ok((200, b"{\"keys\": []}".to_vec())),
        Ok((200, b"[]".to_vec())),
    ];
    for url in [DISCOVERY, KEYS] {
        for answer in &answers {
            let world = World::new();
            let token = lasting(&world);
            world.user(&token).await;
            world.web.put(url, answer.clone());
            pass(3700).await;
            assert!(world.web.asked("openid-configuration") >= 2);
            assert_eq!(world.user(&token).await, "alice@example.com", "{url} {answer:?}");
            assert_eq!(world.user(&by(&world.curve)).await, "alice@example.com");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_discovery_document_the_keys_are_where_they_usually_are() {
    for status in [400, 403, 404, 410] {
        let world = World::new();
        world.web.put(DISCOVERY, Ok((status, b"nothing".to_vec())));
        let set = json!({ "keys": [world.curve.jwk()] }).to_string();
        world.web.put(GUESSED, Ok((200, set.into_bytes())));
        assert_eq!(world.user(&world.token(json!({}))).await, "alice@example.com", "{status}");
        assert_eq!((world.web.asked("/keys"), world.web.asked("/jwks.json")), (0, 1));
    }
    // But not where it only does not answer now.
    for answer in [Ok((500, Vec::new())), Ok((429, Vec::new())), Err("no connection".to_owned())] {
        let world = World::new();
        world.web.put(DISCOVERY, answer.clone());
        let set = json!({ "keys": [world.curve.jwk()] }).to_string();
        world.web.put(GUESSED, Ok((200, set.into_bytes())));
        let refusal = world.refusal(&world.token(json!({}))).await;
        assert!(is_unavailable(refusal.kind), "{answer:?}: {refusal:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_discovery_document_is_the_issuer_s_own() {
    for issuer in ["https://id.example", "https://ID.example/", "https://evil.example/"] {
        let world = World::new();
        let discovery = json!({ "issuer": issuer, "jwks_uri": KEYS }).to_string();
        world.web.put(DISCOVERY, Ok((200, discovery.into_bytes())));
        let refusal = world.refusal(&world.token(json!({}))).await;
        assert!(is_unavailable(refusal.kind), "{issuer}: {refusal:?}");
        assert_eq!(world.web.asked("/keys"), 0, "{issuer}");
    }
}
