//! What stands beside the text of a Word document: notes, comments, page headers and footers.
//!
//! Called by: `docx`. Talks to: `package`.
//! Invariants: each is read once, after the text; page headers that repeat each other are one.

use super::Reader;
use super::table::plain;
use crate::extract::emit::Stop;
use crate::extract::xml::{Element, Xml};

pub(super) fn read(reader: &mut Reader<'_, '_, '_>) -> Result<(), Stop> {
    notes(reader, "footnotes", "footnote", "")?;
    notes(reader, "endnotes", "endnote", "e")?;
    comments(reader)?;
    margins(reader)
}

fn part(reader: &mut Reader<'_, '_, '_>, kind: &str) -> Option<Xml> {
    let part = reader.relations.first(kind)?.to_owned();
    reader.package.optional_xml(&part, reader.out)
}

fn notes(reader: &mut Reader<'_, '_, '_>, kind: &str, name: &str, mark: &str) -> Result<(), Stop> {
    let Some(xml) = part(reader, kind) else {
        return Ok(());
    };
    let notes = xml.root().into_iter().flat_map(Element::children);
    for note in notes.filter(|note| note.is(name)) {
        // Separators are notes too; only real ones have no type.
        if note.attr("type").is_some_and(|kind| kind != "normal") {
            continue;
        }
        let text = plain(note);
        if !text.trim().is_empty() {
            let id = note.attr("id").unwrap_or_default();
            reader.out.paragraph(&format!("[^{mark}{id}]: {text}"))?;
        }
    }
    Ok(())
}

fn comments(reader: &mut Reader<'_, '_, '_>) -> Result<(), Stop> {
    let Some(xml) = part(reader, "comments") else {
        return Ok(());
    };
    let comments = xml.root().into_iter().flat_map(Element::children);
    for comment in comments.filter(|comment| comment.is("comment")) {
        let text = plain(comment);
        if text.trim().is_empty() {
            continue;
        }
        let by = match comment.attr("author").map(str::trim).filter(|author| !author.is_empty()) {
            Some(author) => format!("Comment by {author}"),
            None => "Comment".to_owned(),
        };
        reader.out.paragraph(&format!("{by}: {text}"))?;
    }
    Ok(())
}

fn margins(reader: &mut Reader<'_, '_, '_>) -> Result<(), Stop> {
    let mut seen: Vec<String> = Vec::new();
    for kind in ["header", "footer"] {
        let parts: Vec<String> = reader.relations.all(kind).map(str::to_owned).collect();
        for part in parts {
            let xml = reader.package.optional_xml(&part, reader.out);
            let Some(text) = xml.as_ref().and_then(Xml::root).map(plain) else {
                continue;
            };
            let text = text.trim().to_owned();
            if text.chars().any(char::is_alphabetic) && !seen.contains(&text) && seen.len() < 100 {
                reader.out.paragraph(&text)?;
                seen.push(text);
            }
        }
    }
    Ok(())
}
