//! Batches: stop, continue, undo, the ID Placeholder, and requests that cross.

use kmip::Version;
use kmip::attribute::Attribute;
use kmip::enumerations::{BatchErrorContinuationOption as On, ResultReason, ResultStatus};
use kmip::message::{RequestHeader, RequestItem, RequestMessage, ResponseItem};
use kmip::operation::{
    ActivateRequest, AddAttributeRequest, EncryptRequest, GetRequest, LocateRequest, Request,
    Response,
};
use kmip::wire::Bytes;
use kms_core::Principal;

use super::{World, create};

async fn run(world: &World, on: Option<On>, requests: Vec<Request>) -> Vec<ResponseItem> {
    let count = i32::try_from(requests.len()).unwrap();
    let mut header = RequestHeader::new(Version::V2_1, count);
    header.batch_error_continuation_option = on;
    header.client_correlation_value = Some("mine".to_owned());
    let items = requests.into_iter().map(RequestItem::new).collect();
    let request = RequestMessage { header, items };
    let response = world.service.execute(&Principal::new("ann"), request).await;
    assert_eq!(response.header.client_correlation_value.as_deref(), Some("mine"));
    assert_eq!(response.header.time_stamp.0, super::START);
    response.items
}

fn get(id: Option<&str>) -> Request {
    Request::Get(GetRequest { unique_identifier: id.map(Into::into), ..GetRequest::default() })
}

async fn count(world: &World) -> usize {
    match world.ask("ann", Request::Locate(LocateRequest::default())).await.unwrap() {
        Response::Locate(it) => it.unique_identifiers.len(),
        other => panic!("{other:?}"),
    }
}

fn statuses(items: &[ResponseItem]) -> Vec<ResultStatus> {
    items.iter().map(|it| it.status).collect()
}

const OK: ResultStatus = ResultStatus::Success;
const FAILED: ResultStatus = ResultStatus::OperationFailed;
const UNDONE: ResultStatus = ResultStatus::OperationUndone;

#[tokio::test(flavor = "multi_thread")]
async fn each_option_does_what_it_says() {
    for (on, expected, left) in [
        (None, vec![OK, FAILED], 1),
        (Some(On::Stop), vec![OK, FAILED], 1),
        (Some(On::Continue), vec![OK, FAILED, OK], 2),
        (Some(On::Undo), vec![UNDONE, FAILED], 0),
    ] {
        let world = World::new().await;
        let requests = vec![create("one", true), get(Some("none")), create("two", true)];
        let items = run(&world, on, requests).await;
        assert_eq!(statuses(&items), expected, "{on:?}");
        assert_eq!(count(&world).await, left, "{on:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn undo_takes_back_changes_to_what_was_there() {
    let world = World::new().await;
    world.aes("ann", "key", false).await;
    let requests = vec![
        Request::Activate(ActivateRequest { unique_identifier: Some("key".into()) }),
        create("new", true),
        get(Some("none")),
    ];
    let items = run(&world, Some(On::Undo), requests).await;
    assert_eq!(statuses(&items), [UNDONE, UNDONE, FAILED]);
    assert!(items.iter().all(|it| it.response.is_none()));
    // It is still to be activated, and the new one was never there.
    let again = Request::Activate(ActivateRequest { unique_identifier: Some("key".into()) });
    assert!(world.ask("ann", again).await.is_ok());
    assert_eq!(world.ask("ann", get(Some("new"))).await.err(), Some(ResultReason::ObjectNotFound));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_placeholder_is_what_the_batch_made() {
    for on in [On::Stop, On::Undo] {
        let world = World::new().await;
        let add = Request::AddAttribute(AddAttributeRequest {
            unique_identifier: None,
            attribute: Attribute::Comment("made here".to_owned()).into(),
        });
        let items = run(&world, Some(on), vec![create("key", true), add, get(None)]).await;
        assert_eq!(statuses(&items), [OK, OK, OK], "{on:?}");
        let Some(Response::Get(got)) = &items[2].response else { panic!("{items:?}") };
        assert_eq!(got.unique_identifier, "key");
        // A placeholder does not outlive its batch.
        let items = run(&world, Some(on), vec![get(None)]).await;
        assert_eq!(items[0].reason, Some(ResultReason::InvalidMessage));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_items_are_refused_whole() {
    let world = World::new().await;
    let items = run(&world, None, vec![get(Some("none")); 1_001]).await;
    assert_eq!(items.len(), 1);
    assert_eq!(items[0].reason, Some(ResultReason::InvalidMessage));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_that_cross_lose_no_change() {
    let world = std::sync::Arc::new(World::new().await);
    world.aes("ann", "key", true).await;
    let tasks: Vec<_> = (0..16)
        .map(|number| {
            let world = std::sync::Arc::clone(&world);
            tokio::spawn(async move {
                let mut done = 0;
                for part in 0..4 {
                    let name = format!("group {number} {part}");
                    let add = Request::AddAttribute(AddAttributeRequest {
                        unique_identifier: Some("key".into()),
                        attribute: Attribute::ObjectGroup(name).into(),
                    });
                    // Under this much crossing some give up, and say so; none is lost unsaid.
                    done += usize::from(world.ask("ann", add).await.is_ok());
                }
                done
            })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        done += task.await.unwrap();
    }
    let request = Request::GetAttributes(kmip::operation::GetAttributesRequest {
        unique_identifier: Some("key".into()),
        names: Vec::new(),
    });
    let Response::GetAttributes(it) = world.ask("ann", request).await.unwrap() else {
        panic!("not an answer to Get Attributes")
    };
    let groups = it.attributes.all(kmip::attribute::AttributeKind::ObjectGroup).count();
    assert_eq!(groups, done);
    assert!(done > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_encrypts_in_the_batch_that_makes_it() {
    for on in [On::Stop, On::Continue, On::Undo] {
        let world = World::new().await;
        let encrypt = EncryptRequest {
            unique_identifier: Some("key".into()),
            data: Some(Bytes(vec![7; 16])),
            ..EncryptRequest::default()
        };
        let requests = vec![create("key", true), Request::Encrypt(encrypt)];
        let items = run(&world, Some(on), requests).await;
        assert_eq!(statuses(&items), [OK, OK], "{on:?}: {:?}", items[1].message);
    }
}
