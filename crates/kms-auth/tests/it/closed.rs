//! Every scheme falls closed: one suite over one table. A scheme that is added to the server is added
//! to `schemes`, and everything below is asked of it.

use std::sync::Arc;

use kms_auth::api_token::ApiTokenScheme;
use kms_auth::client_certificate::{CertificateScheme, Field};
use kms_auth::name::Names;
use kms_auth::{Authentication, Authenticator, Kind, Offered, Refusal};
use kms_core::Principal;
use kms_testkit::issuer::{Algorithm, Key};
use kms_testkit::tls::{Authority, Names as Written};
use serde_json::json;

use crate::api_token::Machines;
use crate::world::{self, ISSUER, Setting, Web, World};

/// What a caller offers.
#[derive(Clone, Debug, Default)]
struct Offer {
    authorization: Option<Vec<u8>>,
    certificate: Option<Vec<u8>>,
    password: Option<(String, String)>,
}

impl Offer {
    fn header(text: impl Into<Vec<u8>>) -> Self {
        Self { authorization: Some(text.into()), ..Self::default() }
    }

    fn as_offered(&self) -> Offered<'_> {
        Offered {
            authorization: self.authorization.as_deref(),
            certificate: self.certificate.as_deref(),
            password: self.password.as_ref().map(|(name, word)| (name.as_str(), word.as_str())),
            ..Offered::default()
        }
    }

    /// Both, where they do not collide.
    fn with(&self, other: &Self) -> Option<Self> {
        let collides = self.authorization.is_some() && other.authorization.is_some()
            || self.certificate.is_some() && other.certificate.is_some();
        let (one, two) = (self.clone(), other.clone());
        (!collides).then(|| Self {
            authorization: one.authorization.or(two.authorization),
            certificate: one.certificate.or(two.certificate),
            password: one.password.or(two.password),
        })
    }
}

/// A scheme and what it should make of what.
struct Scheme {
    judge: Box<dyn Authenticator>,
    /// What it takes, and as whom.
    good: Offer,
    user: &'static str,
    /// What is its to judge, and not good.
    bad: Vec<Offer>,
    /// Whether a single changed byte makes `good` bad. (A certificate was verified before.)
    sealed: bool,
}

/// The schemes in the order in which a server asks them.
async fn schemes() -> Vec<Scheme> {
    vec![certificate(), api_token().await, bearer()]
}

fn certificate() -> Scheme {
    let authority = Authority::new("clients");
    let offer = |names| Offer {
        certificate: Some(authority.client(names).certificate.to_vec()),
        ..Offer::default()
    };
    let written = Written { emails: &["carol@example.com"], ..Written::default() };
    let good = offer(written);
    let mut cut = good.clone();
    cut.certificate = cut.certificate.map(|it| it[..it.len() - 1].to_vec());
    let bad = vec![
        offer(Written::default()),
        offer(Written { emails: &["carol@example.com", "admin@example.com"], ..written }),
        offer(Written { emails: &["token:carol@example.com"], ..written }),
        offer(Written { emails: &[], common: &["carol", "admin"], ..written }),
        cut,
    ];
    let judge = Box::new(CertificateScheme::new(Field::Email, Names::default()));
    Scheme { judge, good, user: "cert:carol@example.com", bad, sealed: false }
}

async fn api_token() -> Scheme {
    let machines = Machines::new().await;
    let offer = |text: &[u8]| Offer::header([b"Bearer ", text].concat());
    let good = machines.create("night").await;
    let revoked = machines.create("gone").await;
    machines.tokens.revoke("gone").await.unwrap();
    let mut unknown = good.clone();
    unknown[4] = if unknown[4] == b'0' { b'1' } else { b'0' };
    let bad = vec![offer(&revoked), offer(&unknown), offer(&good[..good.len() - 1])];
    let judge = Box::new(ApiTokenScheme::new(machines.tokens.clone(), Names::default()));
    // The database goes with its directory, and stays open.
    Scheme { judge, good: offer(&good), user: "token:night", bad, sealed: true }
}

fn bearer() -> Scheme {
    let key = Key::new("curve", Algorithm::Es256);
    let web = Arc::new(Web::default());
    web.publish(ISSUER, &[key.jwk()]);
    let judge = Box::new(world::bearer(Setting::default(), &web));
    let offer = |token: String| Offer::header(format!("Bearer {token}"));
    let other = Key::new("other", Algorithm::Es256);
    let mut late = World::claims();
    late["exp"] = json!(0);
    let bad = vec![
        offer(String::new()),
        offer("opaque".to_owned()),
        offer(other.token(&World::claims())),
        offer(other.known_as("curve", Algorithm::Es256).token(&World::claims())),
        offer(key.token(&late)),
        offer(key.token(&json!({}))),
    ];
    let good = offer(key.token(&World::claims()));
    Scheme { judge, good, user: "alice@example.com", bad, sealed: true }
}

