//! The server's program over real sockets: routes, answers, limits, starts and ends.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod audit;
mod databases;
mod exchanges;
mod keyring;
mod leaks;
mod life;
mod limits;
mod long;
mod machines;
mod malformed;
mod matrix;
mod observed;
mod provider;
mod rotation;
mod routes;
mod sharing;
mod together;
mod tokens;

use kms_testkit::http::Connection;
use kms_testkit::server::{Builder, Server};

/// The program that was built for this test.
fn builder() -> Builder {
    Server::builder().binary(env!("CARGO_BIN_EXE_kms-server"))
}

/// Whether the servers keep their objects in their directories, as they do unless `KMS_TEST_DATABASE`
/// says otherwise: some tests are about just that.
fn in_directories() -> bool {
    kms_testkit::server::database_kind().is_none()
}

fn server() -> Server {
    builder().start()
}

/// A request that works on any server, to see that it still answers.
fn assert_answers(server: &Server) {
    let answer = server.connect().operation(&serde_json::json!({"tag": "Query", "value": []}));
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Until the last line that a start writes to the log has come through.
fn wait_for_warning(server: &Server) {
    for _ in 0..250 {
        if server.log().contains("keys rest unprotected") {
            return;
        }
        kms_testkit::server::pause();
    }
    panic!("no warning in\n{}", server.log());
}

/// Makes a key; its identifier if that was answered.
fn try_made(connection: &mut Connection) -> Result<String, String> {
    let attribute = |tag: &str, kind: &str, value: serde_json::Value| serde_json::json!({"tag": tag, "type": kind, "value": value});
    let request = serde_json::json!({"tag": "Create", "value": [
        attribute("ObjectType", "Enumeration", "SymmetricKey".into()),
        {"tag": "Attributes", "value": [
            attribute("CryptographicAlgorithm", "Enumeration", "AES".into()),
            attribute("CryptographicLength", "Integer", 256.into()),
            attribute("CryptographicUsageMask", "Integer", 12.into()),
        ]},
    ]});
    let body = request.to_string();
    let header = [("content-type", "application/json")];
    connection.begin("POST", "/kmip/2_1", &header, body.as_bytes());
    let answer = connection.answer().ok_or("no answer")?;
    if answer.status != 200 {
        return Err(answer.text());
    }
    let items = answer.json()["value"].clone();
    let id = items.as_array().unwrap().iter().find(|it| it["tag"] == "UniqueIdentifier");
    Ok(id.unwrap()["value"].as_str().unwrap().to_owned())
}

/// Makes a key on a server.
fn made(server: &Server) -> String {
    try_made(&mut server.connect()).unwrap()
}

/// Asserts that a key can be got, and so be opened.
fn assert_kept(server: &Server, id: &str) {
    let answer = server.connect().operation(&serde_json::json!({"tag": "Get", "value": [
        {"tag": "UniqueIdentifier", "type": "TextString", "value": id},
    ]}));
    assert_eq!(answer.status, 200, "{}", answer.text());
}
