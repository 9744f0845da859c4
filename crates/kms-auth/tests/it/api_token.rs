//! API tokens as a scheme, over a real store: what is remembered of them, and for how long.

use std::sync::Arc;

use kms_auth::api_token::ApiTokenScheme;
use kms_auth::name::Names;
use kms_auth::{Authentication, Kind, Offered, Refusal};
use kms_core::{ApiTokens, ManualClock, Policy, Service};
use kms_store::{Config, Store};
use tempfile::TempDir;

/// When the clock starts: seconds since the Unix epoch.
const START: i64 = 1_700_000_000;

/// The tokens of a database of a test's own.
pub(crate) struct Machines {
    pub(crate) tokens: ApiTokens,
    clock: Arc<ManualClock>,
    store: Store,
    _directory: TempDir,
}

impl Machines {
    pub(crate) async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let store = Store::open(Config::directory(directory.path())).await.unwrap();
        let clock = Arc::new(ManualClock::new(START));
        let of_service = Arc::clone(&clock) as Arc<dyn kms_core::Clock>;
        let policy = Policy::default();
        let service = Service::open(store.clone(), &kms_seal::Clear, policy, of_service).await;
        let tokens = service.unwrap().api_tokens();
        Self { tokens, clock, store, _directory: directory }
    }

    pub(crate) async fn create(&self, name: &str) -> Vec<u8> {
        self.tokens.create(name, None, None).await.unwrap().into_bytes()
    }

    fn scheme(&self, names: Names) -> Authentication {
        Authentication::new(vec![Box::new(ApiTokenScheme::new(self.tokens.clone(), names))])
    }
}

async fn ask(authentication: &Authentication, header: &[u8]) -> Result<String, Refusal> {
    let offered = Offered { authorization: Some(header), ..Offered::default() };
    authentication.authenticate(&offered).await.map(|principal| {
        assert_eq!(principal.scheme(), "api-token");
        principal.user().to_owned()
    })
}

fn bearer(text: &[u8]) -> Vec<u8> {
    [b"Bearer ", text].concat()
}

#[tokio::test]
async fn the_map_and_the_maker_name_other_users() {
    let machines = Machines::new().await;
    let map = [("token:night".to_owned(), "Night@Example.com".to_owned())];
    let authentication = machines.scheme(Names::new(&map, false).unwrap());
    let night = bearer(&machines.create("night").await);
    assert_eq!(ask(&authentication, &night).await.as_deref(), Ok("night@example.com"));
    let day = machines.tokens.create("day", Some("admin"), None).await.unwrap();
    let day = bearer(day.expose());
    assert_eq!(ask(&authentication, &day).await.as_deref(), Ok("admin"));
    // The second time it is remembered.
    assert_eq!(ask(&authentication, &day).await.as_deref(), Ok("admin"));
    let spelled = [b"bEARER   ", &day[b"Bearer ".len()..]].concat();
    assert_eq!(ask(&authentication, &spelled).await.as_deref(), Ok("admin"));
}

#[tokio::test]
async fn an_end_counts_for_what_is_remembered_too() {
    let machines = Machines::new().await;
    let authentication = machines.scheme(Names::default());
    let text = machines.tokens.create("night", None, Some(START + 1)).await.unwrap();
    let header = bearer(text.expose());
    assert!(ask(&authentication, &header).await.is_ok());
    machines.clock.set(START + 1);
    let refusal = ask(&authentication, &header).await.unwrap_err();
    assert!(refusal.message.contains("expired"), "{refusal:?}");
}

#[tokio::test]
async fn guesses_are_all_answered_alike() {
    let machines = Machines::new().await;
    let authentication = machines.scheme(Names::default());
    let text = machines.create("night").await;
    let other = |digit: u8| if digit == b'0' { b'1' } else { b'0' };
    let mut wrong = text.clone();
    *wrong.last_mut().unwrap() = other(text[text.len() - 1]);
    let mut unknown = text.clone();
    unknown[4] = other(text[4]);
    let mut messages = Vec::new();
    for (text, reason) in [
        (&wrong[..], "wrong secret"),
        (&unknown, "unknown identifier"),
        (&text[..9], "not the form"),
    ] {
        let refusal = ask(&authentication, &bearer(text)).await.unwrap_err();
        assert_eq!(refusal.kind, Kind::Invalid);
        assert!(refusal.reason.contains(reason), "{refusal:?}");
        messages.push(refusal.message);
    }
    assert!(messages.iter().all(|message| *message == messages[0]), "{messages:?}");
}

#[tokio::test]
async fn a_database_that_does_not_answer_opens_no_door() {
    let machines = Machines::new().await;
    let authentication = machines.scheme(Names::default());
    let header = bearer(&machines.create("night").await);
    machines.store.close().await.unwrap();
    let refusal = ask(&authentication, &header).await.unwrap_err();
    assert!(matches!(refusal.kind, Kind::Unavailable { .. }), "{refusal:?}");
}
