//! A real `OpenID` Connect provider, started for a test: Node's `oidc-provider`, whose users and
//! programs are in `provider/idp.mjs` beside this crate. `cargo xtask setup` installs it.
//!
//! For logins, tokens, rotation and outage as they happen. What no provider does, the forgeries, is
//! in [`crate::issuer`].

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::browser::{Browser, form_body, query_field};
use crate::http::{Answer, Connection};
use crate::issuer::base64url;
use crate::server::follow;

/// The audience of its access tokens.
pub const AUDIENCE: &str = crate::issuer::AUDIENCE;
/// The program that users log in with: no secret, any port of 127.0.0.1 with the path `/callback`.
pub const CLIENT: &str = "kms";
/// The claim in which its access tokens have the e-mail, beside `email` in those of users.
pub const CLAIM: &str = "https://kms.test/email";

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_mins(1);
/// Where the browser is sent after a login of the test itself: nobody listens there.
const REDIRECT: &str = "http://127.0.0.1:9/callback";
const VERIFIER: &str = "a-verifier-that-is-as-long-as-it-has-to-be-at-least";

/// Certificate and key, in PEM, with which it speaks TLS.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The file with its certificate.
    pub certificate: PathBuf,
    /// The file with its key.
    pub key: PathBuf,
}

impl Tls {
    /// A certificate for 127.0.0.1 that nobody knows, made in `directory`: its file is also that of
    /// the authority to be trusted.
    pub fn unknown(directory: &Path) -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]);
        let made = made.unwrap_or_else(|error| panic!("no certificate: {error}"));
        let tls = Self { certificate: directory.join("idp.pem"), key: directory.join("idp.key") };
        let write = |path: &Path, text| {
            std::fs::write(path, text)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        };
        write(&tls.certificate, made.cert.pem());
        write(&tls.key, made.signing_key.serialize_pem());
        tls
    }
}

/// What a login gives.
#[derive(Clone)]
pub struct Granted {
    /// The access token.
    pub access_token: String,
    /// What gets the next one.
    pub refresh_token: String,
    /// Who logged in, said to the program.
    pub id_token: String,
}

impl std::fmt::Debug for Granted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Granted").finish_non_exhaustive()
    }
}

/// A provider that runs. It ends when this is dropped, or when the test does.
#[derive(Debug)]
pub struct Provider {
    child: Option<Child>,
    issuer: String,
    /// The issuer's.
    port: u16,
    address: SocketAddr,
    tls: Option<Tls>,
    state: TempDir,
    log: Arc<Mutex<String>>,
}

impl Provider {
    /// Starts one on a free port.
    pub fn start() -> Self {
        Self::begin(None)
    }

    /// The same behind TLS: what a production server wants. The test itself asks it without.
    pub fn start_with_tls(tls: Tls) -> Self {
        Self::begin(Some(tls))
    }

    fn begin(tls: Option<Tls>) -> Self {
        let state = TempDir::new().unwrap_or_else(|error| panic!("no directory: {error}"));
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let log = Arc::new(Mutex::new(String::new()));
        let issuer = String::new();
        let mut provider = Self { child: None, issuer, port: 0, address, tls, state, log };
        provider.start_again();
        provider
    }

    /// Starts it again where it was, with its keys; who was logged in is forgotten.
    pub fn start_again(&mut self) {
        self.stop();
        let modules = modules();
        let tls =
            self.tls.as_ref().map(|tls| json!({"certificate": tls.certificate, "key": tls.key}));
        let options = json!({
            "modules": modules,
            "port": self.port,
            "state": self.state.path(),
            "tls": tls,
        });
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("provider/idp.mjs");
        let mut child = Command::new(node(&modules))
            .arg(script)
            .arg(options.to_string())
            .current_dir(self.state.path())
            // Held open by us: it ends when we do, however that happens.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("node: {error}; run: cargo xtask setup"));
        let (ready, issuer) = mpsc::channel();
        let report = Arc::new(Mutex::new(String::new()));
        follow(child.stderr.take(), Arc::clone(&self.log), |_| {});
        follow(child.stdout.take(), report, move |line| {
            if let Some(issuer) = line.trim().strip_prefix("issuer ") {
                // The test may have given up.
                drop(ready.send(issuer.to_owned()));
            }
        });
        self.child = Some(child);
        let said = issuer.recv_timeout(PATIENCE);
        let said = said.unwrap_or_else(|_| panic!("the provider did not start: {}", self.log()));
        let there = said.split_once(' ').and_then(|(issuer, address)| {
            let port = issuer.trim_end_matches('/').rsplit(':').next()?.parse().ok()?;
            Some((issuer.to_owned(), port, address.parse().ok()?))
        });
        (self.issuer, self.port, self.address) = there.unwrap_or_else(|| panic!("{said}"));
    }

