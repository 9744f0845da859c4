//! A conversation in the form in which the field's clients hold it: `exchanges.json`, in order.
//!
//! In an expected answer `"*"` is any text and `{"$capture": "x"}` any text that later steps call
//! `${x}`. A step that is `partial` names some of what the answer holds.

use std::collections::BTreeMap;

use serde_json::Value;

type Captured = BTreeMap<String, String>;

#[test]
fn the_recorded_conversation_is_understood() {
    let server = super::server();
    let mut connection = server.connect();
    let steps: Vec<Value> = serde_json::from_str(include_str!("exchanges.json")).unwrap();
    let mut captured = Captured::new();
    let mut failures = Vec::new();
    for step in &steps {
        let request = match &step["request"] {
            Value::Null => Vec::new(),
            request => fill(request, &captured).to_string().into_bytes(),
        };
        let (method, path) = (step["method"].as_str().unwrap(), step["path"].as_str().unwrap());
        let headers = [("content-type", "application/json")];
        let answer = connection.request(method, path, &headers, &request);
        let is_line = answer.header("content-type") == Some("text/html; charset=utf-8");
        let wanted = u16::try_from(step["status"].as_u64().unwrap()).unwrap();
        let verdict = if answer.status != wanted {
            Err(format!("status {} instead of {wanted}", answer.status))
        } else if let Some(error) = step["error"].as_str() {
            let text = answer.text();
            let one_line = text.contains(": ") && !text.contains('\n');
            (is_line && one_line && text.starts_with(error))
                .then_some(())
                .ok_or(format!("not an error that begins with {error:?}"))
        } else {
            let partial = step["partial"].as_bool().unwrap_or(false);
            let expected = fill(&step["response"], &captured);
            compare(&expected, &answer.json(), partial, &mut captured)
        };
        if let Err(why) = verdict {
            failures.push(format!("{}: {why}: {}", step["step"], answer.text()));
        }
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), steps.len(), failures.join("\n"));
}

/// Puts what was captured in the place of its name.
fn fill(value: &Value, captured: &Captured) -> Value {
    match value {
        Value::String(text) => {
            let name = text.strip_prefix("${").and_then(|text| text.strip_suffix('}'));
            name.and_then(|name| captured.get(name))
                .map_or_else(|| value.clone(), |known| Value::from(known.as_str()))
        }
        Value::Array(list) => list.iter().map(|item| fill(item, captured)).collect(),
        Value::Object(map) => {
            map.iter().map(|(key, value)| (key.clone(), fill(value, captured))).collect()
        }
        other => other.clone(),
    }
}

fn compare(
    expected: &Value,
    actual: &Value,
    partial: bool,
    captured: &mut Captured,
) -> Result<(), String> {
    if let Some(name) = expected["$capture"].as_str() {
        let text = actual.as_str().ok_or(format!("no text for {name}"))?;
        captured.insert(name.to_owned(), text.to_owned());
        return Ok(());
    }
    match (expected, actual) {
        (Value::String(any), Value::String(_)) if any == "*" => Ok(()),
        (Value::Array(expected), Value::Array(actual)) if partial => {
            expected.iter().try_for_each(|item| {
                actual
                    .iter()
                    .any(|other| compare(item, other, true, captured).is_ok())
                    .then_some(())
                    .ok_or(format!("nothing like {item}"))
            })
        }
        (Value::Array(expected), Value::Array(actual)) => {
            if expected.len() != actual.len() {
                return Err(format!("{} items instead of {}", actual.len(), expected.len()));
            }
            expected.iter().zip(actual).try_for_each(|(a, b)| compare(a, b, false, captured))
        }
        (Value::Object(expected), Value::Object(actual)) => {
            if expected.len() != actual.len() {
                return Err(format!("other members than {expected:?}"));
            }
            expected.iter().try_for_each(|(key, value)| {
                let other = actual.get(key).ok_or(format!("no {key}"))?;
                compare(value, other, partial, captured)
            })
        }
        _ if expected == actual => Ok(()),
        _ => Err(format!("{actual} instead of {expected}")),
    }
}
