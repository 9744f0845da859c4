//! What somebody finds who has a whole database: dumps of each kind, and SQLite's files with their log
//! and their free pages, are searched for the bytes of every key.

use std::path::Path;

use base64ct::{Base64, Encoding as _};
use kms_seal::{Clear, File, Place, RootKey, Sealer};
use kms_store::KeyringWrite;
use kms_testkit::database::dump;
use kms_testkit::http::Connection;
use kms_testkit::server::Server;
use serde_json::{Value, json};

use super::keyring::{Home, protected};

const ROOT: &[u8; 32] = b"\0this is a root key of 32 byte\n\xFF";

fn text(tag: &str, value: &str) -> Value {
    json!({"tag": tag, "type": "TextString", "value": value})
}

fn number(tag: &str, value: i64) -> Value {
    json!({"tag": tag, "type": "Integer", "value": value})
}

fn name(tag: &str, value: &str) -> Value {
    json!({"tag": tag, "type": "Enumeration", "value": value})
}

/// The value of a field, wherever it stands.
fn find(value: &Value, tag: &str) -> Option<String> {
    match value {
        Value::Object(fields) if value["tag"] == tag && value["value"].is_string() => {
            fields["value"].as_str().map(str::to_owned)
        }
        Value::Object(fields) => fields.values().find_map(|field| find(field, tag)),
        Value::Array(items) => items.iter().find_map(|item| find(item, tag)),
        _ => None,
    }
}

fn done(connection: &mut Connection, operation: &str, fields: &Value) -> Value {
    let answer = connection.operation(&json!({"tag": operation, "value": fields}));
    assert_eq!(answer.status, 200, "{operation}: {}", answer.text());
    answer.json()
}

/// The bytes of a key's material, in the form in which the server keeps it.
fn bytes(connection: &mut Connection, id: &str) -> Vec<u8> {
    let got = done(connection, "Get", &json!([text("UniqueIdentifier", id)]));
    let hex = find(&got, "KeyMaterial").or_else(|| {
        // The number that an elliptic curve's key is, in as many bytes as the curve has.
        let number = find(&got, "D")?;
        let digits = number.trim_start_matches("0x");
        Some(format!("{:0>64}", digits.get(digits.len().saturating_sub(64)..)?))
    });
    let bytes = hex::decode(hex.unwrap_or_else(|| panic!("{got}"))).unwrap();
    assert!(bytes.len() >= 16, "{got}");
    bytes
}

/// Makes keys of every kind and takes some through their life; the bytes of each.
fn make(server: &Server) -> Vec<Vec<u8>> {
    let mut connection = server.connect();
    let connection = &mut connection;
    let attributes = |algorithm: &str, length: i64, mask: i64| {
        json!({"tag": "Attributes", "value": [
            name("CryptographicAlgorithm", algorithm),
            number("CryptographicLength", length),
            number("CryptographicUsageMask", mask),
        ]})
    };
    let mut ids = Vec::new();
    for (algorithm, length) in [("AES", 256), ("AES", 128), ("ChaCha20", 256)] {
        for _ in 0..3 {
            let fields =
                json!([name("ObjectType", "SymmetricKey"), attributes(algorithm, length, 12)]);
            let made = done(connection, "Create", &fields);
            ids.push(find(&made, "UniqueIdentifier").unwrap());
        }
    }
    for (algorithm, length) in [("RSA", 2048), ("EC", 256)] {
        let tags =
            [("CommonAttributes", 0), ("PrivateKeyAttributes", 1), ("PublicKeyAttributes", 2)];
        let mut fields = Vec::new();
        for (tag, mask) in tags {
            let mut common = vec![name("CryptographicAlgorithm", algorithm)];
            if mask == 0 {
                common.push(number("CryptographicLength", length));
            } else {
                common = vec![number("CryptographicUsageMask", mask)];
            }
            fields.push(json!({"tag": tag, "value": common}));
        }
        let made = done(connection, "CreateKeyPair", &json!(fields));
        ids.push(find(&made, "PrivateKeyUniqueIdentifier").unwrap());
    }
    let registered = hex::encode(b"a secret that somebody has brought along");
    let made = done(
        connection,
        "Register",
        &json!([
            name("ObjectType", "SecretData"),
            {"tag": "Attributes", "value": [number("CryptographicUsageMask", 2)]},
            {"tag": "SecretData", "value": [
                name("SecretDataType", "Password"),
                {"tag": "KeyBlock", "value": [
                    name("KeyFormatType", "Raw"),
                    {"tag": "KeyValue", "value": [
                        {"tag": "KeyMaterial", "type": "ByteString", "value": registered},
                    ]},
                ]},
            ]},
        ]),
    );
    ids.push(find(&made, "UniqueIdentifier").unwrap());
    let mut keys: Vec<_> = ids.iter().map(|id| bytes(connection, id)).collect();
    let new = done(connection, "ReKey", &json!([text("UniqueIdentifier", &ids[0])]));
    keys.push(bytes(connection, &find(&new, "UniqueIdentifier").unwrap()));
    for id in &ids[1..3] {
        done(connection, "Destroy", &json!([text("UniqueIdentifier", id)]));
    }
    keys
}

