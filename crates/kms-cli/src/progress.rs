//! Long work: shown while it runs, and stopped when the user says so.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::error::{Error, Kind};

/// Below this many bytes the work is over before anybody could read a bar.
const WORTH_SHOWING: u64 = 16 << 20;

/// A bar over `length` bytes, shown where standard error is a terminal and the work is long.
pub(crate) fn bar(length: Option<u64>) -> ProgressBar {
    let long = length.is_none_or(|bytes| bytes >= WORTH_SHOWING);
    if !std::io::stderr().is_terminal() || !long {
        return ProgressBar::hidden();
    }
    let (bar, template) = match length {
        Some(length) => (
            ProgressBar::new(length),
            "{bar:30} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}",
        ),
        None => (ProgressBar::new_spinner(), "{spinner} {bytes} {binary_bytes_per_sec}"),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Runs `work` on a thread of its own until it ends or the user interrupts.
///
/// Interrupted, this returns at once; the thread is left to the end of the process.
pub(crate) async fn interruptible<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let work = tokio::task::spawn_blocking(work);
    tokio::select! {
        done = work => done.map_err(|error| Error::unexpected(error.to_string())),
        () = interrupted() => Err(Error::new(Kind::Interrupted, "interrupted; nothing was kept")),
    }
}

/// Ends when the user, or the system, asks the process to stop.
async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    drop(tokio::signal::ctrl_c().await);
}
