// A table.
//! Attributes: one table, two spellings.
//!
//! KMIP 1.x writes `Attribute { AttributeName: "Activation Date", AttributeValue }`; KMIP 2.x
//! writes `ActivationDate` itself. Must not know how a server carries the rules out.

mod rule;
mod structures;
mod vendor;

use std::borrow::Cow;

use ttlv::{Item, Number, Tag, TagNames, Value};

pub use rule::{ObjectTypes, Rule, Who};
pub use structures::{
    AlternativeName, ApplicationSpecificInformation, CertificateIdentifier, CertificateIssuer,
    CertificateSubject, CryptographicDomainParameters, CryptographicParameters, Digest,
    KeyValueLocation, Link, Name, RandomNumberGenerator, RevocationReason, RotateName,
    ShortUniqueIdentifier, UsageLimits, X509CertificateIdentifier, X509CertificateIssuer,
    X509CertificateSubject,
};
pub use vendor::VendorAttribute;

use crate::enumerations::{
    CertificateType, CryptographicAlgorithm, CryptographicUsageMask, DigitalSignatureAlgorithm,
    KeyFormatType, LinkType, NISTKeyType, ObjectType, OpaqueDataType, ProtectionLevel,
    ProtectionStorageMask, State,
};
use crate::wire::{DateTime, Error, Interval, StructWriter, Wire, put, read, required, structure};
use crate::{Version, tag};

