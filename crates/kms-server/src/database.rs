//! Which database the options mean, and how it is reached.
//!
//! Reads the files of certificates; what is in them is read by the store.

use std::io::Read as _;
use std::path::Path;

use kms_config::Config;
use kms_config::exit::Exit;
use kms_store::{Address, Identity, Password, Product, Remote, Roots};

use crate::compose::StartError;

/// The longest file of certificates, in bytes.
const FILE_MAX: u64 = 1 << 20;

/// How the store is to be opened.
pub(crate) fn of(config: &Config) -> Result<kms_store::Config, StartError> {
    let urls = [
        (Product::Postgres, "KMS_POSTGRES_URL", &config.postgres_url.value),
        (Product::MySql, "KMS_MYSQL_URL", &config.mysql_url.value),
    ];
    for (product, name, url) in urls {
        if let Some(url) = url {
            let address = Address::parse(product, url.expose())
                .map_err(|error| wrong(format!("{name}: {error}")))?;
            return Ok(kms_store::Config::server(address, remote(config)?));
        }
    }
    Ok(kms_store::Config::directory(config.root_dir.value.clone()))
}

fn remote(config: &Config) -> Result<Remote, StartError> {
    // What was named for the database alone; else what was named for all; else the system's.
    let named = config.database_ca_path.as_deref();
    let roots = match named.or(config.trusted_ca_path.as_deref()) {
        Some(path) => Roots::Only(read(path)?),
        None => Roots::Public,
    };
    let identity = match config.user_cert_path.as_deref() {
        Some(path) => {
            let password = Password::new(config.user_cert_password.expose().to_owned());
            Some(Identity::new(read(path)?, password))
        }
        None => None,
    };
    Ok(Remote {
        roots,
        demands_tls: named.is_some(),
        identity,
        wait: *config.database_wait,
        staleness: *config.max_staleness,
        connections: *config.database_connections,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, StartError> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path);
    let read = file.and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() as u64 <= FILE_MAX => Ok(bytes),
        Ok(_) => Err(wrong(format!("{}: it is longer than {FILE_MAX} bytes", path.display()))),
        Err(error) => Err(wrong(format!("{}: it cannot be read: {error}", path.display()))),
    }
}

fn wrong(message: String) -> StartError {
    StartError::new(Exit::Configuration, message)
}