/// What is nobody's.
fn garbage() -> Vec<Offer> {
    let mut offers: Vec<_> = [
        &b""[..],
        b"Basic YWRtaW46YWRtaW4=",
        b"Digest username=\"admin\"",
        b"admin",
        b"Bearer",
        b"Bearer ",
        b"Bearer admin",
        b"Bearer *",
        b"Bearer null",
        b"Bearer ..",
        b"Bearer e30.e30.",
        b"Bearer \xff\xfe\x00",
        b"\xff\xfe\x00",
        b"Bearer kms_",
        b"Bearer kms_a_b",
        b"bearer KMS_a_b",
    ]
    .into_iter()
    .map(Offer::header)
    .collect();
    offers.push(Offer::header(format!("Bearer {}", "A".repeat(1 << 20))));
    offers.push(Offer::header(format!("Bearer {}", ".".repeat(1 << 16))));
    let certificates = [&b""[..], b"\x30\x00", b"admin", &[0x30; 5000]];
    let certificates = certificates.into_iter().map(<[u8]>::to_vec);
    offers.extend(certificates.map(|it| Offer { certificate: Some(it), ..Offer::default() }));
    let password = |name: &str, word: &str| Offer {
        password: Some((name.to_owned(), word.to_owned())),
        ..Offer::default()
    };
    offers.extend([password("admin", ""), password("", ""), password("admin", "admin")]);
    offers
}

async fn ask(authentication: &Authentication, offer: &Offer) -> Result<Principal, Refusal> {
    authentication.authenticate(&offer.as_offered()).await
}

async fn refusal(authentication: &Authentication, offer: &Offer) -> Refusal {
    match ask(authentication, offer).await {
        Ok(principal) => panic!("{offer:?} was accepted as {}", principal.user()),
        Err(refusal) => refusal,
    }
}

fn alone(judge: Box<dyn Authenticator>) -> Authentication {
    Authentication::new(vec![judge])
}

fn together(schemes: Vec<Scheme>) -> Authentication {
    Authentication::new(schemes.into_iter().map(|it| it.judge).collect())
}

#[tokio::test(start_paused = true)]
async fn what_is_good_is_taken_and_by_its_own_scheme() {
    for Scheme { judge, good, user, .. } in schemes().await {
        let name = judge.name();
        let authentication = alone(judge);
        for _ in 0..2 {
            let principal = ask(&authentication, &good).await.unwrap();
            assert_eq!((principal.user(), principal.scheme()), (user, name));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_nobody() {
    for Scheme { judge, .. } in schemes().await {
        let refusal = refusal(&alone(judge), &Offer::default()).await;
        assert_eq!(refusal.kind, Kind::Missing);
    }
    let refusal = refusal(&together(schemes().await), &Offer::default()).await;
    assert_eq!(refusal.kind, Kind::Missing);
}

#[tokio::test(start_paused = true)]
async fn what_is_bad_is_refused_and_not_shown() {
    for Scheme { judge, bad, .. } in schemes().await {
        let name = judge.name();
        let authentication = alone(judge);
        for offer in &bad {
            let refusal = refusal(&authentication, offer).await;
            assert_eq!(refusal.kind, Kind::Invalid, "{name}: {offer:?}: {refusal:?}");
            let header = offer.authorization.as_deref().unwrap_or_default();
            let secret = String::from_utf8_lossy(header);
            let secret = secret.rsplit([' ', '.']).next().unwrap_or_default();
            let shown = format!("{refusal:?}");
            assert!(secret.len() < 8 || !shown.contains(secret), "{name}: {shown}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn garbage_is_nobody() {
    for Scheme { judge, .. } in schemes().await {
        let authentication = alone(judge);
        for offer in garbage() {
            refusal(&authentication, &offer).await;
        }
    }
    let authentication = together(schemes().await);
    for offer in garbage() {
        refusal(&authentication, &offer).await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_scheme_takes_what_is_another_s() {
    let count = schemes().await.len();
    for index in 0..count {
        let mut all = schemes().await;
        let Scheme { judge, .. } = all.swap_remove(index);
        let authentication = alone(judge);
        for other in &all {
            refusal(&authentication, &other.good).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_changed_byte_makes_it_bad() {
    for Scheme { judge, good, sealed, .. } in schemes().await {
        let Some(header) = good.authorization.clone().filter(|_| sealed) else { continue };
        let authentication = alone(judge);
        // Known as good before, in case that makes a difference.
        ask(&authentication, &good).await.unwrap();
        for index in b"Bearer ".len()..header.len() {
            let mut changed = header.clone();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            refusal(&authentication, &Offer::header(changed)).await;
            refusal(&authentication, &Offer::header(&header[..index])).await;
        }
        refusal(&authentication, &Offer::header([&header[..], b"A"].concat())).await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_headers_are_no_header() {
    for Scheme { judge, good, .. } in schemes().await {
        let offered = Offered { authorization_repeated: true, ..good.as_offered() };
        let refusal = alone(judge).authenticate(&offered).await.unwrap_err();
        assert_eq!(refusal.kind, Kind::Invalid);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_ends_the_search() {
    let count = schemes().await.len();
    for (bad_index, good_index) in (0..count).flat_map(|it| (0..count).map(move |good| (it, good)))
    {
        let all = schemes().await;
        // Asked before the good one.
        if bad_index >= good_index {
            continue;
        }
        let offers: Vec<_> =
            all[bad_index].bad.iter().filter_map(|it| it.with(&all[good_index].good)).collect();
        let authentication = together(all);
        for offer in offers {
            assert_eq!(refusal(&authentication, &offer).await.kind, Kind::Invalid, "{offer:?}");
        }
    }
}
