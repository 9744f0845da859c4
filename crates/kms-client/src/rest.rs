//! What the server offers beside KMIP: access rights, and word about itself.
//!
//! The shapes are those of the field's most used servers of this kind; members that are not named
//! here are kept in `more`, or ignored.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::transport::segment;
use crate::{Client, Error};

/// What one user may do with an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Access {
    /// The user.
    pub user_id: String,
    /// The operations, by name.
    pub operations: Vec<String>,
}

/// An object of the caller's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Owned {
    /// Its identifier.
    pub object_id: String,
    /// Its state, by name.
    pub state: String,
}

/// An object of another's, that the caller may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Granted {
    /// Its identifier.
    pub object_id: String,
    /// Its owner.
    pub owner_id: String,
    /// Its state, by name.
    pub state: String,
    /// What the caller may do with it, by name.
    pub operations: Vec<String>,
}

/// Whether the server is well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Health {
    /// `UP`, where it is.
    pub status: String,
    /// What else it says.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// What the server says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServerInfo {
    /// Its version.
    pub version: String,
    /// What else it says.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// Who the server takes the caller for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Me {
    /// What it says.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

#[derive(Serialize)]
struct Change<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    unique_identifier: Option<&'a str>,
    user_id: &'a str,
    operation_types: &'a [String],
}

#[derive(Deserialize)]
struct Success {
    success: String,
}

impl Client {
    /// Lets `user` do `operations` with the object `id`, or create objects where there is no `id`.
    ///
    /// # Errors
    /// As [`Client::call`]; an object that is not the caller's is an [`Error::Http`] with 404.
    pub async fn grant(
        &self,
        id: Option<&str>,
        user: &str,
        operations: &[String],
    ) -> Result<String, Error> {
        self.change("/access/grant", id, user, operations).await
    }

    /// Takes back what [`Client::grant`] gave.
    ///
    /// # Errors
    /// As [`Client::grant`].
    pub async fn withdraw(
        &self,
        id: Option<&str>,
        user: &str,
        operations: &[String],
    ) -> Result<String, Error> {
        self.change("/access/revoke", id, user, operations).await
    }

    async fn change(
        &self,
        path: &str,
        id: Option<&str>,
        user: &str,
        operations: &[String],
    ) -> Result<String, Error> {
        let change = Change { unique_identifier: id, user_id: user, operation_types: operations };
        let body = serde_json::to_vec(&change)
            .map_err(|error| Error::Request { problem: error.to_string() })?;
        let answer = self.transport.post(path, "application/json", body).await?;
        Ok(json::<Success>(&answer)?.success)
    }

    /// Who may do what with the object `id`.
    ///
    /// # Errors
    /// As [`Client::grant`].
    pub async fn accesses(&self, id: &str) -> Result<Vec<Access>, Error> {
        self.read(&format!("/access/list/{}", segment(id))).await
    }

    /// The caller's own objects.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn owned(&self) -> Result<Vec<Owned>, Error> {
        self.read("/objects/owned").await
    }

    /// The objects that others share with the caller.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn shared(&self) -> Result<Vec<Granted>, Error> {
        self.read("/objects/shared").await
    }

    /// The server's version.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn version(&self) -> Result<String, Error> {
        self.read("/version").await
    }

    /// What the server says about itself.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn server_info(&self) -> Result<ServerInfo, Error> {
        self.read("/server-info").await
    }

    /// Whether the server is well.
    ///
    /// # Errors
    /// As [`Client::call`]; a server that is not well is an [`Error::Http`] with 503.
    pub async fn health(&self) -> Result<Health, Error> {
        let answer = self.transport.get("/health").await?;
        // One word, where the caller may not know more.
        if let Ok(word @ ("UP" | "DOWN")) = std::str::from_utf8(&answer).map(str::trim) {
            return Ok(Health { status: word.to_owned(), more: Map::new() });
        }
        json(&answer)
    }

    /// Who the server takes the caller for.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn me(&self) -> Result<Me, Error> {
        self.read("/me").await
    }

    async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        json(&self.transport.get(path).await?)
    }
}

fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    // Only the place is told: the text may be anybody's.
    serde_json::from_slice(bytes).map_err(|error| Error::NotKmip {
        problem: format!(
            "its JSON is unexpected at line {}, column {}",
            error.line(),
            error.column()
        ),
    })
}
