//! Bearer tokens over real sockets: who is let in, what becomes of those who are not, and what the
//! server does about an authority that is slow, gone or hostile.
//!
//! What a `dev` build cannot be asked (that a token ends) is asked in `kms-auth`.

use kms_testkit::http::Answer;
use kms_testkit::issuer::{
    self, Algorithm, Document, Issuer, Key, Reply, assemble, base64url, forge_with_secret, merge,
    now_s, signed_part,
};
use kms_testkit::server::{Builder, Server, pause};
use serde_json::{Value, json};

const ALICE: &str = "alice@example.com";
const BOB: &str = "bob@example.com";
const INVALID: &str = "Bearer error=\"invalid_token\"";

fn issuer() -> Issuer {
    Issuer::with_keys(vec![Key::new("first", Algorithm::Es256)])
}

fn believing(issuer: &Issuer) -> Builder {
    super::builder()
        .environment("KMS_DELEGATED_AUTHORITY_DOMAIN", issuer.url())
        .environment("KMS_JWT_AUDIENCE", issuer::AUDIENCE)
}

fn me(server: &Server, token: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    server.connect().request("GET", "/me", &[("authorization", &bearer)], b"")
}

fn is_user(server: &Server, token: &str, user: &str) {
    let answer = me(server, token);
    assert_eq!(answer.status, 200, "{}\n{}", answer.text(), server.log());
    assert_eq!(answer.json(), json!({ "user_id": user }));
}

/// The token is refused, the log says why, and nobody is shown the token.
fn is_refused(server: &Server, token: &str, reason: &str) {
    let answer = me(server, token);
    assert_eq!(answer.status, 401, "{token}: {}", answer.text());
    assert_eq!(answer.header("www-authenticate"), Some(INVALID));
    let text = answer.text();
    assert!(text.starts_with("Authentication_Not_Successful: "), "{text}");
    wait_for(server, reason);
    let log = server.log();
    for part in token.split('.').filter(|part| part.len() > 16) {
        assert!(!text.contains(part) && !log.contains(part), "{token} is shown");
    }
}

fn is_unavailable(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.text());
    let retry: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&retry), "{retry}");
    assert_eq!(answer.header("www-authenticate"), None);
}

fn wait_for(server: &Server, text: &str) {
    for _ in 0..250 {
        if server.log().contains(text) {
            return;
        }
        pause();
    }
    panic!("no {text:?} in\n{}", server.log());
}

// Refusals, a row and a test for each.

fn check(make: impl FnOnce(&Issuer) -> String, reason: &str) {
    let issuer = issuer();
    let server = believing(&issuer).start();
    is_refused(&server, &make(&issuer), reason);
    is_user(&server, &issuer.token(ALICE), ALICE);
}

fn header(issuer: &Issuer, changes: Value) -> String {
    let mut header = issuer.key().header();
    merge(&mut header, changes);
    header.to_string()
}

fn with_header(issuer: &Issuer, changes: Value) -> String {
    issuer.key().forge(&header(issuer, changes), &issuer.claims(ALICE).to_string())
}

fn twice(issuer: &Issuer, member: &str) -> String {
    let claims = issuer.claims(ALICE).to_string().replacen('{', &format!("{{{member},"), 1);
    issuer.key().forge(&issuer.key().header().to_string(), &claims)
}

macro_rules! refused {
    ($($name:ident: $make:expr, $reason:literal;)*) => {$(
        #[test]
        fn $name() {
            check($make, $reason);
        }
    )*};
}

