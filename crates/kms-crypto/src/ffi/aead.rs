//! Authenticated encryption in one call, with IVs and tags of any length.
//! Knows only what the C library is called with.

use super::succeeded;
use crate::Error;
use aws_lc_sys as c;
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};

/// What an encryption or decryption in one call depends on.
pub(crate) struct Inputs<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) nonce: &'a [u8],
    pub(crate) aad: &'a [u8],
}

/// An algorithm of the library's one-call interface.
#[derive(Clone, Copy)]
pub(crate) enum Aead {
    Aes128Gcm,
    Aes192Gcm,
    Aes256Gcm,
    Aes128GcmSiv,
    Aes256GcmSiv,
    ChaCha20Poly1305,
}

impl Aead {
    #[expect(unsafe_code, reason = "static tables of the C library")]
    fn method(self) -> *const c::EVP_AEAD {
        // SAFETY: these functions take nothing and return a pointer to a static table.
        unsafe {
            match self {
                Self::Aes128Gcm => c::EVP_aead_aes_128_gcm(),
                Self::Aes192Gcm => c::EVP_aead_aes_192_gcm(),
                Self::Aes256Gcm => c::EVP_aead_aes_256_gcm(),
                Self::Aes128GcmSiv => c::EVP_aead_aes_128_gcm_siv(),
                Self::Aes256GcmSiv => c::EVP_aead_aes_256_gcm_siv(),
                Self::ChaCha20Poly1305 => c::EVP_aead_chacha20_poly1305(),
            }
        }
    }

    /// Runs `work` with a context on the stack (no allocation), and wipes it afterwards.
    #[expect(unsafe_code, reason = "a context of the C library, made in place")]
    fn with_context<T>(
        self,
        key: &[u8],
        tag_length: usize,
        work: impl FnOnce(*const c::EVP_AEAD_CTX) -> T,
    ) -> Result<T, Error> {
        let mut context = MaybeUninit::<c::EVP_AEAD_CTX>::uninit();
        // SAFETY: the context is memory of the right size and alignment, the key is readable over
        // its length, and the library checks the key's and the tag's length.
        let code = unsafe {
            c::EVP_AEAD_CTX_init(
                context.as_mut_ptr(),
                self.method(),
                key.as_ptr(),
                key.len(),
                tag_length,
                null_mut(),
            )
        };
        succeeded(code, Error::BadKey("its length is not one that the cipher takes"))?;
        let outcome = work(context.as_ptr());
        // SAFETY: the context was initialised above, has not moved since, and is not used again;
        // all its bytes are ours to overwrite.
        unsafe {
            c::EVP_AEAD_CTX_cleanup(context.as_mut_ptr());
            c::OPENSSL_cleanse(context.as_mut_ptr().cast(), size_of::<c::EVP_AEAD_CTX>());
        }
        Ok(outcome)
    }

    /// Encrypts `data` in place and fills `tag`, whose length is the tag's length.
    #[expect(unsafe_code, reason = "tags and nonces of other lengths than the usual")]
    pub(crate) fn seal(
        self,
        inputs: &Inputs<'_>,
        data: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), Error> {
        let Inputs { key, nonce, aad } = *inputs;
        let mut made = 0;
        let code = self.with_context(key, tag.len(), |context| {
            // SAFETY: the context is initialised; input and output are the same slice, which the
            // library allows; every pointer is valid over the length given with it.
            unsafe {
                c::EVP_AEAD_CTX_seal_scatter(
                    context,
                    data.as_mut_ptr(),
                    tag.as_mut_ptr(),
                    &raw mut made,
                    tag.len(),
                    nonce.as_ptr(),
                    nonce.len(),
                    data.as_ptr(),
                    data.len(),
                    null(),
                    0,
                    aad.as_ptr(),
                    aad.len(),
                )
            }
        })?;
        succeeded(code, Error::Failed)?;
        if made == tag.len() { Ok(()) } else { Err(Error::Failed) }
    }

    /// Decrypts `data` in place if the tag is right; else the data is of no use any more.
    #[expect(unsafe_code, reason = "tags and nonces of other lengths than the usual")]
    pub(crate) fn open(
        self,
        inputs: &Inputs<'_>,
        data: &mut [u8],
        tag: &[u8],
    ) -> Result<(), Error> {
        let Inputs { key, nonce, aad } = *inputs;
        let code = self.with_context(key, tag.len(), |context| {
            // SAFETY: as in `seal`; the tag is only read.
            unsafe {
                c::EVP_AEAD_CTX_open_gather(
                    context,
                    data.as_mut_ptr(),
                    nonce.as_ptr(),
                    nonce.len(),
                    data.as_ptr(),
                    data.len(),
                    tag.as_ptr(),
                    tag.len(),
                    aad.as_ptr(),
                    aad.len(),
                )
            }
        })?;
        succeeded(code, Error::Authentication)
    }
}
