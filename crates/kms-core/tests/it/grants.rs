//! What grants say: until when, with what note, and what becomes of them when they meet.

use kmip::enumerations::{BatchErrorContinuationOption, ResultReason, ResultStatus};
use kmip::message::{RequestHeader, RequestItem, RequestMessage};
use kmip::operation::{
    DestroyRequest, EncryptRequest, GetAttributesRequest, GetRequest, LocateRequest, Request,
    Response, RevokeRequest,
};
use kmip::wire::Bytes;
use kms_core::{Access, Permission, Principal, Terms};

use super::{START, World};

fn encrypt(id: &str) -> Request {
    Request::Encrypt(EncryptRequest {
        unique_identifier: Some(id.into()),
        data: Some(Bytes(b"text".to_vec())),
        ..EncryptRequest::default()
    })
}

fn get(id: &str) -> Request {
    Request::Get(GetRequest { unique_identifier: Some(id.into()), ..GetRequest::default() })
}

fn until(end: i64, permissions: &[Permission]) -> Terms<'_> {
    Terms { permissions, expires: Some(end), note: None }
}

async fn located(world: &World, user: &str) -> Vec<String> {
    match world.ask(user, Request::Locate(LocateRequest::default())).await.unwrap() {
        Response::Locate(it) => it.unique_identifiers,
        other => panic!("{other:?}"),
    }
}