refused! {
    alg_none: |issuer| {
        let claims = issuer.claims(ALICE).to_string();
        assemble(&signed_part(&header(issuer, json!({ "alg": "none" })), &claims), b"")
    }, "is not accepted";
    hs256_with_the_public_key: |issuer| {
        let secret = issuer.key().public_pem();
        let header = header(issuer, json!({ "alg": "HS256" }));
        forge_with_secret(secret.as_bytes(), &header, &issuer.claims(ALICE).to_string())
    }, "is not accepted";
    an_algorithm_that_does_not_fit: |issuer| with_header(issuer, json!({ "alg": "RS256" })),
        "its key is not one for RS256";
    an_unknown_kid: |issuer| with_header(issuer, json!({ "kid": "unknown" })), "is not known";
    jku: |issuer| with_header(issuer, json!({ "jku": issuer.url() })), "its header has `jku`";
    x5u: |issuer| with_header(issuer, json!({ "x5u": issuer.url() })), "its header has `x5u`";
    jwk: |issuer| with_header(issuer, json!({ "jwk": issuer.key().jwk() })), "its header has `jwk`";
    another_s_key: |issuer| {
        Key::new("first", Algorithm::Es256).token(&issuer.claims(ALICE))
    }, "its signature is not its key's";
    a_wrong_issuer: |issuer| issuer.token_with(ALICE, json!({ "iss": "https://evil.example/" })),
        "is not ours";
    an_issuer_without_its_slash: |issuer| {
        let url = issuer.url();
        issuer.token_with(ALICE, json!({ "iss": url.trim_end_matches('/') }))
    }, "is not ours";
    a_wrong_audience: |issuer| issuer.token_with(ALICE, json!({ "aud": "other" })), "its audience";
    no_exp: |issuer| issuer.token_with(ALICE, json!({ "exp": null })), "does not say when it ends";
    an_exp_that_is_no_number: |issuer| {
        issuer.token_with(ALICE, json!({ "exp": (now_s() + 60).to_string() }))
    }, "its `exp` is no time";
    an_nbf_in_the_future: |issuer| issuer.token_with(ALICE, json!({ "nbf": now_s() + 90 })), "`nbf`";
    an_iat_in_the_future: |issuer| issuer.token_with(ALICE, json!({ "iat": now_s() + 90 })), "`iat`";
    no_email: |issuer| issuer.token_with(ALICE, json!({ "email": null })), "it has no claim email";
    an_empty_email: |issuer| issuer.token_with(ALICE, json!({ "email": "" })), "its claim email";
    an_unverified_email: |issuer| issuer.token_with(ALICE, json!({ "email_verified": false })),
        "email_verified is not true";
    the_name_admin: |issuer| issuer.token("admin"), "its claim email";
    everybody: |issuer| issuer.token("*"), "its claim email";
    a_name_in_a_scope: |issuer| issuer.token("cert:alice@example.com"), "another kind of name";
    a_claim_twice: |issuer| twice(issuer, "\"email\":\"bob@example.com\""), "is there twice";
    more_than_16_kib: |issuer| issuer.token_with(ALICE, json!({ "x": "y".repeat(13 << 10) })),
        "more than 16384";
    several_signatures: |issuer| {
        let token = issuer.token(ALICE);
        let parts: Vec<_> = token.split('.').collect();
        let one = json!({ "protected": parts[0], "signature": parts[2] });
        json!({ "payload": parts[1], "signatures": [one.clone(), one] }).to_string()
    }, "opaque or no JWT";
    an_encrypted_token: |_| ["e30"; 5].join("."), "encrypted";
    an_opaque_token: |_| "an-opaque-text-of-the-provider".to_owned(), "opaque";
}

#[test]
fn two_authorization_headers() {
    let issuer = issuer();
    let server = believing(&issuer).start();
    let (alice, bob) = (issuer.bearer(ALICE), issuer.bearer(BOB));
    for second in [&alice, &bob] {
        let headers = [("authorization", alice.as_str()), ("authorization", second.as_str())];
        let answer = server.connect().request("GET", "/me", &headers, b"");
        assert_eq!(answer.status, 401, "{}", answer.text());
        assert_eq!(answer.header("www-authenticate"), Some(INVALID));
    }
}

#[test]
fn two_keys_of_one_kid_and_symmetric_keys() {
    let issuer = issuer();
    let secret = b"known to all who read the key set";
    let (one, two) = (Key::new("same", Algorithm::Es256), Key::new("same", Algorithm::Es256));
    let oct = json!({ "kty": "oct", "kid": "oct", "alg": "HS256", "k": base64url(secret) });
    issuer.set_entries(vec![one.jwk(), two.jwk(), oct]);
    let server = believing(&issuer).start();
    for key in [&one, &two] {
        is_refused(&server, &key.token(&issuer.claims(ALICE)), "several keys are called");
    }
    let header = json!({ "alg": "HS256", "kid": "oct" }).to_string();
    let token = forge_with_secret(secret, &header, &issuer.claims(ALICE).to_string());
    is_refused(&server, &token, "is not accepted");
    is_user(&server, &issuer.token(ALICE), ALICE);
}

