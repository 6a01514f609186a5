//! The headings of a PDF: its bookmarks, or where it has none, its large letters.
//!
//! Called by: `pdf`. Talks to: `pdf::outline`, `pdf::headings`, `pdf::layout`.
//! Invariants: pages come in order; a page on which no heading can be is not measured.

use pdfium_render::prelude::{PdfDocument, PdfPageText};

use super::headings::{Sizes, is_bold_name};
use super::layout;
use super::outline::{self, Bookmark};
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

    /// The headings of page `number` in the order of its lines.
    pub(super) fn headings(
        &mut self,
        number: u32,
        text: &PdfPageText<'_>,
        lines: &[&str],
    ) -> Vec<Heading> {
        if self.bookmarks.is_empty() {
            let chars = text.chars();
            let shapes = layout::shapes(&chars, lines);
            let is_bold =
                |at: usize| chars.get(at).is_ok_and(|letter| is_bold_name(&letter.font_name()));
            return self.sizes.headings(lines, &shapes, &is_bold);
        }
        let of_page = self.of_page(number);
        if of_page.is_empty() {
            return Vec::new();
        }
        let heights: Vec<Option<f32>> = if of_page.iter().any(|bookmark| bookmark.top.is_some()) {
            let shapes = layout::shapes(&text.chars(), lines);
            shapes.iter().map(|shape| shape.map(|shape| shape.height)).collect()
        } else {
            Vec::new()
        };
        outline::place(of_page, lines, &heights)
    }

    /// The bookmarks that lead to a page.
    fn of_page(&self, number: u32) -> &[Bookmark] {
        let start = self.bookmarks.partition_point(|bookmark| bookmark.page < number);
        let end = self.bookmarks.partition_point(|bookmark| bookmark.page <= number);
        &self.bookmarks[start..end]
    }
}
