//! `kms decrypt`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use kmip::enumerations::ResultReason;
use kmip::operation::DecryptRequest;
use kmip::wire::Bytes;
use kms_client::Client;
use kms_crypto::Secret;
use serde_json::json;

use super::data_key;
use super::encrypt::{Target, told};
use super::subject::Object;
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::file_format::{self, Header, KEY, Unverified};
use crate::files::{self, Existing};
use crate::progress;
use crate::render::Answer;

/// Decrypt a file that `kms encrypt` wrote
///
/// The file says which key of the server it needs. The result appears under its name only when it
/// is whole. To standard output it is written chunk by chunk, each after it was found to be right:
/// if the exit code is not 0, what came is not the whole file.
#[derive(Args, Debug)]
pub(crate) struct Decrypt {
    /// The encrypted file; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The decrypted file; - for standard output [default: FILE without .kms]
    #[arg(short, long, value_name = "OUT")]
    out: Option<PathBuf>,
    /// The key that decrypts, where it is not the one that the file names
    #[arg(short, long, value_name = "ID")]
    key: Option<String>,
    /// Replace the decrypted file if it is there
    #[arg(long)]
    force: bool,
}

impl Decrypt {
    pub(crate) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let out = match &self.out {
            Some(out) => out.clone(),
            None => without_suffix(&self.file)?,
        };
        let (mut from, length) = files::open(&self.file)?;
        let unverified = Unverified::read(&mut from).map_err(|error| told(&error, &self.file))?;
        let target = Target::open(&out, Existing::forced(self.force))?;
        let client = context.client().await?;
        let key = self.key.clone().unwrap_or_else(|| unverified.header().key_id.clone());
        let file_key = unwrapped(&client, &Object::named(key), unverified.header()).await?;
        let bar = progress::bar(length);
        let (mut to, shown) = (target.writer()?, bar.clone());
        let done = progress::interruptible(move || {
            let mut step = |bytes| shown.inc(u64::try_from(bytes).unwrap_or_default());
            file_format::decrypt(&unverified, &file_key, &mut from, &mut to, &mut step)?;
            to.flush()?;
            Ok(())
        })
        .await;
        bar.finish_and_clear();
        done?.map_err(|error: file_format::Error| told(&error, &self.file))?;
        target.finish()?;
        if files::is_standard(&out) {
            return Ok(Answer::Silent);
        }
        let path = out.display().to_string();
        Ok(Answer::done(path.clone(), [("file", json!(path))]))
    }
}

/// The file's own key, decrypted by the server.
async fn unwrapped(client: &Client, key: &Object, header: &Header) -> Result<Secret, Error> {
    let some = |bytes: &Vec<u8>| (!bytes.is_empty()).then(|| Bytes(bytes.clone()));
    let binding = Header::binding(header.wrapping, &header.key_id)
        .map_err(|error| Error::new(Kind::Integrity, error.to_string()))?;
    let request = DecryptRequest {
        unique_identifier: Some(key.identifier()),
        cryptographic_parameters: Some(Box::new(data_key::parameters(header.wrapping))),
        data: some(&header.wrapped),
        iv_counter_nonce: some(&header.nonce),
        authenticated_encryption_tag: some(&header.tag),
        authenticated_encryption_additional_data: data_key::bound(header.wrapping, binding),
        ..DecryptRequest::default()
    };
    let made = client.call(request).await.map_err(|error| match error.reason() {
        Some(ResultReason::CryptographicFailure) => Error::new(
            Kind::Integrity,
            "the server's key does not decrypt this file: its header was altered, or it was \
             encrypted with another key",
        ),
        _ => key.told(error),
    })?;
    let file_key = made.data.map(data_key::taken).unwrap_or_default();
    if file_key.len() != KEY {
        return Err(Error::new(Kind::Integrity, "what the file has for a key is none"));
    }
    Ok(file_key)
}

fn without_suffix(file: &Path) -> Result<PathBuf, Error> {
    if files::is_standard(file) {
        return Ok(PathBuf::from("-"));
    }
    if file.extension().is_some_and(|extension| extension == "kms") {
        return Ok(file.with_extension(""));
    }
    Err(Error::usage(format!("{} does not end in .kms", file.display()))
        .hint("say where the decrypted file goes, with -o OUT"))
}
