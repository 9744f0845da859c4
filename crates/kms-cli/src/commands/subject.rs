//! How a command names the object it is about, and what it asks about it first.

use clap::Args;
use kmip::attribute::{AttributeKind, AttributeName, Attributes};
use kmip::enumerations::{CryptographicAlgorithm, LinkType, ObjectType};
use kmip::identifier::UniqueIdentifier;
use kmip::operation::{GetAttributesRequest, Request};
use kms_client::{Batch, Call, Client, OnError};

use crate::error::{Error, quoted};

/// An object, by identifier or by tags.
#[derive(Args, Debug)]
pub(crate) struct Subject {
    /// Its identifier, or its tags as a JSON list: '["blue","sky"]'
    #[arg(value_name = "ID", required_unless_present = "tags")]
    id: Option<String>,
    /// A tag that it bears, instead of its identifier; it bears all that are given
    #[arg(long = "tag", value_name = "TAG", conflicts_with = "id")]
    tags: Vec<String>,
}

impl Subject {
    /// The object.
    pub(crate) fn object(&self) -> Object {
        Object::named(match &self.id {
            Some(id) => id.clone(),
            None => serde_json::Value::from(self.tags.clone()).to_string(),
        })
    }
}

/// An object, where other arguments follow it.
#[derive(Args, Debug)]
pub(crate) struct Object {
    /// Its identifier, or its tags as a JSON list: '["blue","sky"]'
    #[arg(value_name = "ID")]
    id: String,
}

/// What tells how an object can be used.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// The identifier itself, where tags were given.
    pub(crate) id: String,
    pub(crate) object_type: Option<ObjectType>,
    pub(crate) algorithm: Option<CryptographicAlgorithm>,
    /// The private key, of a public one.
    pub(crate) private_key: Option<String>,
}

impl Object {
    /// The object of an identifier, or of a JSON list of tags.
    pub(crate) fn named(id: impl Into<String>) -> Self {
        Self { id: id.into() }
    }

    /// As a shell takes it.
    pub(crate) fn quoted(&self) -> String {
        quoted(&self.id)
    }

    /// As it was named.
    pub(crate) fn text(&self) -> &str {
        &self.id
    }

    /// As a request takes it.
    pub(crate) fn identifier(&self) -> UniqueIdentifier {
        UniqueIdentifier::Id(self.id.clone())
    }

    /// An error about this object, with what to do next.
    pub(crate) fn told(&self, error: kms_client::Error) -> Error {
        let reason = error.reason();
        Error::from(error).about(&self.id, reason)
    }

    /// Sends a request about this object.
    pub(crate) async fn call<C: Call>(
        &self,
        client: &Client,
        request: C,
    ) -> Result<C::Response, Error> {
        client.call(request).await.map_err(|error| self.told(error))
    }

    /// Sends requests of which all are done or none.
    pub(crate) async fn all_or_nothing(
        &self,
        client: &Client,
        requests: Vec<Request>,
    ) -> Result<(), Error> {
        let batch = Batch::new(requests).on_error(OnError::Undo);
        for answer in client.batch(batch).await? {
            answer.map_err(|failure| self.told(failure.into()))?;
        }
        Ok(())
    }

    /// Attributes of it; all, where none is named.
    pub(crate) async fn attributes(
        &self,
        client: &Client,
        names: &[AttributeName],
    ) -> Result<Attributes, Error> {
        let request = GetAttributesRequest {
            unique_identifier: Some(self.identifier()),
            names: names.to_vec(),
        };
        Ok(self.call(client, request).await?.attributes)
    }

    /// What it is.
    pub(crate) async fn facts(&self, client: &Client) -> Result<Facts, Error> {
        let kinds =
            [AttributeKind::ObjectType, AttributeKind::CryptographicAlgorithm, AttributeKind::Link];
        let request = GetAttributesRequest {
            unique_identifier: Some(self.identifier()),
            names: kinds.map(AttributeName::Kind).to_vec(),
        };
        let found = self.call(client, request).await?;
        Ok(Facts {
            id: found.unique_identifier,
            object_type: found.attributes.object_type(),
            algorithm: found.attributes.cryptographic_algorithm(),
            private_key: found.attributes.linked(LinkType::PrivateKeyLink).map(str::to_owned),
        })
    }
}
