//! A real identity provider and the server: logins, rotation of keys, outages, two authorities.

use kms_testkit::http::Answer;
use kms_testkit::provider::{AUDIENCE, CLAIM, CLIENT, Provider, Tls};
use kms_testkit::server::{Builder, Server};
use serde_json::json;

use crate::builder;

fn believing(provider: &Provider) -> Builder {
    builder()
        .environment("KMS_DELEGATED_AUTHORITY_DOMAIN", provider.issuer())
        .environment("KMS_JWT_AUDIENCE", AUDIENCE)
}

fn me(server: &Server, token: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    server.connect().request("GET", "/me", &[("authorization", &bearer)], b"")
}

/// `token` is that of this user; of none, where it must be refused.
fn check(server: &Server, what: &str, token: &str, user: Option<&str>) {
    let answer = me(server, token);
    if let Some(user) = user {
        assert_eq!(answer.json()["user_id"], json!(user), "{what}: {answer:?}");
    } else {
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        assert!(challenge.contains("error=\"invalid_token\""), "{what}: {challenge}");
        assert!(!answer.text().contains(token), "{what}");
    }
    let signature = token.rsplit('.').next().unwrap_or_default();
    assert!(signature.is_empty() || !server.log().contains(signature), "{what}: in the log");
}

/// A token that is for no audience: nobody but the provider can read it.
fn token_for_nobody(provider: &Provider) -> String {
    let fields = [("grant_type", "client_credentials"), ("client_id", "alice")];
    let fields =
        [&fields[..], &[("client_secret", "alice-secret"), ("resource", "https://other.test/")]];
    let answer = provider.post("/token", &fields.concat()).json();
    answer["access_token"].as_str().unwrap().to_owned()
}

#[test]
fn who_logs_in_is_the_user_of_that_address() {
    let provider = Provider::start();
    let server = believing(&provider).start();
    let alice = provider.log_in("alice");
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &alice.refresh_token),
        ("client_id", CLIENT),
        ("resource", AUDIENCE),
    ];
    let renewed = provider.post("/token", &fields).json();
    let renewed = renewed["access_token"].as_str().unwrap();
    for (what, token, user) in [
        ("a login", alice.access_token.as_str(), Some("alice@example.org")),
        ("a renewed token", renewed, Some("alice@example.org")),
        ("another user's login", &provider.user_token("bob"), Some("bob@example.org")),
        ("an address that was never verified", &provider.user_token("carol"), None),
        ("what the program is told of the login", &alice.id_token, None),
        ("what renews", &alice.refresh_token, None),
        ("a program without the claim", &provider.token("alice"), None),
        ("a token for another audience", &token_for_nobody(&provider), None),
    ] {
        check(&server, what, token, user);
    }
    assert_eq!(provider.asked("/jwks"), 1, "everything else was known");
}

#[test]
fn a_program_is_who_its_claim_says() {
    let provider = Provider::start();
    let server = believing(&provider).environment("KMS_JWT_USER_CLAIM", CLAIM).start();
    check(&server, "alice's program", &provider.token("alice"), Some("alice@example.org"));
    check(&server, "a user", &provider.user_token("bob"), Some("bob@example.org"));
    check(&server, "a program of nobody's", &provider.token("robot"), None);
}

#[test]
fn a_new_key_is_known_after_one_question_and_one_that_left_is_not() {
    let provider = Provider::start();
    let server = believing(&provider).start();
    let first = provider.user_token("alice");
    check(&server, "the first key", &first, Some("alice@example.org"));
    assert_eq!(provider.asked("/jwks"), 1);
    provider.replace_keys();
    check(&server, "nobody has told the server yet", &first, Some("alice@example.org"));
    let tokens: Vec<String> = (0..4).map(|_| provider.user_token("bob")).collect();
    std::thread::scope(|scope| {
        for token in tokens.iter().cycle().take(16) {
            let server = &server;
            scope.spawn(move || check(server, "the new key", token, Some("bob@example.org")));
        }
    });
    assert_eq!(provider.asked("/jwks"), 2);
    check(&server, "the key that left", &first, None);
    // Within the minute nobody causes another question, not even with a key that exists.
    provider.rotate();
    let third = provider.user_token("alice");
    check(&server, "a key that nobody asked about", &third, None);
    check(&server, "the key that is known", &tokens[0], Some("bob@example.org"));
    assert_eq!(provider.asked("/jwks"), 2);
}

#[test]
fn an_outage_of_the_provider_stops_nobody_whose_key_is_known() {
    let mut provider = Provider::start();
    let server = believing(&provider).start();
    let known = provider.user_token("alice");
    let [unseen, unseen_later] = [(); 2].map(|()| provider.user_token("bob"));
    check(&server, "before", &known, Some("alice@example.org"));
    provider.rotate();
    let unknown = provider.user_token("bob");
    provider.stop();
    check(&server, "a token that was seen", &known, Some("alice@example.org"));
    check(&server, "a token that was not", &unseen, Some("bob@example.org"));
    assert_try_again(&me(&server, &unknown));
    // Now it has noticed.
    check(&server, "a token that was seen, after that", &known, Some("alice@example.org"));
    check(&server, "a token that was not, after that", &unseen_later, Some("bob@example.org"));
}

/// The server cannot tell now: it lets nobody in, and says when it may know.
fn assert_try_again(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.text());
    let seconds = answer.header("retry-after").and_then(|seconds| seconds.parse().ok());
    assert!(seconds.is_some_and(|seconds: u32| (1..=60).contains(&seconds)), "{answer:?}");
}

#[test]
fn a_server_that_starts_before_its_provider_waits_for_it() {
    let mut provider = Provider::start();
    let token = provider.user_token("alice");
    provider.stop();
    let start = || {
        let server = believing(&provider).start();
        while !server.log().contains("cannot be fetched") {
            kms_testkit::server::pause();
        }
        server
    };
    let (asked, waiting) = (start(), start());
    assert_try_again(&me(&asked, &token));
    let nobody = asked.connect().get("/me");
    assert_eq!(nobody.status, 401, "{}", nobody.text());
    assert_eq!(asked.connect().get("/version").status, 200);
    provider.start_again();
    // This one has a question left in the minute.
    check(&waiting, "once it answers", &token, Some("alice@example.org"));
}

#[test]
fn one_provider_cannot_speak_for_the_users_of_another() {
    let (home, other) = (Provider::start(), Provider::start());
    let server = believing(&home).environment("KMS_AUTHORITIES", other.issuer()).start();
    let stranger = Provider::start();
    let scoped = format!("{}|alice@example.org", other.issuer());
    for (what, token, user) in [
        ("the first authority's", home.user_token("alice"), Some("alice@example.org")),
        ("the second's", other.user_token("alice"), Some(scoped.as_str())),
        ("nobody's", stranger.user_token("alice"), None),
    ] {
        check(&server, what, &token, user);
    }
}

#[test]
fn a_provider_that_nobody_else_trusts_is_trusted_by_file() {
    let files = builder();
    let tls = Tls::unknown(files.directory());
    let trusted = tls.certificate.clone();
    let provider = Provider::start_with_tls(tls);
    assert!(provider.issuer().starts_with("https://"), "{}", provider.issuer());
    let token = provider.user_token("alice");
    let wary = believing(&provider).start();
    assert_try_again(&me(&wary, &token));
    let told = believing(&provider).environment("KMS_TRUSTED_CA_PATH", trusted).start();
    check(&told, "by the file", &token, Some("alice@example.org"));
}
