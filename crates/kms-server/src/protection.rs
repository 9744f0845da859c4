//! Options become what protects the data key; a database that is set up gets its root key here.
//!
//! What a root key or a slot is, is known elsewhere.

use std::path::PathBuf;

use kms_config::exit::Exit;
use kms_config::{Build, Config};
use kms_seal::{Clear, File, Protection, RootError, RootKey};
use kms_store::Store;

use crate::compose::StartError;

/// The directory of keys below the root directory, where no other is named.
const DIRECTORY: &str = "keys";
/// The file of the root key there.
const FILE: &str = "root.key";

/// What the options ask for.
#[derive(Debug, PartialEq, Eq)]
enum Choice {
    /// A data key in the clear.
    Clear,
    /// The root key in a file that was named.
    Named(PathBuf),
    /// The root key in the server's own directory.
    Own(PathBuf),
}

impl Choice {
    fn of(config: &Config, build: Build) -> Self {
        match config.root_key_path.as_deref() {
            Some(path) => Self::Named(path.to_owned()),
            None if build == Build::Dev || *config.allow_clear_keyring => Self::Clear,
            None => Self::Own(keys(config).join(FILE)),
        }
    }
}

/// The directory of the server's own keys.
fn keys(config: &Config) -> PathBuf {
    config.keys_path.value.clone().unwrap_or_else(|| config.root_dir.join(DIRECTORY))
}

/// What protects the data key, and what whoever starts the server should know of it.
pub(crate) struct Chosen {
    pub(crate) protection: Protection,
    pub(crate) warning: Option<String>,
}

/// What a server uses. The root key is made if the database has no keyring yet and no file is named.
pub(crate) async fn of_server(
    config: &Config,
    build: Build,
    store: &Store,
) -> Result<Chosen, StartError> {
    let choice = Choice::of(config, build);
    let Choice::Own(path) = &choice else { return Ok(with(config, read(&choice)?, None)) };
    match RootKey::read(path) {
        Err(RootError::Missing(_)) => {}
        found => return Ok(with(config, Some(found.map_err(|error| wrong(&error))?), None)),
    }
    let rows = store.keyring().await;
    let rows = rows.map_err(|error| StartError::new(Exit::Database, error.to_string()))?;
    if !rows.is_empty() {
        return Err(gone(path));
    }
    let key = RootKey::make(path).map_err(|error| wrong(&error))?;
    let warning = format!(
        "made the root key {}: back it up, apart from the database, and copy it to each further \
         server; without it nothing in the database can be opened",
        path.display()
    );
    Ok(with(config, Some(key), Some(warning)))
}

/// What a command uses beside a server, or instead of one.
pub(crate) fn of_command(config: &Config, build: Build) -> Result<Protection, StartError> {
    let choice = Choice::of(config, build);
    Ok(with(config, read(&choice)?, None).protection)
}

/// The root key that is to protect what was in the clear: the one in a file that is named, or the
/// server's own, which is made if it is not there.
pub(crate) fn target(
    config: &Config,
    named: Option<&std::path::Path>,
) -> Result<RootKey, StartError> {
    if let Some(path) = named.or(config.root_key_path.as_deref()) {
        return RootKey::read(path).map_err(|error| wrong(&error));
    }
    let path = keys(config).join(FILE);
    match RootKey::read(&path) {
        Err(RootError::Missing(_)) => RootKey::make(&path).map_err(|error| wrong(&error)),
        found => found.map_err(|error| wrong(&error)),
    }
}

fn read(choice: &Choice) -> Result<Option<RootKey>, StartError> {
    match choice {
        Choice::Clear => Ok(None),
        Choice::Named(path) => RootKey::read(path).map(Some).map_err(|error| wrong(&error)),
        Choice::Own(path) => match RootKey::read(path) {
            Err(RootError::Missing(_)) => Err(gone(path)),
            found => found.map(Some).map_err(|error| wrong(&error)),
        },
    }
}

