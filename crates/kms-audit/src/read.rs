//! Reads a log for whoever goes on with it. What is read here was not checked; see `verify`.

use std::io::{self, BufRead, Read as _};

use crate::chain::Position;
use crate::line::{self, LINE_MAX};
use crate::sink::Source;

/// Reads one line, with its end, into `line`; false where there is none. A line that is too long
/// comes in pieces, none of which is a record.
pub(crate) fn next_line(reader: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    reader.take(LINE_MAX as u64).read_until(b'\n', line)?;
    Ok(!line.is_empty())
}

/// Where the last whole line of a log says that its chain stands; none if it has no line.
pub fn end(source: &dyn Source) -> io::Result<Option<Position>> {
    for part in source.parts()?.iter().rev() {
        if let Some(end) = source.end(part)? {
            return Ok(Some(end));
        }
    }
    Ok(None)
}

/// Hands each whole line whose number is `from` or more to `each`.
pub fn since(source: &dyn Source, from: u64, each: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    let parts = source.parts()?;
    let begin = parts.iter().rposition(|part| part.first <= from).unwrap_or(0);
    let mut bytes = Vec::new();
    for part in parts.get(begin..).unwrap_or_default() {
        let mut reader = source.read(part)?;
        while next_line(&mut *reader, &mut bytes)? {
            if line::parts(&bytes).is_some_and(|parts| parts.seq >= from) {
                each(&bytes);
            }
        }
    }
    Ok(())
}

/// The plain text of a member of a line. No text from outside can be taken for it: quotation marks
/// in those are escaped.
pub fn text<'a>(line: &'a [u8], name: &str) -> Option<&'a str> {
    let begin = format!(",\"{name}\":\"");
    let at = line.windows(begin.len()).rposition(|window| window == begin.as_bytes())?;
    let rest = line.get(at + begin.len()..)?;
    let end = rest.iter().position(|byte| *byte == b'"')?;
    std::str::from_utf8(rest.get(..end)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::Body;

    #[test]
    fn a_text_from_outside_is_no_member() {
        let mut body = Vec::new();
        Body::begin(&mut body, 0).text("user", "a\",\"change\":\"1-2").text("change", "3-4");
        assert_eq!(text(&body, "change"), Some("3-4"));
        Body::begin(&mut body, 0).text("user", "a\",\"change\":\"1-2");
        assert_eq!(text(&body, "change"), None);
    }
}
