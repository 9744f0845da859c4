//! The keyring and what it seals: changed all or nothing, counted, found page by page.

use kms_store::{
    AuditChange, AuditEpoch, AuditHead, AuditWrite, Error, KeptAnswer, KeyringRow, KeyringWrite,
    SealedRows, SealedTable, Store, Write,
};

use crate::{Fixture, commit, grant, put, row};

fn slot(generation: u32, byte: u8) -> KeyringRow {
    KeyringRow { generation, kind: "clear".to_owned(), slot: vec![byte] }
}

fn first(generation: u32) -> KeyringWrite {
    KeyringWrite::Put { row: slot(generation, 1), expected: None }
}

fn note(value: &str, expected: Option<&str>) -> KeyringWrite {
    KeyringWrite::Note { key: "n", value: value.to_owned(), expected: expected.map(str::to_owned) }
}

pub(crate) async fn the_keyring_is_changed_all_or_nothing(fixture: impl Fixture) {
    let store = fixture.open().await;
    store.change_keyring(vec![first(1), first(2), note("a", None)], None).await.unwrap();
    assert_eq!(store.note("n").await.unwrap().as_deref(), Some("a"));
    assert_eq!(store.note("m").await.unwrap(), None);
    let remove = |generation, byte| KeyringWrite::Remove { generation, expected: vec![byte] };
    let replace = |byte| KeyringWrite::Put { row: slot(2, byte), expected: Some(vec![1]) };
    for refused in [
        vec![replace(9), note("b", Some("x"))],
        vec![replace(9), note("b", None)],
        vec![note("b", Some("a")), remove(1, 9)],
        vec![note("b", Some("a")), remove(3, 1)],
        vec![note("b", Some("a")), first(1)],
    ] {
        let answer = store.change_keyring(refused, None).await;
        let refused = matches!(answer, Err(Error::Conflict { .. } | Error::Exists { .. }));
        assert!(refused, "{answer:?}");
        assert_eq!(store.keyring().await.unwrap(), [slot(1, 1), slot(2, 1)]);
        assert_eq!(store.note("n").await.unwrap().as_deref(), Some("a"));
    }
    // Beside whatever runs on it, with a record for the audit log.
    let beside = fixture.open_beside().await;
    let record = change(1, 7);
    let writes = vec![remove(1, 1), replace(9), note("b", Some("a"))];
    beside.change_keyring(writes, Some(record.clone())).await.unwrap();
    assert_eq!(store.keyring().await.unwrap(), [slot(2, 9)]);
    assert_eq!(store.note("n").await.unwrap().as_deref(), Some("b"));
    let all = ((0, 0), (u64::MAX >> 1, u64::MAX >> 1));
    assert_eq!(store.audit_changes("s", all, 9).await.unwrap(), [record]);
    while !store.scrub().await.unwrap() {
        tokio::task::yield_now().await;
    }
}

fn change(sealed_by: u32, number: u64) -> AuditChange {
    let (server, body) = ("s".to_owned(), b"what".to_vec());
    AuditChange { server, epoch: 1, number, at: 1, body, mac: vec![1], sealed_by }
}

/// Rows of every table, sealed by one data key.
async fn fill(store: &Store, by: u32) {
    let name = |name: &str| format!("{name}{by}");
    let mut object = row(&name("o"), 1);
    (object.sealed_by, object.shard) = (by, 200);
    let mut granted = grant(&name("o"), "bob", "[]");
    granted.sealed_by = by;
    let usage = Write::PutUsage { id: name("o"), sealed: vec![1], sealed_by: by, expected: None };
    let server = name("s");
    let sealed = vec![1; 60];
    let epoch =
        AuditEpoch { server: server.clone(), epoch: 1, first: 1, head: 0, sealed, sealed_by: by };
    let (chain, mac) = (vec![1; 32], vec![1; 32]);
    let head = AuditHead { server, epoch: 1, seq: 1, chain, mac, sealed_by: by };
    commit(store, vec![put(object, &[], None), Write::PutGrant(granted), usage]).await;
    let audit = [
        AuditWrite::Epoch(epoch),
        AuditWrite::Head(head),
        AuditWrite::Change(change(by, by.into())),
    ];
    commit(store, audit.map(Write::Audit).into()).await;
    let kept = KeptAnswer { id: [0; 32], place: by, at: 0, sealed_by: by, sealed: vec![1] };
    commit(store, vec![Write::Answer(kept)]).await;
}

