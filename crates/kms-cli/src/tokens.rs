//! The token file: who is logged in where.
//!
//! `tokens.json` beside the profile file, for its owner alone. A login belongs to one server (scheme,
//! host and port) and, where a profile was named, to that profile, so that two profiles of one
//! server may be two users. It must not connect to anything.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::{Error, Kind};
use crate::files;
use crate::profiles::Config;
use crate::secret_text::SecretText;

/// The largest file that is read; it holds some hundred logins.
const FILE_LIMIT: u64 = 4 << 20;
/// How long another `kms` may keep the file to itself: as long as a provider may take to answer.
const LOCK_PATIENCE: Duration = Duration::from_mins(1);

/// The file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tokens {
    logins: Vec<Login>,
}

/// One user at one server.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    /// The server: scheme, host and port. The token is sent to no other.
    server: String,
    /// The profile by which the server was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<String>,
    /// What is sent to the server.
    pub(crate) access_token: SecretText,
    /// When it runs out, in seconds since 1970, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<i64>,
    /// Where it came from; absent for one that was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<Source>,
}

/// For what a login counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The server: scheme, host and port.
    pub(crate) server: String,
    /// The profile by which it is named.
    pub(crate) profile: Option<String>,
}

/// The provider that gave a token.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) audience: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scope: Option<String>,
    /// What gets a new token when this one runs out, where the provider gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refresh_token: Option<SecretText>,
}

impl Login {
    /// A login that counts for `place`.
    pub(crate) fn new(place: Place, access_token: SecretText, expires: Option<i64>) -> Self {
        let Place { server, profile } = place;
        Self { server, profile, access_token, expires, source: None }
    }

    /// Where it counts: scheme, host and port.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    fn is_at(&self, place: &Place) -> bool {
        self.server == place.server && self.profile == place.profile
    }
}

impl Tokens {
    /// The login that counts for `place`.
    pub(crate) fn at(&self, place: &Place) -> Option<&Login> {
        self.logins.iter().find(|login| login.is_at(place))
    }

    /// Puts a login in the place of the one that was there.
    pub(crate) fn put(&mut self, login: Login) {
        self.logins.retain(|old| old.server != login.server || old.profile != login.profile);
        self.logins.push(login);
    }

    /// Takes a login out.
    pub(crate) fn remove(&mut self, place: &Place) -> Option<Login> {
        let at = self.logins.iter().position(|login| login.is_at(place))?;
        Some(self.logins.remove(at))
    }

    /// Where the file is.
    pub(crate) fn path() -> Result<PathBuf, Error> {
        Ok(Config::path()?.with_file_name("tokens.json"))
    }

    /// Reads the file; an absent one is empty, and one that others may read is refused.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let failed = |error: io::Error| Error::file("read", path, &error);
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(failed(error)),
        };
        let metadata = file.metadata().map_err(failed)?;
        private(path, &metadata)?;
        let length = metadata.len();
        if length > FILE_LIMIT {
            return Err(Error::new(Kind::File, format!("{} is too large", path.display())));
        }
        // As long as the file is, so that no copy is left behind by a buffer that grew.
        let capacity = usize::try_from(length).unwrap_or_default().saturating_add(1);
        let mut text = Zeroizing::new(Vec::with_capacity(capacity));
        file.take(length).read_to_end(&mut text).map_err(failed)?;
        serde_json::from_slice(&text).map_err(|error| {
            // Only the place is told: the text is tokens.
            let (line, column) = (error.line(), error.column());
            let place = path.display();
            Error::new(Kind::File, format!("{place} is wrong at line {line}, column {column}"))
                .hint("remove it, and log in again with `kms login`")
        })
    }

    fn write(&self, path: &Path) -> Result<(), Error> {
        let texts = self.logins.iter().map(|login| {
            let refresh = login.source.as_ref().and_then(|it| it.refresh_token.as_ref());
            login.access_token.expose().len() + refresh.map_or(0, |it| it.expose().len())
        });
        // Enough at once, for the same reason.
        let enough = 4_096 * (self.logins.len() + 1) + 2 * texts.sum::<usize>();
        let mut text = Zeroizing::new(Vec::with_capacity(enough));
        serde_json::to_writer_pretty(&mut *text, self)
            .map_err(|error| Error::unexpected(error.to_string()))?;
        files::write_whole(path, &text, files::Existing::Replace)
    }
}

/// What the owner alone may do with a file.
#[cfg(unix)]
const OWNER: u32 = 0o700;

