//! What protects the data key: which root key opens a database, and which servers refuse it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use kms_store::{Address, Config, Product, Remote, Store};
use kms_testkit::database::{Database, Kind, database};
use kms_testkit::server::{Builder, Ended};

/// A place for a database: a directory, or a database server.
pub(super) struct Home {
    builder: Builder,
    pub(super) database: Option<Database>,
}

impl Home {
    /// One of each kind.
    pub(super) fn all() -> Vec<Self> {
        [None, Some(Kind::Postgres), Some(Kind::MariaDb)].map(Self::of).into()
    }

    /// One in a directory, or on a database server.
    pub(super) fn of(kind: Option<Kind>) -> Self {
        Self { builder: super::builder(), database: kind.map(database) }
    }

    /// A server on it.
    pub(super) fn server(&self) -> Builder {
        let builder = self.builder.clone();
        match &self.database {
            None => builder,
            Some(database) if database.kind() == Kind::Postgres => {
                builder.environment("KMS_POSTGRES_URL", database.url())
            }
            Some(database) => builder.environment("KMS_MYSQL_URL", database.url()),
        }
    }

    /// Its directory, or that of the servers on it.
    pub(super) fn directory(&self) -> &Path {
        self.builder.directory()
    }

    /// A command on it, with the environment of its servers.
    pub(super) fn command(&self, words: &str) -> Builder {
        let words = words.split(' ');
        let builder = words.fold(self.server(), Builder::argument);
        builder.environment("KMS_ROOT_DIR", self.directory())
    }

    /// The database itself, beside whatever runs on it.
    pub(super) fn store(&self, runtime: &tokio::runtime::Runtime) -> Store {
        let config = match &self.database {
            None => Config::directory(self.directory()),
            Some(database) => {
                let product = match database.kind() {
                    Kind::Postgres => Product::Postgres,
                    _ => Product::MySql,
                };
                let address = Address::parse(product, &database.url()).unwrap();
                Config::server(address, Remote::default())
            }
        };
        runtime.block_on(Store::open(config.beside())).unwrap()
    }

    /// A file for a root key.
    pub(super) fn file(&self, name: &str, bytes: &[u8], mode: u32) -> PathBuf {
        let path = self.builder.directory().join(name);
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }
}

pub(super) fn protected(builder: Builder, key: &Path) -> Builder {
    builder.environment("KMS_ROOT_KEY_PATH", key)
}

fn refused(builder: Builder) -> Ended {
    let ended = builder.try_start().unwrap_err();
    assert_eq!(ended.status.code(), Some(5), "{ended:?}");
    ended
}

#[test]
fn only_the_root_key_of_a_database_opens_it() {
    for home in Home::all() {
        let ours = home.file("ours", &(100..132).collect::<Vec<u8>>(), 0o600);
        let theirs = home.file("theirs", b"a passphrase of more than twenty characters\n", 0o600);
        let server = protected(home.server(), &ours).start();
        assert!(server.report().contains("the root key protects"), "{}", server.report());
        assert!(!server.log().contains("unprotected"), "{}", server.log());
        let kept = super::made(&server);
        // On a database that is shared, beside the first; a directory has one server.
        let server = Some(server).filter(|_| home.database.is_some());
        let ended = refused(protected(home.server(), &theirs));
        assert!(ended.stderr.contains("another root key"), "{}", ended.stderr);
        assert!(ended.stderr.contains("copy the file"), "{}", ended.stderr);
        // Nobody gets by without one, whatever else is allowed.
        let ended = refused(home.server().argument("--allow-clear-keyring"));
        assert!(ended.stderr.contains("\"file\""), "{}", ended.stderr);
        if let Some(server) = &server {
            super::assert_answers(server);
        }
        let second = protected(home.server(), &ours).start();
        super::assert_kept(&second, &kept);
    }
}

#[test]
fn a_passphrase_protects_as_well() {
    let home = Home::of(None);
    let key = home.file("key", b"correct horse battery staple\n", 0o600);
    drop(protected(home.server(), &key).start());
    let without_newline = home.file("again", b"correct horse battery staple", 0o600);
    drop(protected(home.server(), &without_newline).start());
    let other = home.file("other", b"correct horse battery stable\n", 0o600);
    let ended = refused(protected(home.server(), &other));
    assert!(ended.stderr.contains("another root key"), "{}", ended.stderr);
}

#[test]
fn a_file_that_is_no_root_key_is_refused() {
    let home = Home::of(None);
    let key: Vec<u8> = (100..132).collect();
    for (name, bytes, mode, says) in [
        ("open", key.as_slice(), 0o644, "chmod 600"),
        ("short", b"word", 0o600, "too short"),
        ("either", b"correct horse battery staple abc", 0o600, "could be"),
        ("zero", &[0; 32], 0o600, "again"),
    ] {
        let path = home.file(name, bytes, mode);
        let ended = refused(protected(home.server(), &path));
        assert!(ended.stderr.contains(says), "{name}: {}", ended.stderr);
    }
    let ended = refused(protected(home.server(), Path::new("/nowhere/at/all")));
    assert!(ended.stderr.contains("no such file"), "{}", ended.stderr);
}

/// A database that was set up in the clear is not taken for one that is protected: somebody could
/// have put a key of their own there.
#[test]
fn a_keyring_in_the_clear_is_refused_where_a_root_key_is_named() {
    let home = Home::of(None);
    let server = home.server().start();
    super::wait_for_warning(&server);
    drop(server);
    let key = home.file("key", &(100..132).collect::<Vec<u8>>(), 0o600);
    let ended = refused(protected(home.server(), &key));
    assert!(ended.stderr.contains("\"clear\""), "{}", ended.stderr);
    let server = protected(home.server(), &key).argument("--allow-clear-keyring").start();
    super::wait_for_warning(&server);
}
