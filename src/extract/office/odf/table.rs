//! Tables in OpenDocument texts and slides.
//!
//! Called by: `odf::flow`, `odf::slides`. Talks to: `grid`, `rows`.
//! Invariants: repeated rows and cells are bounded.

use super::inline::plain;
use crate::extract::emit::{Output, Stop};
use crate::extract::grid::Grid;
use crate::extract::rows::RowGroups;
use crate::extract::xml::Element;

/// Most copies of one row or cell.
const MAX_REPEATED: usize = 1_000;

pub(super) fn emit(
    table: Element<'_>,
    page: Option<u32>,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let mut rows = Vec::new();
    collect(table, false, &mut rows);
    let header = rows.first().is_some_and(|(_, header)| *header)
        || table.attr("use-first-row-styles") == Some("true");
    let mut groups =
        RowGroups::new(header).on_page(page).named(table.attr("name").unwrap_or_default());
    let mut grid = Grid::default();
    for (row, _) in rows {
        for cell in row.children() {
            // A covered cell lies under a span, which the grid fills by itself.
            if cell.is("table-cell") {
                let number = |name| cell.attr(name).and_then(|n| n.parse::<usize>().ok());
                let columns = number("number-columns-spanned").unwrap_or(1);
                let rows = number("number-rows-spanned").unwrap_or(1);
                let text = plain(cell);
                let copies = number("number-columns-repeated").unwrap_or(1).min(MAX_REPEATED);
                for _ in 0..copies {
                    grid.cell(&text, columns, rows);
                }
            }
        }
        let row = grid.end_row();
        if row.iter().any(|cell| !cell.trim().is_empty()) {
            groups.push(row, out)?;
        }
    }
    groups.finish(out)
}

fn collect<'x>(element: Element<'x>, header: bool, rows: &mut Vec<(Element<'x>, bool)>) {
    for child in element.children() {
        match child.name() {
            "table-row" => rows.push((child, header)),
            "table-header-rows" => collect(child, true, rows),
            "table-rows" | "table-row-group" => collect(child, header, rows),
            _ => {}
        }
    }
}
