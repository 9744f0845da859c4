//! What is found afterwards, beside what was answered: nothing answered may be lost, nothing that was
//! refused may have been done, no half of anything may be there, and the audit log has each answered
//! change once.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use kms_testkit::http::Connection;
use kms_testkit::server::{Server, pause};

use super::load::{Expected, Journal, Kind, Thing, about, id, locate, name};
use crate::Result;

/// How long the record of a change may take from its transaction to the log's file, and an answer where
/// all should be well again.
const CARRIED: Duration = Duration::from_secs(10);

/// What is not as it was answered.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Answered, and not there.
    pub(super) lost: Vec<String>,
    /// There by half, or though it was refused.
    pub(super) half: Vec<String>,
}

/// Looks at everything in the journal through one server.
pub(super) fn things(server: &Server, journal: &Journal) -> Findings {
    let mut look = Look { connection: server.connect(), findings: Findings::default() };
    for (number, thing) in &journal.things {
        match thing.kind {
            Kind::Key => look.key(*number, *thing),
            Kind::Batch | Kind::Pair => look.both(*number, *thing),
        }
    }
    look.findings
}

struct Look {
    connection: Connection,
    findings: Findings,
}

impl Look {
    fn key(&mut self, number: u64, thing: Thing) {
        let id = id(number);
        let attributes = self.operation(&about("GetAttributes", &id));
        match (&attributes, thing.there) {
            (None, Expected::Yes) => self.lost(format!("{id} was made, and is gone")),
            (Some(_), Expected::No) => self.half(format!("{id} was refused, and is there")),
            _ => {}
        }
        let Some(attributes) = attributes else { return };
        let is_destroyed = attributes.contains("\"Destroyed\"");
        match (is_destroyed, thing.destroyed) {
            (false, Expected::Yes) => self.lost(format!("{id} was destroyed, and is not")),
            (true, Expected::No) => self.half(format!("{id} is destroyed, and nobody was told")),
            _ => {}
        }
        if is_destroyed {
            return;
        }
        if self.operation(&about("Get", &id)).is_none() {
            self.half(format!("{id} is there without its key"));
        }
        let grants = self.connection.get(&format!("/accesses/{id}")).text();
        match (grants.contains("reader"), thing.shared) {
            (false, Expected::Yes) => self.lost(format!("{id} was shared, and is not")),
            (true, Expected::No) => self.lost(format!("{id} is shared; that was withdrawn")),
            _ => {}
        }
    }

    fn both(&mut self, number: u64, thing: Thing) {
        let name = name(number);
        let found = self.operation(&locate(&name)).unwrap_or_default();
        let found = identifiers(&found);
        match (found.len(), thing.there) {
            (2, Expected::Yes | Expected::Either) | (0, Expected::No | Expected::Either) => {}
            (0, Expected::Yes) => self.lost(format!("{name} was made, and is gone")),
            (2, Expected::No) => self.half(format!("{name} was refused, and is there")),
            (count, _) => self.half(format!("of {name} there are {count}")),
        }
        for id in found {
            if self.operation(&about("Get", &id)).is_none() {
                self.half(format!("{id} of {name} is there without its key"));
            }
        }
    }

    /// The answer's text, if the operation succeeds.
    fn operation(&mut self, body: &str) -> Option<String> {
        // That there is no answer now says nothing of what is there.
        let until = Instant::now() + CARRIED;
        loop {
            let answer = self.connection.post("/kmip/2_1", "application/json", body.as_bytes());
            if answer.status != 503 || Instant::now() >= until {
                return (answer.status == 200).then(|| answer.text());
            }
            pause();
        }
    }

    fn lost(&mut self, what: String) {
        self.findings.lost.push(what);
    }

    fn half(&mut self, what: String) {
        self.findings.half.push(what);
    }
}

/// The values of all `UniqueIdentifier` in an answer.
fn identifiers(answer: &str) -> Vec<String> {
    let mut found = Vec::new();
    for part in answer.split(r#""UniqueIdentifier""#).skip(1) {
        let value = part.split_once(r#""value""#).and_then(|(_, rest)| rest.split('"').nth(1));
        found.extend(value.map(str::to_owned));
    }
    found
}

/// The answered creations and destructions that the audit logs in these directories do not have
/// exactly once, when there has been time to carry them over.
pub(super) fn unrecorded(directories: &[PathBuf], journal: &Journal) -> Result<Vec<String>> {
    let until = Instant::now() + CARRIED;
    loop {
        let faults = unrecorded_now(directories, journal)?;
        if faults.is_empty() || Instant::now() >= until {
            return Ok(faults);
        }
        pause();
    }
}

fn unrecorded_now(directories: &[PathBuf], journal: &Journal) -> Result<Vec<String>> {
    let mut found: HashMap<(String, String), usize> = HashMap::new();
    for directory in directories {
        for entry in std::fs::read_dir(directory.join("audit"))? {
            // Another log may just be begun.
            let text = std::fs::read_to_string(entry?.path())?;
            for line in text.lines() {
                // A line that a crash tore has no record.
                let Some(operation) = member(line, "operation") else { continue };
                let Some(object) = member(line, "object") else { continue };
                if member(line, "result") == Some("Success") {
                    *found.entry((operation.to_owned(), object.to_owned())).or_default() += 1;
                }
            }
        }
    }
    let mut faults = Vec::new();
    for (number, thing) in &journal.things {
        let made = (thing.kind == Kind::Key && thing.there == Expected::Yes).then_some("Create");
        let destroyed = (thing.destroyed == Expected::Yes).then_some("Destroy");
        for operation in made.into_iter().chain(destroyed) {
            let key = (operation.to_owned(), id(*number));
            let times = found.get(&key).copied().unwrap_or(0);
            if times != 1 {
                faults.push(format!("{operation} of {} is recorded {times} times", key.1));
            }
        }
    }
    Ok(faults)
}

/// The text of a member of a record.
fn member<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    Some(line.split_once(&format!("\"{name}\":\""))?.1.split_once('"')?.0)
}
