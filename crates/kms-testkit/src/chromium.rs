//! A real browser without a screen: Chromium, told what to do by chromedriver (`WebDriver`).
//! `cargo xtask setup` installs both. It reaches nothing but this machine.
//!
//! For what a browser does by itself, which [`crate::browser`] does not: what it shows, what it
//! connects to in advance, how it follows a redirect to a program that ends right after.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::Connection;
use crate::server::{follow, pause};

/// How long it may take to start, and a page to show what is waited for.
const PATIENCE: Duration = Duration::from_mins(1);
/// Under which name an element's reference is handed out.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// A browser for a test, which may run as root and must not call home.
const ARGUMENTS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-breakpad",
    "--disable-crash-reporter",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
];

/// A browser that runs. It ends when this is dropped.
#[derive(Debug)]
pub struct Chromium {
    driver: Child,
    address: SocketAddr,
    session: String,
    profile: TempDir,
    log: Arc<Mutex<String>>,
}

impl Chromium {
    /// Starts one that remembers nothing.
    pub fn start() -> Self {
        let program = std::env::var_os("KMS_TEST_CHROMEDRIVER");
        let profile = TempDir::new().unwrap_or_else(|error| panic!("no directory: {error}"));
        let mut driver = Command::new(program.unwrap_or_else(|| "chromedriver".into()))
            .arg("--port=0")
            // What it keeps outside its profile goes with it, too.
            .env("HOME", profile.path())
            .env("XDG_CONFIG_HOME", profile.path())
            .env("XDG_CACHE_HOME", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("chromedriver: {error}; run: cargo xtask setup"));
        let log = Arc::new(Mutex::new(String::new()));
        let (ready, port) = mpsc::channel();
        follow(driver.stderr.take(), Arc::clone(&log), |_| {});
        follow(driver.stdout.take(), Arc::clone(&log), move |line| {
            let port = line.split_once("successfully on port ").map(|(_, rest)| rest.trim());
            if let Some(port) = port.and_then(|port| port.trim_end_matches('.').parse().ok()) {
                // The test may have given up.
                ready.send(port).unwrap_or_default();
            }
        });
        let mut browser = Self {
            driver,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            session: String::new(),
            profile,
            log,
        };
        let port: Result<u16, _> = port.recv_timeout(PATIENCE);
        let port = port.unwrap_or_else(|_| panic!("no chromedriver: {}", browser.said()));
        browser.address.set_port(port);
        browser.open();
        browser
    }

    fn open(&mut self) {
        let mut arguments: Vec<String> = ARGUMENTS.iter().map(|&it| it.to_owned()).collect();
        arguments.push(format!("--user-data-dir={}", self.profile.path().display()));
        let options = json!({ "goog:chromeOptions": { "args": arguments } });
        let answer =
            self.send("POST", "/session", &json!({ "capabilities": { "alwaysMatch": options } }));
        let session = answer.get("sessionId").and_then(Value::as_str);
        session.unwrap_or_else(|| panic!("no session: {answer}")).clone_into(&mut self.session);
    }

    /// Goes there.
    pub fn visit(&self, url: &str) {
        self.tell("POST", "/url", &json!({ "url": url }));
    }

    /// Where it is.
    pub fn url(&self) -> String {
        self.tell("GET", "/url", &Value::Null).as_str().unwrap_or_default().to_owned()
    }

    /// Types into the one element that the selector finds.
    pub fn fill_in(&self, selector: &str, text: &str) {
        self.tell("POST", &format!("{}/value", self.element(selector)), &json!({ "text": text }));
    }

    /// Clicks on the one element that the selector finds.
    pub fn click(&self, selector: &str) {
        self.tell("POST", &format!("{}/click", self.element(selector)), &json!({}));
    }

    /// What the page shows: nothing while it changes.
    pub fn text(&self) -> String {
        let script = "return document.body ? document.body.innerText : ''";
        let path = format!("/session/{}/execute/sync", self.session);
        let text = self.try_send("POST", &path, &json!({ "script": script, "args": [] }));
        text.unwrap_or_default().as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the page shows `text`.
    pub fn wait_for(&self, text: &str) {
        let until = Instant::now() + PATIENCE;
        loop {
            let shown = self.text();
            if shown.contains(text) {
                return;
            }
            assert!(Instant::now() < until, "no `{text}` at {} but: {shown}", self.url());
            pause();
        }
    }

    fn element(&self, selector: &str) -> String {
        let ask = json!({ "using": "css selector", "value": selector });
        let found = self.tell("POST", "/element", &ask);
        let element = found.get(ELEMENT).and_then(Value::as_str);
        format!("/element/{}", element.unwrap_or_else(|| panic!("no {selector}: {found}")))
    }

    fn tell(&self, method: &str, path: &str, body: &Value) -> Value {
        self.send(method, &format!("/session/{}{path}", self.session), body)
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.try_send(method, path, body);
        answer.unwrap_or_else(|problem| panic!("{method} {path}: {problem}; {}", self.said()))
    }

    fn try_send(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let mut connection = Connection::open(self.address);
        connection.send(&self.request(method, path, body));
        let answer = connection.answer().ok_or("no answer")?;
        if answer.status != 200 {
            return Err(answer.text());
        }
        Ok(answer.json().get("value").cloned().unwrap_or_default())
    }

    fn request(&self, method: &str, path: &str, body: &Value) -> Vec<u8> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        // The driver answers those alone who name this machine.
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n",
            self.address,
            body.len()
        );
        format!("{head}{body}").into_bytes()
    }

    /// Ends the browser, whatever has happened: nothing here may panic.
    fn quit(&self) -> std::io::Result<()> {
        let mut stream = TcpStream::connect_timeout(&self.address, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let path = format!("/session/{}", self.session);
        stream.write_all(&self.request("DELETE", &path, &Value::Null))?;
        // The answer comes when the browser has ended; the driver keeps the connection.
        stream.read(&mut [0; 1024]).map(drop)
    }

    fn said(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            drop(self.quit());
        }
        // It may have ended by itself.
        drop(self.driver.kill());
        drop(self.driver.wait());
    }
}
