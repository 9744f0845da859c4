//! API tokens: what lets somebody in, and what was altered, put back, revoked or has ended.

use std::sync::Arc;

use kms_core::{
    ApiTokens, InvalidApiToken as Invalid, TokenError, TokenState, Vault, VerifiedApiToken,
};
use kms_store::{Config, Store};
use tempfile::TempDir;

use super::{START, World};

async fn create(world: &World, name: &str) -> Vec<u8> {
    world.service.api_tokens().create(name, None, None).await.unwrap().into_bytes()
}

async fn user(world: &World, text: &[u8]) -> Result<String, String> {
    let verified = world.service.api_tokens().verify(text).await;
    verified.map(|it| it.user).map_err(|invalid| format!("{invalid:?}"))
}

fn refused<T>(result: Result<T, TokenError>) -> String {
    result.err().map(|error| error.to_string()).unwrap()
}

#[tokio::test]
async fn a_token_is_its_user() {
    let world = World::new().await;
    let tokens = world.service.api_tokens();
    assert!(!tokens.exist().await.unwrap());
    let text = create(&world, "night").await;
    assert!(tokens.exist().await.unwrap());
    assert_eq!(text.len(), "kms_".len() + 16 + 1 + 64);
    assert_eq!(user(&world, &text).await.as_deref(), Ok("token:night"));
    let text = tokens.create("ci", Some("Bob@Example.com"), None).await.unwrap();
    assert_eq!(user(&world, text.expose()).await.as_deref(), Ok("bob@example.com"));
}

#[tokio::test]
async fn what_is_no_token_lets_nobody_in() {
    let world = World::new().await;
    let good = create(&world, "night").await;
    let other = create(&world, "other").await;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (good, other) = (text(&good), text(&other));
    let (start, secret) = (good.split_at(21).0, other.split_at(21).1);
    let mut last = good.clone();
    last.pop();
    let last_digit = if good.ends_with('0') { "1" } else { "0" };
    for (given, reason) in [
        (String::new(), "Form"),
        ("kms_".to_owned(), "Form"),
        (last.clone(), "Form"),
        (format!("{good}0"), "Form"),
        (good.to_uppercase(), "Form"),
        (good.replace("kms_", "KMS_"), "Form"),
        (good.replacen('_', "-", 2), "Form"),
        (format!("{last} "), "Form"),
        (format!("kms_{}_{}", "0".repeat(16), "0".repeat(64)), "Unknown"),
        (format!("{last}{last_digit}"), "Secret"),
        // The secret of one behind the identifier of another.
        (format!("{start}{secret}"), "Secret"),
    ] {
        assert_eq!(user(&world, given.as_bytes()).await.err().as_deref(), Some(reason), "{given}");
    }
    assert_eq!(user(&world, b"kms_\xff").await.err().as_deref(), Some("Form"));
}

#[tokio::test]
async fn names_and_users_that_cannot_be_are_refused() {
    let world = World::new().await;
    let tokens = world.service.api_tokens();
    for name in ["", "a b", "a/b", "\u{e4}", "a\n", "*", &"a".repeat(65)] {
        assert!(refused(tokens.create(name, None, None).await).contains("name"), "{name:?}");
    }
    for user in ["*", "", "a b", "https://a.example/"] {
        let error = refused(tokens.create("a", Some(user), None).await);
        assert!(error.contains("user"), "{user:?}: {error}");
    }
    for end in [START, START - 1, i64::MIN] {
        let error = refused(tokens.create("a", None, Some(end)).await);
        assert!(error.contains("ended"), "{error}");
    }
    assert_eq!(tokens.list().await.unwrap(), Vec::new());
    create(&world, "a").await;
    assert!(refused(tokens.create("a", None, None).await).contains("already"));
}

#[tokio::test]
async fn a_token_ends_at_its_time() {
    let world = World::new().await;
    let tokens = world.service.api_tokens();
    let text = tokens.create("night", None, Some(START + 10)).await.unwrap();
    world.clock.set(START + 9);
    let verified = tokens.verify(text.expose()).await.unwrap();
    let user = "token:night".to_owned();
    assert_eq!(verified, VerifiedApiToken { user, expires: Some(START + 10) });
    world.clock.set(START + 10);
    assert!(matches!(tokens.verify(text.expose()).await, Err(Invalid::Expired)));
    assert_eq!(tokens.list().await.unwrap()[0].state, TokenState::Expired);
    // Its name is free once it is revoked.
    assert!(refused(tokens.create("night", None, None).await).contains("already"));
    tokens.revoke("night").await.unwrap();
    tokens.create("night", None, None).await.unwrap();
}

