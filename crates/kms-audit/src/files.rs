//! A log in files of one directory: `audit-SERVER-EPOCH-FIRST.jsonl`, append-only and for us alone.
//! Must never know what a line says.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::chain::Position;
use crate::line::{self, LINE_MAX};
use crate::sink::{Flush, Part, Sink, Source};

const PREFIX: &str = "audit-";
const SUFFIX: &str = ".jsonl";

/// Why a directory cannot hold a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("audit log {}: {why}; {mend}", path.display())]
pub struct Refused {
    /// The directory.
    pub path: PathBuf,
    /// What is wrong.
    pub why: String,
    /// What to do.
    pub mend: String,
}

/// The files of one server's log.
#[derive(Clone, Debug)]
pub struct Files {
    directory: PathBuf,
    server: String,
}

impl Files {
    /// The log of `server` in `directory`; nothing is touched.
    pub fn new(directory: impl Into<PathBuf>, server: &str) -> Self {
        Self { directory: directory.into(), server: server.to_owned() }
    }

    /// Makes the directory where it is not there, and refuses one that others can change.
    pub fn admit(&self) -> Result<(), Refused> {
        let path = &self.directory;
        make_directory(path)
            .and_then(|()| fs::stat(path))
            .map_err(|errno| self.refused(errno.to_string(), "look at the path and the disk"))
            .and_then(|stat| self.admit_stat(&stat))?;
        fs::access(path, fs::Access::WRITE_OK | fs::Access::EXEC_OK)
            .map_err(|errno| self.refused(errno.to_string(), "let the server write there"))
    }

    fn admit_stat(&self, stat: &Stat) -> Result<(), Refused> {
        let us = rustix::process::geteuid().as_raw();
        let shown = self.directory.display();
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            return Err(self.refused("it is not a directory", "name another with --audit-path"));
        }
        if stat.st_uid != us {
            let why = format!("it belongs to user {}, not to user {us}", stat.st_uid);
            return Err(self.refused(why, "name another directory with --audit-path"));
        }
        if stat.st_mode & 0o022 != 0 {
            let why = "others can remove and replace files here";
            return Err(self.refused(why, &format!("close it: chmod go-w {shown}")));
        }
        Ok(())
    }

    fn refused(&self, why: impl Into<String>, mend: &str) -> Refused {
        Refused { path: self.directory.clone(), why: why.into(), mend: mend.to_owned() }
    }

    /// Where the files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A sink that writes the files of `epoch`.
    pub fn sink(&self, epoch: u64) -> Box<dyn Sink> {
        Box::new(Writer { files: self.clone(), epoch, current: None, unflushed: Vec::new() })
    }

    fn name(&self, epoch: u64, first: u64) -> String {
        format!("{PREFIX}{}-{epoch:06}-{first:012}{SUFFIX}", self.server)
    }

    /// The part that a file of this name is, if it is one of ours.
    fn part(&self, name: &str) -> Option<Part> {
        let rest = name.strip_prefix(PREFIX)?.strip_prefix(&self.server)?.strip_prefix('-')?;
        let (epoch, first) = rest.strip_suffix(SUFFIX)?.split_once('-')?;
        let (epoch, first) = (epoch.parse().ok()?, first.parse().ok()?);
        (self.name(epoch, first) == name).then(|| Part { name: name.to_owned(), epoch, first })
    }

    fn open(&self, part: &Part) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        Ok(File::from(fs::open(self.directory.join(&part.name), flags, Mode::empty())?))
    }
}

impl Source for Files {
    fn parts(&self) -> io::Result<Vec<Part>> {
        let mut parts = Vec::new();
        let entries = match std::fs::read_dir(&self.directory) {
            // A log that is not there has no parts.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(parts),
            entries => entries?,
        };
        for entry in entries {
            parts.extend(entry?.file_name().to_str().and_then(|name| self.part(name)));
        }
        parts.sort_by_key(|part| (part.epoch, part.first));
        Ok(parts)
    }

    fn read(&self, part: &Part) -> io::Result<Box<dyn BufRead + '_>> {
        Ok(Box::new(BufReader::with_capacity(64 << 10, self.open(part)?)))
    }

    fn end(&self, part: &Part) -> io::Result<Option<Position>> {
        let mut file = self.open(part)?;
        let length = file.seek(SeekFrom::End(0))?;
        // The last whole line, and what may have been torn off behind it.
        let begin = length.saturating_sub(2 * LINE_MAX as u64);
        file.seek(SeekFrom::Start(begin))?;
        let mut bytes = Vec::new();
        file.take(2 * LINE_MAX as u64).read_to_end(&mut bytes)?;
        let lines = bytes.split_inclusive(|byte| *byte == b'\n').rev();
        Ok(lines.filter_map(line::parts).map(|it| Position { seq: it.seq, mac: it.mac }).next())
    }
}

/// Writes the files of one epoch.
struct Writer {
    files: Files,
    epoch: u64,
    current: Option<Current>,
    /// Ended files, and directories with new names, that are not durable yet.
    unflushed: Vec<Arc<OwnedFd>>,
}

struct Current {
    file: Arc<OwnedFd>,
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Sink for Writer {
    fn begin(&mut self, first: u64) -> io::Result<()> {
        if let Some(ended) = self.current.take() {
            self.unflushed.push(ended.file);
        }
        // It may have been removed since.
        make_directory(&self.files.directory)?;
        let path = self.files.directory.join(self.files.name(self.epoch, first));
        let flags = OFlags::WRONLY
            | OFlags::APPEND
            | OFlags::CREATE
            | OFlags::EXCL
            | OFlags::NOFOLLOW
            | OFlags::CLOEXEC;
        let file = match fs::open(&path, flags, Mode::RUSR | Mode::WUSR) {
            // We began it before and could not write to it: it has no whole line.
            Err(Errno::EXIST) => {
                fs::open(&path, flags - OFlags::CREATE - OFlags::EXCL, Mode::empty())?
            }
            opened => opened?,
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = fs::open(&self.files.directory, flags, Mode::empty())?;
        self.unflushed.push(Arc::new(directory));
        let stat = fs::fstat(&file)?;
        let (device, inode) = identity(&stat);
        self.current = Some(Current { file: Arc::new(file), path, device, inode });
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let current = self.current.as_ref().ok_or(io::ErrorKind::NotFound)?;
        match rustix::io::write(&current.file, bytes) {
            Ok(count) => Ok(count),
            Err(errno) => {
                // Where there was no room, the file goes on when there is.
                if !matches!(errno, Errno::NOSPC | Errno::DQUOT | Errno::FBIG | Errno::INTR) {
                    self.abandon();
                }
                Err(errno.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<Flush> {
        let mut files = std::mem::take(&mut self.unflushed);
        if let Some(current) = &self.current {
            current.check()?;
            files.push(Arc::clone(&current.file));
        }
        Ok(Box::new(move || files.iter().try_for_each(|file| Ok(fs::fdatasync(file)?))))
    }

    fn abandon(&mut self) {
        self.current = None;
    }

    fn is_begun(&self) -> bool {
        self.current.is_some()
    }
}

impl Current {
    /// Whether what we write to is still what stands in the directory under its name.
    fn check(&self) -> io::Result<()> {
        match fs::statat(fs::CWD, &self.path, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if identity(&stat) == (self.device, self.inode) => Ok(()),
            Ok(_) => Err(io::Error::other(format!("{} was replaced", self.path.display()))),
            Err(errno) => Err(io::Error::other(format!("{}: {errno}", self.path.display()))),
        }
    }
}

fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

fn make_directory(path: &Path) -> Result<(), Errno> {
    match fs::mkdir(path, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}
