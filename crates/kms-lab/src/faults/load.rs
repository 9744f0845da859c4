//! Callers that write, and remember what they were answered. It must not know what goes wrong.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use kms_testkit::http::{Answer, Connection};
use kms_testkit::server::pause;

/// The ends of the messages of `docs/protocol.md`.
const TRY_AGAIN: &str = "nothing was changed; try again";
const LOOK_FIRST: &str = "it may have been done; look before you send it again";

/// How long a caller thinks before it wants something new. What is done has to be looked at.
const THINKS: Duration = Duration::from_millis(10);

/// What an object is, or its half.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Kind {
    /// One key.
    Key,
    /// Two keys of one batch that is undone as a whole. They have one name.
    Batch,
    /// A private and a public key. They have one name.
    Pair,
}

/// What is to be found of something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Expected {
    Yes,
    No,
    /// Its answer was lost, or said that nobody knows.
    Either,
}

/// What is to be found of what one writer has done with one number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Thing {
    pub(super) kind: Kind,
    pub(super) there: Expected,
    pub(super) shared: Expected,
    pub(super) destroyed: Expected,
}

/// How one request ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// As was asked.
    Done,
    /// Not, and the caller may try again.
    Denied,
    /// Nobody knows, or the connection ended without an answer.
    Doubt,
    /// In no words that a caller could rely on.
    Strange(String),
}

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) begun: Instant,
    pub(super) ended: Instant,
    pub(super) outcome: Outcome,
}

/// What was asked and answered.
#[derive(Debug, Default)]
pub(super) struct Journal {
    pub(super) things: BTreeMap<u64, Thing>,
    pub(super) requests: Vec<Request>,
}

impl Journal {
    /// How many requests ended so.
    pub(super) fn count(&self, outcome: &Outcome) -> usize {
        self.requests.iter().filter(|request| request.outcome == *outcome).count()
    }

    /// Takes in another.
    pub(super) fn extend(&mut self, other: Self) {
        self.things.extend(other.things);
        self.requests.extend(other.requests);
    }
}

/// Where to send requests, and whether to go on.
#[derive(Debug, Default)]
pub(super) struct Target {
    /// The servers. Each writer begins with one of them, and takes the next when it is gone.
    addresses: Mutex<Vec<SocketAddr>>,
    over: AtomicBool,
    /// Numbers that nobody has had, in the whole run.
    numbers: AtomicU64,
    journal: Mutex<Journal>,
}

impl Target {
    /// These servers.
    pub(super) fn new(addresses: Vec<SocketAddr>, first_number: u64) -> Self {
        Self {
            addresses: Mutex::new(addresses),
            numbers: AtomicU64::new(first_number),
            ..Self::default()
        }
    }

    /// The servers are elsewhere from now on.
    pub(super) fn moves(&self, addresses: Vec<SocketAddr>) {
        *self.addresses.lock().unwrap_or_else(PoisonError::into_inner) = addresses;
    }

    /// Nobody begins another request.
    pub(super) fn ends(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// What was answered.
    pub(super) fn journal(self) -> Journal {
        self.journal.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many requests have been done by now.
    pub(super) fn done(&self) -> usize {
        let journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        journal.count(&Outcome::Done)
    }

    fn address(&self, turn: usize) -> Option<SocketAddr> {
        let addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        addresses.get(turn % addresses.len().max(1)).copied()
    }
}

/// A writer: goes on until it is told to end.
pub(super) fn write(target: &Target, writer: usize) {
    let mut caller = Caller { target, turn: writer, connection: None };
    while !target.is_over() {
        std::thread::sleep(THINKS);
        let number = target.numbers.fetch_add(1, Ordering::Relaxed);
        match number % 4 {
            0 => caller.make(number, Kind::Batch),
            1 => caller.make(number, Kind::Pair),
            _ => {
                caller.make(number, Kind::Key);
                caller.use_up(number);
            }
        }
    }
}

struct Caller<'a> {
    target: &'a Target,
    turn: usize,
    connection: Option<Connection>,
}

impl Caller<'_> {
    fn make(&mut self, number: u64, kind: Kind) {
        let (path, body) = match kind {
            Kind::Key => ("/kmip/2_1", create(number)),
            Kind::Batch => ("/kmip", batch(number)),
            Kind::Pair => ("/kmip/2_1", create_pair(number)),
        };
        let there = match self.ask("POST", path, &body) {
            Outcome::Done => Expected::Yes,
            Outcome::Denied => Expected::No,
            Outcome::Doubt | Outcome::Strange(_) => Expected::Either,
        };
        let (shared, destroyed) = (Expected::No, Expected::No);
        self.note(number, |thing| *thing = Thing { kind, there, shared, destroyed });
    }

