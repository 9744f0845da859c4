//! The rows that compare the processor time of a request with that of an echo of the same sizes.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::load::{self, Measured, Shape};
use super::{Line, Plan, message};
use crate::http::{self, Connection};
use crate::server::Server;

/// One kind of work and what it may cost.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// Times the echo.
    pub(crate) limit: f64,
    pub(crate) connections: usize,
    pub(crate) requests: Vec<Vec<u8>>,
}

/// A row and its echo, measured in turn.
pub(crate) struct Pair {
    pub(crate) work: Measured,
    pub(crate) echo: Measured,
}

impl Pair {
    /// The server's processor time as a multiple of the echo's.
    pub(crate) fn ratio(&self) -> f64 {
        self.work.cpu() / self.echo.cpu()
    }
}

/// Measures every row of the table that is a multiple of an echo.
pub(crate) fn measure(plan: &Plan, server: &Server, echo: &Server) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for row in rows(server)? {
        if !plan.wants(row.name) {
            continue;
        }
        let pair = in_turn(plan, &row, server, echo)?;
        let mut line = line(&row, &pair);
        if row.name.starts_with("Create AES") {
            add_group_commit(&mut line, &row, &pair)?;
        }
        println!("{:<44} {}", line.name, line.result);
        lines.push(line);
    }
    Ok(lines)
}

/// Measures `row` and an echo of its sizes, in turn, for all rounds.
pub(crate) fn in_turn(plan: &Plan, row: &Row, server: &Server, echo: &Server) -> Result<Pair> {
    in_turn_with(plan, row, server, (echo, ""))
}

/// The same with an echo that does something more: `path` says what.
pub(crate) fn in_turn_with(
    plan: &Plan,
    row: &Row,
    server: &Server,
    (echo, path): (&Server, &str),
) -> Result<Pair> {
    let echoes = echoes_at(server, &row.requests, path)?;
    let shape = Shape { connections: row.connections, slice: plan.slice, rate: None };
    let mut pair = Pair { work: Measured::default(), echo: Measured::default() };
    for _ in 0..plan.rounds {
        pair.work.add(load::run(server, &row.requests, shape).context(row.name)?);
        pair.echo.add(load::run(echo, &echoes, shape).context("echo")?);
    }
    Ok(pair)
}

