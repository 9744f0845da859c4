//! PEM (RFC 7468): keys and certificates as text, for people's files.

use super::certificate::Certificate;
use super::{PrivateFormat, PrivateKey, PublicFormat, PublicKey};
use crate::{Error, Secret};
use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

/// What a PEM block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `PRIVATE KEY`, `RSA PRIVATE KEY`, `EC PRIVATE KEY`.
    Private(PrivateFormat),
    /// `PUBLIC KEY`, `RSA PUBLIC KEY`.
    Public(PublicFormat),
    /// `CERTIFICATE`.
    Certificate,
}

impl Kind {
    /// Every kind, for tables and tests.
    pub const ALL: &'static [Self] = &[
        Self::Private(PrivateFormat::Pkcs1),
        Self::Private(PrivateFormat::Pkcs8),
        Self::Private(PrivateFormat::Sec1),
        Self::Public(PublicFormat::Pkcs1),
        Self::Public(PublicFormat::Spki),
        Self::Certificate,
    ];

    /// The label between the dashes.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Private(PrivateFormat::Pkcs1) => "RSA PRIVATE KEY",
            Self::Private(PrivateFormat::Pkcs8) => "PRIVATE KEY",
            Self::Private(PrivateFormat::Sec1) => "EC PRIVATE KEY",
            Self::Public(PublicFormat::Pkcs1) => "RSA PUBLIC KEY",
            Self::Public(PublicFormat::Spki) => "PUBLIC KEY",
            Self::Certificate => "CERTIFICATE",
        }
    }

    /// Checks that DER really is of this kind.
    fn check(self, der: &[u8]) -> Result<(), Error> {
        match self {
            Self::Private(format) => PrivateKey::parse(format, der).map(drop),
            Self::Public(format) => PublicKey::parse(format, der).map(drop),
            Self::Certificate => Certificate::parse(der).map(drop),
        }
    }
}

const MALFORMED: Error = Error::Malformed("PEM");
/// The longest text that is read, in bytes.
const LONGEST: usize = 1 << 20;
const WIDTH: usize = 64;

/// Reads the first block of a known kind and checks what is in it. Blocks of other kinds before it
/// (`EC PARAMETERS`) and text around are passed over.
pub fn decode(text: &[u8]) -> Result<(Kind, Secret), Error> {
    if text.len() > LONGEST {
        return Err(Error::TooLarge { limit: LONGEST });
    }
    let text = str::from_utf8(text).map_err(|_error| MALFORMED)?;
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        let Some(label) = between(line, "-----BEGIN ") else { continue };
        let mut base64 = Zeroizing::new(String::with_capacity(text.len()));
        let mut ended = false;
        for line in lines.by_ref() {
            if let Some(end) = between(line, "-----END ") {
                ended = end == label;
                break;
            }
            base64.push_str(line);
        }
        if !ended {
            return Err(MALFORMED);
        }
        if label == "ENCRYPTED PRIVATE KEY" || base64.contains(':') {
            return Err(Error::Unsupported("a private key under a password"));
        }
        let Some(kind) = Kind::ALL.iter().copied().find(|kind| kind.label() == label) else {
            continue;
        };
        let der = Secret::new(Base64::decode_vec(&base64).map_err(|_error| MALFORMED)?);
        kind.check(der.expose())?;
        return Ok((kind, der));
    }
    Err(MALFORMED)
}

fn between<'a>(line: &'a str, start: &str) -> Option<&'a str> {
    line.strip_prefix(start)?.strip_suffix("-----")
}

/// Writes one block.
pub fn encode(kind: Kind, der: &[u8]) -> Secret {
    let base64 = Zeroizing::new(Base64::encode_string(der));
    // Reserved at once: growing would leave copies behind.
    let lines = base64.len().div_ceil(WIDTH);
    let mut text = Vec::with_capacity(base64.len().saturating_add(lines).saturating_add(128));
    let mut line = |parts: [&[u8]; 3]| {
        for part in parts {
            text.extend_from_slice(part);
        }
        text.push(b'\n');
    };
    line([b"-----BEGIN ", kind.label().as_bytes(), b"-----"]);
    for row in base64.as_bytes().chunks(WIDTH) {
        line([row, b"", b""]);
    }
    line([b"-----END ", kind.label().as_bytes(), b"-----"]);
    Secret::new(text)
}