// The rotation policy is the client's to change (other servers' clients do); the specification
// lets it only be set at first, which would make a policy for life of the first one chosen.
attributes! {
    ActivationDate activation_date copy "Activation Date" DateTime, "1.0"..="2.1", once, [Client Client Client Server], ANY;
    AlternativeName alternative_name ref "Alternative Name" AlternativeName, "1.2"..="2.1", many, [Client Client Client Client], ANY;
    AlwaysSensitive always_sensitive copy "Always Sensitive" bool, "1.4"..="2.1", once, [Server Server Server Server], ANY;
    ApplicationSpecificInformation application_specific_information ref "Application Specific Information" ApplicationSpecificInformation, "1.0"..="2.1", many, [Client Client Client Client], ANY;
    ArchiveDate archive_date copy "Archive Date" DateTime, "1.0"..="2.1", once, [Server Server Server Server], ANY;
    CertificateIdentifier certificate_identifier ref "Certificate Identifier" CertificateIdentifier, "1.0"..="1.4", once, [Server Server Server Server], CERTIFICATE;
    CertificateIssuer certificate_issuer ref "Certificate Issuer" CertificateIssuer, "1.0"..="1.4", once, [Server Server Server Server], CERTIFICATE;
    CertificateLength certificate_length copy "Certificate Length" i32, "1.1"..="2.1", once, [Server Server Server Server], CERTIFICATE;
    CertificateSubject certificate_subject ref "Certificate Subject" CertificateSubject, "1.0"..="1.4", once, [Server Server Server Server], CERTIFICATE;
    CertificateSubjectCN certificate_subject_cn ref "Certificate Subject CN" String, "2.0"..="2.1", many, [Server Server Server Server], CERTIFICATE;
    CertificateSubjectO certificate_subject_o ref "Certificate Subject O" String, "2.0"..="2.1", many, [Server Server Server Server], CERTIFICATE;
    CertificateSubjectOU certificate_subject_ou ref "Certificate Subject OU" String, "2.0"..="2.1", many, [Server Server Server Server], CERTIFICATE;
    CertificateSubjectEmail certificate_subject_email ref "Certificate Subject Email" String, "2.0"..="2.1", many, [Server Server Server Server], CERTIFICATE;
    CertificateSubjectC certificate_subject_c ref "Certificate Subject C" String, "2.0"..="2.1", many, [Server Server Server Server], CERTIFICATE;
    CertificateSubjectST certificate_subject_st ref "Certificate Subject ST" String, "2.0"..="2.1", many, [Server Server Server Server], CERTIFICATE;
    CertificateSubjectL certificate_subject_l ref "Certificate Subject L" String, "2.0"..="2.1", many, [Server Server Server Server], CERTIFICATE;
    CertificateSubjectUID certificate_subject_uid ref "Certificate Subject UID" String, "2.0"..="2.1", many, [Server Server Server Server], CERTIFICATE;
    CertificateSubjectSerialNumber certificate_subject_serial_number ref "Certificate Subject Serial Number" String, "2.0"..="2.1", many, [Server Server Server Server], CERTIFICATE;
    CertificateSubjectTitle certificate_subject_title ref "Certificate Subject Title" String, "2.0"..="2.1", many, [Server Server Server Server], CERTIFICATE;
    CertificateSubjectDC certificate_subject_dc ref "Certificate Subject DC" String, "2.0"..="2.1", many, [Server Server Server Server], CERTIFICATE;
    CertificateSubjectDNQualifier certificate_subject_dn_qualifier ref "Certificate Subject DN Qualifier" String, "2.0"..="2.1", many, [Server Server Server Server], CERTIFICATE;
    CertificateIssuerCN certificate_issuer_cn ref "Certificate Issuer CN" String, "2.0"..="2.1", many, [Server Server Server Server], CERTIFICATE;
    CertificateIssuerO certificate_issuer_o ref "Certificate Issuer O" String, "2.0"..="2.1", many, [Server Server Server Server], CERTIFICATE;
    CertificateIssuerOU certificate_issuer_ou ref "Certificate Issuer OU" String, "2.0"..="2.1", many, [Server Server Server Server], CERTIFICATE;
    CertificateIssuerEmail certificate_issuer_email ref "Certificate Issuer Email" String, "2.0"..="2.1", many, [Server Server Server Server], CERTIFICATE;
    CertificateIssuerC certificate_issuer_c ref "Certificate Issuer C" String, "2.0"..="2.1", many, [Server Server Server Server], CERTIFICATE;
    CertificateIssuerST certificate_issuer_st ref "Certificate Issuer ST" String, "2.0"..="2.1", many, [Server Server Server Server], CERTIFICATE;
    CertificateIssuerL certificate_issuer_l ref "Certificate Issuer L" String, "2.0"..="2.1", many, [Server Server Server Server], CERTIFICATE;
    CertificateIssuerUID certificate_issuer_uid ref "Certificate Issuer UID" String, "2.0"..="2.1", many, [Server Server Server Server], CERTIFICATE;
    CertificateIssuerSerialNumber certificate_issuer_serial_number ref "Certificate Issuer Serial Number" String, "2.0"..="2.1", many, [Server Server Server Server], CERTIFICATE;
    CertificateIssuerTitle certificate_issuer_title ref "Certificate Issuer Title" String, "2.0"..="2.1", many, [Server Server Server Server], CERTIFICATE;
    CertificateIssuerDC certificate_issuer_dc ref "Certificate Issuer DC" String, "2.0"..="2.1", many, [Server Server Server Server], CERTIFICATE;
    CertificateIssuerDNQualifier certificate_issuer_dn_qualifier ref "Certificate Issuer DN Qualifier" String, "2.0"..="2.1", many, [Server Server Server Server], CERTIFICATE;
    CertificateType certificate_type copy "Certificate Type" CertificateType, "1.0"..="2.1", once, [Client Server Server Server], CERTIFICATE;
    Comment comment ref "Comment" String, "1.4"..="2.1", once, [Client Client Client Client], ANY;
    CompromiseDate compromise_date copy "Compromise Date" DateTime, "1.0"..="2.1", once, [Server Server Server Server], ANY;
    CompromiseOccurrenceDate compromise_occurrence_date copy "Compromise Occurrence Date" DateTime, "1.0"..="2.1", once, [Server Server Server Server], ANY;
    ContactInformation contact_information ref "Contact Information" String, "1.0"..="2.1", once, [Client Client Client Client], ANY;
    CryptographicAlgorithm cryptographic_algorithm copy "Cryptographic Algorithm" CryptographicAlgorithm, "1.0"..="2.1", once, [Client Server Server Server], ANY;
    CryptographicDomainParameters cryptographic_domain_parameters ref "Cryptographic Domain Parameters" CryptographicDomainParameters, "1.0"..="2.1", once, [Client Server Server Server], KEY_PAIR;
    CryptographicLength cryptographic_length copy "Cryptographic Length" i32, "1.0"..="2.1", once, [Client Server Server Server], ANY;
    CryptographicParameters cryptographic_parameters ref "Cryptographic Parameters" CryptographicParameters, "1.0"..="2.1", many, [Client Client Client Client], ANY;
    CryptographicUsageMask cryptographic_usage_mask copy "Cryptographic Usage Mask" CryptographicUsageMask, "1.0"..="2.1", once, [Client Client Server Server], ANY;
    DeactivationDate deactivation_date copy "Deactivation Date" DateTime, "1.0"..="2.1", once, [Client Client Client Server], ANY;
    Description description ref "Description" String, "1.4"..="2.1", once, [Client Client Client Client], ANY;
    DestroyDate destroy_date copy "Destroy Date" DateTime, "1.0"..="2.1", once, [Server Server Server Server], ANY;
    Digest digest ref "Digest" Digest, "1.0"..="2.1", many, [Server Server Server Server], ANY;
    DigitalSignatureAlgorithm digital_signature_algorithm copy "Digital Signature Algorithm" DigitalSignatureAlgorithm, "1.1"..="2.1", many, [Server Server Server Server], CERTIFICATE;
    Extractable extractable copy "Extractable" bool, "1.4"..="2.1", once, [Client Client Client Server], ANY;
    Fresh fresh copy "Fresh" bool, "1.1"..="2.1", once, [Client Server Server Server], ANY;
    InitialDate initial_date copy "Initial Date" DateTime, "1.0"..="2.1", once, [Server Server Server Server], ANY;
    KeyFormatType key_format_type copy "Key Format Type" KeyFormatType, "2.0"..="2.1", once, [Client Server Server Server], ANY;
    KeyValueLocation key_value_location ref "Key Value Location" KeyValueLocation, "1.2"..="2.1", many, [Client Client Client Client], ANY;
    KeyValuePresent key_value_present copy "Key Value Present" bool, "1.2"..="2.1", once, [Server Server Server Server], ANY;
    LastChangeDate last_change_date copy "Last Change Date" DateTime, "1.0"..="2.1", once, [Server Server Server Server], ANY;
    LeaseTime lease_time copy "Lease Time" Interval, "1.0"..="2.1", once, [Server Server Server Server], ANY;
    Link link ref "Link" Link, "1.0"..="2.1", many, [Client Client Client Client], ANY;
    Name name ref "Name" Name, "1.0"..="2.1", many, [Client Client Client Client], ANY;
    NeverExtractable never_extractable copy "Never Extractable" bool, "1.4"..="2.1", once, [Server Server Server Server], ANY;
    NISTKeyType nist_key_type copy "NIST Key Type" NISTKeyType, "2.0"..="2.1", once, [Client Client Client Client], KEY;
    ObjectGroup object_group ref "Object Group" String, "1.0"..="2.1", many, [Client Client Client Client], ANY;
    ObjectType object_type copy "Object Type" ObjectType, "1.0"..="2.1", once, [Client Server Server Server], ANY;
    OpaqueDataType opaque_data_type copy "Opaque Data Type" OpaqueDataType, "2.0"..="2.1", once, [Client Server Server Server], OPAQUE;
    OperationPolicyName operation_policy_name ref "Operation Policy Name" String, "1.0"..="1.4", once, [Client Server Server Server], ANY;
    OriginalCreationDate original_creation_date copy "Original Creation Date" DateTime, "1.2"..="2.1", once, [Client Client Server Server], ANY;
    PKCS_12FriendlyName pkcs12_friendly_name ref "PKCS#12 Friendly Name" String, "1.4"..="2.1", once, [Client Client Client Client], ANY;
    ProcessStartDate process_start_date copy "Process Start Date" DateTime, "1.0"..="2.1", once, [Client Client Client Server], ANY;
    ProtectStopDate protect_stop_date copy "Protect Stop Date" DateTime, "1.0"..="2.1", once, [Client Client Client Server], ANY;
    ProtectionLevel protection_level copy "Protection Level" ProtectionLevel, "2.0"..="2.1", once, [Client Client Client Client], ANY;
    ProtectionPeriod protection_period copy "Protection Period" Interval, "2.0"..="2.1", once, [Client Client Client Client], ANY;
    ProtectionStorageMask protection_storage_mask copy "Protection Storage Mask" ProtectionStorageMask, "2.0"..="2.1", once, [Client Server Server Server], ANY;
    QuantumSafe quantum_safe copy "Quantum Safe" bool, "2.0"..="2.1", once, [Client Client Client Client], ANY;
    RandomNumberGenerator random_number_generator ref "Random Number Generator" RandomNumberGenerator, "1.3"..="2.1", once, [Client Server Server Server], ANY;
    RevocationReason revocation_reason ref "Revocation Reason" RevocationReason, "1.0"..="2.1", once, [Server Server Server Server], ANY;
    RotateAutomatic rotate_automatic copy "Rotate Automatic" bool, "2.1"..="2.1", once, [Client Client Client Client], ANY;
    RotateDate rotate_date copy "Rotate Date" DateTime, "2.1"..="2.1", once, [Server Server Server Server], ANY;
    RotateGeneration rotate_generation copy "Rotate Generation" i32, "2.1"..="2.1", once, [Server Server Server Server], ANY;
    RotateInterval rotate_interval copy "Rotate Interval" Interval, "2.1"..="2.1", once, [Client Client Client Client], ANY;
    RotateLatest rotate_latest copy "Rotate Latest" bool, "2.1"..="2.1", once, [Server Server Server Server], ANY;
    RotateName rotate_name ref "Rotate Name" RotateName, "2.1"..="2.1", once, [Client Client Client Client], ANY;
    RotateOffset rotate_offset copy "Rotate Offset" Interval, "2.1"..="2.1", once, [Client Client Client Client], ANY;
    Sensitive sensitive copy "Sensitive" bool, "1.4"..="2.1", once, [Client Client Client Server], ANY;
    ShortUniqueIdentifier short_unique_identifier ref "Short Unique Identifier" ShortUniqueIdentifier, "2.0"..="2.1", once, [Server Server Server Server], ANY;
    State state copy "State" State, "1.0"..="2.1", once, [Server Server Server Server], ANY;
    UniqueIdentifier unique_identifier ref "Unique Identifier" String, "1.0"..="2.1", once, [Client Server Server Server], ANY;
    UsageLimits usage_limits copy "Usage Limits" UsageLimits, "1.0"..="2.1", once, [Client Client Client Client], ANY;
    X_509CertificateIdentifier x509_certificate_identifier ref "X.509 Certificate Identifier" X509CertificateIdentifier, "1.1"..="2.1", once, [Server Server Server Server], CERTIFICATE;
    X_509CertificateIssuer x509_certificate_issuer ref "X.509 Certificate Issuer" X509CertificateIssuer, "1.1"..="2.1", once, [Server Server Server Server], CERTIFICATE;
    X_509CertificateSubject x509_certificate_subject ref "X.509 Certificate Subject" X509CertificateSubject, "1.1"..="2.1", once, [Server Server Server Server], CERTIFICATE;
}

