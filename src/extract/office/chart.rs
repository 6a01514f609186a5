//! Charts and diagrams of Office documents as text: titles, and the numbers as a table.
//!
//! Called by: `pptx`, `docx`, `sheet`. Talks to: `xml`.
//! Invariants: a table of a chart has at most `MAX_POINTS` rows.

use std::collections::BTreeMap;

use crate::extract::emit::{Output, Stop};
use crate::extract::rows::RowGroups;
use crate::extract::xml::{Element, Xml};
use crate::types::BlockKind;

const MAX_POINTS: usize = 10_000;
const MAX_SERIES: usize = 200;

/// Emits a chart part.
pub(super) fn emit(xml: &Xml, page: Option<u32>, out: &mut Output<'_>) -> Result<(), Stop> {
    let Some(chart) = xml.root().and_then(|root| root.descendant("chart")) else {
        return Ok(());
    };
    if let Some(title) = chart.child("title") {
        out.block(&BlockKind::Paragraph, &drawing_text(title), page)?;
    }
    let Some(area) = chart.child("plotArea") else {
        return Ok(());
    };
    for axis in area.children().filter(|child| child.name().ends_with("Ax")) {
        if let Some(title) = axis.child("title") {
            out.block(&BlockKind::Paragraph, &drawing_text(title), page)?;
        }
    }
    table(area, page, out)
}

fn table(area: Element<'_>, page: Option<u32>, out: &mut Output<'_>) -> Result<(), Stop> {
    let series: Vec<Element<'_>> =
        area.descendants().filter(|element| element.is("ser")).take(MAX_SERIES).collect();
    let mut header = vec![String::new()];
    let mut rows: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for (column, series) in (1..).zip(&series) {
        let of = |names: [&str; 2]| {
            let found = names.into_iter().find_map(|name| series.child(name));
            found.map(values).unwrap_or_default()
        };
        header.push(of(["tx", "tx"]).into_values().collect::<Vec<_>>().join(" "));
        for (at, points) in [(0, of(["cat", "xVal"])), (column, of(["val", "yVal"]))] {
            for (index, value) in points {
                if rows.len() < MAX_POINTS || rows.contains_key(&index) {
                    let row = rows.entry(index).or_default();
                    row.resize(row.len().max(at + 1), String::new());
                    row[at] = value;
                }
            }
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    let mut groups = RowGroups::new(true).on_page(page);
    groups.push(header, out)?;
    for row in rows.into_values() {
        groups.push(row, out)?;
    }
    groups.finish(out)
}

/// The cached values of a reference, by their index.
fn values(element: Element<'_>) -> BTreeMap<u32, String> {
    let points = element.descendants().filter(|point| point.is("pt"));
    let mut values: BTreeMap<u32, String> = points
        .take(MAX_POINTS)
        .filter_map(|point| {
            let index = point.attr("idx")?.parse().ok()?;
            Some((index, point.child("v")?.text()))
        })
        .collect();
    if values.is_empty()
        && let Some(value) = element.descendant("v")
    {
        values.insert(0, value.text());
    }
    values
}

/// The text of a drawing, its paragraphs on lines of their own.
pub(super) fn drawing_text(element: Element<'_>) -> String {
    let mut lines = Vec::new();
    for paragraph in element.descendants().filter(|element| element.is("p")) {
        let mut line = String::new();
        for piece in paragraph.descendants() {
            match piece.name() {
                "t" => line.push_str(&piece.text()),
                "br" => line.push('\n'),
                _ => {}
            }
        }
        if !line.trim().is_empty() {
            lines.push(line);
        }
    }
    if lines.is_empty() {
        let values: Vec<String> =
            element.descendants().filter(|v| v.is("v")).map(Element::text).collect();
        return values.join(" ");
    }
    lines.join("\n")
}
