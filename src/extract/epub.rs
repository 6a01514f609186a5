//! E-books: the chapters in the order of the spine, each read as the page it is.
//!
//! Called by: `extract`. Talks to: `package` and `xml` for the parts, `html` for chapters.
//! Invariants: a chapter that cannot be read costs a warning; the same chapter is read once.

use std::collections::HashMap;

use super::charset::StreamDecoder;
use super::date::read_date;
use super::emit::{Output, Stop};
use super::html;
use super::package::Package;
use super::people::is_nobody;
use super::source::Source;
use super::xml::{Element, Xml};
use crate::types::ExtractFailureCode;

const MAX_CHAPTERS: usize = 20_000;

pub(super) fn extract(source: &mut Source<'_>, out: &mut Output<'_>) -> Result<(), Stop> {
    let bytes = source.read_whole(out.limits().max_parse_bytes)?;
    let mut package = Package::open(&bytes)?;
    let container = package.xml("META-INF/container.xml")?;
    let root = container.as_ref().and_then(Xml::root).and_then(|root| root.descendant("rootfile"));
    let Some(main) = root.and_then(|root| root.attr("full-path")).map(str::to_owned) else {
        return Err(Stop::malformed("The e-book does not say where its contents are"));
    };
    let Some(book) = package.xml(&main)? else {
        return Err(Stop::malformed("The e-book has no list of its contents"));
    };
    let Some(root) = book.root() else {
        return Err(Stop::malformed("The list of the e-book's contents is empty"));
    };
    let facts = root.child("metadata").into_iter().flat_map(Element::descendants);
    facts.for_each(|property| fact(property, out));
    let folder = main.rsplit_once('/').map(|(folder, _)| folder).unwrap_or_default();
    let chapters = chapters(root, folder);
    out.fact("chapters", &chapters.len().to_string());
    let locked = locked(&mut package, out);
    if !chapters.is_empty() && chapters.iter().all(|chapter| locked.contains(chapter)) {
        return Err(Stop::failure(
            ExtractFailureCode::PasswordRequired,
            "The e-book is protected against reading",
        ));
    }
    for part in chapters {
        chapter(&mut package, &part, out)?;
    }
    Ok(())
}

fn fact(property: Element<'_>, out: &mut Output<'_>) {
    let value = property.text();
    match property.name() {
        "title" => out.title(&value),
        "creator" if !is_nobody(&value) => out.author(&value),
        "language" => out.fact("lang", &value),
        "date" => {
            out.written(read_date(&value));
            out.fact("date", &value);
        }
        name @ ("description" | "publisher" | "subject" | "identifier") => out.fact(name, &value),
        _ => {}
    }
}

/// The parts of the chapters in reading order.
fn chapters(book: Element<'_>, folder: &str) -> Vec<String> {
    let listed = book.child("manifest").into_iter().flat_map(Element::children);
    let parts: HashMap<&str, &str> =
        listed.filter_map(|item| Some((item.attr("id")?, item.attr("href")?))).collect();
    let spine = book.child("spine").into_iter().flat_map(Element::children);
    let mut chapters: Vec<String> = Vec::new();
    for item in spine.take(MAX_CHAPTERS) {
        let Some(href) = item.attr("idref").and_then(|id| parts.get(id)) else {
            continue;
        };
        let path = unescaped(href.split('#').next().unwrap_or_default());
        let path = if folder.is_empty() { path } else { format!("{folder}/{path}") };
        if chapters.last() != Some(&path) {
            chapters.push(path);
        }
    }
    chapters
}

/// Names of the parts that are encrypted.
fn locked(package: &mut Package<'_>, out: &mut Output<'_>) -> Vec<String> {
    let Some(xml) = package.optional_xml("META-INF/encryption.xml", out) else {
        return Vec::new();
    };
    let references = xml.root().into_iter().flat_map(Element::descendants);
    let references = references.filter(|element| element.is("CipherReference"));
    references.filter_map(|reference| reference.attr("URI")).map(unescaped).collect()
}

fn chapter(package: &mut Package<'_>, part: &str, out: &mut Output<'_>) -> Result<(), Stop> {
    let bytes = match package.part(part) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => {
            out.warn(format!("The chapter {part} is missing"));
            return Ok(());
        }
        Err(Stop::Failure(failure)) => {
            out.warn(format!("The chapter {part} was left out: {}", failure.message));
            return Ok(());
        }
        Err(stop) => return Err(stop),
    };
    let mut page = String::new();
    StreamDecoder::new(html::declared_charset(&bytes)).push(&bytes, true, &mut page);
    html::chapter(&page, out)
}

/// A path without its percent escapes.
fn unescaped(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let code = (*byte == b'%').then(|| path.get(at + 1..at + 3)).flatten();
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(code) => {
                out.push(code);
                at += 3;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use crate::extract::testing::run;

    #[test]
    fn a_chapter_whose_head_closes_itself_keeps_its_text() {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let heads = ["<title/>", "<title>t</title>", "<title>x</title><script src='a.js'/>"];
        let items: String =
            (0..3).map(|n| format!("<item id='i{n}' href='c{n}.xhtml'/>")).collect();
        let spine: String = (0..3).map(|n| format!("<itemref idref='i{n}'/>")).collect();
        let book = format!(
            "<package><metadata/><manifest>{items}</manifest><spine>{spine}</spine></package>"
        );
        let container =
            "<container><rootfiles><rootfile full-path='c.opf'/></rootfiles></container>";
        let mut parts = vec![
            ("mimetype".to_owned(), "application/epub+zip".to_owned()),
            ("META-INF/container.xml".to_owned(), container.to_owned()),
            ("c.opf".to_owned(), book),
        ];
        for (n, head) in heads.iter().enumerate() {
            let page = format!("<html><head>{head}</head><body><p>Words {n}.</p></body></html>");
            parts.push((format!("c{n}.xhtml"), page));
        }
        for (name, text) in parts {
            zip.start_file(name, SimpleFileOptions::default()).expect("a new part");
            zip.write_all(text.as_bytes()).expect("memory does not fail");
        }
        let found = run("a.epub", &zip.finish().expect("memory does not fail").into_inner());
        assert_eq!(found.texts(), ["Words 0.", "Words 1.", "Words 2."]);
    }
}