/// The attributes of an object, in order; an attribute may occur more than once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attributes(pub Vec<Attribute>);

/// Which attribute a request names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AttributeName {
    /// One of the specification's.
    Kind(AttributeKind),
    /// A vendor's own.
    Vendor {
        /// The vendor; `x` (client) or `y` (server) in KMIP 1.x.
        vendor: String,
        /// The name.
        name: String,
    },
    /// A name or tag that is no attribute's.
    Unknown(String),
}

impl From<AttributeKind> for AttributeName {
    fn from(kind: AttributeKind) -> Self {
        Self::Kind(kind)
    }
}

impl std::fmt::Display for AttributeName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Kind(kind) => f.write_str(kind.rule().name),
            Self::Vendor { vendor, name } => write!(f, "{vendor}-{name}"),
            Self::Unknown(name) => f.write_str(name),
        }
    }
}

impl AttributeName {
    /// Reads the name that KMIP 1.x gives.
    pub fn from_legacy(name: &str) -> Self {
        if let Some(kind) = AttributeKind::from_name(name) {
            return Self::Kind(kind);
        }
        match name.split_once('-') {
            Some((vendor, name)) => Self::Vendor { vendor: vendor.into(), name: name.into() },
            None => Self::Unknown(name.to_owned()),
        }
    }

