//! A program that listens, run as a child: started on a free port, watched, and stopped.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::http::{self, Connection};

/// A running child; killed when dropped.
pub(crate) struct Server {
    child: Child,
    /// Where it answers.
    pub(crate) address: SocketAddr,
    /// From before its start to its first answer.
    pub(crate) started: Duration,
}

/// What the kernel accounts to a process.
#[derive(Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Seconds of processor, user and system.
    pub(crate) user: f64,
    pub(crate) system: f64,
}

/// The kernel's unit in `/proc/PID/stat`.
const TICKS_PER_SECOND: f64 = 100.0;

impl Server {
    /// Starts `program`, a server, with its data in `directory` and these variables alone: none of
    /// the project's that whoever runs this has set.
    pub(crate) fn start(
        program: &Path,
        directory: &Path,
        variables: &[(&str, &str)],
    ) -> Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("KMS_") {
                command.env_remove(name);
            }
        }
        command
            .envs(variables.iter().copied())
            .args(["--hostname", "127.0.0.1", "--port", &address.port().to_string(), "--root-dir"])
            .arg(directory)
            .current_dir(directory);
        Self::launch(command, address, &directory.join("server.log"), "/version")
    }

    /// Starts a program that is told these arguments, and its address as the last.
    pub(crate) fn start_at(program: &Path, arguments: &[&str], log: &Path) -> Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(program);
        command.args(arguments).arg(address.to_string());
        Self::launch(command, address, log, "/0")
    }

    fn launch(mut command: Command, address: SocketAddr, log: &Path, path: &str) -> Result<Self> {
        let file = File::create(log).with_context(|| log.display().to_string())?;
        let begun = Instant::now();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("starting {}", command.get_program().display()))?;
        let mut server = Self { child, address, started: Duration::ZERO };
        let probe = http::request("GET", path, "", b"");
        loop {
            if let Ok(mut connection) = Connection::open(address)
                && connection.exchange(&probe).is_ok_and(|answer| answer.status == 200)
            {
                server.started = begun.elapsed();
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait()? {
                let said = std::fs::read_to_string(log).unwrap_or_default();
                bail!("the server ended before it answered ({status}):\n{said}");
            }
            if begun.elapsed() > Duration::from_mins(1) {
                bail!("no answer at {address} within a minute; see {}", log.display());
            }
            std::thread::sleep(Duration::from_micros(300));
        }
    }

    /// What the kernel has accounted to it so far, threads that ended included.
    pub(crate) fn usage(&self) -> Result<Usage> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let after = stat.rsplit_once(')').context("/proc/PID/stat")?.1;
        let mut fields = after.split_whitespace().skip(11).map(str::parse::<f64>);
        let mut next = || fields.next().context("/proc/PID/stat")?.context("/proc/PID/stat");
        Ok(Usage { user: next()? / TICKS_PER_SECOND, system: next()? / TICKS_PER_SECOND })
    }

    /// Its resident memory in MiB.
    pub(crate) fn memory(&self) -> Result<f64> {
        let path = PathBuf::from(format!("/proc/{}/status", self.child.id()));
        let text = std::fs::read_to_string(path)?;
        let line = text.lines().find(|line| line.starts_with("VmRSS:")).context("VmRSS")?;
        let kib: f64 = line.split_whitespace().nth(1).context("VmRSS")?.parse()?;
        Ok(kib / 1024.0)
    }

    /// Asks it to stop, waits, and says whether it ended well.
    pub(crate) fn stop(mut self) -> Result<bool> {
        // The shell's own `kill`: the program of that name is not on every machine.
        let kill = format!("kill -TERM {}", self.child.id());
        Command::new("sh").args(["-c", &kill]).status().context("kill")?;
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(30) {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.success());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("the server did not stop within 30 seconds of SIGTERM")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone is as good as killed.
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

/// An address on which nothing listens at this moment.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?)
}
