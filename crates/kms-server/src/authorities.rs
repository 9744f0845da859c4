//! Options become the scheme of bearer tokens: whose tokens, for whom, by which rules.
//!
//! Says everything that is wrong at once. Judges no token.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use kms_auth::bearer::{Bearer, Options};
use kms_auth::name::Names;
use kms_auth::provider::{Fetch, Provider};
use kms_auth::rules::{self, NoAudience, Rules};
use kms_config::{Build, Config};
use kms_core::{Clock, SystemClock};
use kms_outbound::{Caller, Reach, Trust};

/// What stands for any audience.
const ANY: &str = "*";

/// The authorities of a server, and what it says of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Authorities {
    /// Those whose keys have to be kept.
    pub(crate) providers: Vec<Arc<Provider>>,
    /// The audiences of which a token must have one; none where any will do.
    pub(crate) audiences: Vec<String>,
    /// Whether tokens that are over are refused.
    pub(crate) expiry_verified: bool,
    /// What whoever starts the server should know.
    pub(crate) warnings: Vec<String>,
}

impl Authorities {
    /// The issuers.
    pub(crate) fn issuers(&self) -> impl Iterator<Item = &str> {
        self.providers.iter().map(|provider| provider.issuer())
    }
}

/// Makes the scheme, if an authority is configured; or says all that is wrong with the options.
pub(crate) fn bearer(
    config: &Config,
    build: Build,
    names: Names,
) -> Result<Option<(Bearer, Authorities)>, Vec<String>> {
    let rules = rules::of(build.name());
    let mut problems = Vec::new();
    let caller = caller(config.trusted_ca_path.as_deref(), rules).unwrap_or_else(|problem| {
        problems.push(problem);
        Caller::new(Trust::system(), rules.plain_loopback)
    });
    problems.extend(authority_problems(config, &caller));
    problems.extend(audience_problem(config, rules));
    if !problems.is_empty() {
        return Err(problems);
    }
    if !is_set_up(config) {
        return Ok(None);
    }
    let options = Options {
        rules,
        authority: config.delegated_authority_domain.value.clone(),
        further: config.authorities.value.clone(),
        audiences: config.jwt_audience.value.clone(),
        user_claim: config.jwt_user_claim.value.clone(),
        clients: *config.jwt_clients,
        names,
    };
    let fetch: Arc<dyn Fetch> = Arc::new(caller);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let bearer = Bearer::new(options, &fetch, &clock);
    let any = accepts_any(config);
    let authorities = Authorities {
        providers: bearer.providers().collect(),
        audiences: if any { Vec::new() } else { config.jwt_audience.value.clone() },
        expiry_verified: rules.expiry_verified,
        warnings: warnings(any, rules),
    };
    Ok(Some((bearer, authorities)))
}

/// What is wrong with the options about tokens.
pub(crate) fn problems(config: &Config, build: Build) -> Vec<String> {
    bearer(config, build, Names::default()).err().unwrap_or_default()
}

fn is_set_up(config: &Config) -> bool {
    config.delegated_authority_domain.is_some() || !config.authorities.is_empty()
}

fn accepts_any(config: &Config) -> bool {
    config.jwt_audience.is_empty() || config.jwt_audience.iter().any(|audience| audience == ANY)
}

/// What calls others for this server.
fn caller(trusted: Option<&Path>, rules: &Rules) -> Result<Caller, String> {
    let trust = trusted.map_or_else(|| Ok(Trust::system()), Trust::with_file);
    let trust = trust.map_err(|error| format!("KMS_TRUSTED_CA_PATH: {error}"))?;
    Ok(Caller::new(trust, rules.plain_loopback))
}

fn authority_problems(config: &Config, caller: &Caller) -> Vec<String> {
    let own = config.delegated_authority_domain.value.iter();
    let own = own.map(|issuer| ("KMS_DELEGATED_AUTHORITY_DOMAIN", issuer));
    let further = config.authorities.iter().map(|issuer| ("KMS_AUTHORITIES", issuer));
    let mut seen = BTreeSet::new();
    let mut problems = Vec::new();
    for (option, issuer) in own.chain(further) {
        if let Err(error) = caller.check(issuer, Reach::Anywhere) {
            problems.push(format!("{option}: {issuer} cannot be an authority: {error}"));
        }
        if !seen.insert(issuer) {
            problems.push(format!("{option}: {issuer} is there twice"));
        }
    }
    problems
}

