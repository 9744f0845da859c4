//! What is made for an operator of an `EdgelessDB`, used as it is printed, against the stand-in.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use kms_testkit::database::{Instance, Kind, client};
use kms_testkit::server::Server;
use serde_json::{Value, json};

/// Runs the program; what it prints.
fn make(directory: &Path) -> Result<String, String> {
    let program = env!("CARGO_BIN_EXE_kms-lab");
    let output = Command::new(program).arg("edgelessdb").arg(directory).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// The printed command that begins so, to its end.
fn command<'a>(printed: &'a str, begins: &str) -> &'a str {
    let (_, rest) = printed.split_once(&format!("\n{begins}")).unwrap();
    let end = rest.find("\n\n").unwrap_or(rest.len());
    let start = printed.len() - rest.len() - begins.len();
    printed.get(start..start + begins.len() + end).unwrap()
}

/// Runs a printed command in a shell where these programs are others.
fn shell(script: &str, programs: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, body) in programs {
        text.extend([name, "() { ", body, "; }\n"]);
    }
    let output = Command::new("bash").arg("-euc").arg(text + script).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{script}\n{}", text(&output.stderr));
    text(&output.stdout)
}

fn start(directory: &Path) -> Instance {
    let manifest = fs::read_to_string(directory.join("manifest.json")).unwrap();
    Instance::builder(Kind::EdgelessDb).manifest(&manifest).start()
}

#[test]
fn the_material_is_what_the_printed_commands_need() {
    let home = tempfile::TempDir::new().unwrap();
    let directory = home.path().join("it's material");
    let printed = make(&directory).unwrap();
    let instance = start(&directory);

    // What the database answers before it has its manifest: its certificate is the last one.
    let root = fs::read_to_string(instance.client_files().root).unwrap();
    let other = fs::read_to_string(directory.join("ca.pem")).unwrap();
    let quote = json!({"status": "success", "data": {"Cert": other + &root, "Quote": null}});
    fs::write(home.path().join("quote"), format!("{quote}\n")).unwrap();
    let answer = format!("cat '{}'", home.path().join("quote").display());
    shell(command(&printed, "curl --silent --insecure"), &[("curl", &answer)]);
    assert_eq!(fs::read_to_string(directory.join("root.pem")).unwrap(), root);

    let hash = "sha256sum < \"$manifest\" | cut -c 1-64";
    let answer = format!(
        "manifest='{}'; {hash}",
        directory.display().to_string().replace('\'', r"'\''") + "/manifest.json"
    );
    shell(command(&printed, "until curl"), &[("curl", &answer)]);

    let port = instance.address().port().to_string();
    let mysql = format!("'{}' --no-defaults \"$@\"", client(Kind::EdgelessDb).display());
    let said = shell(&command(&printed, "mysql ").replace("3306", &port), &[("mysql", &mysql)]);
    assert!(said.contains("ALL PRIVILEGES ON `kms`.*"), "{said}");

    serves(&command(&printed, "KMS_MYSQL_URL").replace("3306", &port));
}

/// Whether the server starts with what a command sets, and keeps an object.
fn serves(command: &str) {
    let cargo = "env | grep ^KMS_";
    let variables = shell(command, &[("cargo", cargo)]);
    let mut builder = Server::builder();
    for (name, value) in variables.lines().filter_map(|line| line.split_once('=')) {
        builder = builder.environment(name, value);
    }
    let server = builder.start();
    let create = json!({"tag": "Create", "value": [
        {"tag": "ObjectType", "type": "Enumeration", "value": "SymmetricKey"},
        {"tag": "Attributes", "value": [
            {"tag": "UniqueIdentifier", "type": "TextString", "value": "kept"},
            {"tag": "CryptographicAlgorithm", "type": "Enumeration", "value": "AES"},
            {"tag": "CryptographicLength", "type": "Integer", "value": 256},
            {"tag": "CryptographicUsageMask", "type": "Integer", "value": 12},
        ]},
    ]});
    assert_eq!(server.connect().operation(&create).status, 200);
    let get = json!({"tag": "Get", "value": [
        {"tag": "UniqueIdentifier", "type": "TextString", "value": "kept"},
    ]});
    assert_eq!(server.restart().connect().operation(&get).status, 200);
}

#[test]
fn the_files_are_private_and_as_others_read_them() {
    let home = tempfile::TempDir::new().unwrap();
    let directory = home.path().join("made");
    let printed = make(&directory).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    let files: Vec<_> = fs::read_dir(&directory).unwrap().map(|file| file.unwrap()).collect();
    assert_eq!(files.len(), 7);
    for file in &files {
        assert_eq!(mode(&file.path()), 0o600, "{file:?}");
        assert!(printed.contains(file.file_name().to_str().unwrap()), "{file:?} is not named");
    }
    let openssl = |script: &str| shell(&format!("cd '{}'; {script}", directory.display()), &[]);
    let said =
        openssl("openssl pkcs12 -in cert.p12 -passin pass: -nodes | openssl x509 -text -noout");
    for part in ["Version: 3 (0x2)", "CN = kms", "CA:FALSE", "TLS Web Client Authentication"] {
        assert!(said.contains(part), "no {part} in\n{said}");
    }
    openssl("openssl verify -CAfile ca.pem client.pem");
    // What the database makes with the manifest's key, the recovery key opens.
    let manifest: Value =
        serde_json::from_slice(&fs::read(directory.join("manifest.json")).unwrap()).unwrap();
    fs::write(directory.join("public.pem"), manifest["recovery"].as_str().unwrap()).unwrap();
    let opened = openssl(
        "oaep='-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256'; printf 0123456789abcdef | \
         openssl pkeyutl -encrypt -pubin -inkey public.pem $oaep | base64 -w0 > recovery-data; \
         base64 -d recovery-data | openssl pkeyutl -decrypt -inkey recovery-key.pem $oaep",
    );
    assert_eq!(opened, "0123456789abcdef");
    let said = make(&directory).unwrap_err();
    assert!(said.contains("is not empty"), "{said}");
}
