//! The files of an `SQLite` database: made for us alone, refused if they are anybody else's, and
//! held by one server at a time.
//!
//! It must not know what is in them. The directory may be one that everybody writes to, such as
//! `/tmp`: each name may have been taken by somebody else before us.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::OpenError;

/// The right to use a database: released when dropped.
pub(super) struct Claim {
    /// The database file, by a path without links.
    pub(super) path: PathBuf,
    /// Whether the file was made just now.
    pub(super) created: bool,
    _lock: Lock,
}

/// The lock on `kms.db.lock`.
struct Lock(OwnedFd);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone would leave it to a child process that is just being started and has
        // inherited the file for a moment.
        if let Err(errno) = fs::flock(&self.0, FlockOperation::Unlock) {
            tracing::warn!(%errno, "the database's lock could not be released");
        }
    }
}

/// Takes the database in a directory, or says why not.
pub(super) fn claim(directory: &Path) -> Result<Claim, OpenError> {
    let directory = admit_directory(directory)?;
    let path = directory.join("kms.db");
    // The lock comes first: closing a file of the database would take away the locks that another
    // store in this process holds on it.
    let (lock, _) = open_private(&directory.join("kms.db.lock"))?;
    match fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Err(OpenError::Locked { path }),
        Err(errno) => return Err(refused(&path, format!("it cannot be locked ({errno})"), HELP)),
    }
    let lock = Lock(lock);
    admit_companions(&path)?;
    let (file, created) = open_private(&path)?;
    if created {
        sync_directory(&directory).map_err(|errno| failed(&directory, errno))?;
    }
    drop(file);
    Ok(Claim { path, created, _lock: lock })
}

/// The database in a directory, by a path without links, without taking it. Nothing is opened:
/// closing a file of the database would take away the locks of another store in this process.
pub(super) fn find(directory: &Path) -> Result<PathBuf, OpenError> {
    let path = admit_directory(directory)?.join("kms.db");
    match fs::statat(fs::CWD, &path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => admit(&path, &stat)?,
        Err(Errno::NOENT) => {
            let mend = "start the server once with the same --root-dir, or name the right one";
            return Err(refused(&path, "there is no database", mend));
        }
        Err(errno) => return Err(failed(&path, errno)),
    }
    admit_companions(&path)?;
    Ok(path)
}

/// Refuses files beside the database that are not ours.
pub(super) fn admit_companions(path: &Path) -> Result<(), OpenError> {
    for suffix in ["-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let companion = PathBuf::from(name);
        match fs::statat(fs::CWD, &companion, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => admit(&companion, &stat)?,
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(failed(&companion, errno)),
        }
    }
    Ok(())
}

const HELP: &str = "check the file system, or choose another directory with --root-dir";

fn refused(path: &Path, why: impl Into<String>, mend: impl Into<String>) -> OpenError {
    OpenError::Database { path: path.to_owned(), why: why.into(), mend: mend.into() }
}

/// An answer of the operating system in our words.
fn failed(path: &Path, errno: Errno) -> OpenError {
    let shown = path.display();
    match errno {
        Errno::NOENT => {
            refused(path, "the directory is not there", format!("make it: mkdir -p {shown}"))
        }
        Errno::NOTDIR => {
            refused(path, "it is not a directory", "choose another directory with --root-dir")
        }
        Errno::ACCESS | Errno::PERM => refused(
            path,
            "this user may not read and write here",
            "give the directory and its files to the user that runs the server, or choose another directory with --root-dir",
        ),
        Errno::ROFS => refused(
            path,
            "the file system is read-only",
            "mount it for writing, or choose another directory with --root-dir",
        ),
        Errno::NOSPC | Errno::DQUOT => refused(path, "the disk is full", "make room"),
        Errno::LOOP => refused(path, "it is a symbolic link", format!("remove it: rm {shown}")),
        other => refused(path, format!("the system says: {other}"), HELP),
    }
}

/// The directory by its real name.
fn admit_directory(directory: &Path) -> Result<PathBuf, OpenError> {
    let real = std::fs::canonicalize(directory)
        .map_err(|error| failed(directory, Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
    let stat = fs::stat(&real).map_err(|errno| failed(&real, errno))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(failed(&real, Errno::NOTDIR));
    }
    // In a directory open to everyone, only the sticky bit keeps others from replacing our files.
    if stat.st_mode & 0o002 != 0 && stat.st_mode & 0o1000 == 0 {
        return Err(refused(
            &real,
            "every user may remove and replace files here",
            format!("close it: chmod o-w {}", real.display()),
        ));
    }
    Ok(real)
}

/// Opens a file that only we can read, or makes it; true if it was made.
fn open_private(path: &Path) -> Result<(OwnedFd, bool), OpenError> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    match fs::open(path, flags | OFlags::CREATE | OFlags::EXCL, Mode::RUSR | Mode::WUSR) {
        Ok(file) => return Ok((file, true)),
        Err(Errno::EXIST) => {}
        Err(errno) => return Err(failed(path, errno)),
    }
    let stat = fs::statat(fs::CWD, path, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|errno| failed(path, errno))?;
    admit(path, &stat)?;
    let file = fs::open(path, flags, Mode::empty()).map_err(|errno| failed(path, errno))?;
    // Once more, on what was really opened.
    admit(path, &fs::fstat(&file).map_err(|errno| failed(path, errno))?)?;
    Ok((file, false))
}

/// Whether a file is ours alone.
fn admit(path: &Path, stat: &Stat) -> Result<(), OpenError> {
    let shown = path.display();
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {}
        FileType::Symlink => {
            return Err(refused(
                path,
                "it is a symbolic link",
                format!("remove the link: rm {shown}, and name the real directory with --root-dir"),
            ));
        }
        _ => return Err(refused(path, "it is not a file", format!("remove it: rm -r {shown}"))),
    }
    let us = rustix::process::geteuid();
    if stat.st_uid != us.as_raw() {
        return Err(refused(
            path,
            format!("it belongs to user {}, not to user {}", stat.st_uid, us.as_raw()),
            format!("if you trust it: chown {} {shown}", us.as_raw()),
        ));
    }
    if stat.st_mode & 0o077 != 0 {
        return Err(refused(
            path,
            format!("it is open to others (mode {:o})", stat.st_mode & 0o777),
            format!("close it: chmod 600 {shown}"),
        ));
    }
    if stat.st_nlink > 1 {
        return Err(refused(
            path,
            "it has a second name (a hard link)",
            format!("find and remove the other: find / -xdev -samefile {shown}"),
        ));
    }
    Ok(())
}

/// Makes a new name in the directory durable.
fn sync_directory(directory: &Path) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    fs::fsync(fs::open(directory, flags, Mode::empty())?)
}
