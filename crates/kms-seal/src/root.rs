//! The root key's file: read within limits, made for its owner alone, refused if others can reach it.
//!
//! What it holds is told without a guess. 64 hexadecimal digits are a key. 32 bytes that are no text
//! are a key. Any other line of text is a passphrase. 32 bytes that are text could be either, and are
//! refused.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use kms_crypto::random;
use kms_crypto::secret::Secret;
use rustix::fs::{self, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use zeroize::Zeroizing;

/// The size of a root key, in bytes.
const KEY_LENGTH: usize = 32;
/// The fewest characters of a passphrase: six random words, or what random letters of that number
/// hold, which Argon2id makes as good as a key.
const PASSPHRASE_MIN: usize = 20;
/// The longest passphrase, in bytes.
const PASSPHRASE_MAX: usize = 1024;

/// Why a file gives no root key. Nothing of what is in it is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RootError {
    /// There is no such file.
    #[error("root key {}: there is no such file", .0.display())]
    Missing(PathBuf),
    /// The file cannot be used.
    #[error("root key {}: {why}; {mend}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
        /// What to do.
        mend: String,
    },
    /// What it holds is no root key.
    #[error(
        "root key {}: {why}; it holds 32 random bytes, 64 hexadecimal digits, or a passphrase: one \
         line of 20 characters or more", path.display()
    )]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
}

/// What a root key was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Form {
    /// Random bytes.
    Raw = 1,
    /// Text that somebody chose.
    Passphrase = 2,
}

impl Form {
    pub(crate) fn of(number: u8) -> Option<Self> {
        [Self::Raw, Self::Passphrase].into_iter().find(|form| *form as u8 == number)
    }
}

/// A root key.
pub struct RootKey {
    pub(crate) form: Form,
    pub(crate) bytes: Secret,
    path: PathBuf,
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RootKey").field("path", &self.path).finish_non_exhaustive()
    }
}

impl RootKey {
    /// Reads the file, if it is its owner's alone.
    pub fn read(path: &Path) -> Result<Self, RootError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = fs::open(path, flags, Mode::empty()).map_err(|errno| failed(path, errno))?;
        // What was really opened is what is looked at.
        admit(path, &fs::fstat(&file).map_err(|errno| failed(path, errno))?)?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(PASSPHRASE_MAX + 8));
        let limit = PASSPHRASE_MAX as u64 + 4;
        let read = std::fs::File::from(file).take(limit).read_to_end(&mut bytes);
        read.map_err(|error| refused(path, error.to_string(), "check the file system"))?;
        let key = Self::read_bytes(&bytes);
        let key = key.map_err(|why| RootError::Content { path: path.to_owned(), why })?;
        Ok(Self { path: path.to_owned(), ..key })
    }

    pub(crate) fn read_bytes(bytes: &[u8]) -> Result<Self, &'static str> {
        let made = |form, bytes| Ok(Self { form, bytes, path: PathBuf::new() });
        let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if let Some(key) = from_hex(line) {
            return if is_uniform(key.expose()) { Err(UNIFORM) } else { made(Form::Raw, key) };
        }
        let text = str::from_utf8(line).ok().filter(|it| !it.chars().any(char::is_control));
        match (text, bytes.len()) {
            (Some(_), KEY_LENGTH) => Err("its 32 bytes are text, so that it could be a key or a \
                 passphrase: write the key as hexadecimal digits, or a longer passphrase"),
            (None, KEY_LENGTH) if is_uniform(bytes) => Err(UNIFORM),
            (None, KEY_LENGTH) => made(Form::Raw, bytes.into()),
            (None, _) => Err("it is neither a key of 32 bytes nor one line of text"),
            (Some(text), _) if text.len() > PASSPHRASE_MAX => Err("it is longer than 1024 bytes"),
            (Some(text), _) if text.chars().count() < PASSPHRASE_MIN => {
                Err("a passphrase is too short")
            }
            (Some(text), _) if is_uniform(text.as_bytes()) => Err(UNIFORM),
            (Some(text), _) => made(Form::Passphrase, text.as_bytes().into()),
        }
    }

    /// Makes a new key and its file, which must not be there; both are on the disk when it returns.
    /// The directory is made, for its owner alone, where it is missing.
    pub fn make(path: &Path) -> Result<Self, RootError> {
        let directory = path.parent().unwrap_or(Path::new("."));
        make_directory(directory).map_err(|errno| failed(directory, errno))?;
        let key = loop {
            let random = || refused(path, "there are no random bytes", "look at the system");
            let bytes = random::secret(KEY_LENGTH).map_err(|_cause| random())?;
            // One of many billions could be mistaken for text.
            if let Ok(key) = Self::read_bytes(bytes.expose()) {
                break key;
            }
        };
        write(path, directory, key.bytes.expose()).map_err(|errno| failed(path, errno))?;
        Ok(Self { path: path.to_owned(), ..key })
    }

    /// Where it is, and whether it is a key or a passphrase.
    pub(crate) fn describe(&self) -> String {
        let form = match self.form {
            Form::Raw => "key",
            Form::Passphrase => "passphrase",
        };
        format!("{form} in {}", self.path.display())
    }
}

const UNIFORM: &str = "it is one byte again and again";

fn is_uniform(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| Some(byte) == bytes.first())
}

