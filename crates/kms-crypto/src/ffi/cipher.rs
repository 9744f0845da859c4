//! AES in its other modes, GCM in parts, `ChaCha20` and Poly1305 by themselves. Knows only what the
//! C library is called with.

use super::{Owned, succeeded};
use crate::Error;
use aws_lc_sys as c;
use std::ffi::c_int;
use std::ptr::{null, null_mut};

/// A mode of AES in the library's incremental interface. Padding is never the library's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Cbc,
    Ctr,
    Ecb,
    Gcm,
    Xts,
}

impl Mode {
    #[expect(unsafe_code, reason = "static tables of the C library")]
    fn method(self, key_length: usize) -> Option<*const c::EVP_CIPHER> {
        // SAFETY: these functions take nothing and return a pointer to a static table.
        let method = unsafe {
            match (self, key_length) {
                (Self::Cbc, 16) => c::EVP_aes_128_cbc(),
                (Self::Cbc, 24) => c::EVP_aes_192_cbc(),
                (Self::Cbc, 32) => c::EVP_aes_256_cbc(),
                (Self::Ctr, 16) => c::EVP_aes_128_ctr(),
                (Self::Ctr, 24) => c::EVP_aes_192_ctr(),
                (Self::Ctr, 32) => c::EVP_aes_256_ctr(),
                (Self::Ecb, 16) => c::EVP_aes_128_ecb(),
                (Self::Ecb, 24) => c::EVP_aes_192_ecb(),
                (Self::Ecb, 32) => c::EVP_aes_256_ecb(),
                (Self::Gcm, 16) => c::EVP_aes_128_gcm(),
                (Self::Gcm, 24) => c::EVP_aes_192_gcm(),
                (Self::Gcm, 32) => c::EVP_aes_256_gcm(),
                (Self::Xts, 64) => c::EVP_aes_256_xts(),
                _ => return None,
            }
        };
        Some(method)
    }

    /// The length of the IV that the library will read; for GCM it is told the length.
    const fn iv_length(self) -> Option<usize> {
        match self {
            Self::Cbc | Self::Ctr | Self::Xts => Some(16),
            Self::Ecb => Some(0),
            Self::Gcm => None,
        }
    }
}

/// An encryption or decryption that is under way.
pub(crate) struct CipherContext {
    context: Owned<c::EVP_CIPHER_CTX>,
}

#[expect(unsafe_code, reason = "the context is used by one thread at a time")]
// SAFETY: the library's context holds no reference to a thread, and is only reachable through
// `&mut self`.
unsafe impl Send for CipherContext {}

/// The most that is given to the library in one call: a multiple of every block, and an `int`.
const CHUNK: usize = 1 << 30;

impl CipherContext {
    /// Starts an encryption or decryption.
    #[expect(unsafe_code, reason = "modes that the safe interface has not")]
    pub(crate) fn new(mode: Mode, encrypt: bool, key: &[u8], iv: &[u8]) -> Result<Self, Error> {
        let method = mode.method(key.len()).ok_or(Error::BadKey("its length"))?;
        let iv_length = c_int::try_from(iv.len())
            .ok()
            .filter(|_| mode.iv_length().is_none_or(|length| length == iv.len()))
            .ok_or(Error::BadParameter("the length of the IV"))?;
        // SAFETY: allocates; the result is checked by `Owned::new`.
        let context = Owned::new(unsafe { c::EVP_CIPHER_CTX_new() }, c::EVP_CIPHER_CTX_free)?;
        let direction = c_int::from(encrypt);
        // SAFETY: the context is valid; the method fits the key's length, and the IV has the
        // length that the mode reads (for GCM it is set before the IV is). Null leaves as it was.
        let code = unsafe {
            let pointer = context.get();
            let mut code =
                c::EVP_CipherInit_ex(pointer, method, null_mut(), null(), null(), direction);
            if code == 1 && mode == Mode::Gcm {
                code = c::EVP_CIPHER_CTX_ctrl(
                    pointer,
                    c::EVP_CTRL_AEAD_SET_IVLEN,
                    iv_length,
                    null_mut(),
                );
            }
            if code == 1 {
                code = c::EVP_CipherInit_ex(
                    pointer,
                    null(),
                    null_mut(),
                    key.as_ptr(),
                    iv.as_ptr(),
                    -1,
                );
            }
            if code == 1 { c::EVP_CIPHER_CTX_set_padding(pointer, 0) } else { code }
        };
        succeeded(code, Error::BadKey("the library refused it"))?;
        Ok(Self { context })
    }

    /// GCM: adds data that is authenticated only, before any other.
    #[expect(unsafe_code, reason = "modes that the safe interface has not")]
    pub(crate) fn aad(&mut self, aad: &[u8]) -> Result<(), Error> {
        for part in aad.chunks(CHUNK) {
            let mut done = 0;
            let length = c_int::try_from(part.len()).map_err(|_error| Error::Failed)?;
            // SAFETY: no output is written when the output pointer is null (GCM only; another mode
            // would fail on it before writing); the input is readable over its length.
            let code = unsafe {
                c::EVP_CipherUpdate(
                    self.context.get(),
                    null_mut(),
                    &raw mut done,
                    part.as_ptr(),
                    length,
                )
            };
            succeeded(code, Error::Failed)?;
        }
        Ok(())
    }

