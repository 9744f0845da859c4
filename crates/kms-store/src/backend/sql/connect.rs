//! New connections: which host writes, a session as our statements need it, and why there is none.
//!
//! Several hosts are tried in turn, beginning with the last that served, and one that only reads is
//! passed over. It must not know a statement on our tables.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlDatabaseError, MySqlSslMode};
use sqlx::postgres::{PgConnectOptions, PgDatabaseError, PgSslMode};
use sqlx::{ConnectOptions as _, Error as Cause};

use super::driver::{Connection, Link, Row, SessionId, Value};
use super::failure::Failure;
use super::relay;
use super::tls::Trust;
use crate::backend::dialect::Dialect;
use crate::location::{Address, Host, Product};

/// How long one host may take to let us in.
const CONNECT: Duration = Duration::from_secs(4);
/// The most prepared statements of a connection: there are some for each shape of a commit.
const STATEMENTS: usize = 512;
/// The name of our sessions, for those who look at the database.
const NAME: &str = "kms-server";

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{host}: {why}; {mend}")]
pub(super) struct Refusal {
    pub(super) host: String,
    pub(super) why: String,
    pub(super) mend: String,
    /// Whether it may pass by itself.
    pub(super) passes: bool,
}

impl Refusal {
    pub(super) fn new(passes: bool, why: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { host: String::new(), why: why.into(), mend: mend.into(), passes }
    }

    fn at(self, host: &Host) -> Self {
        Self { host: host.to_string(), ..self }
    }
}

/// What makes connections.
pub(super) struct Connector {
    address: Address,
    trust: Option<Trust>,
    /// The host that served last.
    current: AtomicUsize,
}

