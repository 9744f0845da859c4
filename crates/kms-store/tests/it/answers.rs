//! What every database keeps of requests that may come again.

use kms_store::{Error, KeptAnswer, MAX_ANSWER, SealedRows, SealedTable, Write};

use crate::{Fixture, commit, new};

fn answer(name: u8, place: u32, at: i64) -> KeptAnswer {
    let sealed = format!("answer {name} {place} {at}").into_bytes();
    KeptAnswer { id: [name; 32], place, at, sealed_by: 1, sealed }
}

pub(crate) async fn an_answer_is_kept_once_and_with_its_change(fixture: impl Fixture) {
    let store = fixture.open().await;
    let first = answer(1, 0, 5);
    commit(&store, vec![new("a"), Write::Answer(first.clone())]).await;
    assert_eq!(store.answers(&[1; 32]).await.unwrap(), std::slice::from_ref(&first));
    // The second change is not made, in whichever way it is written.
    for writes in [
        vec![new("b"), Write::Answer(answer(1, 0, 6))],
        vec![new("b"), Write::Answer(answer(1, 1, 6)), Write::Answer(answer(1, 0, 6))],
        vec![Write::Answer(answer(1, 0, 6))],
    ] {
        let refused = store.commit(Vec::new(), writes).await;
        assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    }
    assert!(store.object("b").await.unwrap().is_none());
    assert_eq!(store.answers(&[1; 32]).await.unwrap(), [first]);
    // An answer is not kept without its change.
    let refused = store.commit(Vec::new(), vec![new("a"), Write::Answer(answer(2, 0, 5))]).await;
    assert!(matches!(refused, Err(Error::Exists { .. })), "{refused:?}");
    assert_eq!(store.answers(&[2; 32]).await.unwrap(), []);
    let mut long = answer(3, 0, 5);
    long.sealed = vec![0; MAX_ANSWER + 1];
    let refused = store.commit(Vec::new(), vec![Write::Answer(long.clone())]).await;
    assert!(matches!(refused, Err(Error::TooLong { .. })), "{refused:?}");
    long.sealed.pop();
    commit(&store, vec![Write::Answer(long.clone())]).await;
    assert_eq!(store.answers(&[3; 32]).await.unwrap(), [long]);
}

pub(crate) async fn answers_are_forgotten_and_sealed_anew(fixture: impl Fixture) {
    let store = fixture.open().await;
    let places: Vec<_> = (0..150).map(|place| Write::Answer(answer(1, place, 7))).collect();
    commit(&store, places).await;
    commit(&store, vec![Write::Answer(answer(2, 0, -3)), Write::Answer(answer(3, 0, 5))]).await;
    assert_eq!(store.answers(&[1; 32]).await.unwrap().len(), 150);
    assert_eq!(store.oldest_answers(6, 10).await.unwrap(), [-3, 5]);
    assert_eq!(store.oldest_answers(6, 1).await.unwrap(), [-3]);
    assert_eq!(store.oldest_answers(7, 10).await.unwrap()[1..], [[5].as_slice(), &[7; 8]].concat());
    commit(&store, vec![Write::ForgetAnswers { until: 5 }]).await;
    assert_eq!(store.oldest_answers(i64::MAX, 1).await.unwrap(), [7]);

    let sealed_by = async |generation, limit| {
        let rows = store.sealed_rows(SealedTable::Answers, generation, 0, limit).await;
        let SealedRows::Answers(rows) = rows.unwrap() else { panic!("other rows") };
        rows
    };
    assert_eq!(sealed_by(2, 10).await, []);
    let old = sealed_by(1, 10).await;
    assert_eq!(old.len(), 10);
    let reseal = |old: &KeptAnswer, expected: &[u8]| Write::ResealAnswer {
        answer: KeptAnswer { sealed_by: 2, sealed: b"anew".to_vec(), ..old.clone() },
        expected: expected.to_vec(),
    };
    // One that is not as it was any more is left alone.
    commit(&store, vec![reseal(&old[0], &old[0].sealed), reseal(&old[1], b"other")]).await;
    let now = store.answers(&[1; 32]).await.unwrap();
    let sealed = |old: &KeptAnswer| {
        let found = now.iter().find(|it| it.place == old.place).unwrap();
        (found.sealed_by, found.sealed.clone())
    };
    assert_eq!(sealed(&old[0]), (2, b"anew".to_vec()));
    assert_eq!(sealed(&old[1]), (1, old[1].sealed.clone()));
    assert_eq!(sealed_by(1, 1000).await.len(), 149);
    assert_eq!(sealed_by(2, 1000).await.len(), 1);
}
