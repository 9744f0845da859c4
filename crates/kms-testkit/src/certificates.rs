//! Certificates for tests: an authority, what it signs for servers and clients, and some that are
//! wrong on purpose.

use std::fmt::{self, Debug, Formatter};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, DnValue,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};

/// An authority with a key of its own. Two of one name are not the same.
pub struct Authority {
    name: String,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, both as PEM.
#[derive(Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its key, as PKCS#8.
    pub key: String,
    /// Its subject in OpenSSL's one-line form, as MariaDB compares it.
    pub subject: String,
}

impl Debug for Identity {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("subject", &self.subject).finish_non_exhaustive()
    }
}

impl Debug for Authority {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Authority {
    /// A new one.
    pub fn new(name: &str) -> Self {
        let mut wish = params(&[(DnType::CommonName, name)], &[]);
        wish.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        wish.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(wish, key());
        let issuer = issuer.unwrap_or_else(|error| panic!("{error}"));
        Self { name: name.to_owned(), issuer }
    }

    /// Its certificate, as PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Its name in OpenSSL's one-line form.
    pub fn subject(&self) -> String {
        format!("/CN={}", self.name)
    }

    /// A server on this machine.
    pub fn server(&self) -> Identity {
        self.server_of(&["localhost", "127.0.0.1"])
    }

    /// A server of these names.
    pub fn server_of(&self, names: &[&str]) -> Identity {
        let name = names.first().copied().unwrap_or_default();
        let mut wish = params(&[(DnType::CommonName, name)], names);
        wish.insert_extended_key_usage(ExtendedKeyUsagePurpose::ServerAuth);
        self.sign(&wish)
    }

    /// A client whose subject is this common name.
    pub fn client(&self, name: &str) -> Identity {
        self.client_of(&[(DnType::CommonName, name)])
    }

    /// A client with a subject of several parts, in their order.
    pub fn client_of(&self, subject: &[(DnType, &str)]) -> Identity {
        let mut wish = params(subject, &[]);
        wish.insert_extended_key_usage(ExtendedKeyUsagePurpose::ClientAuth);
        self.sign(&wish)
    }

    /// A client whose certificate has expired long ago.
    pub fn expired_client(&self, name: &str) -> Identity {
        let mut wish = params(&[(DnType::CommonName, name)], &[]);
        wish.insert_extended_key_usage(ExtendedKeyUsagePurpose::ClientAuth);
        wish.not_before = date_time_ymd(2001, 1, 1);
        wish.not_after = date_time_ymd(2002, 1, 1);
        self.sign(&wish)
    }

    fn sign(&self, wish: &CertificateParams) -> Identity {
        let key = key();
        let certificate = wish.signed_by(&key, &self.issuer);
        let certificate = certificate.unwrap_or_else(|error| panic!("{error}")).pem();
        Identity { certificate, key: key.serialize_pem(), subject: one_line(wish) }
    }
}

impl Identity {
    /// One that signs itself and says that it is an authority, as EdgelessDB shows.
    pub fn self_signed_authority(subject: &[(DnType, &str)], names: &[&str]) -> Self {
        let mut wish = params(subject, names);
        wish.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = key();
        let certificate = wish.self_signed(&key);
        let certificate = certificate.unwrap_or_else(|error| panic!("{error}")).pem();
        Self { certificate, key: key.serialize_pem(), subject: one_line(&wish) }
    }
}

fn params(subject: &[(DnType, &str)], names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut wish = CertificateParams::new(names).unwrap_or_else(|error| panic!("{error}"));
    wish.distinguished_name = DistinguishedName::new();
    for (part, value) in subject {
        wish.distinguished_name.push(part.clone(), *value);
    }
    wish
}

fn key() -> KeyPair {
    KeyPair::generate().unwrap_or_else(|error| panic!("{error}"))
}

fn one_line(wish: &CertificateParams) -> String {
    let mut line = String::new();
    for (part, value) in wish.distinguished_name.iter() {
        let word = match part {
            DnType::CountryName => "C",
            DnType::OrganizationName => "O",
            DnType::OrganizationalUnitName => "OU",
            DnType::CommonName => "CN",
            other => panic!("no short name for {other:?}"),
        };
        let value = match value {
            DnValue::Utf8String(value) => value.as_str(),
            other => panic!("no text: {other:?}"),
        };
        line.extend(["/", word, "=", value]);
    }
    line
}
