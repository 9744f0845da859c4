//! What every database does for the store.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kmip::enumerations::{ObjectType, State};
use kms_store::{
    Cached, Condition, EVERYONE, Error, KeyringRow, MAX_INDEX_VALUE, Row, Search, Store, Write,
};
use tokio::sync::Barrier;

use crate::api_tokens::{
    api_tokens_are_changed_one_after_the_other,
    beside_a_server_only_api_tokens_and_the_keyring_are_changed,
};
use crate::audit::{
    a_record_is_kept_with_its_change_and_heard_of, a_record_of_unknown_fate_is_heard_of,
    epochs_and_the_head_of_a_log_are_kept, lines_of_a_log_are_kept,
};
use crate::keyring::{
    material_that_is_sealed_anew_is_written, rows_are_found_by_the_data_key_that_seals_them,
    the_keyring_is_changed_all_or_nothing,
};
use crate::{Fixture, NAME, commit, found, grant, new, put, row, search};

const DATE: u32 = 0x42_0005;

/// The whole suite, on one kind of database.
macro_rules! store_suite {
    ($name:ident, $fixture:ty) => {
        each_test! { $name, $fixture;
            an_object_comes_back_as_it_was_written
            an_identifier_is_used_once
            a_commit_is_made_whole_or_not_at_all
            versions_order_changes
            a_commit_sees_its_own_writes
            grants_are_kept_and_go_with_their_object
            usage_is_replaced_only_as_expected
            the_keyring_is_written_once
            the_keyring_is_changed_all_or_nothing
            rows_are_found_by_the_data_key_that_seals_them
            material_that_is_sealed_anew_is_written
            limits_are_kept
            a_search_meets_all_its_conditions
            a_search_finds_what_the_clock_has_changed
            a_search_shows_what_is_visible
            pages_follow_each_other
            index_entries_follow_changes
            pages_do_not_fill_the_cache
            pages_leave_large_material_out
            one_of_many_wins_each_version
            no_reader_goes_back
            many_objects_at_once
            everything_is_there_after_reopening
            a_closed_store_says_so
            a_memo_lives_as_long_as_its_version
            a_record_is_kept_with_its_change_and_heard_of
            a_record_of_unknown_fate_is_heard_of
            epochs_and_the_head_of_a_log_are_kept
            api_tokens_are_changed_one_after_the_other
            beside_a_server_only_api_tokens_and_the_keyring_are_changed
            lines_of_a_log_are_kept
        }
    };
}

macro_rules! each_test {
    ($name:ident, $fixture:ty; $($test:ident)*) => {
        mod $name {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(<$fixture as crate::Fixture>::new().await).await;
            })*
        }
    };
}

store_suite! { sqlite, crate::Sqlite }
store_suite! { postgres, crate::remote::Postgres }
store_suite! { mariadb, crate::remote::MariaDb }
store_suite! { edgelessdb, crate::remote::EdgelessDb }

/// The object as it is now.
async fn now(store: &Store, id: &str) -> Arc<Cached> {
    store.object(id).await.unwrap().unwrap()
}

async fn an_object_comes_back_as_it_was_written(fixture: impl Fixture) {
    let store = fixture.open().await;
    let mut first = row("a", 1);
    first.due = Some(-5);
    commit(&store, vec![put(first.clone(), &[(NAME, "one")], None)]).await;
    if fixture.alone() {
        assert_eq!(store.cached("a").unwrap().row, first, "an own write is in memory");
    }
    assert_eq!(now(&store, "a").await.row, first);
    assert_eq!(store.object("b").await.unwrap().map(|row| row.seq), None);
    drop(store);

    let store = fixture.open().await;
    assert!(store.cached("a").is_none());
    let read = store.object("a").await.unwrap().unwrap();
    assert_eq!(read.row, first);
    assert!(Arc::ptr_eq(&read, &now(&store, "a").await));

    for code in 1..=6 {
        let mut next = row("a", 1 + u64::from(code));
        next.state = State(code);
        next.object_type = ObjectType(code);
        next.owner = format!("owner {code}");
        next.material = None;
        next.material_generation = u32::MAX;
        commit(&store, vec![put(next.clone(), &[], Some(u64::from(code)))]).await;
        assert_eq!(now(&store, "a").await.row, next);
        assert_eq!(store.search(search()).await.unwrap()[0].row, next);
    }
    let shown = format!("{:?}", now(&store, "a").await);
    assert!(shown.contains("owner 6") && !shown.contains("record"), "{shown}");
    let odd = Row { state: State(9), ..row("odd", 1) };
    assert!(store.commit(Vec::new(), vec![put(odd, &[], None)]).await.is_err());
}

