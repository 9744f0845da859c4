//! Who calls a server, for the tour and the benchmark: the real identity provider, a browser for its
//! users, and an issuer that makes tokens by the thousand.
//!
//! The tour and the benchmark are in `xtask`, which links none of the project's crates; they run
//! this program and talk with it by lines.

use std::io::{BufRead as _, Read as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};

use kms_testkit::issuer::{Issuer, Key, assemble, signed_part};
use kms_testkit::provider::Provider;
use serde_json::{Value, json};

use crate::Result;

/// `kms-lab provider`: runs until standard input ends. Prints `issuer URL` when it is ready.
pub(crate) fn provider(_: &[String]) -> Result<bool> {
    let provider = Provider::start();
    println!("issuer {}", provider.issuer());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(true)
}

/// `kms-lab browser URL USER`: goes there as this user, and prints where it ended up.
pub(crate) fn browser(arguments: &[String]) -> Result<bool> {
    let [url, user] = arguments else { return Err("kms-lab browser URL USER".into()) };
    let page = Provider::visit_as(user, url);
    println!("{} {}", page.status, page.text);
    Ok(page.status == 200)
}

/// `kms-lab issuer`: prints `issuer URL`, then answers each line `good COUNT EMAIL BYTES` or
/// `forged COUNT EMAIL BYTES` with so many tokens of about so many bytes, one a line, each another.
/// A forged one is by a key that is not the issuer's, though it says so.
pub(crate) fn issuer(_: &[String]) -> Result<bool> {
    let issuer = Issuer::start();
    let right = issuer.key();
    let wrong = Key::new(right.kid(), kms_testkit::issuer::Algorithm::Rs256);
    let mut out = std::io::stdout().lock();
    writeln!(out, "issuer {}", issuer.url())?;
    out.flush()?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let [what, count, email, bytes] = words.as_slice() else {
            return Err(format!("not understood: {line}").into());
        };
        let key = if *what == "forged" { &wrong } else { &right };
        let (count, bytes): (usize, usize) = (count.parse()?, bytes.parse()?);
        for token in tokens(&issuer, key, email, count, bytes) {
            writeln!(out, "{token}")?;
        }
        out.flush()?;
    }
    Ok(true)
}

/// How many tokens were made: no two are the same.
static MADE: AtomicU64 = AtomicU64::new(0);

/// Signing takes most of a millisecond: all processors sign.
fn tokens(issuer: &Issuer, key: &Key, email: &str, count: usize, bytes: usize) -> Vec<String> {
    let header = key.header().to_string();
    let claims = || {
        let mut claims = issuer.claims(email);
        let id = json!({ "jti": MADE.fetch_add(1, Ordering::Relaxed).to_string() });
        kms_testkit::issuer::merge(&mut claims, id);
        padded(&header, claims, bytes)
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..processors)
            .map(|first| {
                let (header, claims) = (&header, &claims);
                scope.spawn(move || {
                    let mine = (first..count).step_by(processors);
                    let sign = |_| {
                        let signed = signed_part(header, &claims().to_string());
                        assemble(&signed, &key.sign(signed.as_bytes()))
                    };
                    mine.map(sign).collect::<Vec<String>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    })
}

/// The claims with so much in a claim of no meaning that a token of them has about `bytes`.
fn padded(header: &str, mut claims: Value, bytes: usize) -> Value {
    // The signature of 2048 bits, as text, with its dot.
    const SIGNATURE: usize = 343;
    let length = signed_part(header, &claims.to_string()).len() + SIGNATURE;
    // Three bytes are four characters; the claim's own name and marks are a dozen.
    let missing = (bytes.saturating_sub(length) * 3 / 4).saturating_sub(12);
    kms_testkit::issuer::merge(&mut claims, json!({ "padding": "x".repeat(missing) }));
    claims
}
