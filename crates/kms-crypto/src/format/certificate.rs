//! What an X.509 certificate says about itself. It is read, not trusted: no signature, date or
//! chain is checked here.

use super::der::{BIT_STRING, BOOLEAN, INTEGER, OCTET_STRING, OID, Reader, SEQUENCE, SET, context};
use super::{KeyFacts, PublicFormat, PublicKey};
use crate::Error;

/// The longest certificate that is read, in bytes.
pub const LONGEST: usize = 256 << 10;
/// The most parts of one name, and the most names of one list.
const MOST_PARTS: usize = 256;
/// The most extensions of one certificate.
const MOST_EXTENSIONS: usize = 64;
/// The object identifier of the extension Subject Alternative Name (RFC 5280 section 4.2.1.6).
const SUBJECT_ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1D, 0x11];
/// The object identifier of the extension Authority Key Identifier (RFC 5280 section 4.2.1.1).
const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1D, 0x23];
/// What is reported as malformed.
const EXTENSIONS: &str = "X.509 extensions";

/// A part of a name that protocols ask for by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NamePart {
    /// CN.
    CommonName,
    /// O.
    Organization,
    /// OU.
    OrganizationalUnit,
    /// E-mail address.
    Email,
    /// C.
    Country,
    /// ST.
    State,
    /// L.
    Locality,
    /// UID.
    UserId,
    /// The serial number of the subject, not of the certificate.
    SerialNumber,
    /// Title.
    Title,
    /// DC.
    DomainComponent,
    /// DN qualifier.
    DnQualifier,
}

/// The object identifiers of the parts of a name, with their short names (RFC 4519).
const PARTS: &[(&[u8], NamePart, &str)] = &[
    (&[0x55, 0x04, 0x03], NamePart::CommonName, "CN"),
    (&[0x55, 0x04, 0x0A], NamePart::Organization, "O"),
    (&[0x55, 0x04, 0x0B], NamePart::OrganizationalUnit, "OU"),
    (&[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x09, 0x01], NamePart::Email, "emailAddress"),
    (&[0x55, 0x04, 0x06], NamePart::Country, "C"),
    (&[0x55, 0x04, 0x08], NamePart::State, "ST"),
    (&[0x55, 0x04, 0x07], NamePart::Locality, "L"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xF2, 0x2C, 0x64, 0x01, 0x01], NamePart::UserId, "UID"),
    (&[0x55, 0x04, 0x05], NamePart::SerialNumber, "serialNumber"),
    (&[0x55, 0x04, 0x0C], NamePart::Title, "title"),
    (
        &[0x09, 0x92, 0x26, 0x89, 0x93, 0xF2, 0x2C, 0x64, 0x01, 0x19],
        NamePart::DomainComponent,
        "DC",
    ),
    (&[0x55, 0x04, 0x2E], NamePart::DnQualifier, "dnQualifier"),
];

/// Signature algorithms by object identifier: the name, for people and tables.
const SIGNATURES: &[(&[u8], &str)] = &[
    (&[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x04], "md5WithRSAEncryption"),
    (&[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x05], "sha1WithRSAEncryption"),
    (&[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0A], "rsassaPss"),
    (&[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0B], "sha256WithRSAEncryption"),
    (&[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0C], "sha384WithRSAEncryption"),
    (&[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0D], "sha512WithRSAEncryption"),
    (&[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x01], "ecdsa-with-SHA1"),
    (&[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02], "ecdsa-with-SHA256"),
    (&[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x03], "ecdsa-with-SHA384"),
    (&[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x04], "ecdsa-with-SHA512"),
    (&[0x2A, 0x86, 0x48, 0xCE, 0x38, 0x04, 0x03], "dsa-with-SHA1"),
    (&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x02], "dsa-with-SHA256"),
    (&[0x2B, 0x65, 0x70], "Ed25519"),
    (&[0x2B, 0x65, 0x71], "Ed448"),
];

/// A distinguished name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The name as it stands in the certificate: what is compared and given back.
    pub der: Vec<u8>,
    /// The parts that are known, in their order; a part may occur more than once.
    pub parts: Vec<(NamePart, String)>,
    text: String,
}

impl Name {
    /// The values of one part, in their order.
    pub fn all(&self, part: NamePart) -> impl Iterator<Item = &str> {
        self.parts.iter().filter(move |(kind, _)| *kind == part).map(|(_, value)| value.as_str())
    }

