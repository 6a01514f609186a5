//! The shapes of a slide in the order a person reads them.
//!
//! Called by: `pptx`. Talks to: `xml`.
//! Invariants: every shape appears once; the title comes first; shapes whose place is unknown
//! follow the shape before them. Groups stay together.

use crate::extract::xml::{Element, Xml};

/// Shapes whose tops differ by less than this stand in one row (an eighth of an inch).
const ROW: i64 = 114_300;

/// One thing on a slide.
pub(super) struct Item<'x> {
    pub(super) kind: Kind<'x>,
    /// What the author says it shows.
    pub(super) description: Option<&'x str>,
    place: (i64, i64),
}

/// What it is.
pub(super) enum Kind<'x> {
    Title(Element<'x>),
    /// A placeholder for text, whose paragraphs are items of a list unless they say otherwise.
    Body(Element<'x>),
    Text(Element<'x>),
    Table(Element<'x>),
    /// Relation of the chart.
    Chart(&'x str),
    /// Relation of the diagram's data.
    Diagram(&'x str),
    Picture,
}

/// The shapes below `tree`, top to bottom and left to right.
pub(super) fn in_reading_order<'x>(tree: Element<'x>, layout: Option<&Xml>) -> Vec<Item<'x>> {
    let mut items = Vec::new();
    let layout = layout.and_then(Xml::root).and_then(|root| root.at(&["cSld", "spTree"]));
    let mut last = (0, 0);
    collect(tree, layout, None, &mut last, &mut items);
    items.sort_by_key(|item| match item.kind {
        Kind::Title(_) => (0, i64::MIN, i64::MIN),
        _ => (1, item.place.1.div_euclid(ROW), item.place.0),
    });
    items
}

fn collect<'x>(
    tree: Element<'x>,
    layout: Option<Element<'_>>,
    group: Option<(i64, i64)>,
    last: &mut (i64, i64),
    items: &mut Vec<Item<'x>>,
) {
    for shape in tree.children() {
        match shape.name() {
            "grpSp" => {
                let place = group.or_else(|| offset(shape.child("grpSpPr")?));
                collect(shape, layout, place.or(Some(*last)), last, items);
                continue;
            }
            "AlternateContent" => {
                if let Some(choice) = shape.child("Choice").or_else(|| shape.child("Fallback")) {
                    collect(choice, layout, group, last, items);
                }
                continue;
            }
            "sp" | "graphicFrame" | "pic" | "cxnSp" => {}
            _ => continue,
        }
        let Some(kind) = kind(shape) else {
            continue;
        };
        let own = shape.child("spPr").and_then(offset).or_else(|| offset(shape));
        let place = group.or(own).or_else(|| layout.and_then(|l| inherited(shape, l)));
        let place = place.unwrap_or(*last);
        *last = place;
        let named = shape.descendants().find(|element| element.is("cNvPr"));
        let description = named.and_then(|named| named.attr("descr"));
        items.push(Item { kind, description, place });
    }
}

fn kind(shape: Element<'_>) -> Option<Kind<'_>> {
    match shape.name() {
        "pic" => Some(Kind::Picture),
        "graphicFrame" => {
            let data = shape.at(&["graphic", "graphicData"])?;
            if let Some(table) = data.child("tbl") {
                return Some(Kind::Table(table));
            }
            if let Some(chart) = data.child("chart") {
                return chart.prefixed("id").map(Kind::Chart);
            }
            if let Some(diagram) = data.child("relIds") {
                return diagram.prefixed("dm").map(Kind::Diagram);
            }
            Some(Kind::Picture)
        }
        _ => {
            let text = shape.child("txBody")?;
            Some(match placeholder(shape) {
                Some("title" | "ctrTitle") => Kind::Title(text),
                Some("subTitle") => Kind::Text(text),
                // The same on every slide, and no content of any.
                Some("sldNum" | "dt" | "ftr" | "hdr") => return None,
                Some(_) => Kind::Body(text),
                None => Kind::Text(text),
            })
        }
    }
}

/// The kind of placeholder a shape is; `body` where it does not say.
pub(super) fn placeholder<'x>(shape: Element<'x>) -> Option<&'x str> {
    let properties = shape.children().find(|child| child.name().starts_with("nv"))?;
    let placeholder = properties.at(&["nvPr", "ph"])?;
    Some(placeholder.attr("type").unwrap_or("body"))
}

fn index<'x>(shape: Element<'x>) -> Option<&'x str> {
    let properties = shape.children().find(|child| child.name().starts_with("nv"))?;
    properties.at(&["nvPr", "ph"])?.attr("idx")
}

/// The place the layout gives to a placeholder.
fn inherited(shape: Element<'_>, layout: Element<'_>) -> Option<(i64, i64)> {
    let kind = placeholder(shape)?;
    let index = index(shape);
    let same = |candidate: &Element<'_>| {
        let by_index = index.is_some() && self::index(*candidate) == index;
        by_index || (index.is_none() && placeholder(*candidate) == Some(kind))
    };
    offset(layout.children().find(same)?.child("spPr")?)
}

fn offset(properties: Element<'_>) -> Option<(i64, i64)> {
    let offset = properties.at(&["xfrm", "off"])?;
    Some((offset.attr("x")?.parse().ok()?, offset.attr("y")?.parse().ok()?))
}
