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

pub(crate) async fn open(store: &Store, sealer: &dyn Sealer) -> Result<Vault, OpenError> {
    let database = store.database_id();
    let rows = store.keyring().await?;
    let data_key = match rows.first() {
        Some(row) if row.kind != sealer.kind() => {
            return Err(OpenError::Kind { found: row.kind.clone(), expected: sealer.kind() });
        }
        Some(row) => sealer.unwrap(database, &row.slot)?,
        None => {
            let key = random::bytes::<DATA_KEY_LENGTH>().map_err(|cause| start(&cause))?;
            let key = Secret::new(key.to_vec());
            let slot = sealer.wrap(database, &key)?;
            let kind = sealer.kind().to_owned();
            store.put_keyring(KeyringRow { generation: 1, kind, slot }, None).await?;
            key
        }
    };
    Vault::new(&data_key).map_err(OpenError::Start)
}

fn start(cause: &dyn std::error::Error) -> OpenError {
    OpenError::Start(Error::internal(cause.to_string()))
}