fn with(config: &Config, key: Option<RootKey>, warning: Option<String>) -> Chosen {
    let protection = match key {
        None => Protection::new(Clear),
        Some(key) if *config.allow_clear_keyring => {
            Protection::new(File::new(key)).allowing_clear()
        }
        Some(key) => Protection::new(File::new(key)),
    };
    Chosen { protection, warning }
}

pub(crate) fn wrong(error: &RootError) -> StartError {
    StartError::new(Exit::Keyring, error.to_string())
}

/// Another key in its place would open nothing.
fn gone(path: &std::path::Path) -> StartError {
    let text = format!(
        "root key {}: there is no such file, and the database has a keyring already; copy the file \
         from a server that runs on this database, or from its backup",
        path.display()
    );
    StartError::new(Exit::Keyring, text)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use kms_config::{Invocation, Sources};

    use super::*;

    fn config(directory: &std::path::Path, arguments: &[&str], build: Build) -> Config {
        let root = ["--root-dir", directory.to_str().unwrap()];
        let arguments = root.iter().chain(arguments).map(OsString::from).collect();
        let sources = Sources { arguments, directory: directory.to_owned(), ..Sources::default() };
        match kms_config::resolve(&sources, build).unwrap() {
            Invocation::Serve(serve) => serve.config,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_build_protects_the_data_key_unless_it_is_told_not_to() {
        let directory = std::path::Path::new("/d");
        let own = || Choice::Own("/d/keys/root.key".into());
        for (arguments, dev, others) in [
            (vec![], Choice::Clear, own()),
            (vec!["--allow-clear-keyring"], Choice::Clear, Choice::Clear),
            (vec!["--keys-path", "/k"], Choice::Clear, Choice::Own("/k/root.key".into())),
            (
                vec!["--root-key-path", "/r", "--allow-clear-keyring"],
                Choice::Named("/r".into()),
                Choice::Named("/r".into()),
            ),
        ] {
            for build in [Build::Dev, Build::Staging, Build::Production] {
                let expected = if build == Build::Dev { &dev } else { &others };
                assert_eq!(&Choice::of(&config(directory, &arguments, build), build), expected);
            }
        }
    }

    #[tokio::test]
    async fn a_root_key_is_made_with_the_database_and_never_afterwards() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys/root.key");
        let build = Build::Production;
        let config = config(directory.path(), &[], build);
        let store = Store::open(kms_store::Config::directory(directory.path())).await.unwrap();
        let open = async || {
            let chosen = of_server(&config, build, &store).await?;
            let clock = std::sync::Arc::new(kms_core::SystemClock);
            let policy = kms_core::Policy::default();
            let service =
                kms_core::Service::open(store.clone(), chosen.protection, policy, clock).await;
            service.map_err(|error| crate::compose::core_error(&error))?;
            Ok::<_, StartError>(chosen.warning)
        };
        assert_eq!(of_command(&config, build).err().unwrap().exit, Exit::Keyring);
        let warning = open().await.unwrap().unwrap();
        assert!(warning.contains("back it up") && path.exists(), "{warning}");
        assert_eq!(open().await.unwrap(), None);
        // Lost: another one would not open what is there.
        let away = directory.path().join("away");
        std::fs::rename(&path, &away).unwrap();
        let refused = open().await.unwrap_err();
        assert_eq!(refused.exit, Exit::Keyring);
        assert!(refused.message.contains("copy the file"), "{refused}");
        assert!(!path.exists());
        // Another server with a root key of its own.
        RootKey::make(&path).unwrap();
        let refused = open().await.unwrap_err();
        assert_eq!(refused.exit, Exit::Keyring);
        assert!(refused.message.contains("another root key"), "{refused}");
        std::fs::rename(&away, &path).unwrap();
        assert_eq!(open().await.unwrap(), None);
    }
}
