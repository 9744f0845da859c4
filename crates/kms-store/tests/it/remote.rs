//! Databases on servers of the test kit.

use kms_store::{Address, Config, Product, Remote, Store};
use kms_testkit::database::{Database, Kind, database};

use crate::Fixture;

/// A database of a test's own on a shared server.
pub(crate) struct OnServer(pub(crate) Database);

/// What the store is told of a database.
pub(crate) fn address(kind: Kind, url: &str) -> Address {
    let product = match kind {
        Kind::Postgres => Product::Postgres,
        _ => Product::MySql,
    };
    Address::parse(product, url).unwrap()
}

pub(crate) async fn open(kind: Kind, url: &str, remote: Remote) -> Store {
    Store::open(Config::server(address(kind, url), remote)).await.unwrap()
}

macro_rules! fixtures {
    ($($name:ident)*) => {
        $(pub(crate) struct $name(OnServer);

        impl Fixture for $name {
            async fn new() -> Self {
                Self(OnServer(database(Kind::$name)))
            }

            async fn open(&self) -> Store {
                open(Kind::$name, &self.0.0.url(), Remote::default()).await
            }

            fn alone(&self) -> bool {
                false
            }
        })*
    };
}

fixtures! { Postgres MariaDb }
