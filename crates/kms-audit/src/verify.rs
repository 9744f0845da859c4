//! Reads a whole log and names the first record that is not as it was written. Must never know
//! what a record says, beyond what the log itself put into its first ones.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead};

use zeroize::Zeroizing;

use crate::chain::{BEGINNING, Chain, LENGTH, Position};
use crate::line::{self, LINE_MAX};
use crate::read::next_line;
use crate::sink::{Part, Source};

/// The log's own record that ends an epoch in order.
pub const STOP: &str = "Stop";
/// The one that begins an epoch.
pub const START: &str = "Start";

/// What the database knows of an epoch: a run of the server.
pub struct Epoch {
    /// Its number.
    pub number: u64,
    /// The number of its first record.
    pub first: u64,
    /// The last record that was known to be on the disk when it began.
    pub head: u64,
    /// Its first key; none if what the database has was altered.
    pub key: Option<Zeroizing<[u8; LENGTH]>>,
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Epoch").field("number", &self.number).finish_non_exhaustive()
    }
}

/// What a log must be: as the database knows it.
#[derive(Debug, Default)]
pub struct Expected {
    /// The epochs, oldest first.
    pub epochs: Vec<Epoch>,
    /// Where the log stood on the disk at least, in which epoch.
    pub head: Option<(u64, Position)>,
    /// The first record that is looked for, the first of a part: what came before it was put away.
    /// None for the whole log.
    pub from: Option<u64>,
}

/// What a sound log is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many records there are.
    pub records: u64,
    /// In how many parts.
    pub parts: usize,
    /// The last record.
    pub last: Option<u64>,
    /// What an operator should know of it.
    pub notes: Vec<Note>,
}

/// Something about a log that is not as usual, and no sign of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// An epoch ended without the record that ends one, after this record.
    LostTail {
        /// The epoch.
        epoch: u64,
        /// Its last record.
        after: u64,
    },
    /// The last epoch has no such record: the server runs, or was killed.
    Open {
        /// The epoch.
        epoch: u64,
        /// The last record so far.
        after: u64,
    },
    /// A part ends in the middle of a line.
    TornLine {
        /// The part.
        part: String,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LostTail { epoch, after } => write!(
                f,
                "lost tail: epoch {epoch} was not ended in order; records of uses of its last \
                 100 ms, after record {after}, may be missing"
            ),
            Self::Open { epoch, after } => write!(
                f,
                "epoch {epoch} is open after record {after}: the server runs, or was killed and \
                 may have lost records of uses of the last 100 ms"
            ),
            Self::TornLine { part } => {
                write!(f, "{part} ends within a line, as after a crash or while it is written")
            }
        }
    }
}

/// The first thing that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// In which part; none where it is in none.
    pub part: Option<String>,
    /// In which line of it.
    pub line: u64,
    /// What it is.
    pub what: What,
}

/// What can be wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A record is not the one that was written.
    Changed {
        /// The record.
        seq: u64,
    },
    /// Records are not there, and later ones are.
    Removed {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// A record stands before others that were written earlier.
    Reordered {
        /// The record that should stand here.
        seq: u64,
        /// The record that does.
        found: u64,
    },
    /// A line that was never written stands before a record.
    Inserted {
        /// The record that should stand here.
        before: u64,
    },
    /// The end is missing.
    CutOff {
        /// The first record that is missing.
        from: u64,
        /// The last that is known to have been written.
        to: u64,
    },
    /// The record that was to be the first is not the first of a part.
    NoBeginning {
        /// The record.
        from: u64,
    },
    /// The database does not know the epoch of a part.
    UnknownEpoch {
        /// The epoch.
        epoch: u64,
    },
    /// The database does not know the key of an epoch any more, or where the log stood.
    Unverifiable {
        /// What the database lacks.
        lacks: String,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(part) = &self.part {
            write!(f, "{part}, line {}: ", self.line)?;
        }
        match &self.what {
            What::Changed { seq } => write!(f, "record {seq} was changed"),
            What::Removed { from, to } if from == to => write!(f, "record {from} was removed"),
            What::Removed { from, to } => write!(f, "records {from} to {to} were removed"),
            What::Reordered { seq, found } => {
                write!(f, "records were reordered: {found} stands where {seq} should")
            }
            What::Inserted { before } => {
                write!(f, "a line was inserted before record {before}")
            }
            What::CutOff { from, to } => write!(f, "cut off: records {from} to {to} are missing"),
            What::NoBeginning { from } => {
                write!(f, "no part begins with record {from} and says what that came after")
            }
            What::UnknownEpoch { epoch } => write!(
                f,
                "the database does not know epoch {epoch}: an older database was put back, or the \
                 file was added"
            ),
            What::Unverifiable { lacks } => write!(f, "the database lacks {lacks}"),
        }
    }
}

/// What a check of a log says.
pub type Verdict = Result<Summary, Finding>;

