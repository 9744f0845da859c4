//! The forms a key has in a file, and how they are told apart.
//!
//! It knows PEM, base64 and hexadecimal; it must not know what is inside a key.

use base64ct::{Base64, Encoding as _};
use kms_crypto::Secret;

use crate::error::{Error, Kind};

/// The width of PEM's lines.
const LINE: usize = 64;

/// A PEM block: its label, and the bytes.
pub(crate) struct Pem {
    pub(crate) label: String,
    pub(crate) der: Secret,
}

fn wrong(what: &str) -> Error {
    Error::new(Kind::File, format!("the file is no {what}"))
}

/// Reads the first PEM block of a text.
pub(crate) fn from_pem(bytes: &[u8]) -> Result<Pem, Error> {
    let text = std::str::from_utf8(bytes).map_err(|_binary| wrong("PEM: it is not text"))?;
    let (_, rest) = text.split_once("-----BEGIN ").ok_or_else(|| wrong("PEM: no BEGIN line"))?;
    let (label, rest) =
        rest.split_once("-----").ok_or_else(|| wrong("PEM: its BEGIN line is cut"))?;
    let end = format!("-----END {label}-----");
    let (body, _) = rest.split_once(&end).ok_or_else(|| wrong("PEM: no END line that fits"))?;
    if body.contains(':') {
        return Err(Error::new(Kind::File, "this PEM file is encrypted or has headers")
            .hint("decrypt it first, for instance with `openssl pkcs8 -in FILE`"));
    }
    Ok(Pem { label: label.to_owned(), der: from_base64(body.as_bytes())? })
}

/// Whether a file is PEM.
pub(crate) fn is_pem(bytes: &[u8]) -> bool {
    bytes.windows(11).take(4_096).any(|window| window == b"-----BEGIN ")
}

/// Writes one PEM block.
pub(crate) fn to_pem(label: &str, der: &[u8]) -> Secret {
    let body = Secret::new(Base64::encode_string(der).into_bytes());
    let mut out = Vec::with_capacity(body.len() + body.len() / LINE + 2 * label.len() + 64);
    out.extend(format!("-----BEGIN {label}-----\n").as_bytes());
    for line in body.expose().chunks(LINE) {
        out.extend(line);
        out.push(b'\n');
    }
    out.extend(format!("-----END {label}-----\n").as_bytes());
    Secret::new(out)
}

/// Reads base64, blanks and line ends left out.
pub(crate) fn from_base64(text: &[u8]) -> Result<Secret, Error> {
    let packed = packed(text);
    let packed = std::str::from_utf8(packed.expose()).map_err(|_binary| wrong("base64"))?;
    Base64::decode_vec(packed).map(Secret::new).map_err(|_invalid| wrong("base64"))
}

/// Reads hexadecimal, blanks and line ends left out.
pub(crate) fn from_hex(text: &[u8]) -> Result<Secret, Error> {
    hex::decode(packed(text).expose()).map(Secret::new).map_err(|_invalid| wrong("hexadecimal"))
}

fn packed(text: &[u8]) -> Secret {
    let mut out = Vec::with_capacity(text.len());
    out.extend(text.iter().filter(|byte| !byte.is_ascii_whitespace()));
    Secret::new(out)
}

/// Base64 on one line.
pub(crate) fn to_base64(bytes: &[u8]) -> Secret {
    line(Base64::encode_string(bytes))
}

/// Hexadecimal on one line.
pub(crate) fn to_hex(bytes: &[u8]) -> Secret {
    line(hex::encode(bytes))
}

fn line(mut text: String) -> Secret {
    text.reserve_exact(1);
    text.push('\n');
    Secret::new(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pem_comes_back() {
        for length in [0, 1, 47, 48, 49, 300] {
            let der: Vec<u8> = (0..length).map(|at| u8::try_from(at % 256).unwrap()).collect();
            let text = to_pem("PRIVATE KEY", &der);
            assert!(is_pem(text.expose()));
            let pem = from_pem(text.expose()).unwrap();
            assert_eq!((pem.label.as_str(), pem.der.expose()), ("PRIVATE KEY", der.as_slice()));
        }
    }

    #[test]
    fn texts_come_back() {
        let bytes = [0, 1, 0xfe, 0xff];
        assert_eq!(to_hex(&bytes).expose(), b"0001feff\n");
        assert_eq!(from_hex(b"0001 FEff\r\n").unwrap().expose(), bytes);
        assert_eq!(from_base64(to_base64(&bytes).expose()).unwrap().expose(), bytes);
    }

    #[test]
    fn what_is_none_is_refused() {
        assert!(from_hex(b"0g").is_err());
        assert!(from_base64(b"*").is_err());
        assert!(from_pem(b"-----BEGIN A-----\nAA==\n-----END B-----").is_err());
        let encrypted = b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAA==\n-----END RSA PRIVATE KEY-----";
        assert!(from_pem(encrypted).is_err());
    }
}