    /// Ends it: from now on nobody listens there.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            drop(child.kill());
            drop(child.wait());
        }
    }

    /// Its issuer, which is also the value of `KMS_DELEGATED_AUTHORITY_DOMAIN`.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Where it listens without TLS.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has complained of so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A token of a program: `alice` or `bob`, with the e-mail in [`CLAIM`], or `robot`, without.
    pub fn token(&self, program: &str) -> String {
        let fields = [
            ("grant_type", "client_credentials"),
            ("scope", "kms:use"),
            ("client_id", program),
            ("client_secret", &format!("{program}-secret")),
        ];
        text(&self.post("/token", &fields).json(), "access_token")
    }

    /// Logs a user in (`alice`, `bob`, or `carol`, whose address was never verified), as
    /// `kms login` does.
    pub fn log_in(&self, user: &str) -> Granted {
        let challenge = base64url(digest::digest(&digest::SHA256, VERIFIER.as_bytes()).as_ref());
        let query = form_body(&[
            ("response_type", "code"),
            ("client_id", CLIENT),
            ("redirect_uri", REDIRECT),
            ("scope", "openid email offline_access"),
            ("resource", AUDIENCE),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        let url = format!("http://{}/auth?{query}", self.address);
        let sent_to = Browser::new().redirect_after_log_in(&url, &email(user));
        let code = query_field(&sent_to, "code").unwrap_or_else(|| panic!("no code: {sent_to}"));
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", REDIRECT),
            ("client_id", CLIENT),
            ("code_verifier", VERIFIER),
            ("resource", AUDIENCE),
        ];
        let granted = self.post("/token", &fields).json();
        let text = |name| text(&granted, name);
        Granted {
            access_token: text("access_token"),
            refresh_token: text("refresh_token"),
            id_token: text("id_token"),
        }
    }

    /// The access token of a user who has just logged in.
    pub fn user_token(&self, user: &str) -> String {
        self.log_in(user).access_token
    }

    /// Goes to `url` (that of a login, or of a device that waits for one) as this user with a
    /// browser, to the end.
    pub fn visit_as(user: &str, url: &str) -> crate::browser::Page {
        Browser::new().log_in(url, &email(user))
    }

    /// A new ES256 key signs from now on; the old ones stay in the set. Its name.
    pub fn rotate(&self) -> String {
        self.change("rotate")
    }

    /// A new RS256 key signs from now on, and is all that is left. Its name.
    pub fn replace_keys(&self) -> String {
        self.change("replace")
    }

    /// How long its access tokens are good for, from now on.
    pub fn set_lifetime(&self, seconds: u32) {
        self.change(&format!("lifetime?seconds={seconds}"));
    }

    /// How often this path (`/jwks`, `/.well-known/openid-configuration`) was asked for since it
    /// was started.
    pub fn asked(&self, path: &str) -> u64 {
        let asked: Value = serde_json::from_str(&self.change("asked")).unwrap_or_default();
        asked.get(path).and_then(Value::as_u64).unwrap_or_default()
    }

    fn change(&self, what: &str) -> String {
        let answer =
            Connection::open(self.address).post(&format!("/test/{what}"), "text/plain", b"");
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
        answer.text()
    }

    /// Posts a form to one of its endpoints.
    pub fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = form_body(fields);
        let kind = "application/x-www-form-urlencoded";
        Connection::open(self.address).post(path, kind, body.as_bytes())
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.stop();
    }
}

fn text(answer: &Value, name: &str) -> String {
    let text = answer.get(name).and_then(Value::as_str);
    text.unwrap_or_else(|| panic!("no {name}: {answer}")).to_owned()
}

fn email(user: &str) -> String {
    if user.contains('@') { user.to_owned() } else { format!("{user}@example.org") }
}

/// Where it is installed: where `KMS_TEST_PROVIDER` says, or beside what cargo builds.
fn modules() -> PathBuf {
    if let Some(path) = std::env::var_os("KMS_TEST_PROVIDER") {
        return path.into();
    }
    let test = std::env::current_exe().unwrap_or_else(|error| panic!("{error}"));
    let found = test.ancestors().map(|folder| folder.join("provider"));
    let mut found = found.filter(|folder| folder.join("node_modules/oidc-provider").is_dir());
    found.next().unwrap_or_else(|| {
        panic!("the identity provider of the tests is not installed; run: cargo xtask setup")
    })
}

/// The Node that was installed beside it, where the machine's own is missing or too old.
fn node(modules: &Path) -> OsString {
    let own = modules.join("node/node_modules/node/bin/node");
    if own.exists() { own.into() } else { "node".into() }
}
