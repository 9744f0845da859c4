//! Where a database is: the two URLs read into what they mean, and shown without their password.
//!
//! It must not connect to anything. What it does not know it refuses: a parameter that is dropped
//! without a word may have been the one that asked for TLS.

use std::fmt;
use std::path::PathBuf;

use zeroize::Zeroize;

/// The longest URL that is read, in bytes.
const URL_MAX: usize = 4096;
/// The most hosts in one URL.
const HOSTS_MAX: usize = 16;

/// Where the database is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Location {
    /// `SQLite` in the file `kms.db` of this directory.
    Directory(PathBuf),
    /// `PostgreSQL`, `MySQL` or what speaks like them, on a server.
    Server(Address),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "SQLite, {}", path.join("kms.db").display()),
            Self::Server(address) => write!(f, "{}, {address}", address.product.name()),
        }
    }
}

/// Which protocol a database server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// `PostgreSQL`.
    Postgres,
    /// `MySQL`, `MariaDB`, Galera, `EdgelessDB`.
    MySql,
}

impl Product {
    /// The product's name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::MySql => "MySQL",
        }
    }

    /// Its name where a program reads it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Postgres => "postgresql",
            Self::MySql => "mysql",
        }
    }

    fn port(self) -> u16 {
        match self {
            Self::Postgres => 5432,
            Self::MySql => 3306,
        }
    }

    fn schemes(self) -> &'static [&'static str] {
        match self {
            Self::Postgres => &["postgresql", "postgres"],
            Self::MySql => &["mysql", "mariadb"],
        }
    }
}

/// A password: it is not shown, and is wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Takes a password.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Drop for Password {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// One place where a server of the database may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Tcp { name: String, port: u16 },
    /// A socket in the file system.
    Local(PathBuf),
}

impl Host {
    /// Whether nothing leaves this machine on the way.
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Self::Local(_) => true,
            Self::Tcp { name, .. } => {
                name == "localhost"
                    || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
            }
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { name, port } if name.contains(':') => write!(f, "[{name}]:{port}"),
            Self::Tcp { name, port } => write!(f, "{name}:{port}"),
            Self::Local(path) => write!(f, "{}", path.display()),
        }
    }
}

/// What the URL says about TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    /// Nothing: TLS with a check of host and certificate, but plain text within this machine.
    Usual,
    /// Plain text.
    Never,
    /// TLS with a check of host and certificate.
    Always,
}

/// A database on a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub(crate) product: Product,
    pub(crate) hosts: Vec<Host>,
    pub(crate) user: String,
    pub(crate) password: Option<Password>,
    pub(crate) database: String,
    pub(crate) tls: Tls,
}

/// Why a URL cannot be used. It holds nothing of what may be a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AddressError(String);

type Result<T> = std::result::Result<T, AddressError>;

fn wrong<T>(what: impl Into<String>) -> Result<T> {
    Err(AddressError(what.into()))
}

/// What to do about characters that end a part of a URL.
const ESCAPES: &str = "in a name or password, / is written %2F, @ %40, : %3A, ? %3F, # %23 and % %25";

