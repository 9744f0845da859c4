//! Options become schemes: how callers prove who they are, and what the start-up report says of it.
//!
//! The one place that decides whether anybody is asked at all. Judges no credential.

use kms_auth::api_token::ApiTokenScheme;
use kms_auth::client_certificate::{CertificateScheme, Field};
use kms_auth::name::Names;
use kms_auth::{Authentication, Authenticator};
use kms_config::exit::Exit;
use kms_config::value::CertificateUser;
use kms_config::{Build, Config};
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
    use super::*;

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