pub(crate) async fn rows_are_found_by_the_data_key_that_seals_them(fixture: impl Fixture) {
    let store = fixture.open().await;
    store.change_keyring(vec![first(1), first(2)], None).await.unwrap();
    fill(&store, 1).await;
    fill(&store, 2).await;
    let counts = store.sealed_counts().await.unwrap();
    for table in SealedTable::ALL.into_iter().filter(|it| *it != SealedTable::ApiTokens) {
        for generation in [1, 2] {
            let rows = counts.iter().find(|it| (it.table, it.generation) == (table, generation));
            assert_eq!(rows.map(|it| it.rows), Some(1), "{table:?} {counts:?}");
            let rows = store.sealed_rows(table, generation, 0, 10).await.unwrap();
            let found = match rows {
                SealedRows::Objects(rows) => {
                    assert_eq!((rows[0].shard, rows.len()), (200, 1));
                    let after = rows[0].seq;
                    let rest = store.sealed_rows(table, generation, after, 10).await.unwrap();
                    assert!(matches!(rest, SealedRows::Objects(rows) if rows.is_empty()));
                    vec![rows[0].id.clone()]
                }
                SealedRows::Grants(rows) => {
                    rows.iter().map(|it| it.sealed_by.to_string()).collect()
                }
                SealedRows::Usage(rows) => rows.iter().map(|it| it.0.clone()).collect(),
                SealedRows::ApiTokens => Vec::new(),
                SealedRows::AuditEpochs(rows) => rows.iter().map(|it| it.server.clone()).collect(),
                SealedRows::AuditHeads(rows) => rows.iter().map(|it| it.server.clone()).collect(),
                SealedRows::Answers(rows) => rows.iter().map(|it| it.place.to_string()).collect(),
                SealedRows::AuditChanges(rows) => {
                    rows.iter().map(|it| it.number.to_string()).collect()
                }
            };
            assert_eq!(found.len(), 1, "{table:?}");
            assert!(found[0].ends_with(&generation.to_string()), "{table:?} {found:?}");
        }
    }
    // The rows of the audit log are sealed anew where they are as they were, and nowhere else.
    let reseal = |before: u8| {
        let (server, sealed) = ("s1".to_owned(), vec![2; 60]);
        let row = AuditEpoch { server, epoch: 1, first: 1, head: 0, sealed, sealed_by: 2 };
        let (chain, mac) = (vec![1; 32], vec![2; 32]);
        let head =
            AuditHead { server: "s1".to_owned(), epoch: 1, seq: 1, chain, mac, sealed_by: 2 };
        let change = AuditChange { mac: vec![2], sealed_by: 2, ..change(1, 1) };
        vec![
            Write::Audit(AuditWrite::ResealEpoch { row, before: vec![before; 60] }),
            Write::Audit(AuditWrite::ResealHead { head, before: vec![before; 32] }),
            Write::Audit(AuditWrite::ResealChange { change, before: vec![before] }),
        ]
    };
    let left = async || {
        let counts = store.sealed_counts().await.unwrap();
        let audit = [SealedTable::AuditEpochs, SealedTable::AuditHeads, SealedTable::AuditChanges];
        counts.iter().filter(|it| it.generation == 1 && audit.contains(&it.table)).count()
    };
    commit(&store, reseal(9)).await;
    assert_eq!(left().await, 3);
    commit(&store, reseal(1)).await;
    assert_eq!(left().await, 0);
    // A data key that seals something stays.
    let remove = || vec![KeyringWrite::Remove { generation: 1, expected: vec![1] }];
    let answer = store.change_keyring(remove(), None).await;
    assert!(matches!(answer, Err(Error::Conflict { .. })), "{answer:?}");
    commit(&store, vec![Write::Remove { id: "o1".to_owned(), expected: 1 }]).await;
    let answer = store.change_keyring(remove(), None).await;
    assert!(matches!(answer, Err(Error::Conflict { .. })), "an answer is left: {answer:?}");
    commit(&store, vec![Write::ForgetAnswers { until: 0 }]).await;
    store.change_keyring(remove(), None).await.unwrap();
    assert_eq!(store.keyring().await.unwrap(), [slot(2, 1)]);
}

/// The material goes with its record where another data key seals them, though nobody replaced it.
pub(crate) async fn material_that_is_sealed_anew_is_written(fixture: impl Fixture) {
    let store = fixture.open().await;
    commit(&store, vec![put(row("a", 1), &[], None)]).await;
    let mut anew = row("a", 2);
    (anew.sealed_by, anew.material) = (2, Some(vec![8; 48]));
    commit(&store, vec![put(anew.clone(), &[], Some(1))]).await;
    drop(store);
    let store = fixture.open().await;
    assert_eq!(store.object("a").await.unwrap().unwrap().row, anew);
}
