//! RSA encryption with every padding.
//! Knows only what the C library is called with.

use super::{Owned, succeeded};
use crate::hash::Hash;
use crate::{Error, Secret};
use aws_lc_sys as c;
use std::ptr::{NonNull, null_mut};

/// How a message is padded before RSA.
#[derive(Clone, Copy)]
pub(crate) enum RsaPadding<'a> {
    Pkcs1,
    Oaep { hash: Hash, mgf: Hash, label: &'a [u8] },
}

/// An RSA key as the library holds it, public or private.
pub(crate) struct RsaKey(Owned<c::EVP_PKEY>);

#[expect(unsafe_code, reason = "the library locks what a key shares")]
// SAFETY: the library documents a key as usable from several threads as long as nobody changes it,
// and nothing here changes it after it was made.
unsafe impl Send for RsaKey {}
#[expect(unsafe_code, reason = "the library locks what a key shares")]
// SAFETY: as above.
unsafe impl Sync for RsaKey {}

/// The library's table for a hash function that OAEP may use.
#[expect(unsafe_code, reason = "static tables of the C library")]
fn message_digest(hash: Hash) -> *const c::EVP_MD {
    // SAFETY: these functions take nothing and return a pointer to a static table.
    unsafe {
        match hash {
            Hash::Sha1 => c::EVP_sha1(),
            Hash::Sha224 => c::EVP_sha224(),
            Hash::Sha256 => c::EVP_sha256(),
            Hash::Sha384 => c::EVP_sha384(),
            Hash::Sha512 => c::EVP_sha512(),
            Hash::Sha512_256 => c::EVP_sha512_256(),
            Hash::Sha3_256 => c::EVP_sha3_256(),
            Hash::Sha3_384 => c::EVP_sha3_384(),
            Hash::Sha3_512 => c::EVP_sha3_512(),
        }
    }
}

impl RsaKey {
    /// Reads a PKCS#8 private key (`private`) or an SPKI public key.
    #[expect(unsafe_code, reason = "one parse for every padding, by the library itself")]
    pub(crate) fn from_envelope(private: bool, der: &[u8]) -> Result<Self, Error> {
        let error = Error::BadKey("it is not an RSA key in DER, or its parts do not match");
        let mut rest = c::CBS { data: der.as_ptr(), len: der.len() };
        // SAFETY: `rest` describes `der`, which outlives the call; a null result is an error.
        let key = unsafe {
            if private {
                c::EVP_parse_private_key(&raw mut rest)
            } else {
                c::EVP_parse_public_key(&raw mut rest)
            }
        };
        let key = Owned::new(key, c::EVP_PKEY_free).map_err(|_error| error)?;
        // SAFETY: the key is valid.
        let kind = unsafe { c::EVP_PKEY_id(key.get()) };
        if rest.len == 0 && kind == c::EVP_PKEY_RSA { Ok(Self(key)) } else { Err(error) }
    }

    /// Reads a PKCS#1 private or public key.
    #[expect(unsafe_code, reason = "one parse for every padding, by the library itself")]
    pub(crate) fn from_pkcs1(private: bool, der: &[u8]) -> Result<Self, Error> {
        let error = Error::BadKey("it is not an RSA key in DER, or its parts do not match");
        // SAFETY: the input is readable over its length; a null result is an error.
        let rsa = unsafe {
            if private {
                c::RSA_private_key_from_bytes(der.as_ptr(), der.len())
            } else {
                c::RSA_public_key_from_bytes(der.as_ptr(), der.len())
            }
        };
        let rsa = Owned::new(rsa, c::RSA_free).map_err(|_error| error)?;
        // SAFETY: allocates; the result is checked by `Owned::new`.
        let key = Owned::new(unsafe { c::EVP_PKEY_new() }, c::EVP_PKEY_free)?;
        // SAFETY: both are valid; `set1` takes a reference of its own to the RSA key.
        succeeded(unsafe { c::EVP_PKEY_set1_RSA(key.get(), rsa.get()) }, Error::Failed)?;
        Ok(Self(key))
    }

