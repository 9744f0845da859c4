//! The access matrix, asked of a real server: each cell is a request over HTTP, and what it gets is
//! compared with what the rows say.
//!
//! Objects of every type in every state are made in *sets*. What changes an object has a set of its
//! own for each caller who is let in.

mod objects;
mod requests;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use kmip::Version;
use kmip::attribute::{Attribute, Attributes};
use kmip::enumerations::{
    BatchErrorContinuationOption, CryptographicAlgorithm, CryptographicUsageMask, ObjectType,
    ResultReason, State, StorageStatusMask,
};
use kmip::message::{self, RequestHeader, RequestItem, RequestMessage, ResponseItem};
use kmip::operation::{
    CreateKeyPairRequest, DiscoverVersionsRequest, LocateRequest, QueryRequest, Request, Response,
};
use kms_core::{ACCESS, AccessRow, Cell, Needs, Permission, Refusal, Role, Who, cell};
use kms_testkit::http::{Answer, Connection};
use kms_testkit::issuer::{self, Issuer};
use kms_testkit::server::{Server, pause};
use serde_json::json;

use self::objects::{id, make_own_objects, make_sets, object, other_usage, register, set_of};
use self::requests::{about, request, seal};

/// Connections at once: most of the answers wait for the end of their slot.
const CONNECTIONS: usize = 48;
/// For how long the grants hold that are to have expired.
const EXPIRE_S: u64 = 4;

const TYPES: [ObjectType; 6] = [
    ObjectType::Certificate,
    ObjectType::SymmetricKey,
    ObjectType::PublicKey,
    ObjectType::PrivateKey,
    ObjectType::SecretData,
    ObjectType::OpaqueObject,
];
const STATES: [State; 6] = [
    State::PreActive,
    State::Active,
    State::Deactivated,
    State::Compromised,
    State::Destroyed,
    State::DestroyedCompromised,
];

/// An object of each type in each state.
fn kinds() -> impl Iterator<Item = (ObjectType, State)> {
    TYPES.into_iter().flat_map(|kind| STATES.into_iter().map(move |state| (kind, state)))
}

/// The server, who vouches for its callers, and their tokens.
struct World {
    server: Server,
    tokens: BTreeMap<String, String>,
    /// What was found to differ.
    faults: Mutex<Vec<String>>,
    /// How many cells were asked.
    asked: AtomicUsize,
    /// The operations that somebody was let into and that succeeded.
    succeeded: Mutex<Vec<&'static str>>,
}

/// What came of a request.
type Outcome = Result<Response, (ResultReason, String)>;

const OWNER: &str = "owner@example.org";

/// The user that stands for `who`.
fn user(who: Who) -> Option<String> {
    let name = match who {
        Who::Owner => return Some(OWNER.to_owned()),
        Who::Holder(permission) => permission.name().to_lowercase(),
        Who::Everybody => "anybody".to_owned(),
        Who::Expired => "expired".to_owned(),
        Who::Stranger => "stranger".to_owned(),
        Who::Nobody => return None,
    };
    Some(format!("{name}@example.org"))
}

impl World {
    fn start() -> Self {
        let issuer = Issuer::start();
        let server = super::builder()
            .environment("KMS_DELEGATED_AUTHORITY_DOMAIN", issuer.url())
            .environment("KMS_JWT_AUDIENCE", issuer::AUDIENCE)
            .start();
        let users = Who::all().filter_map(user);
        let tokens = users.map(|user| (user.clone(), issuer.bearer(&user))).collect();
        let world = Self {
            server,
            tokens,
            faults: Mutex::default(),
            asked: AtomicUsize::new(0),
            succeeded: Mutex::default(),
        };
        // Until the issuer's keys are there. They are known from then on, without it.
        while world.send(Some(OWNER), "GET", "/me", b"").status == 503 {
            pause();
        }
        world
    }

