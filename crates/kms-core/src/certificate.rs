//! What a certificate says, as attributes (KMIP 2.1 sections 4.6 to 4.8 and 4.61 to 4.63). It is
//! read, not trusted. It must never know whose it is.

use kmip::attribute::{
    Attribute, AttributeKind, Attributes, CertificateIdentifier, CertificateIssuer,
    CertificateSubject, X509CertificateIdentifier, X509CertificateIssuer, X509CertificateSubject,
};
use kmip::enumerations::{CryptographicAlgorithm, DigitalSignatureAlgorithm};
use kmip::wire::Bytes;
use kms_crypto::format::KeyFacts;
use kms_crypto::format::certificate::{Certificate, Name, NamePart};

use crate::key_form;

/// An attribute of one text.
type MakeAttribute = fn(String) -> Attribute;

/// The parts of a name, and the attributes that they are as parts of a subject and of an issuer.
const PARTS: &[(NamePart, MakeAttribute, MakeAttribute)] = {
    use Attribute as A;
    use NamePart as Part;
    &[
        (Part::CommonName, A::CertificateSubjectCN, A::CertificateIssuerCN),
        (Part::Organization, A::CertificateSubjectO, A::CertificateIssuerO),
        (Part::OrganizationalUnit, A::CertificateSubjectOU, A::CertificateIssuerOU),
        (Part::Email, A::CertificateSubjectEmail, A::CertificateIssuerEmail),
        (Part::Country, A::CertificateSubjectC, A::CertificateIssuerC),
        (Part::State, A::CertificateSubjectST, A::CertificateIssuerST),
        (Part::Locality, A::CertificateSubjectL, A::CertificateIssuerL),
        (Part::UserId, A::CertificateSubjectUID, A::CertificateIssuerUID),
        (Part::SerialNumber, A::CertificateSubjectSerialNumber, A::CertificateIssuerSerialNumber),
        (Part::Title, A::CertificateSubjectTitle, A::CertificateIssuerTitle),
        (Part::DomainComponent, A::CertificateSubjectDC, A::CertificateIssuerDC),
        (Part::DnQualifier, A::CertificateSubjectDNQualifier, A::CertificateIssuerDNQualifier),
    ]
};

/// The signature algorithms that have a number.
const SIGNATURES: &[(&str, DigitalSignatureAlgorithm)] = {
    use DigitalSignatureAlgorithm as Algorithm;
    &[
        ("md5WithRSAEncryption", Algorithm::MD5WithRSAEncryption),
        ("sha1WithRSAEncryption", Algorithm::SHA_1WithRSAEncryption),
        ("sha256WithRSAEncryption", Algorithm::SHA_256WithRSAEncryption),
        ("sha384WithRSAEncryption", Algorithm::SHA_384WithRSAEncryption),
        ("sha512WithRSAEncryption", Algorithm::SHA_512WithRSAEncryption),
        ("rsassaPss", Algorithm::RSASSA_PSS),
        ("dsa-with-SHA1", Algorithm::DSAWithSHA_1),
        ("dsa-with-SHA256", Algorithm::DSAWithSHA256),
        ("ecdsa-with-SHA1", Algorithm::ECDSAWithSHA_1),
        ("ecdsa-with-SHA256", Algorithm::ECDSAWithSHA256),
        ("ecdsa-with-SHA384", Algorithm::ECDSAWithSHA384),
        ("ecdsa-with-SHA512", Algorithm::ECDSAWithSHA512),
    ]
};

/// Writes what a certificate says into its attributes. One that cannot be read is kept all the
/// same.
pub(crate) fn describe(der: &[u8], attributes: &mut Attributes) {
    let length = i32::try_from(der.len()).unwrap_or(i32::MAX);
    attributes.set(Attribute::CertificateLength(length));
    let Ok(read) = Certificate::parse(der) else { return };
    for (part, of_subject, of_issuer) in PARTS {
        for text in read.subject.all(*part) {
            attributes.add(of_subject(text.to_owned()));
        }
        for text in read.issuer.all(*part) {
            attributes.add(of_issuer(text.to_owned()));
        }
    }
    let signature = SIGNATURES.iter().find(|row| Some(row.0) == read.signature_name());
    if let Some((_, algorithm)) = signature {
        attributes.set(Attribute::DigitalSignatureAlgorithm(*algorithm));
    }
    if let Some(facts) = read.key
        && !attributes.has(AttributeKind::CryptographicLength)
    {
        describe_key(facts, attributes);
    }
    let issuer = Bytes(read.issuer.der);
    attributes.set(Attribute::X_509CertificateIdentifier(X509CertificateIdentifier {
        issuer_distinguished_name: issuer.clone(),
        certificate_serial_number: Bytes(read.serial),
    }));
    attributes.set(Attribute::X_509CertificateIssuer(X509CertificateIssuer {
        issuer_distinguished_name: issuer,
        issuer_alternative_name: Vec::new(),
    }));
    attributes.set(Attribute::X_509CertificateSubject(X509CertificateSubject {
        subject_distinguished_name: Bytes(read.subject.der),
        subject_alternative_name: Vec::new(),
    }));
}

/// Algorithm and length of the public key.
fn describe_key(facts: KeyFacts, attributes: &mut Attributes) {
    let length = i32::try_from(facts.bits).unwrap_or(i32::MAX);
    attributes.set(Attribute::CryptographicLength(length));
    if !attributes.has(AttributeKind::CryptographicAlgorithm) {
        let row = key_form::CURVES.iter().find(|row| Some(row.1) == facts.curve());
        let algorithm = row.map_or(CryptographicAlgorithm::RSA, |row| row.2);
        attributes.set(Attribute::CryptographicAlgorithm(algorithm));
    }
}

/// The attributes of KMIP 1.x that say the same as text. They are not stored: they follow from the
/// newer ones.
pub(crate) fn deprecated(attributes: &Attributes) -> Vec<Attribute> {
    let mut found = Vec::new();
    let text = |der: &[u8]| Name::parse(der).ok().map(|name| name.text().to_owned());
    if let Some(it) = attributes.x509_certificate_identifier()
        && let Some(issuer) = text(&it.issuer_distinguished_name)
    {
        let serial_number = Some(digits(&it.certificate_serial_number));
        let certificate_issuer_distinguished_name = issuer.clone();
        found.push(Attribute::CertificateIdentifier(CertificateIdentifier {
            issuer,
            serial_number,
        }));
        found.push(Attribute::CertificateIssuer(CertificateIssuer {
            certificate_issuer_distinguished_name,
            certificate_issuer_alternative_name: Vec::new(),
        }));
    }
    if let Some(it) = attributes.x509_certificate_subject()
        && let Some(subject) = text(&it.subject_distinguished_name)
    {
        found.push(Attribute::CertificateSubject(CertificateSubject {
            certificate_subject_distinguished_name: subject,
            certificate_subject_alternative_name: Vec::new(),
        }));
    }
    found
}

/// A serial number in hexadecimal, without the zero that only says that it is not negative.
fn digits(serial: &[u8]) -> String {
    let serial = match serial {
        [0, rest @ ..] if !rest.is_empty() => rest,
        serial => serial,
    };
    let mut text = String::with_capacity(serial.len().saturating_mul(2));
    text.extend(serial.iter().map(|byte| format!("{byte:02X}")));
    text
}
