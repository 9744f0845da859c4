//! Who is calling: what a caller offers becomes a principal.
//!
//! A scheme looks at what was offered and answers *not mine*, *yes* or *failed*. The schemes are
//! asked in order and the first that does not say *not mine* decides; a scheme that fails ends the
//! search, so that a bad token is never given a second chance as something else. What cannot be
//! decided is refused. This crate must never know objects, SQL or routes.

pub mod api_token;
pub mod bearer;
mod cache;
mod claims;
pub mod client_certificate;
mod jwks;
mod members;
pub mod name;
pub mod provider;
pub mod rules;

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;

use kms_core::{ADMIN, Principal};

/// What a caller offers. The server gathers it and judges nothing.
#[derive(Clone, Copy, Default)]
pub struct Offered<'a> {
    /// The value of the `Authorization` header.
    pub authorization: Option<&'a [u8]>,
    /// Whether there was more than one such header: no scheme may choose between them.
    pub authorization_repeated: bool,
    /// The client's certificate, as the TLS handshake verified it, in DER.
    pub certificate: Option<&'a [u8]>,
    /// The user name and password of a Credential in the header of the KMIP message.
    pub password: Option<(&'a str, &'a str)>,
    /// Where the connection comes from.
    pub peer: Option<SocketAddr>,
}

impl<'a> Offered<'a> {
    /// The token of an `Authorization` header with the scheme Bearer (RFC 6750 section 2.1); it may
    /// be empty.
    pub(crate) fn bearer(&self) -> Option<&'a [u8]> {
        let (scheme, rest) = self.authorization?.split_at_checked(b"bearer".len())?;
        let apart = matches!(rest.first(), None | Some(b' '));
        (scheme.eq_ignore_ascii_case(b"bearer") && apart).then_some(rest.trim_ascii())
    }
}

impl fmt::Debug for Offered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Tokens and passwords stay out of every log.
        f.debug_struct("Offered")
            .field("authorization", &self.authorization.map(|_| "…"))
            .field("certificate", &self.certificate.is_some())
            .field("password", &self.password.map(|_| "…"))
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// What a scheme says to what was offered.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing of this scheme was offered.
    NotMine,
    /// The caller is this principal.
    Yes(Principal),
    /// Something of this scheme was offered and is not good.
    Failed(Refusal),
}

/// Why a caller is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What the caller may read: what to change, and nothing that helps to forge.
    pub message: String,
    /// The exact reason, for the log. Holds no token and no password.
    pub reason: String,
    /// What kind of refusal it is.
    pub kind: Kind,
}

/// What kind of refusal it is: what the caller may do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing was offered that says who is calling.
    Missing,
    /// What was offered is not good.
    Invalid,
    /// Our side could not decide; trying again after so many seconds may help.
    Unavailable {
        /// How many.
        retry_s: u32,
    },
}

impl Refusal {
    /// Nothing was offered.
    pub fn missing(message: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { message: message.into(), reason: reason.into(), kind: Kind::Missing }
    }

    /// What was offered is not good.
    pub fn invalid(message: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { message: message.into(), reason: reason.into(), kind: Kind::Invalid }
    }

    /// It could not be decided.
    pub fn unavailable(
        message: impl Into<String>,
        reason: impl Into<String>,
        retry_s: u32,
    ) -> Self {
        let kind = Kind::Unavailable { retry_s };
        Self { message: message.into(), reason: reason.into(), kind }
    }
}

/// The answer of a scheme that may have to ask somebody.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// One way to prove who is calling.
pub trait Authenticator: Send + Sync {
    /// The scheme's name in logs and reports.
    fn name(&self) -> &'static str;
    /// Judges what was offered.
    fn authenticate<'a>(&'a self, offered: &'a Offered<'a>) -> Answer<'a>;
}

/// The schemes that are configured, in order.
pub struct Authentication {
    schemes: Vec<Box<dyn Authenticator>>,
    everyone: Principal,
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.schemes.iter().map(|scheme| scheme.name())).finish()
    }
}

impl Authentication {
    /// Asks `schemes` in this order. With none at all, everyone is the user `admin`.
    pub fn new(schemes: Vec<Box<dyn Authenticator>>) -> Self {
        Self { schemes, everyone: Principal::new(ADMIN) }
    }

