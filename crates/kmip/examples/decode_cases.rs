//! Decodes every message of a directory of XML test cases, writes each again in all encodings,
//! and says what differs: `cargo run -p kmip --example decode_cases -- DIRECTORY`.
//!
//! Must not know a server: only the types are tried.
#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kmip::message;
use kmip::tag::Names;
use kmip::wire::Error;
use ttlv::{Encoding, Item, Limits, Number, Spelling, Unknown, Value};

fn main() -> std::io::Result<()> {
    let mut counts = BTreeMap::<String, usize>::new();
    for directory in std::env::args_os().skip(1) {
        let mut files = Vec::new();
        collect(Path::new(&directory), &mut files)?;
        for file in files {
            let text = std::fs::read_to_string(&file)?;
            for (number, message) in messages(&text).enumerate() {
                let message = placeholders(message);
                for outcome in check(&message) {
                    let kind = outcome.split(':').next().unwrap_or_default();
                    *counts.entry(kind.to_owned()).or_default() += 1;
                    report(&file, number, &outcome);
                }
            }
        }
    }
    for (kind, count) in counts {
        println!("{count:6} {kind}");
    }
    Ok(())
}

fn report(file: &Path, number: usize, outcome: &str) {
    if !outcome.starts_with("ok") && !outcome.starts_with("operation") {
        println!("{} message {number}: {outcome}", file.display());
    }
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|it| it == "xml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}

/// The messages in a file, which may hold comments and other elements between them.
fn messages(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let starts = ["<RequestMessage>", "<ResponseMessage>"].map(|it| (rest.find(it), it));
        let (start, tag) = starts.into_iter().filter_map(|(at, it)| Some((at?, it))).min()?;
        let closing = tag.replace('<', "</");
        let end = start + rest.get(start..)?.find(&closing)? + closing.len();
        let message = rest.get(start..end)?;
        rest = rest.get(end..)?;
        Some(message)
    })
}

/// Puts something of the right type where the cases leave a value open.
fn placeholders(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    for line in message.lines() {
        let open = line.find("value=\"$");
        let fixed = open.and_then(|at| {
            let value = if line.contains("DateTime") {
                "2020-01-01T00:00:00+00:00"
            } else if line.contains("\"ByteString\"") || line.contains("\"BigInteger\"") {
                "0011223344556677"
            } else if line.contains("\"Integer\"") || line.contains("\"LongInteger\"") {
                "7"
            } else {
                return None;
            };
            let (before, after) = (line.get(..at + 7)?, line.get(at + 8..)?);
            Some(format!("{before}{value}{}", after.get(after.find('"')?..)?))
        });
        out.push_str(fixed.as_deref().unwrap_or(line));
        out.push('\n');
    }
    out
}

fn check(text: &str) -> Vec<String> {
    let limits = Limits::DEFAULT;
    let item = match ttlv::xml::decode(text.as_bytes(), &Names, &limits, Unknown::Refuse) {
        Ok(item) => item,
        Err(error) => return vec![format!("codec: {error:?}")],
    };
    let original = item.clone().into_owned();
    if text.starts_with("<RequestMessage") {
        let message = match message::read(item) {
            Ok(message) => message,
            Err(error) => return vec![format!("message: {error}")],
        };
        let mut outcomes = Vec::new();
        for item in &message.items {
            match &item.payload {
                Ok(_) => {}
                Err(Error::UnknownOperation(it)) => outcomes.push(format!("operation {it}")),
                Err(error) => outcomes.push(format!("payload: {}: {error}", item.operation)),
            }
        }
        if !outcomes.is_empty() {
            return outcomes;
        }
        // Extensions are read for their criticality alone.
        if text.contains("<MessageExtension>") {
            return vec!["ok (extension)".to_owned()];
        }
        let version = message.header.version();
        let written = message::write_request(&message, version).map_err(|it| it.to_string());
        vec![compare(&original, written, |item| {
            message::read(item).is_ok_and(|again| again == message)
        })]
    } else {
        let message = match message::read_response(item) {
            Ok(message) => message,
            Err(error) => {
                if let message::Cause::Malformed(error) = &error.cause
                    && let Error::UnknownOperation(it) = error.cause()
                {
                    return vec![format!("operation {it}")];
                }
                return vec![format!("message: {error}")];
            }
        };
        let version = message.header.protocol_version.known().unwrap_or(kmip::Version::NEWEST);
        let written = message::write(&message, version).map_err(|it| it.to_string());
        vec![compare(&original, written, |item| {
            message::read_response(item).is_ok_and(|again| again == message)
        })]
    }
}

fn compare(
    original: &Item<'static>,
    written: Result<Item<'_>, String>,
    same: impl Fn(Item<'_>) -> bool,
) -> String {
    let written = match written {
        Ok(written) => written,
        Err(error) => return format!("write: {error}"),
    };
    for encoding in Encoding::ALL {
        let mut bytes = Vec::new();
        if let Err(error) = encoding.encode(&written, &Names, Spelling::Profile, &mut bytes) {
            return format!("encode {encoding:?}: {error:?}");
        }
        match encoding.decode(&bytes, &Names, &Limits::DEFAULT, Unknown::Refuse) {
            Ok(item) if same(item.clone()) => {
                if encoding == Encoding::Xml && plain(item.clone()) != plain(original.clone()) {
                    return format!(
                        "differs:\n  {:?}\n  {:?}",
                        plain(original.clone()),
                        plain(item)
                    );
                }
            }
            Ok(_) => return format!("unstable {encoding:?}: another value came back"),
            Err(error) => return format!("decode {encoding:?}: {error:?}"),
        }
    }
    "ok".to_owned()
}

/// Sorts what may stand in any order.
fn plain(item: Item<'_>) -> Item<'_> {
    let value = match item.value {
        Value::Structure(items) => {
            let mut items: Vec<_> = items.into_iter().map(plain).collect();
            items.sort_by_key(|it| it.tag);
            Value::Structure(items)
        }
        Value::Integer(Number::Name(names)) => {
            let mut names: Vec<_> = names.split_whitespace().collect();
            names.sort_unstable();
            Value::Integer(Number::Name(names.join(" ").into()))
        }
        // A number that has a name comes back as its name.
        Value::Enumeration(Number::Code(code)) if item.tag == kmip::tag::OpaqueDataType => {
            let name = kmip::enumerations::OpaqueDataType(code).name().unwrap_or_default();
            Value::Enumeration(Number::Name(name.into()))
        }
        other => other,
    };
    Item { tag: item.tag, value }
}
