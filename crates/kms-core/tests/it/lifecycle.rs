//! The state diagram, by requests and by the clock.

use kmip::attribute::{Attribute, Attributes, RevocationReason};
use kmip::enumerations::{ResultReason, RevocationReasonCode, State};
use kmip::operation::{
    ActivateRequest, DestroyRequest, EncryptRequest, GetAttributesRequest, GetRequest,
    LocateRequest, Request, Response, RevokeRequest, SetAttributeRequest,
};
use kmip::wire::{Bytes, DateTime};
use proptest::prelude::*;

use super::{START, World};

fn activate(id: &str) -> Request {
    Request::Activate(ActivateRequest { unique_identifier: Some(id.into()) })
}

fn revoke(id: &str, code: RevocationReasonCode) -> Request {
    Request::Revoke(RevokeRequest {
        unique_identifier: Some(id.into()),
        revocation_reason: RevocationReason {
            revocation_reason_code: code,
            revocation_message: None,
        },
        compromise_occurrence_date: None,
        cascade: None,
    })
}

fn destroy(id: &str, remove: bool) -> Request {
    Request::Destroy(DestroyRequest {
        unique_identifier: Some(id.into()),
        remove: Some(remove),
        ..DestroyRequest::default()
    })
}

fn get(id: &str) -> Request {
    Request::Get(GetRequest { unique_identifier: Some(id.into()), ..GetRequest::default() })
}

fn encrypt(id: &str) -> Request {
    Request::Encrypt(EncryptRequest {
        unique_identifier: Some(id.into()),
        data: Some(Bytes(vec![1; 16])),
        ..EncryptRequest::default()
    })
}

fn set(id: &str, attribute: Attribute) -> Request {
    Request::SetAttribute(SetAttributeRequest {
        unique_identifier: Some(id.into()),
        new_attribute: attribute.into(),
    })
}

async fn attributes(world: &World, id: &str) -> Attributes {
    let request = Request::GetAttributes(GetAttributesRequest {
        unique_identifier: Some(id.into()),
        names: Vec::new(),
    });
    match world.ask("ann", request).await.unwrap() {
        Response::GetAttributes(it) => it.attributes,
        other => panic!("{other:?}"),
    }
}

async fn state(world: &World, id: &str) -> State {
    attributes(world, id).await.state().unwrap()
}

const COMPROMISE: RevocationReasonCode = RevocationReasonCode::KeyCompromise;
const SUPERSEDED: RevocationReasonCode = RevocationReasonCode::Superseded;

/// A request about an object.
type Make = fn(&str) -> Request;
/// Where a request leads from each state.
type Leads = [Option<State>; 6];