    /// Shares it, withdraws that, and destroys it: not with each.
    fn use_up(&mut self, number: u64) {
        let is_there = |target: &Target| {
            let journal = target.journal.lock().unwrap_or_else(PoisonError::into_inner);
            journal.things.get(&number).is_some_and(|thing| thing.there == Expected::Yes)
        };
        if !is_there(self.target) {
            return;
        }
        let grant = r#"{"user_id":"reader","operation_type":"Get"}"#;
        let path = format!("/accesses/{}", id(number));
        let outcome = self.ask("POST", &path, grant);
        self.note(number, |thing| thing.shared = after(&outcome, thing.shared, Expected::Yes));
        if number.is_multiple_of(3) {
            let outcome = self.ask("DELETE", &path, grant);
            self.note(number, |thing| thing.shared = after(&outcome, thing.shared, Expected::No));
        }
        if number.is_multiple_of(5) {
            let outcome = self.ask("POST", "/kmip/2_1", &about("Destroy", &id(number)));
            let now = |before| after(&outcome, before, Expected::Yes);
            self.note(number, |thing| thing.destroyed = now(thing.destroyed));
        }
    }

    fn note(&self, number: u64, change: impl FnOnce(&mut Thing)) {
        let mut journal = self.target.journal.lock().unwrap_or_else(PoisonError::into_inner);
        let none = Thing {
            kind: Kind::Key,
            there: Expected::Either,
            shared: Expected::No,
            destroyed: Expected::No,
        };
        change(journal.things.entry(number).or_insert(none));
    }

    fn ask(&mut self, method: &str, path: &str, body: &str) -> Outcome {
        let begun = Instant::now();
        let outcome = match self.connection() {
            // Nobody has heard of it.
            None => {
                pause();
                return Outcome::Denied;
            }
            Some(connection) => {
                let headers = [("content-type", "application/json")];
                connection.begin(method, path, &headers, body.as_bytes());
                connection.answer().map_or(Outcome::Doubt, |answer| outcome(&answer))
            }
        };
        if outcome == Outcome::Doubt {
            self.connection = None;
        }
        let request = Request { begun, ended: Instant::now(), outcome: outcome.clone() };
        let mut journal = self.target.journal.lock().unwrap_or_else(PoisonError::into_inner);
        journal.requests.push(request);
        drop(journal);
        if outcome == Outcome::Denied {
            // As a caller does who is told to try again.
            pause();
        }
        outcome
    }

    fn connection(&mut self) -> Option<&mut Connection> {
        if self.connection.is_none() {
            let address = self.target.address(self.turn)?;
            match Connection::try_open(address) {
                Ok(connection) => self.connection = Some(connection),
                Err(_) => self.turn += 1,
            }
        }
        self.connection.as_mut()
    }
}

/// What is to be found after a request that was to bring `wanted` about.
fn after(outcome: &Outcome, before: Expected, wanted: Expected) -> Expected {
    match outcome {
        Outcome::Done => wanted,
        Outcome::Denied => before,
        Outcome::Doubt | Outcome::Strange(_) => Expected::Either,
    }
}

/// What an answer says to a caller who reads what is documented.
fn outcome(answer: &Answer) -> Outcome {
    let text = answer.text();
    let failed = answer.status != 200 || text.contains("OperationFailed");
    if !failed {
        return Outcome::Done;
    }
    let ends = |words: &str| match answer.status {
        // In a message the text stands in its item.
        200 => text.contains(&format!("{words}\"")),
        _ => text.trim_end().ends_with(words),
    };
    let promised = answer.header("retry-after").is_some();
    let status = matches!(answer.status, 200 | 503);
    if ends(TRY_AGAIN) && promised && status {
        Outcome::Denied
    } else if ends(LOOK_FIRST) && !promised {
        Outcome::Doubt
    } else {
        Outcome::Strange(format!("{}: {text}", answer.status))
    }
}

