//! What was set, and where: arguments, the environment, a `.env` file, and the defaults beneath.
//!
//! Knows names and texts; what a text means is read in `value`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::commands::{self, Given};
use crate::options::{OPTIONS, Row};
use crate::resolve::Problem;

/// Variables that begin like ours and belong to the command-line client.
const CLIENT_VARIABLES: &[&str] = &["KMS_URL", "KMS_TOKEN", "KMS_PROFILE", "KMS_OUTPUT"];

/// Where a value was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// On the command line.
    Argument,
    /// In the environment of the process.
    Environment,
    /// In this file.
    File(PathBuf),
    /// Nowhere.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument => f.write_str("argument"),
            Self::Environment => f.write_str("environment"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// What there is to read. A test makes its own; the process has [`Sources::of_process`].
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The arguments, without the program's name.
    pub arguments: Vec<OsString>,
    /// The environment.
    pub environment: Vec<(OsString, OsString)>,
    /// The directory in which a `.env` file is looked for.
    pub directory: PathBuf,
}

impl Sources {
    /// What this process was started with.
    pub fn of_process() -> Self {
        Self {
            arguments: std::env::args_os().skip(1).collect(),
            environment: std::env::vars_os().collect(),
            directory: PathBuf::from("."),
        }
    }
}

/// What was set in each place.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    arguments: BTreeMap<&'static str, String>,
    environment: BTreeMap<&'static str, String>,
    file: BTreeMap<&'static str, String>,
    file_path: PathBuf,
    pub(crate) help: bool,
    pub(crate) version: bool,
    pub(crate) command: Option<Given>,
    pub(crate) warnings: Vec<String>,
}

impl Layers {
    pub(crate) fn read(sources: &Sources, problems: &mut Vec<Problem>) -> Self {
        let mut layers = Self { file_path: sources.directory.join(".env"), ..Self::default() };
        layers.read_arguments(&sources.arguments, problems);
        if layers.help || layers.version {
            return layers;
        }
        for (name, value) in &sources.environment {
            let Some(name) = name.to_str().filter(|name| name.starts_with("KMS_")) else {
                continue;
            };
            match (row(name), value.to_str()) {
                (Some(row), Some(value)) => {
                    layers.environment.insert(row.environment, value.to_owned());
                }
                (Some(row), None) => {
                    problems.push(Problem::new(
                        format!("{} (environment): the value is not UTF-8", row.environment),
                        format!("It may be {}.", row.allowed),
                    ));
                }
                (None, _) => layers.unknown(name, &Origin::Environment),
            }
        }
        layers.read_file(problems);
        layers
    }

    /// The text of an option and where it was found: the first layer that has it.
    pub(crate) fn find(&self, row: &'static Row) -> (&str, Origin) {
        let name = row.environment;
        if let Some(text) = self.arguments.get(name) {
            (text, Origin::Argument)
        } else if let Some(text) = self.environment.get(name) {
            (text, Origin::Environment)
        } else if let Some(text) = self.file.get(name) {
            (text, Origin::File(self.file_path.clone()))
        } else {
            (row.default, Origin::Default)
        }
    }

    fn read_arguments(&mut self, arguments: &[OsString], problems: &mut Vec<Problem>) {
        let mut words = 0;
        if let Some((command, count)) = commands::find(arguments) {
            words = count;
            self.command = Some(Given { command, operands: BTreeMap::new() });
        }
        let mut arguments = arguments.iter();
        arguments.by_ref().take(words).for_each(drop);
        while let Some(argument) = arguments.next() {
            let Some(text) = argument.to_str() else {
                problems.push(Problem::new(
                    format!("argument {}: not UTF-8", argument.display()),
                    "Arguments are UTF-8 text.".to_owned(),
                ));
                continue;
            };
            match text {
                "--help" | "-h" => self.help = true,
                "--version" | "-V" => self.version = true,
                _ => self.read_argument(text, &mut arguments, problems),
            }
        }
    }

    fn read_argument(
        &mut self,
        text: &str,
        rest: &mut std::slice::Iter<'_, OsString>,
        problems: &mut Vec<Problem>,
    ) {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        if self.read_operand(name, value.as_deref(), rest, problems) {
            return;
        }
        let Some(row) = OPTIONS.iter().find(|row| row.argument == name) else {
            problems.push(unknown_argument(name));
            // Its value, if it has one, is not a second mistake.
            if name.starts_with("--")
                && value.is_none()
                && rest.as_slice().first().is_some_and(|next| !is_option(next))
            {
                rest.next();
            }
            return;
        };
        let bare = || row.bare().map(str::to_owned);
        let Some(value) = value.or_else(|| next_value(rest)).or_else(bare) else {
            problems.push(Problem::new(
                format!("{name}: the value is missing"),
                format!("It may be {}. Write {name} {}.", row.allowed, row.placeholder),
            ));
            return;
        };
        if self.arguments.insert(row.environment, value).is_some() {
            problems.push(Problem::new(
                format!("{name}: given twice"),
                "Give each argument once.".to_owned(),
            ));
        }
    }

