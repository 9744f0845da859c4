//! Files of this machine: read within limits, written whole or not at all, for their owner alone.
//!
//! It must not know what is in them.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Read, Write};
use std::path::{Path, PathBuf};

use kms_crypto::{Secret, random};

use crate::error::{Error, Kind};

/// The largest key file that is read.
const KEY_FILE_LIMIT: u64 = 16 << 20;

/// What to do where a file of the name is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// Refuse.
    Keep,
    /// Put the new one in its place.
    Replace,
}

impl Existing {
    /// What `--force` means.
    pub(crate) fn forced(force: bool) -> Self {
        if force { Self::Replace } else { Self::Keep }
    }
}

/// Whether a path on the command line means standard input or output.
pub(crate) fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Opens a file, or standard input for `-`; its length, where that is known.
pub(crate) fn open(path: &Path) -> Result<(Box<dyn Read + Send>, Option<u64>), Error> {
    if is_standard(path) {
        return Ok((Box::new(io::stdin()), None));
    }
    let failed = |error: io::Error| Error::file("read", path, &error);
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(Error::new(Kind::File, format!("{} is a directory", path.display())));
    }
    let length = metadata.is_file().then_some(metadata.len());
    Ok((Box::new(file), length))
}

/// Reads a file that holds a key.
pub(crate) fn read_key(path: &Path) -> Result<Secret, Error> {
    let (from, length) = open(path)?;
    // As long as the file is, so that no copy is left behind by a buffer that grew.
    let capacity = usize::try_from(length.unwrap_or(KEY_FILE_LIMIT).min(KEY_FILE_LIMIT) + 1);
    let mut bytes = Vec::with_capacity(capacity.unwrap_or_default());
    let read = from.take(KEY_FILE_LIMIT + 1).read_to_end(&mut bytes);
    let bytes = Secret::new(bytes);
    read.map_err(|error| Error::file("read", path, &error))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > KEY_FILE_LIMIT {
        return Err(Error::new(Kind::File, format!("{} is too large for a key", path.display())));
    }
    Ok(bytes)
}

/// Writes bytes to a file of mode 0600, or to standard output for `-`.
pub(crate) fn write_key(path: &Path, bytes: &[u8], existing: Existing) -> Result<(), Error> {
    if is_standard(path) {
        let text = std::str::from_utf8(bytes).is_ok_and(|text| !text.contains('\0'));
        let mut out = io::stdout().lock();
        if out.is_terminal() && !text {
            return Err(Error::usage("binary data is not written to a terminal")
                .hint("name a file with -o FILE, or use --format base64, hex or pem"));
        }
        return out
            .write_all(bytes)
            .and_then(|()| out.flush())
            .map_err(|error| Error::file("written", path, &error));
    }
    write_whole(path, bytes, existing)
}

/// Writes a file of mode 0600 under its name only when it is whole.
pub(crate) fn write_whole(path: &Path, bytes: &[u8], existing: Existing) -> Result<(), Error> {
    let mut pending = Pending::create(path, existing)?;
    pending.write_all(bytes).map_err(|error| Error::file("written", path, &error))?;
    pending.finish()
}

/// A file that is being written: removed when dropped, under its name only after `finish`.
#[derive(Debug)]
pub(crate) struct Pending {
    file: File,
    temporary: PathBuf,
    target: PathBuf,
    existing: Existing,
    done: bool,
}

impl Pending {
    /// Begins a file beside `target`, which is not touched yet.
    pub(crate) fn create(target: &Path, existing: Existing) -> Result<Self, Error> {
        let failed = |error: io::Error| Error::file("written", target, &error);
        match std::fs::symlink_metadata(target) {
            Ok(found) if found.is_dir() => {
                return Err(Error::new(Kind::File, format!("{} is a directory", target.display())));
            }
            Ok(_) if existing == Existing::Keep => return Err(exists(target)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let name = target
            .file_name()
            .ok_or_else(|| Error::usage(format!("{} names no file", target.display())))?;
        let random = random::bytes::<8>().map_err(|error| Error::unexpected(error.to_string()))?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.part", hex::encode(random)));
        let temporary = target.with_file_name(hidden);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&temporary).map_err(failed)?;
        Ok(Self { file, temporary, target: target.to_owned(), existing, done: false })
    }

    /// Another handle to write with, so that this one can stay with whoever may have to clean up.
    pub(crate) fn writer(&self) -> Result<File, Error> {
        self.file.try_clone().map_err(|error| Error::file("written", &self.target, &error))
    }

    /// Gives the file its name; on disk before this returns.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        let failed = |error: io::Error| Error::file("written", &self.target, &error);
        self.file.sync_all().map_err(failed)?;
        match self.existing {
            Existing::Replace => std::fs::rename(&self.temporary, &self.target).map_err(failed)?,
            // A link fails where the name was taken meanwhile; a rename would replace.
            Existing::Keep => match std::fs::hard_link(&self.temporary, &self.target) {
                Ok(()) => std::fs::remove_file(&self.temporary).map_err(failed)?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    return Err(exists(&self.target));
                }
                // Not every file system has links.
                Err(_) => std::fs::rename(&self.temporary, &self.target).map_err(failed)?,
            },
        }
        self.done = true;
        sync_directory(&self.target);
        Ok(())
    }
}

impl Write for Pending {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.file.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.done {
            // Nothing more can be done about it here; the error that led here is the one to tell.
            drop(std::fs::remove_file(&self.temporary));
        }
    }
}

fn exists(path: &Path) -> Error {
    Error::new(Kind::File, format!("{} is there already", path.display()))
        .hint("choose another name with -o FILE, or replace it with --force")
}

/// The name itself, on disk. Not every system can; the file is there all the same.
fn sync_directory(file: &Path) {
    let directory = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if let Ok(directory) = File::open(directory) {
        drop(directory.sync_all());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_appears_only_when_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        let mut pending = Pending::create(&path, Existing::Keep).unwrap();
        pending.write_all(b"half").unwrap();
        assert!(!path.exists());
        drop(pending);
        assert!(names(directory.path()).is_empty());
        write_whole(&path, b"whole", Existing::Keep).unwrap();
        assert_eq!(names(directory.path()), ["a"]);
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
    }

    #[test]
    fn what_is_there_stays_unless_forced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        write_whole(&path, b"first", Existing::Keep).unwrap();
        assert_eq!(write_whole(&path, b"second", Existing::Keep).unwrap_err().kind, Kind::File);
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
        write_whole(&path, b"second", Existing::Replace).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"second");
    }

    #[test]
    fn a_name_taken_meanwhile_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        let pending = Pending::create(&path, Existing::Keep).unwrap();
        std::fs::write(&path, b"other").unwrap();
        assert!(pending.finish().is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"other");
        assert_eq!(names(directory.path()), ["a"]);
    }

    #[test]
    #[cfg(unix)]
    fn only_the_owner_can_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        write_whole(&path, b"key", Existing::Keep).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
