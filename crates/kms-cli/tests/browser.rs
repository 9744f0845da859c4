//! `kms login` with a real browser: what it shows, and that its own ways (connections in advance, an
//! icon that nobody offered) do not end the login.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use kms_testkit::chromium::Chromium;
use kms_testkit::provider::{AUDIENCE, CLIENT, Provider};
use kms_testkit::server::Server;

/// A `kms login` that waits for its user, and where the user logs in.
fn begin(server: &Server, provider: &Provider, home: &tempfile::TempDir) -> (Child, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kms"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("KMS_") {
            command.env_remove(name);
        }
    }
    let mut child = command
        .args(["login", "--no-browser", "--issuer", provider.issuer()])
        .args(["--client-id", CLIENT, "--audience", AUDIENCE])
        .env("KMS_URL", server.url())
        .env("HOME", home.path())
        .env("XDG_CONFIG_HOME", home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let (mut said, mut url) = (String::new(), String::new());
    while !said.contains("waiting for the login") {
        let mut line = String::new();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0, "it does not wait: {said}");
        if line.starts_with("  http") {
            line.trim().clone_into(&mut url);
        }
        said.push_str(&line);
    }
    // Somebody has to listen, or it could not complain.
    std::thread::spawn(move || lines.read_to_string(&mut String::new()));
    (child, url)
}

#[test]
fn a_user_with_a_real_browser_logs_in_or_says_no() {
    let provider = Provider::start();
    let server = Server::builder()
        .environment("KMS_DELEGATED_AUTHORITY_DOMAIN", provider.issuer())
        .environment("KMS_JWT_AUDIENCE", AUDIENCE)
        .start();
    let home = tempfile::tempdir().unwrap();
    let browser = Chromium::start();

    let (child, url) = begin(&server, &provider, &home);
    browser.visit(&url);
    browser.wait_for("E-mail");
    browser.fill_in("input[name=login]", "alice@example.org");
    browser.click("button[type=submit]");
    browser.wait_for("You are logged in");
    browser.wait_for("as alice@example.org");
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("as alice@example.org"), "{said}");
    assert!(browser.url().starts_with("http://127.0.0.1:"), "{}", browser.url());

    // The browser knows her still, and asks only whether it may go on.
    let (child, url) = begin(&server, &provider, &home);
    browser.visit(&url);
    browser.wait_for("Go on?");
    browser.click("button[name=cancel]");
    browser.wait_for("The login failed");
    assert!(!child.wait_with_output().unwrap().status.success());
}