// Answers.

const QUERY: &str = r#"{"tag":"Query","value":[]}"#;

fn message(version: (i32, i32)) -> Value {
    json!({"tag": "RequestMessage", "value": [
        {"tag": "RequestHeader", "value": [
            {"tag": "ProtocolVersion", "value": [
                {"tag": "ProtocolVersionMajor", "type": "Integer", "value": version.0},
                {"tag": "ProtocolVersionMinor", "type": "Integer", "value": version.1},
            ]},
            {"tag": "BatchCount", "type": "Integer", "value": 1},
        ]},
        {"tag": "BatchItem", "value": [
            {"tag": "Operation", "type": "Enumeration", "value": "Query"},
            {"tag": "RequestPayload", "value": []},
        ]},
    ]})
}

#[test]
fn whoever_says_nothing_is_asked_for_a_token_on_every_route() {
    let issuer = issuer();
    let server = believing(&issuer).start();
    let mut connection = server.connect();
    for (method, path, body) in [
        ("GET", "/me", ""),
        ("GET", "/objects/owned", ""),
        ("GET", "/objects/shared", ""),
        ("GET", "/access/owned", ""),
        ("GET", "/access/obtained", ""),
        ("GET", "/accesses/x", ""),
        ("POST", "/accesses/x", "{}"),
        ("DELETE", "/accesses/x", "{}"),
        ("POST", "/access/grant", "{}"),
        ("POST", "/access/revoke", "{}"),
        ("POST", "/kmip/2_1", QUERY),
        ("POST", "/kmip/2_1", "not even JSON"),
        ("POST", "/kmip", "{}"),
    ] {
        let headers = [("content-type", "application/json")];
        let answer = connection.request(method, path, &headers, body.as_bytes());
        assert_eq!(answer.status, 401, "{method} {path}: {}", answer.text());
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{method} {path}");
        assert!(answer.header("x-request-id").is_some());
    }
    for path in ["/version", "/health"] {
        assert_eq!(connection.get(path).status, 200, "{path}");
    }
}

