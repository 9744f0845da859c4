//! What an authority answers when it does not do what it is asked, and what we do then: one table.

use std::fmt;

/// What is done about a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The same is asked again at once, a few times.
    Again,
    /// It is tried again after a pause, which grows.
    Retry,
    /// It is tried again when the authority says.
    Wait,
    /// The account is made again with the same key, once; then it is tried again.
    Account,
    /// Only who operates the server can do something about it.
    Operator,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Again => "again at once",
            Self::Retry => "retry",
            Self::Wait => "wait",
            Self::Account => "new account",
            Self::Operator => "operator",
        })
    }
}

/// A kind of problem.
#[derive(Clone, Copy, Debug)]
pub struct Problem {
    /// Its name after `urn:ietf:params:acme:error:`.
    pub name: &'static str,
    /// What we do.
    pub verdict: Verdict,
    /// What people should look at.
    pub hint: &'static str,
}

/// What stands before the names.
const PREFIX: &str = "urn:ietf:params:acme:error:";

use Verdict::{Account, Again, Operator, Retry, Wait};

const fn row(name: &'static str, verdict: Verdict, hint: &'static str) -> Problem {
    Problem { name, verdict, hint }
}

/// The problems of RFC 8555 section 6.7, RFC 9773 and of profiles.
const PROBLEMS: &[Problem] = &[
    row("accountDoesNotExist", Account, "the authority has lost the account"),
    row(
        "alreadyReplaced",
        Again,
        "the certificate was renewed before; it is ordered without saying so",
    ),
    row("alreadyRevoked", Retry, "nothing of ours was to be revoked"),
    row(
        "badCSR",
        Operator,
        "the authority does not sign this kind of request: check the domain name",
    ),
    row("badNonce", Again, "the authority wants its newest number back"),
    row("badPublicKey", Operator, "the authority does not take P-256 keys: choose another one"),
    row("badRevocationReason", Retry, "nothing of ours was to be revoked"),
    row("badSignatureAlgorithm", Operator, "the authority does not take ES256: choose another one"),
    row("caa", Retry, "check the CAA records of the domain: they must allow this authority"),
    row("compound", Retry, "see the problems in it"),
    row(
        "connection",
        Retry,
        "the authority could not reach port 80 of the domain: check its address and the firewall",
    ),
    row("dns", Retry, "the authority could not resolve the domain: check its DNS records"),
    row(
        "externalAccountRequired",
        Operator,
        "the authority wants an external account: set its key and the key's identifier",
    ),
    row(
        "incorrectResponse",
        Retry,
        "somebody else answers on port 80 of the domain: check its address and proxies",
    ),
    row("invalidContact", Operator, "check the e-mail address"),
    row("invalidProfile", Operator, "the authority does not know the profile"),
    row("malformed", Retry, "the authority did not understand us"),
    row("orderNotReady", Retry, "the order is not as far as we thought"),
    row("rateLimited", Wait, "too many certificates or failures for this domain"),
    row("rejectedIdentifier", Operator, "the authority gives no certificates for this domain"),
    row("serverInternal", Retry, "the authority has a fault of its own"),
    row(
        "tls",
        Retry,
        "the authority could not speak TLS with the domain: check redirects of port 80",
    ),
    row(
        "unauthorized",
        Retry,
        "the authority saw another answer than ours: check the domain's address and proxies",
    ),
    row("unsupportedContact", Operator, "check the e-mail address"),
    row("unsupportedIdentifier", Operator, "the authority gives no certificates for such names"),
    row(
        "userActionRequired",
        Operator,
        "the authority's terms have changed: visit the page that it names",
    ),
];

/// What is not in the table: other problems, and answers that are none.
const UNKNOWN: Problem = row("", Retry, "see what the authority says");

/// The table, sorted by name.
pub fn problems() -> &'static [Problem] {
    PROBLEMS
}

/// The row of a problem's type.
pub(crate) fn of_type(kind: Option<&str>) -> &'static Problem {
    let name = kind.and_then(|kind| kind.strip_prefix(PREFIX));
    let found = name.and_then(|name| PROBLEMS.iter().find(|row| row.name == name));
    found.unwrap_or(&UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_finds_its_rows() {
        assert!(PROBLEMS.is_sorted_by_key(|row| row.name));
        for row in PROBLEMS {
            let found = of_type(Some(&format!("{PREFIX}{}", row.name)));
            assert_eq!((found.name, found.verdict), (row.name, row.verdict));
        }
        for unknown in [None, Some(""), Some("dns"), Some("urn:ietf:params:acme:error:other")] {
            assert_eq!(of_type(unknown).verdict, Retry, "{unknown:?}");
        }
    }

    #[test]
    fn the_documentation_has_the_table() {
        let document = include_str!("../../../../docs/tls.md");
        for Problem { name, verdict, hint } in PROBLEMS {
            let line = format!("| `{name}` | {verdict} | {hint} |");
            assert!(document.contains(&line), "docs/tls.md lacks {line}");
        }
    }
}
