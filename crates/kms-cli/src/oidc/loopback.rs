//! Where the browser brings the answer to: a port of this machine, open while a login is waited for.
//!
//! It takes one request that belongs to this login, and refuses every other: a page that the user
//! has open may send requests here as well. It must not know what the answer is good for.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::page::Page;
use crate::error::{Error, Kind};
use crate::secret_text::SecretText;

/// The longest request that is read.
const HEAD_BYTES: usize = 32 << 10;
/// How long a connection may take to send its request, and to take the page.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many connections are listened to at once. Browsers open some in advance.
const CONNECTIONS: usize = 32;
/// The path of the redirect address.
const PATH: &str = "/callback";

/// The port.
#[derive(Debug)]
pub(super) struct Loopback {
    listener: TcpListener,
    /// Host and port, as a browser names them.
    host: String,
}

/// The answer, with the browser that waits for a page.
#[derive(Debug)]
pub(crate) struct Arrival {
    stream: TcpStream,
    fields: BTreeMap<String, SecretText>,
}

impl Loopback {
    /// Opens the port; any that is free, for `0`.
    pub(super) async fn open(port: u16) -> Result<Self, Error> {
        let failed = |error: std::io::Error| {
            Error::new(Kind::File, format!("port {port} of this machine cannot be opened: {error}"))
                .hint("name a free one with --redirect-port, or log in with --device")
        };
        // Never by name: `localhost` may be somebody else's (RFC 8252, section 8.3).
        let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(failed)?;
        let host = listener.local_addr().map_err(failed)?.to_string();
        Ok(Self { listener, host })
    }

    /// Where the provider is to send the browser.
    pub(super) fn redirect(&self) -> String {
        format!("http://{}{PATH}", self.host)
    }

    /// Waits for the answer that bears `state`.
    pub(super) async fn wait(&self, state: &SecretText) -> Result<Arrival, Error> {
        let (found, mut arrivals) = mpsc::channel(1);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                arrival = arrivals.recv() => {
                    return arrival.ok_or_else(|| Error::unexpected("nobody listens any more"));
                }
                accepted = self.listener.accept(), if connections.len() < CONNECTIONS => {
                    // One that has gone already is no loss.
                    let Ok((stream, _)) = accepted else { continue };
                    let (host, state, found) = (self.host.clone(), state.clone(), found.clone());
                    connections.spawn(async move {
                        if let Ok(Some(arrival)) = timeout(PATIENCE, serve(stream, &host, &state)).await {
                            // The first one counts.
                            drop(found.try_send(arrival));
                        }
                    });
                }
                Some(_ended) = connections.join_next() => {}
            }
        }
    }
}

impl Arrival {
    /// A field of the answer.
    pub(super) fn field(&self, name: &str) -> Option<&SecretText> {
        self.fields.get(name)
    }

    /// Shows the browser how it went. A browser that has gone does not change that.
    pub(crate) async fn reply(mut self, page: &Page) {
        drop(timeout(PATIENCE, show(&mut self.stream, page)).await);
    }
}

async fn show(stream: &mut TcpStream, page: &Page) -> std::io::Result<()> {
    stream.write_all(page.response().as_bytes()).await?;
    stream.shutdown().await
}

/// Reads one request; gives it back if it is the answer, and refuses it otherwise.
async fn serve(mut stream: TcpStream, host: &str, state: &SecretText) -> Option<Arrival> {
    let head = head(&mut stream).await?;
    match fields(&head, host, state) {
        Ok(fields) => Some(Arrival { stream, fields }),
        Err(page) => {
            // Whoever does not wait for the refusal does not need it.
            drop(show(&mut stream, &page).await);
            None
        }
    }
}

