//! API tokens: kept as they were written, changed one after the other, and beside a running server.

use kms_store::{ApiToken, Error, MAX_NAME, Store, Write};

use crate::{Fixture, new};

fn token(id: &str, name: &str) -> ApiToken {
    ApiToken {
        id: id.to_owned(),
        name: name.to_owned(),
        user: format!("token:{name}"),
        hash: vec![1; 32],
        created: -1,
        expires: Some(i64::MAX),
        revoked: None,
        mac: vec![2; 32],
        sealed_by: 1,
    }
}

async fn write(
    store: &Store,
    remove: &[&str],
    put: Vec<ApiToken>,
    epoch: (u64, u64),
) -> Result<(), Error> {
    let remove = remove.iter().map(|it| (*it).to_owned()).collect();
    store.commit(Vec::new(), vec![Write::ApiTokens { remove, put, epoch }]).await
}

pub(crate) async fn api_tokens_are_changed_one_after_the_other(fixture: impl Fixture) {
    let store = fixture.open().await;
    assert_eq!(store.api_tokens().await.unwrap(), (Vec::new(), 0));
    assert_eq!(store.api_token("1").await.unwrap(), None);
    let (one, two) = (token("1", "b"), token("2", "a"));
    write(&store, &[], vec![one.clone()], (0, 1)).await.unwrap();
    write(&store, &[], vec![two.clone()], (1, 2)).await.unwrap();
    assert_eq!(store.api_tokens().await.unwrap(), (vec![two.clone(), one.clone()], 2));
    assert_eq!(store.api_token("1").await.unwrap(), Some((one.clone(), 2)));

    // Who has read an older epoch reads again.
    let late = write(&store, &[], vec![token("3", "c")], (1, 2)).await;
    assert!(matches!(late, Err(Error::Conflict { .. })), "{late:?}");
    let taken = write(&store, &[], vec![token("3", "a")], (2, 3)).await;
    assert_eq!(taken, Err(Error::Exists { id: "a".to_owned() }));
    assert_eq!(store.api_tokens().await.unwrap().1, 2, "nothing was changed");

    // A name goes over to another token, and a token is replaced.
    let revoked = ApiToken { expires: None, revoked: Some(7), mac: vec![3; 32], ..one };
    write(&store, &["2"], vec![token("3", "a"), revoked.clone()], (2, u64::MAX)).await.unwrap();
    let rows = vec![token("3", "a"), revoked];
    assert_eq!(store.api_tokens().await.unwrap(), (rows.clone(), u64::MAX));
    assert_eq!(store.api_token("2").await.unwrap(), None);
    let long = token("4", &"n".repeat(MAX_NAME + 1));
    let long = write(&store, &[], vec![long], (u64::MAX, u64::MAX)).await;
    assert!(matches!(long, Err(Error::TooLong { .. })), "{long:?}");
    store.close().await.unwrap();
    drop(store);
    assert_eq!(fixture.open().await.api_tokens().await.unwrap(), (rows, u64::MAX));
}

pub(crate) async fn beside_a_server_only_api_tokens_and_the_keyring_are_changed(
    fixture: impl Fixture,
) {
    let server = fixture.open().await;
    let beside = fixture.open_beside().await;
    assert_eq!(beside.database_id(), server.database_id());
    for number in 0..20_u64 {
        let id = number.to_string();
        let writer = if number % 2 == 0 { &beside } else { &server };
        let epoch = (number, number + 1);
        write(writer, &[], vec![token(&id, &id)], epoch).await.unwrap();
        crate::commit(&server, vec![new(&id)]).await;
        // Each sees what the other has written.
        for store in [&beside, &server] {
            assert_eq!(store.api_token(&id).await.unwrap(), Some((token(&id, &id), number + 1)));
        }
        assert!(beside.object(&id).await.unwrap().is_some());
    }
    let refused = beside.commit(Vec::new(), vec![new("x")]).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    // And the keyring, which servers look at again and again.
    let row = kms_store::KeyringRow { generation: 1, kind: "x".to_owned(), slot: Vec::new() };
    beside.put_keyring(row.clone(), None).await.unwrap();
    assert_eq!(server.keyring().await.unwrap(), [row]);
    beside.close().await.unwrap();
    crate::commit(&server, vec![new("x")]).await;
    server.close().await.unwrap();
    drop(server);
    // Nothing is running now, and nothing is left behind.
    let beside = fixture.open_beside().await;
    assert_eq!(beside.api_tokens().await.unwrap().0.len(), 20);
    write(&beside, &["0"], Vec::new(), (20, 21)).await.unwrap();
    beside.close().await.unwrap();
    drop(beside);
    assert_eq!(fixture.open().await.api_tokens().await.unwrap().0.len(), 19);
}
