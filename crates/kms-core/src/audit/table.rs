//! A log that is kept in the database: its lines as rows. Must never know what a line says.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::{Arc, Mutex};

use kms_audit::{Flush, Part, Sink, Source};
use kms_store::{AuditWrite, Store, Write};
use tokio::runtime::Handle;

use super::{PAGE, lock};

/// The most bytes of lines in one commit.
const COMMIT_BYTES: usize = 1 << 20;

/// Where a log is in a database.
#[derive(Clone)]
pub(super) struct Table {
    pub(super) store: Store,
    pub(super) chain: String,
    /// The epochs with their first records, oldest first.
    pub(super) epochs: Vec<(u64, u64)>,
    /// What waits for the database while a thread of its own reads or writes.
    pub(super) runtime: Handle,
}

impl Table {
    pub(super) fn sink(&self) -> Box<dyn Sink> {
        Box::new(Writer { table: self.clone(), taken: Arc::default() })
    }
}

impl Source for Table {
    fn parts(&self) -> io::Result<Vec<Part>> {
        let part = |(epoch, first): &(u64, u64)| Part {
            name: format!("table audit_log, epoch {epoch}"),
            epoch: *epoch,
            first: *first,
        };
        Ok(self.epochs.iter().map(part).collect())
    }

    fn read(&self, part: &Part) -> io::Result<Box<dyn BufRead + '_>> {
        let next = self.epochs.iter().find(|(epoch, _)| *epoch > part.epoch);
        let end = next.map_or(u64::MAX, |(_, first)| *first);
        let reader = Reader { table: self, next: part.first, end, bytes: io::Cursor::default() };
        Ok(Box::new(BufReader::new(reader)))
    }
}

/// Reads rows page by page.
struct Reader<'a> {
    table: &'a Table,
    next: u64,
    end: u64,
    bytes: io::Cursor<Vec<u8>>,
}

impl Read for Reader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read(buf)?;
        if count > 0 || buf.is_empty() || self.next >= self.end {
            return Ok(count);
        }
        let Table { store, chain, runtime, .. } = self.table;
        let lines = runtime.block_on(store.audit_lines(chain, self.next, PAGE));
        let mut bytes = Vec::new();
        let mut next = self.end;
        for (seq, line) in lines.map_err(io::Error::other)? {
            if seq >= self.end {
                next = self.end;
                break;
            }
            bytes.extend_from_slice(&line);
            next = seq.saturating_add(1);
        }
        self.next = next;
        self.bytes = io::Cursor::new(bytes);
        self.bytes.read(buf)
    }
}

/// Writes lines as rows: all that were taken with the next flush.
struct Writer {
    table: Table,
    taken: Arc<Mutex<Taken>>,
}

/// Lines on their way to the database.
#[derive(Default)]
struct Taken {
    bytes: Vec<u8>,
    /// The number of the first of them.
    first: u64,
}

impl Sink for Writer {
    fn begin(&mut self, first: u64) -> io::Result<()> {
        let mut taken = lock(&self.taken);
        if taken.bytes.is_empty() {
            taken.first = first;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.taken).bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<Flush> {
        let (taken, table) = (Arc::clone(&self.taken), self.table.clone());
        Ok(Box::new(move || table.runtime.block_on(table.commit_all(&taken))))
    }

    /// What was taken stays until it is written.
    fn abandon(&mut self) {}

    fn is_begun(&self) -> bool {
        true
    }
}

impl Table {
    async fn commit_all(&self, taken: &Mutex<Taken>) -> io::Result<()> {
        loop {
            let (lines, bytes) = {
                let taken = lock(taken);
                next_lines(&taken)
            };
            if lines.is_empty() {
                return Ok(());
            }
            let count = lines.len() as u64;
            let write = AuditWrite::Lines { server: self.chain.clone(), lines };
            let committed = self.store.commit(Vec::new(), vec![Write::Audit(write)]).await;
            committed.map_err(io::Error::other)?;
            let mut taken = lock(taken);
            taken.bytes.drain(..bytes);
            taken.first = taken.first.saturating_add(count);
        }
    }
}

/// The lines of the next commit by their numbers, and how many bytes they are.
fn next_lines(taken: &Taken) -> (Vec<(u64, Vec<u8>)>, usize) {
    let mut lines = Vec::new();
    let mut bytes = 0;
    let whole = taken.bytes.split_inclusive(|byte| *byte == b'\n');
    for (line, seq) in whole.filter(|line| line.ends_with(b"\n")).zip(taken.first..) {
        lines.push((seq, line.to_vec()));
        bytes += line.len();
        if bytes >= COMMIT_BYTES {
            break;
        }
    }
    (lines, bytes)
}
