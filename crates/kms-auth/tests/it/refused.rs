//! Every token that must not be believed: a row for each, and for each a test.
//!
//! The rules are those of production; what every build refuses is tried with those of every build.

use kms_auth::{Kind, Offered};
use kms_testkit::issuer::{
    Algorithm, Key, assemble, base64url, forge_with_secret, merge, signed_part,
};
use serde_json::{Value, json};

use crate::world::{AUDIENCE, ISSUER, START, Setting, World};

/// A token must be refused by this build, and the log must say why.
async fn check(build: &'static str, make: impl Fn(&World) -> String, reason: &str) {
    let world = World::with(Setting { build, ..Setting::default() });
    // What is refused is refused by its own fault.
    assert_eq!(world.user(&world.token(json!({}))).await, "alice@example.com");
    let token = make(&world);
    for again in ["first", "again"] {
        let refusal = world.refusal(&token).await;
        assert_eq!(refusal.kind, Kind::Invalid, "{again}: {}", refusal.reason);
        assert!(refusal.reason.contains(reason), "{again}: {} is not {reason}", refusal.reason);
        for part in token.split('.').filter(|part| part.len() > 8) {
            assert!(!format!("{refusal:?}").contains(part), "{refusal:?} shows the token");
        }
    }
}

macro_rules! refused {
    ($($name:ident: $make:expr, $reason:literal;)*) => {$(
        #[tokio::test(start_paused = true)]
        async fn $name() {
            check("production", $make, $reason).await;
        }
    )*};
}

macro_rules! refused_by_every_build {
    ($($name:ident: $make:expr, $reason:literal;)*) => {$(
        #[tokio::test(start_paused = true)]
        async fn $name() {
            for build in ["dev", "staging", "production"] {
                check(build, $make, $reason).await;
            }
        }
    )*};
}

/// Good claims as a text, in which this one is there twice.
fn twice(name: &str, value: &Value) -> String {
    let claims = World::claims().to_string();
    claims.replacen('{', &format!("{{\"{name}\":{value},"), 1)
}

fn header(key: &Key, changes: Value) -> String {
    let mut header = key.header();
    merge(&mut header, changes);
    header.to_string()
}

/// An integer as DER has it.
fn der_integer(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().position(|byte| *byte != 0).unwrap();
    let mut contents = bytes[start..].to_vec();
    if contents[0] >= 0x80 {
        contents.insert(0, 0);
    }
    [&[2, u8::try_from(contents.len()).unwrap()], contents.as_slice()].concat()
}

fn good() -> String {
    World::claims().to_string()
}

// The form.
refused! {
    nothing: |_| String::new(), "there is no token";
    an_opaque_token: |_| "v2.local-opaque-text".to_owned(), "opaque";
    a_word: |_| "opaque".to_owned(), "opaque";
    an_encrypted_token: |_| "eyJhbGciOiJSU0EtT0FFUCJ9.AAAA.BBBB.CCCC.DDDD".to_owned(), "encrypted";
    four_parts: |world| format!("{}.AAAA", world.token(json!({}))), "4 parts";
    several_signatures: |world| {
        let token = world.token(json!({}));
        let parts: Vec<_> = token.split('.').collect();
        let one = json!({ "protected": parts[0], "signature": parts[2] });
        json!({ "payload": parts[1], "signatures": [one, one] }).to_string()
    }, "no JWT";
    one_signature_as_json: |world| {
        let token = world.token(json!({}));
        let parts: Vec<_> = token.split('.').collect();
        json!({ "payload": parts[1], "protected": parts[0], "signature": parts[2] }).to_string()
    }, "no JWT";
    more_than_16_kib: |world| world.token(json!({ "x": "y".repeat(16 << 10) })), "more than 16384";
    padding: |world| world.token(json!({})).replacen('.', "=.", 1), "its header";
    a_line_end: |world| world.token(json!({})).replacen('.', "\n.", 1), "its header";
    a_blank_in_the_middle: |world| world.token(json!({})).replacen('.', " .", 1), "its header";
    a_header_that_is_no_object: |world| world.curve.forge("[]", &good()), "its header";
    a_header_that_is_no_json: |world| world.curve.forge("{", &good()), "its header";
    claims_that_are_no_object: |world| {
        world.curve.forge(&world.curve.header().to_string(), "\"alice\"")
    }, "its claims";
    claims_that_are_nested_deep: |world| {
        let deep = format!("{{\"x\":{}{}}}", "[".repeat(2000), "]".repeat(2000));
        world.curve.forge(&world.curve.header().to_string(), &deep)
    }, "its claims";
    text_after_the_claims: |world| {
        world.curve.forge(&world.curve.header().to_string(), &format!("{} {{}}", good()))
    }, "its claims";
}

