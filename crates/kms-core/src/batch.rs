//! Batches: their order, the ID Placeholder, and what happens to the rest when one item fails
//! (KMIP 2.1 sections 8.3 and 9.5). It must never know what an operation does.

use kmip::Version;
use kmip::enumerations::{
    AsynchronousIndicator, BatchErrorContinuationOption, Operation, ResultReason, ResultStatus,
    UniqueIdentifierCode,
};
use kmip::message::{RequestItem, RequestMessage, ResponseHeader, ResponseItem, ResponseMessage};
use kmip::operation::{Request, Response};
use kmip::wire::{Bytes, DateTime};
use kms_audit::Ticket;

use crate::Service;
use crate::audit::{Act, Decision, REQUEST};
use crate::context::{Context, Placeholders, operation_name};
use crate::error::{Again, Error, Result};
use crate::operation;
use crate::principal::Caller;
use crate::unit::Unit;

/// How often an item is tried that met another request's change.
const TRIES: usize = 8;

/// Who asks, and in which version.
#[derive(Clone, Copy)]
struct Call<'a> {
    caller: Caller<'a>,
    version: Version,
}

/// The answer to a message.
#[derive(Debug)]
pub struct Executed {
    /// The answer. It never fails: what goes wrong is in it.
    pub message: ResponseMessage,
    /// Whether the server could not do what it should (see [`Error::is_servers`]).
    pub servers_fault: bool,
    /// Whether the whole message may be sent again as it is.
    pub again: Again,
}

/// What became of an item.
struct Decided {
    result: Result<Response>,
    /// Its record, where that is in the log alone and not in a transaction.
    record: Option<Ticket>,
}

impl Decided {
    /// What was not even begun.
    fn unrecorded(error: Error) -> Self {
        Self { result: Err(error), record: None }
    }
}

/// The items of an answer, as they come.
#[derive(Default)]
struct Answers {
    items: Vec<ResponseItem>,
    servers_fault: bool,
    /// What the failures say together.
    again: Option<Again>,
    /// The items whose records have to be handed over before the answer leaves.
    uses: Vec<usize>,
    /// The last of those records.
    record: Option<Ticket>,
}

impl Answers {
    fn new(count: usize) -> Self {
        Self { items: Vec::with_capacity(count), ..Self::default() }
    }

    fn push(&mut self, item: (Option<Operation>, Option<Bytes>), decided: Decided) {
        let (operation, id) = item;
        let mut answer = match decided.result {
            Ok(response) => ResponseItem::success(response),
            Err(error) => {
                self.failed(&error);
                ResponseItem::failure(operation, error.reason, error.message)
            }
        };
        answer.id = id;
        if decided.record.is_some() {
            self.uses.push(self.items.len());
            self.record = self.record.max(decided.record);
        }
        self.items.push(answer);
    }

    fn failed(&mut self, error: &Error) {
        report(error);
        self.servers_fault |= error.is_servers();
        let before = self.again.unwrap_or(error.again);
        self.again = Some(if before == error.again { before } else { Again::No });
    }

    /// Whether the whole may be sent again: not where a part of it has been done.
    fn again(&self) -> Again {
        let done = self.items.iter().any(|it| it.status == ResultStatus::Success);
        if done { Again::No } else { self.again.unwrap_or_default() }
    }

    /// What had succeeded before the failure is taken back: nothing was written.
    fn undo(&mut self) {
        for answer in self.items.iter_mut().filter(|it| it.status == ResultStatus::Success) {
            answer.status = ResultStatus::OperationUndone;
            answer.response = None;
        }
    }

    /// What was done without a record is not told.
    fn withhold(&mut self, error: &Error) {
        self.failed(error);
        self.servers_fault = true;
        for at in &self.uses {
            let Some(answer) = self.items.get_mut(*at) else { continue };
            let (operation, id) = (answer.operation, answer.id.take());
            *answer = ResponseItem::failure(operation, error.reason, error.message.clone());
            answer.id = id;
        }
    }
}

/// What an item was about, for its record.
struct Deed {
    operation: &'static str,
    objects: Vec<String>,
}

impl Deed {
    fn new(operation: Operation, unit: &mut Unit, result: &Result<Response>) -> Self {
        let mut objects = unit.take_named();
        if let Ok(response) = result {
            for (code, id) in operation::produced(response) {
                // What a search finds is not what it is about.
                let is_made = code != UniqueIdentifierCode::Locate;
                if is_made && !objects.iter().any(|known| known == id) {
                    objects.push(id.to_owned());
                }
            }
        }
        Self { operation: operation_name(operation), objects }
    }

