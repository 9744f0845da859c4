//! The core over a real store: each test has its own directory and its own clock.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod access;
mod again;
mod api_tokens;
mod archive;
mod audit;
mod batches;
mod creation;
mod creators;
mod cryptography;
mod grants;
mod lifecycle;
mod limits;
mod registered;
mod stored;
mod usage;

use std::sync::Arc;

use kmip::attribute::{Attribute, Attributes, Name};
use kmip::enumerations::{
    CryptographicAlgorithm, CryptographicUsageMask, ObjectType, ResultReason,
};
use kmip::operation::{CreateRequest, Request, Response};
use kmip::wire::DateTime;
use kms_core::{ManualClock, Policy, Principal, Service};
use kms_store::{Config, Store};
use tempfile::TempDir;

/// When the clock starts: seconds since the Unix epoch.
pub(crate) const START: i64 = 1_700_000_000;

/// A service over a store of its own.
pub(crate) struct World {
    pub(crate) service: Service,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) directory: TempDir,
    policy: Policy,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::open(TempDir::new().unwrap()).await
    }

    pub(crate) async fn open(directory: TempDir) -> Self {
        Self::under(directory, Policy::default()).await
    }

    pub(crate) async fn under(directory: TempDir, policy: Policy) -> Self {
        let store = Store::open(Config::directory(directory.path())).await.unwrap();
        let clock = Arc::new(ManualClock::new(START));
        let sealer = kms_seal::Clear;
        let clock_of_service: Arc<dyn kms_core::Clock> = Arc::clone(&clock) as _;
        let service =
            Service::open(store, &sealer, policy.clone(), clock_of_service).await.unwrap();
        Self { service, clock, directory, policy }
    }

    /// Ends the service and opens the database again, after `change` was made to it.
    pub(crate) async fn reopen(self, change: impl FnOnce(&rusqlite::Connection)) -> Self {
        let Self { service, directory, policy, .. } = self;
        drop(service);
        let path = directory.path().join("kms.db");
        change(&rusqlite::Connection::open(path).unwrap());
        Self::under(directory, policy).await
    }

    pub(crate) async fn ask(&self, user: &str, request: Request) -> Result<Response, ResultReason> {
        let principal = Principal::new(user);
        self.service.perform(&principal, request).await.map_err(|error| error.reason)
    }

    /// An AES key of `user`, active unless `active` is false.
    pub(crate) async fn aes(&self, user: &str, id: &str, active: bool) -> String {
        match self.ask(user, create(id, active)).await.unwrap() {
            Response::Create(it) => it.unique_identifier,
            other => panic!("{other:?}"),
        }
    }
}

/// A request for an AES-256 key with all usages.
pub(crate) fn create(id: &str, active: bool) -> Request {
    let mask = CryptographicUsageMask(0x3C);
    let mut attributes = Attributes(vec![
        Attribute::CryptographicAlgorithm(CryptographicAlgorithm::AES),
        Attribute::CryptographicLength(256),
        Attribute::CryptographicUsageMask(mask),
        Attribute::Name(Name::from(format!("name of {id}").as_str())),
        Attribute::UniqueIdentifier(id.to_owned()),
    ]);
    if active {
        attributes.add(Attribute::ActivationDate(DateTime(START)));
    }
    Request::Create(CreateRequest {
        object_type: ObjectType::SymmetricKey,
        attributes,
        protection_storage_masks: None,
    })
}
