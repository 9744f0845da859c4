//! Messages in XML as plain trees of text, read and written here a second time so that the codec
//! under test is not its own judge. Values stay as they are spelt.

use crate::Result;

/// An element.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Node {
    pub(crate) name: String,
    /// `Structure` where none is given.
    pub(crate) kind: String,
    pub(crate) value: String,
    /// The number, of an element that has no name of its own and is called `TTLV`.
    pub(crate) tag: Option<String>,
    pub(crate) children: Vec<Node>,
}

impl Node {
    /// The first child of this name.
    pub(crate) fn child(&self, name: &str) -> Option<&Node> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The value of the first child of this name.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.value.as_str())
    }

    /// The children of this name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Node> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// Calls `visit` for this element and all below it.
    pub(crate) fn visit(&self, visit: &mut impl FnMut(&Node)) {
        visit(self);
        for child in &self.children {
            child.visit(visit);
        }
    }

    /// As XML, without blanks between elements.
    pub(crate) fn write(&self) -> String {
        let mut out = String::new();
        self.write_to(&mut out);
        out
    }

    fn write_to(&self, out: &mut String) {
        out.push('<');
        out.push_str(&self.name);
        if let Some(tag) = &self.tag {
            out.extend([" tag=\"", &escape(tag), "\""]);
        }
        if self.kind == "Structure" {
            out.push('>');
            for child in &self.children {
                child.write_to(out);
            }
            out.push_str("</");
            out.push_str(&self.name);
            out.push('>');
            return;
        }
        for (name, value) in [("type", &self.kind), ("value", &self.value)] {
            out.extend([" ", name, "=\"", &escape(value), "\""]);
        }
        out.push_str("/>");
    }
}

/// Reads a document.
pub(crate) fn read(text: &str) -> Result<Node> {
    let mut reader = Reader { rest: text };
    reader.skip()?;
    let node = reader.element()?;
    reader.skip()?;
    if reader.rest.is_empty() { Ok(node) } else { Err("more than one document".into()) }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    /// Steps over text between elements (some cases have remarks there), comments, declarations.
    fn skip(&mut self) -> Result<()> {
        loop {
            let next = self.rest.find('<').unwrap_or(self.rest.len());
            self.rest = self.rest.get(next..).unwrap_or_default();
            let end = if self.rest.starts_with("<!--") {
                "-->"
            } else if self.rest.starts_with("<?") {
                "?>"
            } else {
                return Ok(());
            };
            self.rest = self.rest.split_once(end).ok_or("a comment without end")?.1;
        }
    }

    fn element(&mut self) -> Result<Node> {
        let body = self
            .rest
            .strip_prefix('<')
            .ok_or_else(|| format!("no element: {}", head(self.rest)))?;
        let (open, rest) = split_tag(body).ok_or("an element without end")?;
        self.rest = rest;
        let (open, empty) = match open.strip_suffix('/') {
            Some(open) => (open, true),
            None => (open, false),
        };
        let mut node = Node { kind: "Structure".to_owned(), ..Node::default() };
        let (name, attributes) = open.split_once(char::is_whitespace).unwrap_or((open, ""));
        name.clone_into(&mut node.name);
        for (name, value) in pairs(attributes) {
            match name {
                "type" => node.kind = value,
                "value" => node.value = value,
                "tag" => node.tag = Some(value),
                _ => {}
            }
        }
        if empty {
            return Ok(node);
        }
        loop {
            self.skip()?;
            let Some(rest) = self.rest.strip_prefix("</") else {
                node.children.push(self.element()?);
                continue;
            };
            let (close, rest) = rest.split_once('>').ok_or("a closing tag without end")?;
            if close.trim() != node.name {
                return Err(format!("<{}> is closed by </{close}>", node.name).into());
            }
            self.rest = rest;
            return Ok(node);
        }
    }
}

/// Splits at the `>` that ends a tag, which may stand inside quotes too.
fn split_tag(text: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    for (at, one) in text.char_indices() {
        match quote {
            Some(open) if one == open => quote = None,
            None if matches!(one, '"' | '\'') => quote = Some(one),
            None if one == '>' => return Some((text.get(..at)?, text.get(at + 1..)?)),
            _ => {}
        }
    }
    None
}

/// The attributes of a tag.
fn pairs(mut text: &str) -> Vec<(&str, String)> {
    let mut pairs = Vec::new();
    while let Some((name, rest)) = text.split_once('=') {
        let rest = rest.trim_start();
        let Some(quote) = rest.chars().next().filter(|one| matches!(one, '"' | '\'')) else {
            break;
        };
        let Some((value, after)) = rest.get(1..).and_then(|rest| rest.split_once(quote)) else {
            break;
        };
        pairs.push((name.trim(), unescape(value)));
        text = after;
    }
    pairs
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let Some((name, after)) = after.split_once(';') else {
            out.push('&');
            rest = after;
            continue;
        };
        let code = match name.strip_prefix("#x") {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => name.strip_prefix('#').and_then(|digits| digits.parse().ok()),
        };
        out.push(match name {
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            "amp" => '&',
            _ => code.and_then(char::from_u32).unwrap_or('\u{fffd}'),
        });
        rest = after;
    }
    out.push_str(rest);
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn head(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn what_is_written_is_read_again() {
        let text = "<?xml version='1.0'?><!-- a > b -->\n<A><B type=\"TextString\" value=\"&lt;é&#x41;&amp;'\"/>\n<C></C></A>";
        let node = read(text).unwrap();
        assert_eq!(node.text("B"), Some("<éA&'"));
        assert_eq!(read(&node.write()).unwrap(), node);
        assert!(read("<A><B></A></B>").is_err());
        assert!(read("<A>").is_err());
    }
}
