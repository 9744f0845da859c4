//! Options become the place of the audit log. Writes no record.

use kms_config::exit::Exit;
use kms_config::value::{AuditLog, AuditSync};
use kms_config::{Build, Config};
use kms_core::{AuditError, AuditOptions, AuditPlace};

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
pub(crate) fn place(config: &Config) -> Option<AuditPlace> {
    match *config.audit {
        AuditLog::File => {
            let named = config.audit_path.value.clone();
            Some(AuditPlace::Files(named.unwrap_or_else(|| config.root_dir.join(DIRECTORY))))
        }
        AuditLog::Database => Some(AuditPlace::Database),
        AuditLog::Off => None,
    }
}

/// How decisions are recorded; none where they are not.
pub(crate) fn options(config: &Config) -> Option<AuditOptions> {
    let each = *config.audit_sync == AuditSync::Each;
    Some(AuditOptions { place: place(config)?, each, file_size: *config.audit_file_size })
}

/// The log in words, for the report.
pub(crate) fn describe(config: &Config) -> String {
    match (place(config), *config.audit_sync) {
        (None, _) => "off: nothing that is decided is recorded".to_owned(),
        (Some(place @ AuditPlace::Database), _) => place.describe(),
        (Some(place), AuditSync::Group) => {
            format!("{}, on the disk within 100 ms", place.describe())
        }
        (Some(place), AuditSync::Each) => {
            format!("{}, on the disk before each answer", place.describe())
        }
    }
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
    use super::*;

    #[test]
    fn only_the_dev_build_runs_without() {
        for build in [Build::Dev, Build::Staging, Build::Production] {
            assert_eq!(refused(AuditLog::Off, build), build != Build::Dev);
            assert!(!refused(AuditLog::File, build) && !refused(AuditLog::Database, build));
        }
    }
}
