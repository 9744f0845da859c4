//! `kms encrypt`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use kmip::enumerations::{CryptographicAlgorithm, ObjectType};
use kmip::identifier::UniqueIdentifier;
use kmip::operation::EncryptRequest;
use kms_client::Client;
use kms_crypto::Secret;
use serde_json::json;

use super::data_key;
use super::subject::{Facts, Object};
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::file_format::{self, Header, Wrapping};
use crate::files::{self, Existing, Pending};
use crate::progress;
use crate::render::Answer;

/// Encrypt a file with a key of the server
///
/// The file gets a key of its own, which the server's key encrypts; the file itself stays here. Any
/// size will do. With a public RSA key anybody can encrypt, and the private key decrypts.
#[derive(Args, Debug)]
pub(crate) struct Encrypt {
    /// The file; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The server's key, by identifier, or by tags as a JSON list
    #[arg(short, long, value_name = "ID")]
    key: String,
    /// The encrypted file; - for standard output [default: FILE.kms]
    #[arg(short, long, value_name = "OUT")]
    out: Option<PathBuf>,
    /// Replace the encrypted file if it is there
    #[arg(long)]
    force: bool,
}

impl Encrypt {
    pub(crate) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let out = match &self.out {
            Some(out) => out.clone(),
            None if files::is_standard(&self.file) => PathBuf::from("-"),
            None => with_suffix(&self.file),
        };
        let (mut from, length) = files::open(&self.file)?;
        let target = Target::open(&out, Existing::forced(self.force))?;
        let client = context.client().await?;
        let key = Object::named(self.key);
        let facts = key.facts(&client).await?;
        let file_key =
            file_format::new_key().map_err(|error| Error::unexpected(error.to_string()))?;
        let header = wrapped(&client, &key, &facts, &file_key).await?;
        let bar = progress::bar(length);
        let (mut to, shown) = (target.writer()?, bar.clone());
        let done = progress::interruptible(move || {
            let mut step = |bytes| shown.inc(u64::try_from(bytes).unwrap_or_default());
            file_format::encrypt(&header, &file_key, &mut from, &mut to, &mut step)?;
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
        Ok(Answer::done(path.clone(), [("file", json!(path)), ("key", json!(facts.id))]))
    }
}

/// The file's own key, encrypted by the server, in a header.
async fn wrapped(
    client: &Client,
    key: &Object,
    facts: &Facts,
    file_key: &Secret,
) -> Result<Header, Error> {
    let (wrapping, decrypts) = way(facts)?;
    let binding = Header::binding(wrapping, decrypts)
        .map_err(|error| Error::unexpected(error.to_string()))?;
    let request = EncryptRequest {
        unique_identifier: Some(UniqueIdentifier::Id(facts.id.clone())),
        cryptographic_parameters: Some(Box::new(data_key::parameters(wrapping))),
        data: Some(data_key::secret(file_key)),
        authenticated_encryption_additional_data: data_key::bound(wrapping, binding),
        ..EncryptRequest::default()
    };
    let made = key.call(client, request).await?;
    let bytes = |field: Option<kmip::wire::Bytes>| field.map(|it| it.0).unwrap_or_default();
    let header = Header {
        wrapping,
        key_id: decrypts.to_owned(),
        nonce: bytes(made.iv_counter_nonce),
        tag: bytes(made.authenticated_encryption_tag),
        wrapped: bytes(made.data),
    };
    if header.wrapped.is_empty() {
        return Err(Error::new(Kind::Unreachable, "the server answered Encrypt without data"));
    }
    Ok(header)
}

/// How a key of this kind encrypts a file's key, and the key that will decrypt it.
fn way(facts: &Facts) -> Result<(Wrapping, &str), Error> {
    let decrypts = facts.private_key.as_deref().unwrap_or(&facts.id);
    match (facts.object_type, facts.algorithm) {
        (Some(ObjectType::SymmetricKey), Some(CryptographicAlgorithm::AES)) => {
            Ok((Wrapping::AesGcm, &facts.id))
        }
        (
            Some(ObjectType::SymmetricKey),
            Some(CryptographicAlgorithm::ChaCha20Poly1305 | CryptographicAlgorithm::ChaCha20),
        ) => Ok((Wrapping::ChaCha20Poly1305, &facts.id)),
        (Some(ObjectType::PublicKey), Some(CryptographicAlgorithm::RSA)) => {
            Ok((Wrapping::RsaOaepSha256, decrypts))
        }
        (Some(ObjectType::PrivateKey), _) => {
            Err(Error::usage(format!("{} is a private key, which decrypts", facts.id))
                .hint("name its public key: `kms keys show` has it as PublicKeyLink"))
        }
        _ => Err(Error::usage(format!("{} cannot encrypt a file", facts.id))
            .hint("make a key that can: `kms keys create`")),
    }
}

fn with_suffix(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".kms");
    PathBuf::from(name)
}

/// What went wrong with a file that is encrypted or decrypted.
pub(super) fn told(error: &file_format::Error, file: &Path) -> Error {
    let name = if files::is_standard(file) {
        "standard input".to_owned()
    } else {
        file.display().to_string()
    };
    let kind = match error {
        file_format::Error::Io(_) => Kind::File,
        file_format::Error::Cryptography(_) => Kind::Unexpected,
        _ => Kind::Integrity,
    };
    Error::new(kind, format!("{name}: {error}"))
}

/// Where the result goes: a file that gets its name at the end, or standard output.
pub(super) enum Target {
    File(Pending),
    Standard,
}

impl Target {
    pub(super) fn open(out: &Path, existing: Existing) -> Result<Self, Error> {
        if files::is_standard(out) {
            return Ok(Self::Standard);
        }
        Ok(Self::File(Pending::create(out, existing)?))
    }

    /// Something to write to on another thread; this stays here, to clean up.
    pub(super) fn writer(&self) -> Result<Box<dyn Write + Send>, Error> {
        Ok(match self {
            Self::File(pending) => Box::new(pending.writer()?),
            Self::Standard => Box::new(std::io::stdout()),
        })
    }

    pub(super) fn finish(self) -> Result<(), Error> {
        match self {
            Self::File(pending) => pending.finish(),
            Self::Standard => Ok(()),
        }
    }
}
