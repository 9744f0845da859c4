//! Databases on servers of the test kit.

use kms_store::{Address, Config, Identity, Password, Product, Remote, Roots, Store};
use kms_testkit::database::{ClientFiles, Database, Kind, database};

use crate::Fixture;

/// What the store is told of a database.
pub(crate) fn address(kind: Kind, url: &str) -> Address {
    let product = match kind {
        Kind::Postgres => Product::Postgres,
        Kind::MariaDb | Kind::EdgelessDb => Product::MySql,
    };
    Address::parse(product, url).unwrap()
}

pub(crate) async fn open(kind: Kind, url: &str, remote: Remote) -> Store {
    Store::open(Config::server(address(kind, url), remote)).await.unwrap()
}

/// A certificate and its key, and who is believed.
pub(crate) fn with_certificates(roots: &str, identity: Option<String>) -> Remote {
    let identity =
        identity.map(|pem| Identity::new(pem.into_bytes(), Password::new(String::new())));
    Remote {
        roots: Roots::Only(roots.as_bytes().to_vec()),
        demands_tls: true,
        identity,
        ..Remote::default()
    }
}

/// What the stand-in for EdgelessDB asks for.
pub(crate) fn edgeless(files: &ClientFiles) -> Remote {
    let text = |path| std::fs::read_to_string(path).unwrap();
    let identity = format!("{}{}", text(&files.certificate), text(&files.key));
    with_certificates(&text(&files.root), Some(identity))
}

/// How a database of the kit is reached.
pub(crate) fn remote(database: &Database) -> Remote {
    match database.kind() {
        Kind::Postgres | Kind::MariaDb => Remote::default(),
        Kind::EdgelessDb => edgeless(&database.client_files()),
    }
}

macro_rules! fixtures {
    ($($name:ident)*) => {
        $(pub(crate) struct $name(Database);

        impl $name {
            fn config(&self) -> Config {
                Config::server(address(Kind::$name, &self.0.url()), remote(&self.0))
            }
        }

        impl Fixture for $name {
            async fn new() -> Self {
                Self(database(Kind::$name))
            }

            async fn open(&self) -> Store {
                Store::open(self.config()).await.unwrap()
            }

            async fn open_beside(&self) -> Store {
                Store::open(self.config().beside()).await.unwrap()
            }

            fn alone(&self) -> bool {
                false
            }
        })*
    };
}

fixtures! { Postgres MariaDb EdgelessDb }