    fn send(&self, user: Option<&str>, method: &str, path: &str, body: &[u8]) -> Answer {
        let kind = if path == "/kmip" { "application/octet-stream" } else { "application/json" };
        let mut headers = vec![("content-type", kind)];
        if let Some(user) = user {
            headers.push(("authorization", self.tokens[user].as_str()));
        }
        Connection::open(self.server.address()).request(method, path, &headers, body)
    }

    /// What comes of each request, in one message; none where nobody asks.
    fn ask(
        &self,
        user: Option<&str>,
        option: BatchErrorContinuationOption,
        requests: Vec<Request>,
    ) -> Option<Vec<Outcome>> {
        let count = i32::try_from(requests.len()).unwrap();
        let mut header = RequestHeader::new(Version::V2_1, count);
        header.batch_error_continuation_option = Some(option);
        let items = requests.into_iter().map(RequestItem::new).collect();
        let message = RequestMessage { header, items };
        let mut bytes = Vec::new();
        let item = message::write_request(&message, Version::V2_1).unwrap();
        ttlv::binary::encode(&item, &mut bytes).unwrap();
        let answer = self.send(user, "POST", "/kmip", &bytes);
        if answer.status == 401 {
            return None;
        }
        assert_eq!(answer.status, 200, "{}", answer.text());
        let item = ttlv::binary::decode(&answer.body, &ttlv::Limits::DEFAULT).unwrap();
        let items = message::read_response(item).unwrap().items;
        let outcome = |item: ResponseItem| match item.response {
            Some(response) => Ok(response),
            // What was undone has no reason of its own.
            None => Err((
                item.reason.unwrap_or(ResultReason::OperationCanceledByRequester),
                item.message.unwrap_or_default(),
            )),
        };
        Some(items.into_iter().map(outcome).collect())
    }

    /// The same where all of it has to succeed.
    fn make(&self, user: &str, requests: Vec<Request>) {
        let undo = BatchErrorContinuationOption::Undo;
        let outcomes = self.ask(Some(user), undo, requests).unwrap();
        let failure = outcomes.into_iter().enumerate().rfind(|(_, it)| it.is_err());
        assert!(failure.is_none(), "{user}: {failure:?}");
    }

    fn grant(&self, id: &str, user: &str, permissions: &[Permission], expires: Option<u64>) {
        let names: Vec<_> = permissions.iter().map(|it| it.name()).collect();
        let mut body = json!({"unique_identifier": id, "user_id": user, "operation_types": names});
        if let Some(expires) = expires {
            body["expires"] = json!(expires);
        }
        let body = body.to_string();
        let answer = self.send(Some(OWNER), "POST", "/access/grant", body.as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    fn fault(&self, text: String) {
        self.faults.lock().unwrap().push(text);
    }
}

/// Does all of `jobs`, many at a time.
fn all<T: Sync>(jobs: &[T], work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS.min(jobs.len()) {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(job);
                }
            });
        }
    });
}

/// What an answer says of access. What goes wrong behind the door is none of it.
fn said(operation: &str, id: &str, outcome: &Outcome) -> Cell {
    let Err((reason, text)) = outcome else { return Cell::Allowed };
    let hidden = format!("no object {id:?} that you may use");
    let refusal = match *reason {
        ResultReason::ObjectNotFound if *text == hidden => Refusal::Hidden,
        ResultReason::ObjectAlreadyExists if operation == "Import" => Refusal::Hidden,
        ResultReason::InvalidObjectType if text.starts_with("this operation is not") => {
            Refusal::Type
        }
        ResultReason::ObjectDestroyed => Refusal::Destroyed,
        ResultReason::WrongKeyLifecycleState if text.contains("this operation needs") => {
            Refusal::State
        }
        ResultReason::IncompatibleCryptographicUsageMask => Refusal::Usage,
        ResultReason::ObjectNotFound | ResultReason::PermissionDenied => {
            panic!("{operation} {id}: {text}")
        }
        _ => return Cell::Allowed,
    };
    Cell::Refused(refusal)
}

/// One line of the matrix: a role of an operation, and somebody who asks.
type Line = (&'static str, &'static AccessRow, Who);