async fn head(stream: &mut TcpStream) -> Option<Zeroizing<String>> {
    // At once, so that no copy of the answer is left behind by a buffer that grew.
    let mut bytes = Zeroizing::new(Vec::with_capacity(HEAD_BYTES));
    while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
        let room = HEAD_BYTES.checked_sub(bytes.len()).filter(|room| *room > 0)?;
        let room = u64::try_from(room).ok()?;
        if (&mut *stream).take(room).read_buf(&mut *bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(Zeroizing::new(String::from_utf8(std::mem::take(&mut *bytes)).ok()?))
}

/// The fields of the answer in this request, or the page that refuses it.
fn fields(
    head: &str,
    host: &str,
    state: &SecretText,
) -> Result<BTreeMap<String, SecretText>, Page> {
    let refused = |status, text| Err(Page::refused(status, text));
    let mut lines = head.split("\r\n");
    let mut line = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (line.next().unwrap_or_default(), line.next().unwrap_or_default());
    let hosts = lines.filter_map(|line| line.split_once(':'));
    let mut hosts = hosts.filter(|(name, _)| name.eq_ignore_ascii_case("host"));
    // A name that was made to stand for this machine is not ours (DNS rebinding).
    if hosts.next().is_none_or(|(_, value)| value.trim() != host) || hosts.next().is_some() {
        return refused("421 Misdirected Request", "This address is for one login only.");
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if path != PATH {
        return refused("404 Not Found", "There is nothing here.");
    }
    if method != "GET" {
        return refused("405 Method Not Allowed", "This address is for one login only.");
    }
    let mut fields = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let value = SecretText::new(value.into_owned());
        if fields.insert(name.into_owned(), value).is_some() {
            return refused("400 Bad Request", "The answer says something twice.");
        }
    }
    if !fields.get("state").is_some_and(|it| state.is(it.expose())) {
        return refused(
            "400 Bad Request",
            "This is not the answer to the login that is waited for: it may be an old page, or \
             somebody else's attempt. The login still waits.",
        );
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "127.0.0.1:4000";

    fn status(head: &str) -> &'static str {
        let state = SecretText::new("s".to_owned());
        fields(head, HOST, &state)
            .map_or_else(|page| page.status.split(' ').next().unwrap(), |_| "200")
    }

    #[test]
    fn only_the_answer_to_this_login_is_taken() {
        for (line, host, expected) in [
            ("GET /callback?code=c&state=s HTTP/1.1", HOST, "200"),
            ("GET /callback?error=access_denied&state=s HTTP/1.1", HOST, "200"),
            ("GET /callback?code=c&state=t HTTP/1.1", HOST, "400"),
            ("GET /callback?code=c HTTP/1.1", HOST, "400"),
            ("GET /callback?code=c&state=s&state=s HTTP/1.1", HOST, "400"),
            ("GET /callback?code=c&code=d&state=s HTTP/1.1", HOST, "400"),
            ("POST /callback?code=c&state=s HTTP/1.1", HOST, "405"),
            ("GET /favicon.ico HTTP/1.1", HOST, "404"),
            ("GET /callback/?code=c&state=s HTTP/1.1", HOST, "404"),
            ("GET /callback?code=c&state=s HTTP/1.1", "evil.example:4000", "421"),
            ("GET /callback?code=c&state=s HTTP/1.1", "127.0.0.1:4001", "421"),
            ("nonsense", HOST, "404"),
        ] {
            assert_eq!(status(&format!("{line}\r\nHost: {host}\r\n\r\n")), expected, "{line}");
        }
        assert_eq!(status("GET /callback?code=c&state=s HTTP/1.1\r\n\r\n"), "421");
    }

    #[tokio::test]
    async fn an_answer_is_waited_for_among_others() {
        let loopback = Loopback::open(0).await.unwrap();
        let state = SecretText::new("s".to_owned());
        let host = loopback.host.clone();
        let browser = async {
            let silent = TcpStream::connect(&host).await.unwrap();
            let ask = async |query: &str| {
                let mut stream = TcpStream::connect(&host).await.unwrap();
                let head = format!("GET /callback?{query} HTTP/1.1\r\nhost: {host}\r\n\r\n");
                stream.write_all(head.as_bytes()).await.unwrap();
                let mut page = String::new();
                stream.read_to_string(&mut page).await.unwrap();
                page
            };
            assert!(ask("code=stolen&state=x").await.starts_with("HTTP/1.1 400 "));
            let page = ask("code=c%2B1&state=s").await;
            drop(silent);
            page
        };
        let login = async {
            let arrival = loopback.wait(&state).await.unwrap();
            let code = arrival.field("code").unwrap().expose().to_owned();
            arrival.reply(&Page::done("fine")).await;
            code
        };
        let (page, code) = tokio::join!(browser, login);
        assert_eq!(code, "c+1");
        assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.contains("fine"), "{page}");
    }

    #[tokio::test]
    async fn an_endless_request_is_let_go() {
        let loopback = Loopback::open(0).await.unwrap();
        let mut stream = TcpStream::connect(&loopback.host).await.unwrap();
        let (mut accepted, _) = loopback.listener.accept().await.unwrap();
        let writer = async {
            let long = vec![b'a'; HEAD_BYTES + 1];
            // It may be cut off in the middle.
            drop(stream.write_all(&long).await);
        };
        let (read, ()) = tokio::join!(head(&mut accepted), writer);
        assert!(read.is_none());
    }
}
