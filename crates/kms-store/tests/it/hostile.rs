//! What databases on servers do to us: connections that break in the middle of anything, deadlocks,
//! transactions that are refused, servers that die, networks that swallow.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use kms_store::{Condition, Error, Remote, Search, Store, Write};
use kms_testkit::database::{Database, Instance, Kind, database};
use kms_testkit::proxy::{Proxy, Way};

use crate::remote::{address, open};
use crate::{NAME, commit, found, grant, new, put, row, search};

const KINDS: [Kind; 2] = [Kind::Postgres, Kind::MariaDb];

fn through(database: &Database) -> (Proxy, String) {
    let proxy = Proxy::to(SocketAddr::from(([127, 0, 0, 1], database.port())));
    let url = proxy.in_url(&database.url());
    (proxy, url)
}

/// What is done, and cut.
#[derive(Clone, Copy, Debug)]
enum Act {
    Read,
    Use,
    Find,
    Create,
    Change,
    Remove,
    Share,
    Count,
}

const ACTS: [Act; 8] =
    [Act::Read, Act::Use, Act::Find, Act::Create, Act::Change, Act::Remove, Act::Share, Act::Count];

/// Does something with the object of a turn, which is there in version 1 but for [`Act::Create`].
async fn act(store: &Store, act: Act, id: &str) -> Result<(), Error> {
    let write = match act {
        Act::Read => return store.object(id).await.map(|row| assert!(row.is_some(), "{id}")),
        Act::Use => {
            return store.used(id, "bob").await.map(|used| {
                let (_, grants) = used.unwrap();
                assert_eq!(grants.unwrap().len(), 1, "{id}");
            });
        }
        Act::Find => {
            let index = vec![Condition::equal(NAME, id.as_bytes().to_vec())];
            let page = store.search(Search { index, ..search() }).await?;
            assert_eq!(page.len(), 1, "{id}");
            return Ok(());
        }
        Act::Create => put(row(id, 1), &[(NAME, id)], None),
        Act::Change => put(row(id, 2), &[(NAME, id), (NAME, "changed")], Some(1)),
        Act::Remove => Write::Remove { id: id.into(), expected: 1 },
        Act::Share => Write::PutGrant(grant(id, "carol", "[]")),
        Act::Count => {
            Write::PutUsage { id: id.into(), sealed: vec![1], sealed_by: 1, expected: None }
        }
    };
    store.commit(Vec::new(), vec![write]).await
}

/// Whether a change was made whole (true), or not at all (false).
async fn is_made(direct: &Store, act: Act, id: &str) -> bool {
    let object = direct.object(id).await.unwrap();
    let index = |value: &str| Condition::equal(NAME, value.as_bytes().to_vec());
    let named = async |value| {
        let both = vec![index(id), index(value)];
        !found(direct, Search { index: both, ..search() }).await.is_empty()
    };
    match act {
        Act::Read | Act::Use | Act::Find => false,
        Act::Create => {
            assert_eq!(named(id).await, object.is_some(), "{id}");
            object.is_some()
        }
        Act::Change => {
            let made = object.unwrap().row.version == 2;
            assert_eq!(named("changed").await, made, "{id}");
            made
        }
        Act::Remove => {
            assert_eq!(direct.removed(id).await.unwrap(), object.is_none());
            assert_eq!(direct.grants(id).await.unwrap().is_empty(), object.is_none());
            object.is_none()
        }
        Act::Share => direct.grant(id, "carol").await.unwrap().is_some(),
        Act::Count => direct.usage(id).await.unwrap().is_some(),
    }
}

