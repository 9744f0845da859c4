//! What is believed, and whom it makes the caller: a check that refuses too much is one that
//! somebody will take away.

use kms_testkit::issuer::{Algorithm, Key, merge};
use serde_json::{Value, json};

use crate::world::{AUDIENCE, FURTHER, ISSUER, START, Setting, World, pass};

async fn check(setting: Setting, changes: Value, user: &str) {
    let world = World::with(setting);
    let token = world.token(changes);
    assert_eq!(world.user(&token).await, user);
    // From the cache too.
    assert_eq!(world.user(&token).await, user);
    assert_eq!(world.offer(&token).await.unwrap().scheme(), "bearer");
}

#[tokio::test(start_paused = true)]
async fn tokens_as_they_come() {
    for changes in [
        json!({}),
        json!({ "aud": ["https://id.example/userinfo", AUDIENCE] }),
        json!({ "nbf": START + 60, "iat": START + 60 }),
        json!({ "nbf": null, "iat": null, "azp": null }),
        json!({ "exp": 1_800_003_600.75 }),
        json!({ "exp": START - 59 }),
        json!({ "exp": 253_402_300_799_u64 }),
        json!({ "email_verified": true }),
        json!({ "nonce": "x", "at_hash": "y", "c_hash": "z" }),
        json!({ "permissions": ["read"], "scope": "openid", "x": { "email": "eve@example.com" } }),
        json!({ "x": "y".repeat(8000) }),
    ] {
        check(Setting::default(), changes, "alice@example.com").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_has_16_kib_and_no_more() {
    let world = World::new();
    let of = |header: &str, claims: usize| {
        let mut all = World::claims();
        merge(&mut all, json!({ "x": "y".repeat(claims) }));
        let mut text = world.curve.header();
        merge(&mut text, json!({ "x": header }));
        world.curve.forge(&text.to_string(), &all.to_string())
    };
    // Claims grow by four letters for three; the header makes up for what is between.
    let letters = ((16 << 10) - of("", 0).len()) / 4 * 3;
    let mut sizes = (letters - 6..=letters).flat_map(|it| ["", "y", "yy"].map(|more| (it, more)));
    let longest = sizes.find_map(|(letters, header)| {
        let token = of(header, letters);
        (token.len() == 16 << 10).then_some(token)
    });
    let longest = longest.unwrap();
    for _ in 0..2 {
        assert_eq!(world.user(&longest).await, "alice@example.com");
    }
    // Also where the beginning is remembered, which the first is not that waits for the keys.
    let refusal = world.refusal(&format!("{longest}A")).await;
    assert!(refusal.reason.contains("16385 bytes"), "{}", refusal.reason);
}

#[tokio::test(start_paused = true)]
async fn an_address_has_one_form() {
    for email in ["alice@example.com", "Alice@Example.COM"] {
        check(Setting::default(), json!({ "email": email }), "alice@example.com").await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_algorithms() {
    let world = World::new();
    let pss = Key::new("pss", Algorithm::Ps256);
    let p384 = Key::new("p384", Algorithm::Es384);
    // Of a key without `alg` either kind of RSA signature is one.
    let open = Key::new("open", Algorithm::Rs256);
    let mut entry = open.jwk();
    merge(&mut entry, json!({ "alg": null, "use": null, "key_ops": ["verify"] }));
    let entries = [world.rsa().jwk(), world.curve.jwk(), pss.jwk(), p384.jwk(), entry];
    world.web.publish(ISSUER, &entries);
    let other = open.known_as("open", Algorithm::Ps256);
    for key in [world.rsa(), &world.curve, &pss, &p384, &open, &other] {
        assert_eq!(world.user(&key.token(&World::claims())).await, "alice@example.com", "{key:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_types() {
    let world = World::new();
    for kind in
        [json!("JWT"), json!("jwt"), json!("at+jwt"), json!("application/AT+JWT"), json!(null)]
    {
        let token = world.with_header(json!({ "typ": kind }));
        assert_eq!(world.user(&token).await, "alice@example.com", "{kind}");
    }
    // What has no meaning here does no harm.
    let token = world.with_header(json!({ "x5t": "AAAA", "cty": "x" }));
    assert_eq!(world.user(&token).await, "alice@example.com");
}

#[tokio::test(start_paused = true)]
async fn any_audience_where_the_operator_wants_it() {
    for (audiences, build) in [(vec![], "dev"), (vec![], "staging"), (vec!["*"], "production")] {
        for aud in [json!("https://other.example/"), json!(["a", "b"]), json!(null)] {
            let setting = Setting { audiences: audiences.clone(), build, ..Setting::default() };
            check(setting, json!({ "aud": aud }), "alice@example.com").await;
        }
    }
    let audiences = vec!["https://other.example/", AUDIENCE];
    let setting = Setting { audiences, ..Setting::default() };
    check(setting, json!({}), "alice@example.com").await;
    // An ID token whose audience is ours, even where any would do.
    let setting = Setting { audiences: vec!["*", AUDIENCE], ..Setting::default() };
    check(setting, json!({ "nonce": "x" }), "alice@example.com").await;
}

#[tokio::test(start_paused = true)]
async fn another_claim_and_programs() {
    let claim = "https://example.com/email";
    let setting = Setting { user_claim: claim, ..Setting::default() };
    check(setting, json!({ claim: "Bob@example.com" }), "bob@example.com").await;
    let clients = || Setting { clients: true, ..Setting::default() };
    check(clients(), json!({}), "alice@example.com").await;
    for sub in ["client-1", "client-1@clients"] {
        check(clients(), json!({ "email": null, "sub": sub }), "client:client-1").await;
    }
    let changes = json!({ "email": null, "azp": null, "client_id": "Client-2", "sub": "Client-2" });
    check(clients(), changes, "client:Client-2").await;
}

#[tokio::test(start_paused = true)]
async fn expiry_is_relaxed_in_dev_and_staging_alone() {
    for build in ["dev", "staging"] {
        for exp in [START - 60, 0] {
            let setting = Setting { build, ..Setting::default() };
            check(setting, json!({ "exp": exp }), "alice@example.com").await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_ends_while_it_is_used() {
    let production = World::new();
    let token = production.token(json!({ "exp": START + 100 }));
    assert_eq!(production.user(&token).await, "alice@example.com");
    pass(159).await;
    assert_eq!(production.user(&token).await, "alice@example.com");
    pass(1).await;
    let refusal = production.refusal(&token).await;
    assert!(refusal.reason.starts_with("it ended at"), "{}", refusal.reason);
    let dev = World::with(Setting { build: "dev", ..Setting::default() });
    let token = dev.token(json!({ "exp": START + 100 }));
    assert_eq!(dev.user(&token).await, "alice@example.com");
    pass(1000).await;
    assert_eq!(dev.user(&token).await, "alice@example.com");
}

#[tokio::test(start_paused = true)]
async fn no_authority_speaks_for_another_s_users() {
    let world = World::with(Setting { further: true, clients: true, ..Setting::default() });
    let partner = Key::new("curve", Algorithm::Es256);
    world.web.publish(FURTHER, &[partner.jwk()]);
    let claims = |changes| {
        let mut claims = World::claims();
        merge(&mut claims, json!({ "iss": FURTHER }));
        merge(&mut claims, changes);
        claims
    };
    // Adding an authority has renamed nobody.
    assert_eq!(world.user(&world.token(json!({}))).await, "alice@example.com");
    let user = world.user(&partner.token(&claims(json!({})))).await;
    assert_eq!(user, "https://partner.example/realm|alice@example.com");
    let program = json!({ "email": null, "sub": "client-1" });
    let user = world.user(&partner.token(&claims(program))).await;
    assert_eq!(user, "https://partner.example/realm|client:client-1");
    // Each by its own keys, whatever they are called.
    for token in [partner.token(&World::claims()), world.curve.token(&claims(json!({})))] {
        let refusal = world.refusal(&token).await;
        assert!(refusal.reason.contains("signature"), "{}", refusal.reason);
    }
    // And by its own name, letter by letter.
    let token = partner.token(&claims(json!({ "iss": format!("{FURTHER}/") })));
    assert!(world.refusal(&token).await.reason.contains("is not ours"));
}

#[tokio::test(start_paused = true)]
async fn the_word_bearer_has_no_case() {
    let world = World::new();
    let token = world.token(json!({}));
    for header in [format!("bearer {token}"), format!("BEARER  {token}")] {
        let authorization = Some(header.as_bytes());
        let offered = kms_auth::Offered { authorization, ..kms_auth::Offered::default() };
        assert_eq!(world.ask(&offered).await.unwrap().user(), "alice@example.com");
    }
}
