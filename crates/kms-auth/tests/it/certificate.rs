//! Client certificates over real handshakes: whom the authority vouches for, and who that is.

use kms_auth::client_certificate::{CertificateScheme, Field};
use kms_auth::name::Names;
use kms_auth::{Authentication, Kind, Offered};
use kms_testkit::tls::{self, Authority, Identity, Names as Written, Purpose, Validity};
use kms_tls::{Absence, Authorities};
use tempfile::TempDir;

/// The authority as the server reads it from its file.
fn read(authority: &Authority) -> Authorities {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("clients.pem");
    authority.write(&path);
    Authorities::read(&path).unwrap()
}

fn handshake(
    authority: &Authority,
    absence: Absence,
    client: Option<&Identity>,
) -> Result<Option<Vec<u8>>, String> {
    tls::handshake(read(authority).verifier(absence).unwrap(), client)
}

fn names(map: &[(&str, &str)], same: bool) -> Names {
    let own = |(name, user): &(&str, &str)| ((*name).to_owned(), (*user).to_owned());
    Names::new(&map.iter().map(own).collect::<Vec<_>>(), same).unwrap()
}

/// Who somebody with this certificate is; the reason in the log, where that is nobody.
async fn user(certificate: &[u8], field: Field, names: Names) -> Result<String, String> {
    let scheme = CertificateScheme::new(field, names);
    let authentication = Authentication::new(vec![Box::new(scheme)]);
    let offered = Offered { certificate: Some(certificate), ..Offered::default() };
    match authentication.authenticate(&offered).await {
        Ok(principal) => {
            assert_eq!(principal.scheme(), "certificate");
            Ok(principal.user().to_owned())
        }
        Err(refusal) => {
            assert_eq!(refusal.kind, Kind::Invalid);
            Err(refusal.reason)
        }
    }
}

#[tokio::test]
async fn a_certificate_of_the_authority_is_its_user() {
    let authority = Authority::new("clients");
    let written = Written { emails: &["Bob@example.com"], ..Written::default() };
    let client = authority.client(written);
    let seen = handshake(&authority, Absence::Refused, Some(&client)).unwrap().unwrap();
    assert_eq!(seen, client.certificate.as_ref());
    let user = user(&seen, Field::Email, Names::default()).await;
    assert_eq!(user.as_deref(), Ok("cert:bob@example.com"));
}

#[test]
fn what_the_authority_does_not_vouch_for_is_no_certificate() {
    let authority = Authority::new("clients");
    let written = Written { common: &["bob"], ..Written::default() };
    let issue = |validity, purpose| authority.issue(written, validity, purpose);
    // Of the same name, and with another key.
    let other = Authority::new("clients").client(written);
    for (name, client) in [
        ("of another authority", other),
        ("over", issue(Validity::Over, Purpose::Client)),
        ("to come", issue(Validity::ToCome, Purpose::Client)),
        ("a server's", issue(Validity::Now, Purpose::Server)),
    ] {
        for absence in [Absence::Allowed, Absence::Refused] {
            let refused = handshake(&authority, absence, Some(&client));
            assert!(refused.is_err(), "{name}: {refused:?}");
        }
    }
    let good = issue(Validity::Now, Purpose::Client);
    assert!(handshake(&authority, Absence::Refused, Some(&good)).is_ok());
    assert!(handshake(&authority, Absence::Refused, None).is_err());
    assert_eq!(handshake(&authority, Absence::Allowed, None), Ok(None));
}

#[tokio::test]
async fn without_a_certificate_somebody_else_has_to_know_the_caller() {
    let scheme = CertificateScheme::new(Field::Email, Names::default());
    let authentication = Authentication::new(vec![Box::new(scheme)]);
    let refusal = authentication.authenticate(&Offered::default()).await.unwrap_err();
    assert_eq!(refusal.kind, Kind::Missing);
}

/// What stands in a certificate; the field that is read; whether addresses are those of tokens; who
/// that is, or part of the reason that it is nobody.
type Case = (Written<'static>, Field, bool, Result<&'static str, &'static str>);

const NONE: Written<'static> =
    Written { common: &[], subject_email: None, emails: &[], hosts: &[], uris: &[] };
const ALL: Written<'static> = Written {
    common: &["Backup-01"],
    subject_email: Some("subject@example.com"),
    emails: &["Bob@Example.com"],
    hosts: &["Host.Example.com"],
    uris: &["spiffe://example.com/Backup"],
};