#[tokio::test]
async fn a_revoked_token_lets_nobody_in_and_the_others_go_on() {
    let world = World::new().await;
    let tokens = world.service.api_tokens();
    let (night, day) = (create(&world, "night").await, create(&world, "day").await);
    tokens.revoke("night").await.unwrap();
    assert_eq!(user(&world, &night).await.err().as_deref(), Some("Revoked"));
    assert_eq!(user(&world, &day).await.as_deref(), Ok("token:day"));
    assert!(refused(tokens.revoke("night").await).contains("revoked already"));
    assert!(refused(tokens.revoke("noon").await).contains("no token"));
    // Those who were revoked keep the door shut, and are listed.
    tokens.revoke("day").await.unwrap();
    assert!(tokens.exist().await.unwrap());
    let again = create(&world, "night").await;
    assert_eq!(user(&world, &again).await.as_deref(), Ok("token:night"));
    assert_eq!(user(&world, &night).await.err().as_deref(), Some("Unknown"));
    let states: Vec<_> = tokens.list().await.unwrap().into_iter().map(|it| it.state).collect();
    assert_eq!(states, [TokenState::Revoked, TokenState::Active]);
}

/// Each change that somebody with the database could make, and what comes of it.
#[tokio::test]
async fn rows_that_were_changed_let_nobody_in() {
    for (name, sql) in [
        ("user", "UPDATE api_tokens SET userid = 'admin' WHERE name = 'night'"),
        ("name", "UPDATE api_tokens SET name = 'noon' WHERE name = 'night'"),
        ("made", "UPDATE api_tokens SET created = created + 1 WHERE name = 'night'"),
        ("end", "UPDATE api_tokens SET expires = NULL WHERE name = 'night'"),
        ("later end", "UPDATE api_tokens SET expires = expires + 1 WHERE name = 'night'"),
        ("proof", "UPDATE api_tokens SET mac = zeroblob(32) WHERE name = 'night'"),
        ("no proof", "UPDATE api_tokens SET mac = x'' WHERE name = 'night'"),
        (
            "proof of another",
            "UPDATE api_tokens SET mac = (SELECT mac FROM api_tokens WHERE name = 'day') \
             WHERE name = 'night'",
        ),
        ("epoch", "UPDATE meta SET value = '7' WHERE key = 'api_token_epoch'"),
    ] {
        let world = World::new().await;
        let tokens = world.service.api_tokens();
        let night = tokens.create("night", None, Some(START + 10)).await.unwrap();
        let day = create(&world, "day").await;
        drop(tokens);
        let world = world
            .reopen(|database| assert_eq!(database.execute(sql, []).unwrap(), 1, "{name}"))
            .await;
        let answer = user(&world, night.expose()).await;
        assert_eq!(answer.err().as_deref(), Some("Altered"), "{name}");
        if name != "epoch" {
            assert_eq!(user(&world, &day).await.as_deref(), Ok("token:day"), "{name}");
        }
        let listed = world.service.api_tokens().list().await.unwrap();
        let altered = listed.iter().find(|it| it.name != "day").unwrap();
        assert_eq!(altered.state, TokenState::Altered, "{name}");
    }
}

/// The hash is known to whoever made the token: this row is right in everything but its proof.
#[tokio::test]
async fn a_row_that_was_written_by_hand_lets_nobody_in() {
    let world = World::new().await;
    create(&world, "night").await;
    let text = format!("kms_{}_{}", "1".repeat(16), "2".repeat(64));
    let hash = kms_crypto::hash::digest(kms_crypto::hash::Hash::Sha256, text.as_bytes());
    let world = world
        .reopen(|database| {
            let sql = "INSERT INTO api_tokens (id, name, userid, hash, created, mac) \
                 SELECT ?1, 'mine', 'admin', ?2, created, mac FROM api_tokens";
            database.execute(sql, rusqlite::params!["1".repeat(16), hash.as_ref()]).unwrap();
        })
        .await;
    assert_eq!(user(&world, text.as_bytes()).await.err().as_deref(), Some("Altered"));
    // A revocation of another does not make it ours.
    world.service.api_tokens().revoke("night").await.unwrap();
    assert_eq!(user(&world, text.as_bytes()).await.err().as_deref(), Some("Altered"));
}

#[tokio::test]
async fn a_revoked_row_that_is_put_back_lets_nobody_in() {
    let world = World::new().await;
    let night = create(&world, "night").await;
    let path = world.directory.path().join("kms.db");
    let mac: Vec<u8> = rusqlite::Connection::open(path)
        .unwrap()
        .query_row("SELECT mac FROM api_tokens", [], |row| row.get(0))
        .unwrap();
    world.service.api_tokens().revoke("night").await.unwrap();
    let world = world
        .reopen(|database| {
            let sql = "UPDATE api_tokens SET revoked = NULL, mac = ?1";
            assert_eq!(database.execute(sql, [mac]).unwrap(), 1);
        })
        .await;
    assert_eq!(user(&world, &night).await.err().as_deref(), Some("Altered"));
}