    fn by<'a>(&'a self, caller: Caller<'a>) -> Decision<'a> {
        let act = Act { operation: self.operation, objects: &self.objects, ..Act::default() };
        Decision { caller, act }
    }
}

impl Service {
    /// Answers a whole message. It never fails: what goes wrong is in the answer.
    pub async fn execute<'a>(
        &self,
        caller: impl Into<Caller<'a>>,
        request: RequestMessage,
    ) -> ResponseMessage {
        self.executed(caller, request).await.message
    }

    /// The same, with whose fault a failure is.
    pub async fn executed<'a>(
        &self,
        caller: impl Into<Caller<'a>>,
        request: RequestMessage,
    ) -> Executed {
        let caller = caller.into();
        let version = request.header.version();
        let mut answers = match self.check(&request) {
            Ok(()) => {
                self.run_items(Call { caller, version }, &request.header, request.items).await
            }
            Err(error) => {
                let mut answers = Answers::new(1);
                let call = Call { caller, version };
                answers.push((None, None), self.refused(call, None, error));
                answers
            }
        };
        if let Err(error) = self.audit.settle(answers.record).await {
            answers.withhold(&error);
        }
        let correlation = request.header.client_correlation_value;
        let (servers_fault, again) = (answers.servers_fault, answers.again());
        let message = self.respond(version, correlation, answers.items);
        Executed { message, servers_fault, again }
    }

    /// Answers one operation that came without a message around it (KMIP 2.1 assumed).
    pub async fn perform<'a>(
        &self,
        caller: impl Into<Caller<'a>>,
        request: Request,
    ) -> Result<Response> {
        let mut placeholders = Placeholders::default();
        let call = Call { caller: caller.into(), version: Version::V2_1 };
        let decided = self.run_alone(call, &mut placeholders, request).await;
        let result = match self.audit.settle(decided.record).await {
            Ok(()) => decided.result,
            Err(error) => Err(error),
        };
        if let Err(error) = &result {
            report(error);
        }
        result
    }

    /// A message that says why a request could not be read.
    pub fn refuse(&self, version: Version, error: Error) -> ResponseMessage {
        report(&error);
        let item = ResponseItem::failure(None, error.reason, error.message);
        self.respond(version, None, vec![item])
    }

    fn respond(
        &self,
        version: Version,
        client_correlation_value: Option<String>,
        items: Vec<ResponseItem>,
    ) -> ResponseMessage {
        let now = DateTime(self.clock.now());
        let count = i32::try_from(items.len()).unwrap_or(i32::MAX);
        let mut header = ResponseHeader::new(version, now, count);
        header.client_correlation_value = client_correlation_value;
        ResponseMessage { header, items }
    }

    fn check(&self, request: &RequestMessage) -> Result<()> {
        let count = request.items.len();
        let invalid = |text: String| Err(Error::new(ResultReason::InvalidMessage, text));
        if count == 0 {
            return invalid("the batch is empty".to_owned());
        }
        if count > self.policy.batch_max {
            let max = self.policy.batch_max;
            return invalid(format!("the batch has {count} items; at most {max} are allowed"));
        }
        let asynchrony = request.header.asynchronous_indicator.map(|it| it.0);
        if asynchrony == Some(AsynchronousIndicator::Mandatory) {
            return Err(Error::new(
                ResultReason::OperationNotSupported,
                "asynchronous operations are not supported; allow a synchronous answer",
            ));
        }
        Ok(())
    }

    async fn run_items(
        &self,
        call: Call<'_>,
        header: &kmip::message::RequestHeader,
        items: Vec<RequestItem>,
    ) -> Answers {
        let option = header.batch_error_continuation_option;
        if option == Some(BatchErrorContinuationOption::Undo) {
            return self.run_undoable(call, items).await;
        }
        let goes_on = option == Some(BatchErrorContinuationOption::Continue);
        let mut placeholders = Placeholders::default();
        let mut answers = Answers::new(items.len());
        let mut room = Room::new(self.policy.answers_max, items.len());
        for item in items {
            let named = (Some(item.operation), item.id.clone());
            let decided = match room.next(item).await {
                Ok(request) => self.run_alone(call, &mut placeholders, request).await,
                Err(error) => self.refused(call, named.0, error),
            };
            room.take(&decided.result);
            let stop = decided.result.is_err() && !goes_on;
            answers.push(named, decided);
            if stop {
                break;
            }
        }
        answers
    }

    /// An item that is refused before anything is looked at.
    fn refused(&self, call: Call<'_>, operation: Option<Operation>, error: Error) -> Decided {
        if let Err(closed) = self.audit.ready() {
            return Decided::unrecorded(closed);
        }
        let operation = operation.map_or(REQUEST, operation_name);
        let deed = Deed { operation, objects: Vec::new() };
        self.used(call, &deed, Err(error))
    }

    /// Ends an item that changed nothing.
    fn used(&self, call: Call<'_>, deed: &Deed, result: Result<Response>) -> Decided {
        let record = self.audit.used(deed.by(call.caller), result.as_ref().err());
        Decided { result, record }
    }

    /// One item in a unit of its own, tried again when another request came between.
    async fn run_alone(
        &self,
        call: Call<'_>,
        placeholders: &mut Placeholders,
        request: Request,
    ) -> Decided {
        if let Err(closed) = self.audit.ready() {
            return Decided::unrecorded(closed);
        }
        let operation = request.operation();
        let once = !operation::writes(&request) || operation::is_tried_once(&request);
        let mut tries = if once { 1 } else { TRIES };
        let mut kept = Some(request);
        loop {
            let mut unit = self.unit();
            let request = if tries > 1 { kept.clone() } else { kept.take() };
            let result = match request {
                Some(request) => self.run_in(call, &mut unit, placeholders, request).await,
                None => Err(Error::internal("a request was tried too often")),
            };
            let deed = Deed::new(operation, &mut unit, &result);
            let response = match result {
                Ok(response) if !unit.is_clean() => response,
                result => {
                    if let Ok(response) = &result {
                        remember(placeholders, response);
                    }
                    return self.used(call, &deed, result);
                }
            };
            self.audit.change(deed.by(call.caller), &mut unit);
            match unit.commit().await {
                Ok(()) => {
                    remember(placeholders, &response);
                    return Decided { result: Ok(response), record: None };
                }
                Err(error) if error.retry && tries > 1 => tries = tries.saturating_sub(1),
                Err(error) => return self.used(call, &deed, Err(error)),
            }
        }
    }

    async fn run_in(
        &self,
        call: Call<'_>,
        unit: &mut Unit,
        placeholders: &mut Placeholders,
        request: Request,
    ) -> Result<Response> {
        let mut context =
            Context::new(self, call.caller.principal, call.version, unit, placeholders);
        operation::dispatch(&mut context, request).await
    }

    /// All items in one unit: one failure, and nothing of the batch has happened.
    async fn run_undoable(&self, call: Call<'_>, items: Vec<RequestItem>) -> Answers {
        let mut tries = TRIES;
        loop {
            let mut unit = self.unit();
            let (mut answers, deeds) = self.run_all(call, &mut unit, items.clone()).await;
            let complete = answers.items.iter().all(|it| it.status == ResultStatus::Success);
            if complete && unit.is_clean() {
                for (at, deed) in deeds.iter().enumerate() {
                    answers.record = self.audit.used(deed.by(call.caller), None);
                    answers.uses.push(at);
                }
                return answers;
            }
            if !complete {
                self.undone(call, &deeds, &mut answers);
                answers.undo();
                return answers;
            }
            for deed in &deeds {
                self.audit.change(deed.by(call.caller), &mut unit);
            }
            match unit.commit().await {
                Ok(()) => return answers,
                Err(error) if error.retry && tries > 1 => tries = tries.saturating_sub(1),
                Err(error) => {
                    let last = answers.items.pop();
                    let named = last.map_or((None, None), |it| (it.operation, it.id));
                    answers.undo();
                    let decided = match deeds.split_last() {
                        Some((last, others)) => {
                            self.undone(call, others, &mut answers);
                            self.used(call, last, Err(error))
                        }
                        None => Decided::unrecorded(error),
                    };
                    answers.push(named, decided);
                    return answers;
                }
            }
        }
    }

    /// Records the items before one that failed.
    fn undone(&self, call: Call<'_>, deeds: &[Deed], answers: &mut Answers) {
        for deed in deeds {
            let record = self.audit.undone(deed.by(call.caller));
            answers.record = answers.record.max(record);
        }
    }

    /// Runs the items until one fails; its record is written, and what the others were about is
    /// given back.
    async fn run_all(
        &self,
        call: Call<'_>,
        unit: &mut Unit,
        items: Vec<RequestItem>,
    ) -> (Answers, Vec<Deed>) {
        let mut placeholders = Placeholders::default();
        let mut answers = Answers::new(items.len());
        let mut room = Room::new(self.policy.answers_max, items.len());
        let mut deeds = Vec::with_capacity(items.len());
        for item in items {
            // What was granted, and what an object is, may have changed since the item before.
            unit.ask_again();
            let (operation, id) = (item.operation, item.id.clone());
            let named = (Some(operation), id);
            let request = room.next(item).await.and_then(undoable);
            let result = match (self.audit.ready(), request) {
                (Err(closed), _) => {
                    answers.push(named, Decided::unrecorded(closed));
                    break;
                }
                (Ok(()), Ok(request)) => self.run_in(call, unit, &mut placeholders, request).await,
                (Ok(()), Err(error)) => Err(error),
            };
            room.take(&result);
            let deed = Deed::new(operation, unit, &result);
            match result {
                Ok(response) => {
                    remember(&mut placeholders, &response);
                    answers.push(named, Decided { result: Ok(response), record: None });
                    deeds.push(deed);
                }
                failed => {
                    answers.push(named, self.used(call, &deed, failed));
                    break;
                }
            }
        }
        (answers, deeds)
    }
}

