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
    /// Until when, in RFC 3339; until it is withdrawn, where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// What for, in the owner's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
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
    /// Until when, in RFC 3339; until it is withdrawn, where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// What for, in the owner's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
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

/// What is to be granted, or withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Change<'a> {
    /// The object; none for the right to create objects.
    #[serde(rename = "unique_identifier", skip_serializing_if = "Option::is_none")]
    pub object: Option<&'a str>,
    /// Who may; `*` is every user that the server knows.
    #[serde(rename = "user_id")]
    pub user: &'a str,
    /// The operations, by name.
    #[serde(rename = "operation_types")]
    pub operations: &'a [String],
    /// Until when, in RFC 3339; for ever where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<&'a str>,
    /// What for, in the owner's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<&'a str>,
}

impl<'a> Change<'a> {
    /// A change of what `user` may do with `object`, without end and without a note.
    pub fn new(object: Option<&'a str>, user: &'a str, operations: &'a [String]) -> Self {
        Self { object, user, operations, expires: None, note: None }
    }
}

#[derive(Deserialize)]
struct Success {
    success: String,
}

impl Client {
    /// Lets a user do something with an object, or create objects; the server's sentence.
    ///
    /// # Errors
    /// As [`Client::call`]; an object that is not the caller's is an [`Error::Http`] with 404.
    pub async fn grant(&self, change: &Change<'_>) -> Result<String, Error> {
        self.change("/access/grant", change).await
    }

    /// Takes back what [`Client::grant`] gave, whenever it would have ended.
    ///
    /// # Errors
    /// As [`Client::grant`].
    pub async fn withdraw(&self, change: &Change<'_>) -> Result<String, Error> {
        let change = Change { expires: None, note: None, ..*change };
        self.change("/access/revoke", &change).await
    }

    async fn change(&self, path: &str, change: &Change<'_>) -> Result<String, Error> {
        let body = serde_json::to_vec(change)
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
