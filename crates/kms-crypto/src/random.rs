//! Random bytes of the library's generator; the only place they come from.

use crate::{Error, Secret};
use std::cell::RefCell;
use std::time::{Duration, Instant};

/// Fills with random bytes, good enough for keys.
pub fn fill(bytes: &mut [u8]) -> Result<(), Error> {
    aws_lc_rs::rand::fill(bytes).map_err(|aws_lc_rs::error::Unspecified| Error::Failed)
}

/// `N` random bytes: salts, identifiers, challenges.
pub fn bytes<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

/// A random secret of `length` bytes: a symmetric key.
pub fn secret(length: usize) -> Result<Secret, Error> {
    let mut secret = Secret::zeroed(length);
    fill(secret.expose_mut())?;
    Ok(secret)
}

/// How many bytes of nonces are drawn at once: each call of the generator costs about a
/// microsecond, three times an encryption of a short text.
const DRAWN: usize = 240;
/// How long they are good. Should a virtual machine be copied while it runs, both copies would
/// hand out the same nonces: so hardly any are ever kept.
const GOOD_FOR: Duration = Duration::from_millis(10);

struct Drawn {
    bytes: [u8; DRAWN],
    next: usize,
    since: Option<Instant>,
}

thread_local! {
    static NONCES: RefCell<Drawn> =
        const { RefCell::new(Drawn { bytes: [0; DRAWN], next: DRAWN, since: None }) };
}

/// `N` random bytes that need not stay secret: nonces. Drawn a few at a time for each thread, and
/// handed out once. For anything that must not be guessed, use [`bytes`].
pub fn nonce<const N: usize>() -> Result<[u8; N], Error> {
    let drawn = NONCES.try_with(|nonces| nonces.try_borrow_mut().ok()?.take());
    match drawn {
        Ok(Some(nonce)) => Ok(nonce),
        // The thread ends, or so many bytes are never drawn in advance.
        Ok(None) | Err(_) => bytes(),
    }
}

impl Drawn {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let now = Instant::now();
        let good = self.since.is_some_and(|since| now.duration_since(since) < GOOD_FOR);
        if !good || self.next.saturating_add(N) > DRAWN {
            self.since = None;
            fill(&mut self.bytes).ok()?;
            self.next = 0;
            self.since = Some(now);
        }
        let place = self.bytes.get_mut(self.next..)?.first_chunk_mut::<N>()?;
        let nonce = *place;
        *place = [0; N];
        self.next = self.next.saturating_add(N);
        Some(nonce)
    }
}
