//! `kms keys list`.

use clap::Args;
use kmip::attribute::{AttributeKind, AttributeName, Attributes};
use kmip::identifier::UniqueIdentifier;
use kmip::operation::{GetAttributesRequest, LocateRequest, Request, Response};
use kms_client::{Batch, Client, OnError};
use serde_json::{Value, json};

use crate::attribute_text::{named, parse_value, shown};
use crate::context::Context;
use crate::error::Error;
use crate::render::Answer;

/// How many objects are asked about in one message.
const BATCH: usize = 200;

/// List the objects that you may see, with what they are
#[derive(Args, Debug)]
pub(crate) struct List {
    /// Only those in this state: PreActive, Active, Deactivated, Compromised, Destroyed, …
    #[arg(long)]
    state: Option<String>,
    /// Only those of this kind: SymmetricKey, PrivateKey, PublicKey, Certificate, …
    #[arg(long = "type", value_name = "TYPE")]
    object_type: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: i32,
    /// Leave out so many at the beginning
    #[arg(long, value_name = "COUNT")]
    offset: Option<i32>,
}

impl List {
    pub(crate) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let mut wanted = Vec::new();
        if let Some(state) = &self.state {
            wanted.push(parse_value("State", state)?);
        }
        if let Some(object_type) = &self.object_type {
            wanted.push(parse_value("ObjectType", object_type)?);
        }
        let request = LocateRequest {
            maximum_items: Some(self.limit),
            offset_items: self.offset,
            attributes: Attributes(wanted),
            ..LocateRequest::default()
        };
        table(&context.client().await?, request).await
    }
}

/// What a search finds, with the attributes that tell objects apart.
pub(crate) async fn table(client: &Client, request: LocateRequest) -> Result<Answer, Error> {
    let found = client.call(request).await?;
    let total = found.located_items;
    let mut rows = Vec::with_capacity(found.unique_identifiers.len());
    for some in found.unique_identifiers.chunks(BATCH) {
        rows.extend(described(client, some).await?);
    }
    let shown = i32::try_from(rows.len()).unwrap_or(i32::MAX);
    let note = match total {
        Some(total) if total > shown => Some(format!("{shown} of {total}; see --limit, --offset")),
        None if shown > 0 => Some(format!("{shown} shown; there may be more: --limit, --offset")),
        _ => None,
    };
    Ok(Answer::Rows {
        columns: vec!["Identifier", "Type", "Algorithm", "Length", "State", "Name", "Tags"],
        rows,
        note,
    })
}

async fn described(client: &Client, ids: &[String]) -> Result<Vec<Vec<Value>>, Error> {
    let columns = [
        AttributeKind::ObjectType,
        AttributeKind::CryptographicAlgorithm,
        AttributeKind::CryptographicLength,
        AttributeKind::State,
        AttributeKind::Name,
    ];
    let mut names = columns.map(AttributeName::Kind).to_vec();
    names.push(named("Tags")?);
    let requests = ids.iter().map(|id| {
        Request::GetAttributes(GetAttributesRequest {
            unique_identifier: Some(UniqueIdentifier::Id(id.clone())),
            names: names.clone(),
        })
    });
    let batch = Batch::new(requests.collect()).on_error(OnError::Continue);
    let answers = client.batch(batch).await?;
    let rows = ids.iter().zip(answers).map(|(id, answer)| {
        let mut row = vec![json!(id)];
        // One that went away meanwhile, or whose attributes are not ours to read, is still found.
        let fields = match answer {
            Ok(Response::GetAttributes(got)) => shown(&got.attributes)?,
            _ => Vec::new(),
        };
        let names = [
            "ObjectType",
            "CryptographicAlgorithm",
            "CryptographicLength",
            "State",
            "Name",
            "Tags",
        ];
        row.extend(names.map(|name| {
            let mut values = fields.iter().filter(|(it, _)| it == name).map(|(_, value)| value);
            match (values.next(), values.next()) {
                (None, _) => Value::Null,
                (Some(one), None) => one.clone(),
                (Some(one), Some(two)) => {
                    Value::Array([one, two].into_iter().chain(values).cloned().collect())
                }
            }
        }));
        Ok(row)
    });
    rows.collect()
}