/// Reads all of `source` and compares it with what the database knows.
pub fn verify(source: &dyn Source, expected: &Expected) -> io::Result<Verdict> {
    let mut parts: BTreeMap<u64, Vec<Part>> = BTreeMap::new();
    for part in source.parts()? {
        parts.entry(part.epoch).or_default().push(part);
    }
    let mut walk = Walk {
        source,
        from: expected.from.unwrap_or(1),
        head: expected.head,
        summary: Summary::default(),
        at: Position { seq: 0, mac: BEGINNING },
        ended: true,
    };
    Ok(match walk.all(parts, &expected.epochs)? {
        Ok(()) => Ok(walk.summary),
        Err(finding) => Err(finding),
    })
}

struct Walk<'a> {
    source: &'a dyn Source,
    /// The first record that is looked for.
    from: u64,
    head: Option<(u64, Position)>,
    summary: Summary,
    /// The last record that was checked.
    at: Position,
    /// Whether it ended its epoch in order.
    ended: bool,
}

type Checked<T = ()> = io::Result<Result<T, Finding>>;

/// A finding in no part.
fn nowhere(what: What) -> Finding {
    Finding { part: None, line: 0, what }
}

/// A line and where it stands.
struct Place<'a> {
    part: &'a Part,
    line: u64,
}

impl Place<'_> {
    fn found(&self, what: What) -> Finding {
        Finding { part: Some(self.part.name.clone()), line: self.line, what }
    }
}

