//! What lies on the sheets of a workbook besides cells: comments, charts, text boxes.
//!
//! Called by: `sheet`. Talks to: `package`, `chart`.
//! Invariants: a sheet whose parts cannot be found simply has nothing else on it.

use std::collections::HashMap;

use crate::extract::emit::{Output, Place, Stop, label};
use crate::extract::office::chart;
use crate::extract::office::relations::Relations;
use crate::extract::package::Package;
use crate::extract::xml::{Element, Xml};
use crate::types::{BlockKind, SheetCells};

/// Where to find what belongs to a sheet.
pub(super) struct Extras {
    /// Part of a sheet by its name.
    sheets: HashMap<String, String>,
    /// Name of a person by their id.
    people: HashMap<String, String>,
}

impl Extras {
    pub(super) fn of(package: &mut Package<'_>, main: &str, out: &mut Output<'_>) -> Self {
        let relations = Relations::of(package, main);
        let mut sheets = HashMap::new();
        if let Some(xml) = package.optional_xml(main, out) {
            let listed = xml.root().and_then(|root| root.child("sheets"));
            for sheet in listed.into_iter().flat_map(Element::children) {
                let part = sheet.prefixed("id").and_then(|id| relations.target(id));
                if let (Some(name), Some(part)) = (sheet.attr("name"), part) {
                    sheets.insert(name.to_owned(), part.to_owned());
                }
            }
        }
        let person = relations.first("person").map(str::to_owned);
        let xml = person.and_then(|part| package.optional_xml(&part, out));
        let people = xml.as_ref().and_then(Xml::root).into_iter().flat_map(Element::children);
        let people = people.filter_map(|person| {
            Some((person.attr("id")?.to_owned(), person.attr("displayName")?.to_owned()))
        });
        Self { sheets, people: people.collect() }
    }

    pub(super) fn emit(
        &self,
        package: &mut Package<'_>,
        sheet: &str,
        number: u32,
        out: &mut Output<'_>,
    ) -> Result<(), Stop> {
        let Some(part) = self.sheets.get(sheet) else {
            return Ok(());
        };
        let relations = Relations::of(package, part);
        let page = Some(number);
        for part in relations.all("drawing") {
            drawing(package, part, page, out)?;
        }
        // Threads stand a second time among the old comments, with a notice in front.
        let kind = if relations.first("threadedComment").is_some() {
            "threadedComment"
        } else {
            "comments"
        };
        for part in relations.all(kind) {
            if let Some(xml) = package.optional_xml(part, out) {
                self.comments(&xml, sheet, page, out)?;
            }
        }
        Ok(())
    }

    fn comments(
        &self,
        xml: &Xml,
        sheet: &str,
        page: Option<u32>,
        out: &mut Output<'_>,
    ) -> Result<(), Stop> {
        let Some(root) = xml.root() else {
            return Ok(());
        };
        let authors: Vec<String> =
            root.descendants().filter(|e| e.is("author")).map(Element::text).collect();
        for comment in root.descendants() {
            let author = match comment.name() {
                "comment" => {
                    let id = comment.attr("authorId").and_then(|id| id.parse::<usize>().ok());
                    id.and_then(|id| authors.get(id)).map(String::as_str)
                }
                "threadedComment" => {
                    comment.attr("personId").and_then(|id| self.people.get(id)).map(String::as_str)
                }
                _ => continue,
            };
            let text: String = comment
                .descendants()
                .filter(|e| {
                    e.is("t") || (e.is("text") && e.child("t").is_none() && e.child("r").is_none())
                })
                .map(Element::text)
                .collect();
            if text.trim().is_empty() {
                continue;
            }
            let cell = comment.attr("ref").unwrap_or_default();
            let by = author.map(|author| format!(" by {author}")).unwrap_or_default();
            let line = format!("Comment on {cell}{by}: {text}");
            let range = cell.parse().ok();
            let cells = range.map(|range| SheetCells { sheet: label(sheet), range });
            out.block_at(&BlockKind::Paragraph, &line, &Place { page, cells })?;
        }
        Ok(())
    }
}

fn drawing(
    package: &mut Package<'_>,
    part: &str,
    page: Option<u32>,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let relations = Relations::of(package, part);
    let Some(xml) = package.optional_xml(part, out) else {
        return Ok(());
    };
    for shape in xml.root().into_iter().flat_map(Element::descendants) {
        match shape.name() {
            "txBody" => {
                out.block(&BlockKind::Paragraph, &chart::drawing_text(shape), page)?;
            }
            "chart" => {
                let part = shape.prefixed("id").and_then(|id| relations.target(id));
                if let Some(xml) = part.and_then(|part| package.optional_xml(part, out)) {
                    chart::emit(&xml, page, out)?;
                }
            }
            "cNvPr" => {
                let description = shape.attr("descr").unwrap_or_default();
                out.block(&BlockKind::Paragraph, description, page)?;
            }
            _ => {}
        }
    }
    Ok(())
}
