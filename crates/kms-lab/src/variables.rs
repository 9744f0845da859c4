//! The placeholders of the cases, such as `$UNIQUE_IDENTIFIER_0`: bound by the first answer that
//! holds one, put into the requests after it.

use std::collections::HashMap;

use crate::calendar;
use crate::tree::Node;

/// The elements that hold the identifier of an object. Some cases spell an identifier out where
/// others have a placeholder; the server's own takes its place.
const IDENTIFIERS: &[&str] = &[
    "UniqueIdentifier",
    "PrivateKeyUniqueIdentifier",
    "PublicKeyUniqueIdentifier",
    "LinkedObjectIdentifier",
];

/// What is known so far.
#[derive(Clone, Default)]
pub(crate) struct Variables {
    bound: HashMap<String, String>,
    /// The last bytes answered in an element of each name: some cases spell out what one server
    /// answered and use a placeholder in the request after it.
    answered: HashMap<String, String>,
}

/// What an expected value asks for.
pub(crate) enum Expected<'a> {
    /// This value.
    Literal(&'a str),
    /// The value of this placeholder.
    Variable(&'a str),
    /// So many seconds from now.
    Moment(i64),
}

impl Variables {
    /// What was bound to `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.bound.get(name).map(String::as_str)
    }

    /// Binds `name`.
    pub(crate) fn bind(&mut self, name: &str, value: &str) {
        self.bound.insert(name.to_owned(), value.to_owned());
    }

    /// Takes note of the bytes in an answer.
    pub(crate) fn note(&mut self, answer: &Node) {
        answer.visit(&mut |node| {
            if node.kind == "ByteString" {
                self.answered.insert(node.name.clone(), node.value.clone());
            }
        });
    }

    /// `request` with every placeholder replaced; the placeholder that is not known yet otherwise.
    pub(crate) fn fill(&self, request: &Node) -> Result<Node, String> {
        let mut filled = request.clone();
        self.fill_in(&mut filled)?;
        Ok(filled)
    }

    fn last(&self, node: &Node) -> Option<&str> {
        let bytes = node.kind == "ByteString";
        self.answered.get(&node.name).filter(|_| bytes).map(String::as_str)
    }

    fn fill_in(&self, node: &mut Node) -> Result<(), String> {
        match expected(node) {
            Expected::Moment(offset) => node.value = calendar::spell(calendar::now() + offset),
            Expected::Variable(name) => match self.get(name).or_else(|| self.last(node)) {
                Some(value) => node.value = value.to_owned(),
                None if name.starts_with('$') => return Err(name.to_owned()),
                None => {}
            },
            Expected::Literal(literal) if node.kind == "ByteString" => {
                let bound = self.get(&literal.to_lowercase()).map(str::to_owned);
                node.value = bound.unwrap_or_else(|| std::mem::take(&mut node.value));
            }
            Expected::Literal(_) => {}
        }
        node.children.iter_mut().try_for_each(|child| self.fill_in(child))
    }
}

/// How the value of `node` is meant.
pub(crate) fn expected(node: &Node) -> Expected<'_> {
    let value = node.value.as_str();
    if let Some(offset) = value.strip_prefix("$NOW") {
        let offset = offset.trim().trim_start_matches('+');
        return Expected::Moment(offset.parse().unwrap_or_default());
    }
    if value.starts_with('$') || IDENTIFIERS.contains(&node.name.as_str()) && !value.is_empty() {
        return Expected::Variable(value);
    }
    Expected::Literal(value)
}
