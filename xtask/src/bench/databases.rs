//! The rows on databases on servers: what a use and a change cost beside an echo with the same driver,
//! how many round trips they take, several servers on one database, and a large one.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::load::{self, Measured, Shape, count};
use super::rows::{self, Row};
use super::special::{self, line};
use super::{Line, Plan, Programs, QUIET, message};
use crate::http::Connection;
use crate::lab::Lab;
use crate::server::Server;

/// What a use may cost: times an echo that reads one row by its primary key.
const USE: f64 = 1.3;
/// What a change may cost: times an echo that inserts the same rows.
const CHANGE: f64 = 1.5;
/// How much of the work of one server for a second of processor time each of several must do.
const SHARED: f64 = 0.85;
/// How many servers share a database, and how many connections each has.
const SERVERS: usize = 4;
const CONNECTIONS: usize = 16;
/// What finding one among many may cost: times finding it among few.
const LARGE: f64 = 3.0;
const SMALL_OBJECTS: u64 = 1000;
/// Requests that are sent one after the other to count round trips.
const COUNTED: u64 = 2000;

/// A kind of database.
struct Kind {
    name: &'static str,
    /// As the laboratory calls it.
    word: &'static str,
    variable: &'static str,
    /// The round trips that a Create may take: on one that takes no lists, one more for each table.
    create_turns: f64,
    /// Copies the object called `object-0` so many times, under other identifiers and names.
    fill: fn(u64) -> Vec<String>,
}

const KINDS: &[Kind] = &[
    Kind {
        name: "PostgreSQL",
        word: "postgres",
        variable: "KMS_POSTGRES_URL",
        create_turns: 2.0,
        fill: fill_postgres,
    },
    Kind {
        name: "MariaDB",
        word: "mariadb",
        variable: "KMS_MYSQL_URL",
        create_turns: 4.0,
        fill: fill_mariadb,
    },
];

/// A database with a server on it, and an echo.
struct Place {
    lab: Lab,
    server: Server,
    echo: Server,
    key: String,
}

/// Measures the rows.
pub(crate) fn measure(plan: &Plan, programs: &Programs, scratch: &Path) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for kind in KINDS {
        let of = |what: &str| format!("{what} on {}", kind.name);
        let names =
            ["Encrypt, JSON", "Encrypt, binary", "Create, JSON", "Round trips", "Four servers"];
        let locate = of(&format!("Locate among {}", plan.objects));
        let wanted = names.map(of);
        if !wanted.iter().chain([&locate]).any(|name| plan.wants(name)) {
            continue;
        }
        let mut place = start(kind, programs, scratch)?;
        let [encrypt_json, encrypt_binary, create, turns, four] = &wanted;
        let key = place.key.clone();
        let json = message::json(&rows::encrypt_json(&key, &"5A".repeat(64)));
        let binary = message::binary(&[message::encrypt(&key, &[0x5A; 64])]);
        for (name, limit, request, path) in [
            (encrypt_json, USE, json.clone(), "/read"),
            (encrypt_binary, USE, binary, "/read"),
            (create, CHANGE, message::json(rows::CREATE), "/insert"),
        ] {
            if plan.wants(name) {
                lines.push(beside_echo(plan, &place, (name, limit), request, path)?);
            }
        }
        if plan.wants(turns) {
            lines.extend(round_trips(kind, programs, scratch, &mut place)?);
        }
        if plan.wants(four) {
            lines.push(several(plan, programs, scratch, (kind, four), &place)?);
        }
        if plan.wants(&locate) {
            lines.push(large(plan, kind, &locate, &mut place)?);
        }
    }
    Ok(lines)
}

fn start(kind: &Kind, programs: &Programs, scratch: &Path) -> Result<Place> {
    let lab = Lab::start(&programs.lab, &format!("database {}", kind.word))?;
    let server = server(kind, &lab.url, programs, &scratch.join(kind.word))?;
    let key = rows::create_key(&server)?;
    let log = scratch.join(format!("echo-{}.log", kind.word));
    let echo = Server::start_at(&programs.database_echo, &[&lab.url], &log)?;
    Ok(Place { lab, server, echo, key })
}

fn server(kind: &Kind, url: &str, programs: &Programs, directory: &Path) -> Result<Server> {
    std::fs::create_dir_all(directory)?;
    let mut variables = QUIET.to_vec();
    variables.push((kind.variable, url));
    Server::start(&programs.server, directory, &variables)
}