// The algorithm.
refused! {
    alg_none: |world| {
        assemble(&signed_part(&header(&world.curve, json!({ "alg": "none" })), &good()), b"")
    }, "\"none\" is not accepted";
    alg_none_in_another_spelling: |world| {
        assemble(&signed_part(&header(&world.curve, json!({ "alg": "NonE" })), &good()), b"")
    }, "is not accepted";
    alg_none_with_a_signature: |world| world.with_header(json!({ "alg": "none" })), "not accepted";
    hs256_with_the_public_key_as_secret: |world| {
        let header = header(world.rsa(), json!({ "alg": "HS256" }));
        forge_with_secret(world.rsa().public_pem().as_bytes(), &header, &good())
    }, "\"HS256\" is not accepted";
    hs512_with_the_public_key_as_secret: |world| {
        let header = header(world.rsa(), json!({ "alg": "HS512" }));
        forge_with_secret(world.rsa().public_pem().as_bytes(), &header, &good())
    }, "\"HS512\" is not accepted";
    no_alg: |world| world.with_header(json!({ "alg": null })), "no `alg`";
    alg_in_lower_case: |world| world.with_header(json!({ "alg": "es256" })), "is not accepted";
    alg_that_is_no_text: |world| world.with_header(json!({ "alg": ["ES256"] })), "`alg`";
    rs256_on_a_key_of_a_curve: |world| world.with_header(json!({ "alg": "RS256" })), "not one for";
    es256_on_an_rsa_key: |world| {
        world.rsa().forge(&header(world.rsa(), json!({ "alg": "ES256" })), &good())
    }, "its key is not one for ES256";
    es384_on_a_key_of_p256: |world| world.with_header(json!({ "alg": "ES384" })), "not one for";
    // The signature is good: the key set says that the key is for RS256.
    ps256_on_a_key_for_rs256: |world| {
        let pss = world.rsa().known_as("rsa", Algorithm::Ps256);
        pss.token(&World::claims())
    }, "its key is not one for PS256";
}