/// The identifier of a key with this number.
pub(super) fn id(number: u64) -> String {
    format!("key-{number}")
}

/// The name of both halves with this number.
pub(super) fn name(number: u64) -> String {
    format!("both-{number}")
}

/// An operation on one object.
pub(super) fn about(operation: &str, id: &str) -> String {
    format!(
        r#"{{"tag":"{operation}","value":[{{"tag":"UniqueIdentifier","type":"TextString","value":"{id}"}}]}}"#
    )
}

/// A search for a name.
pub(super) fn locate(name: &str) -> String {
    format!(r#"{{"tag":"Locate","value":[{{"tag":"Attributes","value":[{}]}}]}}"#, named(name))
}

fn named(name: &str) -> String {
    format!(
        r#"{{"tag":"Name","value":[{{"tag":"NameValue","type":"TextString","value":"{name}"}},{{"tag":"NameType","type":"Enumeration","value":"UninterpretedTextString"}}]}}"#
    )
}

fn symmetric(more: &str) -> String {
    format!(
        r#"{{"tag":"ObjectType","type":"Enumeration","value":"SymmetricKey"}},{{"tag":"Attributes","value":[{{"tag":"CryptographicAlgorithm","type":"Enumeration","value":"AES"}},{{"tag":"CryptographicLength","type":"Integer","value":256}},{{"tag":"CryptographicUsageMask","type":"Integer","value":12}},{more}]}}"#
    )
}

fn create(number: u64) -> String {
    let id =
        format!(r#"{{"tag":"UniqueIdentifier","type":"TextString","value":"{}"}}"#, id(number));
    format!(r#"{{"tag":"Create","value":[{}]}}"#, symmetric(&id))
}

fn create_pair(number: u64) -> String {
    format!(
        r#"{{"tag":"CreateKeyPair","value":[{{"tag":"CommonAttributes","value":[{{"tag":"CryptographicAlgorithm","type":"Enumeration","value":"ECDSA"}},{{"tag":"CryptographicDomainParameters","value":[{{"tag":"RecommendedCurve","type":"Enumeration","value":"P256"}}]}},{{"tag":"CryptographicUsageMask","type":"Integer","value":3}},{}]}}]}}"#,
        named(&name(number))
    )
}

fn batch(number: u64) -> String {
    let item = |half: u8| {
        format!(
            r#"{{"tag":"BatchItem","value":[{{"tag":"Operation","type":"Enumeration","value":"Create"}},{{"tag":"UniqueBatchItemID","type":"ByteString","value":"0{half}"}},{{"tag":"RequestPayload","value":[{}]}}]}}"#,
            symmetric(&named(&name(number)))
        )
    };
    format!(
        r#"{{"tag":"RequestMessage","value":[{{"tag":"RequestHeader","value":[{{"tag":"ProtocolVersion","value":[{{"tag":"ProtocolVersionMajor","type":"Integer","value":2}},{{"tag":"ProtocolVersionMinor","type":"Integer","value":1}}]}},{{"tag":"BatchErrorContinuationOption","type":"Enumeration","value":"Undo"}},{{"tag":"BatchCount","type":"Integer","value":2}}]}},{},{}]}}"#,
        item(0),
        item(1)
    )
}

/// One look at `/health`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) at: Instant,
    pub(super) is_up: bool,
}

/// Asks how a server is, all the time.
pub(super) fn watch(target: &Target) -> Vec<Look> {
    /// How long between two looks.
    const PAUSE: Duration = Duration::from_millis(20);
    let mut looks = Vec::new();
    let mut connection = None;
    while !target.is_over() {
        std::thread::sleep(PAUSE);
        let Some(address) = target.address(0) else { continue };
        if connection.is_none() {
            connection = Connection::try_open(address).ok();
        }
        let Some(open) = &mut connection else { continue };
        open.begin("GET", "/health", &[], b"");
        match open.answer() {
            Some(answer) => looks.push(Look { at: Instant::now(), is_up: answer.status == 200 }),
            None => connection = None,
        }
    }
    looks
}