fn rows(server: &Server) -> Result<Vec<Row>> {
    let id = create_key(server)?;
    let plaintext = [0x5A_u8; 64];
    let hex = "5A".repeat(64);
    let encrypt_json = message::json(&encrypt_json(&id, &hex));
    let decrypt_json = message::json(&decrypt_json(&id, &exchange(server, &encrypt_json)?)?);
    let encrypt_binary = message::binary(&[message::encrypt(&id, &plaintext)]);
    let decrypt_binary = decrypt_binary(&id, &exchange(server, &encrypt_binary)?)?;
    let by_id = |operation| {
        message::json(&format!(r#"{{"tag":"{operation}","value":[{}]}}"#, text_json(&id)))
    };
    let create = message::json(CREATE);
    let row = |name, limit, requests| Row { name, limit, connections: 16, requests };
    Ok(vec![
        row("Encrypt 64 B, JSON", 2.0, vec![encrypt_json]),
        row("Decrypt 64 B, JSON", 2.0, vec![decrypt_json]),
        row("Encrypt 64 B, binary", 1.7, vec![encrypt_binary]),
        row("Decrypt 64 B, binary", 1.7, vec![decrypt_binary]),
        row("Get, JSON", 2.5, vec![by_id("Get")]),
        row("GetAttributes, JSON", 2.5, vec![by_id("GetAttributes")]),
        row("Get, binary", 2.0, vec![message::binary(&[message::get(&id)])]),
        row("GetAttributes, binary", 2.0, vec![message::binary(&[message::get_attributes(&id)])]),
        row("Create AES-256, JSON, 16 connections", 10.0, vec![create.clone()]),
        Row {
            name: "Create AES-256, JSON, 128 connections",
            limit: 8.0,
            connections: 128,
            requests: vec![create],
        },
    ])
}

/// A bare Create of an AES-256 key that is active at once.
pub(crate) const CREATE: &str = r#"{"tag":"Create","value":[{"tag":"ObjectType","type":"Enumeration","value":"SymmetricKey"},{"tag":"Attributes","value":[{"tag":"ActivationDate","type":"DateTime","value":"2024-01-01T00:00:00Z"},{"tag":"CryptographicAlgorithm","type":"Enumeration","value":"AES"},{"tag":"CryptographicLength","type":"Integer","value":256},{"tag":"CryptographicUsageMask","type":"Integer","value":12}]}]}"#;

/// Makes a key; its identifier.
pub(crate) fn create_key(server: &Server) -> Result<String> {
    let answer = exchange(server, &message::json(CREATE))?;
    field(&answer, "UniqueIdentifier")
}

/// One exchange that must succeed.
pub(crate) fn exchange(server: &Server, request: &[u8]) -> Result<Vec<u8>> {
    let mut connection = Connection::open(server.address)?;
    let answer = connection.exchange(request)?;
    if answer.status != 200 {
        bail!("answered {}: {}", answer.status, String::from_utf8_lossy(answer.body));
    }
    Ok(answer.body.to_vec())
}

/// The text value of the first item called `tag` in an answer in JSON.
pub(crate) fn field(answer: &[u8], tag: &str) -> Result<String> {
    let text = std::str::from_utf8(answer)?;
    let found = text.split_once(&format!("\"{tag}\"")).and_then(|(_, rest)| {
        let value = rest.split_once("\"value\"")?.1.split_once('"')?.1;
        Some(value.split_once('"')?.0.to_owned())
    });
    found.with_context(|| format!("no {tag} in {text}"))
}

/// `UniqueIdentifier` as an item in JSON.
pub(crate) fn text_json(id: &str) -> String {
    format!(r#"{{"tag":"UniqueIdentifier","type":"TextString","value":"{id}"}}"#)
}

/// A bare Encrypt without parameters.
pub(crate) fn encrypt_json(id: &str, hex: &str) -> String {
    format!(
        r#"{{"tag":"Encrypt","value":[{},{{"tag":"Data","type":"ByteString","value":"{hex}"}}]}}"#,
        text_json(id)
    )
}

fn decrypt_json(id: &str, encrypted: &[u8]) -> Result<String> {
    let mut items = text_json(id);
    for tag in ["Data", "IVCounterNonce", "AuthenticatedEncryptionTag"] {
        let hex = field(encrypted, tag)?;
        write!(items, r#",{{"tag":"{tag}","type":"ByteString","value":"{hex}"}}"#)?;
    }
    Ok(format!(r#"{{"tag":"Decrypt","value":[{items}]}}"#))
}

fn decrypt_binary(id: &str, encrypted: &[u8]) -> Result<Vec<u8>> {
    let part = |tag| message::find(encrypted, tag).context("the answer to Encrypt in binary");
    let item = message::decrypt(id, part(0x42_00C2)?, part(0x42_003D)?, part(0x42_00FF)?);
    Ok(message::binary(&[item]))
}

/// For each request one to the echo with the same body, whose answer has the size of the real one.
pub(crate) fn echoes(server: &Server, requests: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
    echoes_at(server, requests, "")
}

fn echoes_at(server: &Server, requests: &[Vec<u8>], path: &str) -> Result<Vec<Vec<u8>>> {
    let mut echoes = Vec::new();
    for request in requests {
        let size = exchange(server, request)?.len();
        let at = request.windows(4).position(|four| four == b"\r\n\r\n").context("a request")?;
        let body = request.get(at + 4..).unwrap_or_default();
        echoes.push(http::request(
            "POST",
            &format!("{path}/{size}"),
            "application/octet-stream",
            body,
        ));
    }
    Ok(echoes)
}

/// What a row came to, as a multiple of its echo.
pub(crate) fn line(row: &Row, pair: &Pair) -> Line {
    let work = &pair.work;
    let ratio = pair.ratio();
    Line {
        name: row.name.to_owned(),
        target: format!("server CPU ≤ {} × echo", row.limit),
        result: format!(
            "{:.2} × echo; {:.1} µs CPU ({:.1} system), echo {:.1} µs; {:.0} requests/s; \
             p50 {:.0} µs, p99 {:.0} µs",
            ratio,
            work.cpu(),
            work.system(),
            pair.echo.cpu(),
            work.rate(),
            work.percentile(0.5),
            work.percentile(0.99),
        ),
        met: Some(ratio <= row.limit),
        figures: figures(pair),
    }
}

/// The figures of a pair, by name.
pub(crate) fn figures(pair: &Pair) -> Vec<(String, f64)> {
    let mut figures = Vec::new();
    for (who, measured) in [("server", &pair.work), ("echo", &pair.echo)] {
        let mut add = |what: &str, value| figures.push((format!("{who}_{what}"), value));
        add("requests_per_second", measured.rate());
        add("cpu_us", measured.cpu());
        add("system_us", measured.system());
        add("p50_us", measured.percentile(0.5));
        add("p99_us", measured.percentile(0.99));
    }
    figures
}

/// A commit is durable: what the processor and one fsync a group of all connections allow.
fn add_group_commit(line: &mut Line, row: &Row, pair: &Pair) -> Result<()> {
    let fsync = fsync_seconds(&std::env::temp_dir())?;
    let connections = load::count(u64::try_from(row.connections)?);
    let allowed = connections / (connections * pair.work.cpu() * 1e-6 + fsync);
    let share = pair.work.rate() / allowed;
    line.target.push_str(" and requests/s ≥ 60 % of what CPU and one fsync a group allow");
    write!(
        line.result,
        "; {:.0} % of {allowed:.0}/s that this CPU and one fsync ({:.0} µs) a group allow",
        share * 100.0,
        fsync * 1e6
    )?;
    line.met = line.met.map(|met| met && share >= 0.6);
    line.figures.push(("fsync_us".to_owned(), fsync * 1e6));
    line.figures.push(("share_of_allowed".to_owned(), share));
    Ok(())
}

/// The median time of writing 8 KiB and having it on the disk.
fn fsync_seconds(directory: &Path) -> Result<f64> {
    let path = directory.join(format!("kms-bench-fsync-{}", std::process::id()));
    let mut file = File::create(&path)?;
    let mut times = Vec::new();
    for _ in 0..101 {
        file.rewind()?;
        let begun = Instant::now();
        file.write_all(&[7; 8192])?;
        file.sync_data()?;
        times.push(begun.elapsed().as_secs_f64());
    }
    std::fs::remove_file(&path)?;
    times.sort_unstable_by(f64::total_cmp);
    times.get(times.len() / 2).copied().context("no time was taken")
}
