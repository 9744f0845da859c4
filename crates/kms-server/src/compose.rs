//! Options become parts: the only place that reads the configuration.
//!
//! Chooses what the server is made of; what the parts do is theirs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use kms_config::Config;
use kms_config::exit::Exit;
use kms_config::value::NoncePolicy;
use kms_core::{EVERYBODY, Policy, Principal, Service, SystemClock, Vault};
use kms_store::Store;

use crate::app::App;
use crate::audit;
use crate::authorities;
use crate::callers::{self, callers};
use crate::complain;
use crate::connection::Registry;
use crate::database;
use crate::facts::FACTS;
use crate::http::Bodies;
use crate::limits::{BODIES_BYTES, Limits};
use crate::observe::metrics::Metrics;
use crate::observe::{self, RequestIds};
use crate::protection::{self, Chosen};
use crate::report::Report;

/// Why a server does not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartError {
    /// What the process ends with.
    pub exit: Exit,
    /// What is wrong, where, and what to do.
    pub message: String,
}

impl StartError {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for StartError {}

/// Starts the log.
pub(crate) fn log(config: &Config) {
    observe::log(*config.log, *config.log_format);
}

/// Makes everything that answers requests.
pub(crate) async fn app(config: &Config) -> Result<App, StartError> {
    if !FACTS.missing.is_empty() {
        return Err(StartError::new(Exit::Configuration, FACTS.refusal()));
    }
    // Before anything is touched.
    let mut problems = authorities::problems(config, FACTS.build);
    problems.extend(audit::problem(config, FACTS.build));
    problems.extend(callers::problems(config));
    problems.extend(database::of(config).err().map(|error| error.message));
    let creators = creators(config).unwrap_or_else(|problem| {
        problems.push(problem);
        None
    });
    if !problems.is_empty() {
        return Err(StartError::new(Exit::Configuration, problems.join("\n")));
    }
    let store = Store::open(database::of(config)?).await.map_err(|error| store_error(&error))?;
    let policy = Policy {
        refuse_exhausted_nonces: *config.nonce_policy == NoncePolicy::Refuse,
        creators,
        ..Policy::default()
    };
    let clock = Arc::new(SystemClock);
    let Chosen { protection, warning } = protection::of_server(config, FACTS.build, &store).await?;
    let mut service = Service::open(store.clone(), protection.clone(), policy, clock)
        .await
        .map_err(|error| core_error(&error))?;
    let name = audit::Name::claim(config)?;
    if let Some(options) = audit::options(config, &name) {
        service.open_audit(&options).await.map_err(|error| audit::error(&error))?;
    }
    let limits = Limits {
        body: *config.max_body_size,
        connections: *config.max_connections,
        header: *config.header_timeout,
        request: *config.request_timeout,
        idle: *config.idle_timeout,
        stop: *config.stop_timeout,
    };
    let callers = callers(config, FACTS.build, service.api_tokens()).await?;
    Ok(App {
        service,
        store,
        authentication: callers.authentication,
        authorities: callers.authorities,
        callers: callers.report,
        limits,
        bodies: Bodies::new(BODIES_BYTES),
        metrics: Metrics::new(),
        registry: Registry::new(limits),
        ids: RequestIds::new(),
        facts: FACTS,
        protection,
        made: warning,
        name,
    })
}

/// The users who may create objects, where not everyone may, in the form users are compared in.
fn creators(config: &Config) -> Result<Option<Vec<String>>, String> {
    let name = |name: &String| match kms_core::grantee(name) {
        Ok(user) if user != EVERYBODY => Ok(user),
        Ok(_) => Err(format!("{name}: leave the list out, and everyone may create")),
        Err(reason) => Err(format!("{name}: {reason}")),
    };
    let listed: Result<Vec<_>, String> = config.privileged_users.iter().map(name).collect();
    let listed = listed.map_err(|problem| format!("KMS_PRIVILEGED_USERS: {problem}"))?;
    Ok(Some(listed).filter(|listed| !listed.is_empty()))
}

/// What is wrong with a list that lets nobody create.
fn nobody_creates(config: &Config, everyone: Option<&Principal>) -> Option<String> {
    let everyone = everyone.filter(|_| !config.privileged_users.is_empty())?;
    let is_everyone = |name: &String| kms_core::grantee(name).as_deref() == Ok(everyone.user());
    let is_listed = config.privileged_users.iter().any(is_everyone);
    (!is_listed).then(|| {
        format!(
            "nobody can create objects: KMS_PRIVILEGED_USERS lacks `{}`, and without \
             authentication there is no other user",
            everyone.user()
        )
    })
}

/// Opens the database beside a server that may be running on it.
pub(crate) async fn beside(config: &Config) -> Result<Store, StartError> {
    Store::open(database::of(config)?.beside()).await.map_err(|error| store_error(&error))
}

/// The keys of a database beside a server that may be running on it.
pub(crate) async fn vault(config: &Config, store: &Store) -> Result<Vault, StartError> {
    let protection = protection::of_command(config, FACTS.build)?;
    Vault::open(store, protection).await.map_err(|error| core_error(&error))
}

/// The same instead of a server; a database that has no keys yet gets some.
pub(crate) async fn set_up(config: &Config, store: &Store) -> Result<Vault, StartError> {
    let Chosen { protection, warning } = protection::of_server(config, FACTS.build, store).await?;
    let vault = Vault::set_up(store, protection, &SystemClock).await;
    let vault = vault.map_err(|error| core_error(&error))?;
    if let Some(warning) = warning {
        complain(&warning);
    }
    Ok(vault)
}

pub(crate) fn store_error(error: &kms_store::OpenError) -> StartError {
    let exit = match error {
        kms_store::OpenError::Locked { .. } => Exit::Held,
        kms_store::OpenError::Future { .. } => Exit::Future,
        _ => Exit::Database,
    };
    StartError::new(exit, error.to_string())
}

pub(crate) fn core_error(error: &kms_core::OpenError) -> StartError {
    let exit = match error {
        kms_core::OpenError::Store(_) => Exit::Database,
        kms_core::OpenError::Start(_) => Exit::Failure,
        _ => Exit::Keyring,
    };
    StartError::new(exit, error.to_string())
}

/// What the server says of itself at the start.
pub(crate) fn report(config: &Config, app: &App, address: SocketAddr) -> Report {
    let sealer = app.protection.sealer();
    let (ip, port) = (address.ip(), address.port());
    // An address that means all of them cannot be called.
    let ip = match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    Report {
        build: app.facts.build.name(),
        listening: address,
        url: format!("http://{}", SocketAddr::new(ip, port)),
        database: database::of(config).map_or_else(|_| String::new(), |it| it.location.to_string()),
        callers: app.callers.clone(),
        keys: sealer.describe(),
        audit: audit::describe(config),
        clear: app.service.is_clear(),
        warnings: app
            .authorities
            .warnings
            .iter()
            .chain(&app.made)
            .cloned()
            .chain(callers::idle(config))
            .chain(nobody_creates(config, app.authentication.everyone()))
            .collect(),
    }
}
