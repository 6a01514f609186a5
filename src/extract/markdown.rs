//! Markdown: headings, lists, code, tables, quotes, and a title from the front matter.
//!
//! Called by: `extract`. Talks to: `pulldown-cmark`, `html` for blocks of HTML.
//! Invariants: text appears in source order; markup never appears in it, code excepted.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::charset::{declared_in, decode_whole};
use super::date::read_date;
use super::emit::{Output, Stop};
use super::rows::RowGroups;
use super::source::Source;
use super::{clean, html};
use crate::types::BlockKind;

pub(super) fn extract(
    source: &mut Source<'_>,
    media_type: Option<&str>,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let bytes = source.read_whole(out.limits().max_parse_bytes)?;
    let text = decode_whole(&bytes, declared_in(media_type), out);
    drop(bytes);
    fragment(&text, out)
}

/// Emits the blocks of Markdown that is at hand.
pub(super) fn fragment(text: &str, out: &mut Output<'_>) -> Result<(), Stop> {
    let text = clean::clean(text);
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS
        | Options::ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS;
    let mut walk = Walk::new(out);
    for event in Parser::new_ext(&text, options) {
        walk.event(event)?;
    }
    walk.flush()
}

/// What the inline text being gathered belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gathering {
    Flow,
    Heading(u8),
    Code,
    Html,
    FrontMatter,
    Cell,
}

struct Walk<'w, 'o> {
    out: &'w mut Output<'o>,
    text: String,
    gathering: Gathering,
    /// One entry per open list: is it ordered.
    lists: Vec<bool>,
    /// Set from the start of a list item to its first block of text.
    item_open: bool,
    quotes: u32,
    row: Vec<String>,
    table: Option<RowGroups>,
}

impl<'w, 'o> Walk<'w, 'o> {
    fn new(out: &'w mut Output<'o>) -> Self {
        Self {
            out,
            text: String::new(),
            gathering: Gathering::Flow,
            lists: Vec::new(),
            item_open: false,
            quotes: 0,
            row: Vec::new(),
            table: None,
        }
    }

    fn event(&mut self, event: Event<'_>) -> Result<(), Stop> {
        match event {
            Event::Start(tag) => self.start(&tag)?,
            Event::End(tag) => self.end(tag)?,
            Event::Text(text)
            | Event::Code(text)
            | Event::InlineMath(text)
            | Event::DisplayMath(text)
            | Event::Html(text) => self.text.push_str(&text),
            Event::InlineHtml(tag) => {
                if tag.starts_with("<br") {
                    self.text.push('\n');
                }
            }
            Event::FootnoteReference(label) => {
                self.text.push_str("[^");
                self.text.push_str(&label);
                self.text.push(']');
            }
            Event::SoftBreak | Event::HardBreak => self.text.push('\n'),
            Event::Rule => self.flush()?,
            Event::TaskListMarker(done) => self.text.push_str(if done { "[x] " } else { "[ ] " }),
        }
        Ok(())
    }

    fn start(&mut self, tag: &Tag<'_>) -> Result<(), Stop> {
        match tag {
            Tag::Heading { level, .. } => self.gather(Gathering::Heading(depth(*level))),
            Tag::BlockQuote(_) => {
                self.flush()?;
                self.quotes += 1;
                Ok(())
            }
            Tag::CodeBlock(_) => self.gather(Gathering::Code),
            Tag::HtmlBlock => self.gather(Gathering::Html),
            Tag::MetadataBlock(_) => self.gather(Gathering::FrontMatter),
            Tag::List(first) => {
                self.flush()?;
                self.lists.push(first.is_some());
                Ok(())
            }
            Tag::Item => {
                self.flush()?;
                self.item_open = true;
                Ok(())
            }
            Tag::Table(_) => {
                self.flush()?;
                self.table = Some(RowGroups::new(true));
                Ok(())
            }
            Tag::TableCell => self.gather(Gathering::Cell),
            Tag::Paragraph
            | Tag::FootnoteDefinition(_)
            | Tag::DefinitionListTitle
            | Tag::DefinitionListDefinition => self.flush(),
            _ => Ok(()),
        }
    }

