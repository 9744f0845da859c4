//! The log, the numbers and the identifiers of requests.

use serde_json::{Value, json};

use super::{builder, server, wait_for_warning};

const KEY: &str = "00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF";

/// Puts a known key in and uses it, well and badly.
fn use_a_known_key(connection: &mut kms_testkit::http::Connection) {
    let import = json!({"tag": "Import", "value": [
        {"tag": "UniqueIdentifier", "type": "TextString", "value": "known"},
        {"tag": "ObjectType", "type": "Enumeration", "value": "SymmetricKey"},
        {"tag": "Attributes", "value": [
            {"tag": "ActivationDate", "type": "DateTime", "value": "2024-01-01T00:00:00Z"},
            {"tag": "CryptographicUsageMask", "type": "Integer", "value": 12},
        ]},
        {"tag": "SymmetricKey", "value": [{"tag": "KeyBlock", "value": [
            {"tag": "KeyFormatType", "type": "Enumeration", "value": "Raw"},
            {"tag": "KeyValue", "value": [
                {"tag": "KeyMaterial", "type": "ByteString", "value": KEY},
            ]},
            {"tag": "CryptographicAlgorithm", "type": "Enumeration", "value": "AES"},
            {"tag": "CryptographicLength", "type": "Integer", "value": 256},
        ]}]},
    ]});
    let answer = connection.operation(&import);
    assert_eq!(answer.status, 200, "{}", answer.text());
    for (id, status) in [("known", 200), ("unknown", 422)] {
        let encrypt = json!({"tag": "Encrypt", "value": [
            {"tag": "UniqueIdentifier", "type": "TextString", "value": id},
            {"tag": "Data", "type": "ByteString", "value": "53454352455453"},
        ]});
        assert_eq!(connection.operation(&encrypt).status, status);
    }
    let decrypt = json!({"tag": "Decrypt", "value": [
        {"tag": "UniqueIdentifier", "type": "TextString", "value": "known"},
        {"tag": "Data", "type": "ByteString", "value": "53454352455453"},
        {"tag": "IVCounterNonce", "type": "ByteString", "value": "000102030405060708090A0B"},
        {"tag": "AuthenticatedEncryptionTag", "type": "ByteString", "value": "00"},
    ]});
    assert_eq!(connection.operation(&decrypt).status, 422);
}

#[test]
fn at_the_default_level_requests_write_nothing() {
    let server = server();
    wait_for_warning(&server);
    let before = server.log();
    let mut connection = server.connect();
    use_a_known_key(&mut connection);
    connection.get("/nothing");
    kms_testkit::server::pause();
    assert_eq!(server.log(), before);
}

#[test]
fn at_every_level_the_log_has_no_key_and_no_plaintext() {
    let server = builder().argument("--log=trace").start();
    use_a_known_key(&mut server.connect());
    kms_testkit::server::pause();
    let log = server.log();
    assert!(log.contains("/kmip/2_1"), "{log}");
    let material = [0x00, 0x11, 0x22, 0x33, 0x44, 0x55].map(|byte: u8| byte.to_string()).join(", ");
    for secret in [KEY, &KEY.to_lowercase(), "53454352455453", "SECRETS", &material, "83, 69, 67"] {
        assert!(!log.contains(secret), "{secret} in\n{log}");
    }
}

#[test]
fn a_log_in_json_is_json_and_has_the_report() {
    // No report on standard output to wait for: look for it in the log.
    let builder = builder().argument("--log-format=json").argument("--log=debug");
    let directory = builder.directory().to_owned();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_kms-server"))
        .args(["--hostname=127.0.0.1", "--log-format=json", "--log=debug"])
        .arg(format!("--port={}", free.port()))
        .arg(format!("--root-dir={}", directory.display()))
        .current_dir(&directory)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut answered = None;
    for _ in 0..500 {
        if std::net::TcpStream::connect(free).is_ok() {
            let mut connection = kms_testkit::http::Connection::open(free);
            let id = [("x-request-id", "trace-me-1")];
            answered = Some(connection.request("GET", "/version", &id, b""));
            break;
        }
        kms_testkit::server::pause();
    }
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ready = lines.iter().find(|line| line["message"] == "ready").expect("a report");
    assert_eq!(ready["listening"], free.to_string());
    assert_eq!(answered.unwrap().header("x-request-id"), Some("trace-me-1"));
    let request = lines.iter().find(|line| line["message"] == "answered").expect("a request");
    assert!(request["request"].as_str().unwrap().contains("trace-me-1"), "{request}");
    assert_eq!((&request["path"], &request["status"]), (&json!("/version"), &json!(200)));
}

#[test]
fn failures_carry_an_identifier_and_successes_their_callers() {
    let server = server();
    let mut connection = server.connect();
    let query = br#"{"tag":"Query","value":[]}"#;
    let json_type = ("content-type", "application/json");
    let answer = connection.request("POST", "/kmip/2_1", &[json_type], query);
    assert_eq!(answer.header("x-request-id"), None);
    let headers = [json_type, ("x-request-id", "mine-7")];
    let answer = connection.request("POST", "/kmip/2_1", &headers, query);
    assert_eq!(answer.header("x-request-id"), Some("mine-7"));
    let first = connection.request("POST", "/kmip/2_1", &[json_type], b"{");
    let second = connection.request("POST", "/kmip/2_1", &[json_type], b"{");
    assert!(first.header("x-request-id").is_some());
    assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
    let headers = [json_type, ("x-request-id", "<b>")];
    let answer = connection.request("POST", "/kmip/2_1", &headers, b"{");
    assert_ne!(answer.header("x-request-id"), Some("<b>"));
}

#[test]
fn the_numbers_count_operations_and_times() {
    let server = server();
    let mut connection = server.connect();
    use_a_known_key(&mut connection);
    let page = connection.get("/metrics");
    assert!(page.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let text = page.text();
    for line in [
        r#"kms_operations_total{operation="Import",result="success"} 1"#,
        r#"kms_operations_total{operation="Encrypt",result="success"} 1"#,
        r#"kms_operations_total{operation="Encrypt",result="failure"} 1"#,
        r#"kms_request_duration_seconds_count{operation="Encrypt"} 2"#,
        r#"kms_request_duration_seconds_bucket{le="+Inf",operation="Encrypt"} 2"#,
        r#"kms_http_answers_total{status="4xx"} 2"#,
        "kms_connections 1",
        "kms_nonce_warnings_total 0",
        "# EOF",
    ] {
        assert!(text.contains(line), "{line} not in\n{text}");
    }
    assert!(!text.contains("known"), "{text}");
}
