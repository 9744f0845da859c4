//! Requests that come again under an Idempotency Key: what is answered as before, what is done anew, and
//! what is refused.

use kmip::Version;
use kmip::attribute::Attribute;
use kmip::enumerations::{BatchErrorContinuationOption as On, ResultReason, ResultStatus};
use kmip::message::{RequestHeader, RequestItem, RequestMessage, ResponseItem};
use kmip::operation::{
    ActivateRequest, AddAttributeRequest, DestroyRequest, GetRequest, LocateRequest, Request,
    Response,
};
use kms_core::{Caller, IdempotencyKey, Permission, Principal};

use super::{START, World, create};

const DAY: i64 = 86_400;

/// A request for a key whose identifier the server chooses.
fn anew() -> Request {
    let Request::Create(mut request) = create("x", true) else { panic!() };
    request.attributes.0.retain(|it| !matches!(it, Attribute::UniqueIdentifier(_)));
    Request::Create(request)
}

fn destroy(id: &str) -> Request {
    let unique_identifier = Some(id.into());
    Request::Destroy(DestroyRequest { unique_identifier, ..DestroyRequest::default() })
}

fn activate(id: Option<&str>) -> Request {
    Request::Activate(ActivateRequest { unique_identifier: id.map(Into::into) })
}

fn get(id: Option<&str>) -> Request {
    Request::Get(GetRequest { unique_identifier: id.map(Into::into), ..GetRequest::default() })
}

fn comment(text: &str) -> Request {
    Request::AddAttribute(AddAttributeRequest {
        unique_identifier: None,
        attribute: Attribute::Comment(text.to_owned()).into(),
    })
}

/// Asks for one thing under a key.
async fn ask(
    world: &World,
    user: &str,
    key: &str,
    request: Request,
) -> Result<Response, ResultReason> {
    let principal = Principal::new(user);
    let key = Some(IdempotencyKey::new(key).unwrap());
    let caller = Caller { key, ..Caller::from(&principal) };
    world.service.perform(caller, request).await.map_err(|error| error.reason)
}

async fn made(world: &World, user: &str, key: &str, request: Request) -> String {
    match ask(world, user, key, request).await {
        Ok(Response::Create(it)) => it.unique_identifier,
        other => panic!("{other:?}"),
    }
}

fn items(requests: Vec<Request>) -> Vec<RequestItem> {
    requests.into_iter().map(RequestItem::new).collect()
}

async fn batch(
    world: &World,
    on: Option<On>,
    key: Option<&str>,
    items: Vec<RequestItem>,
) -> Vec<ResponseItem> {
    let mut header = RequestHeader::new(Version::V2_1, i32::try_from(items.len()).unwrap());
    header.batch_error_continuation_option = on;
    // What differs each time makes no other request of it.
    header.client_correlation_value = Some(format!("{:?}", std::time::Instant::now()));
    let principal = Principal::new("ann");
    let key = key.map(|key| IdempotencyKey::new(key).unwrap());
    let caller = Caller { key, ..Caller::from(&principal) };
    world.service.execute(caller, RequestMessage { header, items }).await.items
}

fn summary(items: &[ResponseItem]) -> Vec<(ResultStatus, Option<ResultReason>)> {
    items.iter().map(|it| (it.status, it.reason)).collect()
}

fn ids(items: &[ResponseItem]) -> Vec<String> {
    let id = |item: &ResponseItem| match item.response.as_ref()? {
        Response::Create(it) => Some(it.unique_identifier.clone()),
        Response::Get(it) => Some(it.unique_identifier.clone()),
        _ => None,
    };
    items.iter().filter_map(id).collect()
}

async fn count(world: &World) -> usize {
    match world.ask("ann", Request::Locate(LocateRequest::default())).await.unwrap() {
        Response::Locate(it) => it.unique_identifiers.len(),
        other => panic!("{other:?}"),
    }
}

