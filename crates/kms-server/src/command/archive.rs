//! `export`, `import` and `verify ARCHIVE`: files and words. What is in an archive is the core's, what
//! one looks like is `kms-archive`'s.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use kms_archive::{Error as Broken, Key};
use kms_config::Config;
use kms_config::commands::{ARCHIVE, DRY_RUN, Given, KEY_FILE, PASSPHRASE_FILE};
use kms_config::exit::Exit;
use kms_core::{ArchiveError, Contents, Export, Plan, SystemClock, Vault};
use kms_crypto::Secret;
use kms_store::Store;

use super::{progress, secret_file};
use crate::compose::{self, StartError, store_error};
use crate::{complain, database, print};

/// How much is written and read at once, in bytes.
const ROOM: usize = 256 << 10;
/// The shortest passphrase that an archive is made with, in bytes: whoever has the file can guess.
const PASSPHRASE_MIN: usize = 12;

pub(super) async fn export(config: &Config, given: &Given) -> Result<Exit, StartError> {
    let path = archive(given)?;
    let key = key(given)?;
    if let Key::Passphrase(text) = &key
        && text.len() < PASSPHRASE_MIN
    {
        let what = format!("a passphrase for an archive has at least {PASSPHRASE_MIN} bytes");
        return Err(StartError::new(Exit::Configuration, what));
    }
    let store = compose::beside(config).await?;
    let vault = compose::vault(config, &store).await?;
    let file = create(&path)?;
    let written = write(&store, &vault, file, &key).await;
    drop(store.close().await);
    match written {
        Ok(contents) => {
            complain(&format!("{}: written. Keep its key: nothing else opens it.", path.display()));
            Ok(print(described(&contents).as_bytes()))
        }
        Err(error) => {
            // Half an archive is none, and would be refused.
            drop(fs::remove_file(&path));
            Err(failed(&path, &error))
        }
    }
}

async fn write(
    store: &Store,
    vault: &Vault,
    file: File,
    key: &Key,
) -> Result<Contents, ArchiveError> {
    let export = Export::begin(store, vault, &SystemClock).await?;
    let bar = progress::objects(export.objects());
    let mut heard = |done| bar.set_position(done);
    let writing = export.write(BufWriter::with_capacity(ROOM, file), key, &mut heard);
    let written = tokio::select! {
        written = writing => written,
        signal = tokio::signal::ctrl_c() => {
            Err(broken(signal.err().unwrap_or_else(|| io::ErrorKind::Interrupted.into())))
        }
    };
    bar.finish_and_clear();
    let (contents, out) = written?;
    let file = out.into_inner().map_err(|error| broken(error.into_error()))?;
    file.sync_all().map_err(broken)?;
    Ok(contents)
}

fn broken(error: io::Error) -> ArchiveError {
    Broken::from(error).into()
}

pub(super) fn verify(given: &Given) -> Result<Exit, StartError> {
    let path = archive(given)?;
    let (file, length) = open(&path)?;
    let key = key(given)?;
    let bar = progress::bytes(length);
    let mut heard = |done| bar.set_position(done);
    let verified = kms_core::verify_archive(BufReader::with_capacity(ROOM, file), &key, &mut heard);
    bar.finish_and_clear();
    let contents = verified.map_err(|error| failed(&path, &error))?;
    Ok(print(format!("The archive is whole.\n{}", described(&contents)).as_bytes()))
}

pub(super) async fn import(config: &Config, given: &Given) -> Result<Exit, StartError> {
    let path = archive(given)?;
    let (mut file, length) = open(&path)?;
    let key = key(given)?;
    let place = database::of(config)?;
    let wrong = |error: kms_store::OpenError| store_error(&error);
    let is_new = Store::is_new(&place).await.map_err(wrong)?;
    let dry = given.operand(DRY_RUN).is_some();
    // A database is made and brought up to date only when the archive is known to be good.
    let store = match (is_new, dry) {
        (true, _) => None,
        (false, true) => Some(compose::beside(config).await?),
        (false, false) => Some(Store::open(place.clone()).await.map_err(wrong)?),
    };
    let bar = progress::bytes(length);
    let mut heard = |done| bar.set_position(done);
    let plan = kms_core::plan_import(store.as_ref(), &mut file, &key, &mut heard).await;
    bar.finish_and_clear();
    let plan = plan.map_err(|error| failed(&path, &error))?;
    if !plan.conflicts.is_empty() {
        let what = ArchiveError::There(plan.conflicts.clone());
        return Err(failed(&path, &what));
    }
    if dry {
        let text = format!("An import would bring in all of this.\n{}", planned(&plan));
        return Ok(print(text.as_bytes()));
    }
    let store = match store {
        Some(store) => store,
        None => Store::open(place).await.map_err(wrong)?,
    };
    let vault = compose::set_up(config, &store).await?;
    let bar = progress::bytes(length);
    let mut heard = |done| bar.set_position(done);
    let from = (&mut file, &key);
    let imported =
        kms_core::import_archive(&plan, (&store, &vault), &SystemClock, from, &mut heard).await;
    bar.finish_and_clear();
    drop(store.close().await);
    imported.map_err(|error| failed(&path, &error))?;
    Ok(print(format!("Imported.\n{}", planned(&plan)).as_bytes()))
}