    /// Takes an operand of the command; whether it was one.
    fn read_operand(
        &mut self,
        text: &str,
        value: Option<&str>,
        rest: &mut std::slice::Iter<'_, OsString>,
        problems: &mut Vec<Problem>,
    ) -> bool {
        let Some(given) = &mut self.command else { return false };
        let named = text.starts_with("--");
        let operand = given.command.operands.iter().find(|operand| match operand.argument {
            Some(argument) => argument == text,
            None => !named && !given.operands.contains_key(operand.name),
        });
        let Some(operand) = operand else { return false };
        let value = match (operand.argument, value) {
            (None, None) => Some(text.to_owned()),
            (None, Some(value)) => Some(format!("{text}={value}")),
            (Some(_), None) if operand.flag => Some(String::new()),
            (Some(_), Some(_)) if operand.flag => None,
            (Some(_), Some(value)) => Some(value.to_owned()),
            (Some(_), None) => next_value(rest),
        };
        match value {
            Some(value) => {
                if given.operands.insert(operand.name, value).is_some() {
                    problems.push(Problem::new(
                        format!("{text}: given twice"),
                        "Give each argument once.".to_owned(),
                    ));
                }
            }
            None if operand.flag => problems.push(Problem::new(
                format!("{text}: it has no value"),
                format!("Write {text} alone."),
            )),
            None => problems.push(Problem::new(
                format!("{text}: the value is missing"),
                format!("{}.", operand.help),
            )),
        }
        true
    }

    fn read_file(&mut self, problems: &mut Vec<Problem>) {
        let text = match std::fs::read_to_string(&self.file_path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => {
                problems.push(Problem::new(
                    format!("{}: {error}", self.file_path.display()),
                    "Make the file readable for the server, or remove it.".to_owned(),
                ));
                return;
            }
        };
        let origin = Origin::File(self.file_path.clone());
        let mut lines = text.lines().enumerate();
        for entry in dotenvy::from_read_iter(text.as_bytes()) {
            let (name, value) = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    problems.push(bad_line(&self.file_path, &error, &mut lines));
                    continue;
                }
            };
            match row(&name) {
                Some(row) => {
                    self.file.insert(row.environment, value);
                }
                None if name.starts_with("KMS_") => self.unknown(&name, &origin),
                None => {}
            }
        }
    }

    fn unknown(&mut self, name: &str, origin: &Origin) {
        if CLIENT_VARIABLES.contains(&name) {
            return;
        }
        let hint = nearest(name, OPTIONS.iter().map(|row| row.environment))
            .map(|near| format!("; did you mean {near}?"))
            .unwrap_or_default();
        self.warnings.push(format!("{name} ({origin}) is not an option and is ignored{hint}"));
    }
}

/// What is wrong with a line of the file. Its text stays out of the message: it may hold a secret.
fn bad_line<'a>(
    path: &Path,
    error: &dotenvy::Error,
    lines: &mut impl Iterator<Item = (usize, &'a str)>,
) -> Problem {
    let first = match error {
        dotenvy::Error::LineParse(text, _) => text.lines().next(),
        _ => None,
    };
    let place = first.and_then(|first| lines.find(|(_, line)| line.trim() == first.trim()));
    let place = place.map_or_else(
        || "a line".to_owned(),
        |(index, _)| format!("line {}", index.saturating_add(1)),
    );
    Problem::new(
        format!("{}: {place} is not NAME=value", path.display()),
        "Write one NAME=value a line; quote values with blanks.".to_owned(),
    )
}

/// The value that stands after an argument.
fn next_value(rest: &mut std::slice::Iter<'_, OsString>) -> Option<String> {
    rest.as_slice().first().filter(|next| !is_option(next))?;
    rest.next().and_then(|next| next.to_str()).map(str::to_owned)
}

fn row(environment: &str) -> Option<&'static Row> {
    OPTIONS.iter().find(|row| row.environment == environment)
}

fn is_option(argument: &OsString) -> bool {
    argument.to_str().is_some_and(|text| text.starts_with("--"))
}

fn unknown_argument(name: &str) -> Problem {
    let known = OPTIONS.iter().map(|row| row.argument).chain(["--help", "--version"]);
    let remedy = nearest(name, known).map_or_else(
        || "`--help` lists the arguments.".to_owned(),
        |near| format!("Did you mean {near}?"),
    );
    Problem::new(format!("{name}: unknown argument"), remedy)
}

/// The known name with the fewest edits, unless it is another word altogether.
fn nearest(name: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    known
        .map(|candidate| (edits(name, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= candidate.len().div_ceil(4))
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance, over bytes.
fn edits(left: &str, right: &str) -> usize {
    // A name of any length may come in; those that long are not near to anything.
    if left.len() > 64 {
        return left.len();
    }
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, from) in left.bytes().enumerate() {
        let mut diagonal = index;
        let mut before = index + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(right.bytes()) {
            let replaced = diagonal + usize::from(from != to);
            diagonal = *cell;
            before = replaced.min(*cell + 1).min(before + 1);
            *cell = before;
        }
        if let Some(first) = row.first_mut() {
            *first = index + 1;
        }
    }
    row.last().copied().unwrap_or(left.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("same", "same"), 0);
        assert_eq!(nearest("KMS_PROT", ["KMS_PORT", "KMS_LOG"].into_iter()), Some("KMS_PORT"));
        assert_eq!(nearest("KMS_TEAPOT_SIZE", ["KMS_PORT"].into_iter()), None);
    }
}
