//! What is outside, as inputs: the clock, HTTP, randomness, the sealing of keys, and who watches.

use std::fmt;
use std::sync::Arc;

use crate::acme::transport::Transport;
use crate::clock::{Clock, SystemClock};
use crate::place::{KeySealer, PlainFiles};

/// What a source needs of the world.
#[derive(Clone)]
pub struct World {
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// How the authority is asked.
    pub transport: Arc<dyn Transport>,
    /// How private keys are kept.
    pub sealer: Arc<dyn KeySealer>,
    /// A random number of 0 to 1,000,000, evenly: pauses are spread by it.
    pub chance: Arc<dyn Fn() -> u32 + Send + Sync>,
    /// Is told how far an order has come, before the next step begins.
    pub progress: Arc<dyn Fn(Step) + Send + Sync>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

impl World {
    /// The system's clock and randomness, keys in plain files, and this way to the authority.
    pub fn system(transport: Arc<dyn Transport>) -> Self {
        Self {
            clock: Arc::new(SystemClock),
            transport,
            sealer: Arc::new(PlainFiles),
            chance: Arc::new(|| {
                // Without randomness there is no TLS either; a pause in the middle does no harm.
                let bytes = kms_crypto::random::bytes::<4>().unwrap_or([0x80, 0, 0, 0]);
                u32::from_be_bytes(bytes) % 1_000_001
            }),
            progress: Arc::new(|step| tracing::debug!(?step, "the order of a certificate")),
        }
    }
}

/// How far an order has come. What is on disk after each step is enough to go on from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The account's key is on disk.
    AccountKeyKept,
    /// The authority has made the account.
    AccountMade,
    /// The account's address is on disk.
    AccountKept,
    /// The key of the certificate to come is on disk.
    KeyKept,
    /// The authority has taken the order.
    OrderMade,
    /// The order's address is on disk.
    OrderKept,
    /// The answer to the challenge can be fetched.
    ChallengePublished,
    /// The authority was told to fetch it.
    ChallengeReady,
    /// The authority has seen that the name is ours.
    Validated,
    /// The authority was asked to sign.
    Finalised,
    /// The certificate has arrived and is good.
    Fetched,
    /// The new chain is on disk, beside the old one.
    ChainWritten,
    /// The new key has replaced the old one.
    KeyWritten,
    /// The new chain has replaced the old one.
    Installed,
    /// Nothing of the order is left on disk.
    Forgotten,
}

impl Step {
    /// Every step, in order.
    pub const ALL: &'static [Self] = &[
        Self::AccountKeyKept,
        Self::AccountMade,
        Self::AccountKept,
        Self::KeyKept,
        Self::OrderMade,
        Self::OrderKept,
        Self::ChallengePublished,
        Self::ChallengeReady,
        Self::Validated,
        Self::Finalised,
        Self::Fetched,
        Self::ChainWritten,
        Self::KeyWritten,
        Self::Installed,
        Self::Forgotten,
    ];
}
