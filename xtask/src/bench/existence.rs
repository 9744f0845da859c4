//! The rows on what time tells: whether the answer for an object that is not there and the one for
//! an object of another's can be told apart by how long they take.

use std::time::Instant;

use anyhow::{Result, bail};

use super::callers::Callers;
use super::load::count;
use super::special::line;
use super::{Line, Plan, message, rows};
use crate::http::{self, Connection};

/// Objects that are there, and identifiers of as many that are not.
const OBJECTS: u32 = 100;
/// The |t| of Welch's test from which on a difference is taken for proven (p < 0.00001).
const T_MAX: f64 = 4.5;
/// The share of the slowest answers, of both kinds, that is left out the second time: what the
/// machine did meanwhile hides small differences.
const LEFT_OUT: f64 = 0.1;
/// Requests in a batch.
const BATCH: u32 = 8;

const NAMED: &str = "Time tells nothing: Get by identifier";
const LISTED: &str = "Time tells nothing: who may use it";
const TAGGED: &str = "Time tells nothing: Get by tags";
const LOCATED: &str = "Time tells nothing: Locate by name";
const BATCHED: &str = "Time tells nothing: a batch of Gets";

/// The names of the rows.
pub(crate) const NAMES: &[&str] = &[NAMED, LISTED, TAGGED, LOCATED, BATCHED];

/// A request about the object of this number, and the status of its answer.
type Ask = fn(u32) -> Vec<u8>;
const ASKS: &[(&str, Ask, u16)] = &[
    (NAMED, get_by_identifier, 422),
    (LISTED, list_accesses, 404),
    (TAGGED, get_by_tags, 422),
    (LOCATED, locate_by_name, 200),
    (BATCHED, get_several, 200),
];

/// Measures the rows: Alice has objects, and Mallory asks for them and for others.
pub(crate) fn measure(plan: &Plan, callers: &mut Callers) -> Result<Vec<Line>> {
    if !plan.wants_any(NAMES) {
        return Ok(Vec::new());
    }
    let (alice, mallory) = (callers.token("alice")?, callers.token("mallory")?);
    for number in 0..OBJECTS {
        rows::exchange(&callers.server, &http::with_token(&create(number), &alice))?;
    }
    let samples = if plan.whole { 4000 } else { 1000 };
    let mut lines = Vec::new();
    for (name, ask, status) in ASKS {
        if plan.wants(name) {
            let mut connection = Connection::open(callers.server.address)?;
            let mut ask = |number| -> Result<f64> {
                let request = http::with_token(&ask(number), &mallory);
                let begun = Instant::now();
                let answer = connection.exchange(&request)?;
                let took = begun.elapsed();
                if answer.status != *status {
                    bail!("{}: {}", answer.status, String::from_utf8_lossy(answer.body));
                }
                Ok(took.as_secs_f64() * 1e6)
            };
            lines.push(compare(name, samples, &mut ask)?);
        }
    }
    Ok(lines)
}

/// Asks for what is hidden and for what is not there, in an order that nothing else follows.
fn compare(name: &str, samples: u64, ask: &mut impl FnMut(u32) -> Result<f64>) -> Result<Line> {
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let (mut hidden, mut missing) = (Vec::new(), Vec::new());
    for number in 0..OBJECTS {
        // The first time of each is another's.
        ask(number)?;
        ask(number + OBJECTS)?;
    }
    while hidden.len().min(missing.len()) < usize::try_from(samples)? {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let number = u32::try_from(random % u64::from(OBJECTS))?;
        if random & (1 << 40) == 0 {
            hidden.push(ask(number)?);
        } else {
            missing.push(ask(number + OBJECTS)?);
        }
    }
    let whole = welch(&hidden, &missing);
    let longest = percentile(&hidden, &missing);
    let cut = |times: &[f64]| -> Vec<f64> {
        times.iter().copied().filter(|time| *time <= longest).collect()
    };
    let (cut_hidden, cut_missing) = (cut(&hidden), cut(&missing));
    let fast = welch(&cut_hidden, &cut_missing);
    let (a, b) = (mean(&cut_hidden).0, mean(&cut_missing).0);
    let t = whole.abs().max(fast.abs());
    let result = format!(
        "|t| = {t:.1}; hidden {a:.1} µs, not there {b:.1} µs (the fastest {:.0} % of {} answers)",
        (1.0 - LEFT_OUT) * 100.0,
        hidden.len() + missing.len()
    );
    let figures = [("t", whole), ("t_of_fast", fast), ("hidden_us", a), ("missing_us", b)];
    Ok(line(name, &format!("Welch's |t| < {T_MAX}"), result, t < T_MAX, &figures))
}

