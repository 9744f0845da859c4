//! AES key wrap with keys of every length.
//! Knows only what the C library is called with.

use super::failed;
use crate::{Error, Secret};
use aws_lc_sys as c;
use std::mem::MaybeUninit;
use std::ptr::null;

/// RFC 3394 or RFC 5649.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyWrap {
    Plain,
    Padded,
}

/// Runs `work` with a key schedule on the stack, and wipes it afterwards.
#[expect(unsafe_code, reason = "192-bit key wrap is not in the safe interface")]
fn with_aes_key<T>(
    key: &[u8],
    decrypt: bool,
    work: impl FnOnce(*const c::AES_KEY) -> T,
) -> Result<T, Error> {
    let bits = match key.len() {
        16 => 128,
        24 => 192,
        32 => 256,
        _ => return Err(Error::BadKey("an AES key has 16, 24 or 32 bytes")),
    };
    let mut schedule = MaybeUninit::<c::AES_KEY>::uninit();
    // SAFETY: the schedule is memory of the right size; the key has as many bits as is said.
    let code = unsafe {
        if decrypt {
            c::AES_set_decrypt_key(key.as_ptr(), bits, schedule.as_mut_ptr())
        } else {
            c::AES_set_encrypt_key(key.as_ptr(), bits, schedule.as_mut_ptr())
        }
    };
    if code != 0 {
        return Err(failed(Error::Failed));
    }
    let outcome = work(schedule.as_ptr());
    // SAFETY: the schedule is not used again, and all its bytes are ours to overwrite.
    unsafe { c::OPENSSL_cleanse(schedule.as_mut_ptr().cast(), size_of::<c::AES_KEY>()) };
    Ok(outcome)
}

/// Wraps `data` under `key`; the callers check the length of the data.
#[expect(unsafe_code, reason = "192-bit key wrap is not in the safe interface")]
pub(crate) fn key_wrap(kind: KeyWrap, key: &[u8], data: &[u8]) -> Result<Vec<u8>, Error> {
    let mut wrapped = vec![0_u8; data.len().saturating_add(16)];
    let length = with_aes_key(key, false, |schedule| match kind {
        KeyWrap::Plain => {
            // SAFETY: the output is 8 bytes longer than the input and more; a null IV means the
            // standard's own. The result is the length written, or negative.
            let length = unsafe {
                c::AES_wrap_key(schedule, null(), wrapped.as_mut_ptr(), data.as_ptr(), data.len())
            };
            usize::try_from(length).ok()
        }
        KeyWrap::Padded => {
            let mut length = 0;
            // SAFETY: the library is told how much room there is and checks it.
            let code = unsafe {
                c::AES_wrap_key_padded(
                    schedule,
                    wrapped.as_mut_ptr(),
                    &raw mut length,
                    wrapped.len(),
                    data.as_ptr(),
                    data.len(),
                )
            };
            (code == 1).then_some(length)
        }
    })?;
    let length = length.ok_or_else(|| failed(Error::Failed))?;
    wrapped.truncate(length);
    Ok(wrapped)
}

/// Unwraps `data` under `key`; all failures are [`Error::Decryption`].
#[expect(unsafe_code, reason = "192-bit key wrap is not in the safe interface")]
pub(crate) fn key_unwrap(kind: KeyWrap, key: &[u8], data: &[u8]) -> Result<Secret, Error> {
    let mut unwrapped = Secret::zeroed(data.len());
    let out = unwrapped.expose_mut();
    let length = with_aes_key(key, true, |schedule| match kind {
        KeyWrap::Plain => {
            // SAFETY: the output is as long as the input; the library writes 8 bytes less.
            let length = unsafe {
                c::AES_unwrap_key(schedule, null(), out.as_mut_ptr(), data.as_ptr(), data.len())
            };
            usize::try_from(length).ok()
        }
        KeyWrap::Padded => {
            let mut length = 0;
            // SAFETY: the library is told how much room there is and checks it.
            let code = unsafe {
                c::AES_unwrap_key_padded(
                    schedule,
                    out.as_mut_ptr(),
                    &raw mut length,
                    out.len(),
                    data.as_ptr(),
                    data.len(),
                )
            };
            (code == 1).then_some(length)
        }
    })?;
    let length = length.ok_or_else(|| failed(Error::Decryption))?;
    let mut bytes = unwrapped.into_bytes();
    // What lies behind the key is wiped with it: a `Secret` wipes its whole capacity.
    bytes.truncate(length);
    Ok(Secret::new(bytes))
}
