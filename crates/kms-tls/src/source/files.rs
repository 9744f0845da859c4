//! A certificate in files of the operator's: PEM, or one PKCS#12. They are read again when they
//! change; what cannot be used then changes nothing, and is said.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kms_crypto::Secret;
use tokio::sync::{Notify, watch};

use crate::identity::{Identity, IdentityError};
use crate::place::{self, PlaceError};
use crate::resolver::Resolver;
use crate::source::{End, StartError};
use crate::status::{Failure, Origin, Status};
use crate::world::World;

/// How often the files are looked at, in seconds.
const LOOK_S: i64 = 10;

/// The files.
#[derive(Clone)]
pub struct Files {
    /// The certificates in PEM, the server's own first; or PKCS#12, with its key.
    pub certificate: PathBuf,
    /// The key in PEM, if it is in a file of its own.
    pub key: Option<PathBuf>,
    /// The password of a PKCS#12 file.
    pub password: Option<Arc<Secret>>,
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files")
            .field("certificate", &self.certificate)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl Files {
    /// Reads them.
    fn read(&self) -> Result<Identity, IdentityError> {
        let certificate = read(&self.certificate)?;
        if certificate.expose().starts_with(b"\x30") {
            let password = self.password.as_ref().map_or(&b""[..], |password| password.expose());
            let password = std::str::from_utf8(password)
                .map_err(|_not| IdentityError::new("its password is no text"))?;
            let identity = Identity::from_pkcs12(certificate.expose(), password);
            return identity.map_err(|error| error.at(&self.certificate));
        }
        let path = self.key.as_ref().unwrap_or(&self.certificate);
        let key = read(path)?;
        let identity = Identity::from_pem(certificate.expose(), key.expose());
        identity.map_err(|error| error.at(&self.certificate))
    }

    /// What changes when they do.
    fn marks(&self) -> Vec<Option<Mark>> {
        let paths = [Some(&self.certificate), self.key.as_ref()];
        paths.into_iter().flatten().map(|path| Mark::of(path)).collect()
    }
}

fn read(path: &Path) -> Result<Secret, IdentityError> {
    let error = |error: io::Error| IdentityError::new(error.to_string()).at(path);
    let found = place::read(path).map_err(error)?;
    found.map(Secret::new).ok_or_else(|| IdentityError::new("there is no such file").at(path))
}

/// What changes when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

impl Mark {
    fn of(path: &Path) -> Option<Self> {
        let data = fs::metadata(path).ok()?;
        let changed = (data.mtime(), data.mtime_nsec());
        Some(Self { inode: data.ino(), length: data.len(), changed })
    }
}

/// Files that are looked at again and again.
pub(crate) struct Watched {
    files: Files,
    world: World,
    wake: Arc<Notify>,
    resolver: Arc<Resolver>,
    status: watch::Sender<Status>,
    marks: Vec<Option<Mark>>,
}

impl Watched {
    pub(crate) async fn start(
        files: Files,
        world: World,
        wake: Arc<Notify>,
    ) -> Result<Self, StartError> {
        let (status, _) = watch::channel(Status::new(Origin::Files));
        let resolver = Arc::new(Resolver::default());
        let mut watched = Self { files, world, wake, resolver, status, marks: Vec::new() };
        watched.load().await.map_err(StartError::Files)?;
        Ok(watched)
    }

    pub(crate) fn resolver(&self) -> Arc<Resolver> {
        Arc::clone(&self.resolver)
    }

    pub(crate) fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    pub(crate) async fn run(mut self) -> End {
        let clock = Arc::clone(&self.world.clock);
        let wake = Arc::clone(&self.wake);
        loop {
            let forced = tokio::select! {
                () = clock.until(clock.now().saturating_add(LOOK_S)) => false,
                () = wake.notified() => true,
            };
            let files = self.files.clone();
            let marks = place::blocking(move || Ok(files.marks())).await;
            if !forced && marks.is_ok_and(|marks| marks == self.marks) {
                continue;
            }
            match self.load().await {
                Ok(()) => tracing::info!("the certificate was read again"),
                Err(what) => {
                    tracing::error!(
                        "the certificate was not read again; the old one stays: {what}"
                    );
                    let failure = Failure { at: clock.now(), what };
                    self.status.send_modify(|status| {
                        status.failures = status.failures.saturating_add(1);
                        status.last_failure = Some(failure);
                    });
                }
            }
        }
    }

    /// Reads them and serves what is in them.
    async fn load(&mut self) -> Result<(), String> {
        let files = self.files.clone();
        let read = move || {
            let marks = files.marks();
            Ok((marks, files.read()))
        };
        let (marks, identity) = match place::blocking(read).await {
            Ok(read) => read,
            Err(PlaceError { reason, .. }) => return Err(reason),
        };
        // What could not be used once is not read again until it changes.
        self.marks = marks;
        let identity = identity.map_err(|error| error.to_string())?;
        let now = self.world.clock.now();
        let wrong =
            |what| Err(format!("{}: the certificate {what}", self.files.certificate.display()));
        let facts = identity.facts();
        if now > facts.not_after {
            return wrong("has expired; renew it");
        }
        if !facts.is_valid(now) {
            return wrong("is not valid yet; check the clock");
        }
        self.resolver.serve(Some(identity.key()));
        self.status.send_modify(|status| {
            status.certificate = Some(facts.clone());
            status.failures = 0;
            status.last_failure = None;
        });
        Ok(())
    }
}
