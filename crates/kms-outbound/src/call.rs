//! One request, one answer, within limits: of where it goes, how long it takes, how much is read.
//!
//! Nothing is followed and nothing is kept: no redirect, no proxy, no cookie, no connection. A
//! client is made for each request, which costs milliseconds and sees authorities that the system
//! has come to trust since. Knows no protocol above HTTP.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, RequestBuilder, Response};
use url::{Host, Url, form_urlencoded};

use crate::reach::{OutOfReach, Reach, Resolver};
use crate::trust::Trust;

/// How long a request may take, from the name to the last byte.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// How much of an answer is read.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// The media type of forms.
const FORM: &str = "application/x-www-form-urlencoded";

/// What makes requests.
#[derive(Clone, Debug)]
pub struct Caller {
    trust: Trust,
    plain_loopback: bool,
    time_limit: Duration,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status; never a redirect.
    pub status: u16,
    /// The body, of at most 1 MiB.
    pub body: Vec<u8>,
    headers: HeaderMap,
    host: String,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `GET`.
    Get,
    /// `HEAD`: the header of the answer alone.
    Head,
    /// `POST` of this.
    Post {
        /// The media type of the body.
        kind: &'static str,
        /// The body.
        body: Vec<u8>,
    },
}

impl Answer {
    /// A field of the header, if it is there once or more and is text: the first.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body of an answer with status 200; of any other, an error.
    pub fn good(self) -> Result<Vec<u8>, CallError> {
        if self.status == 200 {
            return Ok(self.body);
        }
        Err(CallError { host: self.host, cause: Cause::Status(self.status) })
    }
}

/// Why there is no answer. Holds nothing of what was sent, nor of what came back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{host}: {cause}")]
pub struct CallError {
    /// Whom we called.
    pub host: String,
    /// What went wrong.
    pub cause: Cause,
}

/// What went wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The URL is none that may be called, and why.
    Url(&'static str),
    /// The host has this address, which may not be called.
    OutOfReach(IpAddr),
    /// The host's name stands for no address.
    Name,
    /// There is no connection, and what the system says.
    Connection(String),
    /// The other end's certificate, or something else of TLS, is not acceptable.
    Tls(String),
    /// The answer took too long.
    Time(Duration),
    /// The answer is too long.
    Size(usize),
    /// The answer points elsewhere, and is not followed.
    Redirect(u16),
    /// The answer has a status that is not the expected one.
    Status(u16),
    /// What came is no HTTP, or ended early.
    Broken,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(reason) => f.write_str(reason),
            Self::OutOfReach(address) => {
                write!(f, "its address {address} is not one that may be called here")
            }
            Self::Name => f.write_str("the name is not known (DNS)"),
            Self::Connection(reason) => write!(f, "no connection: {reason}"),
            Self::Tls(reason) => write!(
                f,
                "TLS: {reason} (certificates of an own authority are trusted by KMS_TRUSTED_CA_PATH)"
            ),
            Self::Time(limit) => write!(f, "no answer within {} s", limit.as_secs_f32()),
            Self::Size(limit) => write!(f, "the answer is longer than {limit} bytes"),
            Self::Redirect(status) => write!(f, "a redirect ({status}), which is not followed"),
            Self::Status(status) => write!(f, "the answer's status is {status}"),
            Self::Broken => f.write_str("the answer is broken off, or is no HTTP"),
        }
    }
}

impl Caller {
    /// Calls with the certificates of `trust`; over plain HTTP never, or, with `plain_loopback`, on
    /// this machine only.
    pub fn new(trust: Trust, plain_loopback: bool) -> Self {
        Self { trust, plain_loopback, time_limit: TIME_LIMIT }
    }

    /// The same with another time limit.
    #[must_use]
    pub fn within(mut self, time_limit: Duration) -> Self {
        self.time_limit = time_limit;
        self
    }

    /// Who is trusted.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Whether `url` may be called at all, before anything is sent.
    pub fn check(&self, url: &str, reach: Reach) -> Result<(), CallError> {
        self.target(url, reach).map(|_| ())
    }

    /// `GET url`.
    pub async fn get(&self, url: &str, reach: Reach) -> Result<Answer, CallError> {
        self.ask(url, Request::Get, reach).await
    }

    /// Asks `url` for this.
    pub async fn ask(&self, url: &str, what: Request, reach: Reach) -> Result<Answer, CallError> {
        let (target, reach) = self.target(url, reach)?;
        let request = |client: &Client| match what {
            Request::Get => client.get(target.clone()),
            Request::Head => client.head(target.clone()),
            Request::Post { kind, body } => {
                client.post(target.clone()).header(CONTENT_TYPE, kind).body(body)
            }
        };
        self.send(&target, reach, request).await
    }

