//! The rows on what the record of every decision costs: a server that keeps the audit log, and one
//! that does not, in turn.

use std::path::Path;

use anyhow::Result;

use super::load::{self, Measured, Shape};
use super::special::line;
use super::{Line, Plan, Programs, message, rows};
use crate::server::Server;

/// What a request may cost with its record: times the same without.
const RECORDED: f64 = 1.2;

/// The names of the rows.
const BINARY: &str = "Encrypt with its record, binary";
const JSON: &str = "Encrypt with its record, JSON";
const ALONE: &str = "Encrypt with its record, binary, 1 connection";
const CHANGE: &str = "Create with its record, JSON";
const NAMES: &[&str] = &[BINARY, JSON, ALONE, CHANGE];

/// Measures the rows. `off` is a server without an audit log.
pub(crate) fn measure(
    plan: &Plan,
    off: &Server,
    programs: &Programs,
    scratch: &Path,
) -> Result<Vec<Line>> {
    if !plan.wants_any(NAMES) {
        return Ok(Vec::new());
    }
    let data = scratch.join("audited");
    std::fs::create_dir_all(&data)?;
    let on = Server::start(&programs.server, &data, &[])?;
    let mut lines = Vec::new();
    for (name, connections, request) in [
        (BINARY, 16, binary as fn(&Server) -> Result<Vec<u8>>),
        (JSON, 16, json),
        (ALONE, 1, binary),
        (CHANGE, 16, |_| Ok(message::json(rows::CREATE))),
    ] {
        if plan.wants(name) {
            let work = [(&on, vec![request(&on)?]), (off, vec![request(off)?])];
            lines.push(against_off(plan, name, connections, &work)?);
        }
    }
    Ok(lines)
}

fn binary(server: &Server) -> Result<Vec<u8>> {
    Ok(message::binary(&[message::encrypt(&rows::create_key(server)?, &[0x5A; 64])]))
}

fn json(server: &Server) -> Result<Vec<u8>> {
    Ok(message::json(&rows::encrypt_json(&rows::create_key(server)?, &"5A".repeat(64))))
}

fn against_off(
    plan: &Plan,
    name: &'static str,
    connections: usize,
    work: &[(&Server, Vec<Vec<u8>>); 2],
) -> Result<Line> {
    let shape = Shape { connections, slice: plan.slice, rate: None };
    let mut measured = work.each_ref().map(|_| Measured::default());
    for _ in 0..plan.rounds {
        for ((server, requests), measured) in work.iter().zip(&mut measured) {
            measured.add(load::run(server, requests, shape)?);
        }
    }
    let [on, off] = &measured;
    let ratio = on.cpu() / off.cpu();
    let result = format!(
        "{ratio:.2} × without; {:.1} µs CPU, without {:.1}; {:.0} requests/s, without {:.0}; \
         p99 {:.0} µs, without {:.0}",
        on.cpu(),
        off.cpu(),
        on.rate(),
        off.rate(),
        on.percentile(0.99),
        off.percentile(0.99),
    );
    let figures = [
        ("server_cpu_us", on.cpu()),
        ("without_cpu_us", off.cpu()),
        ("requests_per_second", on.rate()),
        ("without_requests_per_second", off.rate()),
        ("p99_us", on.percentile(0.99)),
        ("without_p99_us", off.percentile(0.99)),
    ];
    // One connection shares its record with nobody, and a change is written to the disk anyway:
    // the target is about many uses.
    let bound = [BINARY, JSON].contains(&name);
    let target =
        if bound { format!("server CPU ≤ {RECORDED} × without") } else { "–".to_owned() };
    let mut line = line(name, &target, result, ratio <= RECORDED, &figures);
    line.met = line.met.filter(|_| bound);
    Ok(line)
}
