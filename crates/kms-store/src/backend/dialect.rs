//! What the databases on servers spell differently, in one place: placeholders, upserts, the order of joins.
//!
//! A statement is written once, with placeholders ?1, ?2, … and, where the dialects differ, with a
//! word in braces: `{join}` joins in the order that is written; `{upsert (key) a, b}` ends an insert
//! and replaces these columns of a row that is there; `{lock}` ends a read whose rows others shall
//! not change until the end of the transaction; `{index name}` demands an index where the planner would
//! else weigh another way to the same order. It must not know any statement.

use std::fmt::Write;
use std::sync::Arc;

/// How a database spells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Postgres,
    MySql,
}

/// A statement as one database takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sql {
    pub(crate) text: Arc<str>,
    /// Which value stands in which place, counted from 0, where places have no numbers.
    pub(crate) order: Option<Arc<[usize]>>,
}

impl Dialect {
    /// The statement in this dialect.
    pub(crate) fn spell(self, template: &str) -> Sql {
        let mut text = String::with_capacity(template.len() + 16);
        let mut order = Vec::new();
        let mut rest = template;
        while let Some(at) = rest.find(['?', '{']) {
            let (before, found) = rest.split_at_checked(at).unwrap_or((rest, ""));
            text.push_str(before);
            rest = if let Some(placeholder) = found.strip_prefix('?') {
                self.place(placeholder, &mut text, &mut order)
            } else {
                let (word, after) = found.trim_start_matches('{').split_once('}').unwrap_or(("", ""));
                self.word(word, &mut text);
                after
            };
        }
        text.push_str(rest);
        let order = (self == Self::MySql).then(|| order.into());
        Sql { text: text.into(), order }
    }

    /// Writes a placeholder and returns what follows its number.
    fn place<'a>(self, rest: &'a str, text: &mut String, order: &mut Vec<usize>) -> &'a str {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at_checked(digits).unwrap_or((rest, ""));
        match self {
            Self::Postgres => drop(write!(text, "${number}")),
            Self::MySql => text.push('?'),
        }
        order.push(number.parse::<usize>().unwrap_or(0).saturating_sub(1));
        after
    }

    fn word(self, word: &str, text: &mut String) {
        if word == "join" {
            text.push_str(match self {
                Self::Postgres => "JOIN",
                Self::MySql => "STRAIGHT_JOIN",
            });
        } else if let Some(index) = word.strip_prefix("index ") {
            if self == Self::MySql {
                drop(write!(text, "FORCE INDEX ({index})"));
            }
        } else if word == "lock" {
            text.push_str(match self {
                Self::Postgres => "FOR SHARE",
                Self::MySql => "LOCK IN SHARE MODE",
            });
        } else if let Some((key, columns)) =
            word.strip_prefix("upsert ").and_then(|rest| rest.split_once(") "))
        {
            match self {
                Self::MySql => text.push_str("ON DUPLICATE KEY UPDATE "),
                Self::Postgres => drop(write!(text, "ON CONFLICT {key}) DO UPDATE SET ")),
            }
            for (number, column) in columns.split(", ").enumerate() {
                text.push_str(if number > 0 { ", " } else { "" });
                drop(match self {
                    Self::MySql => write!(text, "{column} = VALUES({column})"),
                    Self::Postgres => write!(text, "{column} = excluded.{column}"),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_spelt_as_each_database_wants_it() {
        let template = "INSERT INTO t (a, b) SELECT ?2, ?1 FROM x {join} y ON y.a = ?2 \
                        {upsert (a) b, c}";
        for (dialect, text, order) in [
            (
                Dialect::Postgres,
                "INSERT INTO t (a, b) SELECT $2, $1 FROM x JOIN y ON y.a = $2 \
                 ON CONFLICT (a) DO UPDATE SET b = excluded.b, c = excluded.c",
                None,
            ),
            (
                Dialect::MySql,
                "INSERT INTO t (a, b) SELECT ?, ? FROM x STRAIGHT_JOIN y ON y.a = ? \
                 ON DUPLICATE KEY UPDATE b = VALUES(b), c = VALUES(c)",
                Some(vec![1, 0, 1]),
            ),
        ] {
            let sql = dialect.spell(template);
            assert_eq!(&*sql.text, text);
            assert_eq!(sql.order.as_deref(), order.as_deref());
        }
        assert_eq!(&*Dialect::Postgres.spell("SELECT 1").text, "SELECT 1");
        assert_eq!(&*Dialect::Postgres.spell("a = ?12").text, "a = $12");
    }
}