impl Address {
    /// Reads the URL of a database of this product.
    pub fn parse(product: Product, url: &str) -> Result<Self> {
        if url.len() > URL_MAX || url.chars().any(char::is_control) {
            return wrong(format!("the URL is longer than {URL_MAX} bytes or has control characters"));
        }
        let schemes = product.schemes();
        let rest = url.split_once("://").filter(|(scheme, _)| schemes.contains(scheme));
        let Some((_, rest)) = rest else {
            return wrong(format!("the URL does not begin with {}://", product.word()));
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (account, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = match account.split_once(':') {
            Some((user, password)) => (user, Some(decode(password)?)),
            None => (account, None),
        };
        let mut address = Self {
            product,
            hosts: hosts_of(product, hosts)?,
            user: decode(user)?,
            password: password.map(Password::new),
            database: decode(database)?,
            tls: Tls::Usual,
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            address.set(key, &decode(value)?)?;
        }
        address.check()?;
        Ok(address)
    }

    /// Which protocol the database speaks.
    pub fn product(&self) -> Product {
        self.product
    }

    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        match (self.product, key) {
            (Product::Postgres, "sslmode" | "ssl-mode") | (Product::MySql, "ssl-mode") => {
                self.tls = tls_mode(key, value)?;
            }
            // The writable host is what we look for anyway.
            (Product::Postgres, "target_session_attrs")
                if matches!(value, "read-write" | "primary") => {}
            (Product::Postgres, "target_session_attrs") => {
                return wrong("target_session_attrs may be read-write or primary: the server writes");
            }
            (Product::Postgres, "host") if value.starts_with('/') => {
                let port = match self.hosts.first() {
                    Some(Host::Tcp { port, .. }) => *port,
                    _ => self.product.port(),
                };
                let path = PathBuf::from(value).join(format!(".s.PGSQL.{port}"));
                self.hosts = vec![Host::Local(path)];
            }
            (Product::MySql, "socket") if value.starts_with('/') => {
                self.hosts = vec![Host::Local(PathBuf::from(value))];
            }
            (Product::Postgres, "host") | (Product::MySql, "socket") => {
                return wrong(format!("{key} is the whole path of a socket, beginning with /"));
            }
            _ => {
                let known = match self.product {
                    Product::Postgres => "sslmode, target_session_attrs and host (a socket's directory)",
                    Product::MySql => "ssl-mode and socket",
                };
                return wrong(format!(
                    "the URL has a parameter that is not known; it may have {known}. Certificates \
                     are named by KMS_DATABASE_CA_PATH and KMS_USER_CERT_PATH"
                ));
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        if self.hosts.is_empty() {
            return wrong("the URL names no host");
        }
        if self.user.is_empty() {
            return wrong("the URL names no user: it is HOST's part before @");
        }
        if self.database.is_empty() || self.database.contains('/') {
            return wrong("the URL names no database: it is the word after HOST/");
        }
        Ok(())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}@", self.product.word(), self.user)?;
        for (number, host) in self.hosts.iter().enumerate() {
            write!(f, "{}{host}", if number > 0 { "," } else { "" })?;
        }
        write!(f, "/{}", self.database)
    }
}

fn tls_mode(key: &str, value: &str) -> Result<Tls> {
    match value.to_ascii_lowercase().replace('_', "-").as_str() {
        "disable" | "disabled" => Ok(Tls::Never),
        // What checks less than everything is taken for what checks everything.
        "require" | "required" | "verify-ca" | "verify-full" | "verify-identity" => Ok(Tls::Always),
        "allow" | "prefer" | "preferred" => wrong(format!(
            "{key}={value} may mean plain text without a word; write the one that is meant: \
             verify-full or disable (MySQL: VERIFY_IDENTITY or DISABLED)"
        )),
        _ => wrong(format!(
            "{key} may be verify-full or disable (MySQL: VERIFY_IDENTITY or DISABLED)"
        )),
    }
}

fn hosts_of(product: Product, list: &str) -> Result<Vec<Host>> {
    if list.is_empty() {
        return Ok(Vec::new());
    }
    let hosts: Vec<_> = list.split(',').map(|host| host_of(product, host)).collect::<Result<_>>()?;
    if hosts.len() > HOSTS_MAX {
        return wrong(format!("the URL names more than {HOSTS_MAX} hosts"));
    }
    Ok(hosts)
}

fn host_of(product: Product, text: &str) -> Result<Host> {
    let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((name, port)) => (name, port.strip_prefix(':')),
        None => match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        None => product.port(),
        Some(port) => match port.parse() {
            Ok(port) if port > 0 && port_digits(text) => port,
            _ => return wrong(format!("a port is not a number of 1 to 65535 ({ESCAPES})")),
        },
    };
    let name = decode(name)?;
    if name.starts_with('/') {
        let path = PathBuf::from(&name);
        return Ok(Host::Local(match product {
            Product::Postgres => path.join(format!(".s.PGSQL.{port}")),
            Product::MySql => path,
        }));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':');
    if name.is_empty() || !name.bytes().all(plain) {
        return wrong(format!("a host is not a name or an address ({ESCAPES})"));
    }
    Ok(Host::Tcp { name, port })
}

/// A port is digits alone, without the sign that `parse` would let pass.
fn port_digits(text: &str) -> bool {
    text.rsplit(':').next().is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Undoes percent-encoding.
fn decode(text: &str) -> Result<String> {
    let bad = || AddressError(format!("a % is not followed by two hexadecimal digits ({ESCAPES})"));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let (digits, after) = rest.split_first_chunk::<2>().ok_or_else(bad)?;
        let digits = std::str::from_utf8(digits).ok();
        let digits = digits.filter(|it| it.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let byte = digits.and_then(|it| u8::from_str_radix(it, 16).ok()).ok_or_else(bad)?;
        bytes.push(byte);
        rest = after;
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => wrong("a part of the URL is not text"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn postgres(url: &str) -> Result<Address> {
        Address::parse(Product::Postgres, url)
    }

    #[test]
    fn urls_are_read_and_shown_without_their_password() {
        let address = postgres("postgresql://kms:p%40ss@a.example,[::1]:5433/keys?sslmode=verify-full")
            .unwrap();
        assert_eq!(address.to_string(), "postgresql://kms@a.example:5432,[::1]:5433/keys");
        assert_eq!(address.password.as_ref().unwrap().expose(), "p@ss");
        assert_eq!(address.tls, Tls::Always);
        assert!(!format!("{address:?}").contains("p@ss"));
        let address = Address::parse(Product::MySql, "mysql://kms@localhost/kms").unwrap();
        assert_eq!(address.to_string(), "mysql://kms@localhost:3306/kms");
        assert!(address.password.is_none() && address.hosts[0].is_local());
        let address = postgres("postgres://u@/kms?host=/var/run/postgresql").unwrap();
        assert_eq!(address.hosts, [Host::Local("/var/run/postgresql/.s.PGSQL.5432".into())]);
        let address = postgres("postgres://u@%2Frun/kms").unwrap();
        assert_eq!(address.hosts, [Host::Local("/run/.s.PGSQL.5432".into())]);
        let address = Address::parse(Product::MySql, "mysql://u@h/kms?socket=/run/my.sock").unwrap();
        assert_eq!(address.hosts, [Host::Local("/run/my.sock".into())]);
    }

    #[test]
    fn what_is_not_understood_is_refused_and_not_repeated() {
        for (url, says) in [
            ("mysql://u@h/kms", "begin with postgresql://"),
            ("postgresql://secret:secret/secret@h/kms", "not a number"),
            ("postgresql://u:secret@h:0/kms", "not a number"),
            ("postgresql://u:secret@h:+1/kms", "not a number"),
            ("postgresql://u:sec%ret@h/kms", "hexadecimal"),
            ("postgresql://u:secret@h o/kms", "not a name"),
            ("postgresql://:secret@h/kms", "no user"),
            ("postgresql://u:secret@h", "no database"),
            ("postgresql://u:secret@/kms", "no host"),
            ("postgresql://u@h/kms?password=secret", "not known"),
            ("postgresql://u@h/kms?ssl_mode=disable", "not known"),
            ("postgresql://u@h/kms?sslmode=prefer", "plain text"),
            ("postgresql://u@h/kms?sslmode=", "may be"),
            ("postgresql://u@h/kms?target_session_attrs=any", "read-write"),
            ("postgresql://u@h/kms?host=secret", "path"),
        ] {
            let error = postgres(url).unwrap_err().to_string();
            assert!(error.contains(says) && !error.contains("secret"), "{url}: {error}");
        }
    }
}