/// What a batch may still answer. Its items are small and their answers need not be: the same large
/// object can be asked for a thousand times.
struct Room {
    left: usize,
    /// Whether there is more than one item; one alone is answered whatever its size.
    batch: bool,
    begun: bool,
}

impl Room {
    fn new(bytes: usize, items: usize) -> Self {
        Self { left: bytes, batch: items > 1, begun: false }
    }

    /// The next request, after others have had their turn: a thread serves many connections, and
    /// the items of a batch may all be slow.
    async fn next(&mut self, item: RequestItem) -> Result<Request> {
        if std::mem::replace(&mut self.begun, true) {
            tokio::task::yield_now().await;
        }
        if self.left == 0 {
            return Err(Error::new(
                ResultReason::ResponseTooLarge,
                "what this batch has answered is as large as an answer may be; ask for the rest in \
                 another request",
            ));
        }
        item_request(item)
    }

    fn take(&mut self, result: &Result<Response>) {
        if let (true, Ok(response)) = (self.batch, result) {
            let item = kmip::message::write_bare(response);
            self.left = self.left.saturating_sub(item.map_or(0, |item| size(&item.value)));
        }
    }
}

/// Roughly the bytes of a value in memory and on the wire.
fn size(value: &ttlv::Value<'_>) -> usize {
    use ttlv::Value;
    const HEAD: usize = 16;
    let body = match value {
        Value::Structure(items) => {
            items.iter().fold(0, |sum: usize, item| sum.saturating_add(size(&item.value)))
        }
        Value::TextString(text) => text.len(),
        Value::ByteString(bytes) | Value::BigInteger(bytes) => bytes.len(),
        _ => 0,
    };
    body.saturating_add(HEAD)
}

