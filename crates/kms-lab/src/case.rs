//! A case of the standard: requests, each with the answer that is expected.

use std::collections::HashSet;
use std::path::Path;

use crate::Result;
use crate::tree::{self, Node};

/// A case.
pub(crate) struct Case {
    pub(crate) exchanges: Vec<Exchange>,
}

/// A request and its answer.
pub(crate) struct Exchange {
    pub(crate) request: Node,
    pub(crate) response: Node,
}

impl Case {
    /// Reads the case in the file `name` below `directory`.
    pub(crate) fn read(directory: &Path, name: &str) -> Result<Self> {
        let bytes = std::fs::read(directory.join(name))?;
        let root = tree::read(&String::from_utf8_lossy(&bytes))?;
        let mut exchanges = Vec::new();
        let mut messages = root.children.into_iter();
        while let Some(request) = messages.next() {
            let response = messages.next().ok_or("a request without an answer")?;
            if request.name != "RequestMessage" || response.name != "ResponseMessage" {
                return Err(format!("{} before {}", request.name, response.name).into());
            }
            exchanges.push(Exchange { request: tidy(request), response: tidy(response) });
        }
        Ok(Self { exchanges })
    }

    /// The operations that it asks for.
    pub(crate) fn operations(&self) -> HashSet<&str> {
        let items = self.exchanges.iter().flat_map(|exchange| exchange.request.all("BatchItem"));
        items.filter_map(|item| item.text("Operation")).collect()
    }

    /// Whether the server is asked to make a key, so that bytes depend on its choice.
    pub(crate) fn makes_keys(&self) -> bool {
        self.operations().iter().any(|name| name.starts_with("Create") || name.starts_with("ReKey"))
    }

    /// Whether it encrypts with a padding that is random, so that the result is.
    pub(crate) fn pads_at_random(&self) -> bool {
        let mut random = false;
        for exchange in &self.exchanges {
            exchange.request.visit(&mut |node| {
                random |= node.name == "PaddingMethod"
                    && matches!(node.value.as_str(), "OAEP" | "PKCS1v1_5" | "PKCS1V1_5");
            });
        }
        random
    }
}

impl Exchange {
    /// Adds every value that the request spells out: what an answer repeats of these must be the
    /// same.
    pub(crate) fn give(&self, given: &mut HashSet<String>) {
        self.request.visit(&mut |node| {
            if !node.value.is_empty() && !node.value.starts_with('$') {
                given.insert(node.value.to_lowercase());
            }
        });
    }
}

/// Some cases were wrapped by an editor: names of attributes and of bits have blanks and more
/// blanks between their words.
fn tidy(mut node: Node) -> Node {
    if node.name == "AttributeName" || node.kind == "Integer" {
        node.value = node.value.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    node.children = node.children.into_iter().map(tidy).collect();
    node
}
