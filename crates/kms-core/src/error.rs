//! One error for all of the core: a reason chosen where the failure happens, a text that may reach
//! the caller, and a cause that only the log sees. It must never hold a value of a key.

use std::fmt;

use kmip::enumerations::ResultReason;

/// Whether a request that failed may be sent again as it is. The message says the same at its end, in
/// words that callers may rely on (`docs/protocol.md`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Again {
    /// It would fail again.
    #[default]
    No,
    /// Nothing was changed, and it may succeed in a moment.
    Yes,
    /// It may have been done already.
    Perhaps,
}

impl Again {
    /// What a message ends with.
    pub fn words(self) -> &'static str {
        match self {
            Self::No => "",
            Self::Yes => "; nothing was changed; try again",
            Self::Perhaps => "; it may have been done; look before you send it again",
        }
    }
}

/// Why an operation failed.
#[derive(Debug)]
pub struct Error {
    /// The Result Reason of the answer (KMIP 2.1 section 11.46).
    pub reason: ResultReason,
    /// What the caller may read: what was wrong, where, and what to do.
    pub message: String,
    /// What only the operator may read.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
    /// Whether the request may be sent again.
    pub again: Again,
    /// Whether another request came between, so that the same is done again here.
    pub(crate) retry: bool,
}

/// What the core's functions return.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error that the caller can read.
    pub fn new(reason: ResultReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), source: None, again: Again::No, retry: false }
    }

    /// An error after which the request may be sent again, or not, and the caller is told.
    pub(crate) fn passing(again: Again, reason: ResultReason, message: &str) -> Self {
        Self { again, ..Self::new(reason, format!("{message}{}", again.words())) }
    }

    /// The same, with its cause for the log.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// No such object, or none of the caller's: the two are never told apart.
    pub fn not_found(id: &str) -> Self {
        Self::new(
            ResultReason::ObjectNotFound,
            format!("no object {:?} that you may use", Brief(id)),
        )
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ResultReason::InvalidField, message)
    }

    pub(crate) fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(ResultReason::GeneralFailure, "the server could not finish this; see its log")
            .because(source)
    }

    /// Another request changed what this one had read; nothing was written.
    pub(crate) fn conflict(id: &str) -> Self {
        let message = format!("object {:?} was changed by another request", Brief(id));
        let error = Self::passing(Again::Yes, ResultReason::GeneralFailure, &message);
        Self { retry: true, ..error }
    }

    /// Whether the server could not do what it should, and its operator should hear of it; else the
    /// request cannot be done as it is. The standard calls some mistakes of callers General Failure
    /// too, but those have no cause that only the log sees.
    pub fn is_servers(&self) -> bool {
        self.reason == ResultReason::GeneralFailure && self.source.is_some()
    }

    /// The reason's name as the recorded clients spell it: words joined by underscores.
    pub fn recorded_reason(&self) -> String {
        let name = self.reason.name().unwrap_or("GeneralFailure");
        let mut spelt = String::with_capacity(name.len().saturating_add(6));
        for (at, letter) in name.char_indices() {
            if at > 0 && letter.is_ascii_uppercase() {
                spelt.push('_');
            }
            spelt.push(letter);
        }
        spelt
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// A name from outside, cut to what fits a line.
pub(crate) struct Brief<'a>(pub(crate) &'a str);

impl fmt::Debug for Brief<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LETTERS_MAX: usize = 80;
        match self.0.char_indices().nth(LETTERS_MAX) {
            None => write!(f, "{:?}", self.0),
            Some((end, _)) => write!(f, "{:?}…", self.0.get(..end).unwrap_or_default()),
        }
    }
}
