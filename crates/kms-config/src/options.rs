// A table.
//! The options. To add one, add its row here; everything else is made from the rows.

use std::fmt;
use std::ops::Deref;
use std::path::PathBuf;
use std::time::Duration;

use crate::layer::{Layers, Origin};
use crate::resolve::{Build, Problem};
use crate::value::{
    self, AuditLog, AuditSync, CertificateUser, DatabaseUrl, LogFormat, LogLevel, NoncePolicy,
    Secret,
};

/// What a build does with an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It may be set.
    Available,
    /// It may be set, and means nothing there: a warning says so.
    Unused,
}

/// One option, as it is documented.
#[derive(Debug)]
pub struct Row {
    /// Its name in the environment and in `.env`.
    pub environment: &'static str,
    /// Its name as an argument.
    pub argument: &'static str,
    /// What stands for its value in the help text.
    pub placeholder: &'static str,
    /// Its value where it is not set.
    pub default: &'static str,
    /// The values it may have, in words.
    pub allowed: &'static str,
    /// What it is for, in one sentence.
    pub help: &'static str,
    /// What the `dev` build does with it.
    pub dev: Use,
    /// What the staging and production builds do with it.
    pub production: Use,
}

impl Row {
    /// Whether a value may be, or hold, a password: it is not repeated in any message.
    pub fn is_secret(&self) -> bool {
        matches!(self.environment, "KMS_POSTGRES_URL" | "KMS_MYSQL_URL" | "KMS_USER_CERT_PASSWORD")
    }

    /// What the argument means where it stands without a value.
    pub fn bare(&self) -> Option<&'static str> {
        (self.environment == "KMS_ALLOW_CLEAR_KEYRING").then_some("yes")
    }

    /// What `build` does with the option.
    pub fn used_in(&self, build: Build) -> Use {
        match build {
            Build::Dev => self.dev,
            Build::Staging | Build::Production => self.production,
        }
    }
}

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Where it was set.
    pub origin: Origin,
}

impl<T> Deref for Setting<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Display> fmt::Display for Setting<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

