//! A provider's words, fit to be printed.

/// What a line of them is cut to.
const LENGTH: usize = 300;

/// One line, no control characters, not endless.
pub(super) fn line(text: &str) -> String {
    let shown = text.trim().chars().take(LENGTH);
    shown.map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
