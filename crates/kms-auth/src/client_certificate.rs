//! Client certificates: which user one names.
//!
//! Whether a certificate is genuine was decided in the TLS handshake; here only its names are read. A
//! certificate that could mean several users means none. Must not know how connections are made.

use kms_core::Principal;
use kms_crypto::format::certificate::{AlternativeName, Certificate, NamePart};

use crate::name::{CERTIFICATE, Names, Reason};
use crate::{Answer, Authenticator, Offered, Outcome, Refusal};

/// The scheme's name.
pub const NAME: &str = "certificate";

/// Which field of a certificate names its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The e-mail address in the subject alternative name, else in the subject; else the common name.
    Email,
    /// The common name of the subject.
    CommonName,
    /// The subject alternative name: its e-mail address, else its DNS name, else its URI.
    SubjectAlternativeName,
}

/// The scheme.
#[derive(Debug)]
pub struct CertificateScheme {
    field: Field,
    names: Names,
}

impl CertificateScheme {
    /// The scheme that reads this field.
    pub fn new(field: Field, names: Names) -> Self {
        Self { field, names }
    }

    fn judge(&self, offered: &Offered<'_>) -> Outcome {
        let Some(der) = offered.certificate else { return Outcome::NotMine };
        let Ok(certificate) = Certificate::parse(der) else {
            return Outcome::Failed(refusal("it cannot be read"));
        };
        match self.user(&certificate) {
            Ok(user) => Outcome::Yes(Principal::by(NAME, &user)),
            Err(reason) => Outcome::Failed(refusal(reason)),
        }
    }

    fn user(&self, certificate: &Certificate) -> Result<String, Reason> {
        // Read in any case, so that a certificate is not good for one field and broken for another.
        let alternatives =
            certificate.alternative_names().map_err(|_broken| "its extensions cannot be read")?;
        let subject = |part, many| one(certificate.subject.all(part), many);
        let emails = || one(alternatives.iter().filter_map(email), MANY_EMAILS);
        match self.field {
            Field::CommonName => match subject(NamePart::CommonName, MANY_COMMON_NAMES)? {
                Some(name) => self.names.certificate(name),
                None => Err("it has no common name"),
            },
            Field::Email => {
                let address = match emails()? {
                    None => subject(NamePart::Email, MANY_EMAILS)?,
                    address => address,
                };
                if let Some(address) = address {
                    return self.address(address);
                }
                match subject(NamePart::CommonName, MANY_COMMON_NAMES)? {
                    Some(name) => self.names.certificate(name),
                    None => Err("it has neither an e-mail address nor a common name"),
                }
            }
            Field::SubjectAlternativeName => {
                if let Some(address) = emails()? {
                    return self.address(address);
                }
                let host = one(alternatives.iter().filter_map(dns), "it has several DNS names")?;
                if let Some(host) = host {
                    return self.host(host);
                }
                match one(alternatives.iter().filter_map(uri), "it has several URIs")? {
                    Some(uri) => self.scoped(uri),
                    None => Err("it has no subject alternative name that could name a user"),
                }
            }
        }
    }

    fn address(&self, address: &str) -> Result<String, Reason> {
        if address.contains('@') {
            self.names.certificate(address)
        } else {
            Err("its e-mail address is none")
        }
    }

    fn host(&self, name: &str) -> Result<String, Reason> {
        if name.contains('*') {
            return Err("its DNS name is that of many hosts");
        }
        // Names of hosts are the same in upper and lower case.
        self.scoped(&name.to_ascii_lowercase())
    }

    /// The user of a name that is no e-mail address, and must not be read as one.
    fn scoped(&self, name: &str) -> Result<String, Reason> {
        if name.contains('@') {
            return Err("its DNS name or URI looks like an e-mail address");
        }
        self.names.scoped(CERTIFICATE, name)
    }
}

impl Authenticator for CertificateScheme {
    fn name(&self) -> &'static str {
        NAME
    }

    fn authenticate<'a>(&'a self, offered: &'a Offered<'a>) -> Answer<'a> {
        Box::pin(std::future::ready(self.judge(offered)))
    }
}

const MANY_EMAILS: Reason = "it has several e-mail addresses";
const MANY_COMMON_NAMES: Reason = "it has several common names";

/// The one there is, if there is any; of several, none can be chosen.
fn one<'a>(
    mut all: impl Iterator<Item = &'a str>,
    several: Reason,
) -> Result<Option<&'a str>, Reason> {
    let first = all.next();
    if all.next().is_some() { Err(several) } else { Ok(first) }
}

fn email(name: &AlternativeName) -> Option<&str> {
    if let AlternativeName::Email(text) = name { Some(text) } else { None }
}

fn dns(name: &AlternativeName) -> Option<&str> {
    if let AlternativeName::Dns(text) = name { Some(text) } else { None }
}

fn uri(name: &AlternativeName) -> Option<&str> {
    if let AlternativeName::Uri(text) = name { Some(text) } else { None }
}

/// Whoever reads it has the certificate's key, and learns what to change in the next one.
fn refusal(reason: Reason) -> Refusal {
    Refusal::invalid(
        format!("the client certificate names no user of this server: {reason}"),
        format!("a client certificate: {reason}"),
    )
}
