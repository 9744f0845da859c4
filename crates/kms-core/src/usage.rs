//! How often each key has encrypted under a random nonce: counted roughly, a block at a time, so
//! that counting costs a write per million encryptions. It must never slow an encryption down
//! otherwise.
//!
//! With 96-bit random nonces under one key the risk that two are equal grows with the square of
//! their number; NIST SP 800-38D section 8.3 allows 2^32.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use kmip::enumerations::ResultReason;
use kms_store::Write;

use crate::Service;
use crate::error::{Error, Result};
use crate::object::Object;
use crate::unit::from_store;

/// Encryptions noted at a time.
const BLOCK: u64 = 1 << 20;
/// From here on each block is warned about.
const WARN: u64 = 1 << 31;
/// The most that one key should do.
const LIMIT: u64 = 1 << 32;
/// How many keys are counted in memory; beyond, all are forgotten, which only counts too much.
const KEYS_MAX: usize = 65_536;
/// How often a block is asked for when other servers ask too.
const TRIES: usize = 8;

/// What is left of each key's block.
#[derive(Default)]
pub(crate) struct Usage {
    left: Mutex<HashMap<Box<str>, u64>>,
    warnings: AtomicU64,
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
    /// Counts one encryption under a random nonce, before it is done.
    pub(crate) async fn count_random_nonce(&self, key: &Object) -> Result<()> {
        let id = key.id();
        if self.usage.take(id) {
            return Ok(());
        }
        let mut result = Err(Error::conflict(id));
        for _ in 0..TRIES {
            result = self.note_block(id).await;
            if !matches!(&result, Err(error) if error.retry) {
                break;
            }
        }
        result
    }

    async fn note_block(&self, id: &str) -> Result<()> {
        let sealed = self.store.usage(id).await.map_err(from_store)?;
        let before = match &sealed {
            Some(sealed) => self.vault.open_usage(id, sealed)?,
            None => 0,
        };
        let noted = before.saturating_add(BLOCK);
        if noted > LIMIT && self.policy.refuse_exhausted_nonces {
            return Err(Error::new(
                ResultReason::UsageLimitExceeded,
                "this key has encrypted 2^32 times under random nonces; replace it with Re-key",
            ));
        }
        if noted > WARN {
            self.usage.warnings.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(object = %id, encryptions = noted,
                "a key has encrypted often under random nonces; replace it with Re-key");
        }
        let write = Write::PutUsage {
            id: id.to_owned(),
            sealed: self.vault.seal_usage(id, noted)?,
            expected: sealed,
        };
        self.store.commit(Vec::new(), vec![write]).await.map_err(from_store)?;
        self.usage.put(id);
        Ok(())
    }
}
