//! Faults: what goes wrong beside and below a server, done to real processes under write load.
//!
//! Judged each time: nothing that was answered is lost, nothing is half done, callers are told
//! whether to try again, all is well within two seconds of the fault's end, and `/health` says what
//! is so. The same functions are the tests (once each) and the soaks (`cargo xtask soak`).

mod load;
mod look;
mod scenes;
mod stage;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use scenes::{SCENES, Scene, Seen};
use stage::{Backend, Verdict};

use crate::Result;

/// `kms-lab faults --server PATH --soak NAME [--rounds N] [--only WORD]`.
pub(crate) fn task(arguments: &[String]) -> Result<bool> {
    let server = PathBuf::from(crate::option(arguments, "--server").ok_or("--server PATH")?);
    let soak = crate::option(arguments, "--soak").unwrap_or("faults");
    let rounds = crate::option(arguments, "--rounds").unwrap_or("5").parse()?;
    let only = crate::option(arguments, "--only");
    let mut table = Table::default();
    let mut good = true;
    for scene in SCENES.iter().filter(|scene| scene.soak == soak) {
        if only.is_some_and(|only| only != scene.name) {
            continue;
        }
        for backend in scene.on {
            for (what, verdict) in play(scene, &server, *backend, rounds)? {
                good &= verdict.is_good();
                table.add(*backend, what, &verdict);
            }
        }
    }
    table.print();
    Ok(good && !table.rows.is_empty())
}

/// Plays a scene, and says what was seen.
fn play(scene: &Scene, server: &Path, backend: Backend, rounds: u32) -> Result<Seen> {
    let seen = (scene.run)(server, backend, rounds)?;
    for (what, verdict) in &seen {
        let Verdict { done, denied, doubt, findings, faults, told, recovered } = verdict;
        println!(
            "{}, {what}: {done} done, {denied} to be tried again, {doubt} in doubt; {} lost, {} \
             half, {} faults; told in {}, recovered in {}",
            backend.name(),
            findings.lost.len(),
            findings.half.len(),
            faults.len(),
            seconds(*told),
            seconds(*recovered)
        );
        for fault in findings.lost.iter().chain(&findings.half).chain(faults).take(20) {
            println!("  {fault}");
        }
    }
    Ok(seen)
}

fn seconds(time: Option<Duration>) -> String {
    time.map_or_else(|| "–".to_owned(), |time| format!("{:.2} s", time.as_secs_f64()))
}

/// What all rounds of a fault come to.
#[derive(Default)]
struct Row {
    times: u32,
    done: usize,
    denied: usize,
    doubt: usize,
    lost: usize,
    half: usize,
    faults: usize,
    told: Option<Duration>,
    recovered: Option<Duration>,
}

#[derive(Default)]
struct Table {
    rows: BTreeMap<(&'static str, &'static str), Row>,
}

impl Table {
    fn add(&mut self, backend: Backend, what: &'static str, verdict: &Verdict) {
        let row = self.rows.entry((what, backend.name())).or_default();
        row.times += 1;
        row.done += verdict.done;
        row.denied += verdict.denied;
        row.doubt += verdict.doubt;
        row.lost += verdict.findings.lost.len();
        row.half += verdict.findings.half.len();
        row.faults += verdict.faults.len();
        row.told = row.told.max(verdict.told);
        row.recovered = row.recovered.max(verdict.recovered);
    }

    fn print(&self) {
        println!(
            "| What | On | Times | Done | Try again | In doubt | Lost | Half done | Other faults | \
             /health told within | Recovered within |"
        );
        println!("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
        for ((what, backend), row) in &self.rows {
            println!(
                "| {what} | {backend} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                row.times,
                row.done,
                row.denied,
                row.doubt,
                row.lost,
                row.half,
                row.faults,
                seconds(row.told),
                seconds(row.recovered)
            );
        }
    }
}
