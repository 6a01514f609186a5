//! reStructuredText: headings by their underlines, lists, tables, code, paragraphs.
//!
//! Called by: `extract`. Talks to: `charset`, `rst::table`.
//! Invariants: every word of the text appears once and in order; only marks are taken away, and
//! what the document says about itself in front of its text.

mod table;

use self::table::Table;
use super::charset::{declared_in, decode_whole};
use super::clean::clean;
use super::date::{parse_date, parse_written};
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
    let mut reader =
        Reader { out, levels: Vec::new(), paragraph: String::new(), item: None, begun: false };
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
    /// The paragraph is an item of a list: is it ordered.
    item: Option<bool>,
    /// There was text other than headings.
    begun: bool,
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
        if starts && let Some(table) = Table::at(lines) {
            self.begun = true;
            let count = table.lines;
            return table.emit(self.out).map(|()| count);
        }
        if starts
            && !self.begun
            && let Some(count) = self.fact(lines)
        {
            return Ok(count);
        }
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
        if let Some((item, ordered)) = item(trimmed, starts || self.item.is_some()) {
            self.flush()?;
            self.item = Some(ordered);
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

    /// What the document says about itself: a field such as `:Author: Ann`, with the lines below it
    /// that go on. Says how many lines it has; none where it is no such field.
    fn fact(&mut self, lines: &[&str]) -> Option<usize> {
        let (name, value) = lines[0].strip_prefix(':')?.split_once(": ")?;
        let name = name.to_lowercase();
        let more = lines[1..].iter().take_while(|line| line.starts_with([' ', '\t'])).count();
        let mut value = value.trim().to_owned();
        for line in &lines[1..=more] {
            value.push(' ');
            value.push_str(line.trim());
        }
        match name.as_str() {
            "author" => self.out.author(&value),
            "authors" => value.split([';', ',']).for_each(|author| self.out.author(author)),
            "date" => {
                let date = parse_date(&value).or_else(|| parse_written(&value));
                let content_date = &mut self.out.document.content_date;
                *content_date = content_date.or(date);
                self.out.fact("date", &value);
            }
            "organization" | "contact" | "version" | "revision" | "status" | "copyright" => {
                self.out.fact(&name, &value);
            }
            _ => return None,
        }
        Some(more + 1)
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
        self.begun = true;
        let inside = |line: &&&str| line.is_empty() || line.starts_with([' ', '\t']);
        let body: Vec<&str> = lines[1..].iter().take_while(inside).copied().collect();
        let text: Vec<&str> =
            body.iter().copied().filter(|line| !line.trim_start().starts_with(':')).collect();
        self.out.block(&BlockKind::Code, &text.join("\n"), None)?;
        Ok(body.len() + 1)
    }

    fn flush(&mut self) -> Result<(), Stop> {
        let text = std::mem::take(&mut self.paragraph).replace("``", "");
        self.begun |= !text.is_empty();
        if let Some(ordered) = self.item.take() {
            let kind = BlockKind::ListItem { depth: 0, ordered };
            return self.out.block(&kind, &text, None);
        }
        self.out.paragraph(&text)
    }
}

/// The text of an item of a list, and whether the list is ordered. A number begins an item only
/// where a sentence cannot be under way.
fn item(line: &str, may_be_numbered: bool) -> Option<(&str, bool)> {
    if let Some(item) = ["* ", "- ", "+ "].iter().find_map(|mark| line.strip_prefix(mark)) {
        return Some((item, false));
    }
    if let Some(item) = line.strip_prefix("#. ") {
        return Some((item, true));
    }
    let line = line.strip_prefix('(').unwrap_or(line);
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let rest = line[digits..].strip_prefix(". ").or_else(|| line[digits..].strip_prefix(") "));
    rest.filter(|_| may_be_numbered && (1..=3).contains(&digits))
        .map(|item| (item.trim_start(), true))
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

    #[test]
    fn tables_numbers_and_facts_are_told_from_prose() {
        let found = run(
            "a.rst",
            b"Title\n=====\n\n:Author: Ann Lee\n:Date: 2023-05-06\n\nIn\n1999. A year.\n\n\
              +------+-----+\n| Name | Fee |\n+======+=====+\n| Acme | 120 |\n| Ltd. |     |\n\
              +------+-----+\n| both cells |\n+------+-----+\n\n\
              =====  =====\nA      B\n=====  =====\n1      2\n\n       more\n=====  =====\n\n\
              1. first\n2. second\n   line\n\n:param x: stays\n",
        );
        assert_eq!(found.document.authors, ["Ann Lee"]);
        let date = found.document.content_date.map(|date| date.to_string());
        assert_eq!(date.as_deref(), Some("2023-05-06T00:00:00Z"));
        assert_eq!(
            found.texts(),
            [
                "Title",
                "In\n1999. A year.",
                "Name | Fee\nAcme Ltd. | 120\nboth cells | ",
                "A | B\n1 | 2 more",
                "first",
                "second\nline",
                ":param x: stays"
            ]
        );
        assert_eq!(found.blocks[4].kind, BlockKind::ListItem { depth: 0, ordered: true });
        assert!(matches!(&found.blocks[2].kind, BlockKind::Table { header: true, .. }));
    }
}
