//! All that a database holds, out of it into an archive and from an archive into another one: every
//! object with its grants and counters, identifiers that must not be used again, API tokens, and the
//! register of those who may create. The audit log is not in it: it is the record of a place.
//!
//! Must never know what an archive looks like as a file, nor a database.

mod error;
mod export;
mod import;
mod item;
mod walk;

use std::io::Read;

use kms_archive::Key;

pub use error::{ArchiveError, Conflicts};
pub use export::Export;
pub use import::{Plan, import_archive, plan_import};
pub use walk::Contents;
use walk::Walk;

/// Hears how far it is: what was done, in the unit of the work.
pub type Progress<'a> = &'a mut (dyn FnMut(u64) + Send);

/// Whether an archive is whole and everything in it can be read, and what that is. Nothing is
/// written. `progress` hears of bytes.
pub fn verify_archive(
    archive: impl Read,
    key: &Key,
    progress: Progress<'_>,
) -> Result<Contents, ArchiveError> {
    let mut walk = Walk::new(archive, key)?;
    while let Some(frame) = walk.frame()? {
        walk.meet(&frame)?;
        progress(walk.bytes());
    }
    Ok(walk.end()?.0)
}
