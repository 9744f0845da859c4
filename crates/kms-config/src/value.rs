//! The types of values that options have, and how each is read from text.
//!
//! A reader says only whether the text is one of its values; what is allowed is said by the
//! option's row.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of text an event.
    Text,
    /// One JSON object an event.
    Json,
}

/// A value that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The value.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

/// The URL of a database, which may hold a password, and is not shown.
pub type DatabaseUrl = Secret;

/// The least serious event that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Nothing at all.
    Off,
    /// What failed and needs somebody.
    Error,
    /// What may need somebody.
    Warn,
    /// Starts, stops, changes of the server itself.
    Info,
    /// Every request.
    Debug,
    /// Every step of a request.
    Trace,
}

/// What happens to a key that has encrypted too often with random nonces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoncePolicy {
    /// Its use goes on, with warnings.
    Warn,
    /// Its use for encryption ends, and the answer names re-key.
    Refuse,
}

/// Which field of a client certificate names its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateUser {
    /// The e-mail address: of the subject alternative name, then of the subject; else the common
    /// name.
    Email,
    /// The common name of the subject.
    CommonName,
    /// The subject alternative name: its e-mail address, else its DNS name, else its URI.
    SubjectAlternativeName,
}

/// Where the audit log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditLog {
    /// In files.
    File,
    /// In the database.
    Database,
    /// Nowhere.
    Off,
}

/// When the record of a use is flushed to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditSync {
    /// Within 100 ms.
    Group,
    /// Before each answer.
    Each,
}

pub(crate) fn certificate_user(text: &str) -> Option<CertificateUser> {
    match text {
        "email" => Some(CertificateUser::Email),
        "common-name" => Some(CertificateUser::CommonName),
        "subject-alternative-name" => Some(CertificateUser::SubjectAlternativeName),
        _ => None,
    }
}

pub(crate) fn audit(text: &str) -> Option<AuditLog> {
    match text {
        "file" => Some(AuditLog::File),
        "database" => Some(AuditLog::Database),
        "off" => Some(AuditLog::Off),
        _ => None,
    }
}

pub(crate) fn audit_sync(text: &str) -> Option<AuditSync> {
    match text {
        "group" => Some(AuditSync::Group),
        "each" => Some(AuditSync::Each),
        _ => None,
    }
}

pub(crate) fn accept(text: &str) -> Option<bool> {
    match text {
        "accept" => Some(true),
        "refuse" => Some(false),
        _ => None,
    }
}

