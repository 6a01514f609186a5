//! Articles and manuals in XML (JATS, DocBook, TEI and their like), by the names they share.
//!
//! Called by: `markup`. Talks to: `grid`, `rows`.
//! Invariants: every text is read once; recursion is bounded by the depth of the tree.

use crate::extract::clean::one_line;
use crate::extract::date::parse_date;
use crate::extract::emit::{Output, Stop};
use crate::extract::grid::Grid;
use crate::extract::rows::RowGroups;
use crate::extract::xml::{Content, Element};
use crate::types::BlockKind;

const PARAGRAPHS: [&str; 10] = [
    "p",
    "para",
    "simpara",
    "ab",
    "mixed-citation",
    "element-citation",
    "disp-formula",
    "term",
    "verse-line",
    "kwd",
];
const SECTIONS: [&str; 12] = [
    "sec", "section", "chapter", "part", "appendix", "app", "abstract", "sect1", "sect2", "sect3",
    "ref-list", "ack",
];

/// True for a document that has sections or paragraphs by those names.
pub(super) fn is_article(root: Element<'_>) -> bool {
    let known = ["article", "book", "TEI", "topic", "concept", "task", "chapter", "section"];
    known.contains(&root.name())
        && root
            .descendants()
            .any(|e| PARAGRAPHS.contains(&e.name()) || SECTIONS.contains(&e.name()))
}

pub(super) fn read(root: Element<'_>, out: &mut Output<'_>) -> Result<(), Stop> {
    if let Some(lang) = root.attr("lang") {
        out.fact("lang", lang);
    }
    let front =
        root.child("front").or_else(|| root.child("info")).or_else(|| root.child("articleinfo"));
    if let Some(front) = front {
        self::front(front, out)?;
    }
    let rest = root.children().filter(|child| front.is_none() || !is_front(*child));
    for child in rest {
        block(child, 1, out)?;
    }
    Ok(())
}

fn is_front(element: Element<'_>) -> bool {
    matches!(element.name(), "front" | "info" | "articleinfo")
}

/// Title, authors, where they work, summary.
fn front(front: Element<'_>, out: &mut Output<'_>) -> Result<(), Stop> {
    let title = front.descendant("article-title").or_else(|| front.descendant("title"));
    let title = title.map(words).unwrap_or_default();
    out.title(&title);
    out.block(&BlockKind::Heading { level: 1 }, &title, None)?;
    let mut authors = Vec::new();
    for person in front.descendants().filter(|e| matches!(e.name(), "contrib" | "author")) {
        let editor = person.attr("contrib-type").is_some_and(|kind| kind != "author");
        let part = |names: [&str; 2]| {
            let found = names.into_iter().find_map(|name| person.descendant(name));
            found.map(words).unwrap_or_default()
        };
        let name = one_line(&format!(
            "{} {}",
            part(["given-names", "firstname"]),
            part(["surname", "surname"])
        ));
        if !editor && !name.is_empty() {
            out.author(&name);
            authors.push(name);
        }
    }
    out.paragraph(&authors.join(", "))?;
    let places: Vec<String> =
        front.descendants().filter(|e| e.is("aff")).map(place).filter(|p| !p.is_empty()).collect();
    out.paragraph(&places.join("; "))?;
    for date in front.descendants().filter(|e| e.is("pub-date")) {
        let part = |name| date.child(name).map(Element::text).unwrap_or_default();
        let day = |text: String| if text.is_empty() { "01".to_owned() } else { text };
        let iso = format!("{}-{:0>2}-{:0>2}", part("year"), day(part("month")), day(part("day")));
        out.document.content_date = out.document.content_date.or_else(|| parse_date(&iso));
    }
    for summary in front.descendants().filter(|e| e.is("abstract")) {
        section(summary, 2, out)?;
    }
    Ok(())
}

/// Where an author works, without the label that points to it.
fn place(affiliation: Element<'_>) -> String {
    let parts = affiliation.children().filter(|child| !child.is("label")).map(words);
    let parts: Vec<String> = parts.filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { words(affiliation) } else { parts.join(", ") }
}

