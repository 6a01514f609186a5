//! Word documents: headings, lists, tables, notes, comments, text boxes, in reading order.
//!
//! Called by: `office`. Talks to: `package` and `xml` for the parts, `docx::styles` and
//! `docx::numbering` for what a paragraph is, `docx::inline` for its text.
//! Invariants: text that was deleted under tracked changes is not seen, inserted text is; of two
//! renderings of one thing (drawing and fallback) only the first is; recursion is bounded by the
//! depth of the tree.

mod inline;
mod notes;
mod numbering;
mod styles;
mod table;

use self::inline::Inline;
use self::numbering::Numbering;
use self::styles::{Role, Styles};
use super::relations::Relations;
use super::{attachments, chart};
use crate::extract::charset::StreamDecoder;
use crate::extract::clean::one_line;
use crate::extract::emit::{Output, Stop};
use crate::extract::html;
use crate::extract::package::Package;
use crate::extract::xml::Element;
use crate::types::BlockKind;

pub(super) fn read(
    package: &mut Package<'_>,
    main: &str,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let Some(xml) = package.xml(main)? else {
        return Err(Stop::malformed("The document has no text part inside"));
    };
    if let Some(damage) = xml.damage() {
        out.warn(format!("The text is damaged and was read up to there: {damage}"));
    }
    let Some(body) = xml.root().and_then(|root| root.child("body")) else {
        return Err(Stop::malformed("The document has no body inside"));
    };
    let relations = Relations::of(package, main);
    let mut optional = |kind: &str| {
        let part = relations.first(kind).map(str::to_owned);
        part.and_then(|part| package.optional_xml(&part, out))
    };
    let styles = Styles::read(optional("styles").as_ref());
    let numbering = Numbering::read(optional("numbering").as_ref());
    let mut reader = Reader { package, out, relations: &relations, styles, numbering };
    let text = reader.blocks(body).and_then(|()| notes::read(&mut reader));
    match text {
        Ok(()) | Err(Stop::Full) => {}
        Err(stop) => return Err(stop),
    }
    attachments::pass_on(package, out)?;
    text
}

/// What the parts of one document share while it is read.
struct Reader<'r, 'o, 'b> {
    package: &'r mut Package<'b>,
    out: &'r mut Output<'o>,
    relations: &'r Relations,
    styles: Styles,
    numbering: Numbering,
}

impl Reader<'_, '_, '_> {
    /// Emits the paragraphs and tables of a body, a text box or a wrapper.
    fn blocks(&mut self, element: Element<'_>) -> Result<(), Stop> {
        for child in element.children() {
            match child.name() {
                "p" => self.paragraph(child)?,
                "tbl" => self.table(child)?,
                "altChunk" => self.imported(child)?,
                "AlternateContent" => {
                    if let Some(choice) = inline::alternative(child) {
                        self.blocks(choice)?;
                    }
                }
                name if inline::is_unseen(name) => {}
                _ => self.blocks(child)?,
            }
        }
        Ok(())
    }

    fn paragraph(&mut self, paragraph: Element<'_>) -> Result<(), Stop> {
        let content = Inline::of(paragraph);
        let properties = paragraph.child("pPr");
        let role = self.styles.role(properties);
        let list = self.styles.list(properties);
        let text = content.text.trim();
        if !text.is_empty() {
            let label = list.as_ref().and_then(|(id, level)| self.numbering.next(id, *level));
            self.emit(role, list.as_ref(), label.as_deref(), text)?;
        }
        for text in &content.descriptions {
            self.out.paragraph(text)?;
        }
        for inside in content.boxes {
            self.blocks(inside)?;
        }
        for id in content.charts {
            self.chart(id)?;
        }
        Ok(())
    }

    fn emit(
        &mut self,
        role: Role,
        list: Option<&(String, u8)>,
        label: Option<&str>,
        text: &str,
    ) -> Result<(), Stop> {
        match role {
            Role::Title => {
                self.out.title(text);
                self.out.block(&BlockKind::Heading { level: 1 }, &one_line(text), None)
            }
            Role::Heading(level) => {
                let text = one_line(&format!("{} {text}", label.unwrap_or_default()));
                if level == 1 {
                    self.out.title(&text);
                }
                self.out.block(&BlockKind::Heading { level }, &text, None)
            }
            Role::Quote => self.out.block(&BlockKind::Quote, text, None),
            Role::Body => match list {
                Some((_, depth)) => {
                    let kind = BlockKind::ListItem { depth: *depth, ordered: label.is_some() };
                    self.out.block(&kind, text, None)
                }
                None => self.out.paragraph(text),
            },
        }
    }

    /// A chart's title and numbers.
    fn chart(&mut self, id: &str) -> Result<(), Stop> {
        let Some(part) = self.relations.target(id).map(str::to_owned) else {
            return Ok(());
        };
        match self.package.optional_xml(&part, self.out) {
            Some(xml) => chart::emit(&xml, None, self.out),
            None => Ok(()),
        }
    }

    /// A part in another format that the document shows in place.
    fn imported(&mut self, chunk: Element<'_>) -> Result<(), Stop> {
        let part = chunk.prefixed("id").and_then(|id| self.relations.target(id)).map(str::to_owned);
        let Some(part) = part.filter(|part| part.to_ascii_lowercase().contains(".htm")) else {
            return Ok(());
        };
        let Some(bytes) = self.package.part(&part)? else {
            return Ok(());
        };
        let mut page = String::new();
        StreamDecoder::new(html::declared_charset(&bytes)).push(&bytes, true, &mut page);
        html::fragment(&page, self.out)
    }
}
