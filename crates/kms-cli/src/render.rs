//! Answers to the user: a table for people, JSON for programs.
//!
//! It must not know where an answer comes from.

use std::io::{self, Write as _};

use clap::ValueEnum;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::{Map, Value};

/// How answers are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    #[default]
    Table,
    /// For programs: one JSON value on standard output
    Json,
}

/// What a command has to say.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Nothing: the output was the data itself.
    Silent,
    /// Something was done: a sentence, and its facts for programs.
    Done(String, Map<String, Value>),
    /// One thing: names and values.
    Fields(Vec<(String, Value)>),
    /// Many things, and a sentence under a table of them.
    Rows { columns: Vec<&'static str>, rows: Vec<Vec<Value>>, note: Option<String> },
}

impl Answer {
    /// A sentence and the facts in it.
    pub(crate) fn done<const N: usize>(
        sentence: impl Into<String>,
        facts: [(&str, Value); N],
    ) -> Self {
        Self::Done(
            sentence.into(),
            facts.map(|(name, value)| (name.to_owned(), value)).into_iter().collect(),
        )
    }

    /// Writes it to standard output.
    pub(crate) fn print(self, output: Output) -> io::Result<()> {
        let text = match output {
            Output::Json => match self.json() {
                None => return Ok(()),
                Some(value) => format!("{value:#}\n"),
            },
            Output::Table => match self.text() {
                None => return Ok(()),
                Some(text) => text + "\n",
            },
        };
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            // `kms … | head` is no error.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            done => done,
        }
    }

    fn json(self) -> Option<Value> {
        Some(match self {
            Self::Silent => return None,
            Self::Done(_, facts) => Value::Object(facts),
            Self::Fields(fields) => Value::Object(fields.into_iter().fold(Map::new(), merged)),
            Self::Rows { columns, rows, .. } => {
                let object = |row: Vec<Value>| {
                    let names = columns.iter().map(|name| key(name));
                    Value::Object(names.zip(row).collect())
                };
                Value::Array(rows.into_iter().map(object).collect())
            }
        })
    }

    fn text(self) -> Option<String> {
        Some(match self {
            Self::Silent => return None,
            Self::Done(sentence, _) => sentence,
            Self::Fields(fields) => {
                let mut table = table();
                for (name, value) in fields {
                    table.add_row([name, cell(&value)]);
                }
                trimmed(&table)
            }
            Self::Rows { columns, rows, note } => {
                let mut table = table();
                table.set_header(columns);
                let empty = rows.is_empty();
                for row in rows {
                    table.add_row(row.iter().map(cell));
                }
                let note = note.unwrap_or_default();
                match (empty, note.is_empty()) {
                    (true, true) => "none".to_owned(),
                    (true, false) => note,
                    (false, true) => trimmed(&table),
                    (false, false) => format!("{}\n{note}", trimmed(&table)),
                }
            }
        })
    }
}

/// Values of one name become a list.
fn merged(mut all: Map<String, Value>, (name, value): (String, Value)) -> Map<String, Value> {
    match all.get_mut(&name) {
        None => {
            all.insert(name, value);
        }
        Some(Value::Array(several)) => several.push(value),
        Some(one) => *one = Value::Array(vec![one.take(), value]),
    }
    all
}

fn key(column: &str) -> String {
    column.to_lowercase().replace(' ', "_")
}

fn table() -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table
}

fn trimmed(table: &Table) -> String {
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    // The preset leaves a blank before each line.
    let blank = lines.iter().all(|line| line.is_empty() || line.starts_with(' '));
    let line = |line: &String| if blank { line.chars().skip(1).collect() } else { line.clone() };
    lines.iter().map(line).collect::<Vec<String>>().join("\n")
}

/// A value as a person reads it. Control characters are the other side's, not the terminal's.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(cell).collect::<Vec<String>>().join(", "),
        other => other.to_string(),
    };
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rows() -> Answer {
        Answer::Rows {
            columns: vec!["Identifier", "Object type"],
            rows: vec![
                vec![json!("a"), json!("SymmetricKey")],
                vec![json!("b\x1b[1m"), Value::Null],
            ],
            note: Some("2 of 2".to_owned()),
        }
    }

    #[test]
    fn tables_are_plain_columns() {
        let text = rows().text().unwrap();
        let expected =
            "Identifier  Object type\na           SymmetricKey\nb\u{fffd}[1m       -\n2 of 2";
        assert_eq!(text, expected);
    }

    #[test]
    fn rows_are_objects_in_json() {
        let expected = json!([
            {"identifier": "a", "object_type": "SymmetricKey"},
            {"identifier": "b\u{1b}[1m", "object_type": null},
        ]);
        assert_eq!(rows().json().unwrap(), expected);
    }

    #[test]
    fn fields_of_one_name_are_a_list() {
        let field = |name: &str, value| (name.to_owned(), json!(value));
        let fields = vec![field("Name", "a"), field("State", "Active"), field("Name", "b")];
        let expected = json!({"Name": ["a", "b"], "State": "Active"});
        assert_eq!(Answer::Fields(fields).json().unwrap(), expected);
    }
}
