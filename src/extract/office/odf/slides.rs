//! Pages of OpenDocument presentations and drawings.
//!
//! Called by: `odf`. Talks to: `odf::flow`, `odf::table`.
//! Invariants: the title comes first, then shapes from top to bottom; placeholders that nobody
//! filled in are not seen.

use super::flow::Flow;
use super::inline::plain;
use super::styles::Styles;
use super::table;
use crate::extract::clean::one_line;
use crate::extract::emit::{Output, Stop};
use crate::extract::xml::Element;
use crate::types::BlockKind;

pub(super) fn read(
    presentation: Element<'_>,
    styles: &Styles,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let pages: Vec<Element<'_>> =
        presentation.children().filter(|child| child.is("page")).collect();
    out.fact("pages", &pages.len().to_string());
    for (number, page) in (1_u32..).zip(pages) {
        let mut shapes: Vec<Element<'_>> =
            page.children().filter(|shape| shape.attr("placeholder") != Some("true")).collect();
        shapes.sort_by_key(|shape| match shape.attr("class") {
            Some("title") => (0, 0, 0),
            _ => (1, tenths(shape.attr("y")), tenths(shape.attr("x"))),
        });
        for element in shapes {
            shape(element, number, styles, out)?;
        }
    }
    Ok(())
}

fn shape(
    element: Element<'_>,
    number: u32,
    styles: &Styles,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let page = Some(number);
    match (element.name(), element.attr("class")) {
        ("notes", _) => {
            let mut frames =
                element.children().filter(|child| child.attr("class") == Some("notes"));
            let notes = frames.next().map(plain).unwrap_or_default();
            if notes.trim().is_empty() {
                return Ok(());
            }
            out.block(&BlockKind::Paragraph, &format!("Notes: {notes}"), page)
        }
        ("forms" | "animations" | "par" | "header" | "footer" | "date-time", _)
        | (_, Some("page-number" | "date-time" | "footer" | "header" | "page")) => Ok(()),
        (_, Some("title")) => {
            let title = one_line(&plain(element));
            if number == 1 {
                out.title(&title);
            }
            out.block(&BlockKind::Heading { level: 1 }, &title, page)
        }
        _ => {
            let described = element.child("desc").or_else(|| element.child("title"));
            let description = described.map(Element::text).unwrap_or_default();
            out.block(&BlockKind::Paragraph, &description, page)?;
            if let Some(inside) = element.child("table") {
                return table::emit(inside, page, out);
            }
            let mut flow = Flow::new(styles, page, out);
            flow.blocks(element)?;
            flow.finish()
        }
    }
}

/// A length in tenths of a centimetre, so that shapes side by side count as one row.
fn tenths(length: Option<&str>) -> i64 {
    let length = length.unwrap_or_default();
    let digits = length.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &length[digits.len()..] {
        "in" => 25.4,
        "mm" => 1.0,
        "pt" => 0.353,
        _ => 10.0,
    };
    let value = digits.parse::<f64>().unwrap_or(0.0) * factor;
    // Bounded, so the cast keeps the value.
    value.clamp(-1e9, 1e9).round() as i64
}
