//! What the operator allows, whoever asks and whatever the object. It must never look at an object, save for
//! the register of who may make some.

use kmip::enumerations::ResultReason;

use crate::access::Permission;
use crate::context::Context;
use crate::error::{Error, Result};

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
    /// The users who may make objects and let others make some; where there is no list, everybody
    /// may.
    pub creators: Option<Vec<String>>,
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
            creators: None,
        }
    }
}

impl Policy {
    /// Whether only some users may make objects, and `user` is not one of those who are listed.
    pub(crate) fn is_unlisted(&self, user: &str) -> bool {
        self.creators.as_ref().is_some_and(|listed| !listed.iter().any(|it| it == user))
    }
}

/// Refuses a caller who may not make objects: who is not listed, where there is a list, and was not
/// granted it by one who is.
pub(crate) async fn may_create(context: &mut Context<'_>) -> Result<()> {
    let user = context.principal.user();
    if !context.service.policy.is_unlisted(user) {
        return Ok(());
    }
    if let Some(register) = context.unit.register().await? {
        let granted = context.unit.permissions(&register, user, context.now).await?;
        if granted.contains(&Permission::Create) {
            return Ok(());
        }
    }
    Err(Error::new(
        ResultReason::PermissionDenied,
        "on this server only some users may make objects; one of the privileged users can grant you \
         Create",
    ))
}