impl Connector {
    pub(super) fn new(address: Address, trust: Option<Trust>) -> Self {
        Self { address, trust, current: AtomicUsize::new(0) }
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    pub(super) fn dialect(&self) -> Dialect {
        match self.address.product {
            Product::Postgres => Dialect::Postgres,
            Product::MySql => Dialect::MySql,
        }
    }

    /// A connection to a host that writes.
    pub(super) async fn connect(&self) -> Result<Connection, Refusal> {
        let count = self.address.hosts.len();
        let first = self.current.load(Ordering::Relaxed);
        let mut refusals: Vec<Refusal> = Vec::new();
        for turn in 0..count {
            let number = (first + turn) % count.max(1);
            let Some(host) = self.address.hosts.get(number) else { continue };
            let slow = || {
                Refusal::new(
                    true,
                    "it does not answer",
                    "check the network, the firewall and that the database runs",
                )
            };
            let attempt = tokio::time::timeout(CONNECT, self.connect_to(host)).await;
            match attempt.unwrap_or_else(|_late| Err(slow())) {
                Ok(mut connection) => {
                    self.current.store(number, Ordering::Relaxed);
                    connection.id.host = number;
                    return Ok(connection);
                }
                Err(refusal) => refusals.push(refusal.at(host)),
            }
        }
        Err(most_telling(refusals))
    }

    async fn connect_to(&self, host: &Host) -> Result<Connection, Refusal> {
        let mut connection = match (&self.trust, host) {
            (_, Host::Local(path)) => {
                self.open_in_the_clear(&Place::Socket(path.display().to_string())).await?
            }
            (None, Host::Tcp { name, port }) => {
                let mut last = Err(nowhere(name));
                for address in resolve(name, *port).await? {
                    last = self.open_in_the_clear(&Place::Tcp(address)).await;
                    if last.as_ref().map_or_else(|refusal| !refusal.passes, |_| true) {
                        break;
                    }
                }
                last?
            }
            (Some(trust), Host::Tcp { name, port }) => {
                let addresses = resolve(name, *port).await?;
                let relay = relay::start(&self.address, trust, name, &addresses)?;
                match self.open(&Place::Socket(relay.path().to_owned())).await {
                    Ok(connection) => connection,
                    // The driver was told why, or saw only that the relay hung up.
                    Err(refusal) if !refusal.passes => return Err(refusal),
                    Err(refusal) => return Err(relay.why().await.unwrap_or(refusal)),
                }
            }
        };
        self.prepare(&mut connection).await?;
        Ok(connection)
    }

    async fn open(&self, place: &Place) -> Result<Connection, Refusal> {
        self.attempt(place).await.map_err(|cause| refusal(&cause, &self.address))
    }

    /// In the clear, where a `MySQL` wants to see the password once, after which it knows it: the
    /// driver does not show it without TLS of its own.
    async fn open_in_the_clear(&self, place: &Place) -> Result<Connection, Refusal> {
        match self.attempt(place).await {
            Err(cause) if self.was_not_shown(&cause, place) => {}
            opened => return opened.map_err(|cause| refusal(&cause, &self.address)),
        }
        let relay = relay::introduce(&self.address, place)?;
        match self.open(&Place::Socket(relay.path().to_owned())).await {
            Ok(known) => known.close().await,
            Err(refusal) if !refusal.passes => return Err(refusal),
            Err(refusal) => return Err(relay.why().await.unwrap_or(refusal)),
        }
        self.open(place).await
    }

    /// Whether the driver may have been refused for not showing the password. On a socket it asks for
    /// a key first, which the database takes for the password.
    fn was_not_shown(&self, cause: &Cause, place: &Place) -> bool {
        const DENIED: u16 = 1045;
        let is_denied = || {
            let error = cause.as_database_error();
            let error = error.and_then(|error| error.try_downcast_ref::<MySqlDatabaseError>());
            error.is_some_and(|error| error.number() == DENIED)
        };
        self.address.product == Product::MySql
            && match place {
                Place::Tcp(_) => matches!(cause, Cause::Configuration(_)),
                Place::Socket(_) => self.address.password.is_some() && is_denied(),
            }
    }

    async fn attempt(&self, place: &Place) -> Result<Connection, Cause> {
        let opened = match self.address.product {
            Product::Postgres => self.postgres(place).connect().await.map(Link::Postgres),
            Product::MySql => self.mysql(place).connect().await.map(Link::MySql),
        };
        opened.map(Connection::new)
    }

    fn postgres(&self, place: &Place) -> PgConnectOptions {
        let options = PgConnectOptions::new_without_pgpass()
            .username(&self.address.user)
            .database(&self.address.database)
            .application_name(NAME)
            .ssl_mode(PgSslMode::Disable)
            .statement_cache_capacity(STATEMENTS)
            .disable_statement_logging();
        let options = match place {
            Place::Tcp(address) => options.host(&address.ip().to_string()).port(address.port()),
            // The driver puts the name of the file together again.
            Place::Socket(path) => match path.rsplit_once("/.s.PGSQL.") {
                Some((directory, port)) => {
                    options.socket(directory).port(port.parse().unwrap_or_default())
                }
                None => options.socket(path),
            },
        };
        match &self.address.password {
            Some(password) => options.password(password.expose()),
            None => options,
        }
    }

    fn mysql(&self, place: &Place) -> MySqlConnectOptions {
        let options = MySqlConnectOptions::new()
            .username(&self.address.user)
            .database(&self.address.database)
            .ssl_mode(MySqlSslMode::Disabled)
            .statement_cache_capacity(STATEMENTS)
            // The session is set up by one statement of ours.
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(None)
            .set_names(false)
            .disable_statement_logging();
        let options = match place {
            Place::Tcp(address) => options.host(&address.ip().to_string()).port(address.port()),
            Place::Socket(path) => options.socket(path),
        };
        match &self.address.password {
            Some(password) => options.password(password.expose()),
            None => options,
        }
    }

    /// Sets the session up, and refuses a host that only reads.
    async fn prepare(&self, connection: &mut Connection) -> Result<(), Refusal> {
        let writes = match self.dialect() {
            Dialect::MySql => prepare_mysql(connection).await,
            Dialect::Postgres => prepare_postgres(connection).await,
        };
        match writes {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refusal::new(
                true,
                "it does not write now: it is a standby, read-only, or not part of its cluster",
                "name the primary in the URL, or all hosts",
            )),
            Err(failure) => Err(Refusal::new(
                matches!(failure, Failure::Lost(_) | Failure::Ended(_) | Failure::Busy(_)),
                format!("the session cannot be set up: {failure}"),
                "check the account's rights and the database's log",
            )),
        }
    }
}

/// Where a driver connects to.
#[derive(Clone)]
pub(super) enum Place {
    Tcp(SocketAddr),
    Socket(String),
}

fn nowhere(name: &str) -> Refusal {
    Refusal::new(
        true,
        format!("the name {name} has no address"),
        "check the name in the URL, and the name service",
    )
}

async fn resolve(name: &str, port: u16) -> Result<Vec<SocketAddr>, Refusal> {
    let found = tokio::net::lookup_host((name, port)).await;
    let addresses: Vec<_> = found.map(Iterator::collect).unwrap_or_default();
    if addresses.is_empty() { Err(nowhere(name)) } else { Ok(addresses) }
}

