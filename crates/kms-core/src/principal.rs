//! Who is calling, as the core knows it: a name that authentication vouched for, the scheme that
//! did, and where the request came from. It must never know how a scheme does it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::again::IdempotencyKey;

/// A user that authentication vouched for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal {
    user: Arc<str>,
    scheme: &'static str,
}

/// The user while no authentication is configured.
pub const ADMIN: &str = "admin";
/// The user that means everybody who is authenticated.
pub const EVERYBODY: &str = "*";
/// The longest name of a user, in bytes.
pub const USER_LENGTH_MAX: usize = kms_store::MAX_NAME;
/// The scheme of a principal that no scheme vouched for.
const NO_SCHEME: &str = "none";

impl Principal {
    /// A principal called `user`, of no scheme: for servers without authentication, and for tests.
    pub fn new(user: &str) -> Self {
        Self::by(NO_SCHEME, user)
    }

    /// A principal called `user`, for whom `scheme` vouches.
    pub fn by(scheme: &'static str, user: &str) -> Self {
        Self { user: user.into(), scheme }
    }

    /// The user's name.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The scheme that vouched for the user; for the audit, and nothing is decided by it.
    pub fn scheme(&self) -> &'static str {
        self.scheme
    }
}

/// The identifier of a request. Written out only where it is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequestId<'a> {
    /// Nobody gave it one.
    #[default]
    None,
    /// The caller's own.
    Given(&'a str),
    /// The server's: a number of the process, and one of the request.
    Made {
        /// Random, and the same for all requests of one process.
        process: u64,
        /// Counts the requests.
        number: u64,
    },
}

impl fmt::Display for RequestId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("-"),
            Self::Given(text) => f.write_str(text),
            Self::Made { process, number } => write!(f, "{process:016x}-{number}"),
        }
    }
}

/// Who asks, and where the request came from.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// Who asks. Rights are decided by this alone.
    pub principal: &'a Principal,
    /// Where the connection comes from; for the audit.
    pub peer: Option<SocketAddr>,
    /// The request's identifier; for the audit.
    pub request: RequestId<'a>,
    /// What the client calls the exchange; for the audit, and nothing is decided by it.
    pub correlation: Option<&'a str>,
    /// What the caller calls the request, so that sending it twice is doing it once.
    pub key: Option<IdempotencyKey<'a>>,
}

impl<'a> From<&'a Principal> for Caller<'a> {
    fn from(principal: &'a Principal) -> Self {
        Self { principal, peer: None, request: RequestId::None, correlation: None, key: None }
    }
}

/// How the names of scopes begin: what a scheme vouches for without an e-mail address.
pub const SCOPES: [&str; 4] = ["cert:", "token:", "user:", "client:"];

/// The one form in which a user's name is compared, or what is wrong with it.
///
/// E-mail addresses and all other names are ASCII without blanks and control characters, in lower
/// case; `docs/decisions` says why. Names in a scope keep their case: what stands behind the colon is
/// another system's name.
pub fn normal_user(name: &str) -> Result<String, &'static str> {
    if name.is_empty() || name.len() > USER_LENGTH_MAX {
        return Err("a user's name has 1 to 255 bytes");
    }
    if is_of_issuer(name) {
        // The users of a further authority: its issuer, a bar, and their name there.
        // An issuer has no bar; what stands behind the first is all its user's.
        let (issuer, user) = name.split_once('|').ok_or("after an issuer follow | and a name")?;
        if !issuer.bytes().all(|byte| byte.is_ascii_graphic()) || is_of_issuer(user) {
            return Err("an issuer's URL has no blanks, and there is one of them");
        }
        return normal_user(user).map(|user| format!("{issuer}|{user}"));
    }
    if SCOPES.iter().any(|scope| name.starts_with(scope)) {
        let plain = !name.chars().any(|letter| letter.is_control() || letter.is_whitespace());
        return if plain {
            Ok(name.to_owned())
        } else {
            Err("a user's name has no blanks and no control characters")
        };
    }
    if !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("a user's name is made of ASCII letters, digits and marks, without blanks");
    }
    Ok(name.to_ascii_lowercase())
}

fn is_of_issuer(name: &str) -> bool {
    name.starts_with("https://") || name.starts_with("http://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_form() {
        for (name, normal) in [
            ("Bob@Example.COM", Ok("bob@example.com")),
            ("admin", Ok("admin")),
            ("*", Ok("*")),
            ("cert:Backup-01", Ok("cert:Backup-01")),
            ("token:Night", Ok("token:Night")),
            ("https://Other.example/|Bob@x", Ok("https://Other.example/|bob@x")),
            ("https://Other.example/|client:A|B", Ok("https://Other.example/|client:A|B")),
        ] {
            assert_eq!(normal_user(name).as_deref(), normal.as_deref(), "{name}");
        }
        for name in [
            "",
            "a b@example.com",
            "b\u{f6}b@example.com",
            "a@b\n",
            "cert:a b",
            "https://a/",
            "https://a/|https://b/|c",
        ] {
            assert!(normal_user(name).is_err(), "{name:?}");
        }
        assert!(normal_user(&"a".repeat(256)).is_err());
    }
}