fn beside_echo(
    plan: &Plan,
    place: &Place,
    (name, limit): (&str, f64),
    request: Vec<u8>,
    path: &str,
) -> Result<Line> {
    let row = Row { name: "", limit, connections: CONNECTIONS, requests: vec![request] };
    let pair = rows::in_turn_with(plan, &row, &place.server, (&place.echo, path))?;
    let mut line = rows::line(&row, &pair);
    name.clone_into(&mut line.name);
    let does = if path == "/read" { "reads a row by its key" } else { "inserts the same rows" };
    line.target = format!("server CPU ≤ {limit} × an echo that {does}");
    println!("{:<44} {}", line.name, line.result);
    Ok(line)
}

/// Counts on a way to the database that counts, with a server of its own.
fn round_trips(
    kind: &Kind,
    programs: &Programs,
    scratch: &Path,
    place: &mut Place,
) -> Result<[Line; 2]> {
    let url = place.lab.ask("proxy", 1)?.remove(0);
    let server = server(kind, &url, programs, &scratch.join(format!("{}-counted", kind.word)))?;
    let mut connection = Connection::open(server.address)?;
    let encrypt = message::json(&rows::encrypt_json(&place.key, &"5A".repeat(64)));
    let mut counted = |request: &[u8], lab: &mut Lab| -> Result<f64> {
        // The first has to prepare its statements, and to read the key.
        send(&mut connection, request, 100)?;
        let before: u64 = lab.ask("turns", 1)?.remove(0).parse()?;
        send(&mut connection, request, COUNTED)?;
        let after: u64 = lab.ask("turns", 1)?.remove(0).parse()?;
        Ok(count(after - before) / count(COUNTED))
    };
    let a_use = counted(&encrypt, &mut place.lab)?;
    let a_change = counted(&message::json(rows::CREATE), &mut place.lab)?;
    // The server also asks once a second whether the database is there.
    let row = |what: &str, most: f64, turns: f64| {
        let name = format!("Round trips of {what} on {}", kind.name);
        let figures = [("round_trips", turns)];
        line(&name, &format!("≤ {most}"), format!("{turns:.2}"), turns <= most + 0.05, &figures)
    };
    Ok([row("Encrypt", 1.0, a_use), row("Create", kind.create_turns, a_change)])
}

fn send(connection: &mut Connection, request: &[u8], times: u64) -> Result<()> {
    for _ in 0..times {
        let answer = connection.exchange(request)?;
        if answer.status != 200 {
            bail!("answered {}: {}", answer.status, String::from_utf8_lossy(answer.body));
        }
    }
    Ok(())
}

/// One server with all connections, and several that share them, in turn.
fn several(
    plan: &Plan,
    programs: &Programs,
    scratch: &Path,
    (kind, name): (&Kind, &str),
    place: &Place,
) -> Result<Line> {
    let others: Vec<Server> = (1..SERVERS)
        .map(|number| {
            let directory = scratch.join(format!("{}-{number}", kind.word));
            server(kind, &place.lab.url, programs, &directory)
        })
        .collect::<Result<_>>()?;
    let request = vec![message::json(&rows::encrypt_json(&place.key, &"5A".repeat(64)))];
    let shape = Shape { connections: CONNECTIONS, slice: plan.slice, rate: None };
    let part = Shape { connections: CONNECTIONS / SERVERS, ..shape };
    let (mut one, mut four) = (Measured::default(), Measured::default());
    for _ in 0..plan.rounds {
        one.add(load::run(&place.server, &request, shape)?);
        std::thread::scope(|scope| -> Result<()> {
            let servers = others.iter().chain([&place.server]);
            let threads: Vec<_> =
                servers.map(|server| scope.spawn(|| load::run(server, &request, part))).collect();
            for thread in threads {
                match thread.join() {
                    Ok(measured) => four.add(measured?),
                    Err(_) => bail!("a server's load panicked"),
                }
            }
            Ok(())
        })?;
    }
    let ratio = one.cpu() / four.cpu();
    let result = format!(
        "{:.0} % of what one does; {:.1} µs CPU, one {:.1}",
        ratio * 100.0,
        four.cpu(),
        one.cpu()
    );
    let target = format!("requests per CPU second of {SERVERS} ≥ {:.0} % of one", SHARED * 100.0);
    let figures = [("several_cpu_us", four.cpu()), ("one_cpu_us", one.cpu())];
    Ok(line(name, &target, result, ratio >= SHARED, &figures))
}