    fn end(&mut self, tag: TagEnd) -> Result<(), Stop> {
        match tag {
            TagEnd::Paragraph
            | TagEnd::Heading(_)
            | TagEnd::CodeBlock
            | TagEnd::HtmlBlock
            | TagEnd::FootnoteDefinition
            | TagEnd::DefinitionListTitle
            | TagEnd::DefinitionListDefinition
            | TagEnd::MetadataBlock(_) => self.flush()?,
            TagEnd::Item => {
                self.flush()?;
                self.item_open = false;
            }
            TagEnd::List(_) => {
                self.flush()?;
                self.lists.pop();
            }
            TagEnd::BlockQuote(_) => {
                self.flush()?;
                self.quotes = self.quotes.saturating_sub(1);
            }
            TagEnd::TableCell => {
                let cell = std::mem::take(&mut self.text);
                self.row.push(cell);
                self.gathering = Gathering::Flow;
            }
            TagEnd::TableHead | TagEnd::TableRow => {
                let row = std::mem::take(&mut self.row);
                if let Some(table) = &mut self.table {
                    table.push(row, self.out)?;
                }
            }
            TagEnd::Table => {
                if let Some(table) = self.table.take() {
                    table.finish(self.out)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn gather(&mut self, what: Gathering) -> Result<(), Stop> {
        self.flush()?;
        self.gathering = what;
        Ok(())
    }

    /// Emits the gathered text as the block it belongs to.
    fn flush(&mut self) -> Result<(), Stop> {
        let text = std::mem::take(&mut self.text);
        let gathering = std::mem::replace(&mut self.gathering, Gathering::Flow);
        match gathering {
            Gathering::Flow | Gathering::Cell => {
                if text.trim().is_empty() {
                    return Ok(());
                }
                let kind = match self.lists.last() {
                    Some(&ordered) if self.item_open => {
                        self.item_open = false;
                        BlockKind::ListItem { depth: list_depth(self.lists.len()), ordered }
                    }
                    _ if self.quotes > 0 => BlockKind::Quote,
                    _ => BlockKind::Paragraph,
                };
                self.out.block(&kind, &text, None)
            }
            Gathering::Heading(level) => {
                if level == 1 {
                    self.out.title(&text);
                }
                self.out.block(&BlockKind::Heading { level }, &clean::one_line(&text), None)
            }
            Gathering::Code => self.out.block(&BlockKind::Code, &text, None),
            Gathering::Html => html::fragment(&text, self.out),
            Gathering::FrontMatter => {
                front_matter(&text, self.out);
                Ok(())
            }
        }
    }
}

/// Reads `key: value` (or `key = value`) lines at the outermost level.
fn front_matter(text: &str, out: &mut Output<'_>) {
    for line in text.lines().filter(|line| !line.starts_with([' ', '\t', '-', '#'])) {
        let Some((key, value)) = line.split_once(':').or_else(|| line.split_once('=')) else {
            continue;
        };
        let value = value.trim().trim_matches(['"', '\'']);
        match key.trim().to_ascii_lowercase().as_str() {
            "title" => out.title(value),
            "author" => out.author(value),
            "date" => {
                out.written(read_date(value));
                out.fact("date", value);
            }
            key => out.fact(key, value),
        }
    }
}

fn depth(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}

fn list_depth(open_lists: usize) -> u8 {
    u8::try_from(open_lists.saturating_sub(1)).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use crate::extract::testing::run;
    use crate::types::BlockKind;

    #[test]
    fn structure_becomes_blocks_in_order() {
        let found = run(
            "a.md",
            b"---\ntitle: \"The Title\"\nauthor: Ann\ndate: 2024-03-01\n---\n# One\n\nSome *marked*\ntext.\n\n\
              1. first\n2. second\n   - inner\n\n> said\n\n```rust\nfn main() {}\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n",
        );
        assert_eq!(found.document.title.as_deref(), Some("The Title"));
        assert_eq!(found.document.authors, ["Ann"]);
        assert_eq!(
            found.document.content_date.map(|date| date.to_string()).as_deref(),
            Some("2024-03-01T00:00:00Z")
        );
        let kinds: Vec<&BlockKind> = found.blocks.iter().map(|block| &block.kind).collect();
        assert_eq!(
            found.texts(),
            [
                "One",
                "Some marked\ntext.",
                "first",
                "second",
                "inner",
                "said",
                "fn main() {}",
                "a | b\n1 | 2"
            ]
        );
        assert_eq!(*kinds[0], BlockKind::Heading { level: 1 });
        assert_eq!(*kinds[2], BlockKind::ListItem { depth: 0, ordered: true });
        assert_eq!(*kinds[4], BlockKind::ListItem { depth: 1, ordered: false });
        assert_eq!(*kinds[5], BlockKind::Quote);
        assert_eq!(*kinds[6], BlockKind::Code);
        assert!(matches!(kinds[7], BlockKind::Table { header: true, rows, .. } if rows.len() == 2));
    }

    #[test]
    fn html_inside_is_read_as_text() {
        let found = run("a.md", b"Hello\n\n<div><b>bold</b> words</div>\n\nend<br>here\n");
        assert_eq!(found.texts(), ["Hello", "bold words", "end\nhere"]);
    }

    #[test]
    fn deep_nesting_is_survived() {
        let found = run("a.md", "> ".repeat(20_000).as_bytes());
        assert!(found.document.title.is_none());
        let found = run("a.md", "[".repeat(20_000).as_bytes());
        assert!(!found.blocks.is_empty());
    }
}