    fn from_number(number: &Number<'_>) -> Self {
        let tag = match number {
            Number::Code(code) | Number::Both(code, _) => Some(Tag(*code)),
            Number::Name(name) => tag::Names.tag(name),
        };
        if let Some(kind) = tag.and_then(AttributeKind::from_tag) {
            return Self::Kind(kind);
        }
        Self::Unknown(match (tag, number.name()) {
            (_, Some(name)) => name.to_owned(),
            (Some(tag), None) => tag::shown(tag),
            (None, None) => String::new(),
        })
    }
}

impl Wire for AttributeName {
    fn to_value(&self, version: Version) -> Result<Value<'_>, Error> {
        let text = |text| Value::TextString(Cow::Borrowed(text));
        Ok(match self {
            Self::Kind(kind) if version >= Version::V2_0 => {
                let tag = kind.rule().tag;
                Value::Enumeration(match tag::Names.name(tag) {
                    Some(name) => Number::Both(tag.0, Cow::Borrowed(name)),
                    None => Number::Code(tag.0),
                })
            }
            Self::Kind(kind) => text(kind.rule().name),
            Self::Vendor { vendor, name } if version >= Version::V2_0 => Value::Structure(vec![
                Item { tag: tag::VendorIdentification, value: text(vendor) },
                Item { tag: tag::AttributeName, value: text(name) },
            ]),
            Self::Vendor { vendor, name } => Value::TextString(format!("{vendor}-{name}").into()),
            Self::Unknown(name) => text(name),
        })
    }

    fn from_value(value: Value<'_>, version: Version) -> Result<Self, Error> {
        match value {
            Value::TextString(name) if version < Version::V2_0 => Ok(Self::from_legacy(&name)),
            Value::Enumeration(number) if version >= Version::V2_0 => {
                Ok(Self::from_number(&number))
            }
            Value::Structure(items) if version >= Version::V2_0 => {
                let (mut vendor, mut name) = (None, None);
                for item in items {
                    match item.tag {
                        tag::VendorIdentification => put(&mut vendor, item, version)?,
                        tag::AttributeName => put(&mut name, item, version)?,
                        tag => return Err(Error::Unexpected(tag)),
                    }
                }
                Ok(Self::Vendor {
                    vendor: required(vendor, Some(tag::VendorIdentification), version)?,
                    name: required(name, Some(tag::AttributeName), version)?,
                })
            }
            _ => Err(Error::WrongType { expected: "an attribute's name" }),
        }
    }

    fn exists_in(&self, version: Version) -> bool {
        match self {
            Self::Kind(kind) => kind.rule().exists_in(version),
            Self::Vendor { .. } => true,
            Self::Unknown(_) => version < Version::V2_0,
        }
    }
}