async fn an_identifier_is_used_once(fixture: impl Fixture) {
    let store = fixture.open().await;
    commit(&store, vec![new("a")]).await;
    let exists = Err(Error::Exists { id: "a".into() });
    assert_eq!(store.commit(Vec::new(), vec![new("a")]).await, exists);
    assert!(!store.removed("a").await.unwrap());
    let remove = |expected| vec![Write::Remove { id: "a".into(), expected }];
    let conflict = Err(Error::Conflict { id: "a".into() });
    assert_eq!(store.commit(Vec::new(), remove(2)).await, conflict);
    commit(&store, remove(1)).await;
    assert!(store.cached("a").is_none());
    assert!(store.object("a").await.unwrap().is_none());
    assert!(store.removed("a").await.unwrap());
    assert_eq!(store.commit(Vec::new(), vec![new("a")]).await, exists);
    assert_eq!(store.commit(Vec::new(), remove(1)).await, conflict);
    let revived = put(row("a", 2), &[], Some(1));
    assert_eq!(store.commit(Vec::new(), vec![revived]).await, conflict);
    assert_eq!(
        store.commit(Vec::new(), vec![Write::PutGrant(grant("a", "u", "[]"))]).await,
        conflict
    );
    drop(store);
    assert_eq!(fixture.open().await.commit(Vec::new(), vec![new("a")]).await, exists);
}

async fn a_commit_is_made_whole_or_not_at_all(fixture: impl Fixture) {
    let store = fixture.open().await;
    commit(&store, vec![new("taken")]).await;
    let writes = vec![
        put(row("a", 1), &[(NAME, "a")], None),
        Write::PutGrant(grant("a", "bob", "[]")),
        Write::PutUsage { id: "a".into(), sealed: vec![1], sealed_by: 1, expected: None },
        new("taken"),
    ];
    let answer = store.commit(Vec::new(), writes).await;
    assert_eq!(answer, Err(Error::Exists { id: "taken".into() }));
    assert!(store.cached("a").is_none());
    assert!(store.object("a").await.unwrap().is_none());
    assert!(store.grants("a").await.unwrap().is_empty());
    assert_eq!(store.usage("a").await.unwrap(), None);
    assert_eq!(found(&store, search()).await, ["taken"]);
    // The identifier was not used by this.
    commit(&store, vec![new("a")]).await;
    commit(&store, Vec::new()).await;
}

async fn versions_order_changes(fixture: impl Fixture) {
    let store = fixture.open().await;
    commit(&store, vec![new("a"), new("b")]).await;
    let conflict = |id: &str| Err(Error::Conflict { id: id.into() });
    let change = |version| vec![put(row("a", version + 1), &[], Some(version))];
    assert_eq!(store.commit(Vec::new(), change(2)).await, conflict("a"));
    commit(&store, change(1)).await;
    assert_eq!(store.commit(Vec::new(), change(1)).await, conflict("a"));
    let absent = vec![put(row("c", 2), &[], Some(1))];
    assert_eq!(store.commit(Vec::new(), absent).await, conflict("c"));

    let reads = |id: &str, version| vec![(id.to_owned(), version)];
    let other = |version| vec![put(row("b", version + 1), &[], Some(version))];
    assert_eq!(store.commit(reads("a", Some(1)), other(1)).await, conflict("a"));
    assert_eq!(store.commit(reads("a", None), other(1)).await, conflict("a"));
    assert_eq!(store.commit(reads("c", Some(1)), other(1)).await, conflict("c"));
    assert_eq!(store.object("b").await.unwrap().unwrap().row.version, 1);
    store.commit(reads("a", Some(2)), other(1)).await.unwrap();
    store.commit(reads("c", None), other(2)).await.unwrap();
    assert_eq!(store.commit(reads("b", Some(2)), Vec::new()).await, conflict("b"));
    store.commit(reads("b", Some(3)), Vec::new()).await.unwrap();
}