#[test]
fn whoever_sends_a_kmip_message_gets_one_back() {
    let issuer = issuer();
    let server = believing(&issuer).start();
    let mut connection = server.connect();
    let wrong = "Bearer wrong";
    let headers = [("content-type", "application/json"), ("authorization", wrong)];
    for path in ["/kmip", "/kmip/2_1"] {
        let body = message((1, 4)).to_string();
        let answer = connection.request("POST", path, &headers, body.as_bytes());
        assert_eq!(answer.status, 401);
        assert_eq!(answer.header("www-authenticate"), Some(INVALID));
        let text = answer.text();
        assert_eq!(answer.json()["tag"], "ResponseMessage", "{text}");
        assert!(text.contains(r#""AuthenticationNotSuccessful""#), "{text}");
        assert!(text.contains(r#""ProtocolVersionMinor","type":"Integer","value":4"#), "{text}");
    }
    let xml = br#"<RequestMessage><RequestHeader><ProtocolVersion>
        <ProtocolVersionMajor type="Integer" value="1"/>
        <ProtocolVersionMinor type="Integer" value="2"/></ProtocolVersion>
        <BatchCount type="Integer" value="1"/></RequestHeader><BatchItem>
        <Operation type="Enumeration" value="Query"/><RequestPayload/>
        </BatchItem></RequestMessage>"#;
    let answer = connection.post("/kmip", "text/xml", xml);
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")));
    let text = answer.text();
    assert!(text.contains(r#"value="AuthenticationNotSuccessful""#), "{text}");
    let answer = connection.post("/kmip", "application/octet-stream", b"B\0x\x01\0\0\0\0");
    // Response Message, in binary.
    assert_eq!((answer.status, &answer.body[..4]), (401, &b"\x42\x00\x7b\x01"[..]));
    let good = issuer.bearer(ALICE);
    let headers = [("content-type", "application/json"), ("authorization", good.as_str())];
    let body = message((1, 4)).to_string();
    let answer = connection.request("POST", "/kmip", &headers, body.as_bytes());
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("\"Success\""), "{}", answer.text());
}

#[test]
fn the_request_of_a_stranger_is_not_read() {
    let issuer = issuer();
    let server = believing(&issuer).start();
    for (path, kind, start) in [
        ("/kmip", "application/octet-stream", &b"\x42\x00\x7b\x01"[..]),
        ("/kmip", "application/json", b"{\"tag\":\"ResponseMessage\""),
        ("/kmip/2_1", "application/json", b"Authentication_Not_Successful: "),
    ] {
        let mut connection = server.connect();
        // Fifty megabytes are announced, and none is sent.
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: test\r\ncontent-type: {kind}\r\n\
             content-length: 50000000\r\n\r\n"
        );
        connection.send(head.as_bytes());
        let answer = connection.answer().unwrap();
        assert_eq!(answer.status, 401, "{path} {kind}: {}", answer.text());
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        assert!(answer.body.starts_with(start), "{path} {kind}: {}", answer.text());
    }
}

/// Who asks the operator why can say which request it was.
#[test]
fn a_refusal_is_logged_and_recorded_under_the_identifier_of_its_answer() {
    let issuer = issuer();
    let server = believing(&issuer).start();
    let mut connection = server.connect();
    let headers = [("content-type", "application/json"), ("authorization", "Bearer nonsense")];
    for (method, path, given) in [
        ("GET", "/me", None),
        ("POST", "/kmip/2_1", None),
        ("POST", "/kmip", Some("call-1")),
        ("GET", "/objects/owned", Some("call-2")),
    ] {
        let mut headers = headers.to_vec();
        headers.extend(given.map(|it| ("x-request-id", it)));
        let answer = connection.request(method, path, &headers, b"{}");
        let id = answer.header("x-request-id").unwrap();
        assert!(given.is_none_or(|given| given == id), "{id}");
        wait_for(&server, &format!("request=\"{id}\""));
        let log = server.log();
        let line = log.lines().find(|line| line.contains(&format!("\"{id}\""))).unwrap();
        let told = ["a caller was refused", "peer=127.0.0.1:", "opaque or no JWT"];
        assert!(told.iter().all(|text| line.contains(text)), "{line}");
        let files = std::fs::read_dir(server.directory().join("audit")).unwrap();
        let read = |file: std::io::Result<std::fs::DirEntry>| {
            std::fs::read_to_string(file.unwrap().path()).unwrap()
        };
        let records: String = files.map(read).collect();
        let record = format!("\"request\":\"{id}\"");
        assert_eq!(records.matches(&record).count(), 1, "{records}");
    }
}

#[test]
fn the_answer_helps_those_who_hold_a_token() {
    let issuer = issuer();
    let server = believing(&issuer).start();
    let text = |token: &str| me(&server, token).text();
    let wrong = issuer.token_with(ALICE, json!({ "aud": "other" }));
    assert!(text(&wrong).contains("ask the authority for one with this server's audience"));
    let nobody = issuer.token_with(ALICE, json!({ "email": null }));
    assert!(text(&nobody).contains("e-mail address in its claim email"), "{}", text(&nobody));
    assert!(text("opaque").contains("signed access token"), "{}", text("opaque"));
    // A forger learns nothing by trying.
    let forged = with_header(&issuer, json!({ "kid": "unknown" }));
    let other = Key::new("first", Algorithm::Es256).token(&issuer.claims(ALICE));
    assert_eq!(text(&forged), text(&other));
}

// Authorities.

#[test]
fn each_user_is_somebody_else() {
    let issuer = Issuer::with_keys(vec![
        Key::new("rsa", Algorithm::Rs256),
        Key::new("pss", Algorithm::Ps256),
        Key::new("curve", Algorithm::Es256),
        Key::new("other", Algorithm::Es384),
    ]);
    let server = believing(&issuer).start();
    for key in issuer.keys() {
        is_user(&server, &key.token(&issuer.claims(ALICE)), ALICE);
        is_user(&server, &key.token(&issuer.claims("Bob@Example.com")), BOB);
    }
    // In a dev build a token may be over.
    is_user(&server, &issuer.token_with(ALICE, json!({ "exp": 1 })), ALICE);
    let version = server.connect().get("/version").json();
    let version = version.as_str().unwrap();
    assert!(version.ends_with(" (AWS-LC, dev); expired tokens are accepted"), "{version}");
    let info = server.connect().get("/server-info").json();
    assert_eq!(info["default_username"], json!(null));
    assert_eq!(info["authentication"], json!(["api-token", "bearer"]));
    assert_eq!(
        info["tokens"],
        json!({
            "authorities": [issuer.url()],
            "audiences": [issuer::AUDIENCE],
            "expiry_verified": false,
        })
    );
}

#[test]
fn a_further_authority_speaks_for_its_own_users_alone() {
    let (own, further) = (issuer(), issuer());
    let server = believing(&own).environment("KMS_AUTHORITIES", further.url()).start();
    is_user(&server, &own.token(ALICE), ALICE);
    is_user(&server, &further.token(ALICE), &format!("{}|{ALICE}", further.url()));
    let claims = own.claims(ALICE);
    is_refused(&server, &further.key().token(&claims), "its signature is not its key's");
}

#[test]
fn another_claim_and_programs_by_option() {
    let issuer = issuer();
    let server = believing(&issuer)
        .environment("KMS_JWT_USER_CLAIM", "https://example.com/email")
        .environment("KMS_JWT_CLIENTS", "accept")
        .start();
    let token = issuer.token_with(ALICE, json!({ "https://example.com/email": BOB }));
    is_user(&server, &token, BOB);
    let program = issuer.token_with(ALICE, json!({ "sub": "test-client" }));
    is_user(&server, &program, "client:test-client");
    // A user of that program, who has no address.
    is_refused(&server, &issuer.token(ALICE), "it is a user's");
}

#[test]
fn a_new_key_is_found_at_once_and_an_old_one_is_forgotten() {
    let issuer = issuer();
    let server = believing(&issuer).start();
    let old = issuer.token(ALICE);
    is_user(&server, &old, ALICE);
    issuer.set_keys(vec![Key::new("second", Algorithm::Es256)]);
    is_user(&server, &old, ALICE);
    is_user(&server, &issuer.token(BOB), BOB);
    is_refused(&server, &old, "is not known");
    assert_eq!(issuer.asked(Document::Keys), 2);
}

#[test]
fn an_unknown_kid_causes_one_fetch_whoever_brings_it() {
    let issuer = issuer();
    let server = believing(&issuer).start();
    is_user(&server, &issuer.token(ALICE), ALICE);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (issuer, server) = (&issuer, &server);
            scope.spawn(move || {
                for number in 0..20 {
                    let kid = format!("unknown-{thread}-{number}");
                    let token = with_header(issuer, json!({ "kid": kid }));
                    assert_eq!(me(server, &token).status, 401);
                }
            });
        }
    });
    assert_eq!(issuer.asked(Document::Keys), 2);
}

#[test]
fn an_authority_that_answers_badly_lets_nobody_in() {
    let elsewhere = issuer();
    for document in [Document::Discovery, Document::Keys] {
        for reply in [
            Reply::HangUp,
            Reply::Status(500),
            Reply::Status(429),
            Reply::Huge,
            Reply::Redirect(format!("{}jwks", elsewhere.url())),
            Reply::Text("nonsense".to_owned()),
            Reply::Text("{}".to_owned()),
        ] {
            let issuer = issuer();
            issuer.answer(document, reply.clone());
            let server = believing(&issuer).start();
            is_unavailable(&me(&server, &issuer.token(ALICE)));
            wait_for(&server, "the keys of the authority cannot be fetched");
        }
    }
    assert_eq!(elsewhere.asked(Document::Keys), 0);
}

#[test]
fn an_authority_that_comes_late_is_asked_again() {
    let issuer = issuer();
    issuer.answer(Document::Discovery, Reply::HangUp);
    let server = believing(&issuer).start();
    wait_for(&server, "the keys of the authority cannot be fetched");
    issuer.answer(Document::Discovery, Reply::Well);
    is_user(&server, &issuer.token(ALICE), ALICE);
}

#[test]
fn an_authority_that_is_slow_or_gone_stops_nobody_whose_key_is_known() {
    let issuer = issuer();
    let server = believing(&issuer).start();
    is_user(&server, &issuer.token(ALICE), ALICE);
    issuer.answer(Document::Keys, Reply::Held);
    let unknown = with_header(&issuer, json!({ "kid": "unknown" }));
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| me(&server, &unknown));
        issuer.wait_until_asked(Document::Keys, 2);
        // From the cache, and by the key.
        is_user(&server, &issuer.token(ALICE), ALICE);
        is_user(&server, &issuer.token(BOB), BOB);
        issuer.answer(Document::Keys, Reply::HangUp);
        is_unavailable(&slow.join().unwrap());
    });
    let token = issuer.token("carol@example.com");
    drop(issuer);
    is_user(&server, &token, "carol@example.com");
    is_unavailable(&me(&server, &unknown));
}

