//! The data key: made once for a database, kept in a slot that one kind of sealer opens.
//! It must never write the key anywhere but into a slot.

use kms_crypto::random;
use kms_crypto::secret::Secret;
use kms_seal::{DATA_KEY_LENGTH, Sealer};
use kms_store::{KeyringRow, Store};

use crate::error::Error;
use crate::vault::Vault;

/// Why the keyring cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The database was set up for another kind of protection.
    #[error(
        "the keys of this database rest in a slot of kind {found:?}, and this server is set up for \
         {expected:?}; start it the way the database was set up"
    )]
    Kind {
        /// What the database has.
        found: String,
        /// What this server opens.
        expected: &'static str,
    },
    /// Nothing was ever kept in the database.
    #[error("the database has no data key yet; start the server on it first")]
    Empty,
    /// The slot does not open.
    #[error("the data key cannot be opened: {0}")]
    Seal(#[from] kms_seal::Error),
    /// The database failed.
    #[error("the keyring cannot be read: {0}")]
    Store(#[from] kms_store::Error),
    /// Something else failed.
    #[error("the service cannot start: {0}")]
    Start(Error),
}

/// The vault of a database, whose data key is made if there is none.
pub(crate) async fn open(store: &Store, sealer: &dyn Sealer) -> Result<Vault, OpenError> {
    let data_key = match data_key(store, sealer).await {
        Err(OpenError::Empty) => make(store, sealer).await?,
        found => found?,
    };
    Vault::new(&data_key).map_err(OpenError::Start)
}

impl Vault {
    /// The vault of a database that a server has been started on.
    pub async fn open(store: &Store, sealer: &dyn Sealer) -> Result<Self, OpenError> {
        Self::new(&data_key(store, sealer).await?).map_err(OpenError::Start)
    }
}

async fn data_key(store: &Store, sealer: &dyn Sealer) -> Result<Secret, OpenError> {
    match store.keyring().await?.first() {
        Some(row) if row.kind != sealer.kind() => {
            Err(OpenError::Kind { found: row.kind.clone(), expected: sealer.kind() })
        }
        Some(row) => Ok(sealer.unwrap(store.database_id(), &row.slot)?),
        None => Err(OpenError::Empty),
    }
}

async fn make(store: &Store, sealer: &dyn Sealer) -> Result<Secret, OpenError> {
    let key = random::bytes::<DATA_KEY_LENGTH>().map_err(|cause| start(&cause))?;
    let key = Secret::new(key.to_vec());
    let slot = sealer.wrap(store.database_id(), &key)?;
    let kind = sealer.kind().to_owned();
    match store.put_keyring(KeyringRow { generation: 1, kind, slot }, None).await {
        Ok(()) => Ok(key),
        // Another server was faster, or this one, and its answer was lost.
        Err(kms_store::Error::Exists { .. } | kms_store::Error::Unknown(_)) => {
            data_key(store, sealer).await
        }
        Err(error) => Err(error.into()),
    }
}

fn start(cause: &dyn std::error::Error) -> OpenError {
    OpenError::Start(Error::internal(cause.to_string()))
}
