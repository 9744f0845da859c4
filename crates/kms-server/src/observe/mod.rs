//! What the operator sees: the log, the numbers, and the identifiers that join the two to an
//! answer.
//!
//! At the default level a request that goes well writes nothing. No function here is ever given a
//! key, a plaintext, a token or a password.

pub(crate) mod metrics;

use std::sync::atomic::{AtomicU64, Ordering};

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use kms_config::value::{LogFormat, LogLevel};
use kms_core::RequestId;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt;

/// The header that carries a request's identifier, both ways.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest identifier that is taken over from a caller.
const REQUEST_ID_BYTES: usize = 64;

/// Starts the log. Where one was started already, as in tests, that one stays.
pub(crate) fn log(level: LogLevel, format: LogFormat) {
    let filter = match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let builder = fmt().with_max_level(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if started.is_err() {
        tracing::debug!("the log was started already");
    }
}

/// Gives requests identifiers that no other request of any server has.
#[derive(Debug)]
pub(crate) struct RequestIds {
    process: u64,
    next: AtomicU64,
}

/// The identifier of one request. It is written out only where it is shown.
#[derive(Clone, Debug)]
pub(crate) struct Ident {
    given: Option<HeaderValue>,
    process: u64,
    number: u64,
}

impl RequestIds {
    pub(crate) fn new() -> Self {
        let (process, _) = uuid::Uuid::new_v4().as_u64_pair();
        Self { process, next: AtomicU64::new(0) }
    }

    /// The identifier that the caller sent, if it is a sane one, or a new one.
    pub(crate) fn take(&self, headers: &HeaderMap) -> Ident {
        let sane = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte);
        let given = headers.get(&REQUEST_ID).filter(|value| {
            let bytes = value.as_bytes();
            (1..=REQUEST_ID_BYTES).contains(&bytes.len()) && bytes.iter().all(sane)
        });
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Ident { given: given.cloned(), process: self.process, number }
    }
}

impl Ident {
    /// Whether the caller sent it.
    pub(crate) fn is_given(&self) -> bool {
        self.given.is_some()
    }

    /// As the core takes it.
    pub(crate) fn id(&self) -> RequestId<'_> {
        match self.given.as_ref().and_then(|given| given.to_str().ok()) {
            Some(text) => RequestId::Given(text),
            None => RequestId::Made { process: self.process, number: self.number },
        }
    }

    /// As the answer carries it.
    pub(crate) fn header(&self) -> HeaderValue {
        self.given.clone().unwrap_or_else(|| {
            HeaderValue::try_from(self.id().to_string())
                .unwrap_or_else(|_| HeaderValue::from_static("unknown"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sane_identifiers_are_taken_over() {
        let given = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_static(text));
            RequestIds::new().take(&headers).is_given()
        };
        assert!(given("abc-1") && given("0af7651916cd43dd8448eb211c80319c"));
        assert!(!given("") && !given("a b") && !given("<script>"));
        assert!(!RequestIds::new().take(&HeaderMap::new()).is_given());
    }

    #[test]
    fn identifiers_differ() {
        let ids = RequestIds::new();
        let make = |ids: &RequestIds| ids.take(&HeaderMap::new()).header();
        assert_ne!(make(&ids), make(&ids));
        assert_ne!(make(&ids).as_bytes()[..16], make(&RequestIds::new()).as_bytes()[..16]);
    }
}
