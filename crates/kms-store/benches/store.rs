//! What a store costs: inserts in groups, point reads, and finding a name among many objects.
//!
//! `cargo bench -p kms-store` runs the short ones; `-- --objects 1000000` fills a database first,
//! and `--directory DIR` keeps it there for the next run.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a benchmark prints, and may stop"
)]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kmip::enumerations::{ObjectType, State};
use kms_store::{Condition, Config, IndexEntry, Row, Search, Store, Write};

const NAME: u32 = 0x42_0053;
const DATE: u32 = 0x42_0022;

fn main() {
    let mut objects = 0;
    let mut directory = None;
    let mut only: Option<u64> = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--objects" => objects = arguments.next().unwrap().parse().unwrap(),
            "--inserts" => {
                only = arguments.next().map(|tasks| tasks.parse().unwrap());
            }
            "--directory" => directory = arguments.next().map(PathBuf::from),
            _ => {}
        }
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        if let Some(tasks) = only {
            inserts(tasks).await;
            return;
        }
        for tasks in [1, 16, 128] {
            inserts(tasks).await;
        }
        let temporary = tempfile::tempdir().unwrap();
        let directory = directory.unwrap_or_else(|| temporary.path().to_owned());
        let store = fill(directory, objects).await;
        reads(&store, objects.max(1000)).await;
    });
}

fn entry(number: u64) -> (Row, Vec<IndexEntry>) {
    // Looks like a UUID, and is as scattered as one.
    let scattered = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let row = Row {
        id: format!("{scattered:016x}-4e1f-4a3b-{number:014x}"),
        owner: "admin".to_owned(),
        object_type: ObjectType::SymmetricKey,
        state: State::Active,
        version: 1,
        due: None,
        record: vec![number.to_le_bytes()[0]; 400],
        material_generation: 1,
        material: Some(vec![number.to_le_bytes()[0]; 76]),
        shard: 0,
        sealed_by: 1,
    };
    let name = IndexEntry { kind: NAME, value: format!("name-{scattered:016x}").into_bytes() };
    let date = IndexEntry { kind: DATE, value: (number / 100).to_be_bytes().to_vec() };
    (row, vec![date, name])
}

fn put(number: u64) -> Write {
    let (row, index) = entry(number);
    Write::Put { row, index, expected: None }
}

/// The processor time of this process.
fn processor() -> Duration {
    let usage = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(usage.tv_sec.unsigned_abs(), u32::try_from(usage.tv_nsec).unwrap())
}

struct Measure(Instant, Duration);

impl Measure {
    fn start() -> Self {
        Self(Instant::now(), processor())
    }

    fn print(&self, what: &str, count: u64) {
        let (wall, cpu) = (self.0.elapsed(), processor().saturating_sub(self.1));
        let per = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
        println!(
            "{what:<44} {:>9.0} /s {:>8.2} µs wall {:>8.2} µs processor",
            count as f64 / wall.as_secs_f64(),
            per(wall),
            per(cpu)
        );
    }
}

async fn inserts(tasks: u64) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(Config::directory(directory.path())).await.unwrap();
    let next = Arc::new(AtomicU64::new(0));
    let count = 200 * tasks + 5000;
    let measure = Measure::start();
    let running: Vec<_> = (0..tasks)
        .map(|_| {
            let (store, next) = (store.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    store.commit(Vec::new(), vec![put(number)]).await.unwrap();
                }
            })
        })
        .collect();
    for task in running {
        task.await.unwrap();
    }
    measure.print(&format!("insert, {tasks} waiting"), count);
}

async fn fill(directory: PathBuf, objects: u64) -> Store {
    let store = Store::open(Config::directory(directory)).await.unwrap();
    let measure = Measure::start();
    let mut number = 0;
    if store.object(&entry(0).0.id).await.unwrap().is_some() {
        println!("the database is there already");
        return store;
    }
    while number < objects.max(1000) {
        let writes = (number..number + 1000).map(put).collect();
        store.commit(Vec::new(), writes).await.unwrap();
        number += 1000;
    }
    measure.print("insert, 1000 a commit", number);
    store
}

async fn reads(store: &Store, objects: u64) {
    const COUNT: u64 = 20_000;
    let some = |turn: u64| (turn * 7919) % objects;
    let measure = Measure::start();
    for turn in 0..COUNT {
        assert!(store.object(&entry(some(turn)).0.id).await.unwrap().is_some());
    }
    measure.print("read, of all objects", COUNT);

    let id = entry(5).0.id;
    store.object(&id).await.unwrap();
    let measure = Measure::start();
    for _ in 0..COUNT * 10 {
        assert!(store.cached(&id).is_some());
    }
    measure.print("read, in memory", COUNT * 10);

    let search = Search { visible_to: Some("admin".to_owned()), limit: 1001, ..Search::default() };
    let measure = Measure::start();
    for turn in 0..COUNT {
        let value = entry(some(turn)).1.pop().unwrap().value;
        let index = vec![Condition::equal(NAME, value)];
        assert_eq!(
            store.search(Search { index, limit: 16, ..search.clone() }).await.unwrap().len(),
            1
        );
    }
    measure.print("find by name, of all objects", COUNT);

    let measure = Measure::start();
    for _ in 0..COUNT {
        let index = vec![Condition::equal(NAME, entry(5).1.pop().unwrap().value)];
        assert_eq!(
            store.search(Search { index, limit: 16, ..search.clone() }).await.unwrap().len(),
            1
        );
    }
    measure.print("find by name, the same again", COUNT);

    let measure = Measure::start();
    for turn in 0..50 {
        let low = (some(turn) / 100).to_be_bytes().to_vec();
        let high = (some(turn) / 100 + 1).to_be_bytes().to_vec();
        let index = vec![Condition { kind: DATE, low, high }];
        assert!(!store.search(Search { index, ..search.clone() }).await.unwrap().is_empty());
    }
    measure.print("find by a range of about 200", 50);

    let (measure, mut after, mut rows) = (Measure::start(), None, 0);
    loop {
        let page = store.search(Search { after, ..search.clone() }).await.unwrap();
        rows += page.len() as u64;
        after = page.last().map(|row| row.seq);
        if page.len() < 1001 {
            break;
        }
    }
    measure.print("list all, a row", rows);
    println!("peak memory {} KiB, cache {} KiB", peak(), store.cached_bytes() / 1024);
}

/// The most memory this process had.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}
