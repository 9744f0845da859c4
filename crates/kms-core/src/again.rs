//! Requests that come again. A caller may give a request a name, its Idempotency Key; the answer to each
//! change of a named request is kept with the change, and the same request under the same name is
//! answered by it, by whichever server it reaches.
//!
//! Reads and uses are done anew, and what was refused left nothing to be kept. This module must never
//! know what an operation does, nor how a name travels.

use std::collections::HashMap;

use kmip::enumerations::ResultReason;
use kms_crypto::hash::{Hash, Hasher};
use kms_store::{KeptAnswer, MAX_ANSWER, Write};

use crate::Service;
use crate::custody::Vault;
use crate::error::{Error, Result};
use crate::unit::{Unit, from_store};

/// The longest Idempotency Key, in bytes.
pub const IDEMPOTENCY_KEY_LENGTH_MAX: usize = 255;

/// How long an answer is kept, in seconds: a day, and as much more as the clocks of servers may differ.
const KEPT_S: i64 = 86_400 + 3_600;
/// How many answers one step of forgetting takes, or a few more.
const FORGET_ROWS: usize = 500;
/// The length of a digest.
const DIGEST: usize = 32;
/// The longest answer that is kept, in bytes; what it is sealed with comes to it.
const ANSWER_BYTES_MAX: usize = 64 << 10;
const _: () = assert!(ANSWER_BYTES_MAX + DIGEST + kms_crypto::seal::OVERHEAD <= MAX_ANSWER);

/// The name that a caller gives a request, so that sending it twice is doing it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdempotencyKey<'a>(&'a str);

impl<'a> IdempotencyKey<'a> {
    /// The key, taken as it is written.
    pub fn new(text: &'a str) -> Result<Self> {
        let is_printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if text.is_empty() || text.len() > IDEMPOTENCY_KEY_LENGTH_MAX || !is_printable {
            return Err(Error::invalid(format!(
                "an Idempotency Key has 1 to {IDEMPOTENCY_KEY_LENGTH_MAX} printable ASCII characters"
            )));
        }
        Ok(Self(text))
    }
}

/// The digest of a request: what tells it from others under the same name.
pub(crate) type Identity = [u8; DIGEST];

