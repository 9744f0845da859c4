//! What every database keeps for the audit log.

use std::sync::{Arc, Mutex};

use kms_store::{AuditChange, AuditEpoch, AuditHead, AuditRecorder, AuditWrite, Error, Write};

use crate::{Fixture, commit, new};

const ALL: ((u64, u64), (u64, u64)) = ((0, 0), (u64::MAX, u64::MAX));

fn change(epoch: u64, number: u64) -> AuditChange {
    let body = format!("change {epoch} {number}").into_bytes();
    AuditChange { server: "one".into(), epoch, number, at: 7, body, mac: vec![3; 32], sealed_by: 1 }
}

fn kept(change: AuditChange) -> Write {
    Write::Audit(AuditWrite::Change(change))
}

#[derive(Default)]
struct Heard(Mutex<Vec<(bool, AuditChange)>>);

impl AuditRecorder for Heard {
    fn committed(&self, change: AuditChange) {
        self.0.lock().unwrap().push((true, change));
    }

    fn doubtful(&self, change: AuditChange) {
        self.0.lock().unwrap().push((false, change));
    }
}

pub(crate) async fn a_record_is_kept_with_its_change_and_heard_of(fixture: impl Fixture) {
    let store = fixture.open().await;
    let heard = Arc::new(Heard::default());
    store.set_audit_recorder(Arc::clone(&heard) as Arc<dyn AuditRecorder>);
    commit(&store, vec![new("a"), kept(change(2, 1))]).await;
    let again = vec![new("a"), kept(change(2, 2))];
    assert!(matches!(store.commit(Vec::new(), again).await, Err(Error::Exists { .. })));
    commit(&store, vec![new("b"), kept(change(1, 9)), kept(change(2, 3))]).await;
    let all = [change(1, 9), change(2, 1), change(2, 3)];
    assert_eq!(store.audit_changes("one", ALL, 10).await.unwrap(), all);
    assert_eq!(store.audit_changes("one", ALL, 2).await.unwrap(), all[..2]);
    let range = ((2, 2), (2, 3));
    assert_eq!(store.audit_changes("one", range, 10).await.unwrap(), all[2..]);
    assert_eq!(store.audit_changes("two", ALL, 10).await.unwrap(), []);
    let copied = AuditWrite::Copied { server: "one".into(), epoch: 2, from: 1, to: 2 };
    commit(&store, vec![Write::Audit(copied)]).await;
    assert_eq!(store.audit_changes("one", ALL, 10).await.unwrap(), [change(1, 9), change(2, 3)]);
    let heard = heard.0.lock().unwrap().clone();
    let expected = [(2, 1), (1, 9), (2, 3)].map(|(epoch, number)| (true, change(epoch, number)));
    assert_eq!(heard, expected);
}

pub(crate) async fn a_record_of_unknown_fate_is_heard_of(fixture: impl Fixture) {
    let store = fixture.open().await;
    let heard = Arc::new(Heard::default());
    store.set_audit_recorder(Arc::clone(&heard) as Arc<dyn AuditRecorder>);
    commit(&store, vec![kept(change(1, 1))]).await;
    // The same number again: the database refuses the whole commit.
    let twice = store.commit(Vec::new(), vec![new("a"), kept(change(1, 1))]).await;
    assert!(twice.is_err());
    assert_eq!(heard.0.lock().unwrap().last(), Some(&(false, change(1, 1))));
    assert!(store.object("a").await.unwrap().is_none());
}

pub(crate) async fn epochs_and_the_head_of_a_log_are_kept(fixture: impl Fixture) {
    let store = fixture.open().await;
    let epoch = |server: &str, epoch| AuditEpoch {
        server: server.into(),
        epoch,
        first: epoch * 10,
        head: epoch * 10 - 1,
        sealed: vec![u8::try_from(epoch).unwrap(); 60],
        sealed_by: 1,
    };
    let head = |seq| AuditHead {
        server: "one".into(),
        epoch: 2,
        seq,
        chain: vec![1; 32],
        mac: vec![2; 32],
        sealed_by: 3,
    };
    for (server, number) in [("one", 2), ("one", 1), ("two", 1)] {
        commit(&store, vec![Write::Audit(AuditWrite::Epoch(epoch(server, number)))]).await;
    }
    let twice = vec![Write::Audit(AuditWrite::Epoch(epoch("one", 1)))];
    assert!(store.commit(Vec::new(), twice).await.is_err());
    assert_eq!(store.audit_epochs("one").await.unwrap(), [epoch("one", 1), epoch("one", 2)]);
    assert_eq!(store.audit_head("one").await.unwrap(), None);
    for seq in [20, 25] {
        commit(&store, vec![Write::Audit(AuditWrite::Head(head(seq)))]).await;
        assert_eq!(store.audit_head("one").await.unwrap(), Some(head(seq)));
    }
    assert_eq!(store.audit_head("two").await.unwrap(), None);
}

pub(crate) async fn lines_of_a_log_are_kept(fixture: impl Fixture) {
    let store = fixture.open().await;
    let line = |seq: u64| (seq, format!("line {seq}").into_bytes());
    for seqs in [1..4, 3..12] {
        let lines = AuditWrite::Lines { server: "one".into(), lines: seqs.map(line).collect() };
        commit(&store, vec![Write::Audit(lines)]).await;
    }
    assert_eq!(store.audit_lines("one", 2, 3).await.unwrap(), [line(2), line(3), line(4)]);
    assert_eq!(store.audit_lines("one", 11, 3).await.unwrap(), [line(11)]);
    assert_eq!(store.audit_lines("two", 0, 3).await.unwrap(), []);
    assert_eq!(store.audit_last_line("one").await.unwrap(), Some(line(11).1));
    assert_eq!(store.audit_last_line("two").await.unwrap(), None);
    let long = AuditWrite::Lines { server: "one".into(), lines: vec![(12, vec![0; 70_000])] };
    let refused = store.commit(Vec::new(), vec![Write::Audit(long)]).await;
    assert!(matches!(refused, Err(Error::TooLong { .. })));
}