// The key.
refused! {
    an_unknown_kid: |world| world.with_header(json!({ "kid": "other" })), "\"other\" is not known";
    a_kid_in_another_spelling: |world| world.with_header(json!({ "kid": "CURVE" })), "not known";
    a_kid_that_is_a_path: |world| world.with_header(json!({ "kid": "../../dev/null" })), "not known";
    no_kid: |world| world.with_header(json!({ "kid": null })), "no `kid`";
    a_kid_that_is_no_text: |world| world.with_header(json!({ "kid": 1 })), "`kid`";
    another_s_key_of_that_name: |_| {
        Key::new("curve", Algorithm::Es256).token(&World::claims())
    }, "signature";
    another_s_rsa_key_of_that_name: |world| {
        world.rsa();
        Key::new("rsa", Algorithm::Rs256).token(&World::claims())
    }, "signature";
    a_key_that_the_token_brings: |_| {
        let key = Key::new("curve", Algorithm::Es256);
        key.forge(&header(&key, json!({ "jwk": key.jwk() })), &good())
    }, "its header has `jwk`";
    jwk: |world| world.with_header(json!({ "jwk": world.curve.jwk() })), "its header has `jwk`";
    jku: |world| world.with_header(json!({ "jku": "https://evil.example/keys" })), "has `jku`";
    x5u: |world| world.with_header(json!({ "x5u": "https://evil.example/cert" })), "has `x5u`";
    x5c: |world| world.with_header(json!({ "x5c": ["AAAA"] })), "its header has `x5c`";
    crit: |world| world.with_header(json!({ "crit": ["exp"] })), "its header has `crit`";
    b64: |world| world.with_header(json!({ "b64": false })), "its header has `b64`";
    zip: |world| world.with_header(json!({ "zip": "DEF" })), "its header has `zip`";
    a_header_that_is_there_but_null: |world| {
        let text = world.curve.header().to_string().replacen('{', "{\"jku\":null,", 1);
        world.curve.forge(&text, &good())
    }, "its header has `jku`";
}

// The signature.
refused! {
    no_signature: |world| {
        let token = world.token(json!({}));
        let (signed, _) = token.rsplit_once('.').unwrap();
        format!("{signed}.")
    }, "signature";
    a_signature_of_zeros: |world| {
        assemble(&signed_part(&world.curve.header().to_string(), &good()), &[0; 64])
    }, "signature";
    a_signature_in_der: |world| {
        let signed = signed_part(&world.curve.header().to_string(), &good());
        let signature = world.curve.sign(signed.as_bytes());
        let (r, s) = signature.split_at(32);
        let body = [der_integer(r), der_integer(s)].concat();
        let der = [&[0x30, u8::try_from(body.len()).unwrap()], body.as_slice()].concat();
        assemble(&signed, &der)
    }, "signature";
    a_signature_with_padding: |world| format!("{}==", world.token(json!({}))), "signature";
    other_claims_under_the_signature: |world| {
        let token = world.token(json!({}));
        let parts: Vec<_> = token.split('.').collect();
        let claims = good().replace("alice", "admin");
        format!("{}.{}.{}", parts[0], base64url(claims.as_bytes()), parts[2])
    }, "signature";
    another_header_under_the_signature: |world| {
        let token = world.token(json!({}));
        let parts: Vec<_> = token.split('.').collect();
        let header = header(&world.curve, json!({ "typ": "JWT" }));
        format!("{}.{}.{}", base64url(header.as_bytes()), parts[1], parts[2])
    }, "signature";
}

// Who made it, for whom, for what.
refused! {
    a_wrong_issuer: |world| world.token(json!({ "iss": "https://evil.example/" })), "is not ours";
    an_issuer_without_the_slash: |world| {
        world.token(json!({ "iss": ISSUER.trim_end_matches('/') }))
    }, "is not ours";
    an_issuer_with_more_slashes: |world| world.token(json!({ "iss": format!("{ISSUER}/") })), "ours";
    an_issuer_in_capitals: |world| world.token(json!({ "iss": "https://ID.example/" })), "not ours";
    no_issuer: |world| world.token(json!({ "iss": null })), "no issuer";
    several_issuers: |world| world.token(json!({ "iss": [ISSUER] })), "`iss`";
    a_wrong_audience: |world| world.token(json!({ "aud": "https://other.example/" })), "audience";
    several_wrong_audiences: |world| world.token(json!({ "aud": ["a", "b"] })), "audience is";
    the_start_of_the_audience: |world| world.token(json!({ "aud": "https://kms.example" })), "aud";
    more_than_the_audience: |world| world.token(json!({ "aud": format!("{AUDIENCE}x") })), "audi";
    no_audience: |world| world.token(json!({ "aud": null })), "its audience is \"\"";
    an_empty_list_of_audiences: |world| world.token(json!({ "aud": [] })), "its audience is \"\"";
    an_audience_that_is_no_text: |world| world.token(json!({ "aud": 1 })), "(`aud`)";
    audiences_that_are_not_all_texts: |world| world.token(json!({ "aud": [AUDIENCE, 1] })), "`aud`";
    the_audience_as_a_name: |world| world.token(json!({ "aud": { AUDIENCE: true } })), "(`aud`)";
    no_subject: |world| world.token(json!({ "sub": null })), "(`sub`)";
    an_empty_subject: |world| world.token(json!({ "sub": "" })), "(`sub`)";
    a_subject_that_is_no_text: |world| world.token(json!({ "sub": 1 })), "(`sub`)";
    a_logout_token: |world| world.with_header(json!({ "typ": "logout+jwt" })), "its type";
    a_dpop_proof: |world| world.with_header(json!({ "typ": "dpop+jwt" })), "its type";
    a_type_that_is_no_text: |world| world.with_header(json!({ "typ": 1 })), "`typ`";
    an_event: |world| world.token(json!({ "events": {} })), "`events`";
}

