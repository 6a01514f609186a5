//! OpenDocument spreadsheets, read from the tree so that repeated cells cost nothing.
//!
//! Called by: `odf`. Talks to: `sheet` for regions and numbers.
//! Invariants: a row or cell that is repeated is copied at most `MAX_REPEATED` times, an empty
//! one never.

use super::inline::plain;
use crate::extract::emit::{Output, Place, Stop, label};
use crate::extract::office::sheet::{self, Regions, Unit};
use crate::extract::xml::Element;
use crate::types::{BlockKind, CellKind, CellRange, SheetCells};

const MAX_REPEATED: u32 = 1_000;

pub(super) fn read(workbook: Element<'_>, out: &mut Output<'_>) -> Result<(), Stop> {
    let sheets: Vec<Element<'_>> = workbook.children().filter(|child| child.is("table")).collect();
    out.fact("sheets", &sheets.len().to_string());
    for (number, table) in (1_u32..).zip(sheets) {
        let name = table.attr("name").unwrap_or_default();
        out.block(&BlockKind::Heading { level: 1 }, name, Some(number))?;
        let mut sheet =
            Sheet { regions: Regions::new(number, name, &[]), row: 0, comments: Vec::new() };
        sheet.rows(table, out)?;
        let comments = std::mem::take(&mut sheet.comments);
        sheet.regions.finish(out)?;
        for (cell, comment) in comments {
            let range = CellRange::new(cell, cell);
            let cells = Some(SheetCells { sheet: label(name), range });
            let place = Place { page: Some(number), cells };
            out.block_at(&BlockKind::Paragraph, &comment, &place)?;
        }
        if let Some(shapes) = table.child("shapes") {
            out.block(&BlockKind::Paragraph, &plain(shapes), Some(number))?;
        }
    }
    Ok(())
}

struct Sheet {
    regions: Regions,
    row: u32,
    /// Row and column of each, and its text.
    comments: Vec<((u32, u32), String)>,
}

impl Sheet {
    fn rows(&mut self, element: Element<'_>, out: &mut Output<'_>) -> Result<(), Stop> {
        for child in element.children() {
            match child.name() {
                "table-row" => self.row(child, out)?,
                "table-rows" | "table-row-group" | "table-header-rows" => self.rows(child, out)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn row(&mut self, row: Element<'_>, out: &mut Output<'_>) -> Result<(), Stop> {
        let repeated = repeat(row, "number-rows-repeated");
        let mut cells: Vec<(u32, Element<'_>, (String, CellKind))> = Vec::new();
        let mut column = 0_u32;
        for cell in row.children() {
            if !matches!(cell.name(), "table-cell" | "covered-table-cell") {
                continue;
            }
            let copies = repeat(cell, "number-columns-repeated");
            let typed = value(cell);
            if !typed.0.trim().is_empty() {
                for copy in 0..copies.min(MAX_REPEATED) {
                    cells.push((column.saturating_add(copy), cell, typed.clone()));
                }
            }
            self.comment(cell, column);
            column = column.saturating_add(copies);
        }
        if !cells.is_empty() {
            for copy in 0..repeated.min(MAX_REPEATED) {
                let row = self.row.saturating_add(copy);
                for (column, cell, typed) in &cells {
                    let span = |name| repeat(*cell, name) - 1;
                    let end = (
                        row.saturating_add(span("number-rows-spanned")),
                        column.saturating_add(span("number-columns-spanned")),
                    );
                    self.regions.merge((row, *column), end);
                    self.regions.cell(row, *column, typed.clone(), out)?;
                }
            }
        }
        self.row = self.row.saturating_add(repeated);
        Ok(())
    }

    fn comment(&mut self, cell: Element<'_>, column: u32) {
        if let Some(note) = cell.child("annotation") {
            let by = note.child("creator").map(Element::text).unwrap_or_default();
            let by = if by.trim().is_empty() { by } else { format!(" by {by}") };
            let text = format!("Comment{by}: {}", plain(note));
            self.comments.push(((self.row, column), text));
        }
    }
}

/// The typed value of a cell, or its text.
fn value(cell: Element<'_>) -> (String, CellKind) {
    let amount = || cell.attr("value").and_then(|value| value.parse::<f64>().ok());
    let (typed, kind) = match cell.attr("value-type") {
        Some("float") => (amount().map(sheet::number), CellKind::Number),
        Some("percentage") => {
            (amount().map(|share| Unit::percent(0).shown(share)), CellKind::PointNumber)
        }
        Some("currency") => {
            let unit = || Unit::currency(&plain(cell), cell.attr("currency"));
            (amount().map(|amount| unit().shown(amount)), CellKind::PointNumber)
        }
        Some("date") => {
            let date = cell.attr("date-value");
            (date.map(|date| date.replace('T', " ").replace(" 00:00:00", "")), CellKind::Date)
        }
        Some("boolean") => (cell.attr("boolean-value").map(str::to_uppercase), CellKind::Boolean),
        _ => (None, CellKind::Text),
    };
    typed.map_or_else(|| (plain(cell), CellKind::Text), |text| (text, kind))
}

fn repeat(element: Element<'_>, name: &str) -> u32 {
    element.attr(name).and_then(|count| count.parse().ok()).unwrap_or(1).max(1)
}
