//! The provider does what the tests of others take for granted.

#![expect(clippy::unwrap_used, reason = "tests")]

use base64ct::{Base64UrlUnpadded, Encoding};
use kms_testkit::chromium::Chromium;
use kms_testkit::provider::{AUDIENCE, CLAIM, CLIENT, Provider};
use serde_json::{Value, json};

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&Base64UrlUnpadded::decode_vec(part).unwrap()).unwrap()
}

fn claim(token: &str, name: &str) -> Value {
    part(token, 1).get(name).cloned().unwrap_or_default()
}

#[test]
fn programs_and_users_get_tokens_for_the_audience() {
    let provider = Provider::start();
    let program = provider.token("alice");
    let user = provider.log_in("bob");
    let unverified = provider.user_token("carol");
    for (token, name, expected) in [
        (&program, "iss", json!(provider.issuer())),
        (&program, "aud", json!(AUDIENCE)),
        (&program, CLAIM, json!("alice@example.org")),
        (&program, "email", Value::Null),
        (&provider.token("robot"), CLAIM, Value::Null),
        (&user.access_token, "aud", json!(AUDIENCE)),
        (&user.access_token, "email", json!("bob@example.org")),
        (&user.access_token, "email_verified", json!(true)),
        (&user.id_token, "aud", json!(CLIENT)),
        (&user.id_token, "sub", json!("bob")),
        (&unverified, "email_verified", json!(false)),
    ] {
        assert_eq!(claim(token, name), expected, "{name} of {}", part(token, 1));
    }
    let life =
        |token: &str| claim(token, "exp").as_i64().unwrap() - claim(token, "iat").as_i64().unwrap();
    assert_eq!(life(&program), 300);
    provider.set_lifetime(7);
    assert_eq!(life(&provider.token("alice")), 7);
    assert_eq!(life(&provider.user_token("alice")), 7);
}

#[test]
fn a_refresh_token_is_good_once_and_can_be_given_back() {
    let provider = Provider::start();
    let refresh = |token: &str| {
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("client_id", CLIENT),
            ("resource", AUDIENCE),
        ];
        provider.post("/token", &fields)
    };
    let first = provider.log_in("alice");
    let answer = refresh(&first.refresh_token).json();
    let second = answer["refresh_token"].as_str().unwrap();
    assert_eq!(claim(answer["access_token"].as_str().unwrap(), "email"), "alice@example.org");
    let gone = provider.post("/token/revocation", &[("token", second), ("client_id", CLIENT)]);
    assert_eq!(gone.status, 200, "{}", gone.text());
    for token in [second, &first.refresh_token] {
        assert_eq!(refresh(token).json()["error"], "invalid_grant");
    }
}

#[test]
fn a_device_gets_a_token_when_its_user_has_confirmed() {
    let provider = Provider::start();
    let fields = [("client_id", CLIENT), ("scope", "openid email"), ("resource", AUDIENCE)];
    let asked = provider.post("/device/auth", &fields).json();
    let code = asked["device_code"].as_str().unwrap();
    let ask = || {
        let grant = "urn:ietf:params:oauth:grant-type:device_code";
        let fields = [
            ("grant_type", grant),
            ("device_code", code),
            ("client_id", CLIENT),
            ("resource", AUDIENCE),
        ];
        provider.post("/token", &fields).json()
    };
    assert_eq!(ask()["error"], "authorization_pending");
    // The provider names itself by the host that it was asked under.
    let query = format!("device?user_code={}", asked["user_code"].as_str().unwrap());
    let page = Provider::visit_as("alice", &format!("{}{query}", provider.issuer()));
    assert!(page.text.contains("successful"), "{}", page.text);
    assert_eq!(claim(ask()["access_token"].as_str().unwrap(), "email"), "alice@example.org");
}

#[test]
fn keys_change_and_outlive_an_outage() {
    let mut provider = Provider::start();
    let kid = |provider: &Provider| part(&provider.token("alice"), 0)["kid"].clone();
    let first = kid(&provider);
    let second = provider.rotate();
    assert_eq!(part(&provider.token("alice"), 0)["alg"], "ES256");
    assert_eq!(kid(&provider), json!(second));
    let address = provider.address();
    provider.stop();
    assert!(std::net::TcpStream::connect(address).is_err());
    provider.start_again();
    assert_eq!(provider.address(), address);
    assert_eq!(kid(&provider), json!(second));
    assert_eq!(provider.asked("/token"), 1, "since it was started");
    let third = provider.replace_keys();
    let user = provider.user_token("alice");
    assert_eq!(part(&user, 0)["kid"], json!(third));
    assert!(first != json!(second) && first != json!(third));
}

#[test]
fn a_real_browser_gets_through_the_pages() {
    let provider = Provider::start();
    let browser = Chromium::start();
    let device = || {
        let fields = [("client_id", CLIENT), ("scope", "openid email"), ("resource", AUDIENCE)];
        let asked = provider.post("/device/auth", &fields).json();
        format!("{}device?user_code={}", provider.issuer(), asked["user_code"].as_str().unwrap())
    };
    browser.visit(&device());
    browser.wait_for("Confirm Device");
    browser.click("button[autofocus]");
    browser.wait_for("Log in");
    browser.fill_in("input[name=login]", "nobody@example.org");
    browser.click("button[type=submit]");
    browser.wait_for("Nobody of that name.");
    browser.fill_in("input[name=login]", "alice@example.org");
    browser.click("button[type=submit]");
    browser.wait_for("successful");
}
