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
            exchanges.push(Exchange { request, response });
        }
        Ok(Self { exchanges })
    }

    /// The operations that it asks for.
    pub(crate) fn operations(&self) -> HashSet<&str> {
        let items = self.exchanges.iter().flat_map(|exchange| exchange.request.all("BatchItem"));
        items.filter_map(|item| item.text("Operation")).collect()
    }

    /// Every value that its requests spell out: what an answer repeats of these must be the same.
    pub(crate) fn given(&self) -> HashSet<String> {
        let mut given = HashSet::new();
        for exchange in &self.exchanges {
            exchange.request.visit(&mut |node| {
                if !node.value.is_empty() && !node.value.starts_with('$') {
                    given.insert(node.value.to_lowercase());
                }
            });
        }
        given
    }

    /// Whether the server is asked to make a key, so that bytes depend on its choice.
    pub(crate) fn makes_keys(&self) -> bool {
        self.operations().iter().any(|name| name.starts_with("Create") || name.starts_with("ReKey"))
    }
}
