//! API tokens over real sockets, made and revoked beside the server that takes them, and what an
//! authority for client certificates changes where there is no TLS.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use kms_testkit::http::Answer;
use kms_testkit::server::{Ended, Server, pause};
use kms_testkit::tls::Authority;
use serde_json::json;

use super::{builder, in_directories, server};

/// Runs a command beside the server, with the same options.
fn beside(server: &Server, words: &[&str]) -> Ended {
    let command = words.iter().fold(builder(), |it, word| it.argument(*word));
    command.argument("--root-dir").argument(server.directory()).run()
}

/// The token that `token create` prints.
fn create(server: &Server, words: &[&str]) -> String {
    let ended = beside(server, &[&["token", "create"], words].concat());
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let token = ended.stdout.strip_suffix('\n').unwrap();
    assert!(token.starts_with("kms_") && !token.contains('\n'), "{ended:?}");
    // It is shown where it can be redirected, and nowhere else.
    assert!(!ended.stderr.contains(token.rsplit('_').next().unwrap()), "{ended:?}");
    token.to_owned()
}

fn me(server: &Server, authorization: Option<&str>) -> Answer {
    let headers: Vec<_> = authorization.map(|it| ("authorization", it)).into_iter().collect();
    server.connect().request("GET", "/me", &headers, b"")
}

fn user(server: &Server, token: &str) -> String {
    let answer = me(server, Some(&format!("Bearer {token}")));
    assert_eq!(answer.status, 200, "{}\n{}", answer.text(), server.log());
    answer.json()["user_id"].as_str().unwrap().to_owned()
}

/// A server that asks who is calling, with the token of `token:night`.
fn asking() -> (Server, String) {
    let server = server();
    let token = create(&server, &["night"]);
    (server.restart(), token)
}

#[test]
fn the_first_token_turns_authentication_on_at_the_next_start() {
    let server = server();
    let ended = beside(&server, &["token", "create", "night"]);
    assert!(ended.stderr.contains("token:night"), "{ended:?}");
    assert!(ended.stderr.contains("until it is started again"), "{ended:?}");
    let token = ended.stdout.trim();
    // Until then it is as it was, and says so.
    assert_eq!(me(&server, None).json(), json!({"user_id": "admin"}));
    let server = server.restart();
    assert!(server.report().contains("those who say who they are: api-token"));
    assert!(!server.report().contains("`admin`"), "{}", server.report());
    assert_eq!(me(&server, None).status, 401);
    assert_eq!(user(&server, token), "token:night");
    // A further token is good at once, and there is nothing to say about it.
    let ended = beside(&server, &["token", "create", "day"]);
    assert!(!ended.stderr.contains("started again"), "{ended:?}");
    assert_eq!(user(&server, ended.stdout.trim()), "token:day");
    // With the last one revoked, nobody is admin again.
    for name in ["night", "day"] {
        assert_eq!(beside(&server, &["token", "revoke", name]).status.code(), Some(0));
    }
    let server = server.restart();
    assert_eq!(me(&server, None).status, 401);
}