fn audience_problem(config: &Config, rules: &Rules) -> Option<String> {
    let refuses = rules.no_audience == NoAudience::Refuses;
    (refuses && is_set_up(config) && config.jwt_audience.is_empty()).then(|| {
        format!(
            "KMS_JWT_AUDIENCE is not set: tokens that the authority gave out for other applications \
             would open this server. Set it to the identifier of this server's API (Auth0: \
             Applications, APIs, Identifier); {ANY} accepts any, with a warning at every start"
        )
    })
}

fn warnings(any_audience: bool, rules: &Rules) -> Vec<String> {
    let audience = "tokens for any audience are accepted: those that the authority gave out for \
                    other applications open this server too; set KMS_JWT_AUDIENCE";
    let expiry = format!("the {} build accepts tokens that have expired", rules.build);
    let audience = any_audience.then(|| audience.to_owned());
    audience.into_iter().chain((!rules.expiry_verified).then_some(expiry)).collect()
}

#[cfg(test)]
mod tests {
    use kms_config::{Invocation, Sources};

    use super::*;

    /// What is wrong with these arguments, in this build.
    fn wrong(build: Build, arguments: &[&str]) -> Vec<String> {
        let sources =
            Sources { arguments: arguments.iter().map(Into::into).collect(), ..Sources::default() };
        match kms_config::resolve(&sources, build) {
            Ok(Invocation::Serve(serve)) => problems(&serve.config, build),
            other => panic!("{arguments:?}: {other:?}"),
        }
    }

    const AUTHORITY: [&str; 2] = ["--delegated-authority-domain", "tenant.example"];

    #[test]
    fn production_needs_an_audience_where_there_is_an_authority() {
        for build in [Build::Dev, Build::Staging, Build::Production] {
            assert_eq!(wrong(build, &[]), Vec::<String>::new());
            let problems = wrong(build, &AUTHORITY);
            assert_eq!(problems.len(), usize::from(build == Build::Production), "{problems:?}");
            let further = wrong(build, &["--authorities", "a.example, b.example"]);
            assert_eq!(further, problems);
            for audience in ["https://kms.example/", "*"] {
                let arguments = [&AUTHORITY[..], &["--jwt-audience", audience]].concat();
                assert_eq!(wrong(build, &arguments), Vec::<String>::new());
            }
        }
        let problems = wrong(Build::Production, &AUTHORITY);
        assert!(problems[0].starts_with("KMS_JWT_AUDIENCE is not set: "), "{problems:?}");
    }

    #[test]
    fn plain_http_is_for_the_dev_build_on_loopback() {
        let audience = ["--jwt-audience", "a", "--delegated-authority-domain"];
        let count = |build, issuer| wrong(build, &[&audience[..], &[issuer]].concat()).len();
        for (issuer, dev, others) in [
            ("http://127.0.0.1:80/", 0, 1),
            ("http://[::1]:80/", 0, 1),
            ("http://10.0.0.1/", 1, 1),
            ("https://10.0.0.1/", 0, 0),
        ] {
            assert_eq!(count(Build::Dev, issuer), dev, "{issuer}");
            assert_eq!(count(Build::Staging, issuer), others, "{issuer}");
            assert_eq!(count(Build::Production, issuer), others, "{issuer}");
        }
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let arguments = [
            "--delegated-authority-domain",
            "http://id.example/",
            "--authorities",
            "b.example, b.example",
            "--trusted-ca-path",
            "/nowhere/ca.pem",
        ];
        let problems = wrong(Build::Production, &arguments).join("\n");
        for part in [
            "KMS_TRUSTED_CA_PATH: ",
            "KMS_DELEGATED_AUTHORITY_DOMAIN: http://id.example/ cannot be an authority",
            "KMS_AUTHORITIES: https://b.example/ is there twice",
            "KMS_JWT_AUDIENCE is not set",
        ] {
            assert!(problems.contains(part), "{part} not in\n{problems}");
        }
    }
}
