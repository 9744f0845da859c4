//! The rows that are no plain multiple of an echo: against the bare library, beside slow work,
//! memory, start, a large database, the size of the program.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::load::{self, Shape, count};
use super::rows::{self, Row};
use super::{Line, Plan, Programs, QUIET, bare, message};
use crate::http::{self, Connection};
use crate::run;
use crate::server::Server;

/// A line of the report, printed at once.
pub(crate) fn line(
    name: &str,
    target: &str,
    result: String,
    met: bool,
    figures: &[(&str, f64)],
) -> Line {
    println!("{name:<44} {result}");
    let figures = figures.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    let (name, target) = (name.to_owned(), target.to_owned());
    Line { name, target, result, met: Some(met), figures }
}

const GENERATE_RSA_4096: &str = r#"{"tag":"CreateKeyPair","value":[{"tag":"CommonAttributes","value":[{"tag":"CryptographicAlgorithm","type":"Enumeration","value":"RSA"},{"tag":"CryptographicLength","type":"Integer","value":4096}]},{"tag":"PrivateKeyAttributes","value":[{"tag":"CryptographicUsageMask","type":"Integer","value":8}]},{"tag":"PublicKeyAttributes","value":[{"tag":"CryptographicUsageMask","type":"Integer","value":4}]}]}"#;

/// Encrypt's p99 at half the saturating rate, alone and while four RSA-4096 keys are being made.
pub(crate) fn beside_generation(plan: &Plan, server: &Server) -> Result<Vec<Line>> {
    const NAME: &str = "Encrypt's p99 beside four RSA-4096 keys";
    if !plan.wants(NAME) {
        return Ok(Vec::new());
    }
    let id = rows::create_key(server)?;
    let encrypt = vec![message::json(&rows::encrypt_json(&id, &"5A".repeat(64)))];
    let mut shape = Shape { connections: 16, slice: plan.slice, rate: None };
    let saturating = load::run(server, &encrypt, shape)?.rate();
    shape.rate = Some(saturating / 2.0);
    shape.slice = plan.slice * 2;
    let (mut alone, mut beside) = (load::Measured::default(), load::Measured::default());
    let stop = AtomicBool::new(false);
    for _ in 0..plan.rounds {
        alone.add(load::run(server, &encrypt, shape)?);
        stop.store(false, Ordering::Relaxed);
        std::thread::scope(|scope| -> Result<()> {
            let makers: Vec<_> = (0..4).map(|_| scope.spawn(|| make_keys(server, &stop))).collect();
            std::thread::sleep(Duration::from_millis(100));
            let measured = load::run(server, &encrypt, shape);
            stop.store(true, Ordering::Relaxed);
            for maker in makers {
                if !matches!(maker.join(), Ok(Ok(()))) {
                    bail!("making RSA-4096 keys failed");
                }
            }
            beside.add(measured?);
            Ok(())
        })?;
    }
    let (a, b) = (alone.percentile(0.99), beside.percentile(0.99));
    let result = format!(
        "{:.1} × ({a:.0} µs alone, {b:.0} µs beside, at {:.0} requests/s)",
        b / a,
        saturating / 2.0
    );
    let figures = [("alone_p99_us", a), ("beside_p99_us", b)];
    Ok(vec![line(NAME, "≤ 3 × its p99 alone", result, b <= 3.0 * a, &figures)])
}

fn make_keys(server: &Server, stop: &AtomicBool) -> Result<()> {
    let request = message::json(GENERATE_RSA_4096);
    while !stop.load(Ordering::Relaxed) {
        rows::exchange(server, &request)?;
    }
    Ok(())
}

/// The rows whose target names what the library alone needs.
pub(crate) fn against_bare(
    plan: &Plan,
    server: &Server,
    echo: &Server,
    program: &Path,
) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    let bare = bare::measure(program)?;
    let wanted = |name| plan.wants(name);
    if wanted("Encrypt 1 MiB, binary") {
        let id = rows::create_key(server)?;
        let request = message::binary(&[message::encrypt(&id, &vec![0x5A; 1 << 20])]);
        let row = Row {
            name: "Encrypt 1 MiB, binary",
            limit: 1.3,
            connections: 16,
            requests: vec![request],
        };
        lines.push(compare(plan, &row, server, echo, bare.aes_gcm_1_mib)?);
    }
    if wanted("RSA-2048 OAEP decrypt") {
        let row = Row {
            name: "RSA-2048 OAEP decrypt, JSON",
            limit: 1.2,
            connections: 16,
            requests: vec![rsa_decrypt(server)?],
        };
        lines.push(compare(plan, &row, server, echo, bare.rsa_2048_oaep_decrypt)?);
    }
    if wanted("Create Key Pair, P-256") {
        lines.push(key_pair(plan, server, echo, bare.p256_generate)?);
    }
    Ok(lines)
}