#[test]
fn a_machine_does_what_it_may() {
    let (server, token) = asking();
    let bearer = format!("Bearer {token}");
    let request = json!({"tag": "Query", "value": []}).to_string();
    let answer = server.connect().request(
        "POST",
        "/kmip/2_1",
        &[("content-type", "application/json"), ("authorization", &bearer)],
        request.as_bytes(),
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
    let other = create(&server, &["ci", "--as", "Bob@Example.com"]);
    assert_eq!(user(&server, &other), "bob@example.com");
    let admin = create(&server, &["root", "--as=admin", "--expires", "90d"]);
    assert_eq!(user(&server, &admin), "admin");
}

#[test]
fn the_map_says_whose_a_token_is() {
    let server = server();
    let token = create(&server, &["night"]);
    let map = "token:night=Night@Example.com";
    let builder = builder().environment("KMS_USER_MAP", map).directory_of(&server);
    drop(server);
    assert_eq!(user(&builder.start(), &token), "night@example.com");
    let bad = super::builder().environment("KMS_USER_MAP", "bob@example.com=admin");
    let ended = bad.try_start().unwrap_err();
    assert_eq!(ended.status.code(), Some(2));
    assert!(ended.stderr.contains("KMS_USER_MAP: bob@example.com"), "{ended:?}");
}

#[test]
fn what_is_no_token_is_refused_and_not_shown() {
    let (server, token) = asking();
    let (start, secret) = token.rsplit_once('_').unwrap();
    let wrong = format!("{start}_{}", secret.chars().rev().collect::<String>());
    let unknown = format!("kms_{}_{secret}", "0".repeat(16));
    let (wrong, unknown) = (format!("Bearer {wrong}"), format!("Bearer {unknown}"));
    let mut texts = Vec::new();
    for header in [wrong.as_str(), &unknown, "Bearer kms_", "Bearer kms_a_b"] {
        let answer = me(&server, Some(header));
        assert_eq!(answer.status, 401, "{header}");
        let challenge = answer.header("www-authenticate");
        assert_eq!(challenge, Some("Bearer error=\"invalid_token\""), "{header}");
        texts.push(answer.text());
    }
    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
    for header in ["Bearer admin", "Basic YWRtaW46YWRtaW4=", &token, &format!("Basic {token}")] {
        assert_eq!(me(&server, Some(header)).status, 401, "{header}");
    }
    for shown in [server.log(), server.report()] {
        assert!(!shown.contains(secret) && !shown.contains(&wrong), "{shown}");
    }
    let twice = format!("Bearer {token}");
    let headers = [("authorization", twice.as_str()), ("authorization", twice.as_str())];
    assert_eq!(server.connect().request("GET", "/me", &headers, b"").status, 401);
    assert_eq!(user(&server, &token), "token:night");
}

/// On a connection that stays open, and that had been let in a moment before.
#[test]
fn a_revoked_token_is_refused_within_a_second() {
    let (server, token) = asking();
    let bearer = format!("Bearer {token}");
    let mut connection = server.connect();
    let mut status = || connection.request("GET", "/me", &[("authorization", &bearer)], b"").status;
    assert_eq!(status(), 200);
    let ended = beside(&server, &["token", "revoke", "night"]);
    assert!(ended.stderr.contains("within a second"), "{ended:?}");
    let revoked = Instant::now();
    loop {
        let after = revoked.elapsed();
        match status() {
            401 => break,
            status => assert!(after < Duration::from_secs(1), "{status} after {after:?}"),
        }
        pause();
    }
    assert_eq!(beside(&server, &["token", "revoke", "night"]).status.code(), Some(1));
}

#[test]
fn an_expired_token_is_refused() {
    let (server, night) = asking();
    // The server's clock is the machine's: it ends in two seconds at most.
    let ends = Timestamp::from_second(Timestamp::now().as_second() + 2).unwrap().to_string();
    let token = create(&server, &["short", "--expires", &ends]);
    let bearer = format!("Bearer {token}");
    let began = Instant::now();
    loop {
        let answer = me(&server, Some(&bearer));
        if answer.status == 401 {
            assert!(answer.text().contains("expired"), "{}", answer.text());
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "it does not end");
        pause();
    }
    assert_eq!(user(&server, &night), "token:night");
    let listed = beside(&server, &["token", "list"]).stdout;
    assert!(listed.lines().any(|line| line.starts_with("short") && line.contains("expired")));
}

#[test]
fn commands_that_cannot_be_meant_are_refused() {
    let (server, _) = asking();
    for (words, code, says) in [
        (&["create", "night"][..], 1, "already"),
        (&["create", "a b"], 2, "letters"),
        (&["create", "a", "--as", "*"], 2, "not everybody"),
        (&["create", "a", "--as", "a b"], 2, "without blanks"),
        (&["create", "a", "--expires", "yesterday"], 2, "is no time"),
        (&["create", "a", "--expires", "2000-01-01"], 2, "ended"),
        (&["create"], 2, "NAME is missing"),
        (&["revoke", "noon"], 1, "no token noon"),
        (&["revoke"], 2, "NAME is missing"),
    ] {
        let ended = beside(&server, &[&["token"], words].concat());
        assert_eq!(ended.status.code(), Some(code), "{words:?}: {ended:?}");
        assert!(ended.stderr.contains(says), "{words:?}: {ended:?}");
        assert_eq!(ended.stdout, "", "{words:?}");
    }
    let listed = beside(&server, &["token", "list"]).stdout;
    let lines: Vec<_> = listed.lines().collect();
    assert!(lines.len() == 2 && lines[1].contains("token:night"), "{listed}");
}

#[test]
fn without_a_database_there_is_nothing_to_do() {
    let command = builder().argument("token").argument("list").argument("--root-dir");
    let directory = command.directory().to_owned();
    let command = command.argument(&directory);
    let ended = command.run();
    assert_eq!(ended.status.code(), Some(3));
    let says = if in_directories() { "there is no database" } else { "schema is not there" };
    assert!(ended.stderr.contains(says), "{ended:?}");
    assert_eq!(std::fs::read_dir(directory).unwrap().count(), 0);
}

#[test]
fn a_client_ca_alone_leaves_plain_http_as_it_was() {
    let builder = builder();
    let path = builder.directory().join("clients.pem");
    Authority::new("clients").write(&path);
    let server = builder.environment("KMS_CLIENT_CA_PATH", &path).start();
    let report = server.report();
    for text in ["`admin`", "TLS socket only"] {
        assert!(report.contains(text), "{text} not in\n{report}");
    }
    assert_eq!(me(&server, None).json(), json!({"user_id": "admin"}));
    // With any other scheme there is no exception.
    let token = create(&server, &["night"]);
    let server = server.restart();
    assert!(server.report().contains("certificate, api-token"), "{}", server.report());
    assert_eq!(me(&server, None).status, 401);
    assert_eq!(user(&server, &token), "token:night");
}

#[test]
fn a_client_ca_that_cannot_be_read_is_named() {
    for (name, contents) in [("missing.pem", None), ("empty.pem", Some("")), (".", None)] {
        let builder = builder();
        let path = builder.directory().join(name);
        if let Some(contents) = contents {
            std::fs::write(&path, contents).unwrap();
        }
        let ended = builder.environment("KMS_CLIENT_CA_PATH", &path).try_start().unwrap_err();
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        let shown = format!(
            "KMS_CLIENT_CA_PATH: the authorities of client certificates in {}",
            path.display()
        );
        assert!(ended.stderr.contains(&shown), "{ended:?}");
    }
}
