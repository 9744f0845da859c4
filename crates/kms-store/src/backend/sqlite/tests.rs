//! What only `SQLite` can show, from inside: a full disk, a read-only database, failures in a group.

use std::sync::Arc;

use kmip::enumerations::{ObjectType, State};
use rusqlite::Connection;
use tempfile::TempDir;

use super::Sqlite;
use crate::Error;
use crate::backend::Backend;
use crate::cache::Cache;
use crate::commit::Commit;
use crate::record::{Row, Write};

struct Database {
    sqlite: Sqlite,
    cache: Arc<Cache>,
    _directory: TempDir,
}

impl Database {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let cache = Arc::new(Cache::new(1 << 20));
        let sqlite = Sqlite::open(directory.path(), Arc::clone(&cache)).unwrap();
        Self { sqlite, cache, _directory: directory }
    }

    fn pragma(&self, sql: &'static str) {
        self.sqlite.writer.run(move |connection| {
            connection.prepare(sql).unwrap().query([]).unwrap().next().unwrap();
        });
    }

    async fn put(&self, id: &str, size: usize) -> Result<(), Error> {
        let row = Row {
            id: id.to_owned(),
            owner: "admin".to_owned(),
            object_type: ObjectType::SymmetricKey,
            state: State::Active,
            version: 1,
            due: None,
            record: vec![1; size],
            material_generation: 0,
            material: None,
            shard: 0,
            sealed_by: 1,
        };
        let writes = vec![Write::Put { row, index: Vec::new(), expected: None }];
        let commit = Commit::new(Vec::new(), writes, Arc::clone(&self.cache))?;
        self.sqlite.commit(commit).await
    }

    async fn has(&self, id: &str) -> bool {
        self.sqlite.object(id).await.unwrap().is_some()
    }
}

/// Holds the writer until the sender is dropped, so that what comes in between is one group.
fn hold(database: &Database) -> std::sync::mpsc::Sender<()> {
    let (release, held) = std::sync::mpsc::channel::<()>();
    database.sqlite.writer.run(move |_: &Connection| assert!(held.recv().is_err()));
    release
}

#[tokio::test]
async fn a_full_disk_fails_the_guilty_and_nothing_else() {
    let database = Database::new();
    database.put("before", 100).await.unwrap();
    database.pragma("PRAGMA max_page_count = 40");
    let hold = hold(&database);
    let (a, big, b) = tokio::join!(database.put("a", 100), database.put("big", 1 << 20), async {
        let put = database.put("b", 100);
        drop(hold);
        put.await
    });
    assert_eq!((a, big, b), (Ok(()), Err(Error::Full), Ok(())));
    assert!(database.has("before").await && database.has("a").await && database.has("b").await);
    assert!(!database.has("big").await);
    assert!(database.cache.get("big").is_none());
    // There is room again: the same works.
    database.pragma("PRAGMA max_page_count = 100000");
    database.put("big", 1 << 20).await.unwrap();
    assert!(database.has("big").await);
}

#[tokio::test]
async fn a_read_only_database_is_told_apart() {
    let database = Database::new();
    database.put("a", 100).await.unwrap();
    database.pragma("PRAGMA query_only = 1");
    assert_eq!(database.put("b", 100).await, Err(Error::ReadOnly));
    assert!(database.has("a").await);
    database.pragma("PRAGMA query_only = 0");
    database.put("b", 100).await.unwrap();
    assert!(database.has("b").await);
}

#[tokio::test]
async fn one_who_stops_waiting_leaves_no_old_row_behind() {
    let database = Database::new();
    database.put("a", 100).await.unwrap();
    let seen = database.sqlite.object("a").await.unwrap().unwrap();
    let hold = hold(&database);
    let mut row = seen.row.clone();
    row.version = 2;
    let writes = vec![Write::Put { row, index: Vec::new(), expected: Some(1) }];
    let commit = Commit::new(Vec::new(), writes, Arc::clone(&database.cache)).unwrap();
    let waiting =
        tokio::time::timeout(std::time::Duration::from_millis(20), database.sqlite.commit(commit));
    assert!(waiting.await.is_err());
    drop(hold);
    database.put("b", 100).await.unwrap();
    assert_eq!(database.cache.get("a").unwrap().row.version, 2);
}

#[tokio::test]
async fn the_log_stays_bounded_and_is_copied_when_idle() {
    let database = Database::new();
    let log = database.sqlite.companion("-wal");
    for number in 0..200 {
        database.put(&format!("{number}"), 200 << 10).await.unwrap();
    }
    // 40 MB were written; the log holds little more than what one checkpoint waits for.
    let length = std::fs::metadata(&log).unwrap().len();
    assert!(length < 24 << 20, "{length}");
}