    /// `POST url` with these fields, as forms have them.
    pub async fn post_form(
        &self,
        url: &str,
        fields: &[(&str, &str)],
        reach: Reach,
    ) -> Result<Answer, CallError> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.ask(url, Request::Post { kind: FORM, body: body.into_bytes() }, reach).await
    }

    /// Where a request goes, and how far it may go.
    fn target(&self, text: &str, reach: Reach) -> Result<(Url, Reach), CallError> {
        let error = |host: &str, cause| CallError { host: host.to_owned(), cause };
        let Ok(url) = Url::parse(text) else {
            return Err(error("a URL", Cause::Url("it is not a URL")));
        };
        let host = url.host_str().unwrap_or_default().to_owned();
        if !url.username().is_empty() || url.password().is_some() {
            return Err(error(&host, Cause::Url("a URL with a user name or password")));
        }
        let reach = match url.scheme() {
            "https" => reach,
            // Whatever `localhost` stands for, it is judged again when it is called.
            "http" if self.plain_loopback && reach != Reach::Public && may_be_loopback(&url) => {
                Reach::Loopback
            }
            "http" if self.plain_loopback => {
                return Err(error(&host, Cause::Url("plain HTTP, and not to this machine")));
            }
            "http" => return Err(error(&host, Cause::Url("plain HTTP; it has to be https"))),
            _ => return Err(error(&host, Cause::Url("it has to be an https URL"))),
        };
        // A host that is an address is not resolved.
        let address = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(_)) => None,
            None => return Err(error("a URL", Cause::Url("it names no host"))),
        };
        match address.filter(|address| !reach.allows(*address)) {
            Some(address) => Err(error(&host, Cause::OutOfReach(address))),
            None => Ok((url, reach)),
        }
    }

    async fn send(
        &self,
        target: &Url,
        reach: Reach,
        request: impl FnOnce(&Client) -> RequestBuilder,
    ) -> Result<Answer, CallError> {
        let host = target.host_str().unwrap_or_default().to_owned();
        let error = |cause| CallError { host: host.clone(), cause };
        let client = self.client(target, reach).await.map_err(error)?;
        let sent = request(&client).header(ACCEPT, "application/json, */*;q=0.5").send();
        let response = sent.await.map_err(|cause| error(self.cause(&cause)))?;
        let status = response.status().as_u16();
        if (300..400).contains(&status) {
            return Err(error(Cause::Redirect(status)));
        }
        let headers = response.headers().clone();
        let body = self.read(response).await.map_err(error)?;
        Ok(Answer { status, body, headers, host })
    }

    async fn read(&self, mut response: Response) -> Result<Vec<u8>, Cause> {
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|cause| self.cause(&cause))? {
            if body.len() + piece.len() > ANSWER_BYTES_MAX {
                return Err(Cause::Size(ANSWER_BYTES_MAX));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    async fn client(&self, target: &Url, reach: Reach) -> Result<Client, Cause> {
        let builder = Client::builder()
            .user_agent("kms")
            .no_proxy()
            .redirect(Policy::none())
            .pool_max_idle_per_host(0)
            .dns_resolver(Resolver(reach))
            .timeout(self.time_limit);
        let builder = if target.scheme() == "http" {
            // Nothing of TLS is needed.
            builder.tls_certs_only([])
        } else {
            let extra =
                self.trust.extra().map(Certificate::from_der).collect::<Result<Vec<_>, _>>();
            builder.tls_certs_merge(extra.map_err(|cause| Cause::Tls(innermost(&cause)))?)
        };
        // The system's certificates are read from files.
        let built = tokio::task::spawn_blocking(move || builder.build()).await;
        match built {
            Ok(Ok(client)) => Ok(client),
            Ok(Err(cause)) => Err(Cause::Tls(innermost(&cause))),
            Err(cause) => Err(Cause::Connection(cause.to_string())),
        }
    }

    fn cause(&self, error: &reqwest::Error) -> Cause {
        if let Some(OutOfReach(address)) = find(error) {
            return Cause::OutOfReach(*address);
        }
        if let Some(tls) = find::<rustls::Error>(error) {
            return Cause::Tls(tls.to_string());
        }
        if error.is_timeout() {
            Cause::Time(self.time_limit)
        } else if error.is_dns() {
            Cause::Name
        } else if error.is_connect() {
            Cause::Connection(innermost(error))
        } else {
            Cause::Broken
        }
    }
}

/// Whether a host may be this machine: its name for itself, or an address, which is judged.
fn may_be_loopback(url: &Url) -> bool {
    !matches!(url.host(), Some(Host::Domain(name)) if name != "localhost")
}

/// The cause of this type, however deep.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    // An input or output error does not count what it wraps as its source.
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    match wrapped {
        Some(wrapped) => find(wrapped),
        None => error.source().and_then(find),
    }
}

/// The text of the cause that has no further cause.
fn innermost(error: &reqwest::Error) -> String {
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
