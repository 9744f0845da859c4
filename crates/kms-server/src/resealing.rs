//! Sealing anew what older data keys seal, on a thread of its own, while the server serves. How it is
//! done is the core's.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use kms_core::Turn;
use tokio::sync::oneshot;

use crate::app::App;

/// How often it is looked whether there is something to do.
const LOOK: Duration = Duration::from_secs(1);
/// How long it waits after rows that cannot be sealed anew.
const ALTERED: Duration = Duration::from_mins(1);

/// The thread; it ends when this is ended.
pub(crate) struct Resealing {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Resealing {
    pub(crate) fn start(app: Arc<App>) -> std::io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let run = move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    never = keep(&app) => never,
                }
            });
            // What is not ended goes on where it was left.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("keyring".to_owned()).spawn(run)?;
        Ok(Self { stop, thread })
    }

    /// Ends it; what it was at is gone on with later.
    pub(crate) fn end(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("the thread that seals anew had stopped");
        }
    }
}

async fn keep(app: &App) -> ! {
    loop {
        let mut pause = LOOK;
        if app.service.is_rotating() {
            match app.service.reseal().await {
                Ok(Turn::Altered(..)) => pause = ALTERED,
                Ok(_) => {}
                Err(error) => {
                    let cause = error.source.as_ref().map(ToString::to_string);
                    tracing::warn!(%error, cause, "older data keys stay in use for now");
                }
            }
        }
        tokio::time::sleep(pause).await;
    }
}
