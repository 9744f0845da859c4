//! The token that says who is calling.
//!
//! It must not know where a token comes from, nor what is in it.

use std::fmt;

use bytes::Bytes;
use hyper::header::HeaderValue;
use zeroize::{Zeroize as _, Zeroizing};

use crate::Error;

/// The longest token that is sent. Servers take 16 KiB at most, and no header much longer.
const LENGTH: usize = 16 << 10;

/// A bearer token: whoever has it is taken for its user.
///
/// It is not shown by `Debug`, cannot be compared, and is wiped when the last copy is dropped.
#[derive(Clone)]
pub struct Token {
    header: HeaderValue,
}

impl Token {
    /// A token, as whoever made it gave it. Blanks around it are left out.
    ///
    /// # Errors
    /// When it is empty, too long, or has characters that no token has.
    pub fn new(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let wrong = |problem| Error::Token { problem };
        if text.is_empty() {
            return Err(wrong("it is empty"));
        }
        if text.len() > LENGTH {
            return Err(wrong("it is longer than 16 KiB"));
        }
        // RFC 6750, section 2.1.
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if !text.bytes().all(known) {
            return Err(wrong("it has characters that no token has"));
        }
        let mut value = Zeroizing::new(Vec::with_capacity("Bearer ".len() + text.len()));
        value.extend_from_slice(b"Bearer ");
        value.extend_from_slice(text.as_bytes());
        let mut header = HeaderValue::from_maybe_shared(Bytes::from_owner(value))
            .map_err(|_invalid| wrong("it has characters that no token has"))?;
        header.set_sensitive(true);
        Ok(Self { header })
    }

    /// The value of `Authorization`; it shares the token's memory.
    pub(crate) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// Whether `text` repeats the token.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        let value = self.header.as_bytes().strip_prefix(b"Bearer ").unwrap_or_default();
        std::str::from_utf8(value).is_ok_and(|token| text.contains(token))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Wipes a line that repeats a token, and says so instead.
pub(crate) fn unsaid(mut line: String) -> String {
    line.zeroize();
    "(its words are left out: they repeat the token)".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_token_is_one() {
        for text in ["a", " eyJ.e30._- \n", "kms_a_b", "AA+/=="] {
            let token = Token::new(text).unwrap();
            assert_eq!(token.header(), format!("Bearer {}", text.trim()).as_str(), "{text}");
        }
        let long = "a".repeat(LENGTH + 1);
        for text in ["", " ", "a b", "a\nb", "a\u{e9}", "a,b", long.as_str()] {
            assert!(matches!(Token::new(text), Err(Error::Token { .. })), "{text}");
        }
    }

    #[test]
    fn it_is_not_shown() {
        let token = Token::new("secret").unwrap();
        assert_eq!(format!("{token:?}"), "Token(…)");
        assert!(!format!("{:?}", token.header()).contains("secret"));
    }

    #[test]
    fn an_error_does_not_repeat_it() {
        let error = Token::new("secret secret").unwrap_err();
        assert!(!format!("{error:?}{error}").contains("secret"));
        assert!(Token::new("secret").unwrap().is_in("what is secret here?"));
    }
}
