//! The rows on what it costs to know who is calling: tokens that repeat, tokens that are seen for
//! the first time, tokens that are refused.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::load::{self, Measured, Shape};
use super::special::line;
use super::{Line, Plan, Programs, QUIET, message, rows};
use crate::http::{self, Connection};
use crate::lab::Lab;
use crate::server::Server;

/// The audience of the issuer's tokens.
const AUDIENCE: &str = "https://kms.test/";
/// How large a token is, in bytes.
const TOKEN_BYTES: usize = 1024;
/// How often a token is sent that was not sent before, a second: tokens are dear to make.
const FIRST_USES: f64 = 2000.0;
/// What the first use of a token may cost above a request without one, in microseconds.
const FIRST_USE_US: f64 = 60.0;
/// What a token that repeats may cost: times a request without one.
const REPEATED: f64 = 1.25;

const REPEATS: &str = "Encrypt with a token that repeats, JSON";
const FIRST: &str = "Encrypt with a token seen first, JSON";
const REFUSED: &str = "Encrypt with a refused token, JSON";

/// The names of the rows.
pub(crate) const NAMES: &[&str] = &[REPEATS, FIRST, REFUSED];

/// A server that wants tokens, and who makes them.
pub(crate) struct Callers {
    issuer: Lab,
    pub(crate) server: Server,
}

impl Callers {
    /// Starts both, and waits until the server accepts a token.
    pub(crate) fn start(programs: &Programs, scratch: &Path) -> Result<Self> {
        let data = scratch.join("callers");
        std::fs::create_dir_all(&data)?;
        let issuer = Lab::start(&programs.lab, "issuer")?;
        let mut variables = QUIET.to_vec();
        variables.push(("KMS_DELEGATED_AUTHORITY_DOMAIN", &issuer.url));
        variables.push(("KMS_JWT_AUDIENCE", AUDIENCE));
        let server = Server::start(&programs.server, &data, &variables)?;
        let mut callers = Self { issuer, server };
        let request =
            http::with_token(&http::request("GET", "/me", "", b""), &callers.token("alice")?);
        let begun = Instant::now();
        loop {
            let mut connection = Connection::open(callers.server.address)?;
            match connection.exchange(&request)?.status {
                200 => return Ok(callers),
                // The issuer's keys are still on their way.
                503 if begun.elapsed() < Duration::from_mins(1) => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                status => bail!("a good token is answered with {status}"),
            }
        }
    }

    /// A good token of `name@example.org`.
    pub(crate) fn token(&mut self, name: &str) -> Result<String> {
        Ok(self.tokens("good", 1, name)?.remove(0))
    }

    /// So many tokens, each another, `good` or `forged`.
    fn tokens(&mut self, what: &str, count: usize, name: &str) -> Result<Vec<String>> {
        self.issuer.ask(&format!("{what} {count} {name}@example.org {TOKEN_BYTES}"), count)
    }
}

/// Measures the rows. `open` is a server that wants no token.
pub(crate) fn measure(
    plan: &Plan,
    open: &Server,
    echo: &Server,
    callers: &mut Callers,
) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    if plan.wants(REPEATS) {
        lines.push(repeats(plan, open, echo, callers)?);
    }
    if plan.wants(FIRST) || plan.wants(REFUSED) {
        lines.extend(first_uses(plan, open, callers)?);
    }
    Ok(lines)
}

/// Encrypt without a token on the server that wants none.
fn open_encrypt(open: &Server) -> Result<Vec<u8>> {
    Ok(message::json(&rows::encrypt_json(&rows::create_key(open)?, &"5A".repeat(64))))
}

/// Encrypt by Alice with a key of hers, still without her token.
fn alices_encrypt(callers: &mut Callers) -> Result<Vec<u8>> {
    let create = http::with_token(&message::json(rows::CREATE), &callers.token("alice")?);
    let id = rows::field(&rows::exchange(&callers.server, &create)?, "UniqueIdentifier")?;
    Ok(message::json(&rows::encrypt_json(&id, &"5A".repeat(64))))
}

fn repeats(plan: &Plan, open: &Server, echo: &Server, callers: &mut Callers) -> Result<Line> {
    let bare = vec![open_encrypt(open)?];
    let encrypt = alices_encrypt(callers)?;
    // One token for each connection.
    let tokens = callers.tokens("good", 16, "alice")?;
    let with = |request: &[u8]| -> Vec<Vec<u8>> {
        tokens.iter().map(|token| http::with_token(request, token)).collect()
    };
    let echo_bare = rows::echoes(open, &bare)?;
    let echo_with = echo_bare.iter().flat_map(|request| with(request)).collect();
    let work =
        [(open, bare), (&callers.server, with(&encrypt)), (echo, echo_bare), (echo, echo_with)];
    let shape = Shape { connections: 16, slice: plan.slice, rate: None };
    let mut measured = work.each_ref().map(|_| Measured::default());
    for _ in 0..plan.rounds {
        for ((server, requests), measured) in work.iter().zip(&mut measured) {
            measured.add(load::run(server, requests, shape)?);
        }
    }
    let [bare, with, echo_bare, echo_with] = measured.each_ref().map(Measured::cpu);
    let ratio = with / bare;
    let result = format!(
        "{ratio:.2} × without; {with:.1} µs CPU, without {bare:.1}; \
         an echo with the token {echo_with:.1} µs, without {echo_bare:.1}"
    );
    let figures = [
        ("server_cpu_us", with),
        ("without_cpu_us", bare),
        ("echo_cpu_us", echo_with),
        ("echo_without_cpu_us", echo_bare),
    ];
    let target = format!("server CPU ≤ {REPEATED} × without a token");
    Ok(line(REPEATS, &target, result, ratio <= REPEATED, &figures))
}

/// Both at the same pace as requests without a token: a server that waits costs more a request.
fn first_uses(plan: &Plan, open: &Server, callers: &mut Callers) -> Result<[Line; 2]> {
    let shape = Shape { connections: 16, slice: plan.slice, rate: Some(FIRST_USES) };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousand")]
    let count = (plan.slice.as_secs_f64() * FIRST_USES * 1.2) as usize;
    let bare = vec![open_encrypt(open)?];
    let encrypt = alices_encrypt(callers)?;
    let (mut without, mut first, mut refused) =
        (Measured::default(), Measured::default(), Measured::default());
    for _ in 0..plan.rounds {
        without.add(load::run(open, &bare, shape)?);
        for (what, status, measured) in [("good", 200, &mut first), ("forged", 401, &mut refused)] {
            let tokens = callers.tokens(what, count, "alice")?;
            let requests: Vec<Vec<u8>> =
                tokens.iter().map(|token| http::with_token(&encrypt, token)).collect();
            measured.add(load::once(&callers.server, &requests, shape, status)?);
        }
    }
    let (without, first, refused) = (without.cpu(), first.cpu(), refused.cpu());
    let above = first - without;
    let figures = [("first_cpu_us", first), ("without_cpu_us", without)];
    let pace = format!("at {FIRST_USES:.0} requests/s");
    let result =
        format!("{above:.1} µs above; {first:.1} µs CPU, without a token {without:.1}, {pace}");
    let target = format!("≤ {FIRST_USE_US} µs above one without a token");
    let accepted = line(FIRST, &target, result, above <= FIRST_USE_US, &figures);
    let figures = [("refused_cpu_us", refused), ("first_cpu_us", first)];
    let result =
        format!("{refused:.1} µs CPU, the first use of an accepted one {first:.1}, {pace}");
    let target = "≤ the first use of an accepted token";
    Ok([accepted, line(REFUSED, target, result, refused <= first, &figures)])
}