    /// Reads a name in DER. All of it must be the name.
    pub fn parse(der: &[u8]) -> Result<Self, Error> {
        if der.len() > LONGEST {
            return Err(Error::TooLarge { limit: LONGEST });
        }
        let mut reader = Reader::new("X.500 name", der);
        let name = read_name(&mut reader)?;
        reader.end()?;
        Ok(name)
    }

    /// The name as RFC 4514 writes it, the last part first: `CN=kms,O=Example,C=FR`.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// An X.509 certificate, read.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The version: 1, 2 or 3.
    pub version: u8,
    /// The serial number: the contents of its integer, which is signed and begins with its sign.
    pub serial: Vec<u8>,
    /// Who issued it.
    pub issuer: Name,
    /// Whom it is for.
    pub subject: Name,
    /// From when it is valid, in seconds since 1970.
    pub not_before: i64,
    /// Until when it is valid, in seconds since 1970.
    pub not_after: i64,
    /// The public key, as `SubjectPublicKeyInfo` in DER.
    pub public_key: Vec<u8>,
    /// Algorithm and length of the public key, if it is one that is known and in order.
    pub key: Option<KeyFacts>,
    /// The object identifier of the signature's algorithm: the contents of its DER.
    pub signature_oid: Vec<u8>,
    /// The list of extensions in DER; empty if there is none.
    extensions: Vec<u8>,
}

/// A name in the extension Subject Alternative Name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlternativeName {
    /// An e-mail address.
    Email(String),
    /// The name of a host.
    Dns(String),
    /// A URI.
    Uri(String),
    /// Something else: the tag of its kind.
    Other(u8),
}

impl Certificate {
    /// Reads a certificate in DER. All of it must be the certificate.
    pub fn parse(der: &[u8]) -> Result<Self, Error> {
        if der.len() > LONGEST {
            return Err(Error::TooLarge { limit: LONGEST });
        }
        let mut outer = Reader::new("X.509 certificate", der);
        let mut certificate = outer.enter(SEQUENCE)?;
        outer.end()?;
        let mut body = certificate.enter(SEQUENCE)?;
        let signature_oid = read_algorithm(&mut certificate)?;
        certificate.expect(BIT_STRING)?;
        certificate.end()?;

        let version = read_version(&mut body)?;
        let serial = body.expect(INTEGER)?;
        if serial.is_empty() || serial.len() > 64 {
            return Err(body.malformed());
        }
        let named = read_algorithm(&mut body)?;
        if named != signature_oid {
            return Err(body.malformed());
        }
        let issuer = read_name(&mut body)?;
        let mut validity = body.enter(SEQUENCE)?;
        let (not_before, not_after) = (read_time(&mut validity)?, read_time(&mut validity)?);
        validity.end()?;
        let subject = read_name(&mut body)?;
        let public_key = body.any()?;
        if public_key.tag != SEQUENCE {
            return Err(body.malformed());
        }
        let extensions = read_rest(body)?;
        let key = PublicKey::parse(PublicFormat::Spki, public_key.whole).ok();
        Ok(Self {
            version,
            serial: serial.to_vec(),
            issuer,
            subject,
            not_before,
            not_after,
            public_key: public_key.whole.to_vec(),
            key: key.map(|key| key.facts()),
            signature_oid: signature_oid.to_vec(),
            extensions: extensions.to_vec(),
        })
    }

    /// The names of the extension Subject Alternative Name, in their order; none if it is not there.
    pub fn alternative_names(&self) -> Result<Vec<AlternativeName>, Error> {
        match self.extension(SUBJECT_ALTERNATIVE_NAME)? {
            Some(value) => read_alternative_names(Reader::new(EXTENSIONS, value)),
            None => Ok(Vec::new()),
        }
    }

    /// The name of its authority's key, as the extension Authority Key Identifier has it, if it does.
    pub fn authority_key(&self) -> Result<Option<&[u8]>, Error> {
        let Some(value) = self.extension(AUTHORITY_KEY_IDENTIFIER)? else { return Ok(None) };
        let mut fields = Reader::new(EXTENSIONS, value).enter(SEQUENCE)?;
        Ok(fields.optional(0x80)?.map(|key| key.contents))
    }

