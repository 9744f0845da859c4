//! What the operator allows, whoever asks and whatever the object. It must never look at an object.

use crate::context::Context;
use crate::error::Result;

/// What the operator allows.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Past 2^32 encryptions with random nonces under one key: refuse (and name Re-key) instead of
    /// warning.
    pub refuse_exhausted_nonces: bool,
    /// How many bytes of a streamed decryption are held back until its tag is verified.
    pub held_back_max: usize,
    /// How many multi-part operations may be under way at once.
    pub streams_max: usize,
    /// How many bytes all multi-part operations together may hold back.
    pub held_back_total: usize,
    /// How many bytes the answers of a batch may have before its next item is refused.
    pub answers_max: usize,
    /// How many requests one batch may hold.
    pub batch_max: usize,
    /// How many identifiers one Locate may answer.
    pub located_max: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            refuse_exhausted_nonces: false,
            held_back_max: 16 << 20,
            streams_max: 256,
            held_back_total: 128 << 20,
            answers_max: 64 << 20,
            batch_max: 1_000,
            located_max: 10_000,
        }
    }
}

/// Whether the caller may make objects: everybody may, until a list of users exists.
#[expect(clippy::unnecessary_wraps, reason = "the place where a list of users will decide")]
pub(crate) fn may_create(_context: &Context<'_>) -> Result<()> {
    Ok(())
}