macro_rules! options {
    ($($field:ident: $type:ty {
        $environment:literal, $argument:literal, $placeholder:literal, default $default:literal,
        dev $dev:ident, production $production:ident,
        read $read:expr, $allowed:literal,
        $help:literal
    })*) => {
        /// Every option with the value it has.
        #[derive(Clone, Debug)]
        pub struct Config {
            $(#[doc = $help] pub $field: Setting<$type>,)*
        }

        /// Every option, in the order in which it is documented.
        pub static OPTIONS: &[Row] = &[$(Row {
            environment: $environment,
            argument: $argument,
            placeholder: $placeholder,
            default: $default,
            allowed: $allowed,
            help: $help,
            dev: Use::$dev,
            production: Use::$production,
        },)*];

        impl Config {
            /// Reads every option from `layers`; whatever is wrong goes to `problems`.
            pub(crate) fn read(layers: &Layers, problems: &mut Vec<Problem>) -> Option<Self> {
                let mut rows = OPTIONS.iter();
                $(let $field = rows.next().and_then(|row| read(row, layers, $read, problems));)*
                Some(Self { $($field: $field?,)* })
            }
        }
    };
}

fn read<T>(
    row: &'static Row,
    layers: &Layers,
    parse: fn(&str) -> Option<T>,
    problems: &mut Vec<Problem>,
) -> Option<Setting<T>> {
    let (text, origin) = layers.find(row);
    let Some(value) = parse(text) else {
        problems.push(Problem::bad_value(row, text, &origin));
        return None;
    };
    Some(Setting { value, origin })
}

options! {
    hostname: String {
        "KMS_HOSTNAME", "--hostname", "ADDRESS", default "0.0.0.0",
        dev Available, production Unused,
        read value::host, "an IPv4 or IPv6 address, or a host name",
        "The address on which the server listens."
    }
    port: u16 {
        "KMS_PORT", "--port", "PORT", default "9998",
        dev Available, production Unused,
        read value::port, "0 to 65535; 0 takes a free port, which the start-up report names",
        "The TCP port on which the server listens."
    }
    root_dir: PathBuf {
        "KMS_ROOT_DIR", "--root-dir", "DIRECTORY", default "/tmp",
        dev Available, production Available,
        read value::path, "the path of a directory that exists and can be written",
        "The directory that holds the database, `kms.db`."
    }
    postgres_url: Option<DatabaseUrl> {
        "KMS_POSTGRES_URL", "--postgres-url", "URL", default "",
        dev Available, production Available,
        read value::postgres_url, "postgresql://USER:PASSWORD@HOST:PORT/DATABASE; several hosts are separated by commas, and the one that writes is found",
        "The PostgreSQL database in which objects are kept; not set, they are kept in SQLite in the root directory."
    }
    mysql_url: Option<DatabaseUrl> {
        "KMS_MYSQL_URL", "--mysql-url", "URL", default "",
        dev Available, production Available,
        read value::mysql_url, "mysql://USER:PASSWORD@HOST:PORT/DATABASE",
        "The MySQL, MariaDB, Galera or EdgelessDB database in which objects are kept."
    }
    database_ca_path: Option<PathBuf> {
        "KMS_DATABASE_CA_PATH", "--database-ca-path", "FILE", default "",
        dev Available, production Available,
        read value::optional_path, "the path of a PEM file",
        "Certificates of the authorities, or the very certificate, by which the database proves itself; not set, `KMS_TRUSTED_CA_PATH`, else the system's."
    }
    user_cert_path: Option<PathBuf> {
        "KMS_USER_CERT_PATH", "--user-cert-path", "FILE", default "",
        dev Available, production Available,
        read value::optional_path, "the path of a PKCS#12 file, or of a PEM file with a certificate and its key",
        "The certificate and key with which the server proves itself to the database."
    }
    user_cert_password: Secret {
        "KMS_USER_CERT_PASSWORD", "--user-cert-password", "PASSWORD", default "",
        dev Available, production Available,
        read value::secret, "the password of a PKCS#12 file; not set, the empty one",
        "The password of the file in `KMS_USER_CERT_PATH`."
    }
    database_wait: Duration {
        "KMS_DATABASE_WAIT", "--database-wait", "TIME", default "30s",
        dev Available, production Available,
        read value::seconds, "1s to 86400s, in seconds (s) or minutes (m)",
        "How long the server waits at its start for a database that cannot be reached, or that is starting."
    }
    database_connections: usize {
        "KMS_DATABASE_CONNECTIONS", "--database-connections", "NUMBER", default "20",
        dev Available, production Available,
        read value::database_connections, "2 to 1000",
        "The most connections to a database on a server; one more watches whether it answers."
    }
    max_staleness: Duration {
        "KMS_MAX_STALENESS_MS", "--max-staleness-ms", "MILLISECONDS", default "0",
        dev Available, production Available,
        read value::milliseconds, "0 to 60000",
        "How long an object is used without asking the database whether another server has changed it."
    }
    keys_path: Option<PathBuf> {
        "KMS_KEYS_PATH", "--keys-path", "DIRECTORY", default "",
        dev Available, production Available,
        read value::optional_path, "the path of a directory; it is made if it is not there",
        "The directory of the server's own keys; not set, `keys` in the root directory."
    }
    root_key_path: Option<PathBuf> {
        "KMS_ROOT_KEY_PATH", "--root-key-path", "FILE", default "",
        dev Available, production Available,
        read value::optional_path, "the path of a file that is its owner's alone, with 32 random bytes, 64 hexadecimal digits, or a passphrase of one line of 20 characters or more",
        "The root key, which protects the keys in the database; not set, `root.key` in `KMS_KEYS_PATH`, which is made when the database is set up (in the dev build: nothing protects them)."
    }
    allow_clear_keyring: bool {
        "KMS_ALLOW_CLEAR_KEYRING", "--allow-clear-keyring", "ANSWER", default "no",
        dev Available, production Available,
        read value::answer, "yes or no; `--allow-clear-keyring` alone means yes",
        "Whether a data key is accepted that rests in the clear in the database, so that whoever reads the database has all keys; without `KMS_ROOT_KEY_PATH`, new ones rest so."
    }
    delegated_authority_domain: Option<String> {
        "KMS_DELEGATED_AUTHORITY_DOMAIN", "--delegated-authority-domain", "DOMAIN", default "",
        dev Available, production Available,
        read value::authority, "a domain name such as `tenant.eu.auth0.com`, or an issuer's whole URL (https; in the dev build http too, on loopback)",
        "The `OAuth2` authority whose tokens say who is calling; not set, and no other scheme either, everyone is the user `admin`."
    }
    authorities: Vec<String> {
        "KMS_AUTHORITIES", "--authorities", "ISSUERS", default "",
        dev Available, production Available,
        read value::authorities, "domain names or issuers' URLs, separated by commas",
        "Further `OAuth2` authorities; the users of each are named `ISSUER|USER`, so that none can speak for another's."
    }
    jwt_audience: Vec<String> {
        "KMS_JWT_AUDIENCE", "--jwt-audience", "AUDIENCES", default "",
        dev Available, production Available,
        read value::list, "audiences separated by commas, or `*` for any",
        "A token must be meant for one of these audiences; production does not start without where an authority is set."
    }
    jwt_user_claim: String {
        "KMS_JWT_USER_CLAIM", "--jwt-user-claim", "CLAIM", default "email",
        dev Available, production Available,
        read value::text, "the name of a claim, such as `https://example.com/email`",
        "The claim of a token that holds the user's e-mail address."
    }
    jwt_clients: bool {
        "KMS_JWT_CLIENTS", "--jwt-clients", "POLICY", default "refuse",
        dev Available, production Available,
        read value::accept, "refuse or accept",
        "Whether a token without an e-mail address, which a program got for itself, is accepted as the user `client:ID`."
    }
    trusted_ca_path: Option<PathBuf> {
        "KMS_TRUSTED_CA_PATH", "--trusted-ca-path", "FILE", default "",
        dev Available, production Available,
        read value::optional_path, "the path of a PEM file",
        "Certificates of authorities that are trusted, beside the system's, by whatever the server calls; for a database, instead of the system's."
    }
    client_ca_path: Option<PathBuf> {
        "KMS_CLIENT_CA_PATH", "--client-ca-path", "FILE", default "",
        dev Available, production Available,
        read value::optional_path, "the path of a PEM file",
        "Certificates of the authorities whose client certificates say who is calling."
    }
    client_certificate_user: CertificateUser {
        "KMS_CLIENT_CERTIFICATE_USER", "--client-certificate-user", "FIELD", default "email",
        dev Available, production Available,
        read value::certificate_user, "email (subject alternative name, then subject), common-name, or subject-alternative-name",
        "Which field of a client certificate names its user; `email` falls back to the common name."
    }
    certificate_emails: bool {
        "KMS_CERTIFICATE_EMAILS", "--certificate-emails", "POLICY", default "separate",
        dev Available, production Available,
        read value::same, "separate or same",
        "Whether an e-mail address in a client certificate is the same user as in a token, or `cert:ADDRESS`."
    }
    user_map: Vec<(String, String)> {
        "KMS_USER_MAP", "--user-map", "PAIRS", default "",
        dev Available, production Available,
        read value::pairs, "pairs NAME=USER separated by commas, such as `cert:backup-01=backup@example.com`",
        "Other users for names in a scope (`cert:`, `token:`, `user:`, `client:`)."
    }
    privileged_users: Vec<String> {
        "KMS_PRIVILEGED_USERS", "--privileged-users", "USERS", default "",
        dev Available, production Available,
        read value::list, "users' names separated by commas",
        "The users who may create objects and let others create; not set, everyone may."
    }
    audit: AuditLog {
        "KMS_AUDIT", "--audit", "PLACE", default "file",
        dev Available, production Available,
        read value::audit, "file, database, or off (in the dev build only)",
        "Where the record of every decision is kept."
    }
    audit_path: Option<PathBuf> {
        "KMS_AUDIT_PATH", "--audit-path", "DIRECTORY", default "",
        dev Available, production Available,
        read value::optional_path, "the path of a directory; it is made if it is not there",
        "The directory of the audit log's files; not set, `audit` in the root directory."
    }
    audit_sync: AuditSync {
        "KMS_AUDIT_SYNC", "--audit-sync", "WHEN", default "group",
        dev Available, production Available,
        read value::audit_sync, "group (within 100 ms) or each (before each answer)",
        "When the record of a use is flushed to the disk."
    }
    audit_file_size: usize {
        "KMS_AUDIT_FILE_SIZE", "--audit-file-size", "SIZE", default "64MiB",
        dev Available, production Available,
        read value::body_size, "1KiB to 1GiB, in bytes or with the unit KiB, MiB or GiB",
        "The size at which a file of the audit log is ended and another begun."
    }
    max_body_size: usize {
        "KMS_MAX_BODY_SIZE", "--max-body-size", "SIZE", default "64MiB",
        dev Available, production Available,
        read value::body_size, "1KiB to 1GiB, in bytes or with the unit KiB, MiB or GiB",
        "The largest request body that is read."
    }
    max_connections: usize {
        "KMS_MAX_CONNECTIONS", "--max-connections", "NUMBER", default "10000",
        dev Available, production Available,
        read value::connections, "1 to 1000000",
        "How many connections may be open at once; more wait to be accepted."
    }
    header_timeout: Duration {
        "KMS_HEADER_TIMEOUT", "--header-timeout", "TIME", default "10s",
        dev Available, production Available,
        read value::seconds, "1s to 86400s, in seconds (s) or minutes (m)",
        "How long the header of a request may take to arrive."
    }
    request_timeout: Duration {
        "KMS_REQUEST_TIMEOUT", "--request-timeout", "TIME", default "120s",
        dev Available, production Available,
        read value::seconds, "1s to 86400s, in seconds (s) or minutes (m)",
        "How long the body of a request may take to arrive."
    }
    idle_timeout: Duration {
        "KMS_IDLE_TIMEOUT", "--idle-timeout", "TIME", default "300s",
        dev Available, production Available,
        read value::seconds, "1s to 86400s, in seconds (s) or minutes (m)",
        "How long a connection may stay open without a request, or with an answer that nobody reads."
    }
    stop_timeout: Duration {
        "KMS_STOP_TIMEOUT", "--stop-timeout", "TIME", default "30s",
        dev Available, production Available,
        read value::seconds, "1s to 86400s, in seconds (s) or minutes (m)",
        "How long running requests may take to end when the server is told to stop."
    }
    nonce_policy: NoncePolicy {
        "KMS_NONCE_POLICY", "--nonce-policy", "POLICY", default "warn",
        dev Available, production Available,
        read value::nonce_policy, "warn or refuse",
        "What happens past 2^32 encryptions with random nonces under one key: `warn`, or `refuse` until it is re-keyed."
    }
    log: LogLevel {
        "KMS_LOG", "--log", "LEVEL", default "info",
        dev Available, production Available,
        read value::log_level, "off, error, warn, info, debug or trace",
        "The least serious event that is logged; single requests appear from `debug` on."
    }
    log_format: LogFormat {
        "KMS_LOG_FORMAT", "--log-format", "FORMAT", default "text",
        dev Available, production Available,
        read value::log_format, "text or json",
        "How the log is written to standard error: lines of text, or one JSON object a line."
    }
}