fn block(element: Element<'_>, level: u8, out: &mut Output<'_>) -> Result<(), Stop> {
    match element.name() {
        name if SECTIONS.contains(&name) => section(element, level + 1, out),
        "title" | "head" => {
            let kind = BlockKind::Heading { level: level.clamp(1, 6) };
            out.block(&kind, &words(element), None)
        }
        name if PARAGRAPHS.contains(&name) => paragraph(element, level, out),
        "list-item" | "listitem" | "item" => {
            let kind = BlockKind::ListItem { depth: 0, ordered: false };
            out.block(&kind, &words(element), None)
        }
        "table" | "tgroup" => table(element, out),
        "code" | "programlisting" | "screen" | "preformat" => {
            out.block(&BlockKind::Code, &element.text(), None)
        }
        "disp-quote" | "blockquote" | "quote" => {
            out.block(&BlockKind::Quote, &words(element), None)
        }
        "fig" | "table-wrap" | "figure" => {
            let label = element.child("label").map(words).unwrap_or_default();
            let caption = element.child("caption").map(words).unwrap_or_default();
            out.paragraph(&format!("{label} {caption}"))?;
            let mut rest = element.children().filter(|c| !c.is("label") && !c.is("caption"));
            rest.try_for_each(|child| block(child, level, out))
        }
        "label" | "object-id" | "graphic" | "permissions" | "front" => Ok(()),
        _ => element.children().try_for_each(|child| block(child, level, out)),
    }
}

fn section(element: Element<'_>, level: u8, out: &mut Output<'_>) -> Result<(), Stop> {
    if element.is("abstract") && element.child("title").is_none() {
        out.block(&BlockKind::Heading { level: level.clamp(1, 6) }, "Abstract", None)?;
    }
    element.children().try_for_each(|child| block(child, level, out))
}

/// A paragraph; lists and tables inside come after it as blocks of their own.
fn paragraph(element: Element<'_>, level: u8, out: &mut Output<'_>) -> Result<(), Stop> {
    let inside = ["list", "table-wrap", "fig", "itemizedlist", "orderedlist", "disp-quote"];
    let blocks: Vec<Element<'_>> =
        element.children().filter(|child| inside.contains(&child.name())).collect();
    if blocks.is_empty() {
        return out.paragraph(&words(element));
    }
    out.paragraph(&one_line(&words_without(element, &inside)))?;
    blocks.into_iter().try_for_each(|child| block(child, level, out))
}

fn table(element: Element<'_>, out: &mut Output<'_>) -> Result<(), Stop> {
    let rows: Vec<Element<'_>> =
        element.descendants().filter(|row| row.is("tr") || row.is("row")).collect();
    let mut groups = RowGroups::new(element.descendant("thead").is_some());
    let mut grid = Grid::default();
    for row in rows {
        for cell in row.children() {
            if !matches!(cell.name(), "td" | "th" | "entry" | "cell") {
                continue;
            }
            let span = |name| cell.attr(name).and_then(|n| n.parse().ok()).unwrap_or(1);
            grid.cell(&words(cell), span("colspan"), span("rowspan"));
        }
        groups.push(grid.end_row(), out)?;
    }
    groups.finish(out)
}

fn words(element: Element<'_>) -> String {
    one_line(&words_without(element, &[]))
}

/// The words of an element; formulas are read once, in the form that is text.
fn words_without(element: Element<'_>, left_out: &[&str]) -> String {
    let mut text = String::new();
    for content in element.contents() {
        match content {
            Content::Text(piece) => text.push_str(piece),
            Content::Element(child) if left_out.contains(&child.name()) => {}
            Content::Element(child) if matches!(child.name(), "tex-math" | "object-id") => {}
            Content::Element(child) => {
                let apart = matches!(child.name(), "p" | "title" | "break" | "label" | "surname");
                if apart && !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(&words_without(child, left_out));
                if apart {
                    text.push(' ');
                }
            }
        }
    }
    text
}