    /// The length of the modulus in bits.
    #[expect(unsafe_code, reason = "asks the C library")]
    pub(crate) fn bits(&self) -> usize {
        // SAFETY: the key is valid.
        usize::try_from(unsafe { c::EVP_PKEY_bits(self.0.get()) }).unwrap_or(0)
    }

    #[expect(unsafe_code, reason = "OAEP with two hash functions is not in the safe interface")]
    fn context(
        &self,
        encrypt: bool,
        padding: RsaPadding<'_>,
    ) -> Result<Owned<c::EVP_PKEY_CTX>, Error> {
        // SAFETY: the key is valid; the context takes its own reference to it.
        let context = unsafe { c::EVP_PKEY_CTX_new(self.0.get(), null_mut()) };
        let context = Owned::new(context, c::EVP_PKEY_CTX_free)?;
        // SAFETY: the context is valid.
        let code = unsafe {
            if encrypt {
                c::EVP_PKEY_encrypt_init(context.get())
            } else {
                c::EVP_PKEY_decrypt_init(context.get())
            }
        };
        succeeded(code, Error::Failed)?;
        let number = match padding {
            RsaPadding::Pkcs1 => c::RSA_PKCS1_PADDING,
            RsaPadding::Oaep { .. } => c::RSA_PKCS1_OAEP_PADDING,
        };
        // SAFETY: the context is valid.
        let code = unsafe { c::EVP_PKEY_CTX_set_rsa_padding(context.get(), number) };
        succeeded(code, Error::Failed)?;
        if let RsaPadding::Oaep { hash, mgf, label } = padding {
            let (hash, mgf) = (message_digest(hash), message_digest(mgf));
            // SAFETY: the context is valid and both tables are static.
            let code = unsafe {
                match c::EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), hash) {
                    1 => c::EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), mgf),
                    code => code,
                }
            };
            succeeded(code, Error::Unsupported("this hash function in OAEP"))?;
            set_label(&context, label)?;
        }
        Ok(context)
    }

    /// Encrypts or decrypts one message.
    #[expect(unsafe_code, reason = "OAEP with two hash functions is not in the safe interface")]
    pub(crate) fn transform(
        &self,
        encrypt: bool,
        padding: RsaPadding<'_>,
        input: &[u8],
    ) -> Result<Secret, Error> {
        let context = self.context(encrypt, padding)?;
        // The library writes at most as many bytes as the modulus has.
        let mut output = Secret::zeroed(self.bits().div_ceil(8));
        let mut length = output.len();
        let out = output.expose_mut().as_mut_ptr();
        // SAFETY: the context is initialised, the library is told how much room there is and
        // checks it, and the input is readable over its length.
        let code = unsafe {
            let work = if encrypt { c::EVP_PKEY_encrypt } else { c::EVP_PKEY_decrypt };
            work(context.get(), out, &raw mut length, input.as_ptr(), input.len())
        };
        let error = if encrypt { Error::Failed } else { Error::Decryption };
        succeeded(code, error)?;
        let mut bytes = output.into_bytes();
        bytes.truncate(length);
        Ok(Secret::new(bytes))
    }
}

/// Gives OAEP its label; the library takes over a copy of its own making.
#[expect(unsafe_code, reason = "OAEP with a label is not in the safe interface")]
fn set_label(context: &Owned<c::EVP_PKEY_CTX>, label: &[u8]) -> Result<(), Error> {
    if label.is_empty() {
        return Ok(());
    }
    // SAFETY: allocates a copy of `label`; null is checked below.
    let copy = unsafe { c::OPENSSL_memdup(label.as_ptr().cast(), label.len()) };
    let copy = NonNull::new(copy).ok_or(Error::Failed)?;
    // SAFETY: the context is valid and the copy has the length that is said; on success the
    // context owns it.
    let code = unsafe {
        c::EVP_PKEY_CTX_set0_rsa_oaep_label(context.get(), copy.as_ptr().cast(), label.len())
    };
    if code != 1 {
        // SAFETY: on failure the copy is still ours.
        unsafe { c::OPENSSL_free(copy.as_ptr()) };
    }
    succeeded(code, Error::Failed)
}
