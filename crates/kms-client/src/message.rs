//! One message out, one message in: binary TTLV of KMIP 2.1, the most compact spelling.
//!
//! It must not know how messages travel.

use kmip::Version;
use kmip::enumerations::{BatchErrorContinuationOption, ResultReason, ResultStatus};
use kmip::message::{self, RequestHeader, RequestItem, RequestMessage, ResponseItem};
use kmip::operation::{Request, Response};
use kmip::wire::Bytes;
use ttlv::{Limits, binary};

use crate::{Error, Failure};

/// The version that is spoken.
const VERSION: Version = Version::V2_1;

/// What happens to a batch when one of its requests fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// The requests after it are not done; those before it stay done.
    #[default]
    Stop,
    /// The requests after it are done all the same.
    Continue,
    /// All or nothing: those before it are undone.
    Undo,
}

impl OnError {
    fn option(self) -> BatchErrorContinuationOption {
        match self {
            Self::Stop => BatchErrorContinuationOption::Stop,
            Self::Continue => BatchErrorContinuationOption::Continue,
            Self::Undo => BatchErrorContinuationOption::Undo,
        }
    }
}

/// Several requests in one message.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    requests: Vec<Request>,
    on_error: OnError,
}

impl Batch {
    /// The requests, in the order in which they are to be done.
    ///
    /// A request without an identifier is about the object that the one before it made or found.
    pub fn new(requests: Vec<Request>) -> Self {
        Self { requests, on_error: OnError::Stop }
    }

    /// What happens when one of them fails.
    #[must_use]
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.on_error = on_error;
        self
    }

    /// The message, and how many requests it holds.
    pub(crate) fn encode(self) -> Result<(Vec<u8>, usize), Error> {
        let wrong = |problem: String| Error::Request { problem };
        let count = self.requests.len();
        let announced = i32::try_from(count).map_err(|error| wrong(error.to_string()))?;
        let mut header = RequestHeader::new(VERSION, announced);
        let mut items: Vec<RequestItem> = self.requests.into_iter().map(RequestItem::new).collect();
        if count > 1 {
            header.batch_order_option = Some(true);
            header.batch_error_continuation_option = Some(self.on_error.option());
            for (place, item) in items.iter_mut().enumerate() {
                item.id = Some(identifier(place));
            }
        }
        let message = RequestMessage { header, items };
        let item =
            message::write_request(&message, VERSION).map_err(|error| wrong(error.to_string()))?;
        let mut out = Vec::with_capacity(512);
        binary::encode(&item, &mut out).map_err(|error| wrong(error.to_string()))?;
        Ok((out, count))
    }
}

/// What the response repeats: the place in the batch.
fn identifier(place: usize) -> Bytes {
    Bytes(u32::try_from(place).unwrap_or(u32::MAX).to_be_bytes().to_vec())
}

/// The answers to `count` requests, in their order.
pub(crate) fn decode(
    answer: &[u8],
    count: usize,
    limit: usize,
) -> Result<Vec<Result<Response, Failure>>, Error> {
    let problem = |problem: String| Error::NotKmip { problem };
    let limits = Limits { bytes: limit, items: 1 << 20, ..Limits::DEFAULT };
    let item = binary::decode(answer, &limits).map_err(|error| problem(error.to_string()))?;
    let message = message::read_response(item).map_err(|error| problem(error.to_string()))?;
    // A message that could not be read is answered by one failure, whatever was asked.
    let refused = match message.items.as_slice() {
        [only] => only.operation.is_none() && only.status != ResultStatus::Success,
        _ => false,
    };
    let ordered = message.items.len() <= count
        && message
            .items
            .iter()
            .enumerate()
            .all(|(place, item)| item.id.as_ref().is_none_or(|id| *id == identifier(place)));
    if !refused && !ordered {
        return Err(problem("its batch is not the one that was asked".to_owned()));
    }
    let answers: Vec<Result<Response, Failure>> = message.items.into_iter().map(outcome).collect();
    match answers.as_slice() {
        [Err(failure)] if refused => Err(failure.clone().into()),
        _ => Ok(answers),
    }
}

/// What a message says of its first failure, in words.
pub(crate) fn said(answer: &[u8]) -> Option<String> {
    let item = binary::decode(answer, &Limits::DEFAULT).ok()?;
    let message = message::read_response(item).ok()?;
    message.items.into_iter().find_map(|item| outcome(item).err()).map(|failure| failure.message)
}

fn outcome(item: ResponseItem) -> Result<Response, Failure> {
    let failure = |reason: Option<ResultReason>, message: Option<String>| {
        Err(Failure::new(
            item.operation,
            reason.unwrap_or(ResultReason::GeneralFailure),
            message.unwrap_or_default(),
        ))
    };
    match (item.status, item.response) {
        (ResultStatus::Success, Some(response)) => Ok(response),
        (ResultStatus::Success, None) => failure(None, Some("the answer is empty".to_owned())),
        (ResultStatus::OperationPending, _) => failure(
            None,
            Some("the answer is to be fetched later, which is not done here".to_owned()),
        ),
        (ResultStatus::OperationUndone, _) => failure(
            item.reason,
            Some(item.message.unwrap_or_else(|| "undone, as another request failed".to_owned())),
        ),
        (_, _) => failure(item.reason, item.message),
    }
}
