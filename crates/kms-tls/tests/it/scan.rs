//! What a stranger's tool says of how TLS is spoken: `sslscan`, as Debian has it.

use std::process::Command;

use kms_testkit::certificates::Authority;
use tempfile::TempDir;

use crate::restart::{Process, Running};

#[test]
fn sslscan_finds_nothing_old() {
    let directory = TempDir::new().unwrap();
    let server = Authority::new("servers").server();
    let [certificate, key] = ["own.pem", "own.key"].map(|name| directory.path().join(name));
    std::fs::write(&certificate, server.certificate).unwrap();
    std::fs::write(&key, server.key).unwrap();
    let process = Process::new();
    let running = Running::wait(process.start_with_files(&certificate, &key));
    let scan = Command::new("sslscan")
        .args(["--no-colour", "--sni-name=localhost", &process.address().to_string()])
        .output()
        .expect("sslscan: cargo xtask setup");
    drop(running);
    let found = String::from_utf8_lossy(&scan.stdout).into_owned();
    let has = |line: &str| {
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(found.lines().any(|found| words(found) == line), "no `{line}` in {found}");
    };
    for line in [
        "SSLv2 disabled",
        "SSLv3 disabled",
        "TLSv1.0 disabled",
        "TLSv1.1 disabled",
        "TLSv1.2 enabled",
        "TLSv1.3 enabled",
        "TLSv1.3 not vulnerable to heartbleed",
    ] {
        has(line);
    }
    assert!(!found.contains("vulnerable") || !found.contains("is vulnerable"), "{found}");
    // Every cipher of 1.2 has forward secrecy and authenticates what it encrypts.
    let ciphers: Vec<_> = found.lines().filter(|line| line.contains("TLSv1.2  ")).collect();
    let ciphers = ciphers.iter().filter(|line| line.contains("bits"));
    let mut count = 0;
    for cipher in ciphers {
        count += 1;
        assert!(cipher.contains("ECDHE"), "{cipher}");
        assert!(cipher.contains("GCM") || cipher.contains("CHACHA20"), "{cipher}");
    }
    assert!(count > 0, "{found}");
}