async fn a_commit_sees_its_own_writes(fixture: impl Fixture) {
    let store = fixture.open().await;
    let writes = vec![
        new("a"),
        put(row("a", 2), &[(NAME, "second")], Some(1)),
        Write::PutUsage { id: "a".into(), sealed: vec![1], sealed_by: 1, expected: None },
        Write::PutUsage { id: "a".into(), sealed: vec![2], sealed_by: 1, expected: Some(vec![1]) },
        new("b"),
        Write::Remove { id: "b".into(), expected: 1 },
    ];
    commit(&store, writes).await;
    assert_eq!(now(&store, "a").await.row.version, 2);
    assert!(store.cached("b").is_none());
    assert!(store.removed("b").await.unwrap());
    assert_eq!(store.usage("a").await.unwrap().unwrap().sealed, [2]);
    let twice = vec![new("c"), new("c")];
    assert_eq!(store.commit(Vec::new(), twice).await, Err(Error::Exists { id: "c".into() }));
    let again = vec![new("d"), Write::Remove { id: "d".into(), expected: 1 }, new("d")];
    assert_eq!(store.commit(Vec::new(), again).await, Err(Error::Exists { id: "d".into() }));
    assert!(!store.removed("d").await.unwrap());
}

async fn grants_are_kept_and_go_with_their_object(fixture: impl Fixture) {
    let store = fixture.open().await;
    commit(&store, vec![new("a"), new("b"), new("c")]).await;
    for id in ["a", "b", "c"] {
        commit(&store, vec![Write::PutGrant(grant(id, "bob", r#"["Get"]"#))]).await;
    }
    commit(&store, vec![Write::PutGrant(grant("a", EVERYONE, r#"["Locate"]"#))]).await;
    commit(&store, vec![Write::PutGrant(grant("a", "bob", r#"["Encrypt"]"#))]).await;
    assert_eq!(store.grant("a", "bob").await.unwrap(), Some(grant("a", "bob", r#"["Encrypt"]"#)));
    assert_eq!(store.grant("a", "carol").await.unwrap(), None);
    assert_eq!(
        store.grants("a").await.unwrap(),
        [grant("a", EVERYONE, r#"["Locate"]"#), grant("a", "bob", r#"["Encrypt"]"#)]
    );
    for (id, limit, count) in [("a", 9, 2), ("a", 1, 1), ("b", 9, 1), ("none", 9, 0)] {
        assert_eq!(store.grant_count(id, limit).await.unwrap(), count, "{id} {limit}");
    }
    let ids = async |after: Option<&str>, limit| {
        let grants = store.granted_to("bob", after.map(str::to_owned), limit).await.unwrap();
        grants.into_iter().map(|grant| grant.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(None, 2).await, ["a", "b"]);
    assert_eq!(ids(Some("b"), 2).await, ["c"]);

    // All of a grant is kept, and replaced.
    let noted = kms_store::Grant {
        expires: Some(-1),
        note: Some("for the audit".to_owned()),
        ..grant("c", "carol", "[]")
    };
    for grant in [noted, grant("c", "carol", "[]")] {
        commit(&store, vec![Write::PutGrant(grant.clone())]).await;
        assert_eq!(store.grant("c", "carol").await.unwrap(), Some(grant));
    }

    let withdraw = || vec![Write::RemoveGrant { id: "b".into(), user: "bob".into() }];
    commit(&store, withdraw()).await;
    commit(&store, withdraw()).await;
    commit(&store, vec![Write::Remove { id: "a".into(), expected: 1 }]).await;
    assert_eq!(ids(None, 9).await, ["c"]);
    assert!(store.grants("a").await.unwrap().is_empty());
}

async fn usage_is_replaced_only_as_expected(fixture: impl Fixture) {
    let store = fixture.open().await;
    commit(&store, vec![new("a")]).await;
    let usage = |sealed: u8, expected: Option<u8>| {
        let expected = expected.map(|byte| vec![byte]);
        vec![Write::PutUsage { id: "a".into(), sealed: vec![sealed], sealed_by: 1, expected }]
    };
    let conflict = Err(Error::Conflict { id: "a".into() });
    assert_eq!(store.commit(Vec::new(), usage(1, Some(0))).await, conflict);
    commit(&store, usage(1, None)).await;
    assert_eq!(store.commit(Vec::new(), usage(2, None)).await, conflict);
    commit(&store, usage(2, Some(1))).await;
    assert_eq!(store.usage("a").await.unwrap().unwrap().sealed, [2]);
    assert_eq!(now(&store, "a").await.row.version, 1, "counting a use changes no record");
    commit(&store, vec![Write::Remove { id: "a".into(), expected: 1 }]).await;
    assert_eq!(store.usage("a").await.unwrap(), None);
    assert_eq!(store.commit(Vec::new(), usage(3, None)).await, conflict);
}

async fn the_keyring_is_written_once(fixture: impl Fixture) {
    let store = fixture.open().await;
    let slot =
        |generation, slot: u8| KeyringRow { generation, kind: "clear".into(), slot: vec![slot] };
    assert!(store.keyring().await.unwrap().is_empty());
    store.put_keyring(slot(2, 20), None).await.unwrap();
    store.put_keyring(slot(1, 10), None).await.unwrap();
    assert!(matches!(store.put_keyring(slot(1, 11), None).await, Err(Error::Exists { .. })));
    let wrong = store.put_keyring(slot(1, 11), Some(vec![9])).await;
    assert!(matches!(wrong, Err(Error::Conflict { .. })));
    let missing = store.put_keyring(slot(3, 11), Some(vec![9])).await;
    assert!(matches!(missing, Err(Error::Conflict { .. })));
    store.put_keyring(slot(1, 11), Some(vec![10])).await.unwrap();
    assert_eq!(store.keyring().await.unwrap(), [slot(1, 11), slot(2, 20)]);
    assert!(!format!("{:?}", slot(1, 11)).contains("11"));
}

async fn limits_are_kept(fixture: impl Fixture) {
    let store = fixture.open().await;
    let long = "x".repeat(256);
    let mut owner = row("a", 1);
    owner.owner.clone_from(&long);
    let refused = [
        new(&long),
        put(owner, &[], None),
        put(row("a", 1), &[(NAME, &long)], None),
        Write::PutGrant(grant("a", &long, "[]")),
        Write::PutGrant(grant("a", "bob", &"x".repeat(5000))),
    ];
    for write in refused {
        let answer = store.commit(Vec::new(), vec![write]).await;
        assert!(matches!(answer, Err(Error::TooLong { .. })), "{answer:?}");
    }
    let longest = "x".repeat(MAX_INDEX_VALUE);
    commit(&store, vec![put(row(&longest, 1), &[(NAME, &longest), (NAME, "")], None)]).await;
    let by = |value: &str| Search {
        index: vec![Condition::equal(NAME, value.as_bytes().to_vec())],
        ..search()
    };
    assert_eq!(found(&store, by(&longest)).await, std::slice::from_ref(&longest));
    assert_eq!(found(&store, by("")).await, [longest]);
}

/// Whether a numbered object should be found.
type Test = fn(u32) -> bool;

async fn a_search_meets_all_its_conditions(fixture: impl Fixture) {
    let store = fixture.open().await;
    for number in 0..300_u32 {
        let mut row = row(&format!("{number:03}"), 1);
        row.owner = if number % 3 == 0 { "bob".into() } else { "admin".into() };
        row.state = if number % 5 == 0 { State::PreActive } else { State::Active };
        row.object_type =
            if number % 7 == 0 { ObjectType::PublicKey } else { ObjectType::SymmetricKey };
        let index = [
            (NAME, format!("name {}", number % 10)),
            (NAME, format!("also {number:03}")),
            (DATE, format!("{number:03}")),
        ];
        let index = index.each_ref().map(|(kind, value)| (*kind, value.as_str()));
        commit(&store, vec![put(row, &index, None)]).await;
    }
    let range =
        |low: &str, high: &str| Condition { kind: DATE, low: low.into(), high: high.into() };
    let name = |value: &str| Condition::equal(NAME, value.into());
    let cases: Vec<(Search, Test)> = vec![
        (search(), |_| true),
        (Search { index: vec![name("name 4")], ..search() }, |n| n % 10 == 4),
        (Search { index: vec![name("name 4"), range("050", "120")], ..search() }, |n| {
            n % 10 == 4 && (50..=120).contains(&n)
        }),
        (Search { index: vec![range("050", "120"), range("100", "299")], ..search() }, |n| {
            (100..=120).contains(&n)
        }),
        (Search { index: vec![name("name 4"), name("also 014")], ..search() }, |n| n == 14),
        (Search { index: vec![name("name 4"), name("also 013")], ..search() }, |_| false),
        (Search { index: vec![name("no such name")], ..search() }, |_| false),
        (Search { index: vec![Condition::equal(DATE, b"name 4".into())], ..search() }, |_| false),
        (Search { owner: Some("bob".into()), ..search() }, |n| n % 3 == 0),
        (Search { states: Some((vec![State::PreActive], 0)), ..search() }, |n| n % 5 == 0),
        (Search { states: Some((vec![State::PreActive, State::Active], 0)), ..search() }, |_| true),
        (Search { states: Some((Vec::new(), 0)), ..search() }, |_| false),
        (Search { object_type: Some(ObjectType::PublicKey), ..search() }, |n| n % 7 == 0),
        (
            Search {
                index: vec![name("name 0")],
                owner: Some("bob".into()),
                states: Some((vec![State::PreActive], 0)),
                object_type: Some(ObjectType::PublicKey),
                visible_to: Some("bob".into()),
                ..search()
            },
            |n| n % 210 == 0,
        ),
    ];
    for (search, test) in cases {
        let expected: Vec<_> =
            (0..300).filter(|n| test(*n)).map(|number| format!("{number:03}")).collect();
        assert_eq!(found(&store, search.clone()).await, expected, "{search:?}");
        // The same in small pages, which are read in another way.
        let mut paged = Vec::new();
        let mut page = Search { limit: 7, ..search };
        loop {
            let rows = store.search(page.clone()).await.unwrap();
            paged.extend(rows.iter().map(|row| row.row.id.clone()));
            page.after = rows.last().map(|row| row.seq);
            if rows.len() < 7 {
                break;
            }
        }
        assert_eq!(paged, expected, "{page:?}");
    }
}

async fn a_search_finds_what_the_clock_has_changed(fixture: impl Fixture) {
    let store = fixture.open().await;
    for (id, state, due) in [
        ("a", State::PreActive, Some(100)),
        ("b", State::Active, Some(200)),
        ("c", State::Active, None),
        ("d", State::Active, Some(50)),
    ] {
        commit(&store, vec![put(Row { state, due, ..row(id, 1) }, &[], None)]).await;
    }
    let states = |state, now| Search { states: Some((vec![state], now)), ..search() };
    assert_eq!(found(&store, states(State::Deactivated, 10)).await, [""; 0]);
    assert_eq!(found(&store, states(State::Deactivated, 50)).await, ["d"]);
    assert_eq!(found(&store, states(State::Deactivated, 999)).await, ["a", "b", "d"]);
    assert_eq!(found(&store, states(State::Active, 100)).await, ["a", "b", "c", "d"]);
    let due = async |now, limit| {
        let rows = store.due(now, limit).await.unwrap();
        rows.iter().map(|row| row.row.id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(due(150, 9).await, ["d", "a"]);
    assert_eq!(due(150, 1).await, ["d"]);
    commit(&store, vec![put(row("d", 2), &[], Some(1))]).await;
    assert_eq!(due(999, 9).await, ["a", "b"]);
}

async fn a_search_shows_what_is_visible(fixture: impl Fixture) {
    let store = fixture.open().await;
    for id in ["a", "b", "c", "d"] {
        let owner = if id == "d" { "bob" } else { "admin" };
        let row = Row { owner: owner.into(), ..row(id, 1) };
        commit(&store, vec![put(row, &[(NAME, "same")], None)]).await;
    }
    commit(&store, vec![Write::PutGrant(grant("b", "bob", r#"["Locate"]"#))]).await;
    commit(&store, vec![Write::PutGrant(grant("c", EVERYONE, r#"["Locate"]"#))]).await;
    commit(&store, vec![Write::PutGrant(grant("c", "bob", r#"["Get"]"#))]).await;
    let named = vec![Condition::equal(NAME, b"same".to_vec())];
    for index in [Vec::new(), named] {
        let visible =
            |user: &str| Search { visible_to: Some(user.into()), index: index.clone(), ..search() };
        assert_eq!(found(&store, visible("bob")).await, ["b", "c", "d"]);
        assert_eq!(found(&store, visible("carol")).await, ["c"]);
        assert_eq!(found(&store, visible("admin")).await, ["a", "b", "c"]);
        let owned = Search { owner: Some("bob".into()), ..visible("bob") };
        assert_eq!(found(&store, owned).await, ["d"]);
    }
}

async fn pages_follow_each_other(fixture: impl Fixture) {
    let store = fixture.open().await;
    let ids: Vec<_> = (0..50).map(|number| format!("{:02}", 99 - number)).collect();
    for id in &ids {
        commit(&store, vec![put(row(id, 1), &[(NAME, "same")], None)]).await;
    }
    let mut seen = Vec::new();
    let mut after = None;
    for turn in 0.. {
        let rows = store.search(Search { after, limit: 20, ..search() }).await.unwrap();
        seen.extend(rows.iter().map(|row| row.row.id.clone()));
        after = rows.last().map(|row| row.seq);
        if rows.len() < 20 {
            break;
        }
        // What happens between two pages moves nothing else.
        let gone = format!("{:02}", 99 - turn);
        commit(&store, vec![Write::Remove { id: gone, expected: 1 }, new(&format!("new {turn}"))])
            .await;
    }
    let expected: Vec<_> = ids.into_iter().chain(["new 0".into(), "new 1".into()]).collect();
    assert_eq!(seen, expected);
    assert_eq!(found(&store, Search { limit: 0, ..search() }).await, [""; 0]);
}

async fn index_entries_follow_changes(fixture: impl Fixture) {
    let store = fixture.open().await;
    let by = async |value: &str| {
        let index = vec![Condition::equal(NAME, value.into())];
        found(&store, Search { index, ..search() }).await
    };
    commit(&store, vec![put(row("a", 1), &[(NAME, "z"), (NAME, "y"), (NAME, "z")], None)]).await;
    commit(&store, vec![put(row("b", 1), &[(NAME, "z")], None)]).await;
    assert_eq!(by("z").await, ["a", "b"]);
    commit(&store, vec![put(row("a", 2), &[(NAME, "x"), (NAME, "y")], Some(1))]).await;
    assert_eq!(by("z").await, ["b"]);
    assert_eq!(by("y").await, ["a"]);
    assert_eq!(by("x").await, ["a"]);
    let range = Condition { kind: NAME, low: b"x".into(), high: b"z".into() };
    assert_eq!(found(&store, Search { index: vec![range], ..search() }).await, ["a", "b"]);
    commit(&store, vec![Write::Remove { id: "a".into(), expected: 2 }]).await;
    assert_eq!(by("x").await, [""; 0]);
    // A place that was given up is not taken for the one before.
    commit(&store, vec![put(row("c", 1), &[(NAME, "w")], None)]).await;
    assert_eq!(by("y").await, [""; 0]);
    assert_eq!(by("w").await, ["c"]);
}

async fn pages_do_not_fill_the_cache(fixture: impl Fixture) {
    let store = fixture.open().await;
    let writes = (0..2000).map(|number| put(row(&number.to_string(), 1), &[(NAME, "n")], None));
    commit(&store, writes.collect()).await;
    drop(store);
    let store = fixture.open().await;
    let named = Search { index: vec![Condition::equal(NAME, b"n".to_vec())], ..search() };
    let mut page = named.clone();
    for _ in 0..2 {
        page.after = store.search(page.clone()).await.unwrap().last().map(|row| row.seq);
    }
    assert_eq!(page.after, store.search(search()).await.unwrap().last().map(|row| row.seq + 1000));
    assert_eq!(store.cached_bytes(), 0);
    // One that was looked for is kept, and shared by the next.
    let one = store.search(Search { limit: 1, ..named.clone() }).await.unwrap().remove(0);
    assert!(Arc::ptr_eq(&one, &now(&store, "0").await));
    let all = store.search(named).await.unwrap();
    assert!(Arc::ptr_eq(&one, &all[0]));
}

async fn pages_leave_large_material_out(fixture: impl Fixture) {
    let store = fixture.open().await;
    let sized = |id: &str, length| Row { material: length, ..row(id, 1) };
    let rows = [
        sized("small", Some(vec![7; 65_536])),
        sized("large", Some(vec![7; 65_537])),
        sized("gone", None),
    ];
    commit(&store, rows.map(|row| put(row, &[(NAME, "n")], None)).into()).await;
    drop(store);
    let store = fixture.open().await;
    let named = Search { index: vec![Condition::equal(NAME, b"n".to_vec())], ..search() };
    for limit in [3, 1000] {
        let page = store.search(Search { limit, ..named.clone() }).await.unwrap();
        let seen: Vec<_> =
            page.iter().map(|it| (it.row.material.is_some(), it.is_partial())).collect();
        assert_eq!(seen, [(true, false), (false, true), (false, false)], "{limit}");
        // The page is short enough to be kept, and the row without its material is not.
        if fixture.alone() {
            assert!(store.cached("small").is_some() && store.cached("large").is_none());
        }
    }
    let whole = store.object("large").await.unwrap().unwrap();
    assert_eq!(whole.row.material.as_ref().map(Vec::len), Some(65_537));
    assert!(!whole.is_partial() && !now(&store, "large").await.is_partial());
}

async fn one_of_many_wins_each_version(fixture: impl Fixture) {
    const TASKS: u64 = 16;
    const WINS: u64 = 40;
    let store = fixture.open().await;
    commit(&store, vec![new("a"), new("b")]).await;
    let won = Arc::new(AtomicU64::new(0));
    let lost = Arc::new(AtomicU64::new(0));
    let all_there = Arc::new(Barrier::new(usize::try_from(TASKS).unwrap()));
    let tasks = (0..TASKS).map(|_| {
        let (store, won, lost) = (store.clone(), Arc::clone(&won), Arc::clone(&lost));
        let all_there = Arc::clone(&all_there);
        tokio::spawn(async move {
            loop {
                let version = store.object("a").await.unwrap().unwrap().row.version;
                if version > WINS {
                    return;
                }
                if version == 1 {
                    all_there.wait().await;
                }
                // Both rows move together, so that each version of one belongs to one of the other.
                let writes = ["a", "b"].map(|id| put(row(id, version + 1), &[], Some(version)));
                match store.commit(Vec::new(), writes.into()).await {
                    Ok(()) => won.fetch_add(1, Ordering::SeqCst),
                    Err(Error::Conflict { .. }) => lost.fetch_add(1, Ordering::SeqCst),
                    Err(other) => panic!("{other}"),
                };
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(won.load(Ordering::SeqCst), WINS);
    assert!(lost.load(Ordering::SeqCst) > 0, "nobody was slower: the test shows nothing");
    for id in ["a", "b"] {
        assert_eq!(store.object(id).await.unwrap().unwrap().row.version, WINS + 1);
    }
}

/// Reads one row's version, alone or by a search for all.
async fn version_read(store: &Store, number: usize, searching: bool) -> u64 {
    if searching {
        let index = vec![Condition::equal(NAME, b"n".to_vec())];
        let rows = store.search(Search { index, limit: 4, ..search() }).await.unwrap();
        return rows[number].row.version;
    }
    store.object(&format!("row {number}")).await.unwrap().unwrap().row.version
}

async fn no_reader_goes_back(fixture: impl Fixture) {
    const ROWS: usize = 4;
    let store = fixture.open().await;
    let answered: Arc<[AtomicU64; ROWS]> = Arc::new(std::array::from_fn(|_| AtomicU64::new(1)));
    let id = |number: usize| format!("row {number}");
    for number in 0..ROWS {
        commit(&store, vec![put(row(&id(number), 1), &[(NAME, "n")], None)]).await;
    }
    let done = Arc::new(AtomicBool::new(false));
    let mut readers = Vec::new();
    for reader in 0..6 {
        let (store, answered, done) = (store.clone(), Arc::clone(&answered), Arc::clone(&done));
        readers.push(tokio::spawn(async move {
            let mut reads = 0;
            while !done.load(Ordering::SeqCst) || reads <= 100 {
                for (number, answered) in answered.iter().enumerate() {
                    let least = answered.load(Ordering::SeqCst);
                    let version = version_read(&store, number, reader % 3 == 0).await;
                    assert!(version >= least, "row {number}: {version} after {least}");
                    reads += 1;
                }
                tokio::task::yield_now().await;
            }
        }));
    }
    let writers = (0..ROWS).map(|number| {
        let (store, answered) = (store.clone(), Arc::clone(&answered));
        tokio::spawn(async move {
            for version in 1..200 {
                let write = put(row(&id(number), version + 1), &[(NAME, "n")], Some(version));
                commit(&store, vec![write]).await;
                answered[number].store(version + 1, Ordering::SeqCst);
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    done.store(true, Ordering::SeqCst);
    for reader in readers {
        reader.await.unwrap();
    }
}

async fn many_objects_at_once(fixture: impl Fixture) {
    let store = fixture.open().await;
    let tasks = (0..2000).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            // Each identifier is wanted twice, in groups with others that succeed.
            store.commit(Vec::new(), vec![new(&format!("{}", number / 2))]).await
        })
    });
    let mut made = 0;
    for task in tasks.collect::<Vec<_>>() {
        match task.await.unwrap() {
            Ok(()) => made += 1,
            Err(Error::Exists { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(made, 1000);
    let all: HashSet<_> =
        found(&store, Search { limit: 3000, ..search() }).await.into_iter().collect();
    assert_eq!(all.len(), 1000);
}

async fn everything_is_there_after_reopening(fixture: impl Fixture) {
    let store = fixture.open().await;
    let database = store.database_id().to_owned();
    assert_eq!(database.len(), 32);
    commit(&store, vec![put(row("a", 1), &[(NAME, "n")], None)]).await;
    let last = store.object("a").await.unwrap().unwrap().seq;
    store.close().await.unwrap();
    drop(store);
    let store = fixture.open().await;
    assert_eq!(store.database_id(), database);
    commit(&store, vec![new("b")]).await;
    assert!(store.object("b").await.unwrap().unwrap().seq > last);
    assert_eq!(found(&store, search()).await, ["a", "b"]);
}

async fn a_closed_store_says_so(fixture: impl Fixture) {
    let store = fixture.open().await;
    commit(&store, vec![new("a")]).await;
    let (writes, closed) = tokio::join!(
        async {
            let tasks = (0..50).map(|number| {
                let store = store.clone();
                tokio::spawn(
                    async move { store.commit(vec![], vec![new(&format!("{number}"))]).await },
                )
            });
            let mut made = Vec::new();
            for (number, task) in tasks.collect::<Vec<_>>().into_iter().enumerate() {
                match task.await.unwrap() {
                    Ok(()) => made.push(number.to_string()),
                    Err(Error::Unavailable(_)) => {}
                    Err(other) => panic!("{other}"),
                }
            }
            made
        },
        async {
            tokio::task::yield_now().await;
            store.close().await
        }
    );
    closed.unwrap();
    let late = store.commit(Vec::new(), vec![new("late")]).await;
    assert!(matches!(late, Err(Error::Unavailable(_))), "{late:?}");
    assert!(matches!(store.object("b").await, Err(Error::Unavailable(_))));
    store.close().await.unwrap();
    // Another may have it now, and finds all that was answered.
    let other = fixture.open().await;
    for id in writes {
        assert!(other.object(&id).await.unwrap().is_some(), "{id}");
    }
    assert!(other.object("late").await.unwrap().is_none());
}

async fn a_memo_lives_as_long_as_its_version(fixture: impl Fixture) {
    let store = fixture.open().await;
    commit(&store, vec![new("a")]).await;
    let first = now(&store, "a").await;
    assert_eq!(first.memo::<String>(), None);
    assert_eq!(first.remember("decoded".to_owned()).unwrap(), "decoded");
    assert_eq!(first.remember("slower".to_owned()).unwrap(), "decoded");
    assert_eq!(first.remember(5_u8), None);
    assert_eq!(now(&store, "a").await.memo::<String>().unwrap(), "decoded");
    commit(&store, vec![put(row("a", 2), &[], Some(1))]).await;
    assert_eq!(now(&store, "a").await.memo::<String>(), None);
}
