//! The cases of the standard against a real server: each case gets a fresh one, twice, so that
//! every request is sent once in XML and once in binary.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use kmip::Version;
use kms_testkit::server::Server;
use ttlv::{Encoding, Limits, Spelling};

use crate::Result;
use crate::case::{Case, Exchange};
use crate::check::{self, Context};
use crate::tree::{self, Node};
use crate::variables::Variables;

/// What is asked for.
struct Job {
    server: PathBuf,
    cases: PathBuf,
    /// Part of the name of the cases to run.
    only: Option<String>,
    /// The names of our operations.
    operations: HashSet<String>,
}

/// How a case went.
enum Verdict {
    Passed,
    /// It uses an operation that is not ours.
    Foreign,
    /// Why.
    Failed(String),
}

pub(crate) fn task(arguments: &[String]) -> Result<bool> {
    let job = Job {
        server: crate::option(arguments, "--server").ok_or("--server PATH")?.into(),
        cases: arguments.last().ok_or("the directory of the cases")?.into(),
        only: crate::option(arguments, "--only").map(str::to_owned),
        operations: ours(),
    };
    let unsupported = unsupported(crate::option(arguments, "--unsupported").unwrap_or_default())?;
    let verdicts = judge(&job, &groups(names(&job.cases)?, job.only.as_deref()))?;
    Ok(report(&job, &verdicts, &unsupported))
}

/// The cases of which each finds the objects of the one before, on one server.
const SERIES: &[&str] = &["SASED", "TL-M", "TL_M"];

/// The names in groups that share a server; a group is kept if one of it is wanted.
fn groups(names: BTreeSet<String>, only: Option<&str>) -> Vec<Vec<String>> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in names {
        let (folder, file) = name.rsplit_once('/').unwrap_or(("", &name));
        let series = SERIES.iter().find(|series| file.starts_with(**series));
        let key = series.map_or(name.clone(), |series| format!("{folder}/{series}"));
        groups.entry(key).or_default().push(name);
    }
    let wanted = |name: &String| only.is_none_or(|only| name.contains(only));
    groups.into_values().filter(|group| group.iter().any(wanted)).collect()
}

/// Runs the groups on as many threads as there are processors.
fn judge(job: &Job, groups: &[Vec<String>]) -> Result<BTreeMap<String, Verdict>> {
    let queue = Mutex::new(groups.iter());
    let verdicts = Mutex::new(BTreeMap::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let next = || queue.lock().ok().and_then(|mut queue| queue.next());
                while let Some(group) = next() {
                    let all = run(job, group);
                    drop(verdicts.lock().map(|mut verdicts| verdicts.extend(all)));
                }
            });
        }
    });
    verdicts.into_inner().map_err(|_poisoned| "a thread panicked".into())
}

/// Runs the cases of a group in their order, once from XML on and once from binary on.
fn run(job: &Job, group: &[String]) -> BTreeMap<String, Verdict> {
    let mut verdicts = BTreeMap::new();
    for first in [Encoding::Xml, Encoding::Binary] {
        let server = Server::builder().binary(&job.server).start();
        let mut makes_keys = false;
        for name in group {
            let verdict = one(job, name, &server, first, &mut makes_keys)
                .unwrap_or_else(|error| Verdict::Failed(error.to_string()));
            match verdicts.get(name) {
                Some(Verdict::Failed(_)) => {}
                _ => drop(verdicts.insert(name.clone(), verdict)),
            }
        }
    }
    verdicts
}

/// Runs one case. `makes_keys` says whether one before it on this server made a key.
fn one(
    job: &Job,
    name: &str,
    server: &Server,
    first: Encoding,
    makes_keys: &mut bool,
) -> Result<Verdict> {
    let case = Case::read(&job.cases, name)?;
    *makes_keys |= case.makes_keys();
    if case.operations().iter().any(|name| !job.operations.contains(&check::plain(name))) {
        return Ok(Verdict::Foreign);
    }
    Ok(match walk(job, &case, server, first, *makes_keys) {
        Ok(()) => Verdict::Passed,
        Err(difference) => Verdict::Failed(difference),
    })
}

/// Sends the requests of a case, each in the other encoding than the one before.
fn walk(
    job: &Job,
    case: &Case,
    server: &Server,
    mut encoding: Encoding,
    makes_keys: bool,
) -> std::result::Result<(), String> {
    let mut given = HashSet::new();
    let mut variables = Variables::default();
    for (number, exchange) in case.exchanges.iter().enumerate() {
        exchange.give(&mut given);
        let step = |difference: String| format!("step {} ({encoding:?}): {difference}", number + 1);
        let answer = send(server, exchange, &variables, encoding).map_err(step)?;
        let mut context = Context {
            operations: &job.operations,
            given: &given,
            makes_keys,
            pads_at_random: case.pads_at_random(),
            request: &exchange.request,
            variables,
            by_chance: false,
        };
        let checked = context.check(&exchange.response, &answer);
        if checked.is_err() && job.only.is_some() {
            println!("asked: {}\nanswered: {}", exchange.request.write(), answer.write());
        }
        checked.map_err(step)?;
        variables = context.variables;
        variables.note(&answer);
        encoding = if encoding == Encoding::Xml { Encoding::Binary } else { Encoding::Xml };
    }
    Ok(())
}

