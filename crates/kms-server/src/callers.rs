//! Options become schemes: how callers prove who they are, and what the start-up report says of it.
//!
//! The one place that decides whether anybody is asked at all. Judges no credential.

use kms_auth::api_token::ApiTokenScheme;
use kms_auth::client_certificate::{CertificateScheme, Field};
use kms_auth::name::Names;
use kms_auth::{Authentication, Authenticator};
use kms_config::exit::Exit;
use kms_config::value::CertificateUser;
use kms_config::{Build, Config, Origin};
use kms_core::{ADMIN, ApiTokens};

use crate::authorities::{self, Authorities};
use crate::compose::StartError;
use crate::facts::FACTS;

/// The schemes of a server, and what its report says of them.
pub(crate) struct Callers {
    pub(crate) authentication: Authentication,
    pub(crate) authorities: Authorities,
    pub(crate) report: String,
}

/// What is set up that says who is calling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct SetUp {
    /// There is an authority for client certificates.
    certificates: bool,
    /// There is an API token, good or not: one that has run out or was revoked opens no door.
    api_tokens: bool,
    /// There is an authority for bearer tokens.
    bearer: bool,
}

/// What becomes of a request over HTTP that says nothing of who is calling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nameless {
    /// It is the user `admin`'s: nothing is set up.
    Admin,
    /// The same: client certificates concern the TLS socket alone.
    AdminBesideTheSocket,
    /// It is refused.
    Refused,
}

impl SetUp {
    /// What the options set up.
    fn by(config: &Config) -> Self {
        Self {
            certificates: config.client_ca_path.is_some(),
            api_tokens: false,
            bearer: config.delegated_authority_domain.is_some() || !config.authorities.is_empty(),
        }
    }

    fn nameless(self, build: Build) -> Nameless {
        let Self { certificates, api_tokens, bearer } = self;
        match (certificates, api_tokens || bearer) {
            (false, false) => Nameless::Admin,
            // Plain HTTP has no client certificates, and stays as easy to try as it was.
            (true, false) if build == Build::Dev => Nameless::AdminBesideTheSocket,
            _ => Nameless::Refused,
        }
    }
}

/// Whether callers are asked who they are even where there is no API token.
pub(crate) fn asks_without_tokens(config: &Config) -> bool {
    let set_up = SetUp { api_tokens: false, ..SetUp::by(config) };
    set_up.nameless(FACTS.build) == Nameless::Refused
}

/// Makes the schemes that `config` and the database ask for.
pub(crate) async fn callers(
    config: &Config,
    build: Build,
    tokens: ApiTokens,
) -> Result<Callers, StartError> {
    let names = names(config)?;
    let there = tokens.exist().await.map_err(|error| {
        StartError::new(Exit::Database, format!("API tokens cannot be looked up: {error}"))
    })?;
    let set_up = SetUp { api_tokens: there, ..SetUp::by(config) };
    let nameless = set_up.nameless(build);
    let mut schemes: Vec<Box<dyn Authenticator>> = Vec::new();
    let mut authorities = Authorities::default();
    let certificates = certificates(config, names.clone())?;
    if nameless == Nameless::Refused {
        // In this order they are asked: client certificate, API token, bearer token.
        if let Some(certificates) = certificates {
            schemes.push(Box::new(certificates));
        }
        schemes.push(Box::new(ApiTokenScheme::new(tokens, names.clone())));
    }
    let bearer = authorities::bearer(config, build, names).map_err(|it| wrong(&it))?;
    if let Some((bearer, by)) = bearer {
        schemes.push(Box::new(bearer));
        authorities = by;
    }
    let authentication = Authentication::new(schemes);
    let report = report(nameless, &authentication, &authorities);
    Ok(Callers { authentication, authorities, report })
}

/// What credentials call users, by the operator's map.
fn names(config: &Config) -> Result<Names, StartError> {
    Names::new(&config.user_map, *config.certificate_emails)
        .map_err(|error| StartError::new(Exit::Configuration, format!("KMS_USER_MAP: {error}")))
}

/// The scheme of client certificates, where there is an authority for them.
fn certificates(config: &Config, names: Names) -> Result<Option<CertificateScheme>, StartError> {
    let Some(path) = config.client_ca_path.as_ref() else { return Ok(None) };
    // Whoever listens with TLS reads it again; what is wrong with it is said at once.
    kms_tls::Authorities::read(path).map_err(|error| {
        StartError::new(Exit::Configuration, format!("KMS_CLIENT_CA_PATH: {error}"))
    })?;
    let field = match *config.client_certificate_user {
        CertificateUser::Email => Field::Email,
        CertificateUser::CommonName => Field::CommonName,
        CertificateUser::SubjectAlternativeName => Field::SubjectAlternativeName,
    };
    Ok(Some(CertificateScheme::new(field, names)))
}

