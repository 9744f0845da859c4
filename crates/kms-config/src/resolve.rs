//! From what was set to one valid value, or to the whole list of what is wrong with it.
//!
//! Reports; it does not print and does not end the process.

use std::fmt;

use crate::commands::{self, Given};
use crate::document;
use crate::layer::{Layers, Origin, Sources};
use crate::options::{Config, OPTIONS, Row, Use};

/// Which build the server is; it decides what an option means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// Built with `--features dev`.
    Dev,
    /// Built with `--features staging`.
    Staging,
    /// Built without features.
    Production,
}

impl Build {
    /// The build's name, as it is reported.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Staging => "staging",
            Self::Production => "production",
        }
    }
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Invocation {
    /// To print this text and end.
    Help(String),
    /// To print the version and end.
    Version,
    /// To serve.
    Serve(Box<Serve>),
    /// To do what a command says, with the options of a server.
    Command(Box<Serve>, Given),
}

/// A valid configuration.
#[derive(Debug)]
pub struct Serve {
    /// The options.
    pub config: Config,
    /// What was set and will have no effect.
    pub warnings: Vec<String>,
}

/// One thing that is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The option, where it was set, and what is wrong.
    pub what: String,
    /// What is allowed, or the next step.
    pub remedy: String,
}

impl Problem {
    pub(crate) fn new(what: String, remedy: String) -> Self {
        Self { what, remedy }
    }

    pub(crate) fn bad_value(row: &Row, text: &str, origin: &Origin) -> Self {
        let shown: String = if row.is_secret() {
            "(not shown)".to_owned()
        } else {
            text.chars().take(64).flat_map(char::escape_debug).collect()
        };
        let name = match origin {
            Origin::Argument => row.argument,
            Origin::Environment | Origin::File(_) | Origin::Default => row.environment,
        };
        Self::new(
            format!("{name} ({origin}): \"{shown}\" is not a valid value"),
            format!("It may be {}.", row.allowed),
        )
    }
}

/// Everything that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        writeln!(f, "The configuration has {count} {noun}:")?;
        for problem in &self.0 {
            writeln!(f, "  {}\n      {}", problem.what, problem.remedy)?;
        }
        f.write_str("`kms-server --help` lists the options.")
    }
}

impl std::error::Error for Problems {}

/// What is wrong with values that are each right.
fn check_together(config: &Config, problems: &mut Vec<Problem>) {
    if let (Some(_), Some(_)) = (&config.postgres_url.value, &config.mysql_url.value) {
        problems.push(Problem::new(
            format!(
                "KMS_POSTGRES_URL ({}) and KMS_MYSQL_URL ({}) are both set",
                config.postgres_url.origin, config.mysql_url.origin
            ),
            "Set the one whose database is meant; objects are in one database.".to_owned(),
        ));
    }
}

/// Reads `sources`: arguments before environment before `.env` before defaults.
pub fn resolve(sources: &Sources, build: Build) -> Result<Invocation, Problems> {
    let mut problems = Vec::new();
    let mut layers = Layers::read(sources, &mut problems);
    if layers.help {
        return Ok(Invocation::Help(document::help(build)));
    }
    if layers.version {
        return Ok(Invocation::Version);
    }
    let config = Config::read(&layers, &mut problems);
    if let Some(config) = &config {
        check_together(config, &mut problems);
    }
    let command = layers.command.take();
    if let Some(given) = &command {
        commands::check(given, &mut problems);
    }
    for row in OPTIONS.iter().filter(|row| row.used_in(build) == Use::Unused) {
        let (_, origin) = layers.find(row);
        if origin != Origin::Default {
            layers.warnings.push(format!(
                "{} ({origin}) is not used by the {} build",
                row.environment,
                build.name()
            ));
        }
    }
    match config {
        Some(config) if problems.is_empty() => {
            let serve = Box::new(Serve { config, warnings: layers.warnings });
            Ok(match command {
                Some(given) => Invocation::Command(serve, given),
                None => Invocation::Serve(serve),
            })
        }
        _ => Err(Problems(problems)),
    }
}
