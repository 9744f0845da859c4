//! How much each key has protected, in a sealed row of its own: encryptions under random nonces,
//! counted roughly, and what Usage Limits allow, counted exactly. A key without limits must never
//! be slowed by them.
//!
//! With 96-bit random nonces under one key the risk that two are equal grows with the square of
//! their number; NIST SP 800-38D section 8.3 allows 2^32. They are noted a block at a time, so that
//! counting costs a write per million encryptions. A key with Usage Limits (KMIP 2.1 section 4.63)
//! pays a write for each use.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use kmip::attribute::{Attribute, AttributeKind, AttributeName, Attributes, UsageLimits};
use kmip::enumerations::{ResultReason, UsageLimitsUnit};
use kmip::object::{KeyValue, Object as ManagedObject};
use kms_store::Write;

use crate::Service;
use crate::attribute_rules;
use crate::context::Context;
use crate::deliver::WrappingKey;
use crate::error::{Error, Result};
use crate::mechanism;
use crate::object::Object;
use crate::unit::from_store;
use crate::vault::bucket;

/// Encryptions noted at a time.
const BLOCK: u64 = 1 << 20;
/// From here on each block is warned about.
const WARN: u64 = 1 << 31;
/// The most that one key should do.
const LIMIT: u64 = 1 << 32;
/// How many keys are counted in memory; beyond, all are forgotten, which only counts too much.
const KEYS_MAX: usize = 65_536;
/// How often a row is written anew when other servers write it too.
const TRIES: usize = 8;
/// Keys whose counts are written one after the other, by hash: one for each bucket.
const QUEUES: usize = 64;

/// What the row of a key holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// The material that was used; other material begins from nothing.
    pub(crate) generation: u32,
    /// Encryptions under random nonces.
    pub(crate) nonces: u64,
    /// Units of the Usage Limits.
    pub(crate) used: u64,
}

/// What is left of each key's block, and the queues in which rows are written.
pub(crate) struct Usage {
    left: Mutex<HashMap<Box<str>, u64>>,
    warnings: AtomicU64,
    queues: [tokio::sync::Mutex<()>; QUEUES],
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            left: Mutex::default(),
            warnings: AtomicU64::new(0),
            queues: std::array::from_fn(|_| tokio::sync::Mutex::default()),
        }
    }
}

impl Usage {
    /// How many blocks were noted past the warning.
    pub(crate) fn warnings(&self) -> u64 {
        self.warnings.load(Ordering::Relaxed)
    }

    fn take(&self, id: &str) -> bool {
        let Ok(mut left) = self.left.lock() else { return false };
        match left.get_mut(id) {
            Some(left) if *left > 0 => {
                *left = left.saturating_sub(1);
                true
            }
            _ => false,
        }
    }

    fn put(&self, id: &str) {
        let Ok(mut left) = self.left.lock() else { return };
        if left.len() >= KEYS_MAX {
            left.clear();
        }
        left.insert(id.into(), BLOCK.saturating_sub(1));
    }
}

impl Service {
    /// Counts one encryption under a random nonce, before its result is given out.
    pub(crate) async fn count_random_nonce(&self, key: &Object) -> Result<()> {
        let id = key.id();
        if self.usage.take(id) {
            return Ok(());
        }
        // A key that is not stored yet has no row; a batch that makes it ends soon.
        if key.version() == 0 {
            return Ok(());
        }
        let noted = self
            .count(key, |counters| {
                counters.nonces = counters.nonces.saturating_add(BLOCK);
                if counters.nonces > LIMIT && self.policy.refuse_exhausted_nonces {
                    return Err(Error::new(
                        ResultReason::UsageLimitExceeded,
                        "this key has encrypted 2^32 times under random nonces; replace it with \
                         Re-key",
                    ));
                }
                Ok(())
            })
            .await?;
        if noted.nonces > WARN {
            self.usage.warnings.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(object = %id, encryptions = noted.nonces,
                "a key has encrypted often under random nonces; replace it with Re-key");
        }
        self.usage.put(id);
        Ok(())
    }

    /// Counts a use of `key` that protected `bytes` bytes and `objects` objects (a later part of
    /// one is none), before its result is given out. What exceeds the Usage Limits is refused.
    pub(crate) async fn count_use(&self, key: &Object, bytes: usize, objects: u64) -> Result<()> {
        let Some(limits) = key.record().attributes.usage_limits() else { return Ok(()) };
        if key.version() == 0 {
            return Err(Error::new(
                ResultReason::FeatureNotSupported,
                "a key with Usage Limits is not used by the batch that makes it; use it afterwards",
            ));
        }
        let units = match limits.usage_limits_unit {
            UsageLimitsUnit::Byte => u64::try_from(bytes).unwrap_or(u64::MAX),
            _ => objects,
        };
        let counted = self.count(key, |counters| {
            counters.used = counters.used.saturating_add(units);
            if counters.used <= allowed(&limits) { Ok(()) } else { Err(used_up()) }
        });
        counted.await.map(|_| ())
    }

