//! From the lines of a printed page to paragraphs, headings and tables.
//!
//! Called by: `pdf`. Talks to: nothing.
//! Invariants: every word of the page appears once and in order; only line ends, and hyphens at
//! line ends, are changed; headings that the page does not say come beside its own words.
//!
//! Why by the shape of lines: the text layer has no paragraphs. A line much shorter than the
//! page's longest that ends a sentence ends a paragraph; so does a blank line, and a line that
//! begins like an item of a list starts one.

/// What the PDF library puts in place of a hyphen at a line end.
const HYPHEN_MARKS: [char; 3] = ['\u{2}', '\u{fffe}', '\u{ad}'];

use super::tables::Table;

/// A heading and where it stands among the lines of its page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heading {
    /// The line that it is, or that it stands before.
    pub(super) line: usize,
    /// How many lines are its words; none where the page itself does not say them.
    pub(super) lines: usize,
    /// 1 is the outermost.
    pub(super) level: u8,
    /// The words of a heading that is none of the lines.
    pub(super) text: String,
}

/// A part of a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Paragraph(String),
    Heading { level: u8, text: String },
    Table { rows: Vec<Vec<String>>, header: bool },
}

/// The text of a page with one kind of line end, and without hyphens that are marked as such.
pub(super) fn joined(page: &str) -> String {
    join_marked_hyphens(&page.replace("\r\n", "\n").replace('\r', "\n"))
}

/// The lines of a joined page.
pub(super) fn lines(page: &str) -> Vec<&str> {
    page.lines().map(str::trim).collect()
}

/// The paragraphs of a page, and the headings and tables between them, which stand in the order of
/// the page and share no line.
pub(super) fn pieces(lines: &[&str], headings: &[Heading], tables: Vec<Table>) -> Vec<Piece> {
    let longest = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    let mut pieces = Vec::new();
    let mut current = String::new();
    let mut headings = headings.iter().peekable();
    let mut tables = tables.into_iter().peekable();
    let mut at = 0;
    loop {
        while let Some(heading) = headings.next_if(|heading| heading.line <= at) {
            end(&mut current, &mut pieces);
            let said = lines.get(at..at + heading.lines).unwrap_or_default();
            let mut text = String::new();
            said.iter().for_each(|line| join_line(&mut text, line));
            if said.is_empty() {
                text.clone_from(&heading.text);
            }
            pieces.push(Piece::Heading { level: heading.level, text });
            at += said.len();
        }
        if let Some(table) = tables.next_if(|table| table.line <= at) {
            end(&mut current, &mut pieces);
            at += table.lines;
            pieces.push(Piece::Table { rows: table.rows, header: table.header });
            continue;
        }
        let Some(line) = lines.get(at) else { break };
        at += 1;
        if line.is_empty() {
            end(&mut current, &mut pieces);
            continue;
        }
        if begins_item(line) {
            end(&mut current, &mut pieces);
        }
        join_line(&mut current, line);
        let short = line.chars().count() * 4 < longest * 3;
        if short && ends_sentence(line) {
            end(&mut current, &mut pieces);
        }
    }
    end(&mut current, &mut pieces);
    pieces
}

fn end(current: &mut String, pieces: &mut Vec<Piece>) {
    if !current.is_empty() {
        pieces.push(Piece::Paragraph(std::mem::take(current)));
    }
}

/// Removes marked hyphens together with the line end that may follow them.
fn join_marked_hyphens(page: &str) -> String {
    if !page.contains(HYPHEN_MARKS) {
        return page.to_owned();
    }
    let mut out = String::with_capacity(page.len());
    let mut pieces = page.split(HYPHEN_MARKS);
    out.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let joins = out.ends_with(char::is_alphanumeric);
        out.push_str(if joins { piece.strip_prefix('\n').unwrap_or(piece) } else { piece });
    }
    out
}

