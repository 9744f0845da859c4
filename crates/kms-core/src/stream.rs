//! Multi-part operations: what is between the parts, by Correlation Value (KMIP 2.1 section 6.1.21).
//!
//! Each stream belongs to the user, key and operation that began it; their number and age are
//! bounded. It must never give a stream to anybody else.

use std::collections::HashMap;
use std::sync::Mutex;

use kmip::enumerations::ResultReason;
use kms_crypto::random;
use kms_crypto::symmetric::Stream;

use crate::error::{Again, Error, Result};
use crate::mechanism;

/// How long a stream waits for its next part, in seconds.
const IDLE_MAX: u64 = 300;
const CORRELATION_LENGTH: usize = 16;
/// The part of all streams that one user may have: one in so many.
const SHARE: usize = 4;

/// One multi-part operation under way.
pub(crate) struct Running {
    /// Who began it.
    pub(crate) user: String,
    /// Under which key.
    pub(crate) key: String,
    /// Whether it encrypts.
    pub(crate) encrypts: bool,
    /// The cipher, with what it has seen so far.
    pub(crate) stream: Box<dyn Stream>,
    /// The tag that the end is verified with, where the first part brought it.
    pub(crate) tag: Vec<u8>,
    /// The length that the tag must have; 0 where there is none.
    pub(crate) tag_length: usize,
    /// How many bytes went in that did not come out yet: what the cipher may be holding back.
    pub(crate) held: usize,
    /// When its last part came, in seconds since the Unix epoch.
    pub(crate) touched: i64,
}

impl Running {
    /// Takes a part, and counts what is held back.
    pub(crate) fn update(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<()> {
        let before = output.len();
        self.stream.update(input, output).map_err(mechanism::failure)?;
        let given = output.len().saturating_sub(before);
        self.held = self.held.saturating_add(input.len()).saturating_sub(given);
        Ok(())
    }

    /// Whether nobody goes on with it. A clock that was set back makes none live longer.
    fn is_idle(&self, now: i64) -> bool {
        now.abs_diff(self.touched) > IDLE_MAX
    }
}

/// All of them.
pub(crate) struct Streams {
    running: Mutex<HashMap<Vec<u8>, Running>>,
    max: usize,
    /// How many bytes all of them together may hold back.
    held_max: usize,
}

impl Streams {
    pub(crate) fn new(max: usize, held_max: usize) -> Self {
        Self { running: Mutex::default(), max, held_max }
    }

    /// Forgets those that nobody goes on with, and what they hold.
    pub(crate) fn forget_idle(&self, now: i64) {
        if let Ok(mut running) = self.running.lock() {
            running.retain(|_, it| !it.is_idle(now));
        }
    }

    /// Keeps a stream until its next part; the value it is called by.
    pub(crate) fn keep(&self, stream: Running) -> Result<Vec<u8>> {
        let value = random::bytes::<CORRELATION_LENGTH>().map_err(Error::internal)?.to_vec();
        self.put(value.clone(), stream, self.max)?;
        Ok(value)
    }

    /// Keeps a stream under the value that it had before. It has its place already.
    pub(crate) fn keep_as(&self, value: Vec<u8>, stream: Running) -> Result<()> {
        self.put(value, stream, usize::MAX)
    }

    fn put(&self, value: Vec<u8>, stream: Running, max: usize) -> Result<()> {
        let mut running = self.running.lock().map_err(|_poisoned| lost())?;
        let now = stream.touched;
        running.retain(|_, it| !it.is_idle(now));
        let held = running.values().fold(stream.held, |sum, it| sum.saturating_add(it.held));
        if running.len() >= max || (stream.held > 0 && held > self.held_max) {
            return Err(Error::passing(
                Again::Yes,
                ResultReason::ServerLimitExceeded,
                "too many multi-part operations are under way; finish one",
            ));
        }
        // One that is put back is not counted here, and has its place.
        let own = running.values().filter(|it| it.user == stream.user).count();
        if max != usize::MAX && own >= max.div_ceil(SHARE) {
            return Err(Error::new(
                ResultReason::ServerLimitExceeded,
                format!("{own} multi-part operations of yours are under way; finish one first"),
            ));
        }
        running.insert(value, stream);
        Ok(())
    }

    /// Takes the stream out for its next part. One that fails is not put back.
    pub(crate) fn take(
        &self,
        value: &[u8],
        (user, key): (&str, &str),
        encrypts: bool,
        now: i64,
    ) -> Result<Running> {
        let mut running = self.running.lock().map_err(|_poisoned| lost())?;
        let known = running.get(value).is_some_and(|it| {
            it.user == user && it.key == key && it.encrypts == encrypts && !it.is_idle(now)
        });
        if known { running.remove(value).ok_or_else(lost) } else { Err(lost()) }
    }
}

/// Which part of a multi-part operation a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// All of it.
    Whole,
    /// The first, of several.
    First,
    /// One after the first: of the stream that this value calls.
    Next {
        /// The Correlation Value.
        stream: &'a [u8],
        /// Whether it is the last.
        last: bool,
    },
}

impl<'a> Part<'a> {
    /// Reads the fields of a request. An empty Correlation Value is none.
    pub(crate) fn of(
        correlation: Option<&'a [u8]>,
        init: Option<bool>,
        last: Option<bool>,
    ) -> Result<Self> {
        let (init, last) = (init == Some(true), last == Some(true));
        match correlation.filter(|value| !value.is_empty()) {
            Some(_) if init => Err(Error::new(
                ResultReason::InvalidMessage,
                "the first part (Init Indicator) has no Correlation Value yet",
            )),
            Some(stream) => Ok(Part::Next { stream, last }),
            None if init && !last => Ok(Part::First),
            None => Ok(Part::Whole),
        }
    }
}

fn lost() -> Error {
    Error::new(
        ResultReason::InvalidCorrelationValue,
        "no multi-part operation of yours has this Correlation Value; it ended or waited too long",
    )
}
