//! What the cryptographic library alone needs for an operation, measured in this run.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::run;

/// Microseconds of processor time.
pub(crate) struct Bare {
    pub(crate) aes_gcm_1_mib: f64,
    pub(crate) rsa_2048_oaep_decrypt: f64,
    pub(crate) p256_generate: f64,
}

/// Runs the program that prints `name microseconds` for each operation.
pub(crate) fn measure(program: &Path) -> Result<Bare> {
    let said = run::output(&mut Command::new(program)).context("the bare operations")?;
    let read = |name: &str| -> Result<f64> {
        let line = said.lines().find_map(|line| line.strip_prefix(name));
        Ok(line.with_context(|| format!("no {name} in {said}"))?.trim().parse()?)
    };
    Ok(Bare {
        aes_gcm_1_mib: read("aes-gcm-1-mib")?,
        rsa_2048_oaep_decrypt: read("rsa-2048-oaep-decrypt")?,
        p256_generate: read("p256-generate")?,
    })
}