impl Walk<'_> {
    fn all(&mut self, mut parts: BTreeMap<u64, Vec<Part>>, epochs: &[Epoch]) -> Checked {
        if let Some(first) = epochs.first().filter(|epoch| epoch.first > self.from) {
            return Ok(Err(nowhere(What::Removed { from: self.from, to: first.first - 1 })));
        }
        for (at, epoch) in epochs.iter().enumerate() {
            let mut mine = parts.remove(&epoch.number).unwrap_or_default();
            if epochs.get(at + 1).is_some_and(|next| next.first <= self.from) {
                continue;
            }
            mine.retain(|part| part.first >= self.from);
            let Some(key) = &epoch.key else {
                let lacks = format!("the key of epoch {}: its row was altered", epoch.number);
                return Ok(Err(nowhere(What::Unverifiable { lacks })));
            };
            if let Err(finding) = self.epoch(epoch, key, &mine)? {
                return Ok(Err(finding));
            }
            // What a row says that was altered is nothing to go by.
            let next = epochs.get(at + 1).filter(|next| next.key.is_some());
            if let Err(finding) = self.end(epoch, next, &mine) {
                return Ok(Err(finding));
            }
        }
        if let Some((epoch, parts)) = parts.pop_first() {
            let part = parts.first().map(|part| part.name.clone());
            return Ok(Err(Finding { part, line: 1, what: What::UnknownEpoch { epoch } }));
        }
        if self.head.is_none() && self.summary.records > 0 {
            let lacks = "where the log stood: its row was removed or altered".to_owned();
            return Ok(Err(nowhere(What::Unverifiable { lacks })));
        }
        Ok(Ok(()))
    }

    /// One epoch from its first record to its last.
    fn epoch(&mut self, epoch: &Epoch, key: &[u8; LENGTH], parts: &[Part]) -> Checked {
        let mut chain = Chain::new(key, epoch.first, self.at.mac);
        if self.from > self.at.seq.saturating_add(1) {
            let previous = parts.first().map(|part| self.previous(part)).transpose()?.flatten();
            let Some(previous) = previous else {
                let what = What::NoBeginning { from: self.from };
                return Ok(Err(nowhere(what)));
            };
            chain.skip(self.from, previous);
            self.at = Position { seq: self.from - 1, mac: previous };
        }
        for (number, part) in parts.iter().enumerate() {
            self.summary.parts += 1;
            let later = parts.get(number + 1..).unwrap_or_default();
            if let Err(finding) = self.part(&mut chain, part, later)? {
                return Ok(Err(finding));
            }
        }
        Ok(Ok(()))
    }

    /// The MAC that the first record of a part says it came after.
    fn previous(&self, part: &Part) -> io::Result<Option<[u8; LENGTH]>> {
        let mut line = Vec::new();
        next_line(&mut *self.source.read(part)?, &mut line)?;
        Ok(line::parts(&line).and_then(|parts| named_previous(parts.covered)))
    }

    fn part(&mut self, chain: &mut Chain, part: &Part, later: &[Part]) -> Checked {
        let mut reader = self.source.read(part)?;
        let mut line = Vec::new();
        let mut place = Place { part, line: 0 };
        while next_line(&mut *reader, &mut line)? {
            place.line += 1;
            // A line that is too long was never written by us.
            if line.last() != Some(&b'\n') && line.len() < LINE_MAX {
                self.summary.notes.push(Note::TornLine { part: part.name.clone() });
                break;
            }
            if let Err(finding) = self.record(chain, &line, &place) {
                return self.explain(finding, chain, &place, (&mut *reader, later)).map(Err);
            }
        }
        Ok(Ok(()))
    }

    /// Checks the line as the next record.
    fn record(&mut self, chain: &mut Chain, line: &[u8], place: &Place<'_>) -> Result<(), Finding> {
        let seq = chain.next();
        let parts = line::parts(line).ok_or_else(|| place.found(What::Changed { seq }))?;
        if parts.seq > seq {
            return Err(place.found(What::Removed { from: seq, to: parts.seq - 1 }));
        }
        if parts.seq < seq {
            return Err(place.found(What::Inserted { before: seq }));
        }
        let previous = chain.mac();
        let is_genuine = chain.expected(&previous, parts.covered) == parts.mac;
        if !is_genuine {
            return Err(place.found(self.strange(chain, &parts)));
        }
        let mac = chain.take(parts.covered);
        self.at = Position { seq, mac };
        self.ended = says_stop(parts.covered);
        self.summary.records += 1;
        self.summary.last = Some(seq);
        match self.head {
            Some((_, head)) if head.seq == seq && head.mac != mac => {
                Err(place.found(What::Changed { seq }))
            }
            _ => Ok(()),
        }
    }

    /// What a record is that has the right number and the wrong MAC.
    fn strange(&self, chain: &Chain, parts: &line::Parts<'_>) -> What {
        let seq = parts.seq;
        // The first record of an epoch names the one that it came after: it may be genuine, and
        // what was before it is not.
        match named_previous(parts.covered) {
            Some(named) if chain.expected(&named, parts.covered) == parts.mac => {
                What::Changed { seq: self.at.seq }
            }
            _ => What::Changed { seq },
        }
    }

    /// A second look at what a line is, by what comes after it.
    fn explain(
        &self,
        finding: Finding,
        chain: &Chain,
        place: &Place<'_>,
        rest: (&mut dyn BufRead, &[Part]),
    ) -> io::Result<Finding> {
        let (reader, later) = rest;
        let mut line = Vec::new();
        match finding.what {
            // The true record may stand right behind.
            What::Changed { seq } if seq == chain.next() => {
                let is_next = next_line(reader, &mut line)?
                    && line::parts(&line).is_some_and(|it| {
                        it.seq == seq && chain.expected(&chain.mac(), it.covered) == it.mac
                    });
                Ok(if is_next { place.found(What::Inserted { before: seq }) } else { finding })
            }
            // The one that should stand here may stand anywhere later.
            What::Removed { from, to } => {
                let mut moved = stands_in(from, reader)?;
                for part in later {
                    moved = moved || stands_in(from, &mut *self.source.read(part)?)?;
                }
                let what = What::Reordered { seq: from, found: to.saturating_add(1) };
                Ok(if moved { place.found(what) } else { finding })
            }
            _ => Ok(finding),
        }
    }

    /// Checks where an epoch ends.
    fn end(&mut self, epoch: &Epoch, next: Option<&Epoch>, parts: &[Part]) -> Result<(), Finding> {
        let last = self.at.seq;
        let part = parts.last().map(|part| part.name.clone());
        let cut =
            |to| Finding { part: part.clone(), line: 0, what: What::CutOff { from: last + 1, to } };
        if let Some((head_epoch, head)) = self.head
            && head_epoch == epoch.number
            && head.seq > last
        {
            return Err(cut(head.seq));
        }
        match next {
            Some(next) if next.first > last + 1 => return Err(cut(next.first - 1)),
            Some(next) if next.head > last => return Err(cut(next.head)),
            Some(next) if next.first < last + 1 => {
                let what = What::Inserted { before: next.first };
                return Err(Finding { part, line: 0, what });
            }
            _ => {}
        }
        let (number, after) = (epoch.number, last);
        if !std::mem::replace(&mut self.ended, true) {
            self.summary.notes.push(match next {
                Some(_) => Note::LostTail { epoch: number, after },
                None => Note::Open { epoch: number, after },
            });
        }
        Ok(())
    }
}

/// Whether a line of this number comes.
fn stands_in(seq: u64, reader: &mut dyn BufRead) -> io::Result<bool> {
    let mut line = Vec::new();
    while next_line(reader, &mut line)? {
        if line::seq(&line) == Some(seq) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a record ends an epoch.
fn says_stop(covered: &[u8]) -> bool {
    after_time(covered).is_some_and(|rest| rest.starts_with(b"\"log\":\"Stop\""))
}

/// The MAC that a first record says it came after.
fn named_previous(covered: &[u8]) -> Option<[u8; LENGTH]> {
    const NAME: &[u8] = b"\"previous\":\"";
    let rest = after_time(covered)?;
    let is_own = rest.starts_with(b"\"log\":");
    let at = is_own.then(|| rest.windows(NAME.len()).position(|window| window == NAME))??;
    line::parse_hex(rest.get(at + NAME.len()..)?.get(..2 * LENGTH)?)
}

/// What follows the number and the time.
fn after_time(covered: &[u8]) -> Option<&[u8]> {
    let mut commas = covered.splitn(3, |byte| *byte == b',');
    commas.nth(2)
}
