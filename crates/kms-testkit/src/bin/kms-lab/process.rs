//! The server as a child process, and requests to it over one connection each.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;

/// A running server; killed when dropped, as by `kill -9`.
pub(crate) struct Process {
    child: Child,
    /// Where it answers.
    pub(crate) address: SocketAddr,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Process {
    /// Starts `program` with its data in `directory` and waits for its first answer.
    pub(crate) fn start(program: &Path, directory: &Path) -> Result<Self> {
        // Another process may take the port in between: then another one is tried.
        let mut said = String::new();
        for _ in 0..5 {
            let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
            let log = File::create(directory.join("server.log"))?;
            let child = Command::new(program)
                .args(["--hostname", "127.0.0.1", "--port", &address.port().to_string()])
                .arg("--root-dir")
                .arg(directory)
                .current_dir(directory)
                .stdin(Stdio::null())
                .stdout(log.try_clone()?)
                .stderr(log)
                .spawn()
                .map_err(|error| format!("starting {}: {error}", program.display()))?;
            let mut process = Self { child, address };
            if process.wait_for_answer()? {
                return Ok(process);
            }
            said = std::fs::read_to_string(directory.join("server.log")).unwrap_or_default();
        }
        Err(format!("the server does not start:\n{said}").into())
    }

    /// Whether it answers before it ends.
    fn wait_for_answer(&mut self) -> Result<bool> {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_mins(1) {
            if self.get("/version").is_ok_and(|answer| answer.status == 200) {
                return Ok(true);
            }
            if self.child.try_wait()?.is_some() {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Err("the server gave no answer within a minute".into())
    }

    /// GET.
    pub(crate) fn get(&self, path: &str) -> Result<Answer> {
        exchange(self.address, &format!("GET {path}"), "", b"")
    }

    /// POST.
    pub(crate) fn post(&self, path: &str, content_type: &str, body: &[u8]) -> Result<Answer> {
        exchange(self.address, &format!("POST {path}"), content_type, body)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already gone is as good as killed.
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

/// One request on a connection of its own.
pub(crate) fn exchange(
    address: SocketAddr,
    what: &str,
    content_type: &str,
    body: &[u8],
) -> Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_mins(2)))?;
    let mut request = format!("{what} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    if !content_type.is_empty() {
        request += &format!("content-type: {content_type}\r\ncontent-length: {}\r\n", body.len());
    }
    request += "\r\n";
    let mut request = request.into_bytes();
    request.extend_from_slice(body);
    stream.write_all(&request)?;
    let mut read = Vec::new();
    stream.read_to_end(&mut read)?;
    let end = read.windows(4).position(|four| four == b"\r\n\r\n").ok_or("an answer cut off")?;
    let head = String::from_utf8_lossy(read.get(..end).unwrap_or_default()).into_owned();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or("no status")?;
    let body = read.split_off(end + 4);
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    if length.is_some_and(|length| length != body.len()) {
        return Err("an answer cut off".into());
    }
    Ok(Answer { status, body })
}

/// A new directory below the system's temporary one.
pub(crate) fn scratch(name: &str) -> Result<PathBuf> {
    let path = std::env::temp_dir().join(format!("kms-lab-{}-{name}", std::process::id()));
    if path.exists() {
        std::fs::remove_dir_all(&path)?;
    }
    std::fs::create_dir_all(&path)?;
    Ok(path)
}