/// The row's processor time against the bare operation plus an echo of the same sizes. The RSA
/// target multiplies the bare part only, the other one the whole; the stricter reading is taken.
fn compare(plan: &Plan, row: &Row, server: &Server, echo: &Server, bare: f64) -> Result<Line> {
    let pair = rows::in_turn(plan, row, server, echo)?;
    let allowed = if row.name.starts_with("RSA") {
        row.limit * bare + pair.echo.cpu()
    } else {
        row.limit * (bare + pair.echo.cpu())
    };
    let cpu = pair.work.cpu();
    let result = format!(
        "{:.2} of what is allowed: {cpu:.0} µs CPU, allowed {allowed:.0} (bare {bare:.0}, echo {:.0}); \
         {:.0} requests/s; p99 {:.0} µs",
        cpu / allowed,
        pair.echo.cpu(),
        pair.work.rate(),
        pair.work.percentile(0.99)
    );
    let target = if row.name.starts_with("RSA") {
        "≤ 1.2 × the bare operation plus an echo"
    } else {
        "≤ 1.3 × (echo plus the bare AES-GCM)"
    };
    let mut line = line(row.name, target, result, cpu <= allowed, &[("bare_us", bare)]);
    line.figures.extend(rows::figures(&pair));
    Ok(line)
}

const RSA_PAIR: &str = r#"{"tag":"CreateKeyPair","value":[{"tag":"CommonAttributes","value":[{"tag":"ActivationDate","type":"DateTime","value":"2024-01-01T00:00:00Z"},{"tag":"CryptographicAlgorithm","type":"Enumeration","value":"RSA"},{"tag":"CryptographicLength","type":"Integer","value":2048}]},{"tag":"PrivateKeyAttributes","value":[{"tag":"CryptographicUsageMask","type":"Integer","value":8}]},{"tag":"PublicKeyAttributes","value":[{"tag":"CryptographicUsageMask","type":"Integer","value":4}]}]}"#;

const OAEP: &str = r#"{"tag":"CryptographicParameters","value":[{"tag":"PaddingMethod","type":"Enumeration","value":"OAEP"},{"tag":"HashingAlgorithm","type":"Enumeration","value":"SHA256"},{"tag":"CryptographicAlgorithm","type":"Enumeration","value":"RSA"}]}"#;

fn rsa_decrypt(server: &Server) -> Result<Vec<u8>> {
    let pair = rows::exchange(server, &message::json(RSA_PAIR))?;
    let private = rows::field(&pair, "PrivateKeyUniqueIdentifier")?;
    let public = rows::field(&pair, "PublicKeyUniqueIdentifier")?;
    let body = |operation: &str, id: &str, hex: &str| {
        message::json(&format!(
            r#"{{"tag":"{operation}","value":[{},{OAEP},{{"tag":"Data","type":"ByteString","value":"{hex}"}}]}}"#,
            rows::text_json(id)
        ))
    };
    let encrypted = rows::exchange(server, &body("Encrypt", &public, &"5A".repeat(32)))?;
    Ok(body("Decrypt", &private, &rows::field(&encrypted, "Data")?))
}

const P256_PAIR: &str = r#"{"tag":"CreateKeyPair","value":[{"tag":"CommonAttributes","value":[{"tag":"CryptographicAlgorithm","type":"Enumeration","value":"ECDH"},{"tag":"CryptographicDomainParameters","value":[{"tag":"RecommendedCurve","type":"Enumeration","value":"P256"}]}]},{"tag":"PrivateKeyAttributes","value":[{"tag":"CryptographicUsageMask","type":"Integer","value":1}]},{"tag":"PublicKeyAttributes","value":[{"tag":"CryptographicUsageMask","type":"Integer","value":2}]}]}"#;

