//! Files that are there whole or not at all, for nobody but us; keys in them are sealed.
//!
//! A file is written beside its place, synchronised, and renamed. Must not know what is in it.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kms_crypto::Secret;

/// The longest file that is read, in bytes.
pub(crate) const FILE_BYTES_MAX: u64 = 1 << 20;
/// For the owner alone.
const OWNER: u32 = 0o600;

/// How private keys are kept on disk. An implementation may block.
pub trait KeySealer: Send + Sync {
    /// What is written in the place of `key`, a PEM text or DER. `name` says which key it is; what
    /// was sealed under one name must not be opened under another.
    fn seal(&self, name: &str, key: &[u8]) -> Result<Vec<u8>, SealError>;
    /// The key of what was written.
    fn open(&self, name: &str, sealed: &[u8]) -> Result<Secret, SealError>;
}

/// Why a key could not be sealed or opened. Holds nothing of the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SealError(pub String);

/// Keys in plain files: who reads the file has the key.
#[derive(Clone, Copy, Debug)]
pub struct PlainFiles;

impl KeySealer for PlainFiles {
    fn seal(&self, _name: &str, key: &[u8]) -> Result<Vec<u8>, SealError> {
        Ok(key.to_vec())
    }

    fn open(&self, _name: &str, sealed: &[u8]) -> Result<Secret, SealError> {
        Ok(Secret::new(sealed.to_vec()))
    }
}

/// A directory of such files.
#[derive(Clone)]
pub(crate) struct Place {
    directory: Arc<Path>,
    sealer: Arc<dyn KeySealer>,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// What failed with which file.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub(crate) struct PlaceError {
    pub(crate) path: PathBuf,
    pub(crate) reason: String,
}

impl PlaceError {
    pub(crate) fn new(path: PathBuf, reason: impl fmt::Display) -> Self {
        Self { path, reason: reason.to_string() }
    }
}

impl Place {
    /// The files of `directory`.
    pub(crate) fn new(directory: &Path, sealer: Arc<dyn KeySealer>) -> Self {
        Self { directory: directory.into(), sealer }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// What a file holds, if it is there.
    pub(crate) async fn read(&self, name: &'static str) -> Result<Option<Secret>, PlaceError> {
        let path = self.path(name);
        blocking(move || {
            read(&path)
                .map(|found| found.map(Secret::new))
                .map_err(|error| PlaceError::new(path, error))
        })
        .await
    }

    /// Writes a file for the owner alone, whole or not at all.
    pub(crate) async fn write(&self, name: &'static str, bytes: Secret) -> Result<(), PlaceError> {
        let path = self.path(name);
        blocking(move || {
            write(&path, bytes.expose(), OWNER).map_err(|error| PlaceError::new(path, error))
        })
        .await
    }

    /// The key in a file, if the file is there.
    pub(crate) async fn read_key(&self, name: &'static str) -> Result<Option<Secret>, PlaceError> {
        let Some(kept) = self.read(name).await? else { return Ok(None) };
        let (path, sealer) = (self.path(name), Arc::clone(&self.sealer));
        blocking(move || {
            sealer.open(name, kept.expose()).map(Some).map_err(|error| PlaceError::new(path, error))
        })
        .await
    }

    /// Writes a key, sealed.
    pub(crate) async fn write_key(
        &self,
        name: &'static str,
        key: Secret,
    ) -> Result<(), PlaceError> {
        let (path, sealer) = (self.path(name), Arc::clone(&self.sealer));
        let closed = blocking(move || {
            sealer.seal(name, key.expose()).map_err(|error| PlaceError::new(path, error))
        })
        .await?;
        self.write(name, Secret::new(closed)).await
    }

    /// Puts a file in the place of another, in one step.
    pub(crate) async fn rename(
        &self,
        from: &'static str,
        to: &'static str,
    ) -> Result<(), PlaceError> {
        let (from, to) = (self.path(from), self.path(to));
        blocking(move || {
            let renamed = fs::rename(&from, &to).and_then(|()| sync_directory(&to));
            renamed.map_err(|error| PlaceError::new(to, error))
        })
        .await
    }

    /// Takes a file away, if it is there.
    pub(crate) async fn remove(&self, name: &'static str) -> Result<(), PlaceError> {
        let path = self.path(name);
        blocking(move || remove(&path).map_err(|error| PlaceError::new(path, error))).await
    }
}

/// Runs what waits for a disk where that holds nobody up.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PlaceError> + Send + 'static,
) -> Result<T, PlaceError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(PlaceError::new(PathBuf::new(), error)),
    }
}

/// What a file holds, if it is there.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > FILE_BYTES_MAX) {
        return Err(io::Error::other(format!("it is longer than {FILE_BYTES_MAX} bytes")));
    }
    Ok(Some(bytes))
}

/// Writes a file whole or not at all, with these permissions.
pub(crate) fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let beside = beside(path);
    let written = write_new(&beside, bytes, mode).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // What is half there is of no use, and on a full disk in the way. The first error counts.
        drop(remove(&beside));
    }
    written.and_then(|()| sync_directory(path))
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    // Left behind by somebody who was killed.
    remove(path)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Where a file is written before it is in its place.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    path.with_file_name(name)
}

pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// After this a rename is still there when the power was lost.
fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => File::open(".")?.sync_all(),
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}
