//! `kms attributes get`.

use clap::Args;

use crate::attribute_text::{named, shown};
use crate::commands::subject::Object;
use crate::context::Context;
use crate::error::Error;
use crate::render::Answer;

/// Show attributes of an object
#[derive(Args, Debug)]
pub(crate) struct Get {
    #[command(flatten)]
    object: Object,
    /// Which: State, cryptographic-length, … [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

impl Get {
    pub(crate) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let names = self.names.iter().map(|name| named(name));
        let names = names.collect::<Result<Vec<_>, Error>>()?;
        let attributes = self.object.attributes(&context.client().await?, &names).await?;
        Ok(Answer::Fields(shown(&attributes)?))
    }
}
