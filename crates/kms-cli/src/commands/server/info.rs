//! `kms server info`.

use clap::Args;
use kmip::operation::DiscoverVersionsRequest;
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::Error;
use crate::render::Answer;

/// Show where and what the server is, and for whom it takes you
#[derive(Args, Debug)]
pub(crate) struct Info {}

impl Info {
    pub(crate) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let client = context.client().await?;
        let info = client.server_info().await?;
        let versions = client.call(DiscoverVersionsRequest::default()).await?;
        let versions = versions
            .protocol_versions
            .iter()
            .map(|version| format!("{}.{}", version.major, version.minor));
        let mut fields = vec![
            ("url".to_owned(), json!(client.url())),
            ("version".to_owned(), json!(info.version)),
            ("kmip_versions".to_owned(), Value::from(versions.collect::<Vec<String>>())),
        ];
        // Who we are may be asked for only where somebody asks who calls.
        if let Ok(me) = client.me().await {
            fields.extend(me.more);
        }
        fields.extend(info.more);
        Ok(Answer::Fields(fields))
    }
}