fn lines() -> Vec<Line> {
    let rows = ACCESS.iter().flat_map(|it| it.roles.iter().map(move |row| (it.name, row)));
    rows.flat_map(|(name, row)| Who::all().map(move |who| (name, row, who))).collect()
}

fn check_line(world: &World, (operation, row, who): Line) {
    let set = set_of(operation, row, who);
    let requests = kinds()
        .map(|(kind, state)| request(operation, row.role, who, &id(&set, kind, state), kind))
        .collect();
    let asker = user(who);
    let option = BatchErrorContinuationOption::Continue;
    let answers = world.ask(asker.as_deref(), option, requests);
    for (place, (kind, state)) in kinds().enumerate() {
        let id = id(&set, kind, state);
        let outcome = answers.as_ref().map(|answers| &answers[place]);
        let found = outcome.map_or(Cell::Unknown, |outcome| said(operation, &id, outcome));
        let expected = match cell(row, who, kind, state) {
            // A half that cannot be had is passed over; what becomes of it is seen later.
            Cell::Refused(_) if row.role == Role::PairHalf && row.optional => Cell::Allowed,
            expected => expected,
        };
        world.asked.fetch_add(1, Ordering::Relaxed);
        if found != expected {
            let role = row.role;
            let text = format!("{operation} {role:?} {who:?} {kind:?} {state:?}: ");
            world.fault(format!("{text}{found:?} instead of {expected:?}: {outcome:?}"));
        }
        if let Some(Ok(_)) = outcome {
            world.succeeded.lock().unwrap().push(operation);
        }
    }
}

/// A cascade reaches a half where its row lets it, and is not seen to have passed over it.
fn check_halves(world: &World) {
    for (operation, row, who) in lines() {
        if row.role != Role::PairHalf || !row.optional || who == Who::Nobody {
            continue;
        }
        let set = set_of(operation, row, who);
        let requests = kinds()
            .map(|(kind, state)| about("GetAttributes", &id(&set, kind, state), kind))
            .collect();
        let option = BatchErrorContinuationOption::Continue;
        let answers = world.ask(Some(OWNER), option, requests).unwrap();
        for ((kind, state), answer) in kinds().zip(answers) {
            let Ok(Response::GetAttributes(answer)) = answer else { panic!("{answer:?}") };
            let is_reached = answer.attributes.state() != Some(state);
            // What is compromised stays so, and what is active is not destroyed by a cascade.
            let can_be = match operation {
                "Destroy" => state != State::Active,
                _ => true,
            };
            let may = cell(row, who, kind, state) == Cell::Allowed;
            if is_reached != (may && can_be) {
                let text = format!("{operation} reached {is_reached}: {who:?} {kind:?} {state:?}");
                world.fault(text);
            }
        }
    }
}

/// Locate finds what its row says, and nothing else of these objects.
fn check_locate(world: &World, row: &AccessRow) {
    for who in Who::all() {
        let asker = user(who);
        let request = Request::Locate(LocateRequest {
            storage_status_mask: Some(StorageStatusMask(0xFF)),
            ..LocateRequest::default()
        });
        let option = BatchErrorContinuationOption::Continue;
        let found = match world.ask(asker.as_deref(), option, vec![request]) {
            None => None,
            Some(answers) => match &answers[0] {
                Ok(Response::Locate(it)) => Some(it.unique_identifiers.clone()),
                other => panic!("{other:?}"),
            },
        };
        for (kind, state) in kinds() {
            let id = id(&set_of("Locate", row, who), kind, state);
            let said = match &found {
                None => Cell::Unknown,
                Some(found) if found.contains(&id) => Cell::Allowed,
                Some(_) => Cell::Refused(Refusal::Hidden),
            };
            world.asked.fetch_add(1, Ordering::Relaxed);
            let expected = cell(row, who, kind, state);
            if said != expected {
                world.fault(format!("Locate {who:?} {kind:?} {state:?}: {said:?}"));
            }
        }
    }
}