/// Whether the file is its owner's alone.
#[cfg(unix)]
fn private(path: &Path, metadata: &std::fs::Metadata) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode() & 0o777;
    if mode | OWNER == OWNER {
        return Ok(());
    }
    let shown = path.display();
    Err(Error::new(
        Kind::File,
        format!("{shown} holds tokens, and others than its owner may read it (mode {mode:04o})"),
    )
    .hint(format!(
        "if nobody has, `chmod 600 {}`; else remove it, and log in again with `kms login`",
        crate::error::quoted(&path.to_string_lossy())
    )))
}

#[cfg(not(unix))]
fn private(_: &Path, _: &std::fs::Metadata) -> Result<(), Error> {
    Ok(())
}

/// The file, while nobody else may change it.
#[derive(Debug)]
pub(crate) struct Locked {
    path: PathBuf,
    /// The lock ends with it.
    _lock: File,
}

impl Locked {
    /// Waits until the file is free.
    pub(crate) async fn wait(path: &Path) -> Result<Self, Error> {
        let beside = path.with_file_name("tokens.lock");
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)
                .map_err(|error| Error::file("made", directory, &error))?;
        }
        let file = open_lock(&beside).map_err(|error| Error::file("written", &beside, &error))?;
        // A thread that still waits when we give up ends with the process.
        let waiting = tokio::task::spawn_blocking(move || file.lock().map(|()| file));
        let locked = tokio::time::timeout(LOCK_PATIENCE, waiting).await.map_err(|_late| {
            Error::new(Kind::File, format!("another kms keeps {} locked", beside.display()))
                .hint("wait for it, or end it")
        })?;
        let file = locked
            .map_err(|error| Error::unexpected(error.to_string()))?
            .map_err(|error| Error::file("locked", &beside, &error))?;
        Ok(Self { path: path.to_owned(), _lock: file })
    }

    /// What the file holds now.
    pub(crate) fn read(&self) -> Result<Tokens, Error> {
        Tokens::read(&self.path)
    }

    /// Puts `tokens` in its place, whole or not at all.
    pub(crate) fn write(&self, tokens: &Tokens) -> Result<(), Error> {
        tokens.write(&self.path)
    }
}

fn open_lock(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(profile: Option<&str>) -> Place {
        let server = "http://localhost:9998".to_owned();
        Place { server, profile: profile.map(str::to_owned) }
    }

    fn login(profile: Option<&str>, token: &str) -> Login {
        Login::new(place(profile), SecretText::new(token.to_owned()), None)
    }

    #[tokio::test]
    async fn what_is_written_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kms/tokens.json");
        let locked = Locked::wait(&path).await.unwrap();
        let mut tokens = locked.read().unwrap();
        tokens.put(login(None, "first"));
        tokens.put(login(Some("a"), "second"));
        tokens.put(login(None, "third"));
        locked.write(&tokens).unwrap();
        let mut tokens = Tokens::read(&path).unwrap();
        let text = |tokens: &Tokens, profile| {
            tokens.at(&place(profile)).map(|it| it.access_token.expose().to_owned())
        };
        assert_eq!(text(&tokens, None).as_deref(), Some("third"));
        assert_eq!(text(&tokens, Some("a")).as_deref(), Some("second"));
        assert_eq!(text(&tokens, Some("b")), None);
        let elsewhere = Place { server: "http://localhost:9999".to_owned(), profile: None };
        assert!(tokens.at(&elsewhere).is_none(), "another port is another server");
        assert!(tokens.remove(&place(None)).is_some() && tokens.at(&place(None)).is_none());
    }

    #[tokio::test]
    async fn changes_wait_for_each_other() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokens.json");
        let first = Locked::wait(&path).await.unwrap();
        let mut second = Box::pin(Locked::wait(&path));
        let early = tokio::time::timeout(Duration::from_millis(50), &mut second).await;
        assert!(early.is_err(), "two have it at once");
        drop(first);
        second.await.unwrap();
    }

    #[test]
    #[cfg(unix)]
    fn a_file_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokens.json");
        let mut tokens = Tokens::default();
        tokens.put(login(None, "sesame"));
        tokens.write(&path).unwrap();
        for (mode, good) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(Tokens::read(&path).is_ok(), good, "{mode:o}");
        }
    }

    #[test]
    fn an_error_repeats_nothing_of_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokens.json");
        files::write_whole(&path, b"{\"logins\": [\"sesame\"]}", files::Existing::Keep).unwrap();
        let error = Tokens::read(&path).unwrap_err();
        assert!(!format!("{error:?}").contains("sesame"), "{error:?}");
    }
}