/// What the driver says of a connection that was not made.
fn refusal(cause: &Cause, address: &Address) -> Refusal {
    match cause {
        Cause::Io(error) => unreachable(error),
        Cause::Database(error) => {
            if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
                postgres_refusal(error.code(), error.message(), address)
            } else if let Some(error) = error.try_downcast_ref::<MySqlDatabaseError>() {
                mysql_refusal(error.number(), error.message(), address)
            } else {
                Refusal::new(false, error.message(), "check the database's log")
            }
        }
        Cause::Protocol(text) => Refusal::new(
            false,
            format!("it does not answer as a {} database would: {text}", address.product.name()),
            "check the port in the URL, and how the account authenticates",
        ),
        // `sha256_password`, the one before `caching_sha2_password`.
        Cause::Configuration(_) => Refusal::new(
            false,
            "the account authenticates in a way that is not known here",
            "let it authenticate by caching_sha2_password, by mysql_native_password or by a \
             certificate",
        ),
        other => Refusal::new(false, other.to_string(), "check the database's log"),
    }
}

/// A connection that the network did not give.
pub(super) fn unreachable(error: &io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Refusal::new(
            true,
            "nothing listens there (connection refused)",
            "check host and port, and that the database runs",
        ),
        io::ErrorKind::NotFound => Refusal::new(
            true,
            "there is no such socket",
            "check the path, and that the database runs",
        ),
        io::ErrorKind::PermissionDenied => Refusal::new(
            false,
            "this user may not use the socket",
            "check the rights of the socket and its directory",
        ),
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => {
            Refusal::new(true, "it hung up", "check the database's log, and whether it wants TLS")
        }
        _ => Refusal::new(
            true,
            format!("it cannot be reached: {error}"),
            "check the network, the firewall and that the database runs",
        ),
    }
}

fn credentials(text: &str, address: &Address) -> Refusal {
    Refusal::new(
        false,
        format!("it does not let the user {} in: {text}", address.user),
        "check user and password in the URL, the client certificate (KMS_USER_CERT_PATH), and what \
         the database asks of the account",
    )
}

fn no_database(address: &Address) -> Refusal {
    let (name, user) = (&address.database, &address.user);
    let command = match address.product {
        Product::Postgres => format!("CREATE DATABASE {name} OWNER {user}"),
        Product::MySql => format!("CREATE DATABASE {name}"),
    };
    Refusal::new(
        false,
        format!("it has no database {name}"),
        format!("check the name after HOST/ in the URL, or make it: {command}"),
    )
}

fn postgres_refusal(code: &str, message: &str, address: &Address) -> Refusal {
    match code {
        // No line of pg_hba.conf lets the session in; that may also be because it is plain text.
        "28P01" | "28000" => credentials(message, address),
        "3D000" => no_database(address),
        "42501" => Refusal::new(
            false,
            format!("the user {} may not use it: {message}", address.user),
            format!("grant it: GRANT CONNECT ON DATABASE {} TO {}", address.database, address.user),
        ),
        "57P03" | "57P01" | "57P02" => {
            Refusal::new(true, format!("it is starting or stopping: {message}"), "wait")
        }
        "53300" => Refusal::new(
            true,
            "it has no connection left",
            "raise max_connections of the database, or lower KMS_DATABASE_CONNECTIONS",
        ),
        _ => Refusal::new(false, format!("{message} ({code})"), "check the database's log"),
    }
}

fn mysql_refusal(number: u16, message: &str, address: &Address) -> Refusal {
    match number {
        1045 | 1251 | 1275 | 1698 | 3118 | 3159 | 1820 | 1862 => credentials(message, address),
        1049 => no_database(address),
        1044 => Refusal::new(
            false,
            format!("the user {} may not use it: {message}", address.user),
            format!("grant it: GRANT ALL ON {}.* TO {}", address.database, address.user),
        ),
        1130 => Refusal::new(
            false,
            format!("it lets no one in from this machine: {message}"),
            format!("make the account for this machine: CREATE USER {}@'%'", address.user),
        ),
        1040 | 1203 | 1226 => Refusal::new(
            true,
            "it has no connection left",
            "raise max_connections of the database, or lower KMS_DATABASE_CONNECTIONS",
        ),
        1047 | 1053 | 1129 => Refusal::new(true, message, "wait"),
        _ => Refusal::new(false, format!("{message} ({number})"), "check the database's log"),
    }
}

