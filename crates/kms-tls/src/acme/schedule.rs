//! When a certificate is renewed, and how soon after a failure it is tried again. Pure: times in,
//! times out, all in seconds since 1970.

use serde::{Deserialize, Serialize};

use crate::identity::Facts;
use crate::status::Failure;

const MINUTE_S: i64 = 60;
const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 86_400;

/// The pauses after the first, second, third failure; then it is once a day.
const PAUSES_S: [i64; 3] = [MINUTE_S, 10 * MINUTE_S, 100 * MINUTE_S];
/// How far a pause is spread to both sides, as a part of it.
const SPREAD: i64 = 10;
/// How many failed validations an authority may see in an hour. Let's Encrypt stands five.
pub(crate) const VALIDATIONS_MAX: usize = 5;
/// How often in a row an authority must have refused before that is final, where a certificate is
/// still good.
pub(crate) const REFUSALS_MAX: u32 = 3;
/// How often an authority may be asked for its window, at most and at least.
const ASK_S: (i64, i64) = (HOUR_S, 12 * HOUR_S);
/// When it is asked again for its window where it did not answer.
const ASK_AGAIN_S: i64 = 6 * HOUR_S;

/// The window in which an authority wants a certificate renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its begin.
    pub start: i64,
    /// Its end.
    pub end: i64,
}

impl Window {
    /// A time in it, the same whenever it is asked for, and evenly spread over certificates: serial
    /// numbers are random.
    fn choose(self, serial: &[u8]) -> i64 {
        // FNV-1a.
        let hash = serial.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let width = u64::try_from(self.end.saturating_sub(self.start)).unwrap_or(0).max(1);
        self.start.saturating_add(i64::try_from(hash % width).unwrap_or(0))
    }
}

/// When this certificate is due for renewal: so many days before it ends, or when a third of its life
/// is left, whichever is later; earlier only where the authority wants it.
pub fn renew_at(facts: &Facts, threshold_days: u32, window: Option<Window>) -> i64 {
    let threshold = facts.not_after.saturating_sub(i64::from(threshold_days) * DAY_S);
    let third = facts.not_after.saturating_sub(facts.lifetime() / 3);
    let latest = threshold.max(third);
    let serial = facts.renewal_id.as_ref().map_or(&[][..], |id| &id.serial);
    window.map_or(latest, |window| window.choose(serial).min(latest))
}

/// How long to wait after so many failures in a row, in seconds. `chance` is of 0 to 1,000,000.
pub fn pause(failures: u32, chance: u32) -> i64 {
    let index = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
    let pause = PAUSES_S.get(index).copied().unwrap_or(DAY_S);
    let spread = pause / SPREAD;
    pause - spread + 2 * spread * i64::from(chance.min(1_000_000)) / 1_000_000
}

/// When an authority that said this (seconds), or nothing, is asked for its window again.
pub(crate) fn ask_again(now: i64, after: Option<i64>) -> i64 {
    now.saturating_add(after.map_or(ASK_AGAIN_S, |after| after.clamp(ASK_S.0, ASK_S.1)))
}

/// How soon after a certificate another one may be ordered: one whose renewal is due at once, because
/// the clock is wrong or the lifetime strange, must not be ordered in a circle.
pub(crate) fn next_issue(issued: i64, facts: &Facts) -> i64 {
    issued.saturating_add((facts.lifetime() / 10).min(DAY_S))
}

/// What has failed so far. It is kept over restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// How many attempts have failed since the last one that did not.
    pub failures: u32,
    /// How many of these, at the end, were refused for a reason that is the operator's.
    pub refusals: u32,
    /// The last failure.
    pub last: Option<Failure>,
    /// When the next attempt is due.
    pub next: i64,
    /// Before this nothing may be asked: the authority has said so.
    pub wait: i64,
    /// When validations have failed, within the last hour.
    pub validations: Vec<i64>,
}

impl History {
    /// Notes a failure. `wait` is until when the authority wants to be left alone.
    pub(crate) fn fail(&mut self, failure: Failure, refused: bool, wait: Option<i64>, chance: u32) {
        self.failures = self.failures.saturating_add(1);
        self.refusals = if refused { self.refusals.saturating_add(1) } else { 0 };
        self.next = failure.at.saturating_add(pause(self.failures, chance));
        self.wait = self.wait.max(wait.unwrap_or(0));
        self.last = Some(failure);
    }

