//! Paths, methods, content types, encodings, and what an error looks like.

use kms_testkit::database::Kind;
use kms_testkit::http::{Answer, Connection};
use serde_json::json;

const LINE: &str = "text/html; charset=utf-8";

fn is_line(answer: &Answer, status: u16, start: &str) -> bool {
    answer.status == status
        && answer.header("content-type") == Some(LINE)
        && answer.header("x-request-id").is_some()
        && answer.text().starts_with(start)
        && !answer.text().contains('\n')
}

/// `Query` in a message of 1.2, in binary.
fn binary_query() -> Vec<u8> {
    let mut message =
        hex("42007801000000704200770100000038420069010000002042006a02000000040000000100000000\
         42006b0200000004000000020000000042000d0200000004000000010000000042000f0100000028\
         42005c05000000040000001800000000420079010000001042007405000000040000000100000000");
    let length = u32::try_from(message.len() - 8).unwrap();
    message[4..8].copy_from_slice(&length.to_be_bytes());
    message
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn the_server_tells_of_itself() {
    let server = super::server();
    let mut connection = server.connect();
    let version = connection.get("/version");
    assert_eq!(version.header("content-type"), Some("application/json"));
    assert!(version.json().as_str().unwrap().starts_with(env!("CARGO_PKG_VERSION")));
    let health = connection.get("/health").json();
    assert_eq!(health["status"], "UP");
    let database = match kms_testkit::server::database_kind() {
        None => "sqlite",
        Some(Kind::Postgres) => "postgresql",
        Some(_) => "mysql",
    };
    assert_eq!(health["dependencies"]["database"], json!({"name": database, "status": "UP"}));
    let info = connection.get("/server-info").json();
    assert_eq!(info["default_username"], "admin");
    assert_eq!(info["fips_mode"], false);
    assert_eq!((&info["build"], &info["database"]), (&json!("dev"), &json!(database)));
    assert_eq!(connection.get("/me").json(), json!({"user_id": "admin"}));
}

#[test]
fn what_is_not_there_is_404_and_a_wrong_method_405() {
    let server = super::server();
    let mut connection = server.connect();
    for path in ["/", "/no/such/path", "/kmip/3_0", "/accesses", "/accesses/a/b"] {
        assert!(is_line(&connection.get(path), 404, "Not found"), "{path}");
    }
    for path in ["/kmip", "/kmip/2_1"] {
        let answer = connection.get(path);
        assert!(is_line(&answer, 405, "Method not allowed"), "{path}");
        assert_eq!(answer.header("allow"), Some("POST"));
    }
    assert_eq!(connection.post_json("/version", &json!({})).status, 405);
    assert_eq!(connection.request("PUT", "/accesses/x", &[], b"").status, 405);
}

#[test]
fn a_message_is_answered_in_its_own_encoding() {
    let server = super::server();
    let mut connection = server.connect();
    let answer = connection.post("/kmip", "application/octet-stream", &binary_query());
    assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
    assert_eq!((answer.status, &answer.body[..4]), (200, &hex("42007b01")[..]));
    // Response Header: Protocol Version 1.2, as asked.
    assert_eq!(
        &answer.body[16..48],
        &hex("420069010000002042006a0200000004000000010000000042006b0200000004")[..]
    );
    assert_eq!(&answer.body[48..52], &hex("00000002")[..]);
    let xml = br#"<RequestMessage><RequestHeader><ProtocolVersion>
        <ProtocolVersionMajor type="Integer" value="1"/>
        <ProtocolVersionMinor type="Integer" value="4"/></ProtocolVersion>
        <BatchCount type="Integer" value="1"/></RequestHeader><BatchItem>
        <Operation type="Enumeration" value="Query"/><RequestPayload>
        <QueryFunction type="Enumeration" value="QueryOperations"/>
        </RequestPayload></BatchItem></RequestMessage>"#;
    let answer = connection.post("/kmip", "text/xml", xml);
    assert_eq!(answer.header("content-type"), Some("text/xml; charset=utf-8"));
    let text = answer.text();
    assert!(text.starts_with("<ResponseMessage"), "{text}");
    assert!(text.contains(r#"<ResultStatus type="Enumeration" value="Success"/>"#), "{text}");
}

#[test]
fn a_wrong_content_type_is_415() {
    let server = super::server();
    let mut connection = server.connect();
    let body = br#"{"tag":"Query","value":[]}"#;
    for (path, content_type) in [
        ("/kmip/2_1", "text/plain"),
        ("/kmip/2_1", "application/x-www-form-urlencoded"),
        ("/kmip/2_1", "application/octet-stream"),
        ("/kmip/2_1", "text/xml"),
        ("/kmip", "text/plain"),
        ("/kmip", "multipart/form-data; boundary=x"),
        ("/access/grant", "text/plain"),
        ("/accesses/x", "application/xml"),
    ] {
        let answer = connection.post(path, content_type, body);
        assert!(is_line(&answer, 415, "Unsupported content type: send"), "{path} {content_type}");
    }
    assert_eq!(connection.request("POST", "/kmip", &[], body).status, 415);
    let answer = connection.post("/kmip/2_1", "application/json; charset=utf-8", body);
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn text_that_is_no_operation_is_422() {
    let server = super::server();
    let mut connection = server.connect();
    for body in [
        r#"{"tag": "Get", "value": ["#,
        "",
        r#"{"hello": 1}"#,
        "[]",
        "null",
        "{",
        "\u{0}",
        "\"Get\"",
    ] {
        let answer = connection.post("/kmip/2_1", "application/json", body.as_bytes());
        assert!(is_line(&answer, 422, "Invalid_Message: "), "{body}: {}", answer.text());
    }
    // The same where a whole message is due: an answer in kind.
    for body in ["{", "", r#"{"hello": 1}"#] {
        let answer = connection.post("/kmip", "application/json", body.as_bytes());
        assert_eq!(
            (answer.status, &answer.json()["tag"]),
            (200, &json!("ResponseMessage")),
            "{body}"
        );
        assert!(answer.text().contains(r#""InvalidMessage""#), "{}", answer.text());
    }
    let answer = connection.post("/kmip", "application/octet-stream", b"B\0x\x01\0\0\0\x08\0\0");
    assert_eq!((answer.status, &answer.body[..4]), (200, &hex("42007b01")[..]));
    let answer = connection.post("/kmip", "text/xml", b"<RequestMessage/>");
    assert!(answer.text().contains("InvalidMessage"), "{}", answer.text());
}

#[test]
fn an_unsupported_version_is_told_the_supported_ones() {
    let server = super::server();
    let mut connection = server.connect();
    let mut message = binary_query();
    // Protocol Version 7.2.
    message[35] = 7;
    let answer = connection.post("/kmip", "application/octet-stream", &message);
    let text = answer.text();
    assert_eq!((answer.status, &answer.body[..4]), (200, &hex("42007b01")[..]));
    for version in ["1.0", "1.4", "2.0", "2.1"] {
        assert!(text.contains(version), "{version} not in {text}");
    }
}

#[test]
fn what_comes_from_outside_is_no_html() {
    let server = super::server();
    let mut connection = server.connect();
    let answer = connection.get("/accesses/%3Cscript%3Ealert(1)%3C%2Fscript%3E");
    assert!(is_line(&answer, 404, "Object_Not_Found"), "{}", answer.text());
    assert!(!answer.text().contains('<'), "{}", answer.text());
    let answer = connection.operation(&json!({"tag": "<b>\r\nX: y", "value": []}));
    assert!(!answer.text().contains('<') && !answer.text().contains('\n'), "{}", answer.text());
}

fn create(connection: &mut Connection, id: &str) {
    let answer = connection.operation(&json!({"tag": "Create", "value": [
        {"tag": "ObjectType", "type": "Enumeration", "value": "SymmetricKey"},
        {"tag": "Attributes", "value": [
            {"tag": "CryptographicAlgorithm", "type": "Enumeration", "value": "AES"},
            {"tag": "CryptographicLength", "type": "Integer", "value": 256},
            {"tag": "CryptographicUsageMask", "type": "Integer", "value": 12},
            {"tag": "UniqueIdentifier", "type": "TextString", "value": id},
        ]},
    ]}));
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn access_requests_are_checked() {
    let server = super::server();
    let mut connection = server.connect();
    create(&mut connection, "a%b&c");
    let grant = json!({"user_id": "ann", "operation_type": "Get"});
    // Whatever an identifier holds, its path names it.
    assert_eq!(connection.post_json("/accesses/a%25b%26c", &grant).status, 200);
    assert_eq!(
        connection.get("/access/list/a%25b%26c").json(),
        json!([{"user_id": "ann", "operations": ["get"]}])
    );
    for (path, body) in [
        ("/accesses/a%25b%26c", json!({"user_id": "ann", "operation_type": "Fly"})),
        ("/accesses/a%25b%26c", json!({"user_id": "ann"})),
        ("/accesses/a%25b%26c", json!({"user_id": "ann", "operation_type": "Get", "x": 1})),
        (
            "/accesses/a%25b%26c",
            json!({"unique_identifier": "other", "user_id": "ann", "operation_type": "Get"}),
        ),
        ("/accesses/a%25b%26c", json!({"user_id": "", "operation_type": "Get"})),
        ("/access/grant", json!({"user_id": "ann", "operation_types": []})),
        ("/access/grant", json!({"user_id": 5, "operation_types": ["get"]})),
        ("/access/grant", json!([])),
    ] {
        let answer = connection.post_json(path, &body);
        assert!(is_line(&answer, 422, "Invalid"), "{body}: {}", answer.text());
    }
    let long = "x".repeat(5000);
    assert_eq!(connection.get(&format!("/accesses/{long}")).status, 422);
    assert_eq!(connection.get("/accesses/%ff").status, 422);
}

#[test]
fn an_unknown_object_is_404_on_every_access_route() {
    let server = super::server();
    let mut connection = server.connect();
    let one = json!({"user_id": "ann", "operation_type": "Get"});
    let several =
        json!({"unique_identifier": "nobody's", "user_id": "ann", "operation_types": ["get"]});
    let json_type = [("content-type", "application/json")];
    let answers = [
        connection.get("/accesses/nobody's"),
        connection.get("/access/list/nobody's"),
        connection.post_json("/accesses/nobody's", &one),
        connection.request("DELETE", "/accesses/nobody's", &json_type, one.to_string().as_bytes()),
        connection.post_json("/access/grant", &several),
        connection.post_json("/access/revoke", &several),
    ];
    for answer in &answers {
        assert!(is_line(answer, 404, "Object_Not_Found: "), "{}", answer.text());
        assert_eq!(answer.body, answers[0].body);
    }
}

#[test]
fn a_long_list_is_whole() {
    let server = super::server();
    let mut connection = server.connect();
    // More than two pages.
    let mut message = vec![json!({"tag": "RequestHeader", "value": [
        {"tag": "ProtocolVersion", "value": [
            {"tag": "ProtocolVersionMajor", "type": "Integer", "value": 2},
            {"tag": "ProtocolVersionMinor", "type": "Integer", "value": 1},
        ]},
        {"tag": "BatchCount", "type": "Integer", "value": 400},
    ]})];
    for _ in 0..400 {
        message.push(json!({"tag": "BatchItem", "value": [
            {"tag": "Operation", "type": "Enumeration", "value": "Create"},
            {"tag": "RequestPayload", "value": [
                {"tag": "ObjectType", "type": "Enumeration", "value": "SymmetricKey"},
                {"tag": "Attributes", "value": [
                    {"tag": "CryptographicAlgorithm", "type": "Enumeration", "value": "AES"},
                    {"tag": "CryptographicLength", "type": "Integer", "value": 128},
                    {"tag": "CryptographicUsageMask", "type": "Integer", "value": 12},
                ]},
            ]},
        ]}));
    }
    let message = json!({"tag": "RequestMessage", "value": message});
    for _ in 0..3 {
        let answer = connection.post_json("/kmip", &message);
        assert_eq!(answer.text().matches(r#""value":"Success""#).count(), 400);
    }
    let list = connection.get("/objects/owned").json();
    let mut ids: Vec<&str> =
        list.as_array().unwrap().iter().map(|it| it["object_id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 1200);
}
