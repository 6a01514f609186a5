//! The running text of an OpenDocument: headings, paragraphs, lists, tables, notes.
//!
//! Called by: `odf`, `odf::slides`. Talks to: `odf::inline`, `odf::table`.
//! Invariants: notes and comments come after the text they stand beside.

use super::inline::{Inline, plain};
use super::styles::Styles;
use super::table;
use crate::extract::clean::one_line;
use crate::extract::emit::{Output, Stop};
use crate::extract::xml::Element;
use crate::types::BlockKind;

/// Emits one flow of text.
pub(super) struct Flow<'f, 'o, 'x> {
    styles: &'f Styles,
    page: Option<u32>,
    out: &'f mut Output<'o>,
    /// Style of each open list.
    lists: Vec<Option<&'x str>>,
    item_open: bool,
    later: Vec<String>,
}

impl<'f, 'o, 'x> Flow<'f, 'o, 'x> {
    pub(super) fn new(styles: &'f Styles, page: Option<u32>, out: &'f mut Output<'o>) -> Self {
        Self { styles, page, out, lists: Vec::new(), item_open: false, later: Vec::new() }
    }

    pub(super) fn blocks(&mut self, element: Element<'x>) -> Result<(), Stop> {
        for child in element.children() {
            match child.name() {
                "p" => self.paragraph(child, None)?,
                "h" => {
                    let level = child.attr("outline-level").and_then(|level| level.parse().ok());
                    self.paragraph(child, Some(level.unwrap_or(1_u8).clamp(1, 6)))?;
                }
                "list" => {
                    let own = child.attr("style-name");
                    self.lists.push(own.or_else(|| self.lists.last().copied().flatten()));
                    let result = self.blocks(child);
                    self.lists.pop();
                    result?;
                }
                "list-item" | "list-header" => {
                    self.item_open = true;
                    self.blocks(child)?;
                    self.item_open = false;
                }
                "table" => table::emit(child, self.page, self.out)?,
                "tracked-changes"
                | "sequence-decls"
                | "variable-decls"
                | "forms"
                | "desc"
                | "title"
                | "notes"
                | "user-field-decls"
                | "index-source"
                | "table-of-content-source" => {}
                "annotation" => self.comment(child),
                _ => self.blocks(child)?,
            }
        }
        Ok(())
    }

    /// Emits the notes and comments met so far.
    pub(super) fn finish(self) -> Result<(), Stop> {
        for text in &self.later {
            self.out.block(&BlockKind::Paragraph, text, self.page)?;
        }
        Ok(())
    }

    fn paragraph(&mut self, paragraph: Element<'x>, heading: Option<u8>) -> Result<(), Stop> {
        let content = Inline::of(paragraph);
        let text = content.text.trim();
        let style = paragraph.attr("style-name");
        let title = heading.is_none() && self.styles.is(style, "Title");
        if !text.is_empty() {
            let kind = match (heading, self.lists.last()) {
                (Some(level), _) => BlockKind::Heading { level },
                (None, _) if title => BlockKind::Heading { level: 1 },
                (None, Some(list)) if self.item_open => {
                    self.item_open = false;
                    let depth = u8::try_from(self.lists.len() - 1).unwrap_or(u8::MAX);
                    BlockKind::ListItem { depth, ordered: self.styles.is_numbered(*list, depth) }
                }
                (None, _) if self.styles.is(style, "Quotations") => BlockKind::Quote,
                (None, _) => BlockKind::Paragraph,
            };
            if title || heading == Some(1) {
                self.out.title(text);
            }
            let heading = matches!(kind, BlockKind::Heading { .. });
            let line = if heading { one_line(text) } else { text.to_owned() };
            self.out.block(&kind, &line, self.page)?;
        }
        for text in &content.descriptions {
            self.out.block(&BlockKind::Paragraph, text, self.page)?;
        }
        for inside in content.boxes {
            if inside.is("table") {
                table::emit(inside, self.page, self.out)?;
            } else {
                self.blocks(inside)?;
            }
        }
        for (label, note) in content.notes {
            self.later.push(format!("[^{label}]: {}", plain(note)));
        }
        content.comments.into_iter().for_each(|comment| self.comment(comment));
        Ok(())
    }

    fn comment(&mut self, comment: Element<'x>) {
        let by = comment.child("creator").map(Element::text).unwrap_or_default();
        let text = plain(comment);
        if !text.trim().is_empty() {
            let by = if by.trim().is_empty() { String::new() } else { format!(" by {by}") };
            self.later.push(format!("Comment{by}: {text}"));
        }
    }
}
