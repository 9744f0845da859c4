//! What can go wrong, by kind, and what to do next. A kind is an exit code.
//!
//! It must not print; `main` does.

use std::fmt;
use std::path::Path;

use kmip::enumerations::ResultReason;
use kms_client::Failure;

/// The kinds of error; each is an exit code of `kms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Something that should not happen.
    Unexpected,
    /// The command line, or the profile file, is wrong.
    Usage,
    /// The server cannot be reached, or does not answer as one.
    Unreachable,
    /// The server does not accept the caller.
    Unauthenticated,
    /// There is no such object, or it is not the caller's to see.
    NotFound,
    /// The server refused for another reason.
    Refused,
    /// An encrypted file was altered, cut, or is none.
    Integrity,
    /// A file of this machine cannot be read or written.
    File,
    /// The user stopped it.
    Interrupted,
}

impl Kind {
    /// Every kind, its exit code and what it means.
    pub(crate) const ALL: [(Self, u8, &'static str); 9] = [
        (Self::Unexpected, 1, "something that should not happen"),
        (Self::Usage, 2, "the command line or the profile file is wrong"),
        (Self::Unreachable, 3, "the server cannot be reached, or does not answer as one"),
        (Self::Unauthenticated, 4, "the server does not accept the caller"),
        (Self::NotFound, 5, "there is no such object, or it is not the caller's to see"),
        (Self::Refused, 6, "the server refused"),
        (Self::Integrity, 7, "an encrypted file was altered, cut, or is none"),
        (Self::File, 8, "a file of this machine cannot be read or written"),
        (Self::Interrupted, 130, "it was interrupted"),
    ];

    /// The exit code.
    pub(crate) fn code(self) -> u8 {
        Self::ALL.iter().find(|(kind, ..)| *kind == self).map_or(1, |(_, code, _)| *code)
    }
}

/// An error to tell the user.
#[derive(Debug)]
pub(crate) struct Error {
    pub(crate) kind: Kind,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Error {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    pub(crate) fn unexpected(message: impl Into<String>) -> Self {
        Self::new(Kind::Unexpected, message)
    }

    /// A file could not be `done` ("read", "written", …).
    pub(crate) fn file(done: &str, path: &Path, error: &std::io::Error) -> Self {
        Self::new(Kind::File, format!("{} cannot be {done}: {error}", path.display()))
    }

    /// Says before it what it was about.
    pub(crate) fn context(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what to do next about the object `id`, where that is known.
    pub(crate) fn about(mut self, id: &str, reason: Option<ResultReason>) -> Self {
        let id = quoted(id);
        let hint = match reason {
            // The server names the state in its message; its words are for people, so that not to
            // find it there only makes the hint less pointed.
            Some(ResultReason::WrongKeyLifecycleState) if self.message.contains("is PreActive") => {
                format!("`kms keys activate {id}` makes it work")
            }
            Some(ResultReason::WrongKeyLifecycleState) => format!(
                "`kms keys show {id}` has its state: one that is PreActive works after `kms keys \
                 activate {id}`, one that has ended is replaced by a new one"
            ),
            Some(ResultReason::PermissionDenied) => {
                format!("its owner can allow it: `kms access grant {id} USER OPERATION`")
            }
            Some(ResultReason::ItemNotFound | ResultReason::ObjectNotFound) => {
                "`kms keys list` and `kms locate` show the objects that you may use".to_owned()
            }
            Some(ResultReason::ObjectDestroyed) => {
                "its key is gone for good; `kms keys list` shows the others".to_owned()
            }
            Some(ResultReason::IncompatibleCryptographicUsageMask) => {
                format!("`kms keys show {id}` lists what it may be used for")
            }
            _ => return self,
        };
        self.hint = Some(hint);
        self
    }
}

/// `text` as a shell takes it.
pub(crate) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@:/".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<kms_client::Error> for Error {
    fn from(error: kms_client::Error) -> Self {
        use kms_client::Error as Client;
        let kind = match &error {
            Client::Url { .. }
            | Client::TlsUnavailable { .. }
            | Client::Request { .. }
            | Client::Token { .. }
            | Client::TokenInClear { .. } => Kind::Usage,
            Client::Unauthenticated { .. } => Kind::Unauthenticated,
            Client::Http { status: 404, .. } => Kind::NotFound,
            Client::Http { .. } => Kind::Refused,
            Client::Kmip(failure) => failure_kind(failure),
            _ => Kind::Unreachable,
        };
        let hint = match &error {
            Client::Connect { .. } => Some(START.to_owned()),
            Client::Unauthenticated { token_sent: false, .. } => Some(LOGIN.to_owned()),
            Client::Unauthenticated { token_sent: true, .. } => Some(LOGIN_AGAIN.to_owned()),
            Client::TokenInClear { .. } => Some(IN_CLEAR.to_owned()),
            Client::Later { seconds, .. } => Some(format!("try again in {seconds} s")),
            Client::Kmip(failure) => failure_hint(failure),
            other => other.hint().map(str::to_owned),
        };
        Self { kind, message: error.to_string(), hint }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let mut error = Self::new(failure_kind(&failure), failure.to_string());
        error.hint = failure_hint(&failure);
        error
    }
}

/// What to do when nobody answers.
const START: &str = "start a server with `cargo run --release --features dev`, or say where it is \
                     with --url, KMS_URL or `kms profiles set`";

/// What to do when the server wants to know who calls.
const LOGIN: &str = "log in with `kms login`, or give a token in KMS_TOKEN";

/// What to do when the server does not accept the token.
const LOGIN_AGAIN: &str = "the token has run out, or is not accepted: `kms login` gets a new one \
                           (KMS_TOKEN, where it is set, counts before it)";

/// What to do when a token would be readable on the way.
const IN_CLEAR: &str = "use HTTPS; on a network that you trust, allow it with --insecure-token, or \
                        with `kms profiles set … --insecure-token`";

fn failure_hint(failure: &Failure) -> Option<String> {
    (failure.reason == ResultReason::AuthenticationNotSuccessful).then(|| LOGIN_AGAIN.to_owned())
}

fn failure_kind(failure: &Failure) -> Kind {
    match failure.reason {
        ResultReason::ItemNotFound | ResultReason::ObjectNotFound => Kind::NotFound,
        ResultReason::AuthenticationNotSuccessful => Kind::Unauthenticated,
        _ => Kind::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_code_of_its_own() {
        let mut codes: Vec<u8> = Kind::ALL.iter().map(|(kind, ..)| kind.code()).collect();
        codes.dedup();
        assert_eq!(codes, [1, 2, 3, 4, 5, 6, 7, 8, 130]);
    }

    #[test]
    fn what_a_shell_would_eat_is_quoted() {
        assert_eq!(quoted("a-1"), "a-1");
        assert_eq!(quoted("[\"a\"]"), "'[\"a\"]'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }
}