    /// Counts the wrapping of `wrapped` as a use of the key that wrapped it, and the nonce where one
    /// was drawn for it, before it is given out.
    pub(crate) async fn count_wrapping(
        &self,
        key: Option<&WrappingKey>,
        wrapped: &ManagedObject,
    ) -> Result<()> {
        let Some(key) = key else { return Ok(()) };
        let Some(block) = wrapped.key_block() else { return Ok(()) };
        let Some(KeyValue::Wrapped(bytes)) = &block.key_value else { return Ok(()) };
        let data = block.key_wrapping_data.as_ref();
        let information = data.and_then(|it| it.encryption_key_information.as_ref());
        let parameters = information.and_then(|it| it.cryptographic_parameters.as_ref());
        if mechanism::draws_nonce(key.algorithm, parameters) {
            self.count_random_nonce(&key.object).await?;
        }
        self.count_use(&key.object, bytes.len(), 1).await
    }

    /// What the row of `key` says of its present material.
    async fn counters(&self, key: &Object) -> Result<(Counters, Option<Vec<u8>>)> {
        let sealed = self.store.usage(key.id()).await.map_err(from_store)?;
        let fresh = Counters { generation: key.generation(), ..Counters::default() };
        let counters = match &sealed {
            Some(usage) => {
                self.vault.meet(usage.sealed_by).await?;
                self.vault.open_usage(key.id(), usage)?
            }
            None => fresh,
        };
        let current = if counters.generation == key.generation() { counters } else { fresh };
        Ok((current, sealed.map(|usage| usage.sealed)))
    }

    /// Changes the row of `key`; on disk when it returns. `add` may refuse.
    async fn count(
        &self,
        key: &Object,
        add: impl Fn(&mut Counters) -> Result<()>,
    ) -> Result<Counters> {
        let queue = self.usage.queues.get(usize::from(bucket(key.id())));
        let _turn = match queue {
            Some(queue) => Some(queue.lock().await),
            None => None,
        };
        for _ in 0..TRIES {
            let (mut counters, sealed) = self.counters(key).await?;
            add(&mut counters)?;
            let keys = self.vault.sealing().await?;
            let write = Write::PutUsage {
                id: key.id().to_owned(),
                sealed: keys.seal_usage(key.id(), &counters)?,
                sealed_by: keys.generation(),
                expected: sealed,
            };
            match self.store.commit(Vec::new(), vec![write]).await.map_err(from_store) {
                Ok(()) => return Ok(counters),
                Err(error) if error.retry => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::conflict(key.id()))
    }
}

/// The Usage Limits as they are stored: a Count is what an imported key came with, and what the
/// server counts is subtracted from it when it is told.
pub(crate) fn as_stored(attribute: Attribute, keeps_count: bool) -> Result<Attribute> {
    let Attribute::UsageLimits(mut limits) = attribute else { return Ok(attribute) };
    let units = [UsageLimitsUnit::Byte, UsageLimitsUnit::Object];
    if limits.usage_limits_total < 0 || !units.contains(&limits.usage_limits_unit) {
        return Err(Error::new(
            ResultReason::InvalidAttributeValue,
            "Usage Limits are a number of bytes or of objects, of 0 or more",
        ));
    }
    let total = limits.usage_limits_total;
    limits.usage_limits_count =
        limits.usage_limits_count.filter(|count| keeps_count && (0..=total).contains(count));
    Ok(Attribute::UsageLimits(limits))
}

/// All attributes of an object as it answers now, with what is left of its Usage Limits.
pub(crate) async fn view(context: &Context<'_>, object: &Object) -> Result<Attributes> {
    let mut all = attribute_rules::view(object.id(), object.record(), context.now);
    if let Some(limits) = all.usage_limits() {
        let (counters, _) = context.service.counters(object).await?;
        let left = allowed(&limits).saturating_sub(counters.used);
        let usage_limits_count = Some(i64::try_from(left).unwrap_or(i64::MAX));
        all.set(Attribute::UsageLimits(UsageLimits { usage_limits_count, ..limits }));
    }
    Ok(all)
}

/// Limits that were begun to be used are not changed any more (KMIP 2.1 section 4.63).
pub(crate) async fn may_change(
    context: &Context<'_>,
    object: &Object,
    name: &AttributeName,
) -> Result<()> {
    let is_limits = matches!(name, AttributeName::Kind(AttributeKind::UsageLimits));
    if !is_limits || !object.record().attributes.has(AttributeKind::UsageLimits) {
        return Ok(());
    }
    let (counters, _) = context.service.counters(object).await?;
    if counters.used == 0 {
        return Ok(());
    }
    Err(Error::new(
        ResultReason::AttributeReadOnly,
        "the Usage Limits were begun to be used and are not changed any more; Re-key makes a key \
         with limits of its own",
    ))
}

fn allowed(limits: &UsageLimits) -> u64 {
    let units = limits.usage_limits_count.unwrap_or(limits.usage_limits_total);
    u64::try_from(units).unwrap_or(0)
}

/// The standard's own cases (CS-BC-M-7) are refused as Permission Denied in every version, though
/// 2.x has a Usage Limit Exceeded.
fn used_up() -> Error {
    Error::new(
        ResultReason::PermissionDenied,
        "the key's Usage Limits do not allow this use; replace the key with Re-key",
    )
}
