//! The server killed under write load, again and again: nothing that was answered may be lost,
//! of a batch that is undone as a whole no half may be found, and the audit log has each answered
//! change once and is called sound, with a lost tail at most.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kms_testkit::http::Connection;
use kms_testkit::server::Server;

use crate::Result;

/// Threads that write at the same time.
const WRITERS: u64 = 8;

/// How long a run writes before it is killed: so many milliseconds more in each of the runs, so
/// that the kill meets the server at other moments.
const LOAD_MIN: u64 = 150;

/// What was answered, and what was asked for and may or may not have happened.
#[derive(Default)]
struct Ledger {
    /// Identifiers of objects whose creation was answered.
    created: Vec<String>,
    /// Pairs that were asked for in one batch: the number, and whether it was answered.
    pairs: Vec<(u64, bool)>,
    /// Objects whose destruction was answered.
    destroyed: Vec<String>,
}

pub(crate) fn task(arguments: &[String]) -> Result<bool> {
    let server = PathBuf::from(crate::option(arguments, "--server").ok_or("--server PATH")?);
    let times = crate::option(arguments, "--times").unwrap_or("50").parse()?;
    kill_again_and_again(&server, times)
}

/// Kills the server `times` times under load and looks after each; whether nothing was lost.
pub(crate) fn kill_again_and_again(program: &Path, times: u64) -> Result<bool> {
    let mut server = Server::builder().binary(program).start();
    let numbers = AtomicU64::new(0);
    let mut all = Ledger::default();
    for time in 0..times {
        let load = Duration::from_millis(LOAD_MIN + (time * 37) % 400);
        let ledger = write_until_killed(&mut server, &numbers, load)?;
        let mut faults: Vec<String> = audit_faults(program, &server)?.into_iter().collect();
        server = server.restart();
        faults.extend(self::faults(&server, &ledger)?);
        faults.extend(audit_faults(program, &server)?);
        faults.extend(unrecorded(&server, &ledger)?);
        println!(
            "kill {}: {} created, {} pairs, {} destroyed answered before it; {} faults",
            time + 1,
            ledger.created.len(),
            ledger.pairs.iter().filter(|(_, answered)| *answered).count(),
            ledger.destroyed.len(),
            faults.len()
        );
        if !faults.is_empty() {
            print(&faults);
            return Ok(false);
        }
        all.created.extend(ledger.created);
        all.pairs.extend(ledger.pairs);
        all.destroyed.extend(ledger.destroyed);
    }
    let server = server.restart();
    let mut faults = faults(&server, &all)?;
    faults.extend(unrecorded(&server, &all)?);
    println!(
        "after {times} kills: {} objects, {} pairs and {} destructions looked at again, {} faults",
        all.created.len(),
        all.pairs.len(),
        all.destroyed.len(),
        faults.len()
    );
    print(&faults);
    // A run that wrote nothing proves nothing.
    Ok(faults.is_empty() && all.created.len() as u64 >= times && !all.pairs.is_empty())
}

fn print(faults: &[String]) {
    for fault in faults {
        println!("  {fault}");
    }
}

/// Writes from several threads until the server has been killed; what was answered.
fn write_until_killed(server: &mut Server, numbers: &AtomicU64, load: Duration) -> Result<Ledger> {
    let ledger = Mutex::new(Ledger::default());
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let mut connection = server.connect();
            let ledger = &ledger;
            scope.spawn(move || {
                // The kill is what ends the connection.
                while write(writer, &mut connection, numbers, ledger).is_ok() {}
            });
        }
        std::thread::sleep(load);
        server.kill();
    });
    ledger.into_inner().map_err(|_poisoned| "a writer panicked".into())
}

fn write(
    writer: u64,
    connection: &mut Connection,
    numbers: &AtomicU64,
    ledger: &Mutex<Ledger>,
) -> Result<()> {
    match writer % 4 {
        0 => write_pair(connection, numbers.fetch_add(1, Ordering::Relaxed), ledger),
        1 => create_and_destroy(connection, ledger),
        _ => create(connection).map(|id| note(ledger, |it| it.created.push(id))),
    }
}

fn note(ledger: &Mutex<Ledger>, write: impl FnOnce(&mut Ledger)) {
    if let Ok(mut ledger) = ledger.lock() {
        write(&mut ledger);
    }
}

/// One request that must succeed; the answer's text.
fn succeed(connection: &mut Connection, path: &str, body: &str) -> Result<String> {
    connection.begin("POST", path, &[("content-type", "application/json")], body.as_bytes());
    let answer = connection.answer().ok_or("the connection was closed")?;
    let text = answer.text();
    if answer.status == 200 && !text.contains("OperationFailed") {
        Ok(text)
    } else {
        Err(text.into())
    }
}

