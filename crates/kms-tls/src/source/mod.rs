//! Where a certificate comes from, and what comes of starting that.

pub(crate) mod files;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Notify, watch};

use crate::acme::challenge::Responder;
use crate::acme::{Acme, Settings};
use crate::resolver::Resolver;
use crate::source::files::{Files, Watched};
use crate::status::Status;
use crate::world::World;

/// Where the certificate comes from.
#[derive(Debug)]
pub enum Source {
    /// Files of the operator's.
    Files(Files),
    /// An authority, and what answers its challenges.
    Acme(Box<Settings>, Responder),
}

/// A source that has a certificate.
#[derive(Debug)]
pub struct Started {
    /// What handshakes ask.
    pub resolver: Arc<Resolver>,
    /// How it stands, whenever that changes.
    pub status: watch::Receiver<Status>,
    /// What keeps it going: to be run beside the server.
    pub task: Task,
    /// What tells it that something has changed.
    pub control: Control,
}

/// What keeps a source going.
pub struct Task(Kind);

enum Kind {
    Files(Box<Watched>),
    Acme(Box<Acme>),
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Task")
    }
}

impl Task {
    /// Renews, or reads again, until that has failed for good; files never do. It can be dropped at
    /// any time: what was begun is gone on with after the next start.
    pub async fn run(self) -> End {
        match self.0 {
            Kind::Files(files) => files.run().await,
            Kind::Acme(acme) => acme.run().await,
        }
    }
}

/// What tells a source that something has changed.
#[derive(Clone, Debug)]
pub struct Control {
    wake: Arc<Notify>,
    settings: Option<watch::Sender<Arc<Settings>>>,
}

impl Control {
    /// Looks at the files again now.
    pub fn reload(&self) {
        self.wake.notify_one();
    }

    /// Takes other settings from now on: the directory of keys stays. Files have none.
    pub fn change(&self, settings: Settings) {
        if let Some(sender) = &self.settings {
            sender.send_replace(Arc::new(settings));
        }
    }
}

/// Why a source could not be started. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is a key, and it cannot be read or used.
    #[error(
        "{}: {reason}; the key is there and is not replaced: mend it, or take it and its certificate \
         away to have new ones made", path.display()
    )]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file of ours cannot be read or written, or one of the operator's cannot be used.
    #[error("{0}")]
    Files(String),
    /// The authority refuses for a reason that only the operator can remove.
    #[error("no certificate: {0}")]
    Refused(String),
    /// The authority could not be asked, or could not see that the name is ours.
    #[error("no certificate: {0}")]
    Failed(String),
    /// It was tried a moment ago. The authority's limits are not used up by a circle of restarts.
    #[error(
        "no certificate, and the next attempt may be made at {until} (seconds since 1970): {last}"
    )]
    TooSoon {
        /// When the next attempt may be made, in seconds since 1970.
        until: i64,
        /// What has failed.
        last: String,
    },
}

impl StartError {
    /// Whether the same may succeed later without anybody's doing.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::TooSoon { .. })
    }
}

/// Why renewing has ended: the server should, too.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum End {
    /// The certificate is over and there is no other one. Nothing is served any more.
    #[error("the certificate is over and was not renewed: {}", last.as_deref().unwrap_or("it was not tried"))]
    Expired {
        /// What has failed last.
        last: Option<String>,
    },
    /// The authority has refused again and again, for a reason that only the operator can remove.
    #[error("the authority refuses to renew the certificate: {last}")]
    Refused {
        /// What it said last.
        last: String,
    },
    /// A renewal has failed, and the operator wants that to be the end.
    #[error("the certificate was not renewed, and the server is set up to stop then: {last}")]
    Stopped {
        /// What has failed.
        last: String,
    },
}

impl Source {
    /// Has a certificate when it returns: read, kept or obtained.
    pub async fn start(self, world: World) -> Result<Started, StartError> {
        let wake = Arc::new(Notify::new());
        match self {
            Self::Files(files) => {
                let watched = Watched::start(files, world, Arc::clone(&wake)).await?;
                Ok(Started {
                    resolver: watched.resolver(),
                    status: watched.status(),
                    control: Control { wake, settings: None },
                    task: Task(Kind::Files(Box::new(watched))),
                })
            }
            Self::Acme(settings, responder) => {
                let (sender, settings) = watch::channel(Arc::new(*settings));
                let acme = Acme::start(settings, world, responder, Arc::clone(&wake)).await?;
                Ok(Started {
                    resolver: acme.resolver(),
                    status: acme.status(),
                    control: Control { wake, settings: Some(sender) },
                    task: Task(Kind::Acme(Box::new(acme))),
                })
            }
        }
    }
}
