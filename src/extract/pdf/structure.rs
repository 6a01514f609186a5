//! The headings and tables of a PDF. Headings are its bookmarks, or where it has none, what stands
//! in large letters.
//!
//! Called by: `pdf`. Talks to: `pdf::outline`, `pdf::headings`, `pdf::tables`, `pdf::layout`.
//! Invariants: pages come in order; no line is a heading and in a table.

use pdfium_render::prelude::{PdfDocument, PdfPageText, PdfPageTextChars};

use super::headings::{Sizes, is_bold_name};
use super::layout;
use super::outline::{self, Bookmark};
use super::tables::{self, Letter, Table};
use super::text::Heading;

/// What tells the headings of a document.
pub(super) struct Structure {
    bookmarks: Vec<Bookmark>,
    sizes: Sizes,
}

impl Structure {
    pub(super) fn of(document: &PdfDocument<'_>) -> Self {
        Self { bookmarks: outline::read(document), sizes: Sizes::default() }
    }

    /// The headings and tables of page `number`, each in the order of its lines.
    pub(super) fn of_page(
        &mut self,
        number: u32,
        text: &PdfPageText<'_>,
        lines: &[&str],
    ) -> (Vec<Heading>, Vec<Table>) {
        let chars = text.chars();
        let shapes = layout::shapes(&chars, lines);
        let is_bold =
            |at: usize| chars.get(at).is_ok_and(|letter| is_bold_name(&letter.font_name()));
        let headings = if self.bookmarks.is_empty() {
            self.sizes.headings(lines, &shapes, &is_bold)
        } else {
            let heights: Vec<Option<f32>> =
                shapes.iter().map(|shape| shape.map(|shape| shape.height)).collect();
            outline::place(self.bookmarks_of(number), lines, &heights)
        };
        let mut tables = tables::find(lines, &shapes, &|at| letter(&chars, at), &is_bold);
        tables.retain(|table| {
            let rows = table.line..table.line + table.lines;
            !headings.iter().any(|heading| {
                // One in front of the first row stands before the table.
                heading.line < rows.end
                    && heading.line + heading.lines.max(1) > rows.start
                    && (heading.lines > 0 || heading.line > rows.start)
            })
        });
        (headings, tables)
    }

    /// The bookmarks that lead to a page.
    fn bookmarks_of(&self, number: u32) -> &[Bookmark] {
        let start = self.bookmarks.partition_point(|bookmark| bookmark.page < number);
        let end = self.bookmarks.partition_point(|bookmark| bookmark.page <= number);
        &self.bookmarks[start..end]
    }
}

/// A sign of the list; one without a body has no edges.
fn letter(chars: &PdfPageTextChars<'_>, at: usize) -> Option<Letter> {
    let letter = chars.get(at).ok()?;
    let sign = letter.unicode_char()?;
    let has_none = sign.is_whitespace() || sign.is_control();
    let edges = letter.tight_bounds().ok().filter(|_| !has_none);
    Some(Letter { sign, edges: edges.map(|edges| (edges.left().value, edges.right().value)) })
}