/// What `/objects/shared` is made of, in pages of `limit`: identifier and permissions.
async fn obtained(world: &World, user: &str, limit: usize) -> Vec<(String, Vec<Permission>)> {
    let user = Principal::new(user);
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = world.service.obtained(&user, after, limit).await.unwrap();
        all.extend(page.items.into_iter().map(|it| (it.id, it.permissions)));
        match page.next {
            Some(next) => after = Some(next),
            None => return all,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_gives_nothing_from_the_second_of_its_end_on() {
    use Permission::{Encrypt, Get, Locate};
    let ann = Principal::new("ann");
    for user in ["bob", "*"] {
        let world = World::new().await;
        world.aes("ann", "key", true).await;
        let terms = until(START + 10, &[Encrypt, Locate]);
        world.service.grant_on(&ann, Some("key"), user, terms).await.unwrap();
        world.clock.set(START + 9);
        assert!(world.ask("bob", encrypt("key")).await.is_ok(), "{user}");
        assert_eq!(world.ask("bob", get("key")).await.err(), Some(ResultReason::ObjectNotFound));
        assert_eq!(located(&world, "bob").await, ["key"], "{user}");
        assert_eq!(obtained(&world, "bob", 9).await, [("key".into(), vec![Encrypt, Locate])]);
        assert_eq!(world.service.accesses(&ann, "key").await.unwrap().len(), 1);
        world.clock.set(START + 10);
        for request in [encrypt("key"), attributes("key")] {
            let answer = world.ask("bob", request).await;
            assert_eq!(answer.err(), Some(ResultReason::ObjectNotFound), "{user}");
        }
        assert_eq!(located(&world, "bob").await, [""; 0], "{user}");
        assert_eq!(obtained(&world, "bob", 9).await, []);
        assert_eq!(world.service.accesses(&ann, "key").await.unwrap(), []);
        // What has ended does not stand in the way of what comes.
        world.service.grant(&ann, Some("key"), user, &[Get]).await.unwrap();
        assert!(world.ask("bob", get("key")).await.is_ok(), "{user}");
        assert_eq!(
            world.ask("bob", encrypt("key")).await.err(),
            Some(ResultReason::ObjectNotFound)
        );
    }
}

fn attributes(id: &str) -> Request {
    Request::GetAttributes(GetAttributesRequest {
        unique_identifier: Some(id.into()),
        names: Vec::new(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_user_has_on_an_object_ends_at_one_time() {
    use Permission::{Decrypt, Encrypt, Get};
    const SOON: Option<i64> = Some(START + 10);
    const LATE: Option<i64> = Some(START + 99);
    type Have<'a> = (&'a [Permission], Option<i64>);
    let cases: &[(Have<'_>, Have<'_>, Option<Have<'_>>)] = &[
        // The same end: what comes is beside what was there.
        ((&[Encrypt], None), (&[Get], None), Some((&[Get, Encrypt], None))),
        ((&[Encrypt], SOON), (&[Get], SOON), Some((&[Get, Encrypt], SOON))),
        ((&[Encrypt], SOON), (&[Encrypt], SOON), Some((&[Encrypt], SOON))),
        // Another end: all of it, or nothing.
        ((&[Encrypt], SOON), (&[Get], None), None),
        ((&[Encrypt], None), (&[Get], SOON), None),
        ((&[Encrypt], SOON), (&[Get], LATE), None),
        ((&[Get, Encrypt], SOON), (&[Encrypt], None), None),
        ((&[Encrypt], SOON), (&[Encrypt], None), Some((&[Encrypt], None))),
        ((&[Encrypt], None), (&[Encrypt, Get], SOON), Some((&[Get, Encrypt], SOON))),
        (
            (&[Get, Encrypt], SOON),
            (&[Decrypt, Encrypt, Get], LATE),
            Some((&[Get, Encrypt, Decrypt], LATE)),
        ),
    ];
    let world = World::new().await;
    let ann = Principal::new("ann");
    for (number, (before, more, after)) in cases.iter().enumerate() {
        let key = world.aes("ann", &format!("key-{number}"), true).await;
        let terms = |(permissions, expires)| Terms { permissions, expires, note: None };
        world.service.grant_on(&ann, Some(&key), "bob", terms(*before)).await.unwrap();
        let answer = world.service.grant_on(&ann, Some(&key), "bob", terms(*more)).await;
        let list = world.service.accesses(&ann, &key).await.unwrap();
        let have = |(permissions, expires): Have<'_>| Access {
            user: "bob".to_owned(),
            permissions: permissions.to_vec(),
            expires,
            note: None,
        };
        let Some(after) = after else {
            let refused = answer.unwrap_err();
            assert_eq!(refused.reason, ResultReason::InvalidField, "{number}");
            assert!(refused.message.contains("or withdraw it first"), "{}", refused.message);
            for permission in before.0 {
                assert!(refused.message.contains(permission.name()), "{}", refused.message);
            }
            assert_eq!(list, [have(*before)], "{number}");
            continue;
        };
        answer.unwrap();
        assert_eq!(list, [have(*after)], "{number}");
    }
    // The sentence says when it is now.
    let refused = world.service.grant(&ann, Some("key-5"), "bob", &[Get]).await.unwrap_err();
    assert!(refused.message.contains("ends 2023-11-14T22:13:30Z"), "{}", refused.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_leaves_the_end_and_the_note_of_what_is_left() {
    use Permission::{Encrypt, Get};
    let world = World::new().await;
    world.aes("ann", "key", true).await;
    let ann = Principal::new("ann");
    let note = Some("for the audit");
    let terms = Terms { permissions: &[Encrypt, Get], expires: Some(START + 10), note };
    world.service.grant_on(&ann, Some("key"), "bob", terms).await.unwrap();
    world.service.withdraw(&ann, Some("key"), "Bob", &[Get]).await.unwrap();
    let left = Access {
        user: "bob".to_owned(),
        permissions: vec![Encrypt],
        expires: Some(START + 10),
        note: note.map(str::to_owned),
    };
    assert_eq!(world.service.accesses(&ann, "key").await.unwrap(), std::slice::from_ref(&left));
    // A grant without a note keeps it, one with another replaces it.
    let again = Terms { note: None, permissions: &[Encrypt], ..terms };
    world.service.grant_on(&ann, Some("key"), "bob", again).await.unwrap();
    assert_eq!(world.service.accesses(&ann, "key").await.unwrap(), std::slice::from_ref(&left));
    let other = Terms { note: Some("for ever"), ..again };
    world.service.grant_on(&ann, Some("key"), "bob", other).await.unwrap();
    let shared = world.service.obtained(&Principal::new("bob"), None, 9).await.unwrap().items;
    assert_eq!(shared[0].note.as_deref(), Some("for ever"));
    assert_eq!(shared[0].expires, Some(START + 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_granted_is_refused_with_a_reason() {
    const GET: &[Permission] = &[Permission::Get];
    let world = World::new().await;
    world.aes("ann", "key", true).await;
    let ann = Principal::new("ann");
    let terms = Terms { permissions: GET, ..Terms::default() };
    let long = "n".repeat(256);
    let (invalid, hidden) = (ResultReason::InvalidField, ResultReason::ObjectNotFound);
    let cases = [
        (Some("key"), "ann", terms, invalid, "everything with it already"),
        (Some("key"), "Ann", terms, invalid, "everything with it already"),
        (Some("none"), "ann", terms, hidden, "no object \"none\" that you may use"),
        (Some("key"), "bob smith", terms, invalid, "without blanks"),
        (Some("key"), "bob@", terms, invalid, "one @"),
        (Some("key"), "", terms, invalid, "1 to 255"),
        (Some("key"), "bob", Terms { expires: Some(START), ..terms }, invalid, "a time to come"),
        (Some("none"), "bob", Terms { expires: Some(0), ..terms }, invalid, "a time to come"),
        (Some("key"), "bob", Terms { note: Some(""), ..terms }, invalid, "a note has"),
        (Some("key"), "bob", Terms { note: Some("a\nb"), ..terms }, invalid, "a note has"),
        (Some("key"), "bob", Terms { note: Some(&long), ..terms }, invalid, "a note has"),
        (Some("none"), "bob", terms, hidden, "no object \"none\" that you may use"),
        (None, "bob", terms, invalid, "only Create is granted"),
        (Some("*"), "bob", terms, invalid, "only Create is granted"),
    ];
    for (id, user, terms, reason, says) in cases {
        let refused = world.service.grant_on(&ann, id, user, terms).await.unwrap_err();
        assert_eq!(refused.reason, reason, "{user:?}: {}", refused.message);
        assert!(refused.message.contains(says), "{user:?}: {}", refused.message);
    }
    // Who is not the owner gets the answer for what is not there, also about a grant to oneself.
    for user in ["bob", "eve"] {
        let refused = world.service.grant(&Principal::new("eve"), Some("key"), user, GET).await;
        let refused = refused.unwrap_err();
        assert_eq!(
            (refused.reason, refused.message.as_str()),
            (hidden, "no object \"key\" that you may use")
        );
    }
    assert_eq!(world.service.accesses(&ann, "key").await.unwrap(), []);
    // The longest note there is.
    let note = long.get(1..);
    world.service.grant_on(&ann, Some("key"), "bob", Terms { note, ..terms }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_granted_to_in_every_spelling() {
    let world = World::new().await;
    world.aes("ann@x.org", "key", true).await;
    let ann = Principal::new("ann@x.org");
    world.service.grant(&ann, Some("key"), "Bob@X.org", &[Permission::Encrypt]).await.unwrap();
    assert!(world.ask("bob@x.org", encrypt("key")).await.is_ok());
    world.service.withdraw(&ann, Some("key"), "BOB@x.org", &[Permission::Encrypt]).await.unwrap();
    assert!(world.ask("bob@x.org", encrypt("key")).await.is_err());
}

/// The columns of a grant as they stand in the database.
fn row(database: &rusqlite::Connection, user: &str) -> (String, Option<i64>, Vec<u8>) {
    database
        .query_row(
            "SELECT permissions, expires, mac FROM read_access WHERE userid = ?",
            [user],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_and_the_note_cannot_be_changed_in_the_database() {
    let terms = Terms {
        permissions: &[Permission::Encrypt],
        expires: Some(START + 10),
        note: Some("until then"),
    };
    for change in [
        "UPDATE read_access SET expires = expires + 1",
        "UPDATE read_access SET expires = NULL",
        "UPDATE read_access SET note = NULL",
        "UPDATE read_access SET note = ''",
        "UPDATE read_access SET expires = NULL, note = NULL",
    ] {
        let world = World::new().await;
        world.aes("ann", "key", true).await;
        let ann = Principal::new("ann");
        world.service.grant_on(&ann, Some("key"), "bob", terms).await.unwrap();
        assert!(world.ask("bob", encrypt("key")).await.is_ok());
        let world = world
            .reopen(|database| {
                database.execute(change, []).unwrap();
            })
            .await;
        let answer = world.ask("bob", encrypt("key")).await;
        assert_eq!(answer.err(), Some(ResultReason::ObjectNotFound), "{change}");
        assert_eq!(world.service.accesses(&ann, "key").await.unwrap(), [], "{change}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_later_is_refused_when_it_is_written_back() {
    let world = World::new().await;
    world.aes("ann", "key", true).await;
    let ann = Principal::new("ann");
    let all = [Permission::Encrypt];
    world.service.grant(&ann, Some("key"), "bob", &all).await.unwrap();
    let path = world.directory.path().join("kms.db");
    let before = row(&rusqlite::Connection::open(&path).unwrap(), "bob");
    world.service.grant_on(&ann, Some("key"), "bob", until(START + 10, &all)).await.unwrap();
    let world = world
        .reopen(|database| {
            let sql = "UPDATE read_access SET permissions = ?, expires = ?, mac = ?";
            database.execute(sql, rusqlite::params![before.0, before.1, before.2]).unwrap();
        })
        .await;
    assert_eq!(world.ask("bob", encrypt("key")).await.err(), Some(ResultReason::ObjectNotFound));
}

/// Several users of one bucket: a withdrawal from one signs the others' grants anew, with all that
/// is in them.
#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_from_one_leaves_everybody_else_what_they_have() {
    let world = World::new().await;
    world.aes("ann", "key", true).await;
    let ann = Principal::new("ann");
    let expires = Some(START + 10);
    for number in 0..200 {
        let note = format!("number {number}");
        let terms = Terms { permissions: &[Permission::Encrypt], expires, note: Some(&note) };
        let user = format!("user-{number}");
        world.service.grant_on(&ann, Some("key"), &user, terms).await.unwrap();
    }
    world.service.withdraw(&ann, Some("key"), "user-0", &[Permission::Encrypt]).await.unwrap();
    let list = world.service.accesses(&ann, "key").await.unwrap();
    assert_eq!(list.len(), 199);
    for access in list {
        let number = access.user.trim_start_matches("user-");
        assert_eq!(access.note, Some(format!("number {number}")));
        assert_eq!(access.expires, expires);
        assert!(world.ask(&access.user, encrypt("key")).await.is_ok(), "{number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_grants_on_one_object_at_once_are_all_made() {
    let world = std::sync::Arc::new(World::new().await);
    world.aes("ann", "key", true).await;
    let grants: Vec<_> = (0..64)
        .map(|number| {
            let world = std::sync::Arc::clone(&world);
            tokio::spawn(async move {
                let (ann, user) = (Principal::new("ann"), format!("user-{}", number / 2));
                let one = [[Permission::Get, Permission::Encrypt][number % 2]];
                world.service.grant(&ann, Some("key"), &user, &one).await
            })
        })
        .collect();
    for grant in grants {
        grant.await.unwrap().unwrap();
    }
    let list = world.service.accesses(&Principal::new("ann"), "key").await.unwrap();
    assert_eq!(list.len(), 32);
    assert!(list.iter().all(|it| it.permissions == [Permission::Get, Permission::Encrypt]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_makes_room() {
    let world = World::new().await;
    world.aes("ann", "key", true).await;
    let world = world
        .reopen(|database| {
            let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 10000) \
                 INSERT INTO read_access (id, userid, permissions, expires, mac) \
                 SELECT 'key', 'user-' || i, '[]', ?, zeroblob(32) FROM n";
            database.execute(sql, [START + 10]).unwrap();
        })
        .await;
    let ann = Principal::new("ann");
    let grant = || world.service.grant(&ann, Some("key"), "bob", &[Permission::Encrypt]);
    assert_eq!(grant().await.unwrap_err().reason, ResultReason::ServerLimitExceeded);
    world.clock.set(START + 10);
    grant().await.unwrap();
    assert!(world.ask("bob", encrypt("key")).await.is_ok());
    let path = world.directory.path().join("kms.db");
    let count: i64 = rusqlite::Connection::open(path)
        .unwrap()
        .query_row("SELECT count(*) FROM read_access", [], |row| row.get(0))
        .unwrap();
    assert_eq!(count, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lists_show_what_is_shared_by_name_and_with_everybody() {
    use Permission::{Decrypt, Encrypt, Get, Locate, Revoke};
    let world = World::new().await;
    let ann = Principal::new("ann");
    for id in ["a", "b", "c", "d", "e", "f"] {
        world.aes("ann", id, id != "d").await;
    }
    world.aes("bob", "own", true).await;
    let grant = async |id, user, permissions: &[Permission]| {
        world.service.grant(&ann, Some(id), user, permissions).await.unwrap();
    };
    grant("a", "bob", &[Encrypt]).await;
    grant("b", "*", &[Get, Locate]).await;
    grant("c", "bob", &[Encrypt, Locate]).await;
    grant("c", "*", &[Decrypt, Encrypt]).await;
    grant("d", "bob", &[Get]).await;
    grant("e", "bob", &[Locate]).await;
    grant("f", "eve", &[Get]).await;
    let bobs = Principal::new("bob");
    world.service.grant(&bobs, Some("own"), "*", &[Get]).await.unwrap();
    // Destroyed is told; withdrawn is gone.
    let destroy = DestroyRequest { unique_identifier: Some("d".into()), ..Default::default() };
    world.ask("ann", Request::Destroy(destroy)).await.unwrap();
    world.service.withdraw(&ann, Some("e"), "bob", &[Locate, Revoke]).await.unwrap();
    let expected = [
        ("a".to_owned(), vec![Encrypt]),
        ("b".to_owned(), vec![Get, Locate]),
        ("c".to_owned(), vec![Encrypt, Decrypt, Locate]),
        ("d".to_owned(), vec![Get]),
    ];
    for limit in 1..=9 {
        assert_eq!(obtained(&world, "bob", limit).await, expected, "{limit}");
    }
    let page = world.service.obtained(&bobs, None, 9).await.unwrap();
    let states: Vec<_> = page.items.iter().map(|it| (it.state, it.owner.as_str())).collect();
    assert_eq!(
        states,
        [("Active", "ann"), ("Active", "ann"), ("Active", "ann"), ("Destroyed", "ann")]
    );
    // Of what is destroyed, Locate tells only who asks for it; of the rest, what may be located.
    assert_eq!(located(&world, "bob").await, ["b", "c", "own"]);
    assert_eq!(located(&world, "eve").await, ["b"]);
    let shared_with_eve: Vec<_> =
        obtained(&world, "eve", 9).await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(shared_with_eve, ["b", "c", "f", "own"]);
    let owned = world.service.owned(&bobs, None, 9).await.unwrap().items;
    assert_eq!(owned.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["own"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_grants_the_list_names_the_end_that_comes_first() {
    use Permission::{Encrypt, Get};
    let world = World::new().await;
    world.aes("ann", "key", true).await;
    let ann = Principal::new("ann");
    let terms = Terms { permissions: &[Get], expires: None, note: Some("mine") };
    world.service.grant_on(&ann, Some("key"), "bob", terms).await.unwrap();
    let everybody = until(START + 10, &[Encrypt]);
    world.service.grant_on(&ann, Some("key"), "*", everybody).await.unwrap();
    let shared = async || world.service.obtained(&Principal::new("bob"), None, 9).await.unwrap();
    let both = shared().await.items.remove(0);
    assert_eq!(
        (both.permissions, both.expires, both.note),
        (vec![Get, Encrypt], Some(START + 10), Some("mine".to_owned()))
    );
    world.clock.set(START + 10);
    let one = shared().await.items.remove(0);
    assert_eq!((one.permissions, one.expires), (vec![Get], None));
}

/// A batch that is running when the grant is withdrawn: what came before was allowed, what comes
/// after is refused.
#[tokio::test]
async fn a_withdrawal_ends_what_a_running_batch_may_do() {
    let world = World::new().await;
    world.aes("ann", "key", true).await;
    let (ann, bob) = (Principal::new("ann"), Principal::new("bob"));
    world.service.grant(&ann, Some("key"), "bob", &[Permission::Encrypt]).await.unwrap();
    let mut requests = vec![encrypt("key")];
    // Each of these waits for the end of its slot, so that the withdrawal comes in between.
    requests.extend((0..100).map(|_| encrypt("none")));
    requests.push(encrypt("key"));
    let items = requests.into_iter().map(RequestItem::new).collect();
    let mut header = RequestHeader::new(kmip::Version::V2_1, 102);
    header.batch_error_continuation_option = Some(BatchErrorContinuationOption::Continue);
    let batch = world.service.execute(&bob, RequestMessage { header, items });
    let withdrawn = std::cell::Cell::new(false);
    let withdraw = async {
        world.service.withdraw(&ann, Some("key"), "bob", &[Permission::Encrypt]).await.unwrap();
        withdrawn.set(true);
    };
    let batch = async {
        let answers = batch.await.items;
        assert!(withdrawn.get(), "the batch was over before the withdrawal");
        answers
    };
    let (answers, ()) = tokio::join!(batch, withdraw);
    let (first, last) = (&answers[0], &answers[101]);
    assert_eq!(first.status, ResultStatus::Success);
    assert_eq!((last.status, last.reason), {
        (ResultStatus::OperationFailed, Some(ResultReason::ObjectNotFound))
    });
    assert_eq!(last.message.as_deref(), Some("no object \"key\" that you may use"));
}

/// The same in a batch that happens as a whole: it makes an object, so that it is committed, and
/// the commit rests on grants that were there.
#[tokio::test]
async fn a_withdrawal_undoes_a_running_batch_that_rests_on_it() {
    let world = World::new().await;
    world.aes("ann", "key", true).await;
    let (ann, bob) = (Principal::new("ann"), Principal::new("bob"));
    let all = [Permission::Encrypt, Permission::Revoke];
    world.service.grant(&ann, Some("key"), "bob", &all).await.unwrap();
    let revoke = Request::Revoke(RevokeRequest {
        unique_identifier: Some("key".into()),
        revocation_reason: kmip::attribute::RevocationReason {
            revocation_reason_code: kmip::enumerations::RevocationReasonCode::Unspecified,
            revocation_message: None,
        },
        compromise_occurrence_date: None,
        cascade: None,
    });
    let mut requests = vec![revoke];
    requests.extend((0..200).map(|number| super::create(&format!("bobs-{number}"), true)));
    requests.push(attributes("key"));
    let items = requests.into_iter().map(RequestItem::new).collect();
    let mut header = RequestHeader::new(kmip::Version::V2_1, 202);
    header.batch_error_continuation_option = Some(BatchErrorContinuationOption::Undo);
    let batch = world.service.execute(&bob, RequestMessage { header, items });
    let withdraw = world.service.withdraw(&ann, Some("key"), "bob", &all);
    let (answers, withdrawn) = tokio::join!(batch, withdraw);
    withdrawn.unwrap();
    let failed = answers.items.last().unwrap();
    assert_eq!(failed.reason, Some(ResultReason::ObjectNotFound));
    assert_eq!(world.service.owned(&bob, None, 9).await.unwrap().items, []);
}