/// The digest of texts and numbers, each behind its length, so that two never read as one.
pub(crate) fn digest(parts: &[&[u8]]) -> Identity {
    let mut hasher = Hasher::new(Hash::Sha256);
    for part in parts {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let mut digest = [0; DIGEST];
    digest.copy_from_slice(hasher.finish().as_ref());
    digest
}

/// A request with a name, and what is kept of it.
pub(crate) struct Named {
    id: [u8; DIGEST],
    request: Identity,
    /// Answers by the place of their items, as they were when they were last looked for.
    kept: HashMap<u32, Vec<u8>>,
}

impl Named {
    pub(crate) fn new(user: &str, key: IdempotencyKey<'_>, request: Identity) -> Self {
        let id = digest(&[user.as_bytes(), key.0.as_bytes()]);
        Self { id, request, kept: HashMap::new() }
    }

    /// The answer to the item at `place`, if one was kept.
    pub(crate) fn kept(&self, place: u32) -> Option<&[u8]> {
        self.kept.get(&place).map(Vec::as_slice)
    }

    /// Whether anything was kept.
    pub(crate) fn is_answered(&self) -> bool {
        !self.kept.is_empty()
    }

    /// Keeps the answer to the item at `place` with what `unit` changes.
    pub(crate) async fn keep(
        &self,
        vault: &Vault,
        (unit, now): (&mut Unit, i64),
        place: u32,
        answer: &[u8],
    ) -> Result<()> {
        if answer.len() > ANSWER_BYTES_MAX {
            return Err(Error::new(
                ResultReason::ServerLimitExceeded,
                format!(
                    "the answer has {} bytes, and at most {ANSWER_BYTES_MAX} are kept for an \
                     Idempotency Key; nothing was changed; send it without one",
                    answer.len()
                ),
            ));
        }
        let plain = [&self.request, answer].concat();
        let keys = vault.sealing().await?;
        unit.write(Write::Answer(keys.seal_answer(self.id, place, now, &plain)?));
        Ok(())
    }
}

/// Whether an answer of that time is of no use any more. One from the future is: a clock was put back.
fn is_over(at: i64, now: i64) -> bool {
    now.saturating_sub(at) > KEPT_S
}

impl Service {
    /// Looks for what is kept of a request. Another request under the same name is refused.
    pub(crate) async fn look_for(&self, named: &mut Named) -> Result<()> {
        let rows = self.store.answers(&named.id).await.map_err(from_store)?;
        let now = self.clock.now();
        let mut over = None;
        named.kept.clear();
        for row in &rows {
            if is_over(row.at, now) {
                over = over.max(Some(row.at));
                continue;
            }
            let plain = self.vault.open_answer(row)?;
            let (request, answer) = plain
                .expose()
                .split_first_chunk::<DIGEST>()
                .ok_or_else(|| Error::internal("an answer that was kept is too short"))?;
            if *request != named.request {
                return Err(Error::invalid(
                    "this Idempotency Key was given to another request less than a day ago; give \
                     each request a key of its own",
                ));
            }
            named.kept.insert(row.place, answer.to_vec());
        }
        if let Some(until) = over {
            self.forget_until(until).await?;
        }
        Ok(())
    }

    /// Looks again for what is kept of a request that failed: the same may have been done at this
    /// moment, or by a commit whose answer was lost. Returns whether there is anything.
    pub(crate) async fn is_found_again(&self, named: &mut Named) -> bool {
        match self.look_for(named).await {
            Ok(()) => named.is_answered(),
            Err(error) => {
                tracing::debug!(%error, "it is not known whether an answer was kept");
                false
            }
        }
    }

    /// Removes answers that are of no use any more, a few at a time. Returns whether there may be more.
    pub(crate) async fn forget_answers(&self) -> Result<bool> {
        let until = self.clock.now().saturating_sub(KEPT_S).saturating_sub(1);
        let oldest = self.store.oldest_answers(until, FORGET_ROWS).await.map_err(from_store)?;
        let Some(last) = oldest.last() else { return Ok(false) };
        self.forget_until(*last).await?;
        Ok(oldest.len() == FORGET_ROWS)
    }

    /// Seals answers anew by the current data key: how many were, and which cannot be opened. These
    /// stay as they are, and are forgotten with the others.
    pub(crate) async fn reseal_answers(
        &self,
        rows: Vec<KeptAnswer>,
    ) -> Result<(usize, Vec<String>)> {
        let keys = self.vault.sealing().await?;
        let mut writes = Vec::with_capacity(rows.len());
        let mut altered = Vec::new();
        for row in rows {
            let Ok(plain) = self.vault.open_answer(&row) else {
                altered.push(format!("answers/{}/{}", hex::encode(row.id), row.place));
                continue;
            };
            let answer = keys.seal_answer(row.id, row.place, row.at, plain.expose())?;
            writes.push(Write::ResealAnswer { answer, expected: row.sealed });
        }
        let made = writes.len();
        self.store.commit(Vec::new(), writes).await.map_err(from_store)?;
        Ok((made, altered))
    }

    async fn forget_until(&self, until: i64) -> Result<()> {
        let writes = vec![Write::ForgetAnswers { until }];
        self.store.commit(Vec::new(), writes).await.map_err(from_store)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_short_and_printable() {
        let long = "a".repeat(IDEMPOTENCY_KEY_LENGTH_MAX);
        for good in ["a", "8e03978e-40d5-43dd-bc93-6894a57f9324", "\"a b\"", "~", &long] {
            assert!(IdempotencyKey::new(good).is_ok(), "{good}");
        }
        let longer = format!("{long}a");
        for bad in ["", "a\n", "a\tb", "\u{7f}", "b\u{f6}b", &longer] {
            assert!(IdempotencyKey::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn digests_tell_where_a_part_ends() {
        assert_ne!(digest(&[b"ab", b"c"]), digest(&[b"a", b"bc"]));
        assert_ne!(digest(&[b"a"]), digest(&[b"a", b""]));
    }

    #[test]
    fn a_clock_that_is_put_back_makes_no_answer_older() {
        for (at, now, over) in [
            (0, 0, false),
            (0, 86_400, false),
            (0, KEPT_S, false),
            (0, KEPT_S + 1, true),
            (KEPT_S, 0, false),
            (i64::MAX, i64::MIN, false),
            (i64::MIN, i64::MAX, true),
        ] {
            assert_eq!(is_over(at, now), over, "{at} {now}");
        }
    }
}