/// All rows with their epoch: a server that has seen a newer one remembers.
#[tokio::test]
async fn tokens_that_are_put_back_together_let_nobody_into_a_running_server() {
    let world = World::new().await;
    let tokens = world.service.api_tokens();
    let night = create(&world, "night").await;
    let database = rusqlite::Connection::open(world.directory.path().join("kms.db")).unwrap();
    database.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    let run = |sql: &str| database.execute_batch(sql).unwrap();
    let epoch = "FROM meta WHERE key = 'api_token_epoch'";
    run(&format!(
        "CREATE TEMP TABLE old_tokens AS SELECT * FROM api_tokens; \
         CREATE TEMP TABLE old_epoch AS SELECT value {epoch}"
    ));
    tokens.revoke("night").await.unwrap();
    assert_eq!(tokens.verify(&night).await.unwrap_err().to_string(), "a revoked API token");
    run("BEGIN; DELETE FROM api_tokens; INSERT INTO api_tokens SELECT * FROM old_tokens; \
         UPDATE meta SET value = (SELECT value FROM old_epoch) WHERE key = 'api_token_epoch'; COMMIT");
    assert!(matches!(tokens.verify(&night).await, Err(Invalid::Altered)));
    // Others use what is there; one that has not seen the newer rows cannot tell.
    assert_eq!(user(&world, &night).await.as_deref(), Ok("token:night"));
    // A token that is made from here on is newer than what was seen once there were as many changes.
    let day = create(&world, "day").await;
    assert_eq!(tokens.verify(&day).await.unwrap().user, "token:day");
}

#[tokio::test]
async fn nothing_of_a_token_is_in_the_files() {
    let world = World::new().await;
    let text = create(&world, "night").await;
    let secret = &text[text.len() - 64..];
    for entry in std::fs::read_dir(world.directory.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(64).any(|window| window == secret), "{}", path.display());
    }
}

#[tokio::test]
async fn another_process_makes_and_revokes_tokens_beside_the_server() {
    let world = World::new().await;
    let beside = Config::directory(world.directory.path()).beside();
    let store = Store::open(beside).await.unwrap();
    let vault = Arc::new(Vault::open(&store, &kms_seal::Clear).await.unwrap());
    let tokens = ApiTokens::new(store.clone(), vault, Arc::clone(&world.clock) as _);
    let text = tokens.create("night", None, None).await.unwrap();
    assert_eq!(user(&world, text.expose()).await.as_deref(), Ok("token:night"));
    // Objects cannot be changed there: the server would not hear of it.
    let write = kms_store::Write::RemoveGrant { id: "a".to_owned(), user: "b".to_owned() };
    assert!(store.commit(Vec::new(), vec![write]).await.is_err());
    world.aes("ann", "key", true).await;
    tokens.revoke("night").await.unwrap();
    assert_eq!(user(&world, text.expose()).await.err().as_deref(), Some("Revoked"));
    store.close().await.unwrap();
    world.aes("ann", "another", true).await;
    let world = world.reopen(|_| {}).await;
    assert!(world.aes("ann", "third", true).await == "third");
}

#[tokio::test]
async fn beside_a_server_that_never_ran_there_is_nothing_to_open() {
    let directory = TempDir::new().unwrap();
    let beside = || Config::directory(directory.path()).beside();
    let error = Store::open(beside()).await.unwrap_err().to_string();
    assert!(error.contains("there is no database") && error.contains("--root-dir"), "{error}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "nothing was made");
    // A database without a data key: nobody makes one in passing.
    Store::open(Config::directory(directory.path())).await.unwrap().close().await.unwrap();
    let store = Store::open(beside()).await.unwrap();
    let error = Vault::open(&store, &kms_seal::Clear).await.err().unwrap().to_string();
    assert!(error.contains("no data key"), "{error}");
}

#[tokio::test]
async fn beside_an_old_or_new_database_nothing_is_opened() {
    for (sql, says) in [
        ("DELETE FROM migration WHERE number > 1", "not up to date"),
        ("INSERT INTO migration VALUES (999, 'x', '', 0)", "newer version"),
        ("UPDATE migration SET up = '' WHERE number = 1", "not the one that was released"),
    ] {
        let world = World::new().await;
        let directory = world.directory;
        drop(world.service);
        let path = directory.path().join("kms.db");
        rusqlite::Connection::open(path).unwrap().execute(sql, []).unwrap();
        let opened = Store::open(Config::directory(directory.path()).beside()).await;
        let error = opened.unwrap_err().to_string();
        assert!(error.contains(says), "{sql}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_at_once_are_all_kept() {
    let world = Arc::new(World::new().await);
    create(&world, "first").await;
    let make = |number: usize| {
        let tokens = world.service.api_tokens();
        tokio::spawn(async move {
            let made = tokens.create(&format!("t{number}"), None, None).await;
            if number == 3 {
                tokens.revoke("first").await.unwrap();
            }
            made.map(kms_crypto::Secret::into_bytes)
        })
    };
    let tasks: Vec<_> = (0..8).map(make).collect();
    for (number, task) in tasks.into_iter().enumerate() {
        let text = task.await.unwrap().unwrap();
        let name = format!("token:t{number}");
        assert_eq!(user(&world, &text).await, Ok(name));
    }
    // Of two who want the same name, one gets it.
    let tokens = world.service.api_tokens();
    let (one, another) =
        tokio::join!(tokens.create("same", None, None), tokens.create("same", None, None));
    assert!(one.is_ok() != another.is_ok());
}
