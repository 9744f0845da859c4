//! A stand-in for EdgelessDB's SQL side: stock MariaDB that stores everything in MyRocks, shows a
//! self-signed authority's certificate as its own, and knows users by their certificates alone. A
//! manifest sets it up, as it does the real one. It has no REST side.

use rcgen::DnType;
use serde_json::Value;

use super::USER;
use super::instance::{Clients, Setup, Tls};
use super::place::Place;
use crate::certificates::{Authority, Identity};

/// What a manifest says of the SQL side.
#[derive(Clone, Debug)]
pub(super) struct Manifest {
    sql: Vec<String>,
    ca: String,
}

impl Manifest {
    /// Reads the text that would be posted.
    pub(super) fn parse(text: &str) -> Self {
        let value: Value =
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let sql = value.get("sql").and_then(Value::as_array).map(Vec::as_slice);
        let sql = sql.unwrap_or_default().iter().filter_map(Value::as_str);
        let ca = value.get("ca").and_then(Value::as_str).unwrap_or_default();
        Self { sql: sql.map(str::to_owned).collect(), ca: ca.to_owned() }
    }

    /// One with a user and a database, whose client certificate is left in `place`.
    fn own(place: &Place) -> Self {
        let authority = Authority::new("KMS database CA");
        let client = authority.client(USER);
        place.file("client.pem", &client.certificate);
        place.own_secret("client-key.pem", &client.key);
        let sql = vec![
            format!(
                "CREATE USER {USER} REQUIRE ISSUER '{}' SUBJECT '{}'",
                authority.subject(),
                client.subject
            ),
            format!("CREATE DATABASE {USER}"),
            // Each database of a test begins with this word.
            format!("GRANT ALL ON `{USER}%`.* TO {USER}"),
        ];
        Self { sql, ca: authority.pem() }
    }
}

/// Settles what the manifest, or the lack of one, leaves open.
pub(super) fn settle(setup: &mut Setup, place: &Place) {
    let manifest = setup.manifest.take().unwrap_or_else(|| Manifest::own(place));
    let subject = [(DnType::OrganizationName, "EDB root"), (DnType::CommonName, "localhost")];
    let server = Identity::self_signed_authority(&subject, &["localhost"]);
    place.file("root.pem", &server.certificate);
    setup.tls = Some(Tls { server, clients: Some(Clients { authority: manifest.ca.clone() }) });
    setup.manifest = Some(manifest);
}

/// Its part of the configuration.
pub(super) const CONFIGURATION: &str = "\
plugin-load-add=ha_rocksdb.so
default-storage-engine=ROCKSDB
enforce-storage-engine=ROCKSDB
";

/// What bootstrapping does: no user is left but those of the manifest, and the one on the socket in
/// a folder of the account alone, which the tests keep.
pub(super) fn bootstrap(setup: &Setup) -> Vec<String> {
    setup.manifest.iter().flat_map(|manifest| manifest.sql.iter().cloned()).collect()
}