/// Everything that lies in a database.
fn everything(home: &Home) -> Vec<u8> {
    if let Some(database) = &home.database {
        return dump(database);
    }
    let mut all = Vec::new();
    for file in std::fs::read_dir(home.directory()).unwrap() {
        let path = file.unwrap().path();
        if path.file_name().is_some_and(|it| it.to_string_lossy().starts_with("kms.db")) {
            all.extend(std::fs::read(path).unwrap());
        }
    }
    all
}

/// How often the bytes of a key stand somewhere: as they are, in hexadecimal digits, in base64.
fn count(all: &[u8], key: &[u8]) -> usize {
    // The beginning of a long one is enough.
    let key = &key[..key.len().min(64)];
    let mut forms = vec![key.to_vec(), hex::encode(key).into(), hex::encode_upper(key).into()];
    for shift in 0..3 {
        let shifted = [&vec![0; shift][..], key].concat();
        let text = Base64::encode_string(&shifted);
        // What the bytes before and behind have a part in is left out.
        let whole = (shifted.len() / 3) * 4;
        forms.push(text.as_bytes()[if shift == 0 { 0 } else { 4 }..whole].to_vec());
    }
    // A dump writes columns of bytes in hexadecimal digits, and texts may be in one.
    let texts: Vec<_> = forms.iter().skip(1).cloned().collect();
    forms.extend(texts.iter().map(|text| hex::encode(text).into()));
    forms.extend(texts.iter().map(|text| hex::encode_upper(text).into()));
    forms.sort_unstable();
    forms.dedup();
    forms.iter().map(|form| all.windows(form.len()).filter(|it| it == form).count()).sum()
}

fn data_keys(home: &Home, root: &Path) -> Vec<Vec<u8>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = home.store(&runtime);
    let file = File::new(RootKey::read(root).unwrap());
    let rows = runtime.block_on(store.keyring()).unwrap();
    let open = |row: &kms_store::KeyringRow| {
        let place = Place { database_id: store.database_id(), generation: row.generation };
        let sealer: &dyn Sealer = if row.kind == "clear" { &Clear } else { &file };
        sealer.unwrap(place, &row.slot).unwrap().data_key.expose().to_vec()
    };
    let keys = rows.iter().map(open).collect();
    runtime.block_on(store.close()).unwrap();
    keys
}

#[test]
fn no_key_is_found_in_any_database() {
    for home in Home::all() {
        let root = home.file("root", ROOT, 0o600);
        let server = protected(home.server(), &root).start();
        let mut keys = make(&server);
        keys.extend(data_keys(&home, &root));
        keys.push(ROOT.to_vec());
        assert!(keys.len() > 14);
        let none = |all: &[u8]| {
            for (at, key) in keys.iter().enumerate() {
                assert_eq!(count(all, key), 0, "key {at} is in the database");
            }
        };
        let all = everything(&home);
        assert!(all.len() > 10_000, "nothing was searched");
        none(&all);
        // Where there is one, it is found.
        for (at, key) in keys.iter().enumerate() {
            for form in [key.clone(), hex::encode(key).into()] {
                let planted = [&all[..5000], &form, &all[5000..]].concat();
                assert_eq!(count(&planted, key), 1, "key {at}");
            }
            let planted = format!("ab{}", Base64::encode_string(key));
            assert!(count(planted.as_bytes(), key) > 0, "key {at}");
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let store = home.store(&runtime);
        let planting =
            |value: String, expected| KeyringWrite::Note { key: "planted", value, expected };
        let planted = hex::encode(&keys[0]);
        let writes = vec![planting(planted.clone(), None)];
        runtime.block_on(store.change_keyring(writes, None)).unwrap();
        assert_eq!(count(&everything(&home), &keys[0]), 1);
        // What is overwritten is gone, once the log was copied.
        let writes = vec![planting("nothing".to_owned(), Some(planted))];
        runtime.block_on(store.change_keyring(writes, None)).unwrap();
        while !runtime.block_on(store.scrub()).unwrap() {
            kms_testkit::server::pause();
        }
        none(&everything(&home));
        runtime.block_on(store.close()).unwrap();
        drop(server);
        none(&everything(&home));
    }
}

/// A database that was in the clear has the data key of then nowhere in it, once it was left.
#[test]
fn the_data_key_of_the_clear_is_gone_with_it() {
    for home in Home::all() {
        let root = home.file("root", ROOT, 0o600);
        let server = protected(home.server(), &root).argument("--allow-clear-keyring");
        let clear = home.server().start();
        let keys = make(&clear);
        let data_key = data_keys(&home, &root).remove(0);
        assert!(count(&everything(&home), &data_key) > 0, "it was never there");
        drop(clear);
        let server = server.start();
        let words = format!("keyring protect --with file --new-root-key {}", root.display());
        let ended = home.command(&words).run();
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        for all in [everything(&home), {
            drop(server);
            everything(&home)
        }] {
            assert_eq!(count(&all, &data_key), 0);
            assert!(keys.iter().all(|key| count(&all, key) == 0));
        }
    }
}
