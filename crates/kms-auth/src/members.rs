//! The members of a JSON object, each of which is there once.
//!
//! Two members of one name mean different things to different readers, so there must be none.
//! Knows no member's meaning.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;

/// How much of a text from outside is shown.
const SHOWN_LETTERS: usize = 64;
/// The longest reason in a log, in bytes.
const REASON_BYTES: usize = 512;

/// The members of an object.
#[derive(Debug, PartialEq)]
pub(crate) struct Members(HashMap<String, Value>);

impl Members {
    /// Reads an object and nothing beside it.
    pub(crate) fn read(text: &[u8]) -> Result<Self, String> {
        // The reader's own words would repeat what it is instead, as a whole.
        if text.trim_ascii_start().first() != Some(&b'{') {
            return Err("it is no JSON object".to_owned());
        }
        serde_json::from_slice(text).map_err(|error| error.to_string())
    }

    /// A member.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Whether there is such a member, whatever it says.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A member that is a text if it is there.
    pub(crate) fn text(&self, name: &'static str) -> Result<Option<&str>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("`{name}` is not a text")),
        }
    }
}

/// The beginning of a reason that may repeat what came from outside.
pub(crate) fn brief(reason: &str) -> &str {
    reason.get(..reason.floor_char_boundary(REASON_BYTES)).unwrap_or_default()
}

/// A text from outside as it may stand in a log: its beginning, and nothing that looks like more.
pub(crate) fn shown(text: &str) -> String {
    let start: String = text.chars().take(SHOWN_LETTERS).collect();
    let dots = if start.len() < text.len() { "…" } else { "" };
    format!("{start:?}{dots}")
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Members;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members, M::Error> {
        let mut members = HashMap::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            match members.entry(name) {
                Entry::Vacant(place) => {
                    place.insert(value);
                }
                Entry::Occupied(place) => {
                    let name = shown(place.key());
                    return Err(M::Error::custom(format_args!("{name} is there twice")));
                }
            }
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_member_is_there_once() {
        let members = Members::read(br#"{"a": 1, "b": "x", "c": null}"#).unwrap();
        assert_eq!(members.get("a"), Some(&Value::from(1)));
        assert!(members.has("c") && !members.has("d"));
        assert_eq!(members.text("b"), Ok(Some("x")));
        assert_eq!(members.text("d"), Ok(None));
        assert!(members.text("a").is_err() && members.text("c").is_err());
        for text in [
            r#"{"a": 1, "a": 1}"#,
            // However it is spelt.
            r#"{"a": 1, "\u0061": 2}"#,
            "[]",
            "null",
            "{",
            "{} {}",
            "",
        ] {
            assert!(Members::read(text.as_bytes()).is_err(), "{text}");
        }
        let deep = format!(r#"{{"a": {}{}}}"#, "[".repeat(5000), "]".repeat(5000));
        assert!(Members::read(deep.as_bytes()).is_err());
    }

    #[test]
    fn a_reason_repeats_nothing_of_what_is_no_object() {
        for text in ["\"sesame\"", " \"sesame\"", "[\"sesame\"]", "sesame", "{\"a\": sesame}"] {
            let reason = Members::read(text.as_bytes()).unwrap_err();
            assert!(!reason.contains("sesame"), "{reason}");
        }
        assert_eq!(brief("short"), "short");
        let long = "\u{e9}".repeat(REASON_BYTES);
        assert_eq!(brief(&long).len(), REASON_BYTES);
        assert_eq!(brief(&format!("x{long}")).len(), REASON_BYTES - 1);
    }

    #[test]
    fn what_is_shown_is_short_and_on_one_line() {
        assert_eq!(shown("a\nb"), r#""a\nb""#);
        assert_eq!(shown(&"x".repeat(65)), format!("\"{}\"…", "x".repeat(64)));
    }
}
