//! The profile file: named servers, and which of them is meant.
//!
//! `<user configuration directory>/kms/config.toml`. It must not connect to anything.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::files;

/// Where a server is when nobody says.
pub(crate) const DEFAULT_URL: &str = "http://localhost:9998";

/// The file.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The profile that is meant when none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default: Option<String>,
    /// The profiles by name.
    #[serde(default)]
    pub(crate) profiles: BTreeMap<String, Profile>,
}

/// One server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// Its address.
    pub(crate) url: String,
    /// How many seconds a connection may take to open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) connect_timeout: Option<u64>,
    /// How many seconds a request may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request_timeout: Option<u64>,
    /// Whether a token may go to it without TLS, over a network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) insecure_token: Option<bool>,
    /// The identity provider's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) issuer: Option<String>,
    /// The name under which the provider knows `kms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_id: Option<String>,
    /// For whom the token is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) audience: Option<String>,
    /// What to ask the provider for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scope: Option<String>,
    /// The port of this machine to which the browser returns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) redirect_port: Option<u16>,
    /// Certificates of authorities that count beside the system's, for the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trusted_ca_path: Option<PathBuf>,
}

/// The file of certificates that count beside the system's, before any profile's.
const TRUSTED_CA: &str = "KMS_TRUSTED_CA_PATH";

impl Profile {
    /// A profile of nothing but an address.
    pub(crate) fn at(url: &str) -> Self {
        Self { url: url.to_owned(), ..Self::default() }
    }

    /// What the client library needs.
    pub(crate) fn client(&self) -> kms_client::Profile {
        let mut profile = kms_client::Profile::new(&self.url);
        if let Some(seconds) = self.connect_timeout {
            profile.connect_timeout = Duration::from_secs(seconds);
        }
        if let Some(seconds) = self.request_timeout {
            profile.request_timeout = Duration::from_secs(seconds);
        }
        profile.token_in_clear = self.insecure_token == Some(true);
        profile
    }

    /// The file of certificates that count beside the system's.
    pub(crate) fn trusted_ca(&self) -> Option<PathBuf> {
        let set = std::env::var_os(TRUSTED_CA).filter(|value| !value.is_empty());
        set.map(PathBuf::from).or_else(|| self.trusted_ca_path.clone())
    }
}

impl Config {
    /// Where the file is.
    pub(crate) fn path() -> Result<PathBuf, Error> {
        let directory = directory(|name| std::env::var_os(name)).ok_or_else(|| {
            Error::usage("there is no home directory, so no profile file").hint("set HOME")
        })?;
        Ok(directory.join("kms").join("config.toml"))
    }

    /// Reads the file; an absent one is empty.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(Error::file("read", path, &error)),
        };
        toml::from_str(&text).map_err(|error| {
            Error::usage(format!("{} is wrong: {}", path.display(), error.to_string().trim_end()))
                .hint("correct it, or set the profile again with `kms profiles set NAME URL`")
        })
    }

    /// Writes the file, whole or not at all.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)
                .map_err(|error| Error::file("made", directory, &error))?;
        }
        let text = toml::to_string(self).map_err(|error| Error::unexpected(error.to_string()))?;
        files::write_whole(path, text.as_bytes(), files::Existing::Replace)
    }

    /// The profile of this name.
    pub(crate) fn named(&self, name: &str) -> Result<&Profile, Error> {
        self.profiles.get(name).ok_or_else(|| {
            Error::usage(format!("there is no profile {name:?}"))
                .hint("`kms profiles list` shows them; `kms profiles set NAME URL` makes one")
        })
    }
}

/// The user's configuration directory.
fn directory(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute =
        |name: &str| variable(name).map(PathBuf::from).filter(|directory| directory.is_absolute());
    if cfg!(windows) {
        return absolute("APPDATA");
    }
    if let Some(directory) = absolute("XDG_CONFIG_HOME") {
        return Some(directory);
    }
    let below = if cfg!(target_os = "macos") { "Library/Application Support" } else { ".config" };
    Some(absolute("HOME")?.join(below))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kms/config.toml");
        assert_eq!(Config::read(&path).unwrap(), Config::default());
        let mut config = Config { default: Some("work".to_owned()), ..Config::default() };
        config.profiles.insert("work".to_owned(), Profile::at("http://kms:9998"));
        config.write(&path).unwrap();
        config.write(&path).unwrap();
        assert_eq!(Config::read(&path).unwrap(), config);
        assert!(config.named("home").is_err());
    }

    #[test]
    fn a_misspelt_option_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        std::fs::write(&path, "[profiles.a]\nurl = \"http://a\"\nrequest_timeot = 3\n").unwrap();
        let error = Config::read(&path).unwrap_err();
        assert!(error.message.contains("request_timeot"), "{}", error.message);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_directory_is_the_users() {
        let home = |name: &str| (name == "HOME").then(|| "/home/a".into());
        assert_eq!(directory(home), Some("/home/a/.config".into()));
        let set = |name: &str| (name == "XDG_CONFIG_HOME").then(|| "/x".into());
        assert_eq!(directory(set), Some("/x".into()));
        assert_eq!(directory(|_| None), None);
    }
}