#[test]
fn keys_come_from_where_they_usually_are_where_nothing_says_where() {
    let issuer = issuer();
    issuer.answer(Document::Discovery, Reply::Status(404));
    let server = believing(&issuer).start();
    is_user(&server, &issuer.token(ALICE), ALICE);
}

#[test]
fn an_authority_cannot_send_us_to_other_private_addresses() {
    let (issuer, inside) = (issuer(), issuer());
    let keys = format!("http://localhost:{}/jwks", inside.address().port());
    let discovery = json!({ "issuer": issuer.url(), "jwks_uri": keys }).to_string();
    issuer.answer(Document::Discovery, Reply::Text(discovery));
    let server = believing(&issuer).start();
    is_unavailable(&me(&server, &issuer.token(ALICE)));
    assert_eq!(inside.asked(Document::Keys), 0);
}

// Starts.

#[test]
fn the_report_says_whom_the_server_believes() {
    let issuer = issuer();
    let server =
        super::builder().environment("KMS_DELEGATED_AUTHORITY_DOMAIN", issuer.url()).start();
    let report = server.report();
    assert!(report.contains(&format!("bearer of {}", issuer.url())), "{report}");
    assert!(report.contains("warning    tokens for any audience are accepted"), "{report}");
    assert!(report.contains("warning    the dev build accepts tokens that have expired"));
    super::wait_for_warning(&server);
    assert!(server.log().contains("tokens for any audience are accepted"));
    // Whatever the audience, but not the ID tokens of other applications.
    is_user(&server, &issuer.token_with(ALICE, json!({ "aud": "other" })), ALICE);
    is_refused(&server, &issuer.token_with(ALICE, json!({ "nonce": "x" })), "it has `nonce`");
    let report = super::server().report();
    assert!(report.contains("as the user `admin` (no authentication is set up)"), "{report}");
    assert!(!report.contains("warning"), "{report}");
}

