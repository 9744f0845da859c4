//! An authority's key set: which keys of it may vouch for a token, and for tokens of which
//! algorithm.
//!
//! What cannot be used is dropped and the rest stays; a text that is no key set is refused as a
//! whole. Knows no token.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64ct::{Base64UrlUnpadded, Encoding};
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use serde_json::Value;

use crate::members::{Members, shown};

/// More keys than any authority has.
const KEYS_MAX: usize = 100;
/// The longest name of a key, in bytes.
const KID_LENGTH_MAX: usize = 256;
/// Shorter moduli are broken, or will be soon.
const RSA_BITS_MIN: usize = 2048;
/// Longer ones take longer than anybody should be made to wait.
const RSA_BITS_MAX: usize = 8192;

/// The signature algorithms that are accepted: this list, and nothing that a token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// RSA with SHA-256, PKCS #1.
    Rs256,
    /// RSA with SHA-256, PSS.
    Ps256,
    /// P-256 with SHA-256.
    Es256,
    /// P-384 with SHA-384.
    Es384,
}

impl Algorithm {
    const ALL: [(Self, &'static str, jsonwebtoken::Algorithm); 4] = [
        (Self::Rs256, "RS256", jsonwebtoken::Algorithm::RS256),
        (Self::Ps256, "PS256", jsonwebtoken::Algorithm::PS256),
        (Self::Es256, "ES256", jsonwebtoken::Algorithm::ES256),
        (Self::Es384, "ES384", jsonwebtoken::Algorithm::ES384),
    ];

    /// The algorithm of this name, if it is accepted.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }

    fn library(self) -> Option<jsonwebtoken::Algorithm> {
        Self::ALL.iter().find(|row| row.0 == self).map(|row| row.2)
    }
}

/// The public numbers of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Numbers {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    Curve { point: Vec<u8> },
}

/// A key that may vouch for tokens.
#[derive(Debug)]
pub(crate) struct Key {
    numbers: Numbers,
    algorithms: Vec<Algorithm>,
    ready: DecodingKey,
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.numbers == other.numbers && self.algorithms == other.algorithms
    }
}

impl Key {
    fn new(numbers: Numbers, algorithms: Vec<Algorithm>) -> Self {
        let ready = match &numbers {
            Numbers::Rsa { n, e } => DecodingKey::from_rsa_raw_components(n, e),
            Numbers::Curve { point } => DecodingKey::from_ec_der(point),
        };
        Self { numbers, algorithms, ready }
    }

    /// Whether the key may vouch by `algorithm`.
    pub(crate) fn fits(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// Whether `signature`, in base64url, is this key's over `message` by `algorithm`.
    pub(crate) fn verifies(&self, algorithm: Algorithm, message: &str, signature: &str) -> bool {
        let Some(library) = algorithm.library().filter(|_| self.fits(algorithm)) else {
            return false;
        };
        let verified =
            jsonwebtoken::crypto::verify(signature, message.as_bytes(), &self.ready, library);
        verified.unwrap_or(false)
    }
}

/// What a key set says about a name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Entry {
    /// One key has it.
    One(Arc<Key>),
    /// Several have it, so that it names none.
    Several,
}

/// The keys of an authority by their names.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct KeySet {
    entries: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Members>,
}

impl KeySet {
    /// Reads a key set. Returns what was dropped of it, for the log.
    pub(crate) fn read(text: &[u8]) -> Result<(Self, Vec<String>), String> {
        let document: Document = serde_json::from_slice(text)
            .map_err(|error| format!("what it answered is no key set: {error}"))?;
        if document.keys.len() > KEYS_MAX {
            return Err(format!("its key set has more than {KEYS_MAX} keys"));
        }
        let mut entries = BTreeMap::new();
        let mut dropped = Vec::new();
        for (index, entry) in document.keys.iter().enumerate() {
            let kid = match kid(entry) {
                Ok(kid) => kid,
                Err(reason) => {
                    dropped.push(format!("key {}: {reason}", index + 1));
                    continue;
                }
            };
            // Counted before the keys are judged: which of two was meant is not for us to guess.
            if entries.contains_key(kid) {
                dropped.push(format!("key {}: another has the same `kid`", shown(kid)));
                entries.insert(kid.to_owned(), Some(Entry::Several));
                continue;
            }
            let judged = judge(entry);
            if let Err(reason) = &judged {
                dropped.push(format!("key {}: {reason}", shown(kid)));
            }
            let judged = judged.ok().map(|key| Entry::One(Arc::new(key)));
            entries.insert(kid.to_owned(), judged);
        }
        let usable = entries.into_iter().filter_map(|(kid, entry)| Some((kid, entry?)));
        let set = Self { entries: usable.collect() };
        if !set.entries.values().any(|entry| matches!(entry, Entry::One(_))) {
            let why = dropped.first().map(|first| format!(" ({first})")).unwrap_or_default();
            return Err(format!("its key set has no key that can be used{why}"));
        }
        Ok((set, dropped))
    }

    /// What the set says about a name.
    pub(crate) fn get(&self, kid: &str) -> Option<&Entry> {
        self.entries.get(kid)
    }