impl Attribute {
    /// Which attribute, vendors' own included.
    pub fn name(&self) -> AttributeName {
        match (self.kind(), self) {
            (Some(kind), _) => AttributeName::Kind(kind),
            (None, Self::Vendor(it)) => {
                AttributeName::Vendor { vendor: it.vendor.clone(), name: it.name.clone() }
            }
            (None, _) => AttributeName::Unknown(String::new()),
        }
    }

    /// Whether this is the attribute that `name` names.
    pub fn is(&self, name: &AttributeName) -> bool {
        match (self, name) {
            (Self::Vendor(it), AttributeName::Vendor { vendor, name }) => {
                it.vendor == *vendor && it.name == *name
            }
            (_, AttributeName::Kind(kind)) => self.kind() == Some(*kind),
            _ => false,
        }
    }

    /// The value in the newest version: what rules and searches compare.
    pub fn to_plain(&self) -> Result<Value<'_>, Error> {
        self.value(Version::NEWEST)
    }

    fn exists_in(&self, version: Version) -> bool {
        self.kind().is_none_or(|kind| kind.rule().exists_in(version))
    }

    /// `ActivationDate`, or `Attribute { vendor, name, value }`.
    fn to_item(&self, version: Version) -> Result<Item<'_>, Error> {
        let tag = self.kind().map_or(tag::Attribute, |kind| kind.rule().tag);
        Ok(Item { tag, value: self.value(version).map_err(|error| error.at(tag))? })
    }

    fn from_item(item: Item<'_>, version: Version) -> Result<Self, Error> {
        if item.tag == tag::Attribute {
            return read(item, version).map(Self::Vendor);
        }
        let kind = AttributeKind::from_tag(item.tag)
            .filter(|kind| kind.rule().exists_in(version))
            .ok_or_else(|| Error::unknown_attribute(&tag::shown(item.tag)))?;
        Self::of_kind(kind, item.value, version).map_err(|error| error.at(item.tag))
    }

    /// `{ AttributeName: "Activation Date", AttributeIndex?, AttributeValue }`
    fn to_legacy(&self, index: Option<i32>, version: Version) -> Result<Value<'_>, Error> {
        let (name, value) = match self {
            Self::Vendor(it) => (Cow::Owned(it.legacy_name()), it.value.to_value(version)?),
            _ => (
                Cow::Borrowed(self.kind().map_or("", |kind| kind.rule().name)),
                self.value(version)?,
            ),
        };
        let mut items = Vec::with_capacity(3);
        items.push(Item { tag: tag::AttributeName, value: Value::TextString(name) });
        if let Some(index) = index {
            let value = Value::Integer(Number::Code(index.cast_unsigned()));
            items.push(Item { tag: tag::AttributeIndex, value });
        }
        items.push(Item { tag: tag::AttributeValue, value });
        Ok(Value::Structure(items))
    }

    fn from_legacy(value: Value<'_>, version: Version) -> Result<(Option<i32>, Self), Error> {
        let (mut name, mut index, mut found) = (None, None, None);
        for item in structure(value)? {
            match item.tag {
                tag::AttributeName => put(&mut name, item, version)?,
                tag::AttributeIndex => put(&mut index, item, version)?,
                tag::AttributeValue if found.is_none() => found = Some(item.value),
                tag => return Err(Error::Unexpected(tag)),
            }
        }
        let name: String = required(name, Some(tag::AttributeName), version)?;
        let value = found.ok_or(Error::Missing(tag::AttributeValue))?;
        let attribute = match AttributeName::from_legacy(&name) {
            AttributeName::Kind(kind) if kind.rule().exists_in(version) => {
                Self::of_kind(kind, value, version).map_err(|error| error.at(kind.rule().tag))?
            }
            AttributeName::Vendor { vendor, name } => {
                Self::Vendor(VendorAttribute::checked(vendor, name, value)?)
            }
            _ => return Err(Error::unknown_attribute(&name)),
        };
        Ok((index, attribute))
    }
}

