//! Which keys of a set are believed, and which sets are none.

use kms_auth::Kind;
use kms_testkit::issuer::{Algorithm, Key, base64url, forge_with_secret, merge};
use serde_json::{Value, json};

use crate::world::{ISSUER, World};

fn changed(key: &Key, changes: Value) -> Value {
    let mut entry = key.jwk();
    merge(&mut entry, changes);
    entry
}

/// A token by a good key of a good algorithm is refused because of how the set names the key, and
/// the other keys of the set are believed.
async fn check(changes: Value, by: &Key) {
    let world = World::new();
    world.web.publish(ISSUER, &[changed(by, changes.clone()), world.curve.jwk()]);
    assert_eq!(world.user(&world.token(json!({}))).await, "alice@example.com");
    let refusal = world.refusal(&by.token(&World::claims())).await;
    let reasons = ["is not known", "is not one for", "signature"];
    assert!(
        reasons.iter().any(|reason| refusal.reason.contains(reason)),
        "{changes}: {}",
        refusal.reason
    );
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_not_for_this_are_dropped_and_the_rest_stays() {
    let rsa = Key::new("other", Algorithm::Rs256);
    let curve = Key::new("other", Algorithm::Es256);
    for changes in [
        json!({ "use": "enc" }),
        json!({ "use": 1 }),
        json!({ "key_ops": ["sign"] }),
        json!({ "key_ops": [] }),
        json!({ "key_ops": "verify" }),
        json!({ "alg": "PS256" }),
        json!({ "alg": "ES256" }),
        json!({ "alg": "HS256" }),
        json!({ "alg": "RSA-OAEP" }),
        json!({ "alg": 1 }),
        json!({ "kty": "EC" }),
        json!({ "kty": "oct" }),
        json!({ "kty": "OKP" }),
        json!({ "kty": null }),
        json!({ "kid": null }),
        json!({ "kid": "" }),
        json!({ "kid": 7 }),
        json!({ "kid": "x".repeat(257) }),
        json!({ "n": null }),
        json!({ "n": "***" }),
        json!({ "e": "AQ" }),
        json!({ "e": "Ag" }),
        json!({ "d": "AAAA" }),
    ] {
        check(changes, &rsa).await;
    }
    for changes in [
        json!({ "crv": "P-384" }),
        json!({ "crv": "secp256k1" }),
        json!({ "crv": null }),
        json!({ "alg": "RS256" }),
        json!({ "x": "AAAA" }),
        json!({ "x": base64url(&[0; 32]) }),
        json!({ "y": null }),
        json!({ "kty": "RSA" }),
    ] {
        check(changes, &curve).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_symmetric_key_in_the_set_vouches_for_nobody() {
    let world = World::new();
    let secret = b"a secret of 32 bytes, and public";
    let entry = json!({ "kty": "oct", "kid": "oct", "alg": "HS256", "k": base64url(secret) });
    world.web.publish(ISSUER, &[entry, world.curve.jwk()]);
    assert_eq!(world.user(&world.token(json!({}))).await, "alice@example.com");
    for alg in ["HS256", "ES256", "RS256"] {
        let header = json!({ "alg": alg, "kid": "oct" }).to_string();
        let token = forge_with_secret(secret, &header, &World::claims().to_string());
        assert_eq!(world.refusal(&token).await.kind, Kind::Invalid, "{alg}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_keys_of_one_name_vouch_for_nobody() {
    let (one, two) = (Key::new("same", Algorithm::Es256), Key::new("same", Algorithm::Es256));
    // Also where one of them could not be used.
    for second in [two.jwk(), changed(&two, json!({ "use": "enc" }))] {
        for order in [[one.jwk(), second.clone()], [second.clone(), one.jwk()]] {
            let world = World::new();
            let entries = [&order[..], &[world.curve.jwk()]].concat();
            world.web.publish(ISSUER, &entries);
            assert_eq!(world.user(&world.token(json!({}))).await, "alice@example.com");
            let fetches = world.web.asked("/keys");
            for key in [&one, &two] {
                let refusal = world.refusal(&key.token(&World::claims())).await;
                assert!(refusal.reason.contains("several keys"), "{}", refusal.reason);
            }
            // Their name is known: nobody is asked again.
            assert_eq!(world.web.asked("/keys"), fetches);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rsa_keys_have_2048_bits_or_more() {
    for bytes in [128, 255, 1025] {
        let world = World::new();
        let mut n = vec![0xC1; bytes];
        n.insert(0, 0);
        let entry = json!({ "kty": "RSA", "kid": "short", "n": base64url(&n), "e": "AQAB" });
        world.web.publish(ISSUER, &[entry, world.curve.jwk()]);
        let token = world.with_header(json!({ "kid": "short", "alg": "RS256" }));
        let refusal = world.refusal(&token).await;
        assert!(refusal.reason.contains("is not known"), "{bytes}: {}", refusal.reason);
    }
    // One that is long enough is there, and does not fit.
    let world = World::new();
    let n = base64url(&[0xC1; 256]);
    let entry = json!({ "kty": "RSA", "kid": "short", "n": n, "e": "AQAB" });
    world.web.publish(ISSUER, &[entry]);
    let token = world.with_header(json!({ "kid": "short", "alg": "RS256" }));
    let refusal = world.refusal(&token).await;
    assert!(refusal.reason.contains("signature"), "{}", refusal.reason);
}

/// A set of `count` keys, of which the first is `key`.
fn many(key: &Key, count: usize) -> String {
    let others = (1..count).map(|number| changed(key, json!({ "kid": number.to_string() })));
    let keys: Vec<_> = std::iter::once(key.jwk()).chain(others).collect();
    json!({ "keys": keys }).to_string()
}

#[tokio::test(start_paused = true)]
async fn a_set_has_a_hundred_keys_at_most() {
    let world = World::new();
    let set = many(&world.curve, 100).into_bytes();
    world.web.put("https://id.example/keys", Ok((200, set)));
    assert_eq!(world.user(&world.token(json!({}))).await, "alice@example.com");
}

#[tokio::test(start_paused = true)]
async fn a_set_that_is_none_lets_nobody_in() {
    let key = Key::new("curve", Algorithm::Es256);
    let twice = key.jwk().to_string().replacen('{', "{\"kid\":\"x\",", 1);
    for text in [
        String::new(),
        "<html></html>".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        r#"{"keys": {}}"#.to_owned(),
        r#"{"keys": []}"#.to_owned(),
        r#"{"keys": [1]}"#.to_owned(),
        format!("{{\"keys\": [{twice}]}}"),
        format!("{{\"keys\": [{}], \"keys\": []}}", key.jwk()),
        json!({ "keys": [changed(&key, json!({ "use": "enc" }))] }).to_string(),
        many(&key, 101),
    ] {
        let world = World::new();
        world.web.put("https://id.example/keys", Ok((200, text.clone().into_bytes())));
        let refusal = world.refusal(&key.token(&World::claims())).await;
        assert!(matches!(refusal.kind, Kind::Unavailable { .. }), "{text}: {refusal:?}");
    }
}
