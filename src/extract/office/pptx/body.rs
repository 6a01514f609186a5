//! The paragraphs and tables of a slide.
//!
//! Called by: `pptx`. Talks to: `math`, `grid`, `rows`.
//! Invariants: recursion is bounded by the depth of the tree.

use crate::extract::emit::{Output, Stop};
use crate::extract::grid::Grid;
use crate::extract::office::math;
use crate::extract::rows::RowGroups;
use crate::extract::xml::Element;
use crate::types::BlockKind;

/// Emits the paragraphs of a text body; in a list, those without a mark of their own are items.
pub(super) fn emit(
    body: Element<'_>,
    list: bool,
    page: Option<u32>,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    for paragraph in body.children().filter(|child| child.is("p")) {
        let text = line(paragraph);
        let kind = kind(paragraph, list);
        out.block(&kind, text.trim(), page)?;
    }
    Ok(())
}

/// The text of a body, a paragraph per line.
pub(super) fn plain(body: Element<'_>) -> String {
    let lines: Vec<String> = body.children().filter(|child| child.is("p")).map(line).collect();
    lines.join("\n")
}

pub(super) fn table(
    table: Element<'_>,
    page: Option<u32>,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let header = table.child("tblPr").and_then(|p| p.attr("firstRow")) == Some("1");
    let mut groups = RowGroups::new(header).on_page(page);
    let mut grid = Grid::default();
    for row in table.children().filter(|child| child.is("tr")) {
        for cell in row.children().filter(|child| child.is("tc")) {
            let is = |name| cell.attr(name).is_some_and(|value| value == "1" || value == "true");
            // The cells under a span are there too, and empty.
            if is("hMerge") || is("vMerge") {
                continue;
            }
            let span = |name| cell.attr(name).and_then(|n| n.parse().ok()).unwrap_or(1);
            let text = cell.child("txBody").map(plain).unwrap_or_default();
            grid.cell(text.trim(), span("gridSpan"), span("rowSpan"));
        }
        groups.push(grid.end_row(), out)?;
    }
    groups.finish(out)
}

fn kind(paragraph: Element<'_>, list: bool) -> BlockKind {
    let properties = paragraph.child("pPr");
    let has = |name: &str| properties.is_some_and(|p| p.child(name).is_some());
    let level = properties.and_then(|p| p.attr("lvl")).and_then(|level| level.parse().ok());
    let marked = has("buChar") || has("buAutoNum") || has("buBlip");
    if !marked && (!list || has("buNone")) {
        return BlockKind::Paragraph;
    }
    BlockKind::ListItem { depth: level.unwrap_or(0_u8).min(8), ordered: has("buAutoNum") }
}

fn line(paragraph: Element<'_>) -> String {
    let mut text = String::new();
    walk(paragraph, &mut text);
    text
}

fn walk(element: Element<'_>, text: &mut String) {
    for child in element.children() {
        match child.name() {
            "t" if !math::is_math(child) => text.push_str(&child.text()),
            "br" => text.push('\n'),
            "tab" => text.push('\t'),
            "oMath" | "oMathPara" => {
                math::write(child, text);
                text.push(' ');
            }
            "AlternateContent" => {
                if let Some(choice) = child.child("Choice").or_else(|| child.child("Fallback")) {
                    walk(choice, text);
                }
            }
            "pPr" | "rPr" | "endParaRPr" => {}
            _ => walk(child, text),
        }
    }
}