/// One attribute, and in KMIP 1.x which of those of its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Indexed {
    /// The place among the attributes of this name; KMIP 2.x has none.
    pub index: Option<i32>,
    /// The attribute.
    pub attribute: Attribute,
}

impl From<Attribute> for Indexed {
    fn from(attribute: Attribute) -> Self {
        Self { index: None, attribute }
    }
}

impl Wire for Indexed {
    fn to_value(&self, version: Version) -> Result<Value<'_>, Error> {
        if version < Version::V2_0 {
            return self.attribute.to_legacy(self.index, version);
        }
        Ok(Value::Structure(vec![self.attribute.to_item(version)?]))
    }

    fn from_value(value: Value<'_>, version: Version) -> Result<Self, Error> {
        if version < Version::V2_0 {
            let (index, attribute) = Attribute::from_legacy(value, version)?;
            return Ok(Self { index, attribute });
        }
        let mut items = structure(value)?.into_iter();
        match (items.next(), items.next()) {
            (Some(item), None) => Attribute::from_item(item, version).map(Self::from),
            _ => Err(Error::BadValue("one attribute is expected, no more and no less")),
        }
    }

    fn exists_in(&self, version: Version) -> bool {
        self.attribute.exists_in(version)
    }
}

impl Attributes {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In order.
    pub fn iter(&self) -> std::slice::Iter<'_, Attribute> {
        self.0.iter()
    }

    /// The first of this kind.
    pub fn get(&self, kind: AttributeKind) -> Option<&Attribute> {
        self.all(kind).next()
    }

    /// All of this kind, in order: the place is KMIP 1.x's index.
    pub fn all(&self, kind: AttributeKind) -> impl Iterator<Item = &Attribute> {
        self.0.iter().filter(move |it| it.kind() == Some(kind))
    }

    /// All that `name` names, in order.
    pub fn named(&self, name: &AttributeName) -> impl Iterator<Item = &Attribute> {
        self.0.iter().filter(move |it| it.is(name))
    }

    /// Whether there is one of this kind.
    pub fn has(&self, kind: AttributeKind) -> bool {
        self.get(kind).is_some()
    }

    /// Puts `attribute` in the place of those of its name.
    pub fn set(&mut self, attribute: Attribute) {
        let name = attribute.name();
        let place = self.0.iter().position(|it| it.is(&name));
        self.remove(&name);
        self.0.insert(place.unwrap_or(self.0.len()).min(self.0.len()), attribute);
    }

    /// Adds `attribute` after the others.
    pub fn add(&mut self, attribute: Attribute) {
        self.0.push(attribute);
    }

    /// Removes those that `name` names; says how many.
    pub fn remove(&mut self, name: &AttributeName) -> usize {
        let before = self.0.len();
        self.0.retain(|it| !it.is(name));
        before - self.0.len()
    }

    /// Removes those of this kind; says how many.
    pub fn remove_kind(&mut self, kind: AttributeKind) -> usize {
        self.remove(&AttributeName::Kind(kind))
    }

    /// The vendor attribute of this name.
    pub fn vendor(&self, vendor: &str, name: &str) -> Option<&VendorAttribute> {
        self.0.iter().find_map(|it| match it {
            Attribute::Vendor(it) if it.vendor == vendor && it.name == name => Some(it),
            _ => None,
        })
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.0.iter().filter_map(|it| match it {
            Attribute::Name(it) => Some(it),
            _ => None,
        })
    }

    /// The links.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.0.iter().filter_map(|it| match it {
            Attribute::Link(it) => Some(it),
            _ => None,
        })
    }

    /// The object that the first link of this type leads to.
    pub fn linked(&self, kind: LinkType) -> Option<&str> {
        self.links()
            .find(|it| it.link_type == kind)
            .and_then(|it| it.linked_object_identifier.as_id())
    }

    /// Writes the attributes as fields of the structure around them, as 1.x does here and there.
    pub(crate) fn spread<'a>(&'a self, writer: &mut StructWriter<'a>) -> Result<(), Error> {
        let version = writer.version();
        if version < Version::V2_0 {
            for value in self.to_legacy(version) {
                writer.push(Item { tag: tag::Attribute, value: value? });
            }
            return Ok(());
        }
        writer.required(Some(tag::Attributes), self)
    }

    /// The reverse of `spread` in 1.x.
    pub(crate) fn gather(&mut self, item: Item<'_>, version: Version) -> Result<(), Error> {
        self.0.push(Attribute::from_legacy(item.value, version)?.1);
        Ok(())
    }

    /// Each as 1.x writes it; the index only where there is one before.
    fn to_legacy(&self, version: Version) -> impl Iterator<Item = Result<Value<'_>, Error>> {
        let present = self.0.iter().enumerate().filter(move |(_, it)| it.exists_in(version));
        present.map(move |(place, attribute)| {
            let name = attribute.name();
            let before = self.0.iter().take(place).filter(|it| it.is(&name)).count();
            let index = i32::try_from(before).ok().filter(|it| *it > 0);
            attribute.to_legacy(index, version)
        })
    }
}