fn from_hex(digits: &[u8]) -> Option<Secret> {
    let mut key = Secret::zeroed(KEY_LENGTH);
    hex::decode_to_slice(digits, key.expose_mut()).ok()?;
    Some(key)
}

fn make_directory(directory: &Path) -> Result<(), Errno> {
    if directory.as_os_str().is_empty() {
        return Ok(());
    }
    match fs::mkdir(directory, Mode::RWXU) {
        Ok(()) => directory.parent().map_or(Ok(()), sync),
        Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// A file under another name first, so that the key is there whole or not at all.
fn write(path: &Path, directory: &Path, bytes: &[u8]) -> Result<(), Errno> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let draft = PathBuf::from(name);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file: OwnedFd = fs::open(&draft, flags, Mode::RUSR | Mode::WUSR)?;
    let mut file = std::fs::File::from(file);
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    let written = written.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO));
    // A second name, which unlike a new name for the first never replaces what is there.
    let linked = written.and_then(|()| fs::link(&draft, path));
    let removed = fs::unlink(&draft);
    linked.and(removed)?;
    sync(directory)
}

fn sync(directory: &Path) -> Result<(), Errno> {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    fs::fsync(fs::open(directory, flags, Mode::empty())?)
}

fn refused(path: &Path, why: impl Into<String>, mend: impl Into<String>) -> RootError {
    RootError::File { path: path.to_owned(), why: why.into(), mend: mend.into() }
}

fn failed(path: &Path, errno: Errno) -> RootError {
    match errno {
        Errno::NOENT => RootError::Missing(path.to_owned()),
        Errno::LOOP => refused(path, "it is a symbolic link", "name the file itself"),
        Errno::ACCESS | Errno::PERM => {
            refused(path, "this user may not reach it", "give it to the user that runs the server")
        }
        Errno::EXIST => refused(path, "it is there already", "name another file"),
        other => refused(path, format!("the system says: {other}"), "check the file system"),
    }
}

/// Whether a file is ours alone.
fn admit(path: &Path, stat: &Stat) -> Result<(), RootError> {
    let shown = path.display();
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(refused(path, "it is not a file", "name a file"));
    }
    let us = rustix::process::geteuid().as_raw();
    if stat.st_uid != us {
        let why = format!("it belongs to user {}, not to user {us}", stat.st_uid);
        return Err(refused(path, why, format!("if you trust it: chown {us} {shown}")));
    }
    if stat.st_mode & 0o077 != 0 {
        let why = format!("it is open to others (mode {:o})", stat.st_mode & 0o777);
        return Err(refused(path, why, format!("close it: chmod 600 {shown}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn form(bytes: &[u8]) -> Result<Form, &'static str> {
        RootKey::read_bytes(bytes).map(|key| key.form)
    }

    #[test]
    fn what_a_file_holds_is_told_without_a_guess() {
        let binary: Vec<u8> = (100..132).collect();
        let hex = hex::encode(&binary);
        assert_eq!(form(&binary), Ok(Form::Raw));
        for ending in ["", "\n", "\r\n"] {
            let key = RootKey::read_bytes(format!("{hex}{ending}").as_bytes()).unwrap();
            assert_eq!((key.form, key.bytes.expose()), (Form::Raw, binary.as_slice()));
            let long = format!("correct horse battery staple{ending}");
            let key = RootKey::read_bytes(long.as_bytes()).unwrap();
            assert_eq!(key.form, Form::Passphrase);
            assert_eq!(key.bytes.expose(), b"correct horse battery staple");
        }
        for (bytes, says) in [
            // Of the length of a key, with and without its newline.
            (b"correct horse battery staple abc".as_slice(), "could be"),
            (b"correct horse battery staple ab\n", "could be"),
            (b"too short a word", "too short"),
            (b"", "too short"),
            (&[0; 32], "again"),
            ("0".repeat(64).as_bytes(), "again"),
            ("a".repeat(40).as_bytes(), "again"),
            (&binary[..31], "neither"),
            (&[&binary[..], b"\n"].concat(), "neither"),
            (b"correct horse battery staple\nand a second line", "neither"),
            (&[b'a'; 1100], "longer"),
        ] {
            let why = form(bytes).unwrap_err();
            assert!(why.contains(says), "{}: {why}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_key_is_made_once_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys/root.key");
        let made = RootKey::make(&path).unwrap();
        let bits = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((bits(&path), bits(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(std::fs::read(&path).unwrap(), made.bytes.expose());
        assert_eq!(RootKey::read(&path).unwrap().bytes.expose(), made.bytes.expose());
        assert!(RootKey::make(&path).unwrap_err().to_string().contains("there already"));
        assert_eq!(std::fs::read(&path).unwrap(), made.bytes.expose());
        let left = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(left, 1, "a draft is left behind");
    }

    #[test]
    fn a_file_that_others_reach_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("root.key");
        assert_eq!(RootKey::read(&path).unwrap_err(), RootError::Missing(path.clone()));
        RootKey::make(&path).unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(RootKey::read(&link).unwrap_err().to_string().contains("symbolic link"));
        assert!(RootKey::read(directory.path()).unwrap_err().to_string().contains("not a file"));
        for mode in [0o640, 0o604, 0o660, 0o644] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let refusal = RootKey::read(&path).unwrap_err().to_string();
            assert!(refusal.contains("chmod 600"), "{mode:o}: {refusal}");
        }
    }
}
