//! A statement that is put together from parts, each with its values.
//!
//! Only texts of this program are parts; what comes from outside is a value.

use super::driver::Value;
use crate::backend::dialect::{Dialect, Sql};

/// A statement in the making.
#[derive(Default)]
pub(super) struct Query<'a> {
    text: String,
    pub(super) values: Vec<Value<'a>>,
}

impl<'a> Query<'a> {
    /// Adds a part whose places are counted from 1, with a value for each.
    pub(super) fn add(&mut self, part: &str, values: &[Value<'a>]) -> &mut Self {
        shifted(part, self.values.len(), &mut self.text);
        self.values.extend_from_slice(values);
        self
    }

    /// Adds a part, and behind it a list of texts.
    pub(super) fn list(&mut self, part: &str, texts: &[&'a str]) -> &mut Self {
        self.add(part, &[]);
        for (number, text) in texts.iter().enumerate() {
            self.add(if number > 0 { ", ?1" } else { "?1" }, &[Value::Text(text)]);
        }
        self
    }

    /// The statement as a database takes it.
    pub(super) fn spell(&self, dialect: Dialect) -> Sql {
        dialect.spell(&self.text)
    }
}

/// Writes a part with its places counted from an offset; returns its last place.
pub(super) fn shifted(part: &str, offset: usize, text: &mut String) -> usize {
    let mut last = 0;
    let mut pieces = part.split('?');
    text.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = piece.split_at_checked(digits).unwrap_or((piece, ""));
        let number: usize = number.parse().unwrap_or_default();
        last = last.max(number);
        text.extend(["?", (number + offset).to_string().as_str(), rest]);
    }
    last
}
