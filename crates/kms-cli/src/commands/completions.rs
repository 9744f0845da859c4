//! `kms completions`.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::Cli;
use crate::error::Error;
use crate::files::{self, Existing};
use crate::render::Answer;

/// Write the completion script of a shell
///
/// For bash: kms completions bash > ~/.local/share/bash-completion/completions/kms
#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> Result<Answer, Error> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "kms", &mut script);
        files::write_key("-".as_ref(), &script, Existing::Keep)?;
        Ok(Answer::Silent)
    }
}
