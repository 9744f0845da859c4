//! HTTP/1.1 to one address, over connections that are kept and used again.
//!
//! The seam for other transports is [`connect`]: what it gives back is all the rest knows of the
//! network. It must not know KMIP.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER,
};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::token::{self, Token};
use crate::{Error, Profile};

/// What a line of a server's own words is cut to.
const MESSAGE_LENGTH: usize = 1_000;

/// What a message in binary says of a failure, in words.
pub(crate) type Said = fn(&[u8]) -> Option<String>;

/// The content type of messages in binary.
pub(crate) const BINARY: &str = "application/octet-stream";

/// The way to one server.
pub(crate) struct Transport {
    profile: Profile,
    said: Said,
    target: Target,
    token: Option<Token>,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("profile", &self.profile).finish_non_exhaustive()
    }
}

/// An address, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    host: String,
    port: u16,
    authority: HeaderValue,
    prefix: String,
}

impl Target {
    fn parse(url: &str) -> Result<Self, Error> {
        let wrong = |problem| Error::Url { url: url.to_owned(), problem };
        let uri: Uri = url.parse().map_err(|_invalid| wrong("it is no URL"))?;
        let scheme = uri.scheme_str().ok_or_else(|| wrong("it does not begin with http://"))?;
        if scheme.eq_ignore_ascii_case("https") {
            return Err(Error::TlsUnavailable { url: url.to_owned() });
        }
        if !scheme.eq_ignore_ascii_case("http") {
            return Err(wrong("it does not begin with http://"));
        }
        let authority = uri.authority().ok_or_else(|| wrong("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("a user name or password does not belong into it"));
        }
        if uri.query().is_some() {
            return Err(wrong("a query (after '?') does not belong into it"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(wrong("it names no host"));
        }
        Ok(Self {
            host: host.to_ascii_lowercase(),
            port: authority.port_u16().unwrap_or(80),
            authority: HeaderValue::from_str(authority.as_str())
                .map_err(|_invalid| wrong("its host is not text"))?,
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// Whether nothing that is sent leaves this machine.
    fn is_this_machine(&self) -> bool {
        let address: Result<IpAddr, _> = self.host.parse();
        address.map_or(self.host == "localhost", |address| address.is_loopback())
    }

    fn address(&self) -> String {
        if self.host.contains(':') {
            return format!("[{}]:{}", self.host, self.port);
        }
        format!("{}:{}", self.host, self.port)
    }
}

/// Opens a connection: plain TCP. A build with TLS wraps the stream here and nowhere else.
async fn connect(target: &Target) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect((target.host.as_str(), target.port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Transport {
    /// The way to the server of `profile`. A failure may come with a message in binary, which `said`
    /// puts into words.
    pub(crate) fn new(profile: Profile, said: Said) -> Result<Self, Error> {
        let target = Target::parse(&profile.url)?;
        Ok(Self { profile, said, target, token: None, idle: Mutex::new(Vec::new()) })
    }

    /// Sends `token` with each request from here on.
    pub(crate) fn authorize(&mut self, token: Token) -> Result<(), Error> {
        self.may_send_token()?;
        self.token = Some(token);
        Ok(())
    }

    pub(crate) fn is_local(&self) -> bool {
        self.target.is_this_machine()
    }

    /// Whether whoever listens on the way could not read it, or need not be feared.
    pub(crate) fn may_send_token(&self) -> Result<(), Error> {
        if self.is_local() || self.profile.token_in_clear {
            return Ok(());
        }
        Err(Error::TokenInClear { origin: self.origin() })
    }

    /// Scheme, host and port.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.target.address())
    }

    pub(crate) fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Posts `body` and gives back the body of a 200.
    pub(crate) async fn post(
        &self,
        path: &str,
        content_type: &'static str,
        body: Vec<u8>,
    ) -> Result<Bytes, Error> {
        self.send(Method::POST, path, Some(content_type), body.into()).await
    }

    /// Gets `path`.
    pub(crate) async fn get(&self, path: &str) -> Result<Bytes, Error> {
        self.send(Method::GET, path, None, Bytes::new()).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&'static str>,
        body: Bytes,
    ) -> Result<Bytes, Error> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        let path = format!("{}{path}", self.target.prefix);
        *request.uri_mut() = path
            .parse()
            .map_err(|_invalid| Error::Request { problem: "its path is no path".to_owned() })?;
        let headers = request.headers_mut();
        headers.insert(HOST, self.target.authority.clone());
        if let Some(token) = &self.token {
            headers.insert(AUTHORIZATION, token.header());
        }
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            headers.insert(ACCEPT, HeaderValue::from_static(content_type));
        }
        self.within("answer", self.profile.request_timeout, self.exchange(request)).await?
    }

    async fn exchange(&self, mut request: Request<Full<Bytes>>) -> Result<Bytes, Error> {
        // A kept connection may have been closed by the server meanwhile. Then hyper gives the
        // request back, unsent, and the next connection has it; a new one is the last resort.
        loop {
            let (mut sender, kept) = match self.kept() {
                Some(sender) => (sender, true),
                None => (self.open().await?, false),
            };
            if sender.ready().await.is_err() && kept {
                continue;
            }
            match sender.try_send_request(request).await {
                Ok(response) => return self.receive(sender, response).await,
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) if kept => request = unsent,
                    _ => return Err(self.broken(failed.into_error())),
                },
            }
        }
    }

    async fn receive(
        &self,
        sender: SendRequest<Full<Bytes>>,
        response: Response<Incoming>,
    ) -> Result<Bytes, Error> {
        let (head, body) = response.into_parts();
        let limit = self.profile.response_limit;
        let body = match Limited::new(body, limit).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => return Err(Error::TooLarge { limit }),
            Err(error) => match error.downcast::<hyper::Error>() {
                Ok(error) => return Err(self.broken(*error)),
                Err(other) => return Err(Error::NotKmip { problem: other.to_string() }),
            },
        };
        self.keep(sender);
        let status = head.status;
        if status == StatusCode::OK {
            return Ok(body);
        }
        Err(self.refused(status, &head.headers, &body))
    }

    fn refused(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Error {
        let code = status.as_u16();
        if status.is_redirection() {
            let location = headers.get(LOCATION).map(HeaderValue::as_bytes);
            let location = self.words(location.unwrap_or_default());
            return Error::Redirected { status: code, location };
        }
        let is_binary = headers.get(CONTENT_TYPE).is_some_and(|it| it == BINARY);
        let message = match (self.said)(body).filter(|_| is_binary) {
            Some(text) => self.words(text.as_bytes()),
            None if is_binary => "(a message that says no more)".to_owned(),
            None => self.words(body),
        };
        if status == StatusCode::UNAUTHORIZED {
            return Error::Unauthenticated { message, token_sent: self.token.is_some() };
        }
        // It may be a date as well; no server of ours says one.
        let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        match seconds {
            Some(seconds) if code == 503 || code == 429 => {
                Error::Later { status: code, message, seconds }
            }
            _ => Error::Http { status: code, message },
        }
    }

    /// The server's words, which may be shown to anybody: without the token, should they have it.
    fn words(&self, bytes: &[u8]) -> String {
        let line = one_line(bytes);
        match &self.token {
            Some(sent) if sent.is_in(&line) => token::unsaid(line),
            _ => line,
        }
    }

    async fn open(&self) -> Result<SendRequest<Full<Bytes>>, Error> {
        let limit = self.profile.connect_timeout;
        let stream = self.within("accept a connection", limit, connect(&self.target)).await?;
        let stream =
            stream.map_err(|source| Error::Connect { address: self.target.address(), source })?;
        let (sender, connection) = http1::Builder::new()
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.broken(error))?;
        // Its end is seen by the sender, which is where the error belongs.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }

    fn kept(&self) -> Option<SendRequest<Full<Bytes>>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(sender) = idle.pop() {
            if !sender.is_closed() {
                return Some(sender);
            }
        }
        None
    }

    fn keep(&self, sender: SendRequest<Full<Bytes>>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.profile.idle_connections && !sender.is_closed() {
            idle.push(sender);
        }
    }

    fn broken(&self, source: hyper::Error) -> Error {
        Error::Broken { address: self.target.address(), source }
    }

    async fn within<T>(
        &self,
        what: &'static str,
        after: std::time::Duration,
        work: impl Future<Output = T>,
    ) -> Result<T, Error> {
        let late = |_elapsed| Error::Timeout { address: self.target.address(), what, after };
        timeout(after, work).await.map_err(late)
    }
}

/// A server's words, fit to be printed: one line, no control characters, not endless.
fn one_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut line: String = text
        .trim()
        .chars()
        .take(MESSAGE_LENGTH)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if line.is_empty() {
        line.push_str("(no message)");
    }
    line
}

/// `text` as one segment of a path.
pub(crate) fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                out.extend(char::from_digit(digit.into(), 16).map(|c| c.to_ascii_uppercase()));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let target = Target::parse("http://localhost:9998").unwrap();
        assert_eq!((target.host.as_str(), target.port), ("localhost", 9998));
        assert_eq!(target.prefix, "");
        let target = Target::parse("http://[::1]/kms/").unwrap();
        assert_eq!((target.address().as_str(), target.prefix.as_str()), ("[::1]:80", "/kms"));
    }

    #[test]
    fn this_machine_is_told_from_others() {
        let here = |url: &str| Target::parse(url).unwrap().is_this_machine();
        for url in ["http://LOCALHOST:1", "http://127.0.0.1", "http://127.1.2.3/", "http://[::1]"] {
            assert!(here(url), "{url}");
        }
        for url in ["http://kms", "http://localhost.example", "http://10.0.0.1", "http://[::2]"] {
            assert!(!here(url), "{url}");
        }
    }

    #[test]
    fn addresses_that_cannot_be_used_say_why() {
        assert!(matches!(Target::parse("https://a"), Err(Error::TlsUnavailable { .. })));
        for url in ["", "localhost", "localhost:9998", "ftp://a", "http://u:p@a", "http://a/?b"] {
            assert!(matches!(Target::parse(url), Err(Error::Url { .. })), "{url}");
        }
    }

    #[test]
    fn a_segment_holds_no_separator() {
        assert_eq!(segment("[\"a/b\"]"), "%5B%22a%2Fb%22%5D");
    }

    #[test]
    fn a_message_is_one_line() {
        assert_eq!(one_line(b" a\nb\x1b[0m "), "a b [0m");
    }
}