pub(crate) fn answer(text: &str) -> Option<bool> {
    match text {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

pub(crate) fn same(text: &str) -> Option<bool> {
    match text {
        "same" => Some(true),
        "separate" => Some(false),
        _ => None,
    }
}

/// Text of which nothing is known but that there is some.
pub(crate) fn text(text: &str) -> Option<String> {
    (!text.is_empty() && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

/// Texts separated by commas, with or without blanks; none where there is nothing.
pub(crate) fn list(list: &str) -> Option<Vec<String>> {
    if list.trim().is_empty() {
        return Some(Vec::new());
    }
    list.split(',').map(|item| text(item.trim())).collect()
}

/// Pairs `NAME=USER` separated by commas.
pub(crate) fn pairs(pairs: &str) -> Option<Vec<(String, String)>> {
    let pair = |pair: String| {
        let (name, user) = pair.split_once('=')?;
        Some((text(name.trim())?, text(user.trim())?))
    };
    list(pairs)?.into_iter().map(pair).collect()
}

/// The issuer of an authority: that of a domain is `https://DOMAIN/`; a URL stands as it is.
fn issuer(given: &str) -> Option<String> {
    let (scheme, rest) = match given.split_once("://") {
        Some(("https", rest)) => ("https", rest),
        // Only for loopback; which build takes it is not decided here.
        Some(("http", rest)) => ("http", rest),
        Some(_) => return None,
        None => ("https", given),
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (name, digits) = match authority.rsplit_once(':') {
        Some((name, digits)) if !name.ends_with(':') => (name, Some(digits)),
        _ => (authority, None),
    };
    host(name)?;
    digits.map_or(Some(0), port)?;
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'|' | b'\\');
    if !path.bytes().all(plain) {
        return None;
    }
    Some(if given.contains("://") { given.to_owned() } else { format!("{scheme}://{authority}/") })
}

#[expect(clippy::option_option, reason = "not set is one of the values")]
pub(crate) fn authority(text: &str) -> Option<Option<String>> {
    if text.is_empty() { Some(None) } else { issuer(text).map(Some) }
}

pub(crate) fn authorities(text: &str) -> Option<Vec<String>> {
    list(text)?.iter().map(|item| issuer(item)).collect()
}

#[expect(clippy::option_option, reason = "not set is one of the values")]
pub(crate) fn optional_path(text: &str) -> Option<Option<PathBuf>> {
    if text.is_empty() { Some(None) } else { path(text).map(Some) }
}

/// A URL with one of the schemes; what follows is read by who connects.
#[expect(clippy::option_option, reason = "not set is one of the values")]
fn database_url(text: &str, schemes: &[&str]) -> Option<Option<DatabaseUrl>> {
    if text.is_empty() {
        return Some(None);
    }
    let (scheme, rest) = text.split_once("://")?;
    (schemes.contains(&scheme) && !rest.is_empty()).then(|| Some(Secret(text.to_owned())))
}

#[expect(clippy::option_option, reason = "not set is one of the values")]
pub(crate) fn postgres_url(text: &str) -> Option<Option<DatabaseUrl>> {
    database_url(text, &["postgresql", "postgres"])
}

#[expect(clippy::option_option, reason = "not set is one of the values")]
pub(crate) fn mysql_url(text: &str) -> Option<Option<DatabaseUrl>> {
    database_url(text, &["mysql", "mariadb"])
}

#[expect(clippy::unnecessary_wraps, reason = "other values have readers that refuse")]
pub(crate) fn secret(text: &str) -> Option<Secret> {
    Some(Secret(text.to_owned()))
}

pub(crate) fn database_connections(text: &str) -> Option<usize> {
    let number = digits(text)?;
    (2..=1000).contains(&number).then_some(number)?.try_into().ok()
}

pub(crate) fn milliseconds(text: &str) -> Option<Duration> {
    let number = digits(text)?;
    (number <= 60_000).then(|| Duration::from_millis(number))
}

pub(crate) fn host(text: &str) -> Option<String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if bare.parse::<IpAddr>().is_ok() {
        return Some(bare.to_owned());
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    // Digits and dots alone are a mistyped address, not a name.
    let numeric = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    (text.len() <= 253 && !numeric && text.split('.').all(label)).then(|| text.to_owned())
}

pub(crate) fn port(text: &str) -> Option<u16> {
    digits(text)?.try_into().ok()
}

pub(crate) fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty() && !text.contains('\0')).then(|| PathBuf::from(text))
}

pub(crate) fn log_format(text: &str) -> Option<LogFormat> {
    match text {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    }
}

pub(crate) fn log_level(text: &str) -> Option<LogLevel> {
    match text {
        "off" => Some(LogLevel::Off),
        "error" => Some(LogLevel::Error),
        "warn" => Some(LogLevel::Warn),
        "info" => Some(LogLevel::Info),
        "debug" => Some(LogLevel::Debug),
        "trace" => Some(LogLevel::Trace),
        _ => None,
    }
}

pub(crate) fn nonce_policy(text: &str) -> Option<NoncePolicy> {
    match text {
        "warn" => Some(NoncePolicy::Warn),
        "refuse" => Some(NoncePolicy::Refuse),
        _ => None,
    }
}

/// A number of bytes, with or without a unit.
pub(crate) fn body_size(text: &str) -> Option<usize> {
    let split = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(split)?;
    let factor: u64 = match unit.trim_start() {
        "" => 1,
        "KiB" | "K" => 1 << 10,
        "MiB" | "M" => 1 << 20,
        "GiB" | "G" => 1 << 30,
        _ => return None,
    };
    let bytes = digits(number)?.checked_mul(factor)?;
    (1024..=1 << 30).contains(&bytes).then_some(bytes)?.try_into().ok()
}

pub(crate) fn connections(text: &str) -> Option<usize> {
    let number = digits(text)?;
    (1..=1_000_000).contains(&number).then_some(number)?.try_into().ok()
}

/// A time in whole seconds, with or without a unit.
pub(crate) fn seconds(text: &str) -> Option<Duration> {
    let (number, factor) = match text.strip_suffix('s') {
        Some(number) => (number, 1),
        None => text.strip_suffix('m').map_or((text, 1), |number| (number, 60)),
    };
    let seconds = digits(number)?.checked_mul(factor)?;
    (1..=86_400).contains(&seconds).then(|| Duration::from_secs(seconds))
}

/// Digits alone: no sign, no blanks, nothing that `parse` would let pass.
fn digits(text: &str) -> Option<u64> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_addresses_or_names() {
        assert_eq!(host("127.0.0.1").as_deref(), Some("127.0.0.1"));
        assert_eq!(host("[::1]").as_deref(), Some("::1"));
        assert_eq!(host("kms.example.com").as_deref(), Some("kms.example.com"));
        for bad in ["", "300.1.1.1", "a b", "-a", "a..b", "http://x", "x:80"] {
            assert_eq!(host(bad), None, "{bad}");
        }
    }

    #[test]
    fn authorities_are_domains_or_issuers() {
        let of = |text| authority(text).map(Option::unwrap_or_default);
        assert_eq!(of("dev-1.us.auth0.com").as_deref(), Some("https://dev-1.us.auth0.com/"));
        assert_eq!(of("https://id.example/realm").as_deref(), Some("https://id.example/realm"));
        assert_eq!(of("http://127.0.0.1:80/").as_deref(), Some("http://127.0.0.1:80/"));
        assert_eq!(authority(""), Some(None));
        for bad in ["ftp://a/", "https://", "a b", "https://a/?x", "a.example:port"] {
            assert_eq!(authority(bad), None, "{bad}");
        }
    }

    #[test]
    fn lists_have_commas() {
        assert_eq!(list("a, b"), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(list(" "), Some(Vec::new()));
        assert_eq!(list("a,,b"), None);
        assert_eq!(pairs("cert:a=b"), Some(vec![("cert:a".to_owned(), "b".to_owned())]));
        assert_eq!(pairs("cert:a"), None);
    }

    #[test]
    fn sizes_have_units_and_bounds() {
        assert_eq!(body_size("64MiB"), Some(64 << 20));
        assert_eq!(body_size("2048"), Some(2048));
        for bad in ["", "MiB", "1", "2GiB", "-5", "64 MB", "99999999999999999999", "+2048"] {
            assert_eq!(body_size(bad), None, "{bad}");
        }
    }

    #[test]
    fn times_are_whole_seconds() {
        assert_eq!(seconds("30"), Some(Duration::from_secs(30)));
        assert_eq!(seconds("30s"), Some(Duration::from_secs(30)));
        assert_eq!(seconds("2m"), Some(Duration::from_mins(2)));
        for bad in ["", "0", "s", "1.5", "2d", "100000"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }
}
