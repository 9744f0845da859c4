//! Bytes to an answer: the one path of every KMIP request, whatever it came in.
//!
//! What arrives is decoded, the caller is made out, the core answers, and the answer is encoded as
//! the question was. The HTTP status of every answer is chosen here. Knows no route and no socket;
//! what an operation means is the core's.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hyper::StatusCode;
use kmip::enumerations::{ResultReason, ResultStatus};
use kmip::message::{self, BareError, Credential, RequestMessage, ResponseMessage};
use kmip::operation::Request;
use kmip::{Version, tag};
use kms_auth::{Kind, Offered, Refusal};
use kms_core::{
    Act, Again, Caller, Error, Executed, Principal, REQUEST, RequestId, operation_name,
};
use ttlv::around::{self, Gap, Long};
use ttlv::{Encoding, Item, Spelling, TagNames, Unknown};

use crate::app::App;
use crate::limits::{LONG_BYTES, QUICK_BYTES};

/// What a route takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// One operation by itself in JSON, or a whole message in JSON.
    Operation,
    /// A whole message.
    Message,
}

/// How a request came, what its caller offers, and whom that makes the caller.
pub(crate) struct Arrival<'a> {
    pub(crate) entrance: Entrance,
    pub(crate) encoding: Encoding,
    pub(crate) offered: Offered<'a>,
    pub(crate) decided: Decided<'a>,
    pub(crate) request: RequestId<'a>,
}

/// Who is calling, or why nobody is let in.
pub(crate) type Decided<'a> = Result<Cow<'a, Principal>, Refusal>;

/// What came, read to its end.
#[derive(Debug)]
pub(crate) enum Question {
    /// In one piece.
    Whole(Bytes),
    /// Binary, with the contents of a long byte string apart from what is around them.
    Around {
        /// Which byte string it is.
        long: Long,
        /// What is around it.
        frame: Vec<u8>,
        /// Its contents.
        contents: Vec<u8>,
    },
}

impl Question {
    /// Whether reading it takes milliseconds.
    fn takes_long(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.len() > QUICK_BYTES,
            // What is long in it is taken as it is.
            Self::Around { frame, .. } => frame.len() > QUICK_BYTES,
        }
    }
}

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum Content {
    /// In one piece.
    Whole(Bytes),
    /// In several, so that what is long need not be copied.
    Pieces(Vec<Bytes>),
}

/// What goes back to the caller.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: StatusCode,
    /// The type of the body.
    pub(crate) content_type: &'static str,
    /// The body.
    pub(crate) body: Content,
    /// Whose fault it is, if it is a failure.
    pub(crate) blame: Blame,
    /// Why the caller was not let in, if so; it decides some of the header.
    pub(crate) denial: Option<Kind>,
    /// Whether the same request may be sent again, and will perhaps succeed.
    pub(crate) again: bool,
}

/// Whose fault a failure is. A failed answer carries an identifier to ask about; the server's own
/// failures are logged with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    /// Nothing failed.
    Nobody,
    /// The request cannot be done as it is.
    Caller,
    /// The server could not do what it should.
    Server,
}

impl Blame {
    /// What the status of an answer says.
    pub(crate) fn of(status: StatusCode) -> Self {
        if status.is_server_error() {
            Self::Server
        } else if status.is_client_error() {
            Self::Caller
        } else {
            Self::Nobody
        }
    }

    /// What the items of an answer say.
    fn of_items(response: &ResponseMessage) -> Self {
        let failed = response.items.iter().any(|item| item.status != ResultStatus::Success);
        if failed { Self::Caller } else { Self::Nobody }
    }
}

const JSON: &str = "application/json";
/// What the recorded clients expect of an error; they read it as plain text.
const LINE: &str = "text/html; charset=utf-8";

/// The content type in which `encoding` travels.
pub(crate) fn content_type(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Json => JSON,
        Encoding::Binary => "application/octet-stream",
        Encoding::Xml => "text/xml; charset=utf-8",
    }
}

/// The status of an answer to somebody who is not let in.
fn denied(kind: Kind) -> StatusCode {
    match kind {
        Kind::Missing | Kind::Invalid => StatusCode::UNAUTHORIZED,
        Kind::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
    }
}

impl Answer {
    fn new(status: StatusCode, content_type: &'static str, body: Content, blame: Blame) -> Self {
        Self { status, content_type, body, blame, denial: None, again: false }
    }