    /// Works on `input` and appends what comes out to `output`.
    #[expect(unsafe_code, reason = "modes that the safe interface has not")]
    pub(crate) fn update(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<(), Error> {
        for part in input.chunks(CHUNK) {
            let length = c_int::try_from(part.len()).map_err(|_error| Error::Failed)?;
            output.reserve(part.len().saturating_add(16));
            let room = output.spare_capacity_mut();
            let mut done = 0;
            // SAFETY: the library writes at most input + one block (16) bytes, for which there is
            // room; the vector and the input do not overlap.
            let code = unsafe {
                c::EVP_CipherUpdate(
                    self.context.get(),
                    room.as_mut_ptr().cast(),
                    &raw mut done,
                    part.as_ptr(),
                    length,
                )
            };
            succeeded(code, Error::Failed)?;
            let done = usize::try_from(done).map_err(|_error| Error::Failed)?;
            let filled = output.len().saturating_add(done);
            // SAFETY: the library has written `done` bytes behind the vector's end, within the
            // capacity reserved above.
            unsafe { output.set_len(filled) };
        }
        Ok(())
    }

    /// Works on `data` in place: one piece, in block modes a multiple of the block, with nothing
    /// held back from a call before.
    #[expect(unsafe_code, reason = "modes that the safe interface has not")]
    pub(crate) fn in_place(&mut self, data: &mut [u8]) -> Result<(), Error> {
        if data.is_empty() {
            return Ok(());
        }
        let length =
            c_int::try_from(data.len()).map_err(|_error| Error::TooLarge { limit: CHUNK })?;
        let mut done = 0;
        // SAFETY: input and output are the same slice, which the library allows; with a whole
        // number of blocks and nothing held back it writes exactly as much as it reads.
        let code = unsafe {
            let pointer = data.as_mut_ptr();
            c::EVP_CipherUpdate(self.context.get(), pointer, &raw mut done, pointer, length)
        };
        succeeded(code, Error::Failed)?;
        if done == length { Ok(()) } else { Err(Error::Failed) }
    }

    /// Ends a mode that leaves nothing to give out; an error if it holds part of a block.
    #[expect(unsafe_code, reason = "modes that the safe interface has not")]
    pub(crate) fn finish(&mut self, error: Error) -> Result<(), Error> {
        let mut room = [0_u8; 32];
        let mut done = 0;
        // SAFETY: at most one block (16 bytes) is written.
        let code =
            unsafe { c::EVP_CipherFinal_ex(self.context.get(), room.as_mut_ptr(), &raw mut done) };
        succeeded(code, error)?;
        if done == 0 { Ok(()) } else { Err(error) }
    }

    /// GCM: the tag of what was encrypted, after [`Self::finish`].
    #[expect(unsafe_code, reason = "modes that the safe interface has not")]
    pub(crate) fn tag(&mut self, tag: &mut [u8]) -> Result<(), Error> {
        let length = c_int::try_from(tag.len()).map_err(|_error| Error::Failed)?;
        // SAFETY: the library writes as many bytes as it is told, and checks that it is at most 16.
        let code = unsafe {
            c::EVP_CIPHER_CTX_ctrl(
                self.context.get(),
                c::EVP_CTRL_AEAD_GET_TAG,
                length,
                tag.as_mut_ptr().cast(),
            )
        };
        succeeded(code, Error::Failed)
    }
}

/// XORs the key stream that begins at block `counter` onto `data`.
#[expect(unsafe_code, reason = "ChaCha20 without Poly1305 is not in the safe interface")]
pub(crate) fn chacha20(key: &[u8; 32], nonce: &[u8; 12], counter: u32, data: &mut [u8]) {
    let pointer = data.as_mut_ptr();
    // SAFETY: key and nonce have the lengths that the library reads; input and output are the same
    // slice, which it allows.
    unsafe {
        c::CRYPTO_chacha_20(pointer, pointer, data.len(), key.as_ptr(), nonce.as_ptr(), counter);
    }
}

/// A Poly1305 that is under way. Boxed: the library aligns its state by its address.
pub(crate) struct Poly1305(Box<c::poly1305_state>);

impl Poly1305 {
    /// Starts with a key that must be used once only.
    #[expect(unsafe_code, reason = "Poly1305 is not in the safe interface")]
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let mut state = Box::new([0_u8; 512]);
        // SAFETY: the state has the size that the library wants and stays where it is.
        unsafe { c::CRYPTO_poly1305_init(&raw mut *state, key.as_ptr()) };
        Self(state)
    }

    /// Adds a part.
    #[expect(unsafe_code, reason = "Poly1305 is not in the safe interface")]
    pub(crate) fn update(&mut self, part: &[u8]) {
        // SAFETY: the state was initialised by `new`; the input is readable over its length.
        unsafe { c::CRYPTO_poly1305_update(&raw mut *self.0, part.as_ptr(), part.len()) }
    }

    /// Ends it and returns the MAC.
    #[expect(unsafe_code, reason = "Poly1305 is not in the safe interface")]
    pub(crate) fn finish(mut self) -> [u8; 16] {
        let mut mac = [0; 16];
        // SAFETY: the state was initialised by `new` and is not used again; 16 bytes are written.
        unsafe { c::CRYPTO_poly1305_finish(&raw mut *self.0, mac.as_mut_ptr()) };
        mac
    }
}

impl Drop for Poly1305 {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut *self.0);
    }
}