    /// What an extension holds, if it is there.
    fn extension(&self, wanted: &[u8]) -> Result<Option<&[u8]>, Error> {
        let mut reader = Reader::new(EXTENSIONS, &self.extensions);
        if reader.is_empty() {
            return Ok(None);
        }
        let mut list = reader.enter(SEQUENCE)?;
        reader.end()?;
        let mut found = None;
        for _ in 0..MOST_EXTENSIONS {
            if list.is_empty() {
                return Ok(found);
            }
            let mut extension = list.enter(SEQUENCE)?;
            let oid = extension.expect(OID)?;
            extension.optional(BOOLEAN)?;
            let value = extension.expect(OCTET_STRING)?;
            extension.end()?;
            // Of two, none can be chosen.
            if oid == wanted && found.replace(value).is_some() {
                return Err(list.malformed());
            }
        }
        Err(list.malformed())
    }

    /// The signature's algorithm by name, if it is known.
    pub fn signature_name(&self) -> Option<&'static str> {
        SIGNATURES.iter().find(|(oid, _)| *oid == self.signature_oid).map(|(_, name)| *name)
    }
}

fn read_version(body: &mut Reader<'_>) -> Result<u8, Error> {
    let Some(version) = body.optional(context(0))? else { return Ok(1) };
    let mut inner = body.inside(version.contents);
    let number = match inner.unsigned()? {
        [] => 1,
        [1] => 2,
        [2] => 3,
        _ => return Err(body.malformed()),
    };
    inner.end()?;
    Ok(number)
}

fn read_algorithm<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Error> {
    let mut algorithm = reader.enter(SEQUENCE)?;
    let oid = algorithm.expect(OID)?;
    if !algorithm.is_empty() {
        algorithm.any()?;
    }
    algorithm.end()?;
    Ok(oid)
}

/// Unique identifiers, and extensions, which are given back; nothing else may be there.
fn read_rest(body: Reader<'_>) -> Result<&[u8], Error> {
    let mut body = body;
    body.optional(0x81)?;
    body.optional(0x82)?;
    let extensions = body.optional(context(3))?;
    body.end()?;
    Ok(extensions.map_or(&[], |extensions| extensions.contents))
}

fn read_alternative_names(mut reader: Reader<'_>) -> Result<Vec<AlternativeName>, Error> {
    let mut list = reader.enter(SEQUENCE)?;
    reader.end()?;
    let mut names = Vec::new();
    while !list.is_empty() {
        if names.len() >= MOST_PARTS {
            return Err(list.malformed());
        }
        let name = list.any()?;
        // The three are IA5String: ASCII.
        let text = || match str::from_utf8(name.contents) {
            Ok(text) if text.is_ascii() => Ok(text.to_owned()),
            _ => Err(list.malformed()),
        };
        names.push(match name.tag {
            0x81 => AlternativeName::Email(text()?),
            0x82 => AlternativeName::Dns(text()?),
            0x86 => AlternativeName::Uri(text()?),
            other => AlternativeName::Other(other),
        });
    }
    Ok(names)
}

fn read_name(reader: &mut Reader<'_>) -> Result<Name, Error> {
    let name = reader.any()?;
    if name.tag != SEQUENCE {
        return Err(reader.malformed());
    }
    let mut sets = reader.inside(name.contents);
    let mut parts = Vec::new();
    let mut shown: Vec<String> = Vec::new();
    let mut count = 0_usize;
    while !sets.is_empty() {
        let mut set = sets.enter(SET)?;
        let mut together = String::new();
        while !set.is_empty() {
            let mut pair = set.enter(SEQUENCE)?;
            let oid = pair.expect(OID)?;
            let value = pair.any()?;
            pair.end()?;
            count = count.saturating_add(1);
            if count > MOST_PARTS {
                return Err(reader.malformed());
            }
            if !together.is_empty() {
                together.push('+');
            }
            if let Some((_, part, short)) = PARTS.iter().find(|(known, ..)| *known == oid) {
                let text = text(value.tag, value.contents).ok_or(reader.malformed())?;
                together.push_str(short);
                together.push('=');
                escape(&text, &mut together);
                parts.push((*part, text));
            } else {
                together.push_str(&dotted(oid));
                together.push_str("=#");
                together.extend(value.whole.iter().map(|byte| format!("{byte:02X}")));
            }
        }
        shown.push(together);
    }
    shown.reverse();
    Ok(Name { der: name.whole.to_vec(), parts, text: shown.join(",") })
}

/// A value of a name, with what would be read as something else escaped (RFC 4514 section 2.4).
fn escape(value: &str, out: &mut String) {
    let last = value.chars().count().saturating_sub(1);
    for (place, character) in value.chars().enumerate() {
        let at_edge =
            (character == ' ' && (place == 0 || place == last)) || (character == '#' && place == 0);
        match character {
            '\0' => out.push_str("\\00"),
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => out.extend(['\\', character]),
            _ if at_edge => out.extend(['\\', character]),
            _ => out.push(character),
        }
    }
}