    /// The one user that everyone is, while no scheme is configured.
    pub fn everyone(&self) -> Option<&Principal> {
        self.schemes.is_empty().then_some(&self.everyone)
    }

    /// The configured schemes, in order.
    pub fn schemes(&self) -> impl Iterator<Item = &'static str> {
        self.schemes.iter().map(|scheme| scheme.name())
    }

    /// Who is calling.
    pub async fn authenticate(&self, offered: &Offered<'_>) -> Result<Principal, Refusal> {
        if self.schemes.is_empty() {
            return Ok(self.everyone.clone());
        }
        if offered.authorization_repeated {
            return Err(Refusal::invalid(
                "send one Authorization header, not several",
                "there are several Authorization headers",
            ));
        }
        for scheme in &self.schemes {
            match scheme.authenticate(offered).await {
                Outcome::NotMine => {}
                Outcome::Yes(principal) => return Ok(principal),
                Outcome::Failed(refusal) => return Err(refusal),
            }
        }
        Err(Refusal::missing(
            "this server needs to know who is calling; log in first",
            "no scheme took what was offered",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A scheme that knows one word.
    struct Word(&'static str);

    impl Authenticator for Word {
        fn name(&self) -> &'static str {
            self.0
        }

        fn authenticate<'a>(&'a self, offered: &'a Offered<'a>) -> Answer<'a> {
            let outcome = match offered.authorization {
                Some(given) if given == self.0.as_bytes() => Outcome::Yes(Principal::new(self.0)),
                Some(given) if given.starts_with(self.0.as_bytes()) => {
                    Outcome::Failed(Refusal::invalid("no", self.0))
                }
                _ => Outcome::NotMine,
            };
            Box::pin(std::future::ready(outcome))
        }
    }

    fn ask(schemes: Vec<Box<dyn Authenticator>>, given: Option<&[u8]>) -> Result<String, String> {
        let authentication = Authentication::new(schemes);
        let offered = Offered { authorization: given, ..Offered::default() };
        let mut asked = std::pin::pin!(authentication.authenticate(&offered));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match asked.as_mut().poll(&mut context) {
            std::task::Poll::Ready(answer) => {
                answer.map(|it| it.user().to_owned()).map_err(|it| it.reason)
            }
            std::task::Poll::Pending => panic!("nothing here waits"),
        }
    }

    #[test]
    fn without_a_scheme_everyone_is_admin() {
        assert_eq!(ask(vec![], None).as_deref(), Ok("admin"));
        assert_eq!(ask(vec![], Some(b"whatever")).as_deref(), Ok("admin"));
        let nothing = Authentication::new(vec![]);
        assert_eq!(nothing.everyone().map(Principal::user), Some("admin"));
        assert_eq!(nothing.schemes().count(), 0);
    }

    #[test]
    fn with_a_scheme_nobody_is_anonymous() {
        let none = ask(vec![Box::new(Word("a"))], None);
        assert_eq!(none.unwrap_err(), "no scheme took what was offered");
        assert!(ask(vec![Box::new(Word("a"))], Some(b"x")).is_err());
        let two = Authentication::new(vec![Box::new(Word("a")), Box::new(Word("b"))]);
        assert_eq!(two.everyone(), None);
        assert_eq!(two.schemes().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(format!("{two:?}"), r#"["a", "b"]"#);
    }

    #[test]
    fn the_first_that_fails_ends_the_search() {
        let schemes = || -> Vec<Box<dyn Authenticator>> {
            vec![Box::new(Word("a")), Box::new(Word("ab")), Box::new(Word("c"))]
        };
        assert_eq!(ask(schemes(), Some(b"c")).as_deref(), Ok("c"));
        assert_eq!(ask(schemes(), Some(b"ab")).unwrap_err(), "a");
    }

    #[test]
    fn what_was_offered_is_not_printed() {
        let offered = Offered {
            authorization: Some(b"Bearer secret"),
            password: Some(("bob", "secret")),
            ..Offered::default()
        };
        assert!(!format!("{offered:?}").contains("secret"));
    }
}
