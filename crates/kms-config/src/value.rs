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
