//! The rows on sharing: neither the number of users that an object is shared with, nor that of the
//! objects that are shared with a user, is noticed by who uses one of them.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail};

use super::callers::Callers;
use super::load::{self, Measured, Shape};
use super::special::line;
use super::{Line, Plan, message, rows};
use crate::http::{self, Connection};
use crate::server::Server;

/// How much Encrypt may change.
const CHANGE: f64 = 0.1;
/// By how much a list may let the server's memory grow.
const LIST_MIB: f64 = 30.0;
/// Connections that grant: a commit serves all that wait for it.
const GRANTING: usize = 64;
/// Objects that are made by one message.
const BATCH: u64 = 1000;

const USERS: &str = "Encrypt with an object shared with many users";
const OBJECTS: &str = "Encrypt by a user with many shared objects";
const LISTING: &str = "Memory, listing shared objects";

/// The names of the rows.
pub(crate) const NAMES: &[&str] = &[USERS, OBJECTS, LISTING];

/// Measures the rows.
pub(crate) fn measure(plan: &Plan, callers: &mut Callers) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    if plan.wants(USERS) {
        lines.push(many_users(plan, callers)?);
    }
    if plan.wants(OBJECTS) || plan.wants(LISTING) {
        lines.extend(many_objects(plan, callers)?);
    }
    Ok(lines)
}

/// Bob uses two keys of Alice: one that is shared with him alone, and one with thousands.
fn many_users(plan: &Plan, callers: &mut Callers) -> Result<Line> {
    let users = plan.objects / 100;
    let (alice, bob) = (callers.token("alice")?, callers.token("bob")?);
    let server = &callers.server;
    let few = create(server, &alice)?;
    let many = create(server, &alice)?;
    let mut grants = vec![grant(&few, "bob", &alice), grant(&many, "bob", &alice)];
    grants.extend((1..users).map(|number| grant(&many, &format!("user-{number}"), &alice)));
    send_all(server, &grants)?;
    let name = format!("Encrypt, object shared with {users} users");
    compare(plan, server, &name, &encrypt(&few, &bob), &encrypt(&many, &bob))
}

/// One object is shared with Dave, and with Carol thousands.
fn many_objects(plan: &Plan, callers: &mut Callers) -> Result<[Line; 2]> {
    let objects = plan.objects / 10;
    let (erin, dave, carol) =
        (callers.token("erin")?, callers.token("dave")?, callers.token("carol")?);
    let server = &callers.server;
    let one = create(server, &erin)?;
    send_all(server, &[grant(&one, "dave", &erin)])?;
    let made = create_many(server, objects, &erin)?;
    let grants: Vec<Vec<u8>> = made.iter().map(|id| grant(id, "carol", &erin)).collect();
    send_all(server, &grants)?;
    let among = made.get(made.len() / 2).context("no object was made")?;
    let name = format!("Encrypt by a user with {objects} shared objects");
    let change = compare(plan, server, &name, &encrypt(&one, &dave), &encrypt(among, &carol))?;

    let before = server.memory()?;
    let list = http::with_token(&http::request("GET", "/objects/shared", "", b""), &carol);
    let found = identifiers(&rows::exchange(server, &list)?)?.len();
    let growth = server.memory()? - before;
    let name = format!("Memory, listing {found} shared objects");
    let target = format!("all {objects}, growth ≤ {LIST_MIB} MiB");
    let result = format!("growth {growth:.1} MiB");
    let met = growth <= LIST_MIB && u64::try_from(found)? == objects;
    Ok([change, line(&name, &target, result, met, &[("growth_mib", growth)])])
}

/// Measures both in turn.
fn compare(plan: &Plan, server: &Server, name: &str, few: &[u8], many: &[u8]) -> Result<Line> {
    let shape = Shape { connections: 16, slice: plan.slice, rate: None };
    let (mut with_few, mut with_many) = (Measured::default(), Measured::default());
    for _ in 0..plan.rounds {
        with_few.add(load::run(server, &[few.to_vec()], shape)?);
        with_many.add(load::run(server, &[many.to_vec()], shape)?);
    }
    let (few, many) = (with_few.cpu(), with_many.cpu());
    let change = many / few - 1.0;
    let result = format!("{:+.1} %; {many:.1} µs CPU, with one {few:.1} µs", change * 100.0);
    let target = format!("server CPU changes by < {} %", CHANGE * 100.0);
    let figures = [("many_cpu_us", many), ("one_cpu_us", few)];
    Ok(line(name, &target, result, change < CHANGE, &figures))
}

fn encrypt(id: &str, token: &str) -> Vec<u8> {
    http::with_token(&message::json(&rows::encrypt_json(id, &"5A".repeat(64))), token)
}

fn create(server: &Server, token: &str) -> Result<String> {
    let create = http::with_token(&message::json(rows::CREATE), token);
    rows::field(&rows::exchange(server, &create)?, "UniqueIdentifier")
}

/// Makes keys that may be used at once; their identifiers.
fn create_many(server: &Server, objects: u64, token: &str) -> Result<Vec<String>> {
    let mut made = 0;
    while made < objects {
        let size = u32::try_from(BATCH.min(objects - made))?;
        let items: Vec<Vec<u8>> = (0..size).map(message::create_active).collect();
        let answer =
            rows::exchange(server, &http::with_token(&message::binary_undo(&items), token))?;
        if message::find(&answer, 0x42_007E).is_some() {
            bail!("making objects failed: {}", String::from_utf8_lossy(&answer));
        }
        made += u64::from(size);
    }
    let list = http::with_token(&http::request("GET", "/objects/owned", "", b""), token);
    let mut owned = identifiers(&rows::exchange(server, &list)?)?;
    owned.truncate(usize::try_from(objects)?);
    Ok(owned)
}

/// The identifiers in a list of objects.
fn identifiers(list: &[u8]) -> Result<Vec<String>> {
    let text = std::str::from_utf8(list)?;
    let parts = text.split("\"object_id\":\"").skip(1);
    Ok(parts.filter_map(|part| part.split_once('"')).map(|(id, _)| id.to_owned()).collect())
}

fn grant(id: &str, user: &str, token: &str) -> Vec<u8> {
    let body = format!(r#"{{"user_id": "{user}@example.org", "operation_type": "Encrypt"}}"#);
    let path = format!("/accesses/{id}");
    http::with_token(&http::request("POST", &path, "application/json", body.as_bytes()), token)
}

/// Sends each request once, over several connections.
fn send_all(server: &Server, requests: &[Vec<u8>]) -> Result<()> {
    let next = AtomicUsize::new(0);
    let send = || -> Result<()> {
        let mut connection = Connection::open(server.address)?;
        while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
            let answer = connection.exchange(request)?;
            if answer.status != 200 {
                bail!("answered {}: {}", answer.status, String::from_utf8_lossy(answer.body));
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..GRANTING).map(|_| scope.spawn(send)).collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(result) => result,
            Err(_) => bail!("a connection's thread panicked"),
        })
    })
}