/// Every request from every state: where it leads, or that it is refused.
#[tokio::test(flavor = "multi_thread")]
async fn every_transition_of_the_diagram() {
    use State as S;
    let paths: [(State, &[Make]); 6] = [
        (S::PreActive, &[]),
        (S::Active, &[activate]),
        (S::Deactivated, &[activate, |id| revoke(id, SUPERSEDED)]),
        (S::Compromised, &[|id| revoke(id, COMPROMISE)]),
        (S::Destroyed, &[|id| destroy(id, false)]),
        (S::DestroyedCompromised, &[|id| revoke(id, COMPROMISE), |id| destroy(id, false)]),
    ];
    let steps: [(&str, Make, Leads); 4] = [
        ("activate", activate, [Some(S::Active), None, None, None, None, None]),
        (
            "revoke",
            |id| revoke(id, SUPERSEDED),
            [None, Some(S::Deactivated), None, None, None, None],
        ),
        (
            "compromise",
            |id| revoke(id, COMPROMISE),
            [
                Some(S::Compromised),
                Some(S::Compromised),
                Some(S::Compromised),
                None,
                Some(S::DestroyedCompromised),
                None,
            ],
        ),
        (
            "destroy",
            |id| destroy(id, false),
            [
                Some(S::Destroyed),
                None,
                Some(S::Destroyed),
                Some(S::DestroyedCompromised),
                None,
                None,
            ],
        ),
    ];
    let world = World::new().await;
    for (row, (from, path)) in paths.into_iter().enumerate() {
        for (name, step, leads) in &steps {
            let id = world.aes("ann", &format!("{from:?}-{name}"), false).await;
            for step in path {
                world.ask("ann", step(&id)).await.unwrap();
            }
            assert_eq!(state(&world, &id).await, from);
            let answer = world.ask("ann", step(&id)).await;
            if let Some(to) = leads[row] {
                assert!(answer.is_ok(), "{from:?} {name}: {answer:?}");
                assert_eq!(state(&world, &id).await, to, "{from:?} {name}");
            } else {
                let reason = answer.err();
                let refused = [
                    Some(ResultReason::WrongKeyLifecycleState),
                    Some(ResultReason::ObjectDestroyed),
                ];
                assert!(refused.contains(&reason), "{from:?} {name}: {reason:?}");
                assert_eq!(state(&world, &id).await, from, "{from:?} {name}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn destroying_wipes_the_key_and_keeps_the_metadata() {
    let world = World::new().await;
    let id = world.aes("ann", "key", false).await;
    assert!(world.ask("ann", get(&id)).await.is_ok());
    world.ask("ann", destroy(&id, false)).await.unwrap();
    assert_eq!(world.ask("ann", get(&id)).await.err(), Some(ResultReason::ObjectDestroyed));
    let left = attributes(&world, &id).await;
    assert_eq!(left.destroy_date(), Some(DateTime(START)));
    assert_eq!(left.names().count(), 1);
    let path = world.directory.path().join("kms.db");
    let database = rusqlite::Connection::open(path).unwrap();
    let (state, gone): (String, bool) = database
        .query_row("SELECT state, material IS NULL FROM objects WHERE id = 'key'", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!((state.as_str(), gone), ("Destroyed", true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_identifier_is_never_used_again() {
    let world = World::new().await;
    let id = world.aes("ann", "key", false).await;
    world.ask("ann", destroy(&id, true)).await.unwrap();
    assert_eq!(world.ask("ann", get(&id)).await.err(), Some(ResultReason::ObjectNotFound));
    let again = world.ask("ann", super::create("key", false)).await;
    assert_eq!(again.err(), Some(ResultReason::ObjectAlreadyExists));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_activates_and_deactivates() {
    let world = World::new().await;
    let id = world.aes("ann", "key", false).await;
    world.ask("ann", set(&id, Attribute::ActivationDate(DateTime(START + 10)))).await.unwrap();
    world.ask("ann", set(&id, Attribute::DeactivationDate(DateTime(START + 20)))).await.unwrap();
    for (now, expected) in
        [(0, State::PreActive), (10, State::Active), (19, State::Active), (20, State::Deactivated)]
    {
        world.clock.set(START + now);
        assert_eq!(state(&world, &id).await, expected, "at {now}");
        let encrypted = world.ask("ann", encrypt(&id)).await;
        assert_eq!(encrypted.is_ok(), expected == State::Active, "at {now}");
        let filter = Request::Locate(LocateRequest {
            attributes: Attributes(vec![Attribute::State(expected)]),
            ..LocateRequest::default()
        });
        let Response::Locate(found) = world.ask("ann", filter).await.unwrap() else {
            panic!("not an answer to Locate")
        };
        assert_eq!(found.unique_identifiers, ["key"], "at {now}");
    }
    // The column catches up, and nothing else changes.
    assert!(!world.service.catch_up().await.unwrap());
    let path = world.directory.path().join("kms.db");
    let database = rusqlite::Connection::open(path).unwrap();
    let column: String =
        database.query_row("SELECT state FROM objects", [], |row| row.get(0)).unwrap();
    assert_eq!(column, "Deactivated");
    assert_eq!(state(&world, &id).await, State::Deactivated);
}

#[tokio::test(flavor = "multi_thread")]
async fn protect_stop_and_process_start_are_kept() {
    let world = World::new().await;
    let id = world.aes("ann", "key", true).await;
    world.ask("ann", set(&id, Attribute::ProtectStopDate(DateTime(START + 5)))).await.unwrap();
    assert!(world.ask("ann", encrypt(&id)).await.is_ok());
    world.clock.set(START + 5);
    assert_eq!(
        world.ask("ann", encrypt(&id)).await.err(),
        Some(ResultReason::WrongKeyLifecycleState)
    );
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24, failure_persistence: None, ..ProptestConfig::default()
    })]

    /// Whatever is asked in whatever order: an object never leaves the state diagram, and what is
    /// destroyed or compromised never becomes usable again.
    #[test]
    fn no_sequence_leaves_the_diagram(steps in prop::collection::vec(0_usize..5, 1..12)) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new().await;
            let id = world.aes("ann", "key", false).await;
            let mut before = State::PreActive;
            for (place, step) in steps.into_iter().enumerate() {
                let request = match step {
                    0 => activate(&id),
                    1 => revoke(&id, SUPERSEDED),
                    2 => revoke(&id, COMPROMISE),
                    3 => destroy(&id, false),
                    _ => {
                        let soon = DateTime(START + i64::try_from(place).unwrap());
                        world.clock.set(soon.0);
                        set(&id, Attribute::DeactivationDate(soon))
                    }
                };
                let _answer = world.ask("ann", request).await;
                let now = state(&world, &id).await;
                let allowed: &[State] = match before {
                    // Deactivated by way of Active, where the date has passed by the activation.
                    State::PreActive => &[
                        State::PreActive, State::Active, State::Deactivated, State::Compromised,
                        State::Destroyed,
                    ],
                    State::Active => &[State::Active, State::Deactivated, State::Compromised],
                    State::Deactivated => &[
                        State::Deactivated, State::Compromised, State::Destroyed,
                    ],
                    State::Compromised => &[State::Compromised, State::DestroyedCompromised],
                    State::Destroyed => &[State::Destroyed, State::DestroyedCompromised],
                    _ => &[State::DestroyedCompromised],
                };
                assert!(allowed.contains(&now), "{before:?} became {now:?}");
                before = now;
            }
        });
    }
}

/// One date finds what has exactly it, two find what lies between.
#[tokio::test]
async fn objects_are_found_by_their_dates() {
    let world = World::new().await;
    for (id, days) in [("a", 0), ("b", 1), ("c", 2)] {
        world.clock.set(START + days * 86_400);
        world.aes("ann", id, false).await;
    }
    let found = async |dates: &[i64]| {
        let dates = dates.iter().map(|days| DateTime(START + days * 86_400));
        let attributes = Attributes(dates.map(Attribute::InitialDate).collect());
        let request = LocateRequest { attributes, ..LocateRequest::default() };
        match world.ask("ann", Request::Locate(request)).await.unwrap() {
            Response::Locate(it) => it.unique_identifiers,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(found(&[1]).await, ["b"]);
    assert_eq!(found(&[2, 1]).await, ["b", "c"]);
    assert_eq!(found(&[-1, 0]).await, ["a"]);
    assert_eq!(found(&[3]).await, [""; 0]);
}
