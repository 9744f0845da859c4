//! Files that hold a key or a passphrase: read whole, up to a limit, and refused where others can read
//! them. Must not know what the secret is for.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use kms_config::exit::Exit;
use kms_crypto::Secret;

use crate::compose::StartError;

/// The longest such file, in bytes.
const LENGTH_MAX: usize = 4096;
/// The rights of everybody but the owner.
const OTHERS: u32 = 0o077;

/// What is in the file.
pub(super) fn read(path: &Path) -> Result<Secret, StartError> {
    let wrong =
        |what: &str| StartError::new(Exit::Configuration, format!("{}: {what}", path.display()));
    let failed = |error: std::io::Error| wrong(&format!("it cannot be read: {error}"));
    let file = File::open(path).map_err(failed)?;
    let data = file.metadata().map_err(failed)?;
    if !data.is_file() {
        return Err(wrong("it is not a file"));
    }
    let us = rustix::process::geteuid().as_raw();
    if data.uid() != us {
        return Err(wrong(&format!("it belongs to user {}, not to user {us}", data.uid())));
    }
    if data.mode() & OTHERS != 0 {
        let advice = format!("others can read or write it; run: chmod 600 {}", path.display());
        return Err(wrong(&advice));
    }
    // Room for all of it at once: growing would leave copies behind.
    let mut bytes = Vec::with_capacity(LENGTH_MAX + 1);
    let read = file.take(LENGTH_MAX as u64 + 1).read_to_end(&mut bytes);
    let secret = Secret::new(bytes);
    read.map_err(failed)?;
    if secret.len() > LENGTH_MAX {
        return Err(wrong(&format!("it has more than {LENGTH_MAX} bytes")));
    }
    Ok(secret)
}