fn item_request(item: RequestItem) -> Result<Request> {
    if item.critical_extension {
        return Err(Error::new(
            ResultReason::UnknownMessageExtension,
            "the item has a critical Message Extension that this server does not know",
        ));
    }
    item.payload.map_err(|cause| unreadable(item.operation, &cause))
}

/// The error for a payload that is not one of its operation.
pub fn unreadable(operation: Operation, cause: &kmip::wire::Error) -> Error {
    let name = operation_name(operation);
    Error::new(cause.reason(), format!("{name}: {cause}"))
}

fn remember(placeholders: &mut Placeholders, response: &Response) {
    let produced = operation::produced(response);
    // A Locate that found none, or several, leaves no object that the next item could mean.
    if matches!(response, Response::Locate(_)) {
        placeholders.forget(UniqueIdentifierCode::Locate);
    }
    if let Some((_, id)) = produced.first() {
        placeholders.last = Some((*id).to_owned());
    }
    for (code, id) in produced {
        placeholders.produce(code, id);
    }
}

/// Refuses what could not be taken back: the parts of a multi-part operation go forward only.
fn undoable(request: Request) -> Result<Request> {
    if operation::in_parts(&request) {
        return Err(Error::new(
            ResultReason::OperationNotSupported,
            "a part of a multi-part operation cannot be undone; send it outside a batch with Undo",
        ));
    }
    Ok(request)
}

/// What only the operator may read goes to the log.
fn report(error: &Error) {
    if let Some(source) = &error.source {
        tracing::warn!(reason = ?error.reason, cause = %source, "{}", error.message);
    }
}