fn key_pair(plan: &Plan, server: &Server, echo: &Server, bare: f64) -> Result<Line> {
    let row = |name, body: &str| Row {
        name,
        limit: 0.0,
        connections: 16,
        requests: vec![message::json(body)],
    };
    let create = rows::in_turn(plan, &row("Create", rows::CREATE), server, echo)?;
    let pair = rows::in_turn(plan, &row("CreateKeyPair", P256_PAIR), server, echo)?;
    let allowed = 1.5 * (bare + create.work.cpu());
    let cpu = pair.work.cpu();
    let result = format!(
        "{:.2} of what is allowed: {cpu:.0} µs CPU, allowed {allowed:.0} (bare {bare:.0}, Create {:.0}); {:.0} requests/s",
        cpu / allowed,
        create.work.cpu(),
        pair.work.rate()
    );
    let figures = [("server_cpu_us", cpu), ("bare_us", bare), ("create_us", create.work.cpu())];
    let target = "≤ 1.5 × (bare operation + Create)";
    Ok(line("Create Key Pair, P-256, JSON", target, result, cpu <= allowed, &figures))
}

/// Start and memory with an empty database.
pub(crate) fn memory_and_start(
    plan: &Plan,
    programs: &Programs,
    scratch: &Path,
) -> Result<Vec<Line>> {
    if !plan.wants("memory and start") {
        return Ok(Vec::new());
    }
    let mut starts = Vec::new();
    for number in 0..7 {
        let data = scratch.join(format!("empty-{number}"));
        std::fs::create_dir_all(&data)?;
        let server = Server::start(&programs.server, &data, QUIET)?;
        starts.push(server.started.as_secs_f64() * 1e3);
        server.stop()?;
    }
    starts.sort_unstable_by(f64::total_cmp);
    let start = starts.get(starts.len() / 2).copied().unwrap_or_default();
    let mut lines = Vec::new();
    let result = format!("{start:.1} ms (median of {})", starts.len());
    lines.push(line(
        "Start to first answer, empty",
        "≤ 30 ms",
        result,
        start <= 30.0,
        &[("ms", start)],
    ));

    let data = scratch.join("memory");
    std::fs::create_dir_all(&data)?;
    let server = Server::start(&programs.server, &data, QUIET)?;
    std::thread::sleep(Duration::from_secs(1));
    let idle = server.memory()?;
    lines.push(line(
        "Memory, idle",
        "≤ 20 MiB",
        format!("{idle:.1} MiB"),
        idle <= 20.0,
        &[("mib", idle)],
    ));
    let id = rows::create_key(&server)?;
    let encrypt = vec![message::json(&rows::encrypt_json(&id, &"5A".repeat(64)))];
    let shape = Shape { connections: 16, slice: plan.slice, rate: None };
    let mut sent = 0;
    while sent < plan.requests {
        sent += load::run(&server, &encrypt, shape)?.requests;
    }
    std::thread::sleep(Duration::from_secs(1));
    let growth = server.memory()? - idle;
    let name = format!("Memory after {sent} requests");
    let result = format!("growth {growth:.1} MiB");
    lines.push(line(&name, "growth ≤ 10 MiB", result, growth <= 10.0, &[("growth_mib", growth)]));
    Ok(lines)
}

/// Locate, listing and start with many objects.
pub(crate) fn large(
    plan: &Plan,
    programs: &Programs,
    echo: &Server,
    scratch: &Path,
) -> Result<Vec<Line>> {
    if !plan.wants("locate large") {
        return Ok(Vec::new());
    }
    let data = scratch.join("large");
    std::fs::create_dir_all(&data)?;
    let server = Server::start(&programs.server, &data, QUIET)?;
    fill(&server, plan.objects)?;
    server.stop()?;
    let server = Server::start(&programs.server, &data, QUIET)?;
    let objects = plan.objects;
    let start = server.started.as_secs_f64() * 1e3;
    let name = format!("Start to first answer, {objects} objects");
    let mut lines =
        vec![line(&name, "≤ 50 ms", format!("{start:.1} ms"), start <= 50.0, &[("ms", start)])];
    lines.push(locate(plan, &server, echo)?);

    let before = server.memory()?;
    let listed = rows::exchange(&server, &http::request("GET", "/objects/owned", "", b""))?;
    let found = listed.windows(11).filter(|window| window == b"\"object_id\"").count();
    let growth = server.memory()? - before;
    let name = format!("Memory, listing {found} objects");
    let result = format!("growth {growth:.1} MiB");
    lines.push(line(&name, "growth ≤ 30 MiB", result, growth <= 30.0, &[("growth_mib", growth)]));
    Ok(lines)
}