/// Cuts the connection after every few bytes of an act, until nothing more is cut: on connections
/// that know the statements, or on new ones, which are cut while they are made, too.
async fn cut_everywhere(kind: Kind, what: Act, way: Way, warm: bool) {
    let database = database(kind);
    let (proxy, url) = through(&database);
    let direct = open(kind, &database.url(), Remote::default()).await;
    let store = open(kind, &url, Remote::default()).await;
    let (mut turn, mut bytes, mut cuts, mut unknown) = (0, 1, 0, 0);
    let step = if warm { 37 } else { 211 };
    loop {
        turn += 1;
        let id = format!("object {turn}");
        prepare(&direct, what, &id).await;
        if warm {
            let id = format!("warm {turn}");
            prepare(&direct, what, &id).await;
            act(&store, what, &id).await.unwrap();
        } else {
            proxy.cut();
        }
        let before = proxy.bytes(way);
        proxy.drop_after(way, bytes);
        let began = Instant::now();
        let outcome = act(&store, what, &id).await;
        assert!(began.elapsed() < Duration::from_secs(8), "{kind:?} {what:?} took long");
        let cut = proxy.bytes(way) - before >= bytes;
        proxy.mend();
        let made = is_made(&direct, what, &id).await;
        match &outcome {
            Ok(()) => {
                let reads = matches!(what, Act::Read | Act::Use | Act::Find);
                assert!(made || reads, "{kind:?} {what:?}: lost after {bytes} bytes");
            }
            Err(Error::Unknown(_)) => unknown += 1,
            Err(Error::Unavailable(_)) => {
                assert!(!made, "{kind:?} {what:?}: made, and denied after {bytes} bytes");
            }
            Err(other) => panic!("{kind:?} {what:?}: {other}"),
        }
        // It goes on as if nothing had been.
        let after = format!("after {turn}");
        commit(&store, vec![new(&after)]).await;
        assert!(store.object(&after).await.unwrap().is_some());
        if !cut {
            let told = outcome.is_ok() || matches!(what, Act::Share);
            assert!(told, "{kind:?} {what:?}: {outcome:?}");
            break;
        }
        cuts += 1;
        bytes += step;
    }
    assert!(cuts > 0, "{kind:?} {what:?}: nothing was cut");
    // Only a grant alone leaves nothing by which it could be told from another's.
    assert!(unknown == 0 || matches!(what, Act::Share), "{kind:?} {what:?}: {unknown} unknown");
}

/// What an act needs.
async fn prepare(direct: &Store, what: Act, id: &str) {
    if !matches!(what, Act::Create) {
        let grant = Write::PutGrant(grant(id, "bob", "[]"));
        commit(direct, vec![put(row(id, 1), &[(NAME, id)], None), grant]).await;
    }
}

macro_rules! cut_suite {
    ($($name:ident $kind:ident $way:ident;)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            for act in ACTS {
                for warm in [true, false] {
                    cut_everywhere(Kind::$kind, act, Way::$way, warm).await;
                }
            }
        })*
    };
}

cut_suite! {
    what_postgres_is_told_is_cut_off Postgres There;
    what_postgres_answers_is_cut_off Postgres Back;
    what_mariadb_is_told_is_cut_off MariaDb There;
    what_mariadb_answers_is_cut_off MariaDb Back;
}

