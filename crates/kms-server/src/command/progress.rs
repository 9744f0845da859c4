//! How far long work is, on a terminal. Must not know what the work is.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

/// Of so many objects.
pub(super) fn objects(count: u64) -> ProgressBar {
    bar(count, "{bar:30} {human_pos} of {human_len} objects, {per_sec}, {eta} left")
}

/// Of so many bytes.
pub(super) fn bytes(count: u64) -> ProgressBar {
    bar(count, "{bar:30} {bytes} of {total_bytes}, {binary_bytes_per_sec}, {eta} left")
}

/// Of rows whose number is found out on the way.
pub(super) fn rows() -> ProgressBar {
    bar(0, "{bar:30} {human_pos} of {human_len} rows, {per_sec}, {eta} left")
}

fn bar(length: u64, template: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