fn send(
    server: &Server,
    exchange: &Exchange,
    variables: &Variables,
    encoding: Encoding,
) -> std::result::Result<Node, String> {
    let request = variables.fill(&exchange.request)?;
    let text = request.write();
    let text_of = |error: &dyn std::fmt::Display| error.to_string();
    let binary = if encoding == Encoding::Binary { to_binary(&text) } else { None };
    let (kind, body) = match binary {
        Some(bytes) => ("application/octet-stream", bytes),
        // What the types cannot express, an error that the server must find, goes as text.
        None => ("text/xml", text.into_bytes()),
    };
    let answer = server.connect().post("/kmip", kind, &body);
    if answer.status != 200 {
        return Err(format!("HTTP {}: {}", answer.status, String::from_utf8_lossy(&answer.body)));
    }
    let text = if kind == "text/xml" {
        String::from_utf8(answer.body).map_err(|error| text_of(&error))?
    } else {
        to_xml(&answer.body)?
    };
    tree::read(&text).map_err(|error| text_of(&error))
}

/// A request in XML as binary, by way of the types.
fn to_binary(text: &str) -> Option<Vec<u8>> {
    let names = kmip::tag::Names;
    let item = Encoding::Xml
        .decode(text.as_bytes(), &names, &Limits::default(), ttlv::Unknown::Refuse)
        .ok()?;
    let message = kmip::message::read(item).ok()?;
    if message.items.iter().any(|item| item.payload.is_err() || item.critical_extension) {
        return None;
    }
    let item = kmip::message::write_request(&message, message.header.version()).ok()?;
    let mut bytes = Vec::new();
    ttlv::binary::encode(&item, &mut bytes).ok()?;
    Some(bytes)
}

/// An answer in binary as XML, by way of the types.
fn to_xml(bytes: &[u8]) -> std::result::Result<String, String> {
    let failed = |what: &str, error: &dyn std::fmt::Display| format!("{what}: {error}");
    let item = ttlv::binary::decode(bytes, &Limits::default())
        .map_err(|error| failed("the answer is not binary TTLV", &error))?;
    let message = kmip::message::read_response(item)
        .map_err(|error| failed("the answer is not a message", &error))?;
    let version = message.header.protocol_version.known().unwrap_or(Version::ALL[0]);
    let item = kmip::message::write(&message, version)
        .map_err(|error| failed("the answer cannot be written again", &error))?;
    let mut text = Vec::new();
    Encoding::Xml
        .encode(&item, &kmip::tag::Names, Spelling::Profile, &mut text)
        .map_err(|error| failed("the answer has no XML", &error))?;
    String::from_utf8(text).map_err(|error| failed("the XML is not UTF-8", &error))
}

/// The operations that this project has, without what spellings differ in.
fn ours() -> HashSet<String> {
    kmip::operation::ALL
        .iter()
        .filter_map(|(operation, _)| operation.name())
        .map(check::plain)
        .collect()
}

/// Every case below `directory`, by its path.
fn names(directory: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let mut waiting = vec![directory.to_path_buf()];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "xml") {
                names.insert(path.strip_prefix(directory)?.to_string_lossy().into_owned());
            }
        }
    }
    Ok(names)
}

/// The listed cases, each with the reason why it is not supported.
fn unsupported(path: &str) -> Result<BTreeMap<String, String>> {
    let mut listed = BTreeMap::new();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, reason) = line.split_once(": ").ok_or_else(|| format!("no reason: {line}"))?;
        listed.insert(name.to_owned(), reason.to_owned());
    }
    Ok(listed)
}

/// Counts of one version.
#[derive(Default)]
struct Count {
    passed: u32,
    unsupported: u32,
    failed: u32,
    foreign: u32,
}

/// Prints what failed and the table; whether nothing failed.
fn report(
    job: &Job,
    verdicts: &BTreeMap<String, Verdict>,
    unsupported: &BTreeMap<String, String>,
) -> bool {
    let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
    for (name, verdict) in verdicts {
        let count = counts.entry(name.split('/').next().unwrap_or_default()).or_default();
        match (verdict, unsupported.contains_key(name)) {
            (Verdict::Foreign, false) => count.foreign += 1,
            (Verdict::Passed, false) => count.passed += 1,
            (Verdict::Failed(_), true) => count.unsupported += 1,
            (Verdict::Failed(difference), false) => {
                count.failed += 1;
                println!("FAILED {name}: {difference}");
            }
            (Verdict::Passed | Verdict::Foreign, true) => {
                count.failed += 1;
                println!("FAILED {name}: it passes or is not ours; take it off the list");
            }
        }
    }
    let mut failed: u32 = counts.values().map(|count| count.failed).sum();
    if job.only.is_none() {
        for name in unsupported.keys().filter(|name| !verdicts.contains_key(*name)) {
            failed += 1;
            println!("FAILED {name}: listed as unsupported, but there is no such case");
        }
    }
    println!("\nversion  passed  unsupported  failed  of other operations");
    for (version, count) in &counts {
        println!(
            "{version:<8} {:>6} {:>12} {:>7} {:>20}",
            count.passed, count.unsupported, count.failed, count.foreign
        );
    }
    let passed: u32 = counts.values().map(|count| count.passed).sum();
    println!("{passed} passed, {failed} failed");
    failed == 0
}
