//! reStructuredText: headings by their underlines, lists, code, paragraphs.
//!
//! Called by: `extract`. Talks to: `charset`.
//! Invariants: every word of the text appears once and in order; only marks are taken away.

use super::charset::{declared_in, decode_whole};
use super::clean::clean;
use super::emit::{Output, Stop};
use super::source::Source;
use crate::types::BlockKind;

const UNDERLINES: &str = "=-`:.'\"~^_*+#<>";

pub(super) fn extract(
    source: &mut Source<'_>,
    media_type: Option<&str>,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let bytes = source.read_whole(out.limits().max_parse_bytes)?;
    let text = decode_whole(&bytes, declared_in(media_type), out);
    drop(bytes);
    let text = clean(&text);
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let mut reader = Reader { out, levels: Vec::new(), paragraph: String::new(), item: false };
    let mut at = 0;
    while at < lines.len() {
        at += reader.take(&lines[at..])?;
    }
    reader.flush()
}

struct Reader<'r, 'o> {
    out: &'r mut Output<'o>,
    /// Characters of underlines in the order they were met: each is one level deeper.
    levels: Vec<char>,
    paragraph: String,
    item: bool,
}

impl Reader<'_, '_> {
    /// Reads the block that begins with the first line and says how many lines it has.
    fn take(&mut self, lines: &[&str]) -> Result<usize, Stop> {
        let line = lines[0];
        let next = lines.get(1).copied().unwrap_or_default();
        if line.trim().is_empty() {
            return self.flush().map(|()| 1);
        }
        let starts = self.paragraph.is_empty();
        if starts && rule(line).is_some() {
            // An overline; the title follows, and the same line again.
            let title = rule(lines.get(2).copied().unwrap_or_default()) == rule(line);
            return if title { self.heading(next, line).map(|()| 3) } else { Ok(1) };
        }
        if starts && rule(next).is_some() && next.len() >= line.trim().chars().count() {
            return self.heading(line, next).map(|()| 2);
        }
        if starts && (line.starts_with(".. code") || line.starts_with(".. sourcecode")) {
            return self.code(lines);
        }
        if starts && line.starts_with(".. ") {
            let text = line[3..].split_once("::").map_or("", |(_, text)| text);
            return self.out.paragraph(text).map(|()| 1);
        }
        let trimmed = line.trim_start();
        if let Some(item) = ["* ", "- ", "+ ", "#. "].iter().find_map(|m| trimmed.strip_prefix(m)) {
            self.flush()?;
            self.item = true;
            self.paragraph.push_str(item);
            return Ok(1);
        }
        if !self.paragraph.is_empty() {
            self.paragraph.push('\n');
        }
        self.paragraph.push_str(trimmed);
        if let Some(before) = self.paragraph.strip_suffix("::") {
            self.paragraph = format!("{before}:");
            return self.code(lines);
        }
        Ok(1)
    }

    fn heading(&mut self, title: &str, underline: &str) -> Result<(), Stop> {
        let mark = underline.chars().next().unwrap_or('=');
        let known = self.levels.iter().position(|level| *level == mark);
        let level = known.unwrap_or_else(|| {
            self.levels.push(mark);
            self.levels.len() - 1
        });
        self.out.title(title);
        let level = u8::try_from(level + 1).unwrap_or(6).min(6);
        self.out.block(&BlockKind::Heading { level }, title.trim(), None)
    }

    /// The indented lines after the first one.
    fn code(&mut self, lines: &[&str]) -> Result<usize, Stop> {
        self.flush()?;
        let inside = |line: &&&str| line.is_empty() || line.starts_with([' ', '\t']);
        let body: Vec<&str> = lines[1..].iter().take_while(inside).copied().collect();
        let text: Vec<&str> =
            body.iter().copied().filter(|line| !line.trim_start().starts_with(':')).collect();
        self.out.block(&BlockKind::Code, &text.join("\n"), None)?;
        Ok(body.len() + 1)
    }

    fn flush(&mut self) -> Result<(), Stop> {
        let text = std::mem::take(&mut self.paragraph).replace("``", "");
        if std::mem::take(&mut self.item) {
            let kind = BlockKind::ListItem { depth: 0, ordered: false };
            return self.out.block(&kind, &text, None);
        }
        self.out.paragraph(&text)
    }
}

/// The character of a line that consists of one mark alone.
fn rule(line: &str) -> Option<char> {
    let mark = line.chars().next()?;
    let alone = line.len() >= 3 && line.chars().all(|c| c == mark);
    (alone && UNDERLINES.contains(mark)).then_some(mark)
}

#[cfg(test)]
mod tests {
    use crate::extract::testing::run;
    use crate::types::BlockKind;

    #[test]
    fn underlined_titles_lists_and_code_are_told_apart() {
        let found = run(
            "a.rst",
            b"=====\nGuide\n=====\n\nSome ``words``\nhere::\n\n  code()\n\nPart\n----\n\n* one\n* two\n",
        );
        assert_eq!(found.texts(), ["Guide", "Some words\nhere:", "  code()", "Part", "one", "two"]);
        assert_eq!(found.blocks[0].kind, BlockKind::Heading { level: 1 });
        assert_eq!(found.blocks[2].kind, BlockKind::Code);
        assert_eq!(found.blocks[3].kind, BlockKind::Heading { level: 2 });
    }
}
