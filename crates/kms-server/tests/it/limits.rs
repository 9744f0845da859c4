//! What is too long, too slow or too much is refused, and hurts nobody else.

use std::time::{Duration, Instant};

use kms_testkit::server::Server;
use serde_json::json;

use super::{assert_answers, builder};

#[test]
fn a_body_over_the_limit_is_413_in_kind() {
    let server = builder().argument("--max-body-size=4KiB").start();
    let long = vec![b' '; 5000];
    let answer = server.connect().post("/kmip/2_1", "application/json", &long);
    assert_eq!(answer.status, 413);
    assert!(answer.text().starts_with("Invalid_Message: "), "{}", answer.text());
    let answer = server.connect().post("/kmip", "application/octet-stream", &long);
    assert_eq!((answer.status, &answer.body[..3]), (413, &[0x42, 0, 0x7b][..]));
    let answer = server.connect().post("/kmip", "text/xml", &long);
    assert!(answer.status == 413 && answer.text().starts_with("<ResponseMessage"));
    let answer = server.connect().post("/access/grant", "application/json", &vec![b' '; 70_000]);
    assert_eq!(answer.status, 413);
    // Without a length, what counts is what comes.
    let mut connection = server.connect();
    connection.send(b"POST /kmip/2_1 HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n");
    connection.send(b"transfer-encoding: chunked\r\n\r\n");
    for _ in 0..6 {
        connection.send(b"400\r\n");
        connection.send(&[b' '; 1024]);
        connection.send(b"\r\n");
    }
    assert_eq!(connection.answer().unwrap().status, 413);
    let exact = format!("{:>4096}", r#"{"tag":"Query","value":[]}"#);
    let answer = server.connect().post("/kmip/2_1", "application/json", exact.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_answers(&server);
}

#[test]
fn a_body_that_is_read_aside_is_answered_like_another() {
    let server = super::server();
    let mut connection = server.connect();
    let padded = |text: &str| format!("{}{text}", " ".repeat(5 << 20)).into_bytes();
    for (text, status) in [(r#"{"tag":"Query","value":[]}"#, 200), ("{", 422)] {
        for body in [text.as_bytes().to_vec(), padded(text)] {
            let answer = connection.post("/kmip/2_1", "application/json", &body);
            assert_eq!(answer.status, status, "{}", answer.text());
        }
    }
}

#[test]
fn a_length_that_is_a_lie_takes_no_memory() {
    let server = builder().argument("--max-body-size=1GiB").start();
    let before = memory(&server);
    let mut waiting = Vec::new();
    for _ in 0..32 {
        let mut connection = server.connect();
        connection.send(
            b"POST /kmip HTTP/1.1\r\nhost: x\r\ncontent-type: application/octet-stream\r\n\
              content-length: 1000000000\r\n\r\nB\0x\x01\x3b\x9a\xc9\xf8",
        );
        waiting.push(connection);
    }
    assert_answers(&server);
    let grown = memory(&server).saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes");
}

/// What the server holds in memory, in bytes.
fn memory(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn a_header_over_the_limit_is_431() {
    let server = super::server();
    let value = "x".repeat(40_000);
    let answer = server.connect().request("GET", "/version", &[("x-long", &value)], b"");
    assert_eq!(answer.status, 431);
    let mut many = Vec::new();
    let names: Vec<String> = (0..200).map(|number| format!("x-{number}")).collect();
    for name in &names {
        many.push((name.as_str(), "1"));
    }
    assert_eq!(server.connect().request("GET", "/version", &many, b"").status, 431);
    assert_answers(&server);
}

#[test]
fn a_batch_over_the_limit_is_refused() {
    let server = super::server();
    let item = json!({"tag": "BatchItem", "value": [
        {"tag": "Operation", "type": "Enumeration", "value": "DiscoverVersions"},
        {"tag": "RequestPayload", "value": []},
    ]});
    let mut message = vec![json!({"tag": "RequestHeader", "value": [
        {"tag": "ProtocolVersion", "value": [
            {"tag": "ProtocolVersionMajor", "type": "Integer", "value": 2},
            {"tag": "ProtocolVersionMinor", "type": "Integer", "value": 1},
        ]},
        {"tag": "BatchCount", "type": "Integer", "value": 1001},
    ]})];
    message.extend(std::iter::repeat_n(item, 1001));
    let message = json!({"tag": "RequestMessage", "value": message});
    let answer = server.connect().post_json("/kmip", &message);
    let text = answer.text();
    assert!(answer.status == 200 && text.contains("OperationFailed"), "{text}");
    assert!(text.contains("1000") && !text.contains("Success"), "{text}");
}

#[test]
fn slow_callers_are_cut_off_and_idle_ones_let_go() {
    let server = builder()
        .argument("--header-timeout=1s")
        .argument("--request-timeout=1s")
        .argument("--idle-timeout=2s")
        .start();
    let mut header = server.connect();
    header.send(b"POST /kmip HTTP/1.1\r\nhost:");
    let mut body = server.connect();
    body.send(b"POST /kmip/2_1 HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n");
    body.send(b"content-length: 100000\r\n\r\n{");
    let mut idle = server.connect();
    let mut used = server.connect();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(7) {
        // A trickle does not help.
        header.send(b"x");
        body.send(b" ");
        assert_eq!(used.get("/version").status, 200);
        kms_testkit::server::pause();
    }
    for (what, slow) in [("header", &mut header), ("body", &mut body), ("idle", &mut idle)] {
        let answer = slow.answer();
        assert!(answer.is_none(), "{what}: {answer:?}");
    }
    assert_eq!(used.get("/version").status, 200);
}

#[test]
fn connections_over_the_limit_wait() {
    let server = builder().argument("--max-connections=2").start();
    let (mut first, mut second) = (server.connect(), server.connect());
    assert_eq!((first.get("/version").status, second.get("/version").status), (200, 200));
    let mut third = server.connect();
    third.begin("GET", "/version", &[], b"");
    assert_eq!(first.get("/version").status, 200);
    drop(second);
    assert_eq!(third.answer().unwrap().status, 200);
}
