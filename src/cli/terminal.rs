//! Text from documents made fit for a terminal: no control codes, matched words in bold, columns.
//!
//! Called by: every file of `cli` that prints. Talks to: nothing.
//! Invariants: nothing that came out of a file can move the cursor, ring or reorder the line.

use std::time::Duration;

const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// Makes a single line that is safe to print: white space of any kind becomes one space, control
/// and bidirectional formatting characters become visible escapes.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\t' => out.push(' '),
            other if is_hostile(other) => out.extend(other.escape_unicode()),
            other => out.push(other),
        }
    }
    out
}

/// Text of several lines with everything left out that could control the terminal.
pub fn lines(text: &str) -> String {
    text.chars()
        .filter(|character| matches!(character, '\n' | '\t') || !is_hostile(*character))
        .collect()
}

/// A passage on one line: runs of white space closed up, control characters left out, and the
/// characters in `highlights` (`[start, end)` in scalar values of `text`) bold where `bold`.
pub fn passage(text: &str, highlights: &[[u32; 2]], bold: bool) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut lit = false;
    let mut gap = false;
    for (position, character) in text.chars().enumerate() {
        if character.is_whitespace() {
            gap = !out.is_empty();
            continue;
        }
        if is_hostile(character) {
            continue;
        }
        let inside = bold
            && highlights
                .iter()
                .any(|[start, end]| (*start as usize..*end as usize).contains(&position));
        if lit && !inside {
            out.push_str(PLAIN);
        }
        if gap {
            out.push(' ');
            gap = false;
        }
        if inside && !lit {
            out.push_str(BOLD);
        }
        lit = inside;
        out.push(character);
    }
    if lit {
        out.push_str(PLAIN);
    }
    out
}

/// A heading or title in bold.
pub fn strong(text: &str, bold: bool) -> String {
    if bold { format!("{BOLD}{text}{PLAIN}") } else { text.to_owned() }
}

/// Rows as left-aligned columns under a header; the last column may be as long as it likes.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut lines = vec![aligned(header.iter().copied(), &widths)];
    lines.extend(rows.iter().map(|row| aligned(row.iter().map(String::as_str), &widths)));
    lines.join("\n")
}

/// A length of time as people say it, rounded down to the unit that matters.
pub fn duration(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A count with its noun: `1 document`, `2 documents`.
pub fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

fn aligned<'a>(cells: impl Iterator<Item = &'a str>, widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, width) in cells.zip(widths) {
        if !line.is_empty() {
            line.push_str("  ");
        }
        line.push_str(cell);
        line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count())));
    }
    line.truncate(line.trim_end().len());
    line
}

/// Control characters, and the marks that change the direction of the text around them.
fn is_hostile(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            | '\u{2028}' | '\u{2029}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_control_the_terminal() {
        assert_eq!(printable("a\x1b[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(printable("two\nlines"), "two\\nlines");
        assert_eq!(printable("exe\u{202e}fdp.txt"), "exe\\u{202e}fdp.txt");
        assert_eq!(printable("Änderung 100%"), "Änderung 100%");
    }

    #[test]
    fn highlights_count_scalar_values_and_survive_closed_up_space() {
        let text = "Die  große\nÄnderung";
        assert_eq!(passage(text, &[[5, 10]], true), "Die \x1b[1mgroße\x1b[0m Änderung");
        assert_eq!(passage(text, &[[5, 10]], false), "Die große Änderung");
        assert_eq!(passage("ab", &[[0, 2]], true), "\x1b[1mab\x1b[0m");
    }

    #[test]
    fn neighbouring_matched_words_are_bold_together() {
        assert_eq!(passage("a b c", &[[0, 1], [2, 3]], true), "\x1b[1ma b\x1b[0m c");
    }

    #[test]
    fn passages_cannot_control_the_terminal() {
        assert_eq!(passage("a\x1b]0;x\x07b\u{202e}c", &[], true), "a]0;xbc");
        assert_eq!(lines("# a\n\x1b[31m\tb\r\n"), "# a\n[31m\tb\n");
    }

    #[test]
    fn columns_line_up_by_characters() {
        let rows = vec![vec!["größe".to_owned(), "1".to_owned()], vec!["b".to_owned(), "2".into()]];
        assert_eq!(table(&["name", "n"], &rows), "name   n\ngröße  1\nb      2");
    }

    #[test]
    fn durations_read_well() {
        assert_eq!(duration(Duration::from_millis(900)), "0 s");
        assert_eq!(duration(Duration::from_secs(61)), "1 min 1 s");
        assert_eq!(duration(Duration::from_secs(3_660)), "1 h 1 min");
    }
}