/// What is wrong with the options about names and certificates.
pub(crate) fn problems(config: &Config) -> Vec<String> {
    let names = names(config).err();
    let certificates = certificates(config, Names::default()).err();
    names.into_iter().chain(certificates).map(|error| error.message).collect()
}

/// What was set for a scheme that is not set up: who set it may take the server for closed.
pub(crate) fn idle(config: &Config) -> Vec<String> {
    let set_up = SetUp::by(config);
    let is_set = |origin: &Origin| *origin != Origin::Default;
    let authority = "KMS_DELEGATED_AUTHORITY_DOMAIN";
    let certificates = "KMS_CLIENT_CA_PATH";
    [
        ("KMS_JWT_AUDIENCE", &config.jwt_audience.origin, set_up.bearer, authority),
        ("KMS_JWT_USER_CLAIM", &config.jwt_user_claim.origin, set_up.bearer, authority),
        ("KMS_JWT_CLIENTS", &config.jwt_clients.origin, set_up.bearer, authority),
        (
            "KMS_CLIENT_CERTIFICATE_USER",
            &config.client_certificate_user.origin,
            set_up.certificates,
            certificates,
        ),
        (
            "KMS_CERTIFICATE_EMAILS",
            &config.certificate_emails.origin,
            set_up.certificates,
            certificates,
        ),
    ]
    .into_iter()
    .filter(|(_, origin, is_used, _)| is_set(origin) && !is_used)
    .map(|(option, _, _, needs)| format!("{option} has no effect: {needs} is not set"))
    .collect()
}

/// The options that are wrong, as the reason not to start.
fn wrong(problems: &[String]) -> StartError {
    StartError::new(Exit::Configuration, problems.join("\n"))
}

fn report(
    nameless: Nameless,
    authentication: &Authentication,
    authorities: &Authorities,
) -> String {
    let everyone = format!("everyone who can reach the address, as the user `{ADMIN}`");
    match nameless {
        Nameless::Admin => format!("{everyone} (no authentication is set up)"),
        Nameless::AdminBesideTheSocket => {
            format!("{everyone} (in the dev build a client CA alone concerns the TLS socket only)")
        }
        Nameless::Refused => {
            let schemes: Vec<_> = authentication.schemes().collect();
            let issuers: Vec<_> = authorities.issuers().collect();
            let of = if issuers.is_empty() { "" } else { " of " };
            let (schemes, issuers) = (schemes.join(", "), issuers.join(", "));
            format!("those who say who they are: {schemes}{of}{issuers}")
        }
    }
}

#[cfg(test)]
mod tests {
    use kms_config::{Invocation, Sources};

    use super::*;

    /// What these arguments come to.
    fn config(arguments: &[&str]) -> Config {
        let arguments = arguments.iter().map(Into::into).collect();
        let sources = Sources { arguments, ..Sources::default() };
        match kms_config::resolve(&sources, Build::Dev) {
            Ok(Invocation::Serve(serve)) => serve.config.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_option_without_effect_is_warned_of() {
        let authority = ["--delegated-authority-domain", "tenant.example"];
        let certificates = ["--client-ca-path", "ca.pem"];
        for (option, value, needs) in [
            ("jwt-audience", "a", &authority[..]),
            ("jwt-user-claim", "email", &authority[..]),
            ("jwt-clients", "accept", &authority[..]),
            ("client-certificate-user", "common-name", &certificates[..]),
            ("certificate-emails", "same", &certificates[..]),
        ] {
            let flag = format!("--{option}");
            let alone = [flag.as_str(), value];
            let variable = format!("KMS_{}", option.replace('-', "_").to_uppercase());
            let warnings = idle(&config(&alone));
            assert!(
                matches!(warnings.as_slice(), [one] if one.starts_with(&variable)),
                "{warnings:?}"
            );
            let used = idle(&config(&[&alone[..], needs].concat()));
            assert_eq!(used, Vec::<String>::new(), "{option}");
        }
        let further = idle(&config(&["--jwt-audience", "a", "--authorities", "a.example"]));
        assert_eq!(further, Vec::<String>::new());
        assert_eq!(idle(&config(&[])), Vec::<String>::new());
    }

    #[test]
    fn nobody_is_nameless_once_anything_is_set_up() {
        let set_up = |certificates, api_tokens, bearer| SetUp { certificates, api_tokens, bearer };
        for build in [Build::Dev, Build::Staging, Build::Production] {
            assert_eq!(SetUp::default().nameless(build), Nameless::Admin);
            for it in [
                set_up(false, true, false),
                set_up(false, false, true),
                set_up(true, true, false),
                set_up(true, false, true),
                set_up(true, true, true),
            ] {
                assert_eq!(it.nameless(build), Nameless::Refused, "{it:?}");
            }
        }
        let certificates = set_up(true, false, false);
        assert_eq!(certificates.nameless(Build::Dev), Nameless::AdminBesideTheSocket);
        assert_eq!(certificates.nameless(Build::Staging), Nameless::Refused);
        assert_eq!(certificates.nameless(Build::Production), Nameless::Refused);
    }
}