/// Makes the next so many changes of objects fail as the database does when it refuses to order
/// them.
async fn refuse_next(database: &Database, times: u32) {
    use sqlx::Connection as _;
    database.sql("CREATE SEQUENCE refused");
    match database.kind() {
        Kind::Postgres => {
            database.sql(&format!(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 IF nextval('refused') <= {times} THEN \
                 RAISE EXCEPTION 'could not serialize' USING ERRCODE = '40001'; END IF; \
                 RETURN NEW; END $$"
            ));
            database.sql(
                "CREATE TRIGGER refuse BEFORE UPDATE ON objects FOR EACH ROW \
                 EXECUTE FUNCTION refuse()",
            );
            database.sql("GRANT ALL ON SEQUENCE refused TO PUBLIC");
        }
        Kind::MariaDb | Kind::EdgelessDb => {
            let mut user = sqlx::MySqlConnection::connect(&database.url()).await.unwrap();
            let trigger = format!(
                "CREATE TRIGGER refuse BEFORE UPDATE ON objects FOR EACH ROW \
                 BEGIN IF NEXTVAL(refused) <= {times} THEN \
                 SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213; END IF; END"
            );
            sqlx::raw_sql(sqlx::AssertSqlSafe(trigger)).execute(&mut user).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_to_order_changes_is_answered_by_trying_again() {
    for kind in KINDS {
        let database = database(kind);
        let store = open(kind, &database.url(), Remote::default()).await;
        commit(&store, vec![new("a")]).await;
        refuse_next(&database, 5).await;
        commit(&store, vec![put(row("a", 2), &[(NAME, "n")], Some(1))]).await;
        assert_eq!(store.object("a").await.unwrap().unwrap().row.version, 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trying_again_has_an_end() {
    for kind in KINDS {
        let database = database(kind);
        let store = open(kind, &database.url(), Remote::default()).await;
        commit(&store, vec![new("a")]).await;
        refuse_next(&database, u32::MAX).await;
        let began = Instant::now();
        let refused = store.commit(Vec::new(), vec![put(row("a", 2), &[], Some(1))]).await;
        assert_eq!(refused, Err(Error::Conflict { id: "a".into() }), "{kind:?}");
        assert!(began.elapsed() < Duration::from_secs(15));
        assert_eq!(store.object("a").await.unwrap().unwrap().row.version, 1);
    }
}

/// Two transactions wait for each other: ours, and one of somebody who locks in another order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadlock_is_resolved() {
    use sqlx::{Connection as _, Executor as _};
    for kind in KINDS {
        let database = database(kind);
        let store = open(kind, &database.url(), Remote::default()).await;
        commit(&store, vec![new("a"), new("b")]).await;
        let changes = ["a", "b"].map(|id| put(row(id, 2), &[(NAME, "n")], Some(1)));
        let (lock_b, lock_a) = (
            "UPDATE objects SET due = 1 WHERE id = 'b'",
            "UPDATE objects SET due = 1 WHERE id = 'a'",
        );
        let ours = store.clone();
        let commits = async move { ours.commit(Vec::new(), changes.into()).await };
        match kind {
            Kind::Postgres => {
                let mut other = sqlx::PgConnection::connect(&database.url()).await.unwrap();
                other.execute("BEGIN").await.unwrap();
                other.execute(lock_b).await.unwrap();
                let task = tokio::spawn(commits);
                waits(&database).await;
                drop(other.execute(lock_a).await);
                drop(other.execute("ROLLBACK").await);
                task.await.unwrap().unwrap();
            }
            Kind::MariaDb | Kind::EdgelessDb => {
                let mut other = sqlx::MySqlConnection::connect(&database.url()).await.unwrap();
                other.execute("START TRANSACTION").await.unwrap();
                other.execute(lock_b).await.unwrap();
                let task = tokio::spawn(commits);
                waits(&database).await;
                drop(other.execute(lock_a).await);
                drop(other.execute("ROLLBACK").await);
                task.await.unwrap().unwrap();
            }
        }
        for id in ["a", "b"] {
            assert_eq!(store.object(id).await.unwrap().unwrap().row.version, 2, "{kind:?}");
        }
    }
}

/// Waits until somebody waits for a lock.
async fn waits(database: &Database) {
    let count = match database.kind() {
        Kind::Postgres => format!(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
             AND datname = '{}'",
            database.name()
        ),
        Kind::MariaDb | Kind::EdgelessDb => {
            "SELECT count(*) FROM information_schema.innodb_lock_waits".to_owned()
        }
    };
    for _ in 0..200 {
        if database.sql(&count).trim() != "0" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("nobody waits");
}

/// A database that is killed and comes back is used again within two seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_database_is_found_again() {
    for kind in KINDS {
        let instance = Instance::start(kind);
        let store = open(kind, &instance.url(), Remote::default()).await;
        commit(&store, vec![new("before")]).await;
        instance.kill();
        let down = Instant::now();
        let refused = store.commit(Vec::new(), vec![new("meanwhile")]).await;
        let is_told = matches!(refused, Err(Error::Unavailable(_) | Error::Unknown(_)));
        assert!(is_told, "{kind:?} {refused:?}");
        assert!(matches!(store.object("before").await, Err(Error::Unavailable(_))));
        assert!(down.elapsed() < Duration::from_secs(10), "{:?}", down.elapsed());
        assert!(store.trouble().is_some(), "{kind:?}");
        instance.resume();
        let back = Instant::now();
        while store.object("before").await.is_err() {
            assert!(back.elapsed() < Duration::from_secs(2), "{kind:?}");
        }
        assert!(back.elapsed() < Duration::from_secs(2), "{kind:?} {:?}", back.elapsed());
        commit(&store, vec![new("after")]).await;
        assert!(store.trouble().is_none());
    }
}

/// A network that swallows: everybody gets an answer, and it goes on when the network does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_swallows_is_noticed() {
    for kind in KINDS {
        let database = database(kind);
        let (proxy, url) = through(&database);
        let store = open(kind, &url, Remote::default()).await;
        commit(&store, vec![new("a")]).await;
        proxy.hold(true);
        let began = Instant::now();
        let (read, write) = tokio::join!(
            store.object("a"),
            store.commit(Vec::new(), vec![put(row("a", 2), &[], Some(1))])
        );
        assert!(matches!(read, Err(Error::Unavailable(_))), "{kind:?} {read:?}");
        let refused = matches!(write, Err(Error::Unavailable(_) | Error::Unknown(_)));
        assert!(refused, "{kind:?} {write:?}");
        assert!(began.elapsed() < Duration::from_secs(15), "{kind:?} {:?}", began.elapsed());
        assert!(store.trouble().is_some());
        proxy.hold(false);
        let back = Instant::now();
        while store.object("a").await.is_err() {
            assert!(back.elapsed() < Duration::from_secs(2), "{kind:?}");
        }
        assert!(back.elapsed() < Duration::from_secs(2), "{kind:?} {:?}", back.elapsed());
    }
}

/// More at once than there are connections: all wait their turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_pool_serves_many() {
    for kind in KINDS {
        let database = database(kind);
        let remote = Remote { connections: 2, ..Remote::default() };
        let store = open(kind, &database.url(), remote).await;
        commit(&store, vec![new("a")]).await;
        let tasks: Vec<_> = (0..200)
            .map(|number| {
                let store = store.clone();
                tokio::spawn(async move {
                    commit(&store, vec![new(&format!("{number}"))]).await;
                    store.object("a").await.unwrap().unwrap();
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let sessions = match kind {
            Kind::Postgres => format!(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' \
                 AND application_name = 'kms-server'",
                database.name()
            ),
            Kind::MariaDb | Kind::EdgelessDb => format!(
                "SELECT count(*) FROM information_schema.processlist WHERE db = '{}' \
                 AND user = 'kms'",
                database.name()
            ),
        };
        // Two, and one that watches.
        let sessions: u32 = database.sql(&sessions).trim().parse().unwrap();
        assert!(sessions <= 3, "{kind:?}: {sessions}");
    }
}

/// Whoever gives up in the middle leaves a connection that nobody uses any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_gives_up_disturbs_nobody() {
    for kind in KINDS {
        let database = database(kind);
        let (proxy, url) = through(&database);
        let store = open(kind, &url, Remote::default()).await;
        for number in 0..30 {
            commit(&store, vec![new(&format!("{number}"))]).await;
        }
        proxy.delay(Duration::from_millis(5));
        for number in 0..30 {
            let id = format!("{number}");
            let change = vec![put(row(&id, 2), &[(NAME, "n")], Some(1))];
            let patience = Duration::from_millis(number);
            drop(tokio::time::timeout(patience, store.commit(Vec::new(), change)).await);
            drop(tokio::time::timeout(patience, store.object(&id)).await);
        }
        proxy.mend();
        for number in 0..30 {
            let id = format!("{number}");
            assert_eq!(store.object(&id).await.unwrap().unwrap().row.id, id, "{kind:?}");
        }
    }
}

/// The address is parsed once more to be sure that what the kit gives is what users write.
#[test]
fn urls_of_the_kit_are_urls() {
    for kind in KINDS {
        assert!(address(kind, &database(kind).url()).to_string().contains("127.0.0.1"));
    }
}