// When.
refused_by_every_build! {
    no_exp: |world| world.token(json!({ "exp": null })), "does not say when it ends";
    an_exp_that_is_a_text: |world| {
        world.token(json!({ "exp": (START + 3600).to_string() }))
    }, "its `exp` is no time";
    an_exp_that_is_null: |world| {
        let text = good().replacen(&format!("{}", START + 3600), "null", 1);
        world.curve.forge(&world.curve.header().to_string(), &text)
    }, "its `exp` is no time";
    an_exp_that_is_true: |world| world.token(json!({ "exp": true })), "its `exp` is no time";
    an_exp_that_is_a_list: |world| world.token(json!({ "exp": [START] })), "its `exp` is no time";
    an_exp_before_1970: |world| world.token(json!({ "exp": -1 })), "its `exp` is no time";
    an_exp_past_all_time: |world| world.token(json!({ "exp": 1e300 })), "its `exp` is no time";
    an_exp_twice: |world| {
        world.curve.forge(&world.curve.header().to_string(), &twice("exp", &json!(START + 9)))
    }, "\"exp\" is there twice";
    an_nbf_in_the_future: |world| world.token(json!({ "nbf": START + 61 })), "its `nbf`";
    an_nbf_that_is_a_text: |world| world.token(json!({ "nbf": "0" })), "its `nbf` is no time";
    an_iat_in_the_future: |world| world.token(json!({ "iat": START + 61 })), "its `iat`";
    an_iat_that_is_a_text: |world| world.token(json!({ "iat": "0" })), "its `iat` is no time";
}

refused! {
    an_exp_in_the_past: |world| world.token(json!({ "exp": START - 60 })), "it ended at";
    an_exp_of_long_ago: |world| world.token(json!({ "exp": 0 })), "it ended at";
}

