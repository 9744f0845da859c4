//! Options become the place of the audit log, and a server among several gets its name there. Writes
//! no record.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use kms_config::exit::Exit;
use kms_config::value::{AuditLog, AuditSync};
use kms_config::{Build, Config};
use kms_core::{AuditError, AuditKept, AuditOptions, AuditPlace};
use rustix::fs::{FileType, Mode, OFlags};

use crate::compose::StartError;

/// The directory of the files below the root directory, where no other is named.
const DIRECTORY: &str = "audit";

/// What is wrong with the options, in this build.
pub(crate) fn problem(config: &Config, build: Build) -> Option<String> {
    refused(*config.audit, build).then(|| {
        format!(
            "KMS_AUDIT ({}): the {} build does not run without an audit log; choose file or database",
            config.audit.origin,
            build.name()
        )
    })
}

fn refused(audit: AuditLog, build: Build) -> bool {
    audit == AuditLog::Off && build != Build::Dev
}

/// Where the log is kept; none where it is switched off.
fn kept(config: &Config) -> Option<AuditKept> {
    match *config.audit {
        AuditLog::File => {
            let named = config.audit_path.value.clone();
            Some(AuditKept::Files(named.unwrap_or_else(|| config.root_dir.join(DIRECTORY))))
        }
        AuditLog::Database => Some(AuditKept::Database),
        AuditLog::Off => None,
    }
}

/// The most servers that one root directory names.
const SERVERS_MAX: u32 = 64;

/// The name of this server among those that share its database, kept in its root directory and
/// claimed for as long as this is held. `SQLite` has one server, which needs none.
#[derive(Debug)]
pub(crate) struct Name {
    name: Option<String>,
    _claim: Option<File>,
}

impl Name {
    /// The first name of the root directory that no running server has, or a new one.
    pub(crate) fn claim(config: &Config) -> Result<Self, StartError> {
        if !is_shared(config) {
            return Ok(Self { name: None, _claim: None });
        }
        for number in 0..SERVERS_MAX {
            let path = name_file(config, number);
            let wrong = |cause: &io::Error| {
                let text = format!("{}: {cause}; it names this server's audit log", path.display());
                StartError::new(Exit::Configuration, text)
            };
            let mut file = open_name(&path, OFlags::CREATE).map_err(|cause| wrong(&cause))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(cause)) => return Err(wrong(&cause)),
            }
            let name = read_name(&mut file).map_err(|cause| wrong(&cause))?;
            return Ok(Self { name: Some(name), _claim: Some(file) });
        }
        let text = "too many servers run on one root directory; give this one another --root-dir";
        Err(StartError::new(Exit::Held, text))
    }
}

fn name_file(config: &Config, number: u32) -> std::path::PathBuf {
    config.root_dir.join(format!("kms-server-{number}.name"))
}

/// Opens the file of a name. Who could put another there could have two servers write one log, and so
/// neither be believed: what is a link, another's, or open to others is refused.
fn open_name(path: &Path, more: OFlags) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let flags = flags | OFlags::NONBLOCK | more;
    let file = File::from(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?);
    let stat = rustix::fs::fstat(&file)?;
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    let is_ours = stat.st_uid == rustix::process::geteuid().as_raw() && stat.st_mode & 0o022 == 0;
    if is_file && is_ours { Ok(file) } else { Err(io::Error::other("it is not this user's alone")) }
}

/// The name in a file; one that is new is made here.
fn read_name(file: &mut File) -> io::Result<String> {
    let mut name = String::new();
    file.take(64).read_to_string(&mut name)?;
    if name.is_empty() {
        let (random, _) = uuid::Uuid::new_v4().as_u64_pair();
        name = format!("{random:016x}");
        file.write_all(name.as_bytes())?;
        file.sync_all()?;
    }
    let is_name = name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_name { Ok(name) } else { Err(io::Error::other("it holds no name of a server")) }
}

fn is_shared(config: &Config) -> bool {
    config.postgres_url.is_some() || config.mysql_url.is_some()
}

/// The places of every log that servers of this root directory wrote; none where it is switched off.
pub(crate) fn places(config: &Config) -> Result<Vec<AuditPlace>, StartError> {
    let Some(kept) = kept(config) else { return Ok(Vec::new()) };
    if !is_shared(config) {
        return Ok(vec![AuditPlace { kept, server: None }]);
    }
    let mut places = Vec::new();
    for path in (0..SERVERS_MAX).map(|number| name_file(config, number)) {
        let name = match open_name(&path, OFlags::empty()) {
            Ok(mut file) => read_name(&mut file),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => break,
            Err(cause) => Err(cause),
        };
        let server = name.map_err(|cause| {
            StartError::new(Exit::Configuration, format!("{}: {cause}", path.display()))
        })?;
        places.push(AuditPlace { kept: kept.clone(), server: Some(server) });
    }
    if places.is_empty() {
        let text =
            format!("no server has run with the root directory {}", config.root_dir.display());
        return Err(StartError::new(Exit::Configuration, text));
    }
    Ok(places)
}

/// How decisions are recorded; none where they are not.
pub(crate) fn options(config: &Config, name: &Name) -> Option<AuditOptions> {
    let each = *config.audit_sync == AuditSync::Each;
    let place = AuditPlace { kept: kept(config)?, server: name.name.clone() };
    Some(AuditOptions { place, each, file_size: *config.audit_file_size })
}

/// The log in words, for the report.
pub(crate) fn describe(config: &Config) -> String {
    let Some(kept) = kept(config) else {
        return "off: nothing that is decided is recorded".to_owned();
    };
    let when = match (&kept, *config.audit_sync) {
        (AuditKept::Database, _) => "",
        (AuditKept::Files(_), AuditSync::Group) => ", on the disk within 100 ms",
        (AuditKept::Files(_), AuditSync::Each) => ", on the disk before each answer",
    };
    AuditPlace { kept, server: None }.describe() + when
}

/// Why the log cannot be opened, or not be checked.
pub(crate) fn error(error: &AuditError) -> StartError {
    let exit = match error {
        AuditError::Store(_) => Exit::Database,
        AuditError::Start(_) => Exit::Failure,
        _ => Exit::Audit,
    };
    StartError::new(exit, error.to_string())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn the_file_of_a_name_is_this_user_s_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let name = read_name(&mut open_name(&path("own"), OFlags::CREATE).unwrap()).unwrap();
        let mode = std::fs::metadata(path("own")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = open_name(&path("own"), OFlags::empty()).unwrap();
        assert_eq!(read_name(&mut { again }).unwrap(), name);
        symlink(path("own"), path("link")).unwrap();
        std::fs::create_dir(path("directory")).unwrap();
        for name in ["link", "directory", "none"] {
            assert!(open_name(&path(name), OFlags::empty()).is_err(), "{name}");
        }
        for (mode, is_taken) in [(0o644, true), (0o620, false), (0o602, false)] {
            std::fs::set_permissions(path("own"), PermissionsExt::from_mode(mode)).unwrap();
            assert_eq!(open_name(&path("own"), OFlags::CREATE).is_ok(), is_taken, "{mode:o}");
        }
        std::fs::write(path("other"), "no name of 16 digits").unwrap();
        let other = open_name(&path("other"), OFlags::empty()).unwrap();
        assert!(read_name(&mut { other }).is_err());
    }

    #[test]
    fn only_the_dev_build_runs_without() {
        for build in [Build::Dev, Build::Staging, Build::Production] {
            assert_eq!(refused(AuditLog::Off, build), build != Build::Dev);
            assert!(!refused(AuditLog::File, build) && !refused(AuditLog::Database, build));
        }
    }
}
