//! What answers on port 80: the challenges of an order that is open (RFC 8555 section 8.3), and to
//! everything else that it is not there.
//!
//! The socket is bound once, before privileges are dropped, and kept: a renewal must not need them
//! again. Answers come from files below one directory, and only those of tokens that are open now.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use crate::place;

/// Where the standard wants the answers.
const PATH: &str = "/.well-known/acme-challenge/";
/// The same below the root.
const FOLDER: &str = ".well-known/acme-challenge";
/// The longest token and the longest answer, in bytes. The standard's have 22 and some 70.
const TOKEN_BYTES_MAX: usize = 128;
const ANSWER_BYTES_MAX: u64 = 1_024;
/// How many are answered at a time; more wait in the system's queue.
const CONNECTIONS_MAX: usize = 64;
/// How long one may take from the first byte of its header to the last.
const HEADER_TIME: Duration = Duration::from_secs(5);
/// How long one may take in all.
const CONNECTION_TIME: Duration = Duration::from_secs(10);
/// How long to wait where the system has no more sockets.
const BREATH: Duration = Duration::from_millis(100);
/// How much of a request is read, in bytes.
const REQUEST_BYTES_MAX: usize = 8 << 10;
/// The answers are no secrets: another server may hand them out from here.
const READABLE: u32 = 0o644;

/// Answers challenges until it is dropped.
#[derive(Debug)]
pub struct Responder {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    open: RwLock<BTreeSet<String>>,
}

/// Why challenges cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum ResponderError {
    /// The address is not to be had.
    #[error(
        "{address} cannot be listened on: {reason}; the authority's challenges come to port 80{hint}"
    )]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        reason: io::Error,
        /// What to do.
        hint: &'static str,
    },
    /// The directory of the answers is not to be had.
    #[error("{}: {reason}", path.display())]
    Root {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
}

impl Responder {
    /// Listens, and answers from files below `root`. It needs a runtime around it.
    pub fn bind(address: SocketAddr, root: &Path) -> Result<Self, ResponderError> {
        let error = |reason: io::Error| {
            let hint = match reason.kind() {
                io::ErrorKind::AddrInUse => ", and another program has it: stop it",
                io::ErrorKind::PermissionDenied => {
                    ", which wants privileges or the capability CAP_NET_BIND_SERVICE"
                }
                _ => "",
            };
            ResponderError::Bind { address, reason, hint }
        };
        let listener = TcpListener::bind(address).map_err(error)?;
        Self::on(listener, root)
    }

    /// The same on a socket that listens already.
    pub fn on(listener: TcpListener, root: &Path) -> Result<Self, ResponderError> {
        let folder = root.join(FOLDER);
        fs::create_dir_all(&folder)
            .map_err(|reason| ResponderError::Root { path: folder.clone(), reason })?;
        let prepare = || {
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok((address, tokio::net::TcpListener::from_std(listener)?))
        };
        let (address, listener) =
            prepare().map_err(|reason| ResponderError::Root { path: root.to_owned(), reason })?;
        let shared = Arc::new(Shared { folder, open: RwLock::default() });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        Ok(Self { address, shared, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Hands out `answer` for this token from now on.
    pub(crate) fn publish(&self, token: &str, answer: &str) -> io::Result<()> {
        if !is_token(token) {
            return Err(io::Error::other("the authority's token is no token"));
        }
        place::write(&self.shared.folder.join(token), answer.as_bytes(), READABLE)?;
        let mut open = self.shared.open.write().unwrap_or_else(PoisonError::into_inner);
        open.insert(token.to_owned());
        Ok(())
    }

    /// Hands out nothing for this token any more.
    pub(crate) fn withdraw(&self, token: &str) {
        if !is_token(token) {
            return;
        }
        self.shared.open.write().unwrap_or_else(PoisonError::into_inner).remove(token);
        if let Err(error) = place::remove(&self.shared.folder.join(token)) {
            tracing::warn!(%error, "the answer to a challenge could not be taken away");
        }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    /// The answer to a path, if it is one of a token that is open.
    fn answer(&self, path: &str) -> Option<Vec<u8>> {
        let token = path.strip_prefix(PATH).filter(|token| is_token(token))?;
        if !self.open.read().unwrap_or_else(PoisonError::into_inner).contains(token) {
            return None;
        }
        let mut answer = Vec::new();
        // Whoever may write there must not make us hand out what is elsewhere.
        let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).ok()?;
        let file =
            OpenOptions::new().read(true).custom_flags(no_follow).open(self.folder.join(token));
        file.and_then(|file| file.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)).ok()?;
        Some(answer)
    }
}

/// Whether this can be a token (base64url), and so the name of one file.
fn is_token(text: &str) -> bool {
    (1..=TOKEN_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

async fn accept(listener: tokio::net::TcpListener, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "a connection for challenges could not be accepted");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let answer = respond(&shared, &request);
                async move { Ok::<_, Infallible>(answer) }
            });
            let connection = http1::Builder::new()
                .keep_alive(false)
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIME)
                .max_buf_size(REQUEST_BYTES_MAX)
                .serve_connection(TokioIo::new(stream), service);
            if let Ok(Err(error)) = tokio::time::timeout(CONNECTION_TIME, connection).await {
                tracing::debug!(%error, "a connection for challenges");
            }
            drop(place);
        });
    }
}