/// Each field, and what it falls back to.
const FIELDS: &[Case] = &[
    (ALL, Field::Email, false, Ok("cert:bob@example.com")),
    (ALL, Field::Email, true, Ok("bob@example.com")),
    (Written { emails: &[], ..ALL }, Field::Email, false, Ok("cert:subject@example.com")),
    (Written { emails: &[], ..ALL }, Field::Email, true, Ok("subject@example.com")),
    (Written { emails: &[], subject_email: None, ..ALL }, Field::Email, true, Ok("cert:Backup-01")),
    (ALL, Field::CommonName, true, Ok("cert:Backup-01")),
    (ALL, Field::SubjectAlternativeName, false, Ok("cert:bob@example.com")),
    (ALL, Field::SubjectAlternativeName, true, Ok("bob@example.com")),
    (
        Written { emails: &[], ..ALL },
        Field::SubjectAlternativeName,
        true,
        Ok("cert:host.example.com"),
    ),
    (
        Written { emails: &[], hosts: &[], ..ALL },
        Field::SubjectAlternativeName,
        true,
        Ok("cert:spiffe://example.com/Backup"),
    ),
    // An address is one wherever it stands.
    (
        Written { common: &["Eve@Example.com"], ..NONE },
        Field::CommonName,
        false,
        Ok("cert:eve@example.com"),
    ),
    (Written { common: &["Eve@Example.com"], ..NONE }, Field::Email, true, Ok("eve@example.com")),
    // Several of what is not asked for are no harm.
    (Written { emails: &["a@b", "c@d"], ..ALL }, Field::CommonName, false, Ok("cert:Backup-01")),
    (Written { common: &["a", "b"], ..ALL }, Field::Email, false, Ok("cert:bob@example.com")),
];

/// What names nobody, or could name several.
const NOBODY: &[Case] = &[
    (NONE, Field::Email, true, Err("neither")),
    (NONE, Field::CommonName, true, Err("no common name")),
    (Written { common: &["a"], ..NONE }, Field::SubjectAlternativeName, true, Err("no subject")),
    (Written { emails: &["a@b.c", "d@e.f"], ..NONE }, Field::Email, true, Err("several e-mail")),
    (
        Written { emails: &["a@b.c", "d@e.f"], ..NONE },
        Field::SubjectAlternativeName,
        true,
        Err("several e-mail"),
    ),
    (Written { common: &["a", "b"], ..NONE }, Field::CommonName, true, Err("several common")),
    (Written { common: &["a", "b"], ..NONE }, Field::Email, true, Err("several common")),
    (
        Written { hosts: &["a.b", "c.d"], ..NONE },
        Field::SubjectAlternativeName,
        true,
        Err("several DNS"),
    ),
    (
        Written { uris: &["a:b", "c:d"], ..NONE },
        Field::SubjectAlternativeName,
        true,
        Err("several URIs"),
    ),
    (
        Written { hosts: &["*.example.com"], ..NONE },
        Field::SubjectAlternativeName,
        true,
        Err("many hosts"),
    ),
    (
        Written { hosts: &["bob@example.com"], ..NONE },
        Field::SubjectAlternativeName,
        true,
        Err("looks like an e-mail"),
    ),
    (
        Written { uris: &["https://bob@example.com"], ..NONE },
        Field::SubjectAlternativeName,
        true,
        Err("looks like an e-mail"),
    ),
    (Written { emails: &["admin"], ..NONE }, Field::Email, true, Err("is none")),
    (Written { emails: &["@"], ..NONE }, Field::Email, true, Err("one @")),
    (
        Written { emails: &["token:bob@example.com"], ..NONE },
        Field::Email,
        true,
        Err("another kind"),
    ),
    (
        Written { emails: &["https://id.example/|bob@example.com"], ..NONE },
        Field::Email,
        true,
        Err("another kind"),
    ),
    (Written { common: &["John Smith"], ..NONE }, Field::CommonName, true, Err("no blanks")),
    (Written { common: &["bob\0@example.com"], ..NONE }, Field::CommonName, true, Err("ASCII")),
    (Written { common: &[""], ..NONE }, Field::CommonName, true, Err("no name")),
];

/// The subjects that must not become users of other scopes.
const SCOPED: &[Case] = &[
    (Written { common: &["admin"], ..NONE }, Field::CommonName, true, Ok("cert:admin")),
    (Written { common: &["*"], ..NONE }, Field::CommonName, true, Ok("cert:*")),
    (Written { common: &["token:x"], ..NONE }, Field::Email, true, Ok("cert:token:x")),
];

#[tokio::test]
async fn names_in_certificates_become_users() {
    let authority = Authority::new("clients");
    for (written, field, same, expected) in FIELDS.iter().chain(NOBODY).chain(SCOPED) {
        let client = authority.client(*written);
        let found = user(&client.certificate, *field, names(&[], *same)).await;
        match (&found, expected) {
            (Ok(user), Ok(expected)) => assert_eq!(user, expected, "{field:?} {written:?}"),
            (Err(reason), Err(part)) => assert!(reason.contains(part), "{written:?}: {reason}"),
            _ => panic!("{field:?} {written:?}: {found:?}"),
        }
    }
}

#[tokio::test]
async fn the_map_names_other_users() {
    let authority = Authority::new("clients");
    let map = [
        ("cert:Backup-01", "backup@example.com"),
        ("cert:John Smith", "john@example.com"),
        ("cert:root@example.com", "admin"),
    ];
    for (written, expected) in [
        (Written { common: &["Backup-01"], ..NONE }, "backup@example.com"),
        (Written { common: &["John Smith"], ..NONE }, "john@example.com"),
        (Written { common: &["Root@Example.com"], ..NONE }, "admin"),
        (Written { common: &["backup-01"], ..NONE }, "cert:backup-01"),
    ] {
        let client = authority.client(written);
        let found = user(&client.certificate, Field::CommonName, names(&map, true)).await;
        assert_eq!(found.as_deref(), Ok(expected));
    }
}