    /// A JSON text that is no KMIP.
    pub(crate) fn json(body: impl Into<Bytes>) -> Self {
        let body = Content::Whole(body.into());
        Self::new(StatusCode::OK, JSON, body, Blame::Nobody)
    }

    /// An error in one line: `Reason: message`.
    pub(crate) fn line(status: StatusCode, reason: &str, message: &str) -> Self {
        // The type says HTML, and the message may repeat what came from outside.
        let mut line = String::with_capacity(reason.len() + message.len() + 2);
        line.push_str(reason);
        line.push_str(": ");
        for letter in message.chars() {
            match letter {
                '<' => line.push_str("&lt;"),
                '>' => line.push_str("&gt;"),
                '&' => line.push_str("&amp;"),
                letter if letter.is_control() => line.push(' '),
                letter => line.push(letter),
            }
        }
        let body = Content::Whole(line.into());
        Self::new(status, LINE, body, Blame::of(status))
    }

    /// The core's error for a bare operation.
    fn operation_error(error: &Error) -> Self {
        let again = error.again == Again::Yes;
        let status = match error.is_servers() {
            _ if again => StatusCode::SERVICE_UNAVAILABLE,
            true => StatusCode::INTERNAL_SERVER_ERROR,
            false => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let answer = Self::line(status, &error.recorded_reason(), &error.message);
        let blame = if error.is_servers() { Blame::Server } else { Blame::Caller };
        Self { blame, again, ..answer }
    }

    /// The core's error where a path names the object: unknown and not yours are the same 404.
    pub(crate) fn resource_error(error: &Error) -> Self {
        match error.reason {
            ResultReason::ObjectNotFound | ResultReason::ItemNotFound => {
                Self::line(StatusCode::NOT_FOUND, &error.recorded_reason(), &error.message)
            }
            ResultReason::PermissionDenied => {
                Self::line(StatusCode::FORBIDDEN, &error.recorded_reason(), &error.message)
            }
            _ => Self::operation_error(error),
        }
    }

    /// The answer to somebody who is not let in, where no KMIP is spoken.
    pub(crate) fn unauthenticated(refusal: &Refusal) -> Self {
        let status = denied(refusal.kind);
        let answer = Self::line(status, "Authentication_Not_Successful", &refusal.message);
        Self { denial: Some(refusal.kind), ..answer }
    }

    fn encoded(encoding: Encoding, body: Content, blame: Blame) -> Self {
        Self::new(StatusCode::OK, content_type(encoding), body, blame)
    }
}

/// What was understood of a request.
enum Reading {
    Operation(Request),
    Message(RequestMessage),
    Refused(Unread),
}

/// The answer to a request that could not be read, and what its record says.
struct Unread {
    answer: Answer,
    operation: &'static str,
    reason: ResultReason,
}

impl Unread {
    fn new(answer: Answer, reason: ResultReason) -> Self {
        Self { answer, operation: REQUEST, reason }
    }
}

/// Answers a request.
pub(crate) async fn answer(app: &Arc<App>, arrival: Arrival<'_>, question: Question) -> Answer {
    let Arrival { entrance, encoding, offered, decided, request } = arrival;
    let started = Instant::now();
    let reading = if question.takes_long() {
        let owned = Arc::clone(app);
        let aside = move || read(&owned, entrance, encoding, question);
        // Boxed, like all that is rare: what every request carries along stays small.
        match Box::pin(app.service.aside(aside)).await {
            Ok(reading) => reading,
            Err(error) => return Answer::operation_error(&error),
        }
    } else {
        read(app, entrance, encoding, question)
    };
    let peer = offered.peer;
    let decided = match (decided, password(&reading)) {
        // A message may bring a credential where the transport brought none.
        (Err(Refusal { kind: Kind::Missing, .. }), password @ Some(_)) => {
            authenticate(app, Offered { password, ..offered }).await
        }
        (decided, _) => decided,
    };
    let principal = match decided {
        Ok(principal) => principal,
        Err(refusal) => {
            record_refused(app, peer, request, &refusal).await;
            return turn_away(app, entrance, encoding, Some(&reading), &refusal);
        }
    };
    let caller = Caller { principal: &principal, peer, request };
    match reading {
        Reading::Operation(request) => perform(app, caller, request, started).await,
        Reading::Message(request) => execute(app, caller, encoding, request, started).await,
        Reading::Refused(Unread { answer, operation, reason }) => {
            app.metrics.operation(None, false);
            let act = Act { operation, ..Act::default() };
            match app.service.record_unread(caller, act, reason).await {
                Ok(()) => answer,
                Err(error) if entrance == Entrance::Operation => Answer::operation_error(&error),
                Err(error) => {
                    let again = error.again == Again::Yes;
                    let answer = refuse(app, encoding, Version::NEWEST, error);
                    Answer { blame: Blame::Server, again, ..answer }
                }
            }
        }
    }
}

/// Records that somebody is not let in, and logs it: under the identifier that the answer carries,
/// so that who asks the operator why can say which request it was.
pub(crate) async fn record_refused(
    app: &App,
    peer: Option<SocketAddr>,
    request: RequestId<'_>,
    refusal: &Refusal,
) {
    let from = peer.map(tracing::field::display);
    tracing::info!(
        peer = from,
        request = request.to_string(),
        reason = refusal.reason,
        "a caller was refused"
    );
    app.service.record_refused(peer, request, &refusal.reason).await;
}

/// The answer to somebody who is not let in and whose request is not read.
pub(crate) fn unread(
    app: &App,
    entrance: Entrance,
    encoding: Encoding,
    refusal: &Refusal,
) -> Answer {
    turn_away(app, entrance, encoding, None, refusal)
}

/// The answer to somebody who is not let in. Who sent a whole message reads nothing but messages,
/// and gets one; the status tells those who look at that first.
fn turn_away(
    app: &App,
    entrance: Entrance,
    encoding: Encoding,
    reading: Option<&Reading>,
    refusal: &Refusal,
) -> Answer {
    let version = match (reading, entrance) {
        (Some(Reading::Message(request)), _) => request.header.version(),
        (_, Entrance::Message) => Version::NEWEST,
        (_, Entrance::Operation) => return Answer::unauthenticated(refusal),
    };
    let reason = ResultReason::AuthenticationNotSuccessful;
    let answer = refuse(app, encoding, version, Error::new(reason, refusal.message.as_str()));
    Answer { status: denied(refusal.kind), denial: Some(refusal.kind), ..answer }
}

/// The user name and password in the header of a message.
fn password(reading: &Reading) -> Option<(&str, &str)> {
    let Reading::Message(request) = reading else { return None };
    request.header.authentication.as_ref()?.credentials.iter().find_map(|credential| {
        let Credential::UsernameAndPassword(pair) = credential else { return None };
        Some((pair.username.as_str(), pair.password.as_ref().map_or("", |it| it.0.as_str())))
    })
}

/// Makes out who is calling. Called once for each request, whatever its route.
pub(crate) async fn authenticate<'a>(app: &'a App, offered: Offered<'_>) -> Decided<'a> {
    if let Some(everyone) = app.authentication.everyone() {
        return Ok(Cow::Borrowed(everyone));
    }
    app.authentication.authenticate(&offered).await.map(Cow::Owned)
}

async fn perform(app: &App, caller: Caller<'_>, request: Request, started: Instant) -> Answer {
    let operation = Some(request.operation());
    let result = app.service.perform(caller, request).await;
    app.metrics.operation(operation, result.is_ok());
    let answer = match &result {
        Ok(response) => {
            let mut body = Vec::with_capacity(512);
            let item = message::write_bare(response);
            let written = item.map_err(|error| error.to_string()).and_then(|item| {
                ttlv::json::encode(&item, &tag::Names, Spelling::Recorded, &mut body)
                    .map_err(|error| error.to_string())
            });
            match written {
                Ok(()) => {
                    Answer::encoded(Encoding::Json, Content::Whole(body.into()), Blame::Nobody)
                }
                Err(error) => unwritable(&error),
            }
        }
        Err(error) => Answer::operation_error(error),
    };
    app.metrics.took(operation, false, started.elapsed());
    answer
}

async fn execute(
    app: &App,
    caller: Caller<'_>,
    encoding: Encoding,
    request: RequestMessage,
    started: Instant,
) -> Answer {
    let version = request.header.version();
    let first = request.items.first().map(|item| item.operation);
    let batch = request.items.len() > 1;
    let limit = request.header.maximum_response_size;
    let executed = app.service.executed(caller, request).await;
    let Executed { message: response, servers_fault, again } = executed;
    for item in &response.items {
        app.metrics.operation(item.operation, item.status == ResultStatus::Success);
    }
    let mut answer = write(encoding, version, response, limit);
    if servers_fault {
        answer.blame = Blame::Server;
    }
    answer.again = again == Again::Yes;
    app.metrics.took(first, batch, started.elapsed());
    answer
}

/// Writes a response; one that is longer than the caller allows says only that.
fn write(
    encoding: Encoding,
    version: Version,
    mut response: ResponseMessage,
    limit: Option<i32>,
) -> Answer {
    let blame = Blame::of_items(&response);
    let written = match encode(encoding, version, &response) {
        Ok(written) => written,
        Err(error) => return unwritable(&error),
    };
    let allowed = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let length = if limit.is_some() { size(encoding, version, &response, &written) } else { 0 };
    if length <= allowed {
        return match written.join(&mut response) {
            Some(body) => Answer::encoded(encoding, body, blame),
            None => unwritable("the long data is not where it was left out"),
        };
    }
    for item in &mut response.items {
        item.status = ResultStatus::OperationFailed;
        item.reason = Some(ResultReason::ResponseTooLarge);
        item.message = Some(format!("the answer has {length} bytes; {allowed} are allowed"));
        item.response = None;
    }
    match encode(encoding, version, &response) {
        Ok(written) => {
            Answer::encoded(encoding, Content::Whole(written.bytes.into()), Blame::Caller)
        }
        Err(error) => unwritable(&error),
    }
}

/// The size that a Maximum Response Size is about: that of the message in binary, in whatever
/// encoding it travels. The standard's cases in XML and JSON count so.
fn size(
    encoding: Encoding,
    version: Version,
    response: &ResponseMessage,
    written: &Written,
) -> usize {
    if encoding == Encoding::Binary {
        return written.length();
    }
    let binary = encode(Encoding::Binary, version, response);
    binary.map_or(written.length(), |binary| binary.length())
}

/// A message as it is written; in binary, without long data.
struct Written {
    bytes: Vec<u8>,
    gaps: Vec<Gap>,
}

impl Written {
    fn length(&self) -> usize {
        self.bytes.len() + self.gaps.iter().map(|gap| gap.length).sum::<usize>()
    }