/// The time that all but the slowest of both kinds stay below.
fn percentile(hidden: &[f64], missing: &[f64]) -> f64 {
    let mut all = [hidden, missing].concat();
    all.sort_unstable_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of some thousand"
    )]
    let at = ((1.0 - LEFT_OUT) * all.len() as f64) as usize;
    all.get(at).copied().unwrap_or(f64::MAX)
}

/// The mean, and the square of its standard error.
fn mean(times: &[f64]) -> (f64, f64) {
    let number = count(u64::try_from(times.len()).unwrap_or_default()).max(2.0);
    let mean = times.iter().sum::<f64>() / number;
    let variance = times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (number - 1.0);
    (mean, variance / number)
}

/// The statistic of Welch's test: how far the means are apart, in standard errors.
fn welch(a: &[f64], b: &[f64]) -> f64 {
    let ((a, error_of_a), (b, error_of_b)) = (mean(a), mean(b));
    (a - b) / (error_of_a + error_of_b).sqrt()
}

fn identifier(number: u32) -> String {
    format!("vault-key-{number:04}")
}

fn create(number: u32) -> Vec<u8> {
    let id = identifier(number);
    let tag = format!(r#"[\"tag of {id}\"]"#);
    message::json(&format!(
        r#"{{"tag":"Create","value":[{{"tag":"ObjectType","type":"Enumeration","value":"SymmetricKey"}},{{"tag":"Attributes","value":[{{"tag":"CryptographicAlgorithm","type":"Enumeration","value":"AES"}},{{"tag":"CryptographicLength","type":"Integer","value":256}},{{"tag":"CryptographicUsageMask","type":"Integer","value":12}},{},{{"tag":"UniqueIdentifier","type":"TextString","value":"{id}"}},{{"tag":"Attribute","value":[{{"tag":"VendorIdentification","type":"TextString","value":"cosmian"}},{{"tag":"AttributeName","type":"TextString","value":"tag"}},{{"tag":"AttributeValue","type":"TextString","value":"{tag}"}}]}}]}}]}}"#,
        name(&id)
    ))
}

fn name(text: &str) -> String {
    format!(
        r#"{{"tag":"Name","value":[{{"tag":"NameValue","type":"TextString","value":"{text}"}},{{"tag":"NameType","type":"Enumeration","value":"UninterpretedTextString"}}]}}"#
    )
}

fn get(id: &str) -> Vec<u8> {
    message::json(&format!(r#"{{"tag":"Get","value":[{}]}}"#, rows::text_json(id)))
}

fn get_by_identifier(number: u32) -> Vec<u8> {
    get(&identifier(number))
}

fn get_by_tags(number: u32) -> Vec<u8> {
    get(&format!(r#"[\"tag of {}\"]"#, identifier(number)))
}

fn list_accesses(number: u32) -> Vec<u8> {
    http::request("GET", &format!("/accesses/{}", identifier(number)), "", b"")
}

fn locate_by_name(number: u32) -> Vec<u8> {
    let name = name(&identifier(number));
    message::json(&format!(
        r#"{{"tag":"Locate","value":[{{"tag":"Attributes","value":[{name}]}}]}}"#
    ))
}

/// Several that are all hidden, or all not there. The first failure ends no batch.
fn get_several(number: u32) -> Vec<u8> {
    let (kind, place) = (number / OBJECTS, number % OBJECTS);
    let of = |step: u32| identifier(kind * OBJECTS + (place + step) % OBJECTS);
    let items: Vec<_> = (0..BATCH).map(|step| message::get(&of(step))).collect();
    message::binary_continue(&items)
}
