//! `kms locate`.

use clap::Args;
use kmip::attribute::Attributes;
use kmip::operation::LocateRequest;

use crate::attribute_text::{parse, parse_value, tags};
use crate::context::Context;
use crate::error::Error;
use crate::render::Answer;

/// Find objects by their attributes; all that are given must fit
#[derive(Args, Debug)]
pub(crate) struct Locate {
    /// By name
    #[arg(long)]
    name: Option<String>,
    /// By tag; may be given several times
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// By algorithm: AES, RSA, EC, …
    #[arg(long)]
    algorithm: Option<String>,
    /// By length in bits
    #[arg(long, value_name = "BITS")]
    length: Option<String>,
    /// By state: PreActive, Active, Deactivated, Compromised, Destroyed, …
    #[arg(long)]
    state: Option<String>,
    /// By kind: SymmetricKey, PrivateKey, PublicKey, Certificate, …
    #[arg(long = "type", value_name = "TYPE")]
    object_type: Option<String>,
    /// By object group
    #[arg(long)]
    group: Option<String>,
    /// By another attribute; a date given twice is a range
    #[arg(long = "attribute", value_name = "NAME=VALUE")]
    attributes: Vec<String>,
    /// At most so many
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: i32,
    /// Leave out so many at the beginning
    #[arg(long, value_name = "COUNT")]
    offset: Option<i32>,
}

impl Locate {
    pub(crate) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let named = [
            ("Name", &self.name),
            ("CryptographicAlgorithm", &self.algorithm),
            ("CryptographicLength", &self.length),
            ("State", &self.state),
            ("ObjectType", &self.object_type),
            ("ObjectGroup", &self.group),
        ];
        let mut wanted = Vec::new();
        for (name, value) in named {
            if let Some(value) = value {
                wanted.push(parse_value(name, value)?);
            }
        }
        if !self.tags.is_empty() {
            wanted.push(tags(&self.tags));
        }
        for text in &self.attributes {
            wanted.push(parse(text)?);
        }
        let request = LocateRequest {
            maximum_items: Some(self.limit),
            offset_items: self.offset,
            attributes: Attributes(wanted),
            ..LocateRequest::default()
        };
        super::keys::table(&context.client().await?, request).await
    }
}
