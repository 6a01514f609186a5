//! XML that is not an office format: feeds, articles and manuals, and plain data.
//!
//! Called by: `extract`. Talks to: `xml` for the tree, `markup::article`, `html` for HTML inside.
//! Invariants: recursion is bounded by the depth of the tree; text that breaks off is read up
//! to there; entities are never expanded.

mod article;

use super::date::parse_date;
use super::emit::{Output, Stop};
use super::exports::confluence;
use super::html;
use super::office;
use super::source::Source;
use super::text;
use super::xml::{Content, Element, Xml};
use crate::types::BlockKind;

/// Lines of data are gathered into paragraphs of about this size.
const PARAGRAPH: usize = 1_500;

pub(super) fn extract(source: &mut Source<'_>, out: &mut Output<'_>) -> Result<(), Stop> {
    if confluence::begins(source.head()) {
        return confluence::extract(source, out);
    }
    let bytes = source.read_whole(out.limits().max_parse_bytes)?;
    let xml = Xml::parse(&bytes)?;
    if let Some(damage) = xml.damage() {
        out.warn(format!("The XML is damaged and was read up to there: {damage}"));
    }
    let Some(root) = xml.root() else {
        out.warn("Not valid XML; read as plain text");
        return text::paragraphs(&String::from_utf8_lossy(&bytes), out);
    };
    out.fact("root", root.name());
    match root.name() {
        "document" if root.space().contains("opendocument") => office::read_flat(root, out),
        "rss" | "feed" | "RDF" => feed(root, out),
        _ if article::is_article(root) => article::read(root, out),
        _ => data(root, out),
    }
}

/// A feed of news: its title, then each entry under its own.
fn feed(root: Element<'_>, out: &mut Output<'_>) -> Result<(), Stop> {
    let channel = root.child("channel").unwrap_or(root);
    let title = channel.child("title").map(Element::text).unwrap_or_default();
    out.title(&title);
    out.block(&BlockKind::Heading { level: 1 }, &title, None)?;
    for name in ["description", "subtitle"] {
        out.paragraph(&channel.child(name).map(Element::text).unwrap_or_default())?;
    }
    let entries = channel.children().chain(root.children().filter(|_| channel.is("channel")));
    for entry in entries.filter(|entry| entry.is("item") || entry.is("entry")) {
        let text = |name| entry.child(name).map(Element::text).unwrap_or_default();
        out.block(&BlockKind::Heading { level: 2 }, &text("title"), None)?;
        let mut dates = ["pubDate", "published", "updated", "date"].into_iter().map(text);
        let date = dates.find(|date| !date.is_empty()).unwrap_or_default();
        let newest = out.document.content_date;
        out.document.content_date = newest.max(parse_date(&date));
        let by =
            ["creator", "author"].into_iter().map(text).find(|by: &String| !by.trim().is_empty());
        let line = [Some(date), by].into_iter().flatten().collect::<Vec<_>>().join(" · ");
        out.paragraph(line.trim().trim_matches('·'))?;
        for name in ["description", "summary", "encoded", "content"] {
            let body = text(name);
            if body.contains('<') {
                html::fragment(&body, out)?;
            } else {
                out.paragraph(&body)?;
            }
        }
    }
    Ok(())
}

/// Data: one `path: value` line per text and attribute, records kept together.
fn data(root: Element<'_>, out: &mut Output<'_>) -> Result<(), Stop> {
    let mut lines = Lines { out, paragraph: String::new() };
    lines.element(root, "", 0)?;
    lines.flush()
}

struct Lines<'l, 'o> {
    out: &'l mut Output<'o>,
    paragraph: String,
}

impl Lines<'_, '_> {
    fn element(&mut self, element: Element<'_>, path: &str, depth: usize) -> Result<(), Stop> {
        for (name, value) in element.attributes() {
            if !name.starts_with("xmlns") && !value.trim().is_empty() {
                self.line(&format!("{path}@{name}"), value)?;
            }
        }
        for content in element.contents() {
            match content {
                Content::Text(text) if !text.trim().is_empty() => {
                    self.line(path, text.trim())?;
                }
                Content::Text(_) => {}
                Content::Element(child) => {
                    let inner = if path.is_empty() || path.len() > 200 {
                        child.name().to_owned()
                    } else {
                        format!("{path}.{}", child.name())
                    };
                    self.element(child, &inner, depth + 1)?;
                    if depth == 0 || self.paragraph.len() > PARAGRAPH {
                        self.flush()?;
                    }
                }
            }
        }
        Ok(())
    }

    fn line(&mut self, path: &str, value: &str) -> Result<(), Stop> {
        if value.len() > PARAGRAPH {
            self.flush()?;
            return self.out.paragraph(&format!("{path}: {value}"));
        }
        self.paragraph.push_str(&format!("{path}: {value}\n"));
        if self.paragraph.len() > PARAGRAPH * 2 { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Stop> {
        let paragraph = std::mem::take(&mut self.paragraph);
        self.out.paragraph(&paragraph)
    }
}
