//! A log that is written, broken, mended and tampered with.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod tampered;
mod written;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use kms_audit::{
    BEGINNING, Body, Epoch, Expected, Failure, Files, Log, Position, Setup, Sink, Source as _,
    Sync, Ticket, Verdict,
};
use tempfile::TempDir;

const SERVER: &str = "5e7f";

/// A directory with a log, and what a database would know of it.
struct World {
    directory: TempDir,
    part_size: usize,
    sync: Sync,
    epochs: Vec<(u64, u64, u64)>,
    head: Option<(u64, Position)>,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (part_size, sync) = (1 << 20, Sync::Group);
        Self { directory, part_size, sync, epochs: Vec::new(), head: None }
    }

    fn files(&self) -> Files {
        Files::new(self.directory.path().join("audit"), SERVER)
    }

    /// Begins the next epoch where the files end.
    fn start(&mut self) -> Log {
        let files = self.files();
        files.admit().unwrap();
        let epoch = self.epochs.len() as u64 + 1;
        self.start_with(files.sink(epoch))
    }

    fn start_with(&mut self, sink: Box<dyn Sink>) -> Log {
        let files = self.files();
        let ends = files.parts().unwrap();
        let end = ends.iter().rev().find_map(|part| files.end(part).unwrap());
        let previous = end.unwrap_or(Position { seq: 0, mac: BEGINNING });
        let epoch = self.epochs.len() as u64 + 1;
        let head = self.head.map_or(0, |(_, head)| head.seq);
        self.epochs.push((epoch, previous.seq + 1, head));
        let log = Log::start(
            sink,
            Setup {
                key: key(epoch),
                epoch,
                previous,
                sync: self.sync,
                part_size: self.part_size,
                clock: Arc::new(|| 1_700_000_000_000),
            },
        )
        .unwrap();
        let mut body = Vec::new();
        Body::begin(&mut body, 0)
            .text("log", "Start")
            .number("epoch", epoch)
            .hex("previous", &previous.mac);
        log.append(&body);
        log
    }

    /// Ends an epoch in order.
    fn stop(&mut self, log: &Log) {
        let mut body = Vec::new();
        Body::begin(&mut body, 0).text("log", "Stop");
        let ticket = log.append(&body);
        flush(log, ticket).unwrap();
        self.note_head(log);
    }

    fn note_head(&mut self, log: &Log) {
        self.head = Some((log.epoch(), log.durable()));
    }

    fn expected(&self) -> Expected {
        let epoch = |(number, first, head): &(u64, u64, u64)| Epoch {
            number: *number,
            first: *first,
            head: *head,
            key: Some(key(*number).into()),
        };
        Expected { epochs: self.epochs.iter().map(epoch).collect(), head: self.head, from: None }
    }

    fn verify(&self) -> Verdict {
        kms_audit::verify(&self.files(), &self.expected()).unwrap()
    }

    /// The paths of the parts.
    fn paths(&self) -> Vec<PathBuf> {
        let files = self.files();
        files.parts().unwrap().iter().map(|part| files.directory().join(&part.name)).collect()
    }

    /// All lines, part by part.
    fn lines(&self) -> Vec<Vec<String>> {
        self.paths().iter().map(|path| lines(path)).collect()
    }
}

fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    text.split_inclusive('\n').map(str::to_owned).collect()
}

fn key(epoch: u64) -> [u8; 32] {
    [u8::try_from(epoch).unwrap(); 32]
}

fn append(log: &Log, operation: &str) -> Ticket {
    let mut body = Vec::new();
    Body::begin(&mut body, 1_700_000_000_000).text("operation", operation);
    log.append(&body)
}

fn hand_over(log: &Log, ticket: Ticket) -> Result<(), Failure> {
    wait(log.hand_over(ticket))
}

fn flush(log: &Log, ticket: Ticket) -> Result<(), Failure> {
    wait(log.flush(ticket))
}

/// Runs a future on this thread.
fn wait<T>(future: impl Future<Output = T>) -> T {
    struct Thread(std::thread::Thread);
    impl Wake for Thread {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Thread(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}