    /// The whole, with the long data taken from `response`; none where they do not fit together.
    fn join(self, response: &mut ResponseMessage) -> Option<Content> {
        if self.gaps.is_empty() {
            return Some(Content::Whole(self.bytes.into()));
        }
        let frame = Bytes::from(self.bytes);
        let mut pieces = Vec::with_capacity(1 + 2 * self.gaps.len());
        let mut gaps = self.gaps.iter().peekable();
        pieces.push(frame.slice(..gaps.peek()?.at));
        let answers = response.items.iter_mut().filter_map(|item| item.response.as_mut());
        for data in answers.filter_map(|it| it.data_mut()).filter(|data| is_long(data)) {
            let gap = gaps.next()?;
            let mut data = std::mem::take(&mut data.0);
            if data.len() != gap.length {
                return None;
            }
            let after = frame.slice(gap.at..gaps.peek().map_or(frame.len(), |next| next.at));
            // A short end goes out with the data, where there is room for it.
            if data.capacity() - data.len() >= after.len() {
                data.extend_from_slice(&after);
                pieces.push(data.into());
            } else {
                pieces.extend([data.into(), after]);
            }
        }
        gaps.next().is_none().then_some(Content::Pieces(pieces))
    }
}

fn is_long(data: &[u8]) -> bool {
    data.len() >= LONG_BYTES
}

fn encode(
    encoding: Encoding,
    version: Version,
    response: &ResponseMessage,
) -> Result<Written, String> {
    let item = message::write(response, version).map_err(|error| error.to_string())?;
    let mut bytes = Vec::with_capacity(512);
    let mut answers = response.items.iter().filter_map(|item| item.response.as_ref());
    let long = encoding == Encoding::Binary
        && answers.any(|response| response.data().is_some_and(|data| is_long(data)));
    let gaps = if long {
        around::encode(&item, tag::Data, LONG_BYTES, &mut bytes)
    } else {
        let written = encoding.encode(&item, &tag::Names, Spelling::Profile, &mut bytes);
        written.map(|()| Vec::new())
    };
    Ok(Written { gaps: gaps.map_err(|error| error.to_string())?, bytes })
}

/// We made an answer that cannot be spelt: our mistake, and the caller cannot mend it.
fn unwritable(error: &str) -> Answer {
    tracing::error!(error, "an answer could not be written");
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    Answer::line(status, "General_Failure", "the server could not write its answer; see its log")
}

fn read(app: &App, entrance: Entrance, encoding: Encoding, question: Question) -> Reading {
    // Clients of bare operations send fields that are nobody's; in a message that is an error.
    let unknown = match entrance {
        Entrance::Operation => Unknown::Skip,
        Entrance::Message => Unknown::Refuse,
    };
    let limits = app.limits.ttlv();
    let mut kept;
    let decoded = match question {
        Question::Whole(ref bytes) => encoding.decode(bytes, &tag::Names, &limits, unknown),
        Question::Around { long, frame, contents } => {
            kept = frame;
            long.decode(&mut kept, contents, &limits)
        }
    };
    let item = match decoded {
        Ok(item) => item,
        Err(error) => {
            let answer = undecodable(app, entrance, encoding, &error);
            return Reading::Refused(Unread::new(answer, ResultReason::InvalidMessage));
        }
    };
    if item.tag == tag::RequestMessage {
        return read_message(app, encoding, item);
    }
    match entrance {
        Entrance::Operation => read_operation(item),
        Entrance::Message => {
            let text = "this route takes a RequestMessage; bare operations go to /kmip/2_1";
            let answer = refuse(app, encoding, Version::NEWEST, invalid_message(text));
            Reading::Refused(Unread::new(answer, ResultReason::InvalidMessage))
        }
    }
}

fn read_message(app: &App, encoding: Encoding, item: Item<'_>) -> Reading {
    match message::read(item) {
        Ok(request) => Reading::Message(request),
        Err(error) => {
            let version = error.version.unwrap_or(Version::NEWEST);
            let error = Error::new(error.reason(), error.to_string());
            let reason = error.reason;
            Reading::Refused(Unread::new(refuse(app, encoding, version, error), reason))
        }
    }
}

fn read_operation(item: Item<'_>) -> Reading {
    let name = tag::Names.name(item.tag);
    let operation = message::bare_operation(item.tag);
    Reading::Refused(match (message::read_bare(item), operation) {
        (Ok(request), _) => return Reading::Operation(request),
        (Err(BareError::Payload(error)), Some(operation)) => {
            let error = kms_core::unreadable(operation, &error);
            let answer = Answer::operation_error(&error);
            Unread { answer, operation: operation_name(operation), reason: error.reason }
        }
        (Err(_), _) => {
            let answer = unknown_operation(name.unwrap_or("unnamed"));
            Unread::new(answer, ResultReason::OperationNotSupported)
        }
    })
}

fn undecodable(app: &App, entrance: Entrance, encoding: Encoding, error: &ttlv::Error) -> Answer {
    match (entrance, error) {
        (Entrance::Operation, ttlv::Error::UnknownTag(name)) => unknown_operation(name),
        (Entrance::Operation, _) => Answer::operation_error(&invalid_message(error.to_string())),
        (Entrance::Message, _) => {
            refuse(app, encoding, Version::NEWEST, invalid_message(error.to_string()))
        }
    }
}

fn unknown_operation(name: &str) -> Answer {
    Answer::line(StatusCode::NOT_FOUND, "Route not supported", &format!("Operation: {name}"))
}

fn invalid_message(text: impl Into<String>) -> Error {
    Error::new(ResultReason::InvalidMessage, text)
}

/// A whole message that says why a request was not read.
fn refuse(app: &App, encoding: Encoding, version: Version, error: Error) -> Answer {
    write(encoding, version, app.service.refuse(version, error), None)
}

/// The answer to a body that is longer than is read. It is of the kind that was asked for; the
/// status tells those who look no further.
pub(crate) fn too_large(app: &App, entrance: Entrance, encoding: Encoding) -> Answer {
    let limit = app.limits.body;
    let text = format!("the request is longer than the {limit} bytes that are accepted");
    let answer = match entrance {
        Entrance::Operation => Answer::operation_error(&invalid_message(text)),
        Entrance::Message => refuse(app, encoding, Version::NEWEST, invalid_message(text)),
    };
    Answer { status: StatusCode::PAYLOAD_TOO_LARGE, ..answer }
}

/// The answer to a body that ends before its length.
pub(crate) fn cut_off(app: &App, entrance: Entrance, encoding: Encoding) -> Answer {
    let text = "the request's body was cut off";
    let answer = match entrance {
        Entrance::Operation => Answer::operation_error(&invalid_message(text)),
        Entrance::Message => refuse(app, encoding, Version::NEWEST, invalid_message(text)),
    };
    Answer { status: StatusCode::BAD_REQUEST, ..answer }
}