/// Names spread over all objects, so that one lucky page is not what is measured.
fn locate(plan: &Plan, server: &Server, echo: &Server) -> Result<Line> {
    let mut requests = Vec::new();
    let mut gets = Vec::new();
    for step in 0..200 {
        let name = format!("object-{}", step * plan.objects / 200);
        let locate = message::binary(&[message::locate(&name)]);
        let answer = rows::exchange(server, &locate)?;
        let id = message::find(&answer, 0x42_0094).context("Locate found nothing")?;
        gets.push(message::binary(&[message::get(std::str::from_utf8(id)?)]));
        requests.push(locate);
    }
    let row = |name, requests| Row { name, limit: 0.0, connections: 16, requests };
    let get = rows::in_turn(plan, &row("Get", gets), server, echo)?;
    let locate = rows::in_turn(plan, &row("Locate", requests), server, echo)?;
    let ratio = locate.work.cpu() / get.work.cpu();
    let result = format!(
        "{ratio:.2} × Get; {:.1} µs CPU, Get {:.1} µs; {:.0} requests/s; p99 {:.0} µs",
        locate.work.cpu(),
        get.work.cpu(),
        locate.work.rate(),
        locate.work.percentile(0.99)
    );
    let name = format!("Locate by name among {}, binary", plan.objects);
    let figures = [("locate_cpu_us", locate.work.cpu()), ("get_cpu_us", get.work.cpu())];
    Ok(line(&name, "≤ 2.5 × Get", result, ratio <= 2.5, &figures))
}

/// Makes named keys, a thousand a message.
pub(crate) fn fill(server: &Server, objects: u64) -> Result<()> {
    const BATCH: u64 = 1000;
    let mut connection = Connection::open(server.address)?;
    let begun = Instant::now();
    let mut made = 0;
    while made < objects {
        let size = BATCH.min(objects - made);
        let mut items = Vec::new();
        for number in made..made + size {
            let id = u32::try_from(number - made)?;
            items.push(message::create(Some(&format!("object-{number}")), Some(id)));
        }
        let answer = connection.exchange(&message::binary_undo(&items))?;
        let failed = message::find(answer.body, 0x42_007E).is_some();
        if answer.status != 200 || failed {
            bail!("filling failed: {}", String::from_utf8_lossy(answer.body));
        }
        made += size;
    }
    println!(
        "made {objects} objects in {:.0} s, {:.0}/s",
        begun.elapsed().as_secs_f64(),
        count(objects) / begun.elapsed().as_secs_f64()
    );
    Ok(())
}

/// The size of the release program.
pub(crate) fn binary_size(plan: &Plan, programs: &Programs) -> Result<Vec<Line>> {
    if !plan.wants("binary size") {
        return Ok(Vec::new());
    }
    let mib = count(std::fs::metadata(&programs.server)?.len()) / f64::from(1 << 20);
    let result = format!("{mib:.1} MiB");
    Ok(vec![line("Release binary, stripped", "≤ 25 MiB", result, mib <= 25.0, &[("mib", mib)])])
}

/// The time of a release build into an empty directory, which takes minutes: only when asked for.
pub(crate) fn build_time(plan: &Plan, scratch: &Path) -> Result<Vec<Line>> {
    if !plan.build {
        return Ok(Vec::new());
    }
    let begun = Instant::now();
    run::must(
        run::cargo(["build", "--release", "--quiet", "-p", "kms-server", "--features", "dev"])
            .env("CARGO_TARGET_DIR", scratch.join("target")),
    )?;
    let seconds = begun.elapsed().as_secs_f64();
    let result = format!("{seconds:.0} s");
    let name = "Release build from nothing";
    Ok(vec![line(name, "≤ 6 min", result, seconds <= 360.0, &[("seconds", seconds)])])
}
