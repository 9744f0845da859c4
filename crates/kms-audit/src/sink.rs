//! Where lines go to and where they are read from. Must never know what a line says.

use std::io::{self, BufRead};

use crate::chain::Position;

/// Takes the lines of a log, in order.
pub trait Sink: Send {
    /// Begins a new part; its first record is `first`.
    fn begin(&mut self, first: u64) -> io::Result<()>;

    /// Takes some of `bytes`, at least one; how many.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// What makes all that was taken durable. It is called once, without holding up what is
    /// written meanwhile.
    fn flush(&mut self) -> io::Result<Flush>;

    /// The part at hand is given up: flushing it failed, or it is not there any more. Nothing is
    /// taken until another is begun.
    fn abandon(&mut self);

    /// Whether a part was begun that takes lines.
    fn is_begun(&self) -> bool;
}

/// Makes what was written durable.
pub type Flush = Box<dyn FnOnce() -> io::Result<()> + Send>;

/// A part of a log: a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is called in messages.
    pub name: String,
    /// In which epoch it was begun.
    pub epoch: u64,
    /// The number of its first record.
    pub first: u64,
}

/// Gives the lines of a log back.
pub trait Source {
    /// The parts of the log, oldest first.
    fn parts(&self) -> io::Result<Vec<Part>>;

    /// The lines of one.
    fn read(&self, part: &Part) -> io::Result<Box<dyn BufRead + '_>>;

    /// Where the last whole line of a part says that the chain stands; none if it has no line.
    fn end(&self, part: &Part) -> io::Result<Option<Position>> {
        let mut last = None;
        let mut reader = self.read(part)?;
        let mut line = Vec::new();
        while crate::read::next_line(&mut *reader, &mut line)? {
            if let Some(parts) = crate::line::parts(&line) {
                last = Some(Position { seq: parts.seq, mac: parts.mac });
            }
        }
        Ok(last)
    }
}
