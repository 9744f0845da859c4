//! What a database in files refuses, and what it survives.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use kms_store::{Condition, Config, Error, OpenError, Search, Store};
use tempfile::TempDir;

use crate::{Fixture, NAME, Sqlite, commit, found, new, put, row, search};

async fn refusal(directory: &Path) -> OpenError {
    Store::open(Config::directory(directory)).await.expect_err("it was opened")
}

/// A directory with a database of one object, closed.
async fn made() -> TempDir {
    let fixture = Sqlite::new().await;
    let store = fixture.open().await;
    commit(&store, vec![put(row("a", 1), &[(NAME, "n")], None)]).await;
    store.close().await.unwrap();
    fixture.0
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn assert_refused(error: &OpenError, why: &str, mend: &str) {
    assert!(matches!(error, OpenError::Database { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(why) && text.contains(mend), "{text}");
}

#[tokio::test]
async fn files_are_ours_alone() {
    let directory = TempDir::new().unwrap();
    let store = Store::open(Config::directory(directory.path())).await.unwrap();
    commit(&store, vec![new("a")]).await;
    store.object("b").await.unwrap();
    for name in ["kms.db", "kms.db-wal", "kms.db-shm", "kms.db.lock"] {
        let mode = std::fs::metadata(directory.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    store.close().await.unwrap();
    assert!(!directory.path().join("kms.db-wal").exists(), "the log is copied and removed");
}

#[tokio::test]
async fn files_open_to_others_are_refused() {
    for name in ["kms.db", "kms.db.lock", "kms.db-wal", "kms.db-shm", "kms.db-journal"] {
        let directory = made().await;
        let path = directory.path().join(name);
        if !path.exists() {
            std::fs::write(&path, "").unwrap();
        }
        set_mode(&path, 0o640);
        let error = refusal(directory.path()).await;
        let command = format!("chmod 600 {}", path.canonicalize().unwrap().display());
        assert_refused(&error, "open to others", &command);
        set_mode(&path, 0o600);
        Store::open(Config::directory(directory.path())).await.unwrap();
    }
}

#[tokio::test]
async fn links_and_strange_files_are_refused() {
    for name in ["kms.db", "kms.db.lock", "kms.db-wal", "kms.db-journal"] {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join(name);
        let elsewhere = directory.path().join("elsewhere");
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        assert_refused(&refusal(directory.path()).await, "symbolic link", "rm ");
        assert!(!elsewhere.exists(), "nothing was made behind the link");

        std::fs::remove_file(&path).unwrap();
        std::fs::write(&elsewhere, "").unwrap();
        set_mode(&elsewhere, 0o600);
        std::fs::hard_link(&elsewhere, &path).unwrap();
        assert_refused(&refusal(directory.path()).await, "second name", "find ");

        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert_refused(&refusal(directory.path()).await, "not a file", "rm -r ");
    }
}

#[tokio::test]
async fn files_of_others_are_refused() {
    let directory = made().await;
    let path = directory.path().join("kms.db");
    // Only root can give a file away; for others, no file of another user can be made here.
    if std::os::unix::fs::chown(&path, Some(12_345), None).is_ok() {
        assert_refused(&refusal(directory.path()).await, "belongs to user 12345", "chown ");
    }
}

#[tokio::test]
async fn directories_are_looked_at() {
    let directory = TempDir::new().unwrap();
    let absent = directory.path().join("absent");
    assert_refused(&refusal(&absent).await, "not there", "mkdir -p ");
    assert!(!absent.exists());
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert_refused(&refusal(&file).await, "not a directory", "--root-dir");
    set_mode(directory.path(), 0o777);
    assert_refused(&refusal(directory.path()).await, "every user", "chmod o-w ");
    set_mode(directory.path(), 0o1777);
    Store::open(Config::directory(directory.path())).await.unwrap();
}

#[tokio::test]
async fn one_server_at_a_time() {
    let directory = TempDir::new().unwrap();
    let store = Store::open(Config::directory(directory.path())).await.unwrap();
    let error = refusal(directory.path()).await;
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
    commit(&store, vec![new("a")]).await;
    drop(store);
    let store = Store::open(Config::directory(directory.path())).await.unwrap();
    assert!(store.object("a").await.unwrap().is_some());
}

#[tokio::test]
async fn newer_and_other_schemas_are_refused() {
    let change = async |sql: &str| {
        let directory = made().await;
        let path = directory.path().join("kms.db");
        rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
        refusal(directory.path()).await
    };
    let newer = change("INSERT INTO migration VALUES (999, 'later', '', 0)").await;
    assert!(matches!(newer, OpenError::Future { found: 999, .. }), "{newer}");
    let other = change("UPDATE migration SET up = up || ' '").await;
    assert_refused(&other, "step 1", "backup");
    let foreign = change("PRAGMA application_id = 7").await;
    assert_refused(&foreign, "another program", "--root-dir");
}

#[tokio::test]
async fn damaged_files_are_refused() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("kms.db");
    std::fs::write(&path, "not a database, but long enough to be looked at: ".repeat(100)).unwrap();
    set_mode(&path, 0o600);
    assert_refused(&refusal(directory.path()).await, "not a database", "backup");

    let directory = made().await;
    let path = directory.path().join("kms.db");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100..4096].fill(0xAB);
    std::fs::write(&path, &bytes).unwrap();
    assert_refused(&refusal(directory.path()).await, "damaged", "backup");
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "nothing was changed");

    // An empty file is one whose making was interrupted.
    std::fs::write(&path, "").unwrap();
    Store::open(Config::directory(directory.path())).await.unwrap();
}

#[tokio::test]
async fn damage_found_later_is_reported() {
    let directory = made().await;
    let path = directory.path().join("kms.db");
    let mut bytes = std::fs::read(&path).unwrap();
    // Every page that holds the record, but not the schema.
    let needle = b"record a 1";
    for page in bytes.chunks_mut(4096).skip(1) {
        if page.windows(needle.len()).any(|window| window == needle) {
            page.fill(0xAB);
        }
    }
    std::fs::write(&path, &bytes).unwrap();
    match Store::open(Config::directory(directory.path())).await {
        Ok(store) => {
            let read = store.object("a").await;
            assert!(matches!(read, Err(Error::Corrupt(_))), "{read:?}");
        }
        Err(error) => assert_refused(&error, "damaged", "backup"),
    }
}

/// The bytes of the database and of its log, with 60 commits of two objects each in the log alone.
///
/// A checkpoint would have moved some into the database, which no crash can take away again; on a
/// slow machine one may come between two commits, and then it is all done again.
async fn written() -> (Vec<u8>, Vec<u8>) {
    loop {
        let directory = TempDir::new().unwrap();
        let read = |name: &str| std::fs::read(directory.path().join(name)).unwrap();
        let store = Store::open(Config::directory(directory.path())).await.unwrap();
        let before = read("kms.db");
        let tasks = (0..60).map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let (a, b) = (format!("a{number}"), format!("b{number}"));
                commit(&store, vec![put(row(&a, 1), &[(NAME, "n")], None), new(&b)]).await;
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        let (database, log) = (read("kms.db"), read("kms.db-wal"));
        if database == before {
            return (database, log);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_survives_a_crash() {
    let (database, log) = written().await;
    let mut before = 0;
    for part in 0..=12 {
        let crashed = TempDir::new().unwrap();
        for (name, bytes) in [("kms.db", &*database), ("kms.db-wal", &log[..log.len() * part / 12])]
        {
            std::fs::write(crashed.path().join(name), bytes).unwrap();
            set_mode(&crashed.path().join(name), 0o600);
        }
        let after = Store::open(Config::directory(crashed.path())).await.unwrap();
        let mut pairs = 0;
        for number in 0..60 {
            let a = after.object(&format!("a{number}")).await.unwrap().is_some();
            let b = after.object(&format!("b{number}")).await.unwrap().is_some();
            assert_eq!(a, b, "half of a commit, at {part}/12");
            pairs += usize::from(a);
        }
        assert!(pairs >= before, "less after more of the log");
        before = pairs;
        let index = vec![Condition::equal(NAME, b"n".to_vec())];
        assert_eq!(found(&after, Search { index, ..search() }).await.len(), pairs);
        commit(&after, vec![new("later")]).await;
    }
    assert_eq!(before, 60, "something answered was lost");
}

/// A file system of few bytes, if this user may mount one.
struct Small(TempDir);

impl Small {
    fn mount(bytes: usize) -> Option<Self> {
        let directory = TempDir::new().unwrap();
        let options = format!("size={bytes},mode=0700");
        let status = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "kms-test"])
            .arg(directory.path())
            .stderr(std::process::Stdio::null())
            .status();
        status.is_ok_and(|status| status.success()).then(|| Self(directory))
    }

    fn grow(&self, bytes: usize) {
        let options = format!("remount,size={bytes}");
        let mut command = std::process::Command::new("mount");
        assert!(command.args(["-o", &options]).arg(self.0.path()).status().unwrap().success());
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let unmounted = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(unmounted.is_ok());
    }
}

/// The same is shown without a file system beside the writer, for users who may not mount one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_runs_full_loses_nothing() {
    let Some(disk) = Small::mount(2 << 20) else { return };
    let store = Store::open(Config::directory(disk.0.path())).await.unwrap();
    let mut made = Vec::new();
    for number in 0..200 {
        let mut row = row(&format!("{number}"), 1);
        row.record = vec![1; 30_000];
        match store.commit(Vec::new(), vec![put(row, &[(NAME, "n")], None)]).await {
            Ok(()) => made.push(number.to_string()),
            Err(error) => assert_eq!(error, Error::Full),
        }
    }
    assert!(made.len() > 5 && made.len() < 200, "{} fitted", made.len());
    let named = || Search { index: vec![Condition::equal(NAME, b"n".to_vec())], ..search() };
    assert_eq!(found(&store, named()).await, made);
    disk.grow(16 << 20);
    commit(&store, vec![put(row("room again", 1), &[(NAME, "n")], None)]).await;
    made.push("room again".to_owned());
    assert_eq!(found(&store, named()).await, made);
    store.close().await.unwrap();
    drop(store);
    let store = Store::open(Config::directory(disk.0.path())).await.unwrap();
    assert_eq!(found(&store, named()).await, made);
    drop(store);
}

#[tokio::test]
async fn a_full_disk_is_told_at_the_start() {
    let Some(disk) = Small::mount(16 << 10) else { return };
    assert_refused(&refusal(disk.0.path()).await, "full", "make room");
    disk.grow(4 << 20);
    let store = Store::open(Config::directory(disk.0.path())).await.unwrap();
    commit(&store, vec![new("a")]).await;
}