/// An object identifier as numbers: `2.5.4.3`.
fn dotted(oid: &[u8]) -> String {
    let mut numbers: Vec<String> = Vec::new();
    let mut number = 0_u64;
    for byte in oid {
        number = number.saturating_mul(0x80).saturating_add(u64::from(byte & 0x7F));
        if byte & 0x80 != 0 {
            continue;
        }
        if numbers.is_empty() {
            // The first two share a number.
            let first = number.checked_div(40).unwrap_or(0).min(2);
            numbers.push(first.to_string());
            number = number.saturating_sub(first.saturating_mul(40));
        }
        numbers.push(number.to_string());
        number = 0;
    }
    numbers.join(".")
}

/// A string in one of X.509's encodings.
fn text(tag: u8, bytes: &[u8]) -> Option<String> {
    match tag {
        // UTF8String, and the subsets of ASCII: NumericString, PrintableString, IA5String.
        0x0C | 0x12 | 0x13 | 0x16 => str::from_utf8(bytes).ok().map(str::to_owned),
        // TeletexString is Latin-1 in practice.
        0x14 => Some(bytes.iter().map(|byte| char::from(*byte)).collect()),
        // UniversalString: UTF-32.
        0x1C => {
            let (characters, rest) = bytes.as_chunks::<4>();
            let read = characters.iter().map(|bytes| char::from_u32(u32::from_be_bytes(*bytes)));
            rest.is_empty().then(|| read.collect::<Option<_>>())?
        }
        // BMPString: UTF-16.
        0x1E => {
            let (units, rest) = bytes.as_chunks::<2>();
            let units: Vec<u16> = units.iter().map(|bytes| u16::from_be_bytes(*bytes)).collect();
            rest.is_empty().then(|| String::from_utf16(&units).ok())?
        }
        _ => None,
    }
}

/// `UTCTime` or `GeneralizedTime`, as RFC 5280 allows them: to the second, in UTC.
fn read_time(reader: &mut Reader<'_>) -> Result<i64, Error> {
    let time = reader.any()?;
    let (year, rest) = match (time.tag, time.contents.len()) {
        (0x17, 13) => {
            let (year, rest) = digits(time.contents, 2).ok_or(reader.malformed())?;
            (year.saturating_add(if year < 50 { 2000 } else { 1900 }), rest)
        }
        (0x18, 15) => digits(time.contents, 4).ok_or(reader.malformed())?,
        _ => return Err(reader.malformed()),
    };
    seconds(year, rest).ok_or(reader.malformed())
}

fn digits(bytes: &[u8], count: usize) -> Option<(i64, &[u8])> {
    let (number, rest) = bytes.split_at_checked(count)?;
    let mut value = 0_i64;
    for byte in number {
        let digit = char::from(*byte).to_digit(10)?;
        value = value.checked_mul(10)?.checked_add(i64::from(digit))?;
    }
    Some((value, rest))
}

fn seconds(year: i64, rest: &[u8]) -> Option<i64> {
    let (month, rest) = digits(rest, 2)?;
    let (day, rest) = digits(rest, 2)?;
    let (hour, rest) = digits(rest, 2)?;
    let (minute, rest) = digits(rest, 2)?;
    let (second, rest) = digits(rest, 2)?;
    let in_range = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    if rest != b"Z" || !in_range {
        return None;
    }
    let time = hour.checked_mul(60)?.checked_add(minute)?.checked_mul(60)?.checked_add(second)?;
    days(year, month, day)?.checked_mul(86_400)?.checked_add(time)
}

/// Days since 1970-01-01 in the Gregorian calendar. The year is counted from March, so that the
/// leap day comes last.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let (year, month) = if month > 2 {
        (year, month.checked_sub(3)?)
    } else {
        (year.checked_sub(1)?, month.checked_add(9)?)
    };
    let leaps = year
        .checked_div(4)?
        .checked_sub(year.checked_div(100)?)?
        .checked_add(year.checked_div(400)?)?;
    let in_year = month.checked_mul(153)?.checked_add(2)?.checked_div(5)?.checked_add(day)?;
    // 719,469 days lie between 0000-02-29 and 1970-01-01.
    year.checked_mul(365)?.checked_add(leaps)?.checked_add(in_year)?.checked_sub(719_469)
}