/// Locate by name among few, then among many.
fn large(plan: &Plan, kind: &Kind, name: &str, place: &mut Place) -> Result<Line> {
    special::fill(&place.server, SMALL_OBJECTS)?;
    let requests: Vec<Vec<u8>> = (0..200)
        .map(|step| message::binary(&[message::locate(&format!("object-{}", step * 5))]))
        .collect();
    let answer = rows::exchange(&place.server, requests.first().context("a request")?)?;
    message::find(&answer, 0x42_0094).context("Locate found nothing")?;
    let shape = Shape { connections: CONNECTIONS, slice: plan.slice, rate: None };
    let alone = Shape { connections: 1, ..shape };
    let among = |shape| -> Result<Measured> {
        let mut measured = Measured::default();
        for _ in 0..plan.rounds {
            measured.add(load::run(&place.server, &requests, shape)?);
        }
        Ok(measured)
    };
    let (few, few_alone) = (among(shape)?, among(alone)?);
    for statement in (kind.fill)(plan.objects.saturating_sub(SMALL_OBJECTS)) {
        place.lab.ask(&format!("sql {statement}"), 1)?;
    }
    let (many, many_alone) = (among(shape)?, among(alone)?);
    // The database does most of it: what counts is the answer's time, and the server's work.
    let waited = many_alone.percentile(0.5) / few_alone.percentile(0.5);
    let worked = many.cpu() / few.cpu();
    let ratio = waited.max(worked);
    let result = format!(
        "{ratio:.2} × among {SMALL_OBJECTS}; p50 {:.0} µs, {:.0} among {SMALL_OBJECTS}; {:.1} µs CPU, {:.1}; \
         {:.0} requests/s, {:.0}",
        many_alone.percentile(0.5),
        few_alone.percentile(0.5),
        many.cpu(),
        few.cpu(),
        many.rate(),
        few.rate(),
    );
    let figures = [
        ("p50_us", many_alone.percentile(0.5)),
        ("few_p50_us", few_alone.percentile(0.5)),
        ("cpu_us", many.cpu()),
        ("few_cpu_us", few.cpu()),
        ("requests_per_second", many.rate()),
        ("few_requests_per_second", few.rate()),
    ];
    let target = format!("≤ {LARGE} × among {SMALL_OBJECTS}");
    Ok(line(name, &target, result, ratio <= LARGE, &figures))
}

/// The tag of Name, by which it is searched.
const NAME: u32 = 0x42_0053;

fn fill_postgres(count: u64) -> Vec<String> {
    let one = format!("(SELECT min(seq) FROM object_index WHERE kind = {NAME})");
    vec![
        format!(
            "INSERT INTO objects (id, version, owner, object_type, state, due, material_generation, \
             indexed, object, material) SELECT 'filler-' || n, version, owner, object_type, state, due, \
             material_generation, indexed, object, material FROM objects, generate_series(1, {count}) n \
             WHERE seq = {one}"
        ),
        format!(
            "INSERT INTO object_index (kind, value, seq) SELECT i.kind, CASE WHEN i.kind = {NAME} \
             THEN convert_to(o.id, 'UTF8') ELSE i.value END, o.seq FROM objects o, object_index i \
             WHERE o.id LIKE 'filler-%' AND i.seq = {one}"
        ),
        "ANALYZE".to_owned(),
    ]
}

fn fill_mariadb(count: u64) -> Vec<String> {
    let one = format!("(SELECT min(seq) FROM object_index WHERE kind = {NAME})");
    vec![
        format!(
            "INSERT INTO objects (id, version, owner, object_type, state, due, material_generation, \
             indexed, object, material) SELECT concat('filler-', n.seq), version, owner, object_type, \
             state, due, material_generation, indexed, object, material FROM objects o, \
             seq_1_to_{count} n WHERE o.seq = {one}"
        ),
        format!(
            "INSERT INTO object_index (kind, `value`, seq) SELECT i.kind, if(i.kind = {NAME}, o.id, \
             i.`value`), o.seq FROM objects o, object_index i WHERE o.id LIKE 'filler-%' AND i.seq = {one}"
        ),
        "ANALYZE TABLE objects, object_index".to_owned(),
    ]
}