fn respond<B>(shared: &Shared, request: &Request<B>) -> Response<Full<Bytes>> {
    let asked = request.method() == Method::GET && request.uri().query().is_none();
    let answer = if asked { shared.answer(request.uri().path()) } else { None };
    let status = if answer.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
    let mut response = Response::new(Full::new(Bytes::from(answer.unwrap_or_default())));
    *response.status_mut() = status;
    let kind = http::HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use kms_testkit::http::Connection;
    use tempfile::TempDir;

    const ROOT: &str = "/.well-known/acme-challenge/";

    fn responder(directory: &TempDir) -> Responder {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        Responder::bind(address, directory.path()).unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn only_what_is_published_is_answered_and_only_while_it_is() {
        let directory = TempDir::new().unwrap();
        let responder = responder(&directory);
        let folder = directory.path().join(FOLDER);
        fs::write(directory.path().join("secret"), "secret").unwrap();
        fs::write(folder.join("other"), "other").unwrap();
        responder.publish("token-1_A", "token-1_A.thumb").unwrap();
        let get = |path: &str| Connection::open(responder.address()).get(path);

        let good = get(&format!("{ROOT}token-1_A"));
        assert_eq!((good.status, good.text().as_str()), (200, "token-1_A.thumb"));
        assert_eq!(good.header("content-type"), Some("application/octet-stream"));
        for path in [
            "/",
            "/secret",
            "/.well-known/acme-challenge",
            ROOT,
            "/.well-known/acme-challenge/other",
            "/.well-known/acme-challenge/token-1_A/",
            "/.well-known/acme-challenge/token-1_a",
            "/.well-known/acme-challenge/token%2d1_A",
            "/.well-known/acme-challenge/token-1_A?x",
            "/.well-known/acme-challenge/../../secret",
            "/.well-known/acme-challenge/..%2f..%2fsecret",
            "/.well-known/acme-challenge//token-1_A",
        ] {
            let answer = get(path);
            assert_eq!((answer.status, answer.body.len()), (404, 0), "{path}");
        }
        let posted = Connection::open(responder.address());
        let posted = { posted }.post(&format!("{ROOT}token-1_A"), "text/plain", b"");
        assert_eq!(posted.status, 404);

        responder.withdraw("token-1_A");
        assert_eq!(get(&format!("{ROOT}token-1_A")).status, 404);
        assert!(!folder.join("token-1_A").exists());
        assert!(folder.join("other").exists());
        for bad in ["", "..", "a/b", "a.b", "\u{e9}", &"a".repeat(TOKEN_BYTES_MAX + 1)] {
            assert!(responder.publish(bad, "x").is_err(), "{bad}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_link_is_not_followed() {
        let directory = TempDir::new().unwrap();
        let responder = responder(&directory);
        fs::write(directory.path().join("secret"), "secret").unwrap();
        responder.publish("token", "answer").unwrap();
        let file = directory.path().join(FOLDER).join("token");
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink(directory.path().join("secret"), &file).unwrap();
        let answer = Connection::open(responder.address()).get(&format!("{ROOT}token"));
        assert_eq!((answer.status, answer.body.len()), (404, 0));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_sends_too_much_or_too_slowly_is_cut_off_and_others_are_answered() {
        let directory = TempDir::new().unwrap();
        let responder = responder(&directory);
        responder.publish("token", "answer").unwrap();
        let mut long = Connection::open(responder.address());
        long.send(format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(REQUEST_BYTES_MAX)).as_bytes());
        // More than are answered at a time, none of which says anything.
        let silent: Vec<_> =
            (0..CONNECTIONS_MAX).map(|_| Connection::open(responder.address())).collect();
        let begun = std::time::Instant::now();
        let answer = Connection::open(responder.address()).get(&format!("{ROOT}token"));
        assert_eq!(answer.status, 200);
        assert!(begun.elapsed() < CONNECTION_TIME, "{:?}", begun.elapsed());
        drop(silent);
    }
}
