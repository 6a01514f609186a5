//! Tables of Word documents, merged cells and tables inside cells included.
//!
//! Called by: `docx`. Talks to: `grid` for the layout, `rows` for long tables.
//! Invariants: a table of a single cell is a frame: what it holds is read as if it stood alone.

use super::Reader;
use super::inline::{self, Inline};
use crate::extract::emit::{Stop, row_line};
use crate::extract::grid::Grid;
use crate::extract::rows::RowGroups;
use crate::extract::xml::Element;

impl Reader<'_, '_, '_> {
    pub(super) fn table(&mut self, table: Element<'_>) -> Result<(), Stop> {
        let rows = rows(table);
        if let [only] = rows.as_slice()
            && let [cell] = cells(*only).as_slice()
        {
            return self.blocks(*cell);
        }
        let header = rows.first().is_some_and(|first| is_header(table, *first));
        let mut groups = RowGroups::new(header);
        let caption = table.at(&["tblPr", "tblCaption"]).and_then(|caption| caption.attr("val"));
        groups.caption(caption.unwrap_or_default());
        let mut above: Vec<String> = Vec::new();
        for row in rows {
            let row = lay_out(row, &mut above);
            if row.iter().any(|cell| !cell.trim().is_empty()) {
                groups.push(row, self.out)?;
            }
        }
        groups.finish(self.out)
    }
}

/// The text of what stands in a cell, a note or a page header.
pub(super) fn plain(element: Element<'_>) -> String {
    let mut lines = Vec::new();
    collect(element, &mut lines);
    lines.join("\n")
}

fn collect(element: Element<'_>, lines: &mut Vec<String>) {
    for child in element.children() {
        match child.name() {
            "p" => {
                let content = Inline::of(child);
                let text = content.text.trim();
                if !text.is_empty() {
                    lines.push(text.to_owned());
                }
                lines.extend(content.descriptions.iter().map(|text| (*text).to_owned()));
                content.boxes.into_iter().for_each(|inside| collect(inside, lines));
            }
            "tbl" => {
                let mut above = Vec::new();
                for row in rows(child) {
                    lines.push(row_line(&lay_out(row, &mut above)));
                }
            }
            "AlternateContent" => {
                if let Some(choice) = inline::alternative(child) {
                    collect(choice, lines);
                }
            }
            name if inline::is_unseen(name) => {}
            _ => collect(child, lines),
        }
    }
}

/// The cells of a row in their columns; `above` holds the row before and becomes this one.
fn lay_out(row: Element<'_>, above: &mut Vec<String>) -> Vec<String> {
    let mut grid = Grid::default();
    let before = number(row.child("trPr"), "gridBefore").unwrap_or(0);
    grid.skip(before);
    for cell in cells(row) {
        let properties = cell.child("tcPr");
        let columns = number(properties, "gridSpan").unwrap_or(1);
        let merge = properties.and_then(|p| p.child("vMerge"));
        let continues = merge.is_some_and(|merge| merge.attr("val") != Some("restart"));
        let text = if continues {
            above.get(grid.column()).cloned().unwrap_or_default()
        } else {
            plain(cell)
        };
        grid.cell(&text, columns, 1);
    }
    let after = number(row.child("trPr"), "gridAfter").unwrap_or(0);
    grid.skip(after);
    let row = grid.end_row();
    above.clone_from(&row);
    row
}

fn rows(table: Element<'_>) -> Vec<Element<'_>> {
    let mut found = Vec::new();
    named(table, "tr", &mut found);
    found.retain(|row| row.at(&["trPr", "del"]).is_none());
    found
}

fn cells(row: Element<'_>) -> Vec<Element<'_>> {
    let mut found = Vec::new();
    named(row, "tc", &mut found);
    found
}

/// Children of a name, through wrappers such as content controls.
fn named<'x>(element: Element<'x>, name: &str, found: &mut Vec<Element<'x>>) {
    for child in element.children() {
        match child.name() {
            own if own == name => found.push(child),
            "sdt" | "sdtContent" | "customXml" | "ins" | "moveTo" | "smartTag" => {
                named(child, name, found);
            }
            _ => {}
        }
    }
}

/// The first row is a header where it is repeated on every page or has a look of its own.
fn is_header(table: Element<'_>, first: Element<'_>) -> bool {
    if first.at(&["trPr", "tblHeader"]).is_some() {
        return true;
    }
    let Some(look) = table.at(&["tblPr", "tblLook"]) else {
        return false;
    };
    match (look.attr("firstRow"), look.attr("val")) {
        (Some(flag), _) => flag == "1" || flag == "true",
        (None, Some(bits)) => u32::from_str_radix(bits, 16).is_ok_and(|bits| bits & 0x20 != 0),
        (None, None) => false,
    }
}

fn number(properties: Option<Element<'_>>, name: &str) -> Option<usize> {
    properties?.child(name)?.attr("val")?.parse().ok()
}