    /// Notes that a validation has failed.
    pub(crate) fn fail_validation(&mut self, now: i64) {
        self.validations.retain(|at| (now - HOUR_S..=now).contains(at));
        self.validations.push(now);
    }

    /// Notes a success. What the authority counts is not forgotten.
    pub(crate) fn succeed(&mut self) {
        *self = Self { validations: std::mem::take(&mut self.validations), ..Self::default() };
    }

    /// When the next attempt may be made by a server that runs.
    pub fn next_attempt(&self) -> i64 {
        self.next.max(self.earliest())
    }

    /// When the next attempt may be made by a server that has just been started: somebody may have
    /// mended something, but a supervisor's circle must not burn the authority's limits.
    pub fn next_start(&self) -> i64 {
        let last = self.last.as_ref().map_or(0, |failure| failure.at.saturating_add(MINUTE_S));
        last.min(self.next).max(self.earliest())
    }

    /// Before this the authority's limits allow nothing.
    fn earliest(&self) -> i64 {
        let limit = self.validations.len().checked_sub(VALIDATIONS_MAX);
        let oldest = limit.and_then(|index| self.validations.get(index));
        self.wait.max(oldest.map_or(0, |oldest| oldest.saturating_add(HOUR_S + 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::RenewalId;

    fn facts(days: i64) -> Facts {
        let id = RenewalId { authority: vec![1], serial: vec![7, 7, 7] };
        Facts { names: Vec::new(), not_before: 0, not_after: days * DAY_S, renewal_id: Some(id) }
    }

    #[test]
    fn renewal_is_late_in_life_but_not_later_than_the_authority_wants() {
        let window = |start, end| Some(Window { start: start * DAY_S, end: end * DAY_S });
        for (days, threshold, window, from, to) in [
            // A third of 90 days is 30, of 6 is 2.
            (90, 15, None, 75, 75),
            (90, 40, None, 60, 60),
            (45, 15, None, 30, 30),
            (6, 15, None, 4, 4),
            (6, 1, None, 5, 5),
            (90, 15, window(10, 12), 10, 12),
            (90, 15, window(80, 85), 75, 75),
            (90, 15, window(-9, -9), -9, -9),
            (90, 15, window(20, 10), 20, 20),
        ] {
            let at = renew_at(&facts(days), threshold, window);
            let expected = from * DAY_S..=to * DAY_S;
            assert!(expected.contains(&at), "{days} {threshold} {window:?}: {}", at / DAY_S);
            assert_eq!(at, renew_at(&facts(days), threshold, window));
        }
    }

    #[test]
    fn pauses_grow_to_a_day_and_are_spread() {
        for (failures, least, most) in [
            (1, 54, 66),
            (2, 540, 660),
            (3, 5_400, 6_600),
            (4, 77_760, 95_040),
            (99, 77_760, 95_040),
        ] {
            assert_eq!((pause(failures, 0), pause(failures, 1_000_000)), (least, most));
        }
    }

    #[test]
    fn a_sixth_failed_validation_waits_for_the_hour() {
        let mut history = History::default();
        for minute in 0..5 {
            assert!(history.next_start() <= minute * MINUTE_S, "{minute}: {history:?}");
            history.fail_validation(minute * MINUTE_S);
            let failure = Failure { at: minute * MINUTE_S, what: String::new() };
            history.fail(failure, false, None, 500_000);
        }
        assert_eq!(history.next_start(), HOUR_S + 1);
        history.fail_validation(2 * HOUR_S);
        assert_eq!(history.validations, [2 * HOUR_S]);
    }

    #[test]
    fn an_authority_that_says_when_is_not_asked_before() {
        let mut history = History::default();
        let failure = Failure { at: 100, what: String::new() };
        history.fail(failure, false, Some(9_000), 500_000);
        assert_eq!((history.next_start(), history.next_attempt()), (9_000, 9_000));
        history.succeed();
        assert_eq!(history, History::default());
    }

    #[test]
    fn a_start_waits_a_minute_where_a_running_server_waits_longer() {
        let mut history = History::default();
        for at in [1_000, 2_000, 3_000] {
            history.fail(Failure { at, what: String::new() }, true, None, 500_000);
        }
        assert_eq!((history.next_start(), history.next_attempt()), (3_060, 9_000));
        assert_eq!(history.refusals, REFUSALS_MAX);
        history.fail(Failure { at: 4_000, what: String::new() }, false, None, 500_000);
        assert_eq!(history.refusals, 0);
    }
}