#[test]
fn the_server_starts_while_its_authority_cannot_be_reached() {
    let gone = issuer();
    let builder = believing(&gone);
    let token = gone.token(ALICE);
    drop(gone);
    let server = builder.start();
    is_unavailable(&me(&server, &token));
    assert_eq!(server.connect().get("/me").status, 401);
    assert_eq!(server.connect().get("/health").status, 200);
}

#[test]
fn options_that_cannot_be_meant_are_refused_before_anything_is_touched() {
    let name = "KMS_DELEGATED_AUTHORITY_DOMAIN";
    for (name, value, says) in [
        (name, "http://id.example/", "id.example: "),
        (name, "http://10.0.0.1/", "10.0.0.1: "),
        ("KMS_AUTHORITIES", "id.example, id.example", "is there twice"),
        ("KMS_TRUSTED_CA_PATH", "/nowhere/ca.pem", "/nowhere/ca.pem"),
    ] {
        let builder = super::builder().environment(name, value);
        let directory = builder.directory().to_owned();
        let Err(ended) = builder.clone().try_start() else { panic!("{name}={value} was accepted") };
        assert_eq!(ended.status.code(), Some(2), "{name}={value}: {}", ended.stderr);
        assert!(ended.stderr.contains(name) && ended.stderr.contains(says), "{}", ended.stderr);
        assert!(!directory.join("kms.db").exists());
    }
}