/// Adds a line to a paragraph; `exam-` + `ple` becomes one word, `two` + `words` stay two.
pub fn join_line(current: &mut String, line: &str) {
    let next_is_lower = line.chars().next().is_some_and(char::is_lowercase);
    let broken_word = current
        .strip_suffix(['-', '\u{2010}'])
        .is_some_and(|stem| stem.ends_with(char::is_alphabetic));
    if broken_word && next_is_lower {
        current.pop();
    } else if broken_word && line.starts_with(char::is_alphabetic) {
        // A name such as `Meyer-Landrut` keeps its hyphen and gets no space.
    } else if !current.is_empty() {
        current.push(' ');
    }
    current.push_str(line);
}

fn ends_sentence(line: &str) -> bool {
    line.trim_end_matches(['"', '\'', ')', '”', '’', '»']).ends_with(['.', '!', '?', ':', '…'])
}

/// `• item`, `- item`, `1. item`, `(a) item`.
pub(super) fn begins_item(line: &str) -> bool {
    let Some((first, rest)) = line.split_once(' ') else {
        return false;
    };
    if rest.is_empty() {
        return false;
    }
    if matches!(first, "•" | "◦" | "▪" | "●" | "■" | "–" | "-" | "*") {
        return true;
    }
    let core = first.trim_start_matches('(');
    let Some(core) = core.strip_suffix(['.', ')']) else {
        return false;
    };
    let number = core.len() <= 3 && core.bytes().all(|b| b.is_ascii_digit());
    let letter = core.len() == 1 && first.ends_with(')') && core.is_ascii();
    !core.is_empty() && (number || letter)
}

#[cfg(test)]
mod tests {
    use super::{Heading, Piece, Table, joined, lines, pieces};

    fn paragraphs(page: &str) -> Vec<String> {
        let page = joined(page);
        let pieces = pieces(&lines(&page), &[], Vec::new());
        pieces
            .into_iter()
            .map(|piece| match piece {
                Piece::Paragraph(text) => text,
                other => panic!("out of nothing: {other:?}"),
            })
            .collect()
    }

    #[test]
    fn wrapped_lines_and_broken_words_are_joined() {
        let page = "The first line of a long para-\r\ngraph goes on over here and ends\r\nsoon.\r\n\
                    The second para\u{2}\r\ngraph by Meyer-\r\nLandrut is the last line here now\r\nend.";
        assert_eq!(
            paragraphs(page),
            [
                "The first line of a long paragraph goes on over here and ends soon.",
                "The second paragraph by Meyer-Landrut is the last line here now end."
            ]
        );
    }

    #[test]
    fn marks_inside_a_line_join_too() {
        assert_eq!(paragraphs("an exam\u{fffe}ple"), ["an example"]);
    }

    #[test]
    fn items_start_paragraphs() {
        assert_eq!(
            paragraphs(
                "Things to buy for the party on Friday:\n• bread and\nbutter\n• wine\n1. red\n(b) white"
            ),
            [
                "Things to buy for the party on Friday:",
                "• bread and butter",
                "• wine",
                "1. red",
                "(b) white"
            ]
        );
    }

    #[test]
    fn an_empty_page_has_no_paragraphs() {
        assert!(paragraphs(" \r\n\r\n").is_empty());
    }

    #[test]
    fn headings_and_tables_part_paragraphs_and_take_their_lines() {
        let page = "before the\nA heading that\ntakes two lines\nafter it\nand on\na 1\nb 2";
        let heading =
            |line, lines, text: &str| Heading { line, lines, level: 2, text: text.into() };
        let headings = [heading(0, 0, "First"), heading(1, 2, ""), heading(7, 0, "Last")];
        let rows = vec![vec!["a".to_owned(), "1".to_owned()], vec!["b".to_owned(), "2".to_owned()]];
        let table = Table { line: 5, lines: 2, rows: rows.clone(), header: false };
        let said = |text: &str| Piece::Heading { level: 2, text: text.into() };
        assert_eq!(
            pieces(&lines(page), &headings, vec![table]),
            [
                said("First"),
                Piece::Paragraph("before the".into()),
                said("A heading that takes two lines"),
                Piece::Paragraph("after it and on".into()),
                Piece::Table { rows, header: false },
                said("Last"),
            ]
        );
    }
}
