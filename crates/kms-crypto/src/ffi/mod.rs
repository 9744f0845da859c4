//! The C library behind aws-lc-rs, for what the safe interface leaves out: the only module with
//! `unsafe`. Each function here is safe to call with any arguments: it checks lengths, owns what
//! the library allocates and wipes what held secrets. It knows no rules about which lengths and
//! algorithms are *good*; its callers do.

mod aead;
mod cipher;
mod curve;
mod key_wrap;
mod number;
mod rsa;

pub(crate) use aead::{Aead, Inputs};
pub(crate) use cipher::{CipherContext, Mode, Poly1305, chacha20};
pub(crate) use curve::Group;
pub(crate) use key_wrap::{KeyWrap, key_unwrap, key_wrap};
pub(crate) use number::Number;
pub(crate) use rsa::{RsaKey, RsaPadding};

use crate::Error;
use aws_lc_sys as c;
use std::ffi::c_int;
use std::ptr::NonNull;

/// Something that the library allocated, and the function that frees it.
struct Owned<T> {
    pointer: NonNull<T>,
    free: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    /// Takes over what the library returned; null means that it failed.
    fn new(pointer: *mut T, free: unsafe extern "C" fn(*mut T)) -> Result<Self, Error> {
        match NonNull::new(pointer) {
            Some(pointer) => Ok(Self { pointer, free }),
            None => Err(failed(Error::Failed)),
        }
    }

    fn get(&self) -> *mut T {
        self.pointer.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    #[expect(unsafe_code, reason = "memory of the C library goes back to it")]
    fn drop(&mut self) {
        // SAFETY: the pointer came from the library together with the function that frees it, is
        // owned by this value alone, and is not used after this.
        unsafe { (self.free)(self.pointer.as_ptr()) }
    }
}

/// Empties the library's error queue of this thread, so that one failure does not follow another.
#[expect(unsafe_code, reason = "the error queue belongs to the C library")]
fn failed(error: Error) -> Error {
    // SAFETY: touches the library's own thread-local queue only.
    unsafe { c::ERR_clear_error() };
    error
}

/// Turns the library's 1 for success into a `Result`.
fn succeeded(code: c_int, error: Error) -> Result<(), Error> {
    if code == 1 { Ok(()) } else { Err(failed(error)) }
}

/// Overwrites all the memory of a vector, in a way that is not optimised away, and empties it.
#[expect(unsafe_code, reason = "the compiler must not leave it out, and a loop would be slow")]
pub(crate) fn wipe(bytes: &mut Vec<u8>) {
    // SAFETY: the vector owns as many bytes as its capacity, and any of them may be written.
    unsafe { c::OPENSSL_cleanse(bytes.as_mut_ptr().cast(), bytes.capacity()) };
    bytes.clear();
}