fn archive(given: &Given) -> Result<PathBuf, StartError> {
    let path = given.operand(ARCHIVE).map(PathBuf::from);
    path.ok_or_else(|| StartError::new(Exit::Configuration, "name the archive"))
}

/// What the archive is encrypted to.
fn key(given: &Given) -> Result<Key, StartError> {
    match (given.operand(KEY_FILE), given.operand(PASSPHRASE_FILE)) {
        (Some(path), None) => {
            let bytes = secret_file::read(Path::new(path))?;
            Key::file(bytes).ok_or_else(|| {
                let what = format!(
                    "{path}: a key file has exactly 32 bytes; make one: head -c 32 /dev/urandom"
                );
                StartError::new(Exit::Configuration, what)
            })
        }
        (None, Some(path)) => Ok(Key::Passphrase(line(&secret_file::read(Path::new(path))?))),
        _ => Err(StartError::new(
            Exit::Configuration,
            "name what the archive is encrypted to: --key-file or --passphrase-file",
        )),
    }
}

/// The passphrase without the end of its line, which editors add.
fn line(text: &Secret) -> Secret {
    let bytes = text.expose();
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    Secret::from(bytes.strip_suffix(b"\r").unwrap_or(bytes))
}

/// A new file for its owner alone.
fn create(path: &Path) -> Result<File, StartError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    made.map_err(|error| {
        let what = format!("{}: it cannot be made: {error}", path.display());
        StartError::new(Exit::Failure, what)
    })
}

fn open(path: &Path) -> Result<(File, u64), StartError> {
    let wrong =
        |what: String| StartError::new(Exit::Failure, format!("{}: {what}", path.display()));
    let opened = File::open(path).and_then(|file| file.metadata().map(|data| (file, data)));
    let (file, data) = opened.map_err(|error| wrong(format!("it cannot be read: {error}")))?;
    // It is read twice.
    if data.is_file() { Ok((file, data.len())) } else { Err(wrong("it is not a file".to_owned())) }
}

fn failed(path: &Path, error: &ArchiveError) -> StartError {
    let exit = match error {
        ArchiveError::Archive(Broken::WrongKey | Broken::OtherKey(_)) => Exit::Keyring,
        ArchiveError::Archive(
            Broken::Foreign | Broken::Altered(_) | Broken::Cut(_) | Broken::Appended(_),
        )
        | ArchiveError::Unfit { .. }
        | ArchiveError::Changed
        | ArchiveError::Unsound(_) => Exit::Altered,
        ArchiveError::Store(_) => Exit::Database,
        _ => Exit::Failure,
    };
    StartError::new(exit, format!("{}: {error}", path.display()))
}

fn planned(plan: &Plan) -> String {
    let mut text = described(&plan.contents);
    if plan.removed_here > 0 {
        let here = format!("  {} of these were removed here too\n", plan.removed_here);
        text.push_str(&here);
    }
    text
}

/// What is in an archive, line by line.
fn described(contents: &Contents) -> String {
    let made = Timestamp::from_second(contents.made);
    let made = made.map_or_else(|_too_far| contents.made.to_string(), |it| it.to_string());
    // Whoever has the key can write anything here.
    let plain = |text: &str| text.escape_debug().to_string();
    let mut text = format!(
        "  of the database {} ({}), begun {made}\n  {} objects\n",
        plain(&contents.database),
        plain(&contents.product),
        contents.total()
    );
    let line = |count: u64, what: &str| format!("  {count} {what}\n");
    text.extend(contents.objects.iter().map(|(name, count)| format!("  {}", line(*count, name))));
    text.extend(
        [
            (contents.grants, "grants"),
            (contents.counters, "counters of use"),
            (contents.api_tokens, "API tokens"),
            (contents.removed, "identifiers of removed objects"),
        ]
        .map(|(count, what)| line(count, what)),
    );
    if contents.register {
        text.push_str("  the register of those who may create\n");
    }
    text
}
