//! The laboratory's program as a child that runs beside what is measured or shown: it is told
//! something by lines, answers by lines, and ends when nobody can tell it anything any more.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};

/// The child; it ends when this is dropped.
pub(crate) struct Lab {
    child: Child,
    told: Option<ChildStdin>,
    said: BufReader<ChildStdout>,
    /// The URL that it says it is at.
    pub(crate) url: String,
}

impl Lab {
    /// Runs `kms-lab TASK` (`provider`, `issuer` or `database KIND`) and waits until it says where it is.
    pub(crate) fn start(program: &Path, task: &str) -> Result<Self> {
        let mut child = Command::new(program)
            .args(task.split(' '))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let told = child.stdin.take();
        let said = BufReader::new(child.stdout.take().context("its output")?);
        let mut lab = Self { child, told, said, url: String::new() };
        let line = lab.line()?;
        let url = line.strip_prefix("issuer ").or_else(|| line.strip_prefix("database "));
        url.with_context(|| format!("kms-lab {task}: {line}"))?.clone_into(&mut lab.url);
        Ok(lab)
    }

    /// Tells it one line and reads `lines` lines of an answer.
    pub(crate) fn ask(&mut self, line: &str, lines: usize) -> Result<Vec<String>> {
        let told = self.told.as_mut().context("it is told nothing more")?;
        writeln!(told, "{line}")?;
        (0..lines).map(|_| self.line()).collect()
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.said.read_line(&mut line)? == 0 {
            bail!("kms-lab ended; what it complained of is above");
        }
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(self.told.take());
        drop(self.child.wait());
    }
}
