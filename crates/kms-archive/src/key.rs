//! What an archive is encrypted to, and the keys of one archive that come of it.

use kms_crypto::mac::MacKey;
use kms_crypto::passphrase::{self, Cost, SALT_LENGTH};
use kms_crypto::seal::SealKey;
use kms_crypto::{Secret, kdf};
use zeroize::Zeroizing;

use crate::Error;

/// The length of the key in a key file, in bytes.
const KEY_LENGTH: usize = 32;

/// What an archive is encrypted to.
pub enum Key {
    /// 32 random bytes.
    File(Secret),
    /// A passphrase; what is tried costs its guesser what it costs us.
    Passphrase(Secret),
}

impl Key {
    /// The bytes of a key file; none if there are not exactly 32.
    pub fn file(bytes: Secret) -> Option<Self> {
        (bytes.len() == KEY_LENGTH).then_some(Self::File(bytes))
    }

    /// The secret that the keys of one archive are derived from.
    pub(crate) fn root(&self, salt: &[u8; SALT_LENGTH], cost: Cost) -> Result<Secret, Error> {
        match self {
            Self::File(key) => Ok(key.clone()),
            Self::Passphrase(text) => Ok(passphrase::derive(text.expose(), salt, cost)?),
        }
    }
}

/// The keys of one archive: what its header says is part of them.
pub(crate) struct Keys {
    pub(crate) header: MacKey,
    pub(crate) frames: SealKey,
}

impl Keys {
    pub(crate) fn derive(root: &Secret, header: &[u8]) -> Result<Self, Error> {
        let key = |label: &[u8]| {
            let mut key = Zeroizing::new([0; KEY_LENGTH]);
            let info = [b"kms archive v1 ".as_slice(), label];
            kdf::hkdf_sha256_into(root.expose(), header, &info, &mut *key)?;
            Ok::<_, Error>(key)
        };
        Ok(Self {
            header: MacKey::new(&*key(b"header")?),
            frames: SealKey::new(&*key(b"frames")?)?,
        })
    }
}
