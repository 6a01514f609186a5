//! From the lines of a printed page to paragraphs.
//!
//! Called by: `pdf`. Talks to: nothing.
//! Invariants: every word of the page appears once and in order; only line ends, and hyphens at
//! line ends, are changed.
//!
//! Why by the shape of lines: the text layer has no paragraphs. A line much shorter than the
//! page's longest that ends a sentence ends a paragraph; so does a blank line, and a line that
//! begins like an item of a list starts one.

/// What the PDF library puts in place of a hyphen at a line end.
const HYPHEN_MARKS: [char; 3] = ['\u{2}', '\u{fffe}', '\u{ad}'];

/// The paragraphs of a page.
pub(super) fn paragraphs(page: &str) -> Vec<String> {
    let page = page.replace("\r\n", "\n").replace('\r', "\n");
    let page = join_marked_hyphens(&page);
    let lines: Vec<&str> = page.lines().map(str::trim).collect();
    let longest = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    let mut paragraphs = Vec::new();
    let mut current = String::new();
    for line in lines {
        if line.is_empty() {
            end(&mut current, &mut paragraphs);
            continue;
        }
        if begins_item(line) {
            end(&mut current, &mut paragraphs);
        }
        join_line(&mut current, line);
        let short = line.chars().count() * 4 < longest * 3;
        if short && ends_sentence(line) {
            end(&mut current, &mut paragraphs);
        }
    }
    end(&mut current, &mut paragraphs);
    paragraphs
}

fn end(current: &mut String, paragraphs: &mut Vec<String>) {
    if !current.is_empty() {
        paragraphs.push(std::mem::take(current));
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
fn begins_item(line: &str) -> bool {
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
    use super::paragraphs;

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
}