/// How many answers the database keeps.
fn kept(world: &World) -> usize {
    let path = world.directory.path().join("kms.db");
    let connection = rusqlite::Connection::open(path).unwrap();
    let count = |row: &rusqlite::Row<'_>| row.get::<_, u32>(0);
    connection.query_row("SELECT count(*) FROM answers", [], count).unwrap() as usize
}

const OK: (ResultStatus, Option<ResultReason>) = (ResultStatus::Success, None);

fn failed(reason: ResultReason) -> (ResultStatus, Option<ResultReason>) {
    (ResultStatus::OperationFailed, Some(reason))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_comes_again_is_answered_as_before() {
    let world = World::new().await;
    let first = made(&world, "ann", "k", anew()).await;
    assert_eq!(made(&world, "ann", "k", anew()).await, first);
    // It stays the first one's answer, whatever has become of the object.
    assert!(ask(&world, "ann", "d", destroy(&first)).await.is_err());
    assert_eq!(count(&world).await, 1);
    // Another name, another caller and no name are other requests.
    let others = [
        made(&world, "ann", "l", anew()).await,
        made(&world, "bob", "k", anew()).await,
        match world.ask("ann", anew()).await.unwrap() {
            Response::Create(it) => it.unique_identifier,
            other => panic!("{other:?}"),
        },
    ];
    assert!(!others.contains(&first));
    assert_eq!(count(&world).await, 3);
    // It outlives the server.
    let world = world.reopen(|_| {}).await;
    assert_eq!(made(&world, "ann", "k", anew()).await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_twice_is_answered_twice() {
    let world = World::new().await;
    world.aes("ann", "key", false).await;
    for _ in 0..2 {
        assert_eq!(made(&world, "ann", "c", create("mine", true)).await, "mine");
        assert!(ask(&world, "ann", "a", activate(Some("key"))).await.is_ok());
    }
    assert!(world.ask("ann", activate(Some("key"))).await.is_err());
    let unused = world.aes("ann", "unused", false).await;
    for _ in 0..2 {
        assert!(ask(&world, "ann", "d", destroy(&unused)).await.is_ok());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_request_under_the_same_key_is_refused() {
    let world = World::new().await;
    let first = made(&world, "ann", "k", anew()).await;
    let other = ask(&world, "ann", "k", create("other", true)).await;
    assert_eq!(other.err(), Some(ResultReason::InvalidField));
    let other = batch(&world, None, Some("k"), items(vec![anew(), anew()])).await;
    assert_eq!(summary(&other), [failed(ResultReason::InvalidField)]);
    // The same item in a message of the same version is the same request.
    let same = batch(&world, None, Some("k"), items(vec![anew()])).await;
    assert_eq!(ids(&same), [first]);
    assert_eq!(count(&world).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_uses_and_refusals_are_not_kept() {
    let world = World::new().await;
    let id = world.aes("ann", "key", true).await;
    for request in [get(Some(&id)), Request::Locate(LocateRequest::default())] {
        // The same key for all: it is ignored.
        assert!(ask(&world, "ann", "k", request).await.is_ok());
    }
    assert!(ask(&world, "ann", "k", destroy("none")).await.is_err());
    assert_eq!(kept(&world), 0);
    // What was refused is tried anew.
    assert_eq!(
        ask(&world, "ann", "r", create("key", true)).await.err(),
        Some(ResultReason::ObjectAlreadyExists)
    );
    made(&world, "ann", "k", create("new", true)).await;
    assert_eq!(kept(&world), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn items_of_a_batch_are_answered_each_for_itself() {
    for on in [None, Some(On::Stop), Some(On::Continue)] {
        let world = World::new().await;
        let requests = || items(vec![anew(), comment("made here"), get(None), activate(Some("b"))]);
        let first = batch(&world, on, Some("k"), requests()).await;
        let not_found = failed(ResultReason::ObjectNotFound);
        assert_eq!(summary(&first), [OK, OK, OK, not_found], "{on:?}");
        assert_eq!(kept(&world), 2);
        // The object of the placeholder is the first one's, and what failed is tried anew.
        world.aes("ann", "b", false).await;
        let second = batch(&world, on, Some("k"), requests()).await;
        assert_eq!(summary(&second), [OK; 4], "{on:?}");
        assert_eq!(ids(&second), ids(&first));
        let third = batch(&world, on, Some("k"), requests()).await;
        assert_eq!(summary(&third), [OK; 4], "{on:?}");
        assert_eq!((kept(&world), count(&world).await), (3, 2));
        // In another order it is another request.
        let other = batch(&world, on, Some("k"), items(vec![get(None), anew()])).await;
        assert_eq!(summary(&other), [failed(ResultReason::InvalidField)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_undone_as_one_is_kept_as_one() {
    let world = World::new().await;
    let on = Some(On::Undo);
    let requests = || items(vec![anew(), comment("here"), get(None), anew()]);
    let bad = batch(&world, on, Some("k"), items(vec![anew(), get(Some("none"))])).await;
    assert_eq!(bad[1].reason, Some(ResultReason::ObjectNotFound));
    // Nothing was done, so the key is still free.
    let first = batch(&world, on, Some("k"), requests()).await;
    assert_eq!(summary(&first), [OK; 4]);
    let second = batch(&world, on, Some("k"), requests()).await;
    assert_eq!((summary(&second), ids(&second)), (vec![OK; 4], ids(&first)));
    assert_eq!((kept(&world), count(&world).await), (3, 2));
    // What was done is not undone where a read does not succeed any more.
    let principal = Principal::new("ann");
    let revoke = Request::Revoke(kmip::operation::RevokeRequest {
        unique_identifier: Some(ids(&first)[0].as_str().into()),
        revocation_reason: kmip::attribute::RevocationReason {
            revocation_reason_code: kmip::enumerations::RevocationReasonCode::KeyCompromise,
            revocation_message: None,
        },
        compromise_occurrence_date: None,
        cascade: None,
    });
    world.service.perform(&principal, revoke).await.unwrap();
    world.service.perform(&principal, destroy(&ids(&first)[0])).await.unwrap();
    let third = batch(&world, on, Some("k"), requests()).await;
    assert_eq!(third[2].status, ResultStatus::OperationFailed);
    let others = [0, 1, 3].map(|at| third[at].status);
    assert_eq!(others, [ResultStatus::Success; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_may_have_a_key_of_its_own() {
    let world = World::new().await;
    let named = |key: &str, request| {
        let mut item = RequestItem::new(request);
        item.idempotency_key = Some(key.to_owned());
        item
    };
    let first = batch(&world, None, None, vec![named("a", anew()), named("b", anew())]).await;
    // In whichever message it comes again.
    let second = batch(&world, None, None, vec![named("b", anew())]).await;
    assert_eq!(ids(&second), ids(&first)[1..]);
    let both = batch(&world, None, Some("a"), vec![named("b", anew())]).await;
    assert_eq!(summary(&both), [failed(ResultReason::InvalidMessage)]);
    let long = "a".repeat(256);
    let bad =
        batch(&world, Some(On::Continue), None, vec![named(&long, anew()), named("c", anew())]);
    assert_eq!(summary(&bad.await), [failed(ResultReason::InvalidField), OK]);
    // Under Undo it is the key of the whole.
    let on = Some(On::Undo);
    let two = || vec![named("u", anew()), RequestItem::new(anew())];
    let first = batch(&world, on, None, two()).await;
    assert_eq!(ids(&batch(&world, on, None, two()).await), ids(&first));
    let torn = batch(&world, on, None, vec![named("v", anew()), named("w", anew())]).await;
    assert_eq!(summary(&torn), [failed(ResultReason::InvalidMessage)]);
    assert_eq!(count(&world).await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_come_again_too() {
    let world = World::new().await;
    let id = world.aes("ann", "key", true).await;
    let principal = Principal::new("ann");
    let caller = |key| {
        let key = Some(IdempotencyKey::new(key).unwrap());
        Caller { key, ..Caller::from(&principal) }
    };
    let (get, service) = (&[Permission::Get][..], &world.service);
    service.grant(caller("g"), Some(&id), "bob", get).await.unwrap();
    service.withdraw(caller("w"), Some(&id), "bob", get).await.unwrap();
    // Late, and twice: what was withdrawn since is not granted again.
    service.grant(caller("g"), Some(&id), "bob", get).await.unwrap();
    assert!(service.accesses(&principal, &id).await.unwrap().is_empty());
    // Nor is what changed nothing the first time.
    service.grant(&principal, Some(&id), "bob", get).await.unwrap();
    service.grant(caller("n"), Some(&id), "bob", get).await.unwrap();
    service.withdraw(&principal, Some(&id), "bob", get).await.unwrap();
    service.grant(caller("n"), Some(&id), "bob", get).await.unwrap();
    assert!(service.accesses(&principal, &id).await.unwrap().is_empty());
    for other in [
        service.grant(caller("g"), Some(&id), "carol", get).await,
        service.grant(caller("g"), Some(&id), "bob", &[Permission::Encrypt]).await,
        service.withdraw(caller("g"), Some(&id), "bob", get).await,
    ] {
        assert_eq!(other.unwrap_err().reason, ResultReason::InvalidField);
    }
    // A withdrawal that comes late takes nothing back that was granted since.
    service.grant(&principal, Some(&id), "bob", get).await.unwrap();
    service.withdraw(caller("w"), Some(&id), "bob", get).await.unwrap();
    assert_eq!(service.accesses(&principal, &id).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_kept_for_a_day() {
    let world = World::new().await;
    let first = made(&world, "ann", "k", anew()).await;
    made(&world, "ann", "l", anew()).await;
    for (now, moved) in [
        // A clock that is put back makes nothing older.
        (START - 30 * DAY, false),
        (START + DAY, false),
        (START + DAY + 3_601, true),
    ] {
        world.clock.set(now);
        let again = made(&world, "ann", "k", anew()).await;
        assert_eq!(again != first, moved, "{now}");
    }
    // The one that was over is gone with what is as old; the new one stays.
    assert_eq!(kept(&world), 1);
    world.service.catch_up().await.unwrap();
    assert_eq!(kept(&world), 1);
    world.clock.set(START + 3 * DAY);
    assert!(!world.service.catch_up().await.unwrap());
    assert_eq!(kept(&world), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_altered_is_refused() {
    for change in [
        "UPDATE answers SET at = at + 1",
        "UPDATE answers SET sealed_by = 2",
        "UPDATE answers SET place = 1",
        "UPDATE answers SET sealed = (SELECT sealed FROM answers ORDER BY at DESC LIMIT 1)",
    ] {
        let world = World::new().await;
        made(&world, "ann", "k", create("a", true)).await;
        world.clock.set(START + 1);
        made(&world, "ann", "l", create("b", true)).await;
        let world = world.reopen(|connection| connection.execute_batch(change).unwrap()).await;
        let refused = ask(&world, "ann", "k", create("a", true)).await;
        assert_eq!(refused.err(), Some(ResultReason::GeneralFailure), "{change}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_at_the_same_moment_one_is_done() {
    let world = std::sync::Arc::new(World::new().await);
    for round in 0..20 {
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let world = std::sync::Arc::clone(&world);
                let (key, id) = (format!("k{round}"), format!("key-{round}"));
                // By turns with a name that is there twice, and without.
                let request = if round % 2 == 0 { anew() } else { create(&id, true) };
                tokio::spawn(async move { made(&world, "ann", &key, request).await })
            })
            .collect();
        let mut ids = Vec::new();
        for task in tasks {
            ids.push(task.await.unwrap());
        }
        ids.dedup();
        assert_eq!(ids.len(), 1, "{ids:?}");
    }
    assert_eq!(count(&world).await, 20);
}
