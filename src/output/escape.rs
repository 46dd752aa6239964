//! Text from QEMU, files and users made harmless: what a terminal would obey is written out instead.
//!
//! Escaped are the control characters (C0, DEL, C1) and the characters that change the direction or the
//! line of what follows (bidi controls, U+2028, U+2029). Everything else is left as it is.

use std::borrow::Cow;
use std::fmt::Write;

/// `text` without anything that a terminal obeys: `\n`, `\x1b`, `\u{202e}` written out.
pub fn escaped(text: &str) -> Cow<'_, str> {
    escaped_except(text, &[])
}

/// The same for whole lines of a log, which keep their ends and tabs; bytes that are no UTF-8 become U+FFFD.
pub(super) fn escaped_lines(bytes: &[u8]) -> String {
    escaped_except(&String::from_utf8_lossy(bytes), &['\n', '\t']).into_owned()
}

/// JSON text with the same characters as `\u` escapes. serde_json escapes C0 alone, and characters beyond it
/// stand in strings only, so the value stays the same.
pub(super) fn escaped_json(text: &str) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_obeyed(c) {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

fn escaped_except<'a>(text: &'a str, kept: &[char]) -> Cow<'a, str> {
    let harmful = |c: char| is_obeyed(c) && !kept.contains(&c);
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if !harmful(c) {
            out.push(c);
        } else if c.is_ascii() && !matches!(c, '\n' | '\r' | '\t') {
            let _ = write!(out, "\\x{:02x}", u32::from(c));
        } else {
            out.extend(c.escape_default());
        }
    }
    Cow::Owned(out)
}

/// Whether a terminal does something at this character instead of showing it.
fn is_obeyed(c: char) -> bool {
    // U+061C, U+200E, U+200F and the two ranges are Unicode's Bidi_Control.
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_comes_through() {
        for (text, shown) in [
            ("plain, é, 漢, \\", "plain, é, 漢, \\"),
            ("a\nb\r\t", "a\\nb\\r\\t"),
            ("\u{1b}[2J\0\u{7f}", "\\x1b[2J\\x00\\x7f"),
            ("\u{9b}31m", "\\u{9b}31m"),
            (
                "\u{202e}gnp\u{2066}\u{200f}\u{61c}",
                "\\u{202e}gnp\\u{2066}\\u{200f}\\u{61c}",
            ),
            ("a\u{2028}b", "a\\u{2028}b"),
        ] {
            assert_eq!(escaped(text), shown);
        }
        for c in (0..=0x10_ffff).filter_map(char::from_u32) {
            let text = escaped_json(&serde_json::json!(c).to_string()).into_owned();
            assert!(!text.contains(is_obeyed), "{c:?}");
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value, c.to_string());
        }
    }

    #[test]
    fn a_log_keeps_its_lines() {
        assert_eq!(
            escaped_lines(b"a\tb\n\x1b[0m\xff\r\n"),
            "a\tb\n\\x1b[0m\u{fffd}\\r\n"
        );
    }
}
