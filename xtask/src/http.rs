//! A minimal HTTP/1.1 client on blocking sockets, light enough to measure a server with.
//! It knows nothing of what the bodies mean.

use std::fmt::Write as _;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A keep-alive connection.
pub(crate) struct Connection {
    stream: TcpStream,
    /// What was read; an answer is at its beginning.
    buffer: Vec<u8>,
    filled: usize,
}

/// An answer.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

/// The head of an answer.
struct Head {
    status: u16,
    length: usize,
    /// `None`: the body comes in chunks.
    body: Option<usize>,
}

/// The bytes of a request.
pub(crate) fn request(method: &str, path: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
    if !content_type.is_empty() {
        _ = write!(head, "content-type: {content_type}\r\ncontent-length: {}\r\n", body.len());
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// The same request with a bearer token.
pub(crate) fn with_token(request: &[u8], token: &str) -> Vec<u8> {
    let line = request.windows(2).position(|pair| pair == b"\r\n").map_or(0, |at| at + 2);
    let (first, rest) = request.split_at(line);
    [first, format!("authorization: Bearer {token}\r\n").as_bytes(), rest].concat()
}

impl Connection {
    /// Connects to `address`.
    pub(crate) fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_mins(5)))?;
        Ok(Self { stream, buffer: vec![0; 16 * 1024], filled: 0 })
    }

    /// Sends the bytes of a request and waits for its answer.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.stream.write_all(request)?;
        self.filled = 0;
        let head = loop {
            self.read_some()?;
            if let Some(head) = head(self.read())? {
                break head;
            }
        };
        let Some(length) = head.body else {
            return self.chunked(&head);
        };
        let end = head.length + length;
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        while self.filled < end {
            self.read_some()?;
        }
        let body = self.buffer.get(head.length..end).unwrap_or_default();
        Ok(Answer { status: head.status, body })
    }

    fn chunked(&mut self, head: &Head) -> Result<Answer<'_>> {
        let mut body = Vec::new();
        let mut at = head.length;
        loop {
            let rest = self.buffer.get(at..self.filled).unwrap_or_default();
            let Some(line) = rest.windows(2).position(|pair| pair == b"\r\n") else {
                self.read_some()?;
                continue;
            };
            let digits = String::from_utf8_lossy(rest.get(..line).unwrap_or_default()).into_owned();
            let size = usize::from_str_radix(digits.trim(), 16)
                .map_err(|error| Error::new(ErrorKind::InvalidData, error))?;
            let start = at + line + 2;
            while self.filled < start + size + 2 {
                self.read_some()?;
            }
            body.extend_from_slice(self.buffer.get(start..start + size).unwrap_or_default());
            at = start + size + 2;
            if size == 0 {
                self.buffer.clear();
                self.buffer.extend_from_slice(&body);
                return Ok(Answer { status: head.status, body: &self.buffer });
            }
        }
    }

    fn read(&self) -> &[u8] {
        self.buffer.get(..self.filled).unwrap_or_default()
    }

    fn read_some(&mut self) -> Result<()> {
        if self.filled == self.buffer.len() {
            self.buffer.resize((self.buffer.len() * 2).max(16 * 1024), 0);
        }
        let count = self.stream.read(self.buffer.get_mut(self.filled..).unwrap_or_default())?;
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.filled += count;
        Ok(())
    }
}

fn head(bytes: &[u8]) -> Result<Option<Head>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let invalid = || Error::new(ErrorKind::InvalidData, "not an answer of HTTP/1.1");
    let text = std::str::from_utf8(bytes.get(..end).unwrap_or_default()).map_err(Error::other)?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let mut body = Some(0);
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(invalid)?;
        if name.eq_ignore_ascii_case("content-length") {
            body = Some(value.trim().parse().map_err(Error::other)?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            body = None;
        }
    }
    Ok(Some(Head { status: status.ok_or_else(invalid)?, length: end + 4, body }))
}