/// Of several hosts' refusals the one to tell: one that does not pass, else all of them.
fn most_telling(refusals: Vec<Refusal>) -> Refusal {
    if let Some(last) = refusals.iter().find(|refusal| !refusal.passes) {
        return last.clone();
    }
    let mut refusals = refusals.into_iter();
    let Some(mut all) = refusals.next() else {
        return Refusal::new(false, "the URL names no host", "name one");
    };
    for other in refusals {
        all.host = format!("{}, {}", all.host, other.host);
        if other.why != all.why {
            all.why = format!("{}; {}: {}", all.why, other.host, other.why);
        }
    }
    all
}

/// Whether the host writes. What is set makes plans depend on the statement alone: every statement
/// of ours finds its rows by an index, however large the tables are and whatever is known of them.
async fn prepare_postgres(connection: &mut Connection) -> Result<bool, Failure> {
    const SESSION: &str = "SELECT (CASE WHEN pg_is_in_recovery() \
         OR current_setting('transaction_read_only') = 'on' THEN 0 ELSE 1 END)::bigint, \
         pg_backend_pid()::bigint, (SELECT (extract(epoch FROM backend_start) * 1000000)::bigint \
         FROM pg_stat_activity WHERE pid = pg_backend_pid()), \
         set_config('default_transaction_isolation', 'read committed', false), \
         set_config('enable_seqscan', 'off', false), \
         set_config('enable_hashjoin', 'off', false), \
         set_config('enable_mergejoin', 'off', false), \
         set_config('enable_bitmapscan', 'off', false), \
         set_config('enable_material', 'off', false), \
         set_config('jit', 'off', false), \
         set_config('join_collapse_limit', '1', false), \
         set_config('plan_cache_mode', 'force_generic_plan', false), \
         set_config('bytea_output', 'hex', false), \
         set_config('statement_timeout', '60s', false), \
         set_config('lock_timeout', '4s', false), \
         set_config('idle_in_transaction_session_timeout', '30s', false)";
    let Some(row) = connection.row(&Dialect::Postgres.spell(SESSION), &[]).await? else {
        return Ok(false);
    };
    connection.id.number = row.int(1)?;
    connection.id.began = row.maybe_int(2)?.unwrap_or_default();
    Ok(row.int(0)? == 1)
}

async fn prepare_mysql(connection: &mut Connection) -> Result<bool, Failure> {
    const ROLE: &str = "SHOW GLOBAL VARIABLES WHERE variable_name IN ('read_only', \
         'super_read_only', 'wsrep_on', 'innodb_lock_wait_timeout')";
    const SESSION: &str = "SET NAMES utf8mb4 COLLATE utf8mb4_bin; \
         SET SESSION sql_mode = 'ANSI_QUOTES,STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,\
         ERROR_FOR_DIVISION_BY_ZERO', autocommit = 1, time_zone = '+00:00'; \
         SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";
    connection.script(SESSION).await?;
    if let Some(row) = connection.row(&Dialect::MySql.spell("SELECT connection_id()"), &[]).await? {
        connection.id.number = row.int(0)?;
    }
    let mut writes = true;
    for row in connection.rows(&Dialect::MySql.spell(ROLE), &[]).await? {
        let on = row.text(1)?.eq_ignore_ascii_case("on") || row.text(1)? == "1";
        match row.text(0)?.to_ascii_lowercase().as_str() {
            "wsrep_on" if on => {
                // Each read waits until the node has what all nodes had when it began.
                connection.script("SET SESSION wsrep_sync_wait = 1").await?;
                writes &= is_ready(connection).await?;
            }
            // Where there is this engine: MyRocks alone has a short wait of its own.
            "innodb_lock_wait_timeout" => {
                connection.script("SET SESSION innodb_lock_wait_timeout = 4").await?;
            }
            "read_only" | "super_read_only" => writes &= !on,
            _ => {}
        }
    }
    Ok(writes)
}

/// Whether a node of a cluster belongs to the part that goes on.
async fn is_ready(connection: &mut Connection) -> Result<bool, Failure> {
    const STATUS: &str = "SHOW GLOBAL STATUS WHERE variable_name = 'wsrep_ready'";
    let row: Option<Row> = connection.row(&Dialect::MySql.spell(STATUS), &[]).await?;
    row.map_or(Ok(false), |row| Ok(row.text(1)?.eq_ignore_ascii_case("on")))
}

