//! Presentations: one page per slide, its title as heading, then what stands on it from top to
//! bottom, and the speaker's notes.
//!
//! Called by: `office`. Talks to: `pptx::shapes` for the order, `pptx::body` for texts, `chart`.
//! Invariants: a slide that cannot be read costs a warning; hidden slides are read too.

mod body;
mod shapes;

use self::shapes::{Item, Kind};
use super::relations::Relations;
use super::{attachments, chart};
use crate::extract::clean::one_line;
use crate::extract::emit::{Output, Stop};
use crate::extract::package::Package;
use crate::extract::xml::{Element, Xml};
use crate::types::BlockKind;

const MAX_SLIDES: usize = 10_000;

pub(super) fn read(
    package: &mut Package<'_>,
    main: &str,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let slides = slides(package, main)?;
    out.fact("pages", &slides.len().to_string());
    let mut text = Ok(());
    for (number, part) in (1_u32..).zip(&slides) {
        text = match package.optional_xml(part, out) {
            Some(xml) => Slide::new(package, part, number).read(&xml, out),
            None => {
                out.warn(format!("Slide {number} cannot be read"));
                Ok(())
            }
        };
        if text.is_err() {
            break;
        }
    }
    match text {
        Ok(()) | Err(Stop::Full) => {}
        Err(stop) => return Err(stop),
    }
    attachments::pass_on(package, out)?;
    text
}

/// The parts of the slides in the order they are shown.
fn slides(package: &mut Package<'_>, main: &str) -> Result<Vec<String>, Stop> {
    let relations = Relations::of(package, main);
    let xml = package.xml(main)?;
    let Some(root) = xml.as_ref().and_then(Xml::root) else {
        return Err(Stop::malformed("The presentation has no list of slides inside"));
    };
    let listed = root.child("sldIdLst").into_iter().flat_map(Element::children);
    let slides = listed.filter_map(|slide| relations.target(slide.prefixed("id")?));
    Ok(slides.take(MAX_SLIDES).map(str::to_owned).collect())
}

struct Slide<'s, 'b> {
    package: &'s mut Package<'b>,
    relations: Relations,
    page: Option<u32>,
}

impl<'s, 'b> Slide<'s, 'b> {
    fn new(package: &'s mut Package<'b>, part: &str, number: u32) -> Self {
        let relations = Relations::of(package, part);
        Self { package, relations, page: Some(number) }
    }

    fn read(&mut self, xml: &Xml, out: &mut Output<'_>) -> Result<(), Stop> {
        if let (Some(number), Some(damage)) = (self.page, xml.damage()) {
            out.warn(format!("Slide {number} is damaged and was read up to there: {damage}"));
        }
        let Some(tree) = xml.root().and_then(|root| root.at(&["cSld", "spTree"])) else {
            return Ok(());
        };
        let layout = self.relations.first("slideLayout").map(str::to_owned);
        let layout = layout.and_then(|layout| self.package.optional_xml(&layout, out));
        let items = shapes::in_reading_order(tree, layout.as_ref());
        for item in items {
            self.item(&item, out)?;
        }
        self.notes(out)?;
        self.comments(out)
    }

    fn item(&mut self, item: &Item<'_>, out: &mut Output<'_>) -> Result<(), Stop> {
        let description = item.description.unwrap_or_default();
        match item.kind {
            Kind::Title(text) => {
                let title = one_line(&body::plain(text));
                if self.page == Some(1) {
                    out.title(&title);
                }
                out.block(&BlockKind::Heading { level: 1 }, &title, self.page)
            }
            Kind::Body(text) => body::emit(text, true, self.page, out),
            Kind::Text(text) => body::emit(text, false, self.page, out),
            Kind::Table(table) => body::table(table, self.page, out),
            Kind::Chart(id) => {
                out.block(&BlockKind::Paragraph, description, self.page)?;
                match self.part(id, out) {
                    Some(xml) => chart::emit(&xml, self.page, out),
                    None => Ok(()),
                }
            }
            Kind::Diagram(id) => match self.part(id, out).as_ref().and_then(Xml::root) {
                Some(root) => {
                    out.block(&BlockKind::Paragraph, &chart::drawing_text(root), self.page)
                }
                None => Ok(()),
            },
            Kind::Picture => out.block(&BlockKind::Paragraph, description, self.page),
        }
    }

    fn part(&mut self, id: &str, out: &mut Output<'_>) -> Option<Xml> {
        let part = self.relations.target(id)?.to_owned();
        self.package.optional_xml(&part, out)
    }

    fn notes(&mut self, out: &mut Output<'_>) -> Result<(), Stop> {
        let part = self.relations.first("notesSlide").map(str::to_owned);
        let xml = part.and_then(|part| self.package.optional_xml(&part, out));
        let Some(tree) = xml.as_ref().and_then(Xml::root).and_then(|r| r.at(&["cSld", "spTree"]))
        else {
            return Ok(());
        };
        let mut lines = Vec::new();
        for shape in tree.children().filter(|shape| shape.is("sp")) {
            // The other placeholders repeat the slide's picture, number and date.
            if shapes::placeholder(shape).is_some_and(|kind| kind == "body")
                && let Some(text) = shape.child("txBody")
            {
                lines.push(body::plain(text));
            }
        }
        let notes = lines.join("\n");
        if notes.trim().is_empty() {
            return Ok(());
        }
        out.block(&BlockKind::Paragraph, &format!("Notes: {}", notes.trim()), self.page)
    }

    fn comments(&mut self, out: &mut Output<'_>) -> Result<(), Stop> {
        let parts: Vec<String> = self.relations.all("comments").map(str::to_owned).collect();
        for part in parts {
            let Some(xml) = self.package.optional_xml(&part, out) else {
                continue;
            };
            let comments = xml.root().into_iter().flat_map(Element::children);
            for comment in comments.filter(|comment| comment.is("cm")) {
                let text = match comment.child("text") {
                    Some(text) => text.text(),
                    None => chart::drawing_text(comment),
                };
                if !text.trim().is_empty() {
                    out.block(&BlockKind::Paragraph, &format!("Comment: {text}"), self.page)?;
                }
            }
        }
        Ok(())
    }
}