impl<'a> IntoIterator for &'a Attributes {
    type Item = &'a Attribute;
    type IntoIter = std::slice::Iter<'a, Attribute>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl IntoIterator for Attributes {
    type Item = Attribute;
    type IntoIter = std::vec::IntoIter<Attribute>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromIterator<Attribute> for Attributes {
    fn from_iter<T: IntoIterator<Item = Attribute>>(iter: T) -> Self {
        Self(iter.into_iter().collect())
    }
}

impl Wire for Attributes {
    fn to_value(&self, version: Version) -> Result<Value<'_>, Error> {
        let mut items = Vec::with_capacity(self.0.len());
        if version >= Version::V2_0 {
            for attribute in &self.0 {
                let rule = attribute.kind().map(AttributeKind::rule);
                if rule.is_none_or(|it| it.exists_in(version)) {
                    let tag = rule.map_or(tag::Attribute, |it| it.tag);
                    let value = attribute.value(version).map_err(|error| error.at(tag))?;
                    items.push(Item { tag, value });
                }
            }
        } else {
            for value in self.to_legacy(version) {
                items.push(Item { tag: tag::Attribute, value: value? });
            }
        }
        Ok(Value::Structure(items))
    }

    fn from_value(value: Value<'_>, version: Version) -> Result<Self, Error> {
        let items = structure(value)?;
        let mut attributes = Self(Vec::with_capacity(items.len()));
        for item in items {
            match item.tag {
                _ if version >= Version::V2_0 => {
                    attributes.0.push(Attribute::from_item(item, version)?);
                }
                tag::Attribute => attributes.gather(item, version)?,
                tag::Name => return Err(Error::Unsupported("a template")),
                tag => return Err(Error::Unexpected(tag)),
            }
        }
        Ok(attributes)
    }
}
