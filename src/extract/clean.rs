//! Text hygiene shared by every format: line ends, control characters, cut positions.
//!
//! Called by: the parsers of `extract`. Talks to: nothing.
//! Invariants: output holds no C0 control but `\n` and `\t`; every other character is kept as it
//! is. Form feed and vertical tab separate words in the wild, so they become line ends.

use std::borrow::Cow;

/// Cleans text that arrives in pieces; a `\r\n` split between two pieces is one line end.
#[derive(Debug, Default)]
pub(super) struct Cleaner {
    after_cr: bool,
}

impl Cleaner {
    /// Appends the cleaned form of `raw` to `out`.
    pub(super) fn push(&mut self, raw: &str, out: &mut String) {
        let mut rest = raw;
        if self.after_cr && !rest.is_empty() {
            self.after_cr = false;
            rest = rest.strip_prefix('\n').unwrap_or(rest);
        }
        while let Some(at) = rest.bytes().position(is_unwanted) {
            out.push_str(&rest[..at]);
            let byte = rest.as_bytes()[at];
            rest = &rest[at + 1..];
            match byte {
                b'\r' => {
                    out.push('\n');
                    self.after_cr = rest.is_empty();
                    rest = rest.strip_prefix('\n').unwrap_or(rest);
                }
                0x0b | 0x0c => out.push('\n'),
                _ => {}
            }
        }
        out.push_str(rest);
    }
}

/// The cleaned form of a whole text.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(is_unwanted) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    Cleaner::default().push(text, &mut out);
    Cow::Owned(out)
}

/// `text` on one line: runs of white space become one space.
pub(super) fn one_line(text: &str) -> String {
    let cleaned = clean(text);
    let mut out = String::with_capacity(cleaned.len());
    for word in cleaned.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// The longest prefix of `text` of at most `max` bytes that ends between two characters.
pub(super) fn prefix(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let mut end = max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Where to cut `text` so that the first part has at most `max` bytes: after the last line end,
/// else after the last white space, else between two characters. Never 0 for a non-empty text
/// and `max >= 4`.
pub(super) fn break_point(text: &str, max: usize) -> usize {
    if text.len() <= max {
        return text.len();
    }
    let head = prefix(text, max);
    let half = head.len() / 2;
    if let Some(at) = head.rfind('\n').filter(|at| *at >= half) {
        return at + 1;
    }
    head.char_indices()
        .rev()
        .take_while(|(at, _)| *at >= half)
        .find(|(_, c)| c.is_whitespace())
        .map_or(head.len(), |(at, c)| at + c.len_utf8())
}

/// The same as `text`, shortened to at most `max` bytes with a trailing `…` where it was longer.
pub(super) fn shorten(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    format!("{}…", prefix(text, max.saturating_sub('…'.len_utf8())))
}

/// A size for people: whole MiB where there are any, else bytes.
pub(super) fn size(bytes: u64) -> String {
    if bytes >= 1 << 20 { format!("{} MiB", bytes >> 20) } else { format!("{bytes} bytes") }
}

fn is_unwanted(byte: u8) -> bool {
    byte < 0x20 && byte != b'\n' && byte != b'\t'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_become_newlines_and_controls_vanish() {
        assert_eq!(clean("a\r\nb\rc\0d\u{1b}e\tf\u{7f}"), "a\nb\ncde\tf\u{7f}");
    }

    #[test]
    fn a_line_end_split_between_pieces_counts_once() {
        let mut cleaner = Cleaner::default();
        let mut out = String::new();
        cleaner.push("one\r", &mut out);
        cleaner.push("", &mut out);
        cleaner.push("\ntwo\r", &mut out);
        cleaner.push("three", &mut out);
        assert_eq!(out, "one\ntwo\nthree");
    }

    #[test]
    fn a_cut_never_lands_inside_a_character() {
        let text = "äöü".repeat(10);
        for max in 4..text.len() {
            let at = break_point(&text, max);
            assert!(at > 0 && at <= max && text.is_char_boundary(at));
        }
    }

    #[test]
    fn a_cut_prefers_the_end_of_a_line() {
        assert_eq!(break_point("first line\nsecond line here", 18), 11);
    }
}
