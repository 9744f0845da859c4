//! Many servers on one database: what one changes, all others obey at once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kmip::enumerations::State;
use kms_store::{Condition, Error, OpenError, Remote, Row, Search, Store, Write};
use kms_testkit::database::{Database, Kind, database};
use kms_testkit::proxy::{Proxy, Way};

use crate::remote::{address, open};
use crate::{NAME, commit, found, grant, new, put, row, search};

const KINDS: [Kind; 2] = [Kind::Postgres, Kind::MariaDb];

async fn several(database: &Database, count: usize) -> Vec<Store> {
    let mut stores = Vec::new();
    for _ in 0..count {
        stores.push(open(database.kind(), &database.url(), Remote::default()).await);
    }
    stores
}

fn through(database: &Database) -> (Proxy, String) {
    let proxy = Proxy::to(SocketAddr::from(([127, 0, 0, 1], database.port())));
    let url = proxy.in_url(&database.url());
    (proxy, url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_changes_the_others_obey() {
    for kind in KINDS {
        let database = database(kind);
        let [one, other] = several(&database, 2).await.try_into().unwrap();
        commit(&one, vec![put(row("a", 1), &[(NAME, "first")], None)]).await;
        commit(&one, vec![Write::PutGrant(grant("a", "bob", r#"["Get"]"#))]).await;
        let (seen, grants) = other.used("a", "bob").await.unwrap().unwrap();
        assert_eq!(grants.unwrap(), [grant("a", "bob", r#"["Get"]"#)]);
        // What nobody has changed is not made anew.
        assert!(Arc::ptr_eq(&seen, &other.object("a").await.unwrap().unwrap()));
        // An owner needs no grants, and is not told any.
        assert_eq!(other.used("a", "admin").await.unwrap().unwrap().1, None);

        let revoked = Row { state: State::Compromised, ..row("a", 2) };
        let withdraw = Write::RemoveGrant { id: "a".into(), user: "bob".into() };
        commit(&one, vec![put(revoked.clone(), &[(NAME, "second")], Some(1)), withdraw]).await;
        let (seen, grants) = other.used("a", "bob").await.unwrap().unwrap();
        assert_eq!((&seen.row, grants), (&revoked, Some(Vec::new())), "{kind:?}");
        let named = |name: &str| Search {
            index: vec![Condition::equal(NAME, name.as_bytes().to_vec())],
            ..search()
        };
        assert_eq!(found(&other, named("first")).await, [""; 0]);
        assert_eq!(found(&other, named("second")).await, ["a"]);

        // Given away: the grants of the new owner's object are told with it.
        let given = Row { owner: "carol".into(), ..row("a", 3) };
        commit(&one, vec![put(given, &[], Some(2))]).await;
        let (seen, _) = other.used("a", "admin").await.unwrap().unwrap();
        assert_eq!(seen.row.owner, "carol");

        commit(&one, vec![Write::Remove { id: "a".into(), expected: 3 }]).await;
        assert!(other.used("a", "carol").await.unwrap().is_none());
        assert!(other.object("a").await.unwrap().is_none() && other.removed("a").await.unwrap());
        let again = other.commit(Vec::new(), vec![new("a")]).await;
        assert_eq!(again, Err(Error::Exists { id: "a".into() }));
    }
}

/// Four servers change the same rows: each version has one winner, and counts lose nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_update_is_lost() {
    const TURNS: u64 = 25;
    for kind in KINDS {
        let database = database(kind);
        let stores = several(&database, 4).await;
        commit(&stores[0], vec![new("a"), new("b")]).await;
        let usage =
            Write::PutUsage { id: "a".into(), sealed: b"0".to_vec(), sealed_by: 1, expected: None };
        commit(&stores[0], vec![usage]).await;
        let won = Arc::new(AtomicU64::new(0));
        let tasks: Vec<_> = stores
            .iter()
            .flat_map(|store| [store.clone(), store.clone()])
            .map(|store| {
                let won = Arc::clone(&won);
                tokio::spawn(async move { worker(&store, &won, TURNS).await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let count = stores[1].usage("a").await.unwrap().unwrap().sealed;
        assert_eq!(count, (8 * TURNS).to_string().into_bytes(), "{kind:?}");
        for id in ["a", "b"] {
            let version = stores[2].object(id).await.unwrap().unwrap().row.version;
            assert_eq!(version, won.load(Ordering::SeqCst) + 1, "{kind:?}");
        }
    }
}

/// Counts a use so many times, and after each tries to change two rows together.
async fn worker(store: &Store, won: &AtomicU64, turns: u64) {
    let mut counted = 0;
    while counted < turns {
        let before = store.usage("a").await.unwrap().unwrap().sealed;
        let number: u64 = String::from_utf8(before.clone()).unwrap().parse().unwrap();
        let sealed = (number + 1).to_string().into_bytes();
        let count =
            Write::PutUsage { id: "a".into(), sealed, sealed_by: 1, expected: Some(before) };
        match store.commit(Vec::new(), vec![count]).await {
            Ok(()) => counted += 1,
            Err(Error::Conflict { .. }) => continue,
            Err(other) => panic!("{other}"),
        }
        let version = store.object("a").await.unwrap().unwrap().row.version;
        // In another order each time: waiting for each other in a circle must not happen.
        let mut ids = ["a", "b"];
        if counted % 2 == 0 {
            ids.reverse();
        }
        let writes = ids.map(|id| put(row(id, version + 1), &[(NAME, "n")], Some(version)));
        match store.commit(Vec::new(), writes.into()).await {
            Ok(()) => drop(won.fetch_add(1, Ordering::SeqCst)),
            Err(Error::Conflict { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_was_relied_on_holds() {
    for kind in KINDS {
        let database = database(kind);
        let [one, other] = several(&database, 2).await.try_into().unwrap();
        commit(&one, vec![new("key"), new("data")]).await;
        commit(&other, vec![put(row("key", 2), &[], Some(1))]).await;
        let change = || vec![put(row("data", 2), &[], Some(1))];
        let read = |version| vec![("key".to_owned(), Some(version))];
        let conflict = Err(Error::Conflict { id: "key".into() });
        assert_eq!(one.commit(read(1), change()).await, conflict, "{kind:?}");
        one.commit(read(2), change()).await.unwrap();
    }
}

/// What a row weighs is sent once; after that, one question and a short answer are all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_use_is_one_short_round_trip() {
    const DELAY: Duration = Duration::from_millis(60);
    for kind in KINDS {
        let database = database(kind);
        let (proxy, url) = through(&database);
        let store = open(kind, &url, Remote::default()).await;
        let direct = open(kind, &database.url(), Remote::default()).await;
        let large = Row { material: Some(vec![7; 100_000]), ..row("a", 1) };
        let shared = Write::PutGrant(grant("a", "bob", "[]"));
        commit(&direct, vec![put(large, &[(NAME, "n")], None), shared]).await;
        let before = proxy.bytes(Way::Back);
        store.used("a", "bob").await.unwrap();
        let first = proxy.bytes(Way::Back) - before;
        // The server's watch sends some, too.
        let before = proxy.bytes(Way::Back);
        for _ in 0..3 {
            store.used("a", "bob").await.unwrap();
        }
        let next = proxy.bytes(Way::Back) - before;
        // A row larger than a part of the cache is not kept; this one is.
        assert!(first > 100_000 && next < 8_000, "{kind:?}: {first} then {next}");

        commit(&store, vec![put(row("warm", 1), &[(NAME, "n")], None)]).await;
        proxy.delay(DELAY);
        let trips = async |work: &dyn AsyncFnLike| {
            let began = Instant::now();
            work.run(&store).await;
            began.elapsed().as_millis() / (2 * DELAY).as_millis()
        };
        assert_eq!(trips(&Use).await, 1, "{kind:?}");
        let most = if kind == Kind::Postgres { 1 } else { 4 };
        let create = trips(&Create).await;
        assert!((1..=most).contains(&create), "{kind:?}: {create} round trips");
        proxy.mend();
    }
}

/// Work on a store that can be timed.
trait AsyncFnLike {
    fn run<'a>(&'a self, store: &'a Store) -> std::pin::Pin<Box<dyn Future<Output = ()> + 'a>>;
}

struct Use;
struct Create;

impl AsyncFnLike for Use {
    fn run<'a>(&'a self, store: &'a Store) -> std::pin::Pin<Box<dyn Future<Output = ()> + 'a>> {
        Box::pin(async { drop(store.used("a", "bob").await.unwrap()) })
    }
}

impl AsyncFnLike for Create {
    fn run<'a>(&'a self, store: &'a Store) -> std::pin::Pin<Box<dyn Future<Output = ()> + 'a>> {
        Box::pin(commit(store, vec![put(row("timed", 1), &[(NAME, "n")], None)]))
    }
}

/// An operator may trade obedience for speed, up to a limit; beyond it, who cannot ask refuses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staleness_is_what_was_allowed_and_no_more() {
    const ALLOWED: Duration = Duration::from_millis(1500);
    for kind in KINDS {
        let database = database(kind);
        let (proxy, url) = through(&database);
        let stale = open(kind, &url, Remote { staleness: ALLOWED, ..Remote::default() }).await;
        let other = open(kind, &database.url(), Remote::default()).await;
        commit(&other, vec![new("a")]).await;
        let read = Instant::now();
        stale.object("a").await.unwrap().unwrap();
        commit(&other, vec![put(row("a", 2), &[], Some(1))]).await;
        proxy.unplug();
        let version = stale.object("a").await.unwrap().unwrap().row.version;
        assert!(version == 1 || read.elapsed() >= ALLOWED);
        tokio::time::sleep_until((read + ALLOWED + Duration::from_millis(50)).into()).await;
        assert!(stale.cached("a").is_none());
        let refused = stale.object("a").await;
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{kind:?} {refused:?}");
        proxy.mend();
        while stale.object("a").await.is_err() {}
        assert_eq!(stale.object("a").await.unwrap().unwrap().row.version, 2);
    }
}

/// A row that was put back, or taken out, behind the servers' backs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_goes_back_is_noticed() {
    for kind in KINDS {
        let database = database(kind);
        let [one, other] = several(&database, 2).await.try_into().unwrap();
        commit(&one, vec![new("a"), new("b")]).await;
        commit(&one, vec![put(row("a", 2), &[], Some(1))]).await;
        other.object("a").await.unwrap().unwrap();
        database.sql("UPDATE objects SET version = 1 WHERE id = 'a'");
        database.sql("DELETE FROM objects WHERE id = 'b'");
        for store in [&one, &other] {
            let read = store.object("a").await;
            assert!(matches!(read, Err(Error::Corrupt(_))), "{kind:?} {read:?}");
        }
        assert!(matches!(one.object("b").await, Err(Error::Corrupt(_))), "{kind:?}");
        // Who has never seen it cannot know.
        assert!(other.object("b").await.unwrap().is_none());
    }
}

/// Many servers start at once on an empty database: one makes the schema.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_makes_the_schema() {
    for kind in KINDS {
        let database = database(kind);
        let tasks: Vec<_> = (0..6)
            .map(|number| {
                let url = database.url();
                tokio::spawn(async move {
                    let store = open(kind, &url, Remote::default()).await;
                    commit(&store, vec![new(&format!("{number}"))]).await;
                    store.database_id().to_owned()
                })
            })
            .collect();
        let mut names = Vec::new();
        for task in tasks {
            names.push(task.await.unwrap());
        }
        assert_eq!(names[0].len(), 32);
        assert!(names.iter().all(|name| *name == names[0]), "{kind:?} {names:?}");
    }
}

/// A server that dies while it makes the schema is followed by one that ends it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_left_half_made_is_ended() {
    for kind in KINDS {
        let mut bytes = 400;
        let mut interrupted = 0;
        loop {
            let database = database(kind);
            let (proxy, url) = through(&database);
            let before = proxy.bytes(Way::There);
            proxy.drop_after(Way::There, bytes);
            let config = kms_store::Config::server(
                address(kind, &url),
                Remote { wait: Duration::ZERO, ..Remote::default() },
            );
            let opened = Store::open(config).await;
            let whole = proxy.bytes(Way::There) - before < bytes;
            proxy.mend();
            if whole {
                opened.unwrap();
                break;
            }
            interrupted += usize::from(opened.is_err());
            // The dead one's lock is not waited for here.
            if kind == Kind::MariaDb {
                drop(database.try_sql("UPDATE migration_lock SET taken_at = 0"));
            }
            let store = open(kind, &database.url(), Remote::default()).await;
            commit(&store, vec![put(row("a", 1), &[(NAME, "n")], None)]).await;
            bytes += 613;
        }
        assert!(interrupted > 5, "{kind:?}: {interrupted}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newer_and_other_schemas_are_refused() {
    for kind in KINDS {
        let database = database(kind);
        let config =
            || kms_store::Config::server(address(kind, &database.url()), Remote::default());
        // Beside a server nothing is made.
        let absent = Store::open(config().beside()).await;
        assert!(matches!(absent, Err(OpenError::Server { .. })), "{absent:?}");
        drop(open(kind, &database.url(), Remote::default()).await);
        Store::open(config().beside()).await.unwrap();
        let steps = if kind == Kind::Postgres { "" } else { ", steps" };
        let zero = if kind == Kind::Postgres { "" } else { ", 0" };
        database.sql(&format!(
            "INSERT INTO migration (number, name, up, applied_at{steps}) \
             VALUES (999, 'later', '', 0{zero})"
        ));
        let newer = Store::open(config()).await;
        assert!(matches!(newer, Err(OpenError::Future { found: 999, .. })), "{newer:?}");
        database.sql("DELETE FROM migration WHERE number = 999");
        database.sql("UPDATE migration SET up = 'other' WHERE number = 1");
        let other = Store::open(config()).await.unwrap_err().to_string();
        assert!(other.contains("step 1") && other.contains("backup"), "{other}");
    }
}

/// As Galera wants it, which tells rows apart by their keys.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_table_has_a_primary_key() {
    for kind in KINDS {
        let database = database(kind);
        drop(open(kind, &database.url(), Remote::default()).await);
        let schema = if kind == Kind::Postgres { "'public'" } else { "database()" };
        let tables = format!(
            "FROM information_schema.tables t \
             WHERE t.table_schema = {schema} AND t.table_type = 'BASE TABLE'"
        );
        let without = format!(
            "SELECT t.table_name {tables} AND NOT EXISTS (SELECT 1 \
             FROM information_schema.table_constraints k WHERE k.table_schema = t.table_schema \
             AND k.table_name = t.table_name AND k.constraint_type = 'PRIMARY KEY')"
        );
        let count = database.sql(&format!("SELECT count(*) {tables}"));
        assert!(count.trim().parse::<u32>().unwrap() > 8, "{kind:?}: {count} tables");
        assert_eq!(database.sql(&without).trim(), "", "{kind:?}");
    }
}