fn create(connection: &mut Connection) -> Result<String> {
    let body = format!(r#"{{"tag":"Create","value":[{}]}}"#, attributes(""));
    identifier(&succeed(connection, "/kmip/2_1", &body)?)
}

/// A pre-active object may be destroyed at once.
fn create_and_destroy(connection: &mut Connection, ledger: &Mutex<Ledger>) -> Result<()> {
    let id = create(connection)?;
    let body = format!(r#"{{"tag":"Destroy","value":[{}]}}"#, by_id(&id));
    succeed(connection, "/kmip/2_1", &body)?;
    note(ledger, |it| it.destroyed.push(id));
    Ok(())
}

/// Two objects in one batch that is undone as a whole.
fn write_pair(connection: &mut Connection, number: u64, ledger: &Mutex<Ledger>) -> Result<()> {
    let item = |half: char| {
        let name = format!(
            r#",{{"tag":"Name","value":[{{"tag":"NameValue","type":"TextString","value":"pair-{number}-{half}"}},{{"tag":"NameType","type":"Enumeration","value":"UninterpretedTextString"}}]}}"#
        );
        format!(
            r#"{{"tag":"BatchItem","value":[{{"tag":"Operation","type":"Enumeration","value":"Create"}},{{"tag":"UniqueBatchItemID","type":"ByteString","value":"0{}"}},{{"tag":"RequestPayload","value":[{}]}}]}}"#,
            u32::from(half == 'b'),
            attributes(&name)
        )
    };
    let body = format!(
        r#"{{"tag":"RequestMessage","value":[{{"tag":"RequestHeader","value":[{{"tag":"ProtocolVersion","value":[{{"tag":"ProtocolVersionMajor","type":"Integer","value":2}},{{"tag":"ProtocolVersionMinor","type":"Integer","value":1}}]}},{{"tag":"BatchErrorContinuationOption","type":"Enumeration","value":"Undo"}},{{"tag":"BatchCount","type":"Integer","value":2}}]}},{},{}]}}"#,
        item('a'),
        item('b')
    );
    let answer = succeed(connection, "/kmip", &body);
    note(ledger, |it| it.pairs.push((number, answer.is_ok())));
    answer.map(drop)
}

fn attributes(more: &str) -> String {
    format!(
        r#"{{"tag":"ObjectType","type":"Enumeration","value":"SymmetricKey"}},{{"tag":"Attributes","value":[{{"tag":"CryptographicAlgorithm","type":"Enumeration","value":"AES"}},{{"tag":"CryptographicLength","type":"Integer","value":256}},{{"tag":"CryptographicUsageMask","type":"Integer","value":12}}{more}]}}"#
    )
}

fn by_id(id: &str) -> String {
    format!(r#"{{"tag":"UniqueIdentifier","type":"TextString","value":"{id}"}}"#)
}

/// The value of the first `UniqueIdentifier`.
fn identifier(answer: &str) -> Result<String> {
    let found = answer.split_once(r#""UniqueIdentifier""#).and_then(|(_, rest)| {
        let value = rest.split_once(r#""value""#)?.1.split_once('"')?.1;
        Some(value.split_once('"')?.0.to_owned())
    });
    found.ok_or_else(|| format!("no identifier in {answer}").into())
}

/// What is not as it was answered.
fn faults(server: &Server, ledger: &Ledger) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    let mut connection = server.connect();
    let mut ask = |operation: &str, id: &str| {
        let body = format!(r#"{{"tag":"{operation}","value":[{}]}}"#, by_id(id));
        connection.post("/kmip/2_1", "application/json", body.as_bytes())
    };
    for id in &ledger.created {
        if ask("Get", id).status != 200 {
            faults.push(format!("{id} was created, and is gone or has no key"));
        }
    }
    for id in &ledger.destroyed {
        let attributes = ask("GetAttributes", id);
        let destroyed = attributes.text().contains("\"Destroyed\"");
        if !destroyed || ask("Get", id).status == 200 {
            faults.push(format!("{id} was destroyed, and is not"));
        }
    }
    for (number, answered) in &ledger.pairs {
        let (a, b) =
            (located(&mut connection, *number, 'a')?, located(&mut connection, *number, 'b')?);
        if a != b || (*answered && !a) {
            faults.push(format!("pair {number}, answered: {answered}; found: {a} and {b}"));
        }
    }
    Ok(faults)
}

/// What `audit verify` has to say against the log.
fn audit_faults(program: &Path, server: &Server) -> Result<Option<String>> {
    let mut verify = Command::new(program);
    verify.args(["audit", "verify", "--root-dir"]).arg(server.directory());
    let ended = verify.current_dir(server.directory()).output()?;
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    Ok((!ended.status.success())
        .then(|| format!("audit verify ended with {}: {said}", ended.status)))
}

/// The answered changes that the audit log does not have exactly once.
fn unrecorded(server: &Server, ledger: &Ledger) -> Result<Vec<String>> {
    let mut found: HashMap<(String, String), usize> = HashMap::new();
    for entry in std::fs::read_dir(server.directory().join("audit"))? {
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
    let mut faults = Vec::new();
    let created = ledger.created.iter().map(|id| ("Create", id));
    let destroyed = ledger.destroyed.iter().map(|id| ("Destroy", id));
    for (operation, id) in created.chain(destroyed) {
        let times = found.get(&(operation.to_owned(), id.clone())).copied().unwrap_or(0);
        if times != 1 {
            faults.push(format!("{operation} of {id} was answered, and is recorded {times} times"));
        }
    }
    Ok(faults)
}

/// The text of a member of a record.
fn member<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    Some(line.split_once(&format!("\"{name}\":\""))?.1.split_once('"')?.0)
}

fn located(connection: &mut Connection, number: u64, half: char) -> Result<bool> {
    let body = format!(
        r#"{{"tag":"Locate","value":[{{"tag":"Attributes","value":[{{"tag":"Name","value":[{{"tag":"NameValue","type":"TextString","value":"pair-{number}-{half}"}},{{"tag":"NameType","type":"Enumeration","value":"UninterpretedTextString"}}]}}]}}]}}"#
    );
    Ok(identifier(&succeed(connection, "/kmip/2_1", &body)?).is_ok())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::kill_again_and_again;

    #[test]
    fn five_kills_under_load_lose_nothing() {
        let test = std::env::current_exe().unwrap();
        let server: PathBuf = test.parent().unwrap().parent().unwrap().join("kms-server");
        assert!(kill_again_and_again(&server, 5).unwrap());
    }
}