/// Whether the host of a connection still writes.
pub(super) async fn still_writes(
    connection: &mut Connection,
    dialect: Dialect,
) -> Result<bool, Failure> {
    match dialect {
        Dialect::MySql => prepare_mysql(connection).await,
        Dialect::Postgres => prepare_postgres(connection).await,
    }
}

/// Whether a session has certainly ended, as another one of the same host sees it.
pub(super) async fn has_ended(
    connection: &mut Connection,
    dialect: Dialect,
    id: SessionId,
) -> Result<bool, Failure> {
    const POSTGRES: &str = "SELECT count(*) FROM pg_stat_activity WHERE pid = ?1 \
         AND (extract(epoch FROM backend_start) * 1000000)::bigint = ?2";
    const MYSQL: &str = "SELECT count(*) FROM information_schema.processlist WHERE id = ?1";
    let (number, began) = (Value::Int(id.number), Value::Int(id.began));
    if connection.id.host != id.host {
        return Ok(false);
    }
    let row = match dialect {
        Dialect::Postgres => connection.row(&dialect.spell(POSTGRES), &[number, began]).await?,
        // Numbers rise as long as the server runs: a lower one is one of a later run.
        Dialect::MySql if connection.id.number < id.number => return Ok(true),
        Dialect::MySql => connection.row(&dialect.spell(MYSQL), &[number]).await?,
    };
    row.map_or(Ok(false), |row| Ok(row.int(0)? == 0))
}

/// Says at the start where a crash or a failover may take back what was answered.
pub(super) async fn warn_of_weakness(connection: &mut Connection, address: &Address) {
    let asked = match address.product {
        Product::Postgres => weakness_of_postgres(connection, address).await,
        Product::MySql => weakness_of_mysql(connection, address).await,
    };
    match asked {
        Ok(weak) => weak.into_iter().for_each(|weak| tracing::warn!(database = %address, "{weak}")),
        Err(failure) => tracing::debug!(%failure, "how durable the database is, is not known"),
    }
}

async fn weakness_of_postgres(
    connection: &mut Connection,
    address: &Address,
) -> Result<Vec<&'static str>, Failure> {
    const SQL: &str = "SELECT current_setting('fsync'), current_setting('synchronous_commit'), \
         current_setting('synchronous_standby_names'), (SELECT count(*) FROM pg_stat_replication)";
    let mut weak = Vec::new();
    let Some(row) = connection.row(&Dialect::Postgres.spell(SQL), &[]).await? else {
        return Ok(weak);
    };
    if row.text(0)? == "off" {
        weak.push("fsync is off: a crash may destroy the database");
    }
    if row.text(1)? == "off" {
        weak.push("synchronous_commit is off: a crash may take back the last answers");
    }
    let replicated = row.int(3)? > 0 || address.hosts.len() > 1;
    if replicated && (row.text(2)?.is_empty() || row.text(1)? == "local") {
        weak.push(
            "it has standbys and waits for none (synchronous_standby_names, synchronous_commit): \
             a failover may take back the last answers",
        );
    }
    Ok(weak)
}

async fn weakness_of_mysql(
    connection: &mut Connection,
    address: &Address,
) -> Result<Vec<&'static str>, Failure> {
    const SQL: &str = "SHOW GLOBAL VARIABLES WHERE variable_name IN \
         ('innodb_flush_log_at_trx_commit', 'wsrep_on', 'log_bin', 'sync_binlog', \
          'rpl_semi_sync_master_enabled', 'rpl_semi_sync_source_enabled')";
    let mut values = std::collections::HashMap::new();
    for row in connection.rows(&Dialect::MySql.spell(SQL), &[]).await? {
        values.insert(row.text(0)?.to_ascii_lowercase(), row.text(1)?.to_ascii_lowercase());
    }
    let is = |name: &str, value: &str| values.get(name).is_some_and(|it| it == value);
    let mut weak = Vec::new();
    let clustered = is("wsrep_on", "on");
    let flushes = values.get("innodb_flush_log_at_trx_commit").is_none_or(|it| it == "1");
    if !flushes && !clustered {
        weak.push(
            "innodb_flush_log_at_trx_commit is not 1: a crash may take back the last answers",
        );
    }
    // The second is MySQL's name for it since 8.0.26.
    let waits =
        is("rpl_semi_sync_master_enabled", "on") || is("rpl_semi_sync_source_enabled", "on");
    if !clustered && address.hosts.len() > 1 && !waits {
        weak.push(
            "it is replicated without Galera and without semi-synchronous replication: a failover \
             may take back the last answers",
        );
    }
    Ok(weak)
}
