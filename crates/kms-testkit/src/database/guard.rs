//! What takes a server and its directory away when the test is gone, however it went: a small process
//! of its own that outlives the test by a moment.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// What ends a server and removes its directory. `$1` is the directory, `$2` the signal that ends
/// the server quickly and cleanly, `$process` the server or nothing.
const REMOVE: &str = r#"
remove() {
    if [ -n "$process" ]; then
        kill -"$2" "$process" 2>/dev/null
        tries=0
        while kill -0 "$process" 2>/dev/null && [ $tries -lt 30 ]; do
            sleep 0.1
            tries=$((tries + 1))
        done
        kill -KILL "$process" 2>/dev/null
    fi
    # A PostgreSQL that was killed has left a segment of shared memory.
    segment=$(sed -n '7s/.* //p' "$1/data/postmaster.pid" 2>/dev/null)
    [ -n "$segment" ] && ipcrm -m "$segment" 2>/dev/null
    tries=0
    # Its children may write for a moment longer.
    while ! rm -rf -- "$1" 2>/dev/null && [ $tries -lt 50 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
}
"#;

/// Each line names the process that the server is now; the end of the lines is the end of the test.
const PRIVATE: &str = r#"
while read -r line; do process=$line; done
remove "$1" "$2"
"#;

/// `$3` is the server. It goes when nobody has used it for ten seconds: who uses it holds a shared
/// lock on `users`, and who comes or takes it away holds `door`.
const SHARED: &str = r#"
process=$3
exec 8>>"$1/door" 9>>"$1/users"
idle=0
while [ $idle -lt 10 ]; do
    flock -u 8
    sleep 1
    flock -x 8
    if flock -n -x 9; then idle=$((idle + 1)); flock -u 9; else idle=0; fi
done
remove "$1" "$2"
"#;

/// Guards a private server.
#[derive(Debug)]
pub(super) struct Guard {
    process: Child,
    lines: Mutex<Option<ChildStdin>>,
}

impl Guard {
    /// Guards what will run in `directory`.
    pub(super) fn over(directory: &Path, signal: &str) -> Self {
        let mut command = shell(PRIVATE);
        command.arg(directory).arg(signal).stdin(Stdio::piped());
        let mut process = command.spawn().unwrap_or_else(|error| panic!("sh: {error}"));
        let lines = Mutex::new(process.stdin.take());
        Self { process, lines }
    }

    /// Says which process the server is now, if any.
    pub(super) fn watch(&self, process: Option<u32>) {
        let line = process.map(|process| process.to_string()).unwrap_or_default();
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lines) = lines.as_mut() {
            writeln!(lines, "{line}").unwrap_or_else(|error| panic!("the guard: {error}"));
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.lines.lock().unwrap_or_else(PoisonError::into_inner).take());
        // Nothing is left to do about a guard that cannot be waited for.
        drop(self.process.wait());
    }
}

/// Guards a server that test processes share, until none of them uses it.
pub(super) fn share(directory: &Path, signal: &str, process: u32) {
    let mut command = shell(SHARED);
    command.arg(directory).arg(signal).arg(process.to_string()).stdin(Stdio::null());
    drop(command.spawn().unwrap_or_else(|error| panic!("sh: {error}")));
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{REMOVE}{script}"), "kms-testkit-guard"])
        .current_dir("/")
        // Signals for the test, from a terminal or a runner, are not for the guard.
        .process_group(0)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}
