//! Text that must not be shown: tokens, codes, verifiers.
//!
//! It must not know what the text is for.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// Text that is not printed by `Debug`, is not compared by accident, and is wiped when dropped.
#[derive(Clone)]
pub(crate) struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes the text; its bytes are wiped from here on.
    pub(crate) fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `other` is the same, in a time that does not depend on where they differ.
    pub(crate) fn is(&self, other: &str) -> bool {
        kms_crypto::secret::equal(self.0.as_bytes(), other.as_bytes())
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_not_shown() {
        let text = SecretText::new("sesame".to_owned());
        assert_eq!(format!("{text:?}"), "SecretText(…)");
        assert!(text.is("sesame") && !text.is("sesam") && !text.is("Sesame"));
    }
}
