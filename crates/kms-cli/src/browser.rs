//! Opening an address in the user's browser.

use std::process::{Command, Stdio};

/// Tries to; whether it looked as if it worked. The address must be of an `http` scheme.
pub(crate) fn open(url: &str) -> bool {
    let mut command = if cfg!(target_os = "macos") {
        Command::new("open")
    } else if cfg!(windows) {
        let mut command = Command::new("rundll32");
        command.arg("url.dll,FileProtocolHandler");
        command
    } else {
        // Without a screen it would be a browser in this terminal, at best.
        let screen = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        if !screen("DISPLAY") && !screen("WAYLAND_DISPLAY") {
            return false;
        }
        Command::new("xdg-open")
    };
    command.env_remove(crate::session::VARIABLE);
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // It ends when the browser has taken the address, or when the browser ends: not waited for.
    command.spawn().is_ok()
}
