//! What a token endpoint answers, and what in it must fit.
//!
//! Signatures are not checked here: the answer came from the provider itself (`OpenID` Connect
//! Core, 3.1.3.7), and the token is for the server, which checks it. It must not know how it was asked for.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::wrong;
use crate::error::Error;
use crate::secret_text::SecretText;

/// The longest time that a token is believed to live; what is longer is taken for unknown.
const LIFETIME_S: i64 = 10 * 366 * 86_400;

/// Tokens, as the provider gives them.
#[derive(Debug, Deserialize)]
pub(crate) struct Granted {
    pub(crate) access_token: SecretText,
    token_type: String,
    #[serde(default)]
    expires_in: Option<Value>,
    #[serde(default)]
    pub(crate) refresh_token: Option<SecretText>,
    #[serde(default)]
    id_token: Option<SecretText>,
}

impl Granted {
    /// Whether it can be used at all.
    pub(super) fn check(&self) -> Result<(), Error> {
        if !self.token_type.eq_ignore_ascii_case("bearer") {
            return Err(wrong("its token is no bearer token"));
        }
        Ok(())
    }

    /// When the token runs out, in seconds since 1970: by the provider's word, or the token's own.
    pub(crate) fn expires(&self, now: i64) -> Option<i64> {
        // Some say it as a text.
        let lifetime = match &self.expires_in {
            Some(Value::Number(number)) => number.as_i64(),
            Some(Value::String(text)) => text.parse().ok(),
            _ => None,
        };
        let lifetime = lifetime.filter(|seconds| (0..LIFETIME_S).contains(seconds));
        match lifetime {
            Some(seconds) => Some(now.saturating_add(seconds)),
            None => expiry(self.access_token.expose()),
        }
    }

    /// Whether the ID token is of this login: by its issuer, for this client, with this nonce.
    pub(super) fn check_id_token(
        &self,
        issuer: &str,
        client_id: &str,
        nonce: &SecretText,
    ) -> Result<(), Error> {
        let token = self.id_token.as_ref().ok_or_else(|| wrong("it gives no ID token"))?;
        let claims = claims(token.expose()).ok_or_else(|| wrong("its ID token is none"))?;
        let text = |name| claims.get(name).and_then(Value::as_str);
        if text("iss") != Some(issuer) {
            return Err(wrong("its ID token is by another issuer"));
        }
        let ours = match claims.get("aud") {
            Some(Value::String(audience)) => audience == client_id,
            Some(Value::Array(all)) => all.iter().any(|it| it.as_str() == Some(client_id)),
            _ => false,
        };
        if !ours {
            return Err(wrong("its ID token is for another client"));
        }
        if !text("nonce").is_some_and(|it| nonce.is(it)) {
            return Err(wrong("its ID token is of another login (the nonce differs)"));
        }
        Ok(())
    }
}

/// Whether a token is a JWT, which is what the server wants. Others are of use to the provider only.
pub(crate) fn is_jwt(token: &str) -> bool {
    claims(token).is_some()
}

/// When a token says that it runs out, in seconds since 1970. Nobody has checked it.
pub(crate) fn expiry(token: &str) -> Option<i64> {
    let claims = claims(token)?;
    let seconds = claims.get("exp")?;
    #[expect(clippy::cast_possible_truncation, reason = "of a fraction, the whole seconds")]
    let whole = |it: &Value| it.as_i64().or_else(|| it.as_f64().map(|seconds| seconds as i64));
    whole(seconds).filter(|seconds| *seconds > 0)
}

/// The claims of a JWT, unchecked.
fn claims(token: &str) -> Option<serde_json::Map<String, Value>> {
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let json = Zeroizing::new(Base64UrlUnpadded::decode_vec(payload).ok()?);
    serde_json::from_slice(&json).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn jwt(claims: &Value) -> String {
        let part = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
        format!("{}.{}.c2ln", part(&json!({"alg": "RS256"})), part(claims))
    }

    fn granted(more: Value) -> Granted {
        let mut all = json!({"access_token": "opaque", "token_type": "Bearer"});
        let (Value::Object(to), Value::Object(from)) = (&mut all, more) else { unreachable!() };
        to.extend(from);
        serde_json::from_value(all).unwrap()
    }

    #[test]
    fn the_end_is_the_providers_or_the_tokens() {
        for (more, expected) in [
            (json!({"expires_in": 60}), Some(1_060)),
            (json!({"expires_in": "60"}), Some(1_060)),
            (json!({}), None),
            (json!({"expires_in": -1}), None),
            (json!({"expires_in": i64::MAX}), None),
            (json!({"access_token": jwt(&json!({"exp": 2_000}))}), Some(2_000)),
            (json!({"access_token": jwt(&json!({"exp": 2_000.5}))}), Some(2_000)),
            (json!({"access_token": jwt(&json!({"exp": "soon"}))}), None),
        ] {
            assert_eq!(granted(more.clone()).expires(1_000), expected, "{more}");
        }
    }

    #[test]
    fn only_bearer_tokens_are_taken() {
        assert!(granted(json!({"token_type": "bearer"})).check().is_ok());
        assert!(granted(json!({"token_type": "DPoP"})).check().is_err());
    }

    #[test]
    fn an_id_token_must_be_of_this_login() {
        let nonce = SecretText::new("n".to_owned());
        let check = |claims: &Value| {
            let granted = granted(json!({"id_token": jwt(claims)}));
            granted.check_id_token("https://a/", "kms", &nonce).is_ok()
        };
        assert!(check(&json!({"iss": "https://a/", "aud": "kms", "nonce": "n"})));
        assert!(check(&json!({"iss": "https://a/", "aud": ["x", "kms"], "nonce": "n"})));
        for claims in [
            json!({"iss": "https://a", "aud": "kms", "nonce": "n"}),
            json!({"iss": "https://a/", "aud": "other", "nonce": "n"}),
            json!({"iss": "https://a/", "aud": ["other"], "nonce": "n"}),
            json!({"iss": "https://a/", "nonce": "n"}),
            json!({"iss": "https://a/", "aud": "kms", "nonce": "m"}),
            json!({"iss": "https://a/", "aud": "kms"}),
            json!([]),
        ] {
            assert!(!check(&claims), "{claims}");
        }
        assert!(granted(json!({})).check_id_token("https://a/", "kms", &nonce).is_err());
    }

    #[test]
    fn a_jwt_is_told_from_other_tokens() {
        assert!(is_jwt(&jwt(&json!({}))));
        for token in ["opaque", "a.b.c", "kms_1_2", "", "a..b", &format!("{}.x", jwt(&json!({})))] {
            assert!(!is_jwt(token), "{token}");
        }
    }
}
