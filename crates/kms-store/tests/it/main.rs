//! The store as the core sees it: one suite that every database passes, and what a database in
//! files has to refuse.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop"
)]

use kmip::enumerations::{ObjectType, State};
use kms_store::{Config, Grant, IndexEntry, Row, Search, Store, Write};
use tempfile::TempDir;

mod api_tokens;
mod audit;
mod files;
mod hostile;
mod keyring;
mod many;
mod remote;
mod start;
mod suite;

const NAME: u32 = 0x42_0053;

/// A database of a test's own, which can be opened again.
trait Fixture: Sized {
    async fn new() -> Self;
    async fn open(&self) -> Store;
    async fn open_beside(&self) -> Store;
    /// Whether a server has the database for itself, and uses what it has in memory unasked.
    fn alone(&self) -> bool;
}

struct Sqlite(TempDir);

impl Fixture for Sqlite {
    async fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    async fn open(&self) -> Store {
        Store::open(Config::directory(self.0.path())).await.unwrap()
    }

    async fn open_beside(&self) -> Store {
        Store::open(Config::directory(self.0.path()).beside()).await.unwrap()
    }

    fn alone(&self) -> bool {
        true
    }
}

fn row(id: &str, version: u64) -> Row {
    Row {
        id: id.to_owned(),
        owner: "admin".to_owned(),
        object_type: ObjectType::SymmetricKey,
        state: State::Active,
        version,
        due: None,
        record: format!("record {id} {version}").into_bytes(),
        material_generation: 1,
        material: Some(vec![7; 48]),
        shard: 0,
        sealed_by: 1,
    }
}

fn put(row: Row, index: &[(u32, &str)], expected: Option<u64>) -> Write {
    let index = index
        .iter()
        .map(|(kind, value)| IndexEntry { kind: *kind, value: value.as_bytes().to_vec() })
        .collect();
    Write::Put { row, index, expected }
}

fn new(id: &str) -> Write {
    put(row(id, 1), &[], None)
}

fn grant(id: &str, user: &str, permissions: &str) -> Grant {
    Grant {
        id: id.into(),
        user: user.into(),
        permissions: permissions.into(),
        expires: None,
        note: None,
        mac: vec![1; 32],
        sealed_by: 1,
    }
}

fn search() -> Search {
    Search { limit: 1000, ..Search::default() }
}

async fn commit(store: &Store, writes: Vec<Write>) {
    store.commit(Vec::new(), writes).await.unwrap();
}

async fn found(store: &Store, search: Search) -> Vec<String> {
    let rows = store.search(search).await.unwrap();
    rows.iter().map(|row| row.row.id.clone()).collect()
}
