//! How the authority is asked: an input, so that a test can stand in between.

use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};
use kms_outbound::{Caller, Reach, Request};

/// The fields of an answer's header that matter.
const FIELDS: &[&str] = &["replay-nonce", "location", "retry-after", "link", "content-type"];
/// The media type of what is posted (RFC 8555 section 6.2).
const JOSE: &str = "application/jose+json";

/// An answer of the authority's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The header: names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// An answer to come, or why there is none.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<Reply, String>> + Send + 'a>>;

/// How the authority is asked. An implementation limits time and size.
pub trait Transport: Send + Sync {
    /// Sends one request.
    fn send<'a>(&'a self, url: &'a str, what: Request) -> Sending<'a>;
}

/// Asks it over HTTPS, as we call everybody.
#[derive(Clone, Debug)]
pub struct Outbound(pub Caller);

impl Transport for Outbound {
    fn send<'a>(&'a self, url: &'a str, what: Request) -> Sending<'a> {
        Box::pin(async move {
            // The directory was named by the operator, and names the other addresses.
            let answer = self.0.ask(url, what, Reach::Anywhere).await;
            let answer = answer.map_err(|error| error.to_string())?;
            let field = |name: &&str| Some(((*name).to_owned(), answer.header(name)?.to_owned()));
            let headers = FIELDS.iter().filter_map(field).collect();
            Ok(Reply { status: answer.status, headers, body: answer.body })
        })
    }
}

/// The same for the ACME library. It remembers what the library drops: when to come back.
#[derive(Clone)]
pub(crate) struct Adapter {
    transport: Arc<dyn Transport>,
    retry_after: Arc<Mutex<Option<String>>>,
}

impl Adapter {
    pub(crate) fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport, retry_after: Arc::default() }
    }

    /// When the authority wants to be asked again, as its last refusal said it: taken.
    pub(crate) fn take_retry_after(&self) -> Option<String> {
        self.retry_after.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn exchange(
        self,
        request: http::Request<BodyWrapper<Bytes>>,
    ) -> Result<BytesResponse, Box<dyn Error + Send + Sync>> {
        let (parts, body) = request.into_parts();
        let what = match parts.method {
            Method::GET => Request::Get,
            Method::HEAD => Request::Head,
            Method::POST => {
                let body = body.collect().await?.to_bytes().to_vec();
                Request::Post { kind: JOSE, body }
            }
            other => return Err(format!("{other} is not asked").into()),
        };
        let reply = self.transport.send(&parts.uri.to_string(), what).await?;
        if reply.status >= 400 {
            let mut headers = reply.headers.iter();
            let found = headers.find(|(name, _)| name == "retry-after");
            let value = found.map(|(_, value)| value.clone());
            *self.retry_after.lock().unwrap_or_else(PoisonError::into_inner) = value;
        }
        let mut response = Response::new(Full::new(Bytes::from(reply.body)));
        *response.status_mut() = StatusCode::from_u16(reply.status)?;
        for (name, value) in reply.headers {
            let name = HeaderName::try_from(name)?;
            response.headers_mut().append(name, HeaderValue::try_from(value)?);
        }
        Ok(BytesResponse::from(response))
    }
}

impl HttpClient for Adapter {
    fn request(
        &self,
        req: http::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let adapter = self.clone();
        Box::pin(async move { adapter.exchange(req).await.map_err(instant_acme::Error::Other) })
    }
}

/// What `Retry-After` says, in seconds from `now` (seconds since 1970).
pub(crate) fn seconds_after(text: &str, now: i64) -> Option<i64> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(i64::from(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let since = date.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
    Some(i64::try_from(since).ok()?.saturating_sub(now).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_to_come_back_is_seconds_or_a_date() {
        for (text, expected) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Thu, 01 Jan 1970 00:20:00 GMT", Some(200)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(seconds_after(text, 1_000), expected, "{text}");
        }
    }
}