    /// How many names there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

fn kid(entry: &Members) -> Result<&str, String> {
    match entry.text("kid")? {
        Some(kid) if (1..=KID_LENGTH_MAX).contains(&kid.len()) => Ok(kid),
        Some(_) => Err(format!("its `kid` has not 1 to {KID_LENGTH_MAX} bytes")),
        None => Err("it has no `kid`".to_owned()),
    }
}

/// Whether a key may be used, and for what.
fn judge(entry: &Members) -> Result<Key, String> {
    if entry.has("d") || entry.has("k") {
        return Err("it is a secret key, which is no secret any more".to_owned());
    }
    if entry.text("use")?.is_some_and(|used| used != "sig") {
        return Err("it is not for signatures (`use`)".to_owned());
    }
    let verifies = |operations: &Value| {
        let mut operations = operations.as_array().into_iter().flatten();
        operations.any(|operation| operation == "verify")
    };
    if entry.get("key_ops").is_some_and(|operations| !verifies(operations)) {
        return Err("it is not for verifying (`key_ops`)".to_owned());
    }
    let (numbers, mut algorithms) = match entry.text("kty")? {
        Some("RSA") => (rsa(entry)?, vec![Algorithm::Rs256, Algorithm::Ps256]),
        Some("EC") => curve(entry)?,
        Some(other) => return Err(format!("keys of the type {} are not used", shown(other))),
        None => return Err("it has no `kty`".to_owned()),
    };
    if let Some(name) = entry.text("alg")? {
        algorithms.retain(|algorithm| algorithm.name() == name);
    }
    if algorithms.is_empty() {
        return Err("its `alg` does not fit it, or is not accepted".to_owned());
    }
    Ok(Key::new(numbers, algorithms))
}

fn rsa(entry: &Members) -> Result<Numbers, String> {
    let (n, e) = (number(entry, "n")?, number(entry, "e")?);
    let leading = n.first().map_or(0, |first| first.leading_zeros() as usize);
    let bits = (n.len() * 8).saturating_sub(leading);
    if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
        return Err(format!(
            "an RSA key has {RSA_BITS_MIN} to {RSA_BITS_MAX} bits, and this has {bits}"
        ));
    }
    // 1 would make everything its own signature, and an even one nothing.
    let odd = e.last().is_some_and(|last| last & 1 == 1);
    if !odd || e == [1] || e.len() > 8 {
        return Err("its exponent is none".to_owned());
    }
    Ok(Numbers::Rsa { n, e })
}

fn curve(entry: &Members) -> Result<(Numbers, Vec<Algorithm>), String> {
    let (length, algorithm) = match entry.text("crv")? {
        Some("P-256") => (32, Algorithm::Es256),
        Some("P-384") => (48, Algorithm::Es384),
        _ => return Err("it is on none of the curves P-256 and P-384".to_owned()),
    };
    let (x, y) = (bytes(entry, "x")?, bytes(entry, "y")?);
    if x.len() != length || y.len() != length {
        return Err(format!("its coordinates have not {length} bytes"));
    }
    // A point in full, as SEC 1 writes it.
    let point = [&[4], x.as_slice(), y.as_slice()].concat();
    Ok((Numbers::Curve { point }, vec![algorithm]))
}

/// A number without zeros before it.
fn number(entry: &Members, name: &'static str) -> Result<Vec<u8>, String> {
    let bytes = bytes(entry, name)?;
    let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    Ok(bytes.into_iter().skip(start).collect())
}

fn bytes(entry: &Members, name: &'static str) -> Result<Vec<u8>, String> {
    let text = entry.text(name)?.ok_or_else(|| format!("it has no `{name}`"))?;
    Base64UrlUnpadded::decode_vec(text).map_err(|error| format!("`{name}`: {error}"))
}

#[cfg(test)]
mod tests {
    use kms_testkit::issuer::Key as Signer;
    use serde_json::json;

    use super::*;

    fn read(entries: &[Value]) -> KeySet {
        KeySet::read(json!({ "keys": entries }).to_string().as_bytes()).unwrap().0
    }

    #[test]
    fn exponents_are_odd_and_not_one() {
        let rsa = Signer::new("rsa", kms_testkit::issuer::Algorithm::Rs256).jwk();
        let usual = Signer::new("usual", kms_testkit::issuer::Algorithm::Es256).jwk();
        for (exponent, is_used) in [
            (&[3][..], true),
            (&[1, 0, 1], true),
            (&[0, 0, 3], true),
            (&[1, 0, 0, 0, 0, 0, 0, 1], true),
            (&[1, 0, 0, 0, 0, 0, 0, 0, 1], false),
            (&[], false),
            (&[0], false),
            (&[1], false),
            (&[2], false),
            (&[1, 0, 2], false),
        ] {
            let mut entry = rsa.clone();
            entry["e"] = json!(kms_testkit::issuer::base64url(exponent));
            let set = read(&[entry, usual.clone()]);
            assert_eq!(set.get("rsa").is_some(), is_used, "{exponent:?}");
        }
    }

    #[test]
    fn sets_are_the_same_if_their_keys_are() {
        let new = |kid| Signer::new(kid, kms_testkit::issuer::Algorithm::Es256).jwk();
        let (one, two) = (new("one"), new("two"));
        let set = read(&[one.clone(), two.clone()]);
        assert_eq!(set.len(), 2);
        assert_eq!(set, read(&[two.clone(), one.clone()]));
        let mut renamed = two.clone();
        renamed["kid"] = json!("three");
        for other in [&[one.clone()][..], &[one.clone(), renamed], &[one.clone(), new("two")]] {
            assert_ne!(set, read(other));
        }
        // The same key for another algorithm.
        let rsa = Signer::new("rsa", kms_testkit::issuer::Algorithm::Rs256);
        let pss = rsa.known_as("rsa", kms_testkit::issuer::Algorithm::Ps256);
        assert_ne!(read(&[rsa.jwk()]), read(&[pss.jwk()]));
    }
}