// Which user.
refused! {
    no_email: |world| world.token(json!({ "email": null })), "it has no claim email";
    an_empty_email: |world| world.token(json!({ "email": "" })), "its claim email";
    an_email_that_is_null: |world| {
        let text = good().replacen("\"alice@example.com\"", "null", 1);
        world.curve.forge(&world.curve.header().to_string(), &text)
    }, "its claim email is not a text";
    an_email_that_is_a_list: |world| {
        world.token(json!({ "email": ["alice@example.com"] }))
    }, "its claim email is not a text";
    an_email_without_an_at: |world| world.token(json!({ "email": "alice" })), "one @";
    an_email_with_two: |world| world.token(json!({ "email": "a@b@example.com" })), "one @";
    the_name_admin: |world| world.token(json!({ "email": "admin" })), "its claim email";
    the_name_admin_in_capitals: |world| world.token(json!({ "email": "ADMIN" })), "claim email";
    everybody: |world| world.token(json!({ "email": "*" })), "its claim email";
    a_name_like_a_certificate_s: |world| {
        world.token(json!({ "email": "cert:alice@example.com" }))
    }, "like another kind of name";
    a_name_like_an_api_token_s: |world| {
        world.token(json!({ "email": "Token:alice@example.com" }))
    }, "like another kind of name";
    a_name_like_a_password_s: |world| {
        world.token(json!({ "email": "user:alice@example.com" }))
    }, "like another kind of name";
    a_name_like_a_program_s: |world| {
        world.token(json!({ "email": "client:alice@example.com" }))
    }, "like another kind of name";
    a_name_like_another_authority_s: |world| {
        world.token(json!({ "email": "https://partner.example/realm|bob@example.com" }))
    }, "like another kind of name";
    an_email_with_a_blank: |world| world.token(json!({ "email": "a b@example.com" })), "blanks";
    an_email_with_a_line_end: |world| world.token(json!({ "email": "a@example.com\n" })), "blanks";
    an_email_in_other_letters: |world| {
        world.token(json!({ "email": "\u{430}lice@example.com" }))
    }, "ASCII";
    an_email_that_is_too_long: |world| {
        world.token(json!({ "email": format!("{}@example.com", "a".repeat(250)) }))
    }, "1 to 255 bytes";
    an_email_that_is_not_verified: |world| {
        world.token(json!({ "email_verified": false }))
    }, "email_verified is not true";
    an_email_of_which_that_is_unclear: |world| {
        world.token(json!({ "email_verified": "yes" }))
    }, "email_verified is not true";
    an_email_twice: |world| {
        let claims = twice("email", &json!("admin@example.com"));
        world.curve.forge(&world.curve.header().to_string(), &claims)
    }, "\"email\" is there twice";
    an_email_twice_in_another_spelling: |world| {
        let claims = twice("\\u0065mail", &json!("admin@example.com"));
        world.curve.forge(&world.curve.header().to_string(), &claims)
    }, "\"email\" is there twice";
    a_subject_twice: |world| {
        world.curve.forge(&world.curve.header().to_string(), &twice("sub", &json!("x")))
    }, "\"sub\" is there twice";
    an_audience_twice: |world| {
        world.curve.forge(&world.curve.header().to_string(), &twice("aud", &json!(AUDIENCE)))
    }, "\"aud\" is there twice";
    a_claim_of_no_meaning_twice: |world| {
        let claims = twice("x", &json!(1)).replacen('{', "{\"x\":2,", 1);
        world.curve.forge(&world.curve.header().to_string(), &claims)
    }, "\"x\" is there twice";
    an_alg_twice: |world| {
        let header = world.curve.header().to_string().replacen('{', "{\"alg\":\"none\",", 1);
        world.curve.forge(&header, &good())
    }, "\"alg\" is there twice";
    a_kid_twice: |world| {
        let header = world.curve.header().to_string().replacen('{', "{\"kid\":\"rsa\",", 1);
        world.curve.forge(&header, &good())
    }, "\"kid\" is there twice";
}

/// What is refused where the build, the audience or another option is not the usual one.
async fn check_with(setting: Setting, changes: Value, reason: &str) {
    let world = World::with(setting);
    let refusal = world.refusal(&world.token(changes)).await;
    assert!(refusal.reason.contains(reason), "{}", refusal.reason);
    assert_eq!(refusal.kind, Kind::Invalid);
}

