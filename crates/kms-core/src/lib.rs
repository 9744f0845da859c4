//! What each operation means: access, life cycle, custody of keys, batches.
//!
//! A request goes through [`Service::execute`] (whole messages) or [`Service::perform`] (one
//! operation): batch, policy, access, handler, commit. This crate must never know HTTP, TLS,
//! encodings or configuration files.

mod access;
mod api_token;
mod archive;
mod attribute_rules;
mod audit;
mod batch;
mod certificate;
mod clock;
mod context;
mod custody;
mod deliver;
mod error;
mod grant;
mod grant_record;
mod index;
mod key_form;
mod keyring;
mod lifecycle;
mod locate;
mod material;
mod matrix;
mod mechanism;
mod object;
mod operation;
mod policy;
mod principal;
mod rotation;
mod slow;
mod stream;
mod unit;
mod usage;
mod vault;
mod veil;

use std::sync::Arc;

pub use crate::access::{
    Makes, Needs, OperationRow, Permission, Refusal, Role, Row as AccessRow, Standing, Window,
    decide,
};
pub use crate::api_token::{
    ApiTokens, Invalid as InvalidApiToken, Listed as ListedApiToken, TokenError, TokenState,
    Verified as VerifiedApiToken,
};
pub use crate::archive::{
    ArchiveError, Conflicts, Contents, Export, Plan, Progress, import_archive, plan_import,
    verify_archive,
};
pub use crate::audit::{
    Act, AuditError, AuditKept, AuditOptions, AuditPlace, AuditReport, REQUEST, verify_audit,
};
pub use crate::batch::{Executed, unreadable};
pub use crate::clock::{Clock, ManualClock, SystemClock};
pub use crate::context::{IDENTIFIER_LENGTH_MAX, operation_name};
pub use crate::custody::Vault;
pub use crate::error::{Again, Error, Result};
pub use crate::grant::{Access, Obtained, Owned, Page, Terms, grantee};
pub use crate::keyring::{OpenError, mint, rewrap};
pub use crate::lifecycle::{effective, is_destroyed, name as state_name};
pub use crate::matrix::{Cell, Who, access_matrix, cell, permissions};
pub use crate::mechanism::{MECHANISMS, Mechanism};
pub use crate::operation::ACCESS;
pub use crate::policy::Policy;
pub use crate::principal::{
    ADMIN, Caller, EVERYBODY, Principal, RequestId, SCOPES, USER_LENGTH_MAX, normal_user,
};
pub use crate::rotation::{Progress as RotationProgress, Turn};

use kms_seal::Protection;
use kms_store::Store;

use crate::audit::Audit;
use crate::grant::Turns;
use crate::rotation::Rotation;
use crate::slow::{Aside, Slow};
use crate::stream::Streams;
use crate::unit::Unit;
use crate::usage::Usage;
use crate::veil::Slots;

/// The core: everything that answers requests, over one store.
pub struct Service {
    store: Store,
    vault: Arc<Vault>,
    clock: Arc<dyn Clock>,
    policy: Policy,
    slow: Slow,
    aside: Aside,
    streams: Streams,
    usage: Usage,
    slots: Slots,
    turns: Turns,
    audit: Audit,
    rotation: Rotation,
}

/// How many threads make RSA keys.
const SLOW_THREADS: usize = 1;
/// How many rows one step of the catching up of states takes.
const CATCH_UP_ROWS: usize = 500;

impl Service {
    /// Opens the keyring of `store` as `protection` says (and makes one in an empty store).
    pub async fn open(
        store: Store,
        protection: impl Into<Protection>,
        policy: Policy,
        clock: Arc<dyn Clock>,
    ) -> std::result::Result<Self, OpenError> {
        let vault = keyring::open(&store, protection.into(), &*clock).await?;
        let slow = Slow::start(SLOW_THREADS).map_err(OpenError::Start)?;
        let streams = Streams::new(policy.streams_max, policy.held_back_total);
        let vault = Arc::new(vault);
        let (aside, usage) = (Aside::new(), Usage::default());
        let (slots, turns) = (Slots::start().map_err(OpenError::Start)?, Turns::default());
        let audit = Audit::default();
        Ok(Self {
            store,
            vault,
            clock,
            policy,
            slow,
            aside,
            streams,
            usage,
            slots,
            turns,
            audit,
            rotation: Rotation::default(),
        })
    }

    /// What has to be done about once a second: looks which data keys are in use.
    pub async fn keep_keyring(&self) -> std::result::Result<(), kms_store::Error> {
        self.vault.refresh().await?;
        if self.is_rotating() { self.watch_rotation().await } else { Ok(()) }
    }

    /// Why nothing can be sealed; none where all is well.
    pub fn keyring_trouble(&self) -> Option<String> {
        self.vault.trouble()
    }

    /// How many data keys are in use, and the generation of the current one.
    pub fn generations(&self) -> (usize, u32) {
        self.vault.generations()
    }

    /// Whether the data key rests in the clear.
    pub fn is_clear(&self) -> bool {
        self.vault.is_clear()
    }

    /// The API tokens of machines.
    pub fn api_tokens(&self) -> ApiTokens {
        ApiTokens::new(self.store.clone(), Arc::clone(&self.vault), Arc::clone(&self.clock))
    }

    /// Does work of some milliseconds beside the threads that answer, as much at once as there are
    /// processors.
    pub async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        self.aside.run(work).await
    }

    /// How many blocks of encryptions were noted for keys that should be replaced.
    pub fn nonce_warnings(&self) -> u64 {
        self.usage.warnings()
    }

    /// Writes the states that the clock has brought about into their rows, a few at a time. What
    /// is answered never depends on it. Returns whether there is more to do.
    pub async fn catch_up(&self) -> Result<bool> {
        let now = self.clock.now();
        let due = self.store.due(now, CATCH_UP_ROWS).await.map_err(unit::from_store)?;
        let full = due.len() == CATCH_UP_ROWS;
        let mut moved = false;
        for cached in due {
            let mut unit = self.unit();
            // A row that was altered is reported by the vault, and holds up no other.
            let Ok(Some(object)) = unit.object(&cached.row.id).await else { continue };
            let mut record = object.record().clone();
            lifecycle::settle(&mut record, now);
            unit.update(&object, record);
            match unit.commit().await {
                Ok(()) => moved = true,
                // Whoever changed it has settled it too.
                Err(error) if error.retry => moved = true,
                Err(error) => return Err(error),
            }
        }
        self.streams.forget_idle(now);
        // Where none could be moved, the next page would be the same.
        Ok(full && moved)
    }

    fn unit(&self) -> Unit {
        Unit::new(&self.store, &self.vault)
    }
}