/// What names no object: let in is everyone who says who they are.
fn check_objectless(world: &World) {
    for operation in ACCESS.iter().filter(|it| it.roles.is_empty()) {
        for who in Who::all() {
            let request = match operation.name {
                "Query" => Request::Query(QueryRequest::default()),
                "DiscoverVersions" => Request::DiscoverVersions(DiscoverVersionsRequest::default()),
                "Register" => {
                    let id = format!("registered-by-{who:?}").to_lowercase();
                    let id = id.replace(['(', ')'], "-");
                    register(&id, object(ObjectType::SymmetricKey), false, other_usage())
                }
                "CreateKeyPair" => create_pair(),
                other => panic!("no request for {other}"),
            };
            // No list of privileged users: everyone may create.
            assert!(matches!(operation.needs, Needs::Anyone | Needs::Grant(Permission::Create)));
            let option = BatchErrorContinuationOption::Continue;
            let answers = world.ask(user(who).as_deref(), option, vec![request]);
            world.asked.fetch_add(1, Ordering::Relaxed);
            match answers {
                None => assert_eq!(who, Who::Nobody, "{}", operation.name),
                Some(mut answers) => {
                    answers.remove(0).unwrap();
                    world.succeeded.lock().unwrap().push(operation.name);
                }
            }
        }
    }
}

fn create_pair() -> Request {
    let usage = |usage| Some(Attributes(vec![Attribute::CryptographicUsageMask(usage)]));
    Request::CreateKeyPair(CreateKeyPairRequest {
        common_attributes: Some(Attributes(vec![Attribute::CryptographicAlgorithm(
            CryptographicAlgorithm::Ed25519,
        )])),
        private_key_attributes: usage(CryptographicUsageMask::Sign),
        public_key_attributes: usage(CryptographicUsageMask::Verify),
        ..CreateKeyPairRequest::default()
    })
}

/// Where the usage mask lacks a bit, the owner is refused for that, and for nothing before it.
fn check_masks(world: &World) {
    for (operation, row, who) in lines() {
        if who != Who::Owner || row.usage == 0 || row.role != Role::Subject {
            continue;
        }
        let requests = kinds()
            .map(|(kind, state)| about(operation, &id("maskless", kind, state), kind))
            .collect();
        let option = BatchErrorContinuationOption::Continue;
        let answers = world.ask(Some(OWNER), option, requests).unwrap();
        for ((kind, state), answer) in kinds().zip(answers) {
            let expected = match cell(row, who, kind, state) {
                Cell::Allowed => Cell::Refused(Refusal::Usage),
                expected => expected,
            };
            let found = said(operation, &id("maskless", kind, state), &answer);
            world.asked.fetch_add(1, Ordering::Relaxed);
            if found != expected {
                world.fault(format!("{operation} without a mask {kind:?} {state:?}: {found:?}"));
            }
        }
    }
}

#[test]
fn every_cell_of_the_matrix_is_what_a_server_answers() {
    let world = World::start();
    make_sets(&world);
    let granted = issuer::now_s();
    make_own_objects(&world);
    seal(&world);
    while issuer::now_s() < granted + EXPIRE_S + 1 {
        pause();
    }
    let (locate, lines): (Vec<_>, Vec<_>) = lines().into_iter().partition(|it| it.0 == "Locate");
    check_locate(&world, locate[0].1);
    check_objectless(&world);
    check_masks(&world);
    all(&lines, |line| check_line(&world, *line));
    check_halves(&world);
    let faults = world.faults.lock().unwrap();
    assert!(faults.is_empty(), "{} cells:\n{}", faults.len(), faults.join("\n"));
    let cells = kinds().count() * (lines.len() + Who::all().count());
    assert!(world.asked.load(Ordering::Relaxed) > cells);
    // A server that fails behind every door would look the same.
    let succeeded = world.succeeded.lock().unwrap();
    for operation in ACCESS.iter().filter(|it| it.name != "Locate") {
        assert!(succeeded.contains(&operation.name), "{} never succeeded", operation.name);
    }
}