#[tokio::test(start_paused = true)]
async fn an_id_token_where_any_audience_will_do() {
    for name in ["nonce", "at_hash", "c_hash"] {
        for audiences in [vec![], vec!["*"], vec!["*", AUDIENCE]] {
            for build in ["dev", "production"] {
                let audiences = audiences.clone();
                let setting = Setting { build, audiences, ..Setting::default() };
                let claims = json!({ "aud": "client-1", name: "x" });
                check_with(setting, claims, &format!("it has `{name}`")).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn another_claim_that_is_not_verified() {
    let claim = "https://example.com/email";
    for verified in ["email_verified", "https://example.com/email_verified"] {
        let setting = Setting { user_claim: claim, ..Setting::default() };
        let changes = json!({ claim: "alice@example.com", verified: false });
        check_with(setting, changes, &format!("{verified} is not true")).await;
    }
    // What another claim says is not asked.
    let setting = Setting { user_claim: claim, ..Setting::default() };
    check_with(setting, json!({}), "it has no claim https://example.com/email").await;
}

#[tokio::test(start_paused = true)]
async fn a_program_without_a_name() {
    for (changes, reason) in [
        (json!({ "azp": null }), "nor `client_id`"),
        (json!({ "azp": "", "sub": "@clients" }), "it is a user's"),
        (json!({ "azp": 1, "client_id": "client-1" }), "`azp`"),
        (json!({ "azp": "a b", "sub": "a b" }), "its claim email"),
    ] {
        let setting = Setting { clients: true, ..Setting::default() };
        let mut all = json!({ "email": null });
        all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        // `null` takes away, and so the changes are made to the claims themselves.
        check_with(setting, all, reason).await;
    }
    // A bad address is not mended by being a program's.
    let setting = Setting { clients: true, ..Setting::default() };
    check_with(setting, json!({ "email": "admin" }), "its claim email").await;
}

/// A program has tokens of its users too, and they name it. Without an address they would all be the
/// program.
#[tokio::test(start_paused = true)]
async fn a_user_without_an_address_is_no_program() {
    for sub in ["auth0|1", "client-10", "client-1@client", "xclient-1", "Client-1", "client-1 "] {
        let setting = Setting { clients: true, ..Setting::default() };
        check_with(setting, json!({ "email": null, "sub": sub }), "it is a user's").await;
    }
    let setting = Setting { clients: true, ..Setting::default() };
    let changes =
        json!({ "email": null, "azp": "client-2", "client_id": "client-1", "sub": "client-1" });
    check_with(setting, changes, "it is a user's").await;
}

#[tokio::test(start_paused = true)]
async fn no_token_at_all() {
    let world = World::new();
    for header in [None, Some("Basic YWxpY2U6cHc="), Some("Bearertoken"), Some("")] {
        let offered = Offered { authorization: header.map(str::as_bytes), ..Offered::default() };
        let refusal = world.ask(&offered).await.unwrap_err();
        assert_eq!(refusal.kind, Kind::Missing, "{header:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_authorization_headers() {
    let world = World::new();
    let header = format!("Bearer {}", world.token(json!({})));
    let once = Offered { authorization: Some(header.as_bytes()), ..Offered::default() };
    assert!(world.ask(&once).await.is_ok());
    let twice = Offered { authorization_repeated: true, ..once };
    let refusal = world.ask(&twice).await.unwrap_err();
    assert_eq!(refusal.kind, Kind::Invalid);
    assert!(refusal.reason.contains("several Authorization headers"), "{}", refusal.reason);
}

#[tokio::test(start_paused = true)]
async fn what_a_forger_is_told_is_always_the_same() {
    let world = World::new();
    let told = world.refusal(&world.with_header(json!({ "kid": "other" }))).await.message;
    for token in [
        world.with_header(json!({ "alg": "none" })),
        world.with_header(json!({ "jku": "x" })),
        Key::new("curve", Algorithm::Es256).token(&World::claims()),
        world.token(json!({ "iss": "https://evil.example/" })),
    ] {
        assert_eq!(world.refusal(&token).await.message, told);
    }
    // And whoever has a token of ours is told what to change.
    let expired = world.refusal(&world.token(json!({ "exp": START - 100 }))).await;
    assert_eq!(expired.message, "the token has expired; log in again");
    let audience = world.refusal(&world.token(json!({ "aud": "x" }))).await;
    assert!(audience.message.contains("audience"), "{}", audience.message);
}
